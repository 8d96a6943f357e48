//! The guide's "Error Handling & Reconnection": a room with a time limit, pings, validation
//! and a rate limit.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::Extension;
use axum::extract::Path;
use nextrush::limits::{SlidingWindow, rate_limit};
use nextrush::room::JoinError;
use nextrush::{App, ConnectionError, ErrorCode, ErrorMessage, Message, Socket, SocketOptions, ws};
use serde_json::Value;

use super::room_id::RoomId;

const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
const PING_PERIOD: Duration = Duration::from_secs(30);
const MESSAGES: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);

pub(super) fn add(app: &mut App, options: SocketOptions) {
    // The endpoint pings by itself, and its connections end before a heartbeat would matter.
    let options = options.heartbeat(None);
    app.route("/robust-chat/:roomId", ws(enter).layer(Extension(options)));
}

fn enter(socket: Socket, Path(room): Path<RoomId>) -> Result<(), JoinError> {
    let name = room.of("robust");
    socket.join(&name)?;
    socket.after(CONNECTION_TIMEOUT, |socket: Socket, ()| {
        socket.close(1000, "Connection timeout");
    });
    socket.every(PING_PERIOD, |socket: Socket, ()| socket.ping(""));
    socket.on_error(|socket: Socket, error: ConnectionError| {
        socket.send(ErrorMessage::new(error.code(), "Connection error occurred"));
    });
    socket.filter(validate);
    socket.filter(rate_limit(SlidingWindow::new(MESSAGES, WINDOW)));
    socket.on_message(move |socket: Socket, message: Message| {
        socket.app().room(&name).except(&socket).send(message);
    });
    Ok(())
}

fn validate(socket: &Socket, message: &Message) -> ControlFlow<()> {
    let details = match message.json::<Value>() {
        Ok(value) if value["type"].as_str().is_some_and(|name| !name.is_empty()) => {
            return ControlFlow::Continue(());
        }
        Ok(_) => "Invalid message type".to_owned(),
        Err(error) => error.to_string(),
    };
    let error = ErrorMessage::new(ErrorCode::InvalidFormat, "Invalid message format");
    socket.send(error.details(details));
    ControlFlow::Break(())
}
