//! tokio-websockets by itself: two tasks and a channel for each member of a room, and all
//! that waits in the channel written at once.

use std::io;
use std::sync::Arc;

use bench_peer::{Room, Rooms};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio_websockets::{Error, Message, ServerBuilder, WebSocketStream};

fn main() -> io::Result<()> {
    let rooms = Rooms::default();
    bench_peer::run(async move |listener| {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // A socket's error is its end.
            tokio::spawn(serve(stream, rooms.clone()));
        }
    })
}

async fn serve(stream: TcpStream, rooms: Rooms<Message>) -> Result<(), Error> {
    let (request, socket) = ServerBuilder::new().accept(stream).await?;
    match request.uri().path().strip_prefix("/room/") {
        Some(name) => member(socket, rooms.room(name)).await,
        None => echo(socket).await,
    }
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn member(socket: WebSocketStream<TcpStream>, room: Arc<Room<Message>>) -> Result<(), Error> {
    let (mut sink, mut stream) = socket.split();
    let (sender, mut receiver) = unbounded_channel::<Message>();
    room.join(sender);
    let writing = tokio::spawn(async move {
        while let Some(message) = receiver.recv().await {
            sink.feed(message).await?;
            while let Ok(message) = receiver.try_recv() {
                sink.feed(message).await?;
            }
            sink.flush().await?;
        }
        Ok::<_, Error>(())
    });
    while let Some(Ok(message)) = stream.next().await {
        if message.is_text() {
            room.publish(&message);
        }
    }
    writing.abort();
    Ok(())
}
