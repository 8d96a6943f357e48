//! The guide's "Basic WebSocket Usage" and "WebSocket with Route Parameters": an echo, and
//! two endpoints with parameters. None needs a token.

use axum::extract::Path;
use nextrush::room::JoinError;
use nextrush::{App, Message, Socket};
use serde::{Deserialize, Serialize};

use super::room_id::RoomId;
use crate::current::Current;

pub(super) fn add(app: &mut App, current: Current) {
    app.ws("/chat", echo);
    app.ws(
        "/rooms/:roomId",
        move |socket: Socket, room: Path<RoomId>| enter(&socket, room, &current),
    );
    app.ws("/games/:gameId/players/:playerId", player);
}

fn echo(socket: Socket) {
    socket.send("Welcome to the chat!");
    socket.on_message(|socket: Socket, message: Message| socket.send(format!("Echo: {message}")));
}

fn enter(socket: &Socket, Path(room): Path<RoomId>, current: &Current) -> Result<(), JoinError> {
    let name = room.of("rooms");
    socket.join(&name)?;
    super::bound_rate(socket, current);
    socket.send(format!("Welcome to room {}!", room.as_str()));
    socket.on_message(move |socket: Socket, message: Message| {
        socket.app().room(&name).except(&socket).send(message);
    });
    Ok(())
}

#[derive(Deserialize, Serialize)]
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

fn player(socket: Socket, Path(player): Path<Player>) -> Result<(), serde_json::Error> {
    socket.send_json(&Connected { player })
}
