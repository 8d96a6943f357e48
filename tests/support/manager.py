#!/usr/bin/env python3
"""Runs a service as systemd does, in a folder that has the files of a package.

    manager.py ROOT SERVICE SOCKET [INSTANCE]

SERVICE and SOCKET are files of units; SOCKET is - for a service that opens its sockets itself. The sockets are
open from the start on, and stay so. Each line on standard input is a command: start, reload, restart, stop. Each
line on standard output is what happened: `main PID`, `exited CODE`, what the service tells (`READY=1`), and
`done COMMAND`. What the service writes goes to standard error. The end of the input ends the service.

Of a unit it follows EnvironmentFile=, ExecStart=, ExecReload=, WatchdogSec=, LimitNOFILE=, and ListenStream= and
Backlog= of TCP, and it starts a service again that ends by itself.
"""

import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


class Unit:
    """The settings of a unit, of which all but the last line of a name are forgotten."""

    def __init__(self, file, instance=""):
        text = file.read_text().replace("%i", instance).replace("%H", "host")
        self.settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))

    def get(self, name, default=""):
        return self.settings.get(name, default)


class Service:
    def __init__(self, root, unit, sockets):
        self.root = root
        self.unit = unit
        self.sockets = sockets
        self.main = None
        self.alive = time.monotonic()
        (root / "run" / "systemd").mkdir(parents=True, exist_ok=True)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = f"/run/systemd/notify-{os.getpid()}"
        self.notified.bind(f"{root}{self.name}")
        self.watchdog = int(unit.get("WatchdogSec", "0"))

    def environment(self):
        """The variables of the file, which systemd reads as root."""
        path = self.unit.get("EnvironmentFile").lstrip("-")
        lines = (self.root / path.lstrip("/")).read_text().splitlines() if path else []
        pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
        variables = {name: value.strip("\"'") for name, value in pairs}
        variables |= {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": self.name}
        if self.watchdog:
            variables["WATCHDOG_USEC"] = str(self.watchdog * 1_000_000)
        return variables

    def start(self):
        command = ["unshare", "--map-root-user", f"--root={self.root}", *self.unit.get("ExecStart").split()]
        limit = self.unit.get("LimitNOFILE")
        variables = self.environment()
        self.main = os.fork()
        if self.main:
            self.alive = time.monotonic()
            say(f"main {self.main}")
            return
        try:
            for number, listening in enumerate(self.sockets):
                os.dup2(listening.fileno(), 3 + number)
                os.set_inheritable(3 + number, True)
            if self.sockets:
                variables |= {"LISTEN_FDS": str(len(self.sockets)), "LISTEN_PID": str(os.getpid())}
            os.dup2(2, 1)
            if limit:
                most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
                soft = int(limit) if most == resource.RLIM_INFINITY else min(int(limit), most)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
            os.execvpe(command[0], command, variables)
        finally:
            os._exit(127)

    def until_ready(self):
        while "READY=1" not in self.hear(None):
            if self.has_exited():
                return False
        return True

    def hear(self, seconds=0):
        """The next words of the service, or none within that time."""
        self.notified.settimeout(0.05 if seconds is None else seconds)
        try:
            words = self.notified.recv(4096).decode().split()
        except (TimeoutError, BlockingIOError):
            return []
        self.alive = time.monotonic()
        if words != ["WATCHDOG=1"]:
            say(" ".join(words))
        return words

    def has_exited(self):
        if self.main is None:
            return True
        ended, status = os.waitpid(self.main, os.WNOHANG)
        if ended:
            self.main = None
            say(f"exited {os.waitstatus_to_exitcode(status)}")
        return bool(ended)

    def stop(self):
        if self.main is None:
            return
        os.kill(self.main, signal.SIGTERM)
        end = time.monotonic() + int(self.unit.get("TimeoutStopSec", "90"))
        while not self.has_exited():
            self.hear(0.02)
            if self.main and time.monotonic() > end:
                say("killed, as it does not end")
                os.kill(self.main, signal.SIGKILL)

    def reload(self):
        command = self.unit.get("ExecReload").replace("$MAINPID", str(self.main))
        subprocess.run(command.split(), check=True)

    def obey(self, command):
        if command in ("restart", "stop"):
            self.stop()
        if command in ("restart", "start"):
            self.start()
            if not self.until_ready():
                return say(f"failed {command}")
        if command == "reload":
            self.reload()
        say(f"done {command}")

    def look(self):
        """Starts a service again that has ended, and ends one that says nothing any more."""
        self.hear(0)
        if self.main is None:
            return
        if self.has_exited():
            self.start()
        elif self.watchdog and time.monotonic() > self.alive + self.watchdog:
            say("killed by the watchdog")
            os.kill(self.main, signal.SIGKILL)
            self.alive = time.monotonic()


def listen(unit):
    """Opens the socket of a unit, as systemd does before the service is there."""
    host, port = unit.get("ListenStream").rsplit(":", 1)
    return socket.create_server((host, int(port)), backlog=int(unit.get("Backlog", "4096")))


def say(line):
    print(line, flush=True)


def main():
    root, service, opened, *instance = sys.argv[1:]
    sockets = [] if opened == "-" else [listen(Unit(Path(opened)))]
    service = Service(Path(root), Unit(Path(service), *instance), sockets)
    say("listening")
    waiting = selectors.DefaultSelector()
    waiting.register(sys.stdin, selectors.EVENT_READ)
    try:
        while True:
            if waiting.select(0.05):
                command = sys.stdin.readline()
                if not command:
                    break
                service.obey(command.strip())
            service.look()
    finally:
        if service.main:
            os.kill(service.main, signal.SIGKILL)


if __name__ == "__main__":
    main()
