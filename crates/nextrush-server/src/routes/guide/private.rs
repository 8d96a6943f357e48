//! The guide's "Authentication & Authorization": a plain room for those with a token.

use axum::extract::Path;
use nextrush::message::Timestamp;
use nextrush::room::JoinError;
use nextrush::{
    App, AuthRejection, Authenticated, BoxError, CloseCode, ErrorCode, ErrorMessage, Message,
    Outgoing, RoomManager, RoomName, Socket, User,
};
use serde::Serialize;
use serde_json::Value;

use crate::current::Current;

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Event<'a> {
    Authenticated {
        user: &'a User,
        room_id: &'a RoomName,
    },
    ChatMessage {
        message: &'a str,
        user: &'a User,
        timestamp: Timestamp,
    },
}

/// The advice to a client while the store that servers share does not answer.
const RETRY_AFTER_MS: u64 = 2_000;

pub(super) fn add(app: &mut App, current: Current) {
    let rooms = RoomManager::new(&app, "private");
    app.ws(
        "/private-chat/:roomId",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    user: Result<Authenticated, AuthRejection>| match user {
            Ok(user) => {
                let user = super::admit(&socket, user, &current);
                enter(&socket, &rooms, room, user).await
            }
            Err(rejection) => {
                rejection.reject(&socket);
                Ok(())
            }
        },
    );
}

async fn enter(
    socket: &Socket,
    rooms: &RoomManager,
    room: RoomName,
    user: User,
) -> Result<(), BoxError> {
    match rooms.join_room(room.as_str(), socket).await {
        Err(JoinError::Unavailable) => {
            let refusal = ErrorMessage::new(ErrorCode::Unavailable, "Room unavailable");
            socket.send(refusal.retry_after_ms(RETRY_AFTER_MS));
            socket.close(CloseCode::TRY_AGAIN_LATER, "Room unavailable");
            return Ok(());
        }
        joined => joined?,
    }
    socket.send_json(&Event::Authenticated {
        user: &user,
        room_id: &room,
    })?;
    let rooms = rooms.clone();
    socket.on_message(
        move |socket: Socket, message: Message| -> Result<(), BoxError> {
            let message: Value = message.json().unwrap_or_default();
            let Some(text) = message["text"].as_str() else {
                let code = ErrorCode::InvalidFormat;
                socket.send(ErrorMessage::new(code, "Invalid message format"));
                return Ok(());
            };
            let event = Outgoing::json(&Event::ChatMessage {
                message: text,
                user: &user,
                timestamp: Timestamp::now(),
            })?;
            rooms.broadcast_to_room(room.as_str(), event, None);
            Ok(())
        },
    );
    Ok(())
}
