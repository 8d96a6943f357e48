//! axum's WebSockets with a tokio broadcast channel for each room, one task for each socket.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Sender, channel};

/// Messages that a member may be behind until it misses some.
const BEHIND: usize = 1024;
/// The default of 128 KiB is zeroed before each read and costs as much memory per socket.
const READ_BUFFER: usize = 4096;

#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<HashMap<String, Sender<Utf8Bytes>>>>);

fn main() -> io::Result<()> {
    let router = Router::new()
        .route("/room/{id}", get(room))
        .with_state(Rooms::default());
    bench_peer::run(async |listener| {
        let listener = listener.tap_io(|stream| {
            // What fails here fails again when the socket is read.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await
    })
}

async fn room(
    upgrade: WebSocketUpgrade,
    Path(id): Path<String>,
    State(Rooms(rooms)): State<Rooms>,
) -> Response {
    let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
    let room = rooms.entry(id).or_insert_with(|| channel(BEHIND).0).clone();
    upgrade
        .read_buffer_size(READ_BUFFER)
        .on_upgrade(move |socket| member(socket, room))
}

async fn member(mut socket: WebSocket, room: Sender<Utf8Bytes>) {
    let mut published = room.subscribe();
    loop {
        tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => {
                    // Cannot fail: this member listens.
                    let _ = room.send(text);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            message = published.recv() => match message {
                Ok(text) => {
                    if socket.send(Message::Text(text)).await.is_err() {
                        return;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}
