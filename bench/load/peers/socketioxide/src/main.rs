//! Socket.IO in Rust, on axum: its rooms, and an event `m`.

use std::io;

use axum::Router;
use axum::serve::ListenerExt;
use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};

fn main() -> io::Result<()> {
    bench_peer::run(async |listener| {
        let (layer, io) = SocketIo::new_layer();
        io.ns("/", connected);
        let listener = listener.tap_io(|stream| {
            // What fails here fails again when the socket is read.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, Router::new().layer(layer)).await
    })
}

async fn connected(socket: SocketRef) {
    let query = socket.req_parts().uri.query().unwrap_or_default();
    let place = query.split_once("at=/").map_or("", |(_, place)| place);
    let place = place.split('&').next().unwrap_or_default();
    match place.split_once('/') {
        Some(("room", room)) => {
            let room = room.to_owned();
            socket.join(room.clone());
            socket.on("m", async move |socket: SocketRef, Data::<Value>(value)| {
                // Who does not keep up misses messages; the generator counts them.
                let _ = socket.within(room).emit("m", &value).await;
            });
        }
        _ if place == "echo" => {
            socket.on("m", async |socket: SocketRef, Data::<Value>(value)| {
                let _ = socket.emit("m", &value);
            });
        }
        _ => {}
    }
}
