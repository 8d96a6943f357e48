//! The servers of `servers.toml`: building them, starting and ending them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;

use crate::dialect::Dialect;
use crate::error::Error;

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Stands for an empty directory of the server's own.
const STORE: &str = "{store}";
const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// An entry of `servers.toml`: the commands that build and start a server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// A line that describes the server.
    pub about: String,
    /// The command that builds it, if it needs any.
    #[serde(default)]
    build: Vec<String>,
    /// The command that starts it. It says `listening on port N` on its standard output.
    start: Vec<String>,
    /// A command that prints its version.
    #[serde(default)]
    version: Vec<String>,
    /// The dialect that the server speaks.
    #[serde(default)]
    dialect: Dialect,
    /// The scenarios that it takes part in.
    pub scenarios: Vec<String>,
}

/// A server that listens. Dropping it ends its process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    target: Target,
    /// The server's own directory, removed with it.
    _store: Option<TempDir>,
}

/// A server to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The address that the server listens on.
    pub addr: SocketAddr,
    /// Its process; `None` if it is not known, and then neither is its CPU time.
    pub pid: Option<u32>,
    /// The dialect that the server speaks.
    pub dialect: Dialect,
}

/// All entries, by name.
///
/// # Errors
///
/// If the file cannot be read or understood.
pub fn entries() -> Result<BTreeMap<String, Entry>, Error> {
    let path = PathBuf::from(FOLDER).join("servers.toml");
    let text = fs::read_to_string(&path).map_err(Error::io(path.display().to_string()))?;
    Ok(toml::from_str(&text)?)
}

impl Entry {
    /// Builds the server.
    ///
    /// # Errors
    ///
    /// If the command fails.
    pub fn build(&self) -> Result<(), Error> {
        if !self.build.is_empty() {
            output(&self.build)?;
        }
        Ok(())
    }

    /// The server's version, as its entry says.
    ///
    /// # Errors
    ///
    /// If the command fails.
    pub fn version(&self) -> Result<Option<String>, Error> {
        if self.version.is_empty() {
            return Ok(None);
        }
        let printed = output(&self.version)?;
        // `cargo pkgid` prints a URL with the version at its end.
        let version = printed.trim().rsplit(['@', '#']).next();
        Ok(version.map(str::to_owned))
    }

    /// Starts the server on one core and waits until it listens.
    ///
    /// # Errors
    ///
    /// If it does not say where it listens within 20 s.
    pub fn start(&self, core: usize) -> Result<Server, Error> {
        // Beside what cargo builds, as the system's folder for temporary files may be memory.
        let store = match self.start.iter().any(|argument| argument == STORE) {
            true => {
                Some(TempDir::with_prefix_in("store-", target()).map_err(Error::io("a store"))?)
            }
            false => None,
        };
        let argument = |argument: &String| match &store {
            Some(store) if argument == STORE => store.path().as_os_str().to_owned(),
            _ => expand(argument).into(),
        };
        // The child dies with this process, however that ends, and never leaves its core.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "taskset", "--cpu-list"])
            .arg(core.to_string())
            .args(self.start.iter().map(argument))
            .current_dir(FOLDER)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let name = self.start.join(" ");
        let child = command.spawn().map_err(Error::io(name.clone()))?;
        let mut server = Server {
            target: Target {
                addr: (Ipv4Addr::LOCALHOST, 0).into(),
                pid: Some(child.id()),
                dialect: self.dialect,
            },
            child,
            _store: store,
        };
        let port = server.listening().ok_or(Error::NotListening(name))?;
        server.target.addr.set_port(port);
        Ok(server)
    }
}

impl Server {
    /// The server's address, process and dialect.
    pub fn target(&self) -> Target {
        self.target
    }

    fn listening(&mut self) -> Option<u16> {
        let output = BufReader::new(self.child.stdout.take()?);
        let (said, port) = mpsc::channel();
        // Reads on to the end, so that a server that says more is not blocked by that.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let port = line.strip_prefix("listening on port ");
                if let Some(port) = port.and_then(|port| port.trim().parse().ok()) {
                    // Nobody waits any more for a second one.
                    let _ = said.send(port);
                }
            }
        });
        port.recv_timeout(START_TIMEOUT).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn output(command: &[String]) -> Result<String, Error> {
    let line = command.join(" ");
    let output = Command::new(expand(&command[0]))
        .args(command[1..].iter().map(|argument| expand(argument)))
        .current_dir(FOLDER)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io(line.clone()))?;
    if !output.status.success() {
        return Err(Error::Command {
            command: line,
            status: output.status,
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `{target}` stands for the folder that cargo builds in.
fn expand(argument: &str) -> String {
    argument.replace("{target}", &target())
}

fn target() -> String {
    env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| format!("{FOLDER}/target"))
}
