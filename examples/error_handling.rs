//! The guide's "Error Handling & Reconnection": a time limit, pings, validation
//! and a rate limit. The program `nextrush` has it in
//! `routes/guide/robust.rs` and serves it with `--open-endpoints`.
//!
//! `cargo run -p nextrush --example error_handling`, then connect to
//! `ws://localhost:3000/robust-chat/lobby` and send `{"type":"hello"}`.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::Path;
use bytes::Bytes;
use nextrush::limits::{SlidingWindow, rate_limit};
use nextrush::room::JoinError;
use nextrush::{App, ConnectionError, ErrorMessage, Message, RoomName, Socket};

/// The endpoint's times, so that a test need not wait a minute.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The longest life of a connection.
    pub connection: Duration,
    /// The time between two pings.
    pub ping: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connection: Duration::from_secs(60),
            ping: Duration::from_secs(30),
        }
    }
}

/// Message validation: a JSON object with a `type`.
fn validate(socket: &Socket, message: &Message) -> ControlFlow<()> {
    let details = match message.json::<serde_json::Value>() {
        Ok(value) if value["type"].as_str().is_some_and(|name| !name.is_empty()) => {
            return ControlFlow::Continue(());
        }
        Ok(_) => "Invalid message type".to_owned(),
        Err(error) => error.to_string(),
    };
    socket.send(ErrorMessage::new("invalid-format", "Invalid message format").details(details));
    ControlFlow::Break(())
}

/// The application, to be served or tested.
pub fn app(times: Times) -> App {
    let mut app = App::new();

    app.ws(
        "/robust-chat/:roomId",
        move |socket: Socket, Path(room): Path<RoomName>| -> Result<(), JoinError> {
            socket.join(&room)?;

            // Connection timeout
            socket.after(times.connection, |socket: Socket, ()| {
                socket.close(1000, "Connection timeout");
            });

            // Ping/Pong for connection health
            socket.every(times.ping, |socket: Socket, ()| socket.ping(""));
            socket.on_pong(|_: Socket, _: Bytes| println!("Pong received, connection healthy"));

            // The timers end with the socket.

            // Error handling: this goes out before the close frame
            socket.on_error(|socket: Socket, error: ConnectionError| {
                eprintln!("WebSocket error: {error}");
                socket.send(ErrorMessage::new(error.code(), "Connection error occurred"));
            });

            // Message validation, then rate limiting
            socket.filter(validate);
            socket.filter(rate_limit(SlidingWindow::new(60, Duration::from_secs(60))));

            // Process message...
            socket.on_message(move |socket: Socket, message: Message| {
                socket.app().room(&room).except(&socket).send(message);
            });
            Ok(())
        },
    );

    app
}

#[tokio::main]
async fn main() -> nextrush::Result {
    app(Times::default()).listen(3000).await
}
