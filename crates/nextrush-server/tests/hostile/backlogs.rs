//! Clients that do not read what they are sent.

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::program::Program;
use crate::support::{Client, token, within};

/// The clients that read nothing.
const SILENT: usize = 200;
/// The history that each of them is sent: about 500 kB.
const SAID: usize = 25;
const TEXT: usize = 20_000;

/// Joins a room as a user who reads nothing, and whose system takes next to nothing for it.
async fn join_unread(port: u16, user: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let address = ([127, 0, 0, 1], port).into();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!(
        "GET /chat/den?token={} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        token(&format!("silent-{user}"))
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn all_that_waits_for_slow_readers_has_one_bound_and_others_are_served_meanwhile() {
    let program = Program::start(&["--backlog-total", "8M"]).await;
    let mut ada =
        Client::connect_to(program.port, &format!("/chat/den?token={}", token("ada"))).await;
    for id in 0..SAID {
        let said = json!({ "type": "chat", "text": "x".repeat(TEXT), "id": id.to_string() });
        ada.send(said).await;
        ada.json_of("ack").await;
    }
    let before = program.peak_bytes();
    let joins = (0..SILENT).map(|user| join_unread(program.port, user));
    let silent = join_all(joins).await;
    for _ in 0..SILENT {
        ada.json_of("user-joined").await;
    }
    let asked = json!({ "type": "ping", "id": "bystander" });
    ada.send(asked).await;
    assert_eq!(ada.json_of("pong").await["id"], "bystander");
    let grown = program.peak_bytes() - before;
    // 100 MB wait otherwise. Beside the bound, the histories that one turn makes, and what the
    // allocator keeps.
    assert!(grown < 70 << 20, "{grown} bytes");

    // Some were cut off, and others that began to read meanwhile have it all.
    let read = silent.into_iter().map(async |mut stream| {
        let mut all = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        // A history that came whole is followed by what is said later.
        while all.len() < SAID * TEXT {
            match within(stream.read(&mut buffer)).await {
                Ok(count) if count > 0 => all.extend_from_slice(&buffer[..count]),
                _ => return false,
            }
        }
        true
    });
    let whole = join_all(read).await.into_iter().filter(|whole| *whole);
    let whole = whole.count();
    assert!(
        (8..=SILENT / 2).contains(&whole),
        "{whole} histories came whole"
    );
}
