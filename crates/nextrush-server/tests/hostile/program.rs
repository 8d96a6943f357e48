//! The program as a process of its own, whose memory can be asked for.

use std::process::Stdio;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::{SECRET, free_port, peak_bytes, within};

/// A server program; it is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) port: u16,
}

impl Program {
    /// Starts the program at a free port, with a secret and these further arguments.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        let child = Command::new(env!("CARGO_BIN_EXE_nextrush"))
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .env_clear()
            .env("JWT_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        within(async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Self { child, port }
    }

    /// The most memory that the program has had, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        peak_bytes(&self.child)
    }
}
