//! A plain room for those with a token.

use std::sync::Arc;

use axum::extract::Path;
use nextrush::{
    App, AuthRejection, Authenticated, BoxError, ErrorMessage, Jwt, Message, Outgoing, RoomManager,
    RoomName, Socket, Timestamp, User,
};
use serde::Serialize;
use serde_json::{Map, Value};

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

pub(super) fn add(app: &mut App, jwt: Jwt) {
    let rooms = RoomManager::new(app.handle());
    app.ws(
        "/private-chat/:roomId",
        move |socket: Socket,
              Path(room): Path<RoomName>,
              user: Result<Authenticated, AuthRejection>| match user {
            Ok(user) => {
                let user = super::admit(&socket, user, &jwt);
                enter(&socket, &rooms, room, user)
            }
            Err(rejection) => {
                rejection.refuse(&socket);
                Ok(())
            }
        },
    );
}

fn enter(socket: &Socket, rooms: &RoomManager, room: RoomName, user: User) -> Result<(), BoxError> {
    rooms.join_room(room.as_str(), socket)?;
    socket.send_json(&Event::Authenticated {
        user: &user,
        room_id: &room,
    })?;
    let rooms = rooms.clone();
    let user = Arc::new(user);
    socket.on_message(
        move |socket: Socket, message: Message| -> Result<(), BoxError> {
            let Some(text) = text_of(&message) else {
                socket.send(ErrorMessage::new(
                    "invalid-format",
                    "Invalid message format",
                ));
                return Ok(());
            };
            let event = Outgoing::json(&Event::ChatMessage {
                message: &text,
                user: &user,
                timestamp: Timestamp::now(),
            })?;
            rooms.broadcast_to_room(room.as_str(), event, None);
            Ok(())
        },
    );
    Ok(())
}

/// The `text` of an object.
fn text_of(message: &Message) -> Option<String> {
    // No struct: serde would read one from an array as well.
    let mut object: Map<String, Value> = message.json().ok()?;
    match object.remove("text") {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_an_object_with_a_text() {
        let text = |json: &str| text_of(&Message::Text(json.to_owned()));
        assert_eq!(text(r#"{"text":"hi","more":1}"#).as_deref(), Some("hi"));
        for json in [
            r#"["hi"]"#,
            r#"{"text":7}"#,
            "{}",
            "null",
            r#""hi""#,
            "{no json",
        ] {
            assert_eq!(text(json), None, "{json}");
        }
    }
}
