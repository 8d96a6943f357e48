//! A room with a time limit, pings, validation and a rate limit.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::Path;
use nextrush::{
    App, ConnectionError, ErrorMessage, JoinError, Message, Options, SlidingWindow, Socket,
    rate_limit,
};
use serde::Deserialize;

use super::room_id::RoomId;

const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
const PING_PERIOD: Duration = Duration::from_secs(30);
const MESSAGES: usize = 60;
const WINDOW: Duration = Duration::from_secs(60);

pub(super) fn add(app: &mut App) {
    // It pings on its own schedule and ends before a heartbeat would matter.
    let options = Options {
        heartbeat: None,
        ..Options::default()
    };
    app.ws_with("/robust-chat/:roomId", options, enter);
}

fn enter(socket: Socket, Path(room): Path<RoomId>) -> Result<(), JoinError> {
    let name = room.of("robust");
    socket.join(&name)?;
    socket.after(CONNECTION_TIMEOUT, |socket: Socket, ()| {
        socket.close(1000, "Connection timeout");
    });
    socket.every(PING_PERIOD, |socket: Socket, ()| socket.ping(""));
    socket.on_error(|socket: Socket, error: ConnectionError| {
        socket.send(ErrorMessage::new("Connection error occurred").code(error.code()));
    });
    socket.filter(has_a_type);
    socket.filter(rate_limit(SlidingWindow::new(MESSAGES, WINDOW)));
    socket.on_message(move |socket: Socket, message: Message| {
        socket.app().room(&name).except(&socket).send(message);
    });
    Ok(())
}

#[derive(Deserialize)]
struct Tagged {
    r#type: Option<serde_json::Value>,
}

fn has_a_type(socket: &Socket, message: &Message) -> ControlFlow<()> {
    let details = match message.json::<Tagged>() {
        Ok(Tagged {
            r#type: Some(serde_json::Value::String(name)),
        }) if !name.is_empty() => return ControlFlow::Continue(()),
        Ok(_) => "Invalid message type".to_owned(),
        // JSON, but no object.
        Err(error) if error.is_data() => "Invalid message type".to_owned(),
        Err(error) => error.to_string(),
    };
    socket.send(ErrorMessage::new("Invalid message format").details(details));
    ControlFlow::Break(())
}
