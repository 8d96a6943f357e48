//! Logs that cannot be written: a full disk, a reader that is gone, a pipe that is full.

use std::fs::OpenOptions;
use std::process::Stdio;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::{Client, SECRET, free_port, signal, within};

/// More connections than a pipe of 64 KiB has room for in what `RUST_LOG=trace` says of them.
const CONNECTIONS: usize = 200;

/// Starts the program at a free port, in whose standard output nobody is interested.
async fn start(log: Stdio) -> (Child, u16) {
    let port = free_port();
    let mut server = Command::new(env!("CARGO_BIN_EXE_nextrush"))
        .args(["--open-endpoints", "--listen", &format!("127.0.0.1:{port}")])
        .env_clear()
        .env("JWT_SECRET", SECRET)
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    drop(server.stdout.take());
    within(async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    (server, port)
}

/// Uses the server, which must then end in order.
async fn assert_serves(mut server: Child, port: u16) {
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect_to(port, "/chat").await;
        assert_eq!(client.text().await, "Welcome to the chat!");
        client.close().await;
    }
    signal(&server, "INT").await;
    let status = within(server.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}

#[tokio::test]
async fn a_full_disk_costs_lines_of_the_log_only() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (server, port) = start(full.into()).await;
    assert_serves(server, port).await;
}

#[tokio::test]
async fn a_reader_that_is_gone_costs_lines_of_the_log_only() {
    let (mut server, port) = start(Stdio::piped()).await;
    drop(server.stderr.take());
    assert_serves(server, port).await;
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_holds_nobody_up() {
    let (mut server, port) = start(Stdio::piped()).await;
    // Open, and never read.
    let _log = server.stderr.take();
    assert_serves(server, port).await;
}
