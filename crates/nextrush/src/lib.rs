//! A real-time web framework on axum: WebSocket routes beside HTTP routes, rooms,
//! live channels, chat with history.
//!
//! ```no_run
//! use nextrush::{App, Message, Socket};
//!
//! #[tokio::main]
//! async fn main() -> nextrush::Result {
//!     let mut app = App::new();
//!
//!     app.ws("/chat", async |socket: Socket| {
//!         socket.send("Welcome to the chat!");
//!         socket.on_message(async |socket: Socket, message: Message| {
//!             socket.send(format!("Echo: {message}"));
//!         });
//!     });
//!
//!     app.listen(3000).await
//! }
//! ```
//!
//! An [`App`] is an axum router that also has WebSocket routes. A [`Socket`] is one connected
//! client; a [`Handle`] reaches all of them, from anywhere. [`ChatServer`], [`LiveUpdates`] and
//! [`RoomManager`] are whole features to mount.
//!
//! # A whole application
//!
//! Boards that clients follow: users by token, a rule for each board, who is there, what was missed
//! while a line was broken, an HTTP route that publishes, and a command with an answer.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use axum::Json;
//! use axum::extract::Path;
//! use nextrush::live::{ChannelPolicies, ChannelPolicy, SubscribeContext};
//! use nextrush::{App, AuthRejection, Authenticated, BoxError, ErrorMessage, Jwt, LiveUpdates, Socket};
//! use serde_json::{Value, json};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(tag = "type", rename_all = "kebab-case")]
//! enum Command {
//!     Archive { card: u64 },
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     tracing_subscriber::fmt().with_env_filter("info").init();
//!     let mut app = App::new();
//!     app.jwt(Jwt::hs256(std::env::var("JWT_SECRET")?));
//!
//!     // Here a database would be asked whether the user is a member.
//!     let is_member = async |context: SubscribeContext| context.user.is_some();
//!     let board = ChannelPolicy::new()
//!         .history(300, Duration::from_secs(3600))
//!         .presence()
//!         .may_subscribe(is_member);
//!     let live = LiveUpdates::builder()
//!         .policies(ChannelPolicies::new().policy("board-:id", board).refuse_others())
//!         .build(&app, "live");
//!
//!     let publisher = live.clone();
//!     app.ws("/live", move |socket: Socket, user: Result<Authenticated, AuthRejection>| {
//!         let user = match user {
//!             Ok(user) => user.admit(&socket),
//!             Err(rejection) => return rejection.reject(&socket),
//!         };
//!         live.connect(&socket);
//!         socket.on_request(move |_: Socket, Command::Archive { card }: Command| {
//!             Ok::<_, ErrorMessage>(json!({ "archived": card, "by": user.id }))
//!         });
//!     });
//!     app.post(
//!         "/boards/:id/cards",
//!         async move |_: Authenticated, Path(id): Path<u64>, Json(card): Json<Value>| {
//!             let published = publisher.publish(&format!("board-{id}"), &card).await;
//!             published.map(|position| position.to_string())
//!         },
//!     );
//!
//!     app.listen(3000).await?;
//!     Ok(())
//! }
//! ```
//!
//! In JavaScript: `live.subscribe('board-7').on('update', ({ data }) => show(data))`, and
//! `await live.request({ type: 'archive', card: 1 })`.
//!
//! # The guide
//!
//! It is in `docs/guide/src` of the repository, each page with a program that is compiled and tested.
//!
//! | page | here |
//! |---|---|
//! | `getting-started.md` | [`App`], [`ws`], [`AppBuilder`] |
//! | `common-things.md`: what is wanted most, in a few lines each | |
//! | `authentication.md` | [`auth`], [`App::authenticate`] |
//! | `live-updates.md`: channels, rules, hooks, presence | [`live`] |
//! | `live-chat.md` | [`chat`] |
//! | `requests.md`: commands with answers, both ways | [`Socket::on_request`], [`Socket::request`] |
//! | `handlers-and-sockets.md`, `error-handling.md` | [`socket`], [`Endpoint`], [`EventHandler`] |
//! | `room-management.md`, `rooms.md` | [`room`] |
//! | `many-nodes.md` | [`node`], and the crate `nextrush-redis` |
//! | `topics.md`, `dialects.md`, `outbox.md` | [`topic`], [`broker`] |
//! | `testing.md` | `testing` |
//! | `limits.md`, `deployment.md` | [`limits`], [`server`] |
//! | `operators.md`: health checks, an HTTP API, an inspector | the crate `nextrush-admin` |
//! | `javascript-client.md`, `front-ends.md` | the client, in `clients/javascript` |
//! | `from-socketio.md`, `from-phoenix.md`, `from-centrifugo.md` | their words beside ours |
//! | `wire.md` | every message |
//!
//! # Modules
//!
//! | module | |
//! |---|---|
//! | [`auth`] | tokens, users, and the extractor that demands one |
//! | [`broker`] | where topics are kept: in memory, on disk, or in a broker of your own |
//! | [`chat`] | a chat with rooms, history and private messages |
//! | [`limits`] | what clients may do: sizes, times, rates, origins |
//! | [`live`] | channels that clients subscribe to, with presence and recovery |
//! | [`message`] | messages in and out, typed commands, errors |
//! | [`metrics`] | figures of a running application |
//! | [`node`] | the processes of an application that share a broker |
//! | [`room`] | rooms, and the audience of a message |
//! | [`server`] | addresses, TLS, an orderly end |
//! | [`socket`] | one client, its events and timers |
//! | [`topic`] | topics that remember, for protocols of your own |
//! | [`trace`] | what became of a publication, for each socket |
//! | `testing` | an application on a simulated network, in virtual time |
//!
//! # Features
//!
//! None is on by default.
//!
//! - `embedded`: the broker that keeps topics on disk, `broker::EmbeddedBroker`.
//! - `tls`: TLS without a proxy, `Listen::tls`. Its cryptography needs a C compiler.
//! - `testing`: the module of that name; for tests.

#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::must_use_candidate
)]

// From the front door inwards: an application, its server, what comes in over HTTP.
mod addr;
mod app;
mod error;
mod http;
pub mod server;
mod upgrade;

// One client, and many of them.
pub mod message;
pub mod room;
pub mod socket;

// The processes that are one application together.
pub mod node;

pub mod auth;
pub mod limits;
pub mod metrics;
mod once;
mod seldom;
mod tally;

// What is remembered, and the guide's features on top.
pub mod broker;
pub mod chat;
pub mod live;
mod roster;
pub mod topic;
pub mod trace;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(all(doctest, feature = "embedded", feature = "testing", feature = "tls"))]
mod guide;

#[doc(hidden)]
pub use app::HasState;
pub use app::{App, AppBuilder};
pub use error::{BoxError, Error, Result};
pub use upgrade::endpoint::Endpoint;
pub use upgrade::place::place_by;
pub use upgrade::ws::ws;

#[doc(inline)]
pub use auth::{AuthRejection, Authenticated, Jwt, User, UserId};
#[doc(inline)]
pub use broker::Position;
#[doc(inline)]
pub use chat::ChatServer;
#[doc(inline)]
pub use limits::{OriginPolicy, SocketOptions};
#[doc(inline)]
pub use live::LiveUpdates;
#[doc(inline)]
pub use message::{ErrorCode, ErrorMessage, Message, Outgoing};
#[doc(inline)]
pub use room::{Audience, RoomManager, RoomName};
#[doc(inline)]
pub use server::{Listen, Server};
#[doc(inline)]
pub use socket::{
    CloseCode, CloseReason, ConnectionError, EventHandler, Handle, IntoRefusal, Outcome,
    RequestError, RequestHandler, Socket, blocking, offload,
};
#[doc(inline)]
pub use topic::Since;
