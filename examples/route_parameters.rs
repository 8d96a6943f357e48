//! The guide's "WebSocket with Route Parameters": one parameter and several, the
//! query and the headers. The program `nextrush` has it in `routes/guide/plain.rs`
//! and serves it with `--open-endpoints`.
//!
//! `cargo run -p nextrush --example route_parameters`, then connect to
//! `ws://localhost:3000/rooms/lobby?userId=7` or
//! `ws://localhost:3000/games/chess/players/ada`.

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, header};
use nextrush::{App, Message, RoomName, Socket};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoomQuery {
    user_id: Option<String>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Player {
    game_id: String,
    player_id: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "connected")]
struct Connected {
    #[serde(flatten)]
    player: Player,
}

async fn room(
    socket: Socket,
    Path(room): Path<RoomName>,
    Query(query): Query<RoomQuery>,
    headers: HeaderMap,
) -> Result<(), nextrush::room::JoinError> {
    println!("Client joined room: {room}");

    // Access request parameters
    let user = query.user_id.unwrap_or_else(|| "somebody".into());
    let has_token = headers.contains_key(header::AUTHORIZATION);
    println!("User {user}, with a token: {has_token}");

    socket.join(&room)?;
    socket.send(format!("Welcome to room {room}!"));

    socket.on_message(move |socket: Socket, message: Message| {
        // Broadcast to the others in the room
        socket.app().room(&room).except(&socket).send(message);
    });
    Ok(())
}

fn player(socket: Socket, Path(player): Path<Player>) -> Result<(), serde_json::Error> {
    socket.set_data(player.clone());
    socket.send_json(&Connected { player })
}

/// The application, to be served or tested.
pub fn app() -> App {
    let mut app = App::new();

    // WebSocket with room parameter
    app.ws("/rooms/:roomId", room);

    // WebSocket with multiple parameters
    app.ws("/games/:gameId/players/:playerId", player);

    app
}

#[tokio::main]
async fn main() -> nextrush::Result {
    app().listen(3000).await
}
