//! A TCP proxy whose line can be cut, held and delayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The state of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Line {
    /// Everything goes through.
    Up,
    /// Everything goes through later.
    Slow(Duration),
    /// Nothing goes through, and nobody is told.
    Held,
    /// Nothing comes back from the server, and nobody is told.
    HeldBack,
    /// Nothing goes through on every second connection, and nobody is told. A node makes one for
    /// commands and then one for pushes.
    HeldSecond,
    /// All connections are closed, and new ones at once.
    Cut,
}

/// A proxy in front of a server.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    to: Arc<AtomicU16>,
    line: Arc<watch::Sender<Line>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(watch::channel(Line::Up).0);
        let to = Arc::new(AtomicU16::new(to));
        let task = tokio::spawn({
            let (line, to) = (Arc::clone(&line), Arc::clone(&to));
            async move {
                let mut is_second = true;
                while let Ok((client, _)) = listener.accept().await {
                    is_second = !is_second;
                    if *line.borrow() != Line::Cut {
                        let to = to.load(Ordering::Relaxed);
                        tokio::spawn(forward(client, to, line.subscribe(), is_second));
                    }
                }
            }
        });
        Self {
            port,
            to,
            line,
            task,
        }
    }

    /// Leads new connections to another server.
    pub(crate) fn lead_to(&self, port: u16) {
        self.to.store(port, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.set(Line::Cut);
    }
}

async fn forward(client: TcpStream, to: u16, mut line: watch::Receiver<Line>, is_second: bool) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let second = if is_second {
        Line::HeldSecond
    } else {
        Line::Held
    };
    let there = [Line::Held, second];
    let back = [Line::Held, Line::HeldBack, second];
    tokio::select! {
        () = pump(from_client, to_server, line.clone(), &there) => {}
        () = pump(from_server, to_client, line.clone(), &back) => {}
        _ = line.wait_for(|line| *line == Line::Cut) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
    held: &[Line],
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let now = *line.borrow();
        if let Line::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if line.wait_for(|line| !held.contains(line)).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    // Nor is anybody told that a connection is closed.
    let _ = line.wait_for(|line| !held.contains(line)).await;
}
