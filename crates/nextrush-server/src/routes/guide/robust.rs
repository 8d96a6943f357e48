//! A room with a time limit, pings, validation and a rate limit.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::Extension;
use axum::extract::Path;
use nextrush::{
    App, ConnectionError, ErrorMessage, JoinError, Message, SlidingWindow, Socket, SocketOptions,
    rate_limit, ws,
};
use serde_json::Value;

use super::room_id::RoomId;

const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
const PING_PERIOD: Duration = Duration::from_secs(30);
const MESSAGES: usize = 60;
const WINDOW: Duration = Duration::from_secs(60);

pub(super) fn add(app: &mut App) {
    // It pings on its own schedule and ends before a heartbeat would matter.
    let options = SocketOptions::default().heartbeat(None);
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
    socket.filter(has_a_type);
    socket.filter(rate_limit(SlidingWindow::new(MESSAGES, WINDOW)));
    socket.on_message(move |socket: Socket, message: Message| {
        socket.app().room(&name).except(&socket).send(message);
    });
    Ok(())
}

fn has_a_type(socket: &Socket, message: &Message) -> ControlFlow<()> {
    match check(message) {
        Ok(()) => ControlFlow::Continue(()),
        Err(details) => {
            socket.send(
                ErrorMessage::new("invalid-format", "Invalid message format").details(details),
            );
            ControlFlow::Break(())
        }
    }
}

/// Whether it is an object with a `type`; else what is wrong with it.
fn check(message: &Message) -> Result<(), String> {
    // No struct: serde would read one from an array as well.
    let value: Value = message.json().map_err(|error| error.to_string())?;
    match value.get("type").and_then(Value::as_str) {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err("Invalid message type".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(text: &str) -> Option<String> {
        check(&Message::Text(text.to_owned())).err()
    }

    #[test]
    fn a_message_is_an_object_with_a_type() {
        assert_eq!(details(r#"{"type":"hello","more":[1]}"#), None);
        for text in [
            "{}",
            r#"{"type":""}"#,
            r#"{"type":7}"#,
            r#"{"type":null}"#,
            r#"["hello"]"#,
            r#""type""#,
            "null",
            "7",
        ] {
            assert_eq!(
                details(text).as_deref(),
                Some("Invalid message type"),
                "{text}"
            );
        }
        assert!(details("{no json").unwrap().contains("line 1"));
    }
}
