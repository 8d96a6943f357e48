//! The guide's "Room Management": rooms that announce who comes and goes.
//!
//! `cargo run -p nextrush --example room_management`, then connect several clients
//! to `ws://localhost:3000/chat/lobby` and send `{"text":"hello"}`.

use axum::extract::Path;
use nextrush::message::Timestamp;
use nextrush::{App, BoxError, ErrorMessage, Message, Outgoing, RoomManager, RoomName, Socket};
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Event<'a> {
    RoomInfo {
        room_id: &'a RoomName,
        user_count: usize,
    },
    ChatMessage {
        message: &'a str,
        timestamp: Timestamp,
        room_id: &'a RoomName,
    },
}

/// The application, to be served or tested.
pub fn app() -> App {
    let mut app = App::new();
    let rooms = RoomManager::new(&app, "rooms");

    // WebSocket with room management
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket, Path(room): Path<RoomName>| -> Result<(), BoxError> {
            // Join room
            rooms.join_room(room.as_str(), &socket).await?;

            // Send room info
            socket.send_json(&Event::RoomInfo {
                room_id: &room,
                user_count: rooms.room_users(room.as_str()).await,
            })?;

            // Handle messages
            let rooms = rooms.clone();
            socket.on_message(
                move |socket: Socket, message: Message| -> Result<(), BoxError> {
                    let message: Value = message.json().unwrap_or_default();
                    let Some(text) = message["text"].as_str() else {
                        let error = ErrorMessage::new("invalid-format", "Invalid message format");
                        socket.send(error);
                        return Ok(());
                    };

                    // Broadcast message to room
                    let event = Outgoing::json(&Event::ChatMessage {
                        message: text,
                        timestamp: Timestamp::now(),
                        room_id: &room,
                    })?;
                    rooms.broadcast_to_room(room.as_str(), event, None);
                    Ok(())
                },
            );

            // The room is left, and that is announced, when the socket closes.
            Ok(())
        },
    );

    app
}

#[tokio::main]
async fn main() -> nextrush::Result {
    app().listen(3000).await
}
