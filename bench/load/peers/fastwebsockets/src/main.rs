//! fastwebsockets on hyper: two tasks and a channel for each member of a room.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bench_peer::{Room, Rooms};
use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, is_upgrade_request, upgrade};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc::unbounded_channel;

fn main() -> io::Result<()> {
    let rooms = Rooms::default();
    bench_peer::run(async move |listener| {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let rooms = rooms.clone();
            tokio::spawn(async move {
                let serve = service_fn(|request| {
                    let rooms = rooms.clone();
                    async move { Ok::<_, Infallible>(answer(request, &rooms)) }
                });
                // A client that is no HTTP client has only itself to blame.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), serve)
                    .with_upgrades()
                    .await;
            });
        }
    })
}

fn answer(mut request: Request<Incoming>, rooms: &Rooms<Bytes>) -> Response<Empty<Bytes>> {
    let mut refused = Response::new(Empty::new());
    *refused.status_mut() = StatusCode::BAD_REQUEST;
    if !is_upgrade_request(&request) {
        return refused;
    }
    let Ok((response, upgrading)) = upgrade(&mut request) else {
        return refused;
    };
    let path = request.uri().path();
    let room = path.strip_prefix("/room/").map(|name| rooms.room(name));
    // A socket's error is its end.
    tokio::spawn(async move {
        match room {
            Some(room) => member(upgrading, room).await,
            None => echo(upgrading).await,
        }
    });
    response
}

async fn echo(upgrading: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgrading.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn member(upgrading: UpgradeFut, room: Arc<Room<Bytes>>) -> Result<(), WebSocketError> {
    let (reader, mut writer) = upgrading.await?.split(tokio::io::split);
    let (sender, mut receiver) = unbounded_channel::<Bytes>();
    room.join(sender);
    let writing = tokio::spawn(async move {
        while let Some(text) = receiver.recv().await {
            writer
                .write_frame(Frame::text(Payload::Borrowed(&text)))
                .await?;
        }
        Ok::<_, WebSocketError>(())
    });
    let mut reader = FragmentCollectorRead::new(reader);
    // Pings are not sent here, so no pong is owed.
    let mut owed = async |_| Ok::<_, WebSocketError>(());
    while let Ok(frame) = reader.read_frame(&mut owed).await {
        match frame.opcode {
            OpCode::Close => break,
            OpCode::Text => room.publish(&Bytes::copy_from_slice(&frame.payload)),
            _ => {}
        }
    }
    writing.abort();
    Ok(())
}
