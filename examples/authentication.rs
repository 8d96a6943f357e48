//! The guide's "Authentication & Authorization": a room for those with a token. The
//! program `nextrush` has it in `routes/guide/private.rs`.
//!
//! `JWT_SECRET=… cargo run -p nextrush --example authentication`, then connect to
//! `ws://localhost:3000/private-chat/lobby?token=…` with an HS256 token that has
//! the claims `id`, `email` and `exp`.

use axum::extract::Path;
use nextrush::message::Timestamp;
use nextrush::{
    App, AuthRejection, Authenticated, BoxError, ErrorMessage, Jwt, Message, Outgoing, RoomManager,
    RoomName, Socket, User,
};
use serde::Serialize;
use serde_json::Value;

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

/// The application, to be served or tested.
pub fn app(jwt: Jwt) -> App {
    let mut app = App::new();
    app.jwt(jwt);
    let rooms = RoomManager::new(&app, "private");

    // Protected WebSocket endpoint
    app.ws(
        "/private-chat/:roomId",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    user: Result<Authenticated, AuthRejection>|
                    -> Result<(), BoxError> {
            // Authenticate user
            let user = match user {
                // The socket is the user's from now on, and ends when the token expires.
                Ok(user) => user.admit(&socket),
                // Tells the client why and closes the socket with 1008.
                Err(rejection) => {
                    rejection.reject(&socket);
                    return Ok(());
                }
            };
            println!("Authenticated user {} joined room {room}", user.email);

            // Join room with user info
            socket.set_data(user.clone());
            rooms.join_room(room.as_str(), &socket).await?;

            // Send authenticated welcome
            socket.send_json(&Event::Authenticated {
                user: &user,
                room_id: &room,
            })?;

            let rooms = rooms.clone();
            socket.on_message(
                move |socket: Socket, message: Message| -> Result<(), BoxError> {
                    let message: Value = message.json().unwrap_or_default();
                    let Some(text) = message["text"].as_str() else {
                        let error = ErrorMessage::new("invalid-format", "Invalid message format");
                        socket.send(error);
                        return Ok(());
                    };

                    // Include user info in broadcast
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
        },
    );

    app
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let secret = std::env::var("JWT_SECRET")?;
    app(Jwt::hs256(secret)).listen(3000).await?;
    Ok(())
}
