//! axum's WebSockets as its examples use them: two tasks and a channel for each socket.
//!
//! A message is written when it comes; with `--batched` all that wait in the channel are
//! written at once.

use std::env;
use std::io;

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use bench_peer::{Room, Rooms};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The default of 128 KiB is zeroed before each read and costs as much memory per socket.
const READ_BUFFER: usize = 4096;

fn main() -> io::Result<()> {
    let batched = env::args().any(|argument| argument == "--batched");
    let relay = move |upgrade, path, state| room(upgrade, path, state, batched);
    let router = Router::new()
        .route("/echo", get(echo))
        .route("/room/{id}", get(relay))
        .route("/idle", get(idle))
        .with_state(Rooms::default());
    bench_peer::run(async |listener| {
        let listener = listener.tap_io(|stream| {
            // What fails here fails again when the socket is read.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await
    })
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.read_buffer_size(READ_BUFFER);
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Text(_) | Message::Binary(_))
                && socket.send(message).await.is_err()
            {
                break;
            }
        }
    })
}

async fn room(
    upgrade: WebSocketUpgrade,
    Path(id): Path<String>,
    State(rooms): State<Rooms<Utf8Bytes>>,
    batched: bool,
) -> Response {
    let room = rooms.room(&id);
    upgrade
        .read_buffer_size(READ_BUFFER)
        .on_upgrade(move |socket| member(socket, room, batched))
}

async fn member(socket: WebSocket, room: std::sync::Arc<Room<Utf8Bytes>>, batched: bool) {
    let (sink, mut stream) = socket.split();
    let (sender, receiver) = unbounded_channel();
    room.join(sender);
    let writer = if batched {
        tokio::spawn(write_all(receiver, sink))
    } else {
        tokio::spawn(write_each(receiver, sink))
    };
    while let Some(Ok(message)) = stream.next().await {
        if let Message::Text(text) = message {
            room.publish(&text);
        }
    }
    writer.abort();
}

async fn write_each(
    mut receiver: UnboundedReceiver<Utf8Bytes>,
    mut sink: SplitSink<WebSocket, Message>,
) -> Result<(), axum::Error> {
    while let Some(text) = receiver.recv().await {
        sink.send(Message::Text(text)).await?;
    }
    Ok(())
}

async fn write_all(
    mut receiver: UnboundedReceiver<Utf8Bytes>,
    mut sink: SplitSink<WebSocket, Message>,
) -> Result<(), axum::Error> {
    while let Some(text) = receiver.recv().await {
        sink.feed(Message::Text(text)).await?;
        while let Ok(text) = receiver.try_recv() {
            sink.feed(Message::Text(text)).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

async fn idle(upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.read_buffer_size(READ_BUFFER);
    upgrade.on_upgrade(
        async |mut socket: WebSocket| {
            while let Some(Ok(_)) = socket.recv().await {}
        },
    )
}
