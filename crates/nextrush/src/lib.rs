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
//! [`RoomManager`] are whole features to mount. The guide, `docs/guide` in the repository, shows
//! each with a program.
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

// What is remembered, and the guide's features on top.
pub mod broker;
pub mod chat;
pub mod live;
mod roster;
pub mod topic;

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
