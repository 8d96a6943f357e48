//! The server program: built, started, stopped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::api::KEY;
use crate::error::Error;
use crate::token::SECRET;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The program, and where it listens and keeps things, however often it is started.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    store: Option<TempDir>,
    core: Option<usize>,
    addr: SocketAddr,
}

/// A server that runs. Dropping it ends its process.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Program {
    /// The program at a path, or of this repository.
    pub(crate) fn new(
        path: Option<PathBuf>,
        keeps: bool,
        core: Option<usize>,
    ) -> Result<Self, Error> {
        let path = path.map_or_else(build, Ok)?;
        let store = keeps.then(TempDir::new).transpose();
        // Free now, and not given to anybody else soon.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(Error::io("a free port"))?;
        Ok(Self {
            path,
            store: store.map_err(Error::io("a directory for the store"))?,
            core,
            addr: port,
        })
    }

    /// Returns whether what is published outlives the process.
    pub(crate) fn keeps(&self) -> bool {
        self.store.is_some()
    }

    /// The address at which it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Starts it, and returns when it listens.
    pub(crate) fn start(&self) -> Result<Server, Error> {
        let mut command = self.command();
        command
            .args(["--listen", &self.addr.to_string()])
            .args(["--jwt-secret", SECRET, "--api-key", KEY])
            .env("RUST_LOG", "warn");
        if let Some(store) = &self.store {
            command.arg("--store").arg(store.path());
        }
        self.spawn(command)
    }

    /// Starts it with a configuration file alone, in which its [address](Self::addr) is, and
    /// with its log in a file.
    pub(crate) fn start_with(&self, configuration: &Path, log: File) -> Result<Server, Error> {
        let mut command = self.command();
        command
            .arg("--config")
            .arg(configuration)
            .env("NO_COLOR", "1")
            .stderr(log);
        self.spawn(command)
    }

    fn command(&self) -> Command {
        // The child dies with this process, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(core) = self.core {
            command.args(["taskset", "--cpu-list", &core.to_string()]);
        }
        command
            .arg(&self.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    fn spawn(&self, mut command: Command) -> Result<Server, Error> {
        let mut child = command.spawn().map_err(Error::io("starting the server"))?;
        let output = child.stdout.take().ok_or(Error::NotListening)?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let server = Server {
            child,
            addr: self.addr,
        };
        match lines.any(|line| line.starts_with("Open http")) {
            true => Ok(server),
            false => Err(Error::NotListening),
        }
    }
}

impl Server {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop, as a supervisor does.
    pub(crate) fn terminate(&self) -> Result<(), Error> {
        self.signal(Signal::TERM)
    }

    /// Tells it to read its configuration again.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        self.signal(Signal::HUP)
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).map_err(|error| Error::io("a signal to the server")(error.into()))
    }

    /// The exit status of the process, if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(Error::io("the server's end"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn build() -> Result<PathBuf, Error> {
    let built = Command::new("cargo")
        .args([
            "build",
            "--profile=dist",
            "-p",
            "nextrush-server",
            "--target-dir",
        ])
        .arg(Path::new(REPOSITORY).join("target"))
        .current_dir(REPOSITORY)
        .status()
        .map_err(Error::io("cargo"))?;
    if !built.success() {
        return Err(Error::Build);
    }
    Ok(Path::new(REPOSITORY).join("target/dist/nextrush"))
}
