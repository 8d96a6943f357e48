//! The endpoints that `bench/load` measures: an echo, rooms that relay, sockets that do nothing,
//! and the chat of the framework, each with as little around it as the framework allows.
//!
//! `cargo run --profile=dist -p nextrush --example bench_server -- --port 9001`, then for
//! instance `cargo run --release -- measure fanout 127.0.0.1:9001` in `bench/load`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use axum::extract::{Path, Query};
use clap::Parser;
use nextrush::broker::{EmbeddedBroker, OpenError};
use nextrush::limits::{DeflateConfig, EngineConfig};
use nextrush::room::JoinError;
use nextrush::{App, BoxError, ChatServer, Message, RoomName, Socket, SocketOptions, User};
use serde::Deserialize;

/// Serves /echo, /room/{id}, /rooms/{first}/{count}, /chat/{id}?user={n} and /idle.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// The port to listen on, on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,

    /// The number of threads that serve sockets; 0 is one per available core.
    #[arg(long, default_value_t = 0)]
    pub shards: usize,

    /// Keeps what is said in chats on disk, in this directory.
    #[arg(long)]
    pub store: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Member {
    user: u32,
}

/// The application, to be served or tested.
///
/// # Errors
///
/// If there is to be a store and it cannot be opened.
pub fn app(arguments: &Arguments) -> Result<App, OpenError> {
    let mut config = EngineConfig::default();
    if let Some(shards) = NonZeroUsize::new(arguments.shards) {
        config.shards = shards;
    }
    let mut builder = App::builder().engine(config);
    if let Some(directory) = &arguments.store {
        builder = builder.broker(EmbeddedBroker::open(directory)?);
    }
    let mut app = builder.build();
    let chat = ChatServer::new(&app, "chat");

    // Nothing is compressed for a client that does not offer it.
    app.options(SocketOptions::default().deflate(DeflateConfig::default()));

    app.ws("/echo", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });

    // What a member says goes to all members, to itself too.
    app.ws("/room/{id}", |socket: Socket, Path(id): Path<RoomName>| {
        socket.join(&id)?;
        let room = socket.app().room(&id);
        socket.on_message(move |_: Socket, message: Message| room.send(&message));
        Ok::<_, JoinError>(())
    });

    // A member of many rooms, `room-{first}` and on, who says nothing and is told when it is
    // in all of them.
    app.ws(
        "/rooms/{first}/{count}",
        |socket: Socket, Path((first, count)): Path<(u32, u32)>| {
            for number in first..first.saturating_add(count) {
                socket.join(format!("room-{number}"))?;
            }
            socket.send("joined");
            Ok::<_, JoinError>(())
        },
    );

    // Parsed, stored, told to all members.
    app.ws(
        "/chat/{id}",
        async move |socket: Socket, Path(id): Path<RoomName>, Query(member): Query<Member>| {
            let email = format!("user{}@example.com", member.user);
            let user = User::new(member.user, email);
            chat.connect(&socket, id, user).await;
        },
    );

    app.ws("/idle", |_: Socket| {});

    Ok(app)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let server = app(&arguments)?
        .listen(("127.0.0.1".parse()?, arguments.port))
        .connections_per_address(usize::MAX)
        .start()
        .await?;
    println!("listening on port {}", server.address().port());
    server.run_until_signal().await?;
    Ok(())
}
