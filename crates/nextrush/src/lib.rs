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
//! - [`App`]: routes, and how to serve them.
//! - [`Socket`]: one connected client; [`Endpoint`] and [`EventHandler`] say what
//!   functions may handle it.
//! - [`Handle`] and [`Audience`]: sending to many, from anywhere.
//! - [`ChatServer`], [`LiveUpdates`], [`RoomManager`]: whole features to mount.
//! - [`Jwt`] and [`Authenticated`]: who a client is.
//! - [`SocketOptions`], [`OriginPolicy`], [`rate_limit()`]: what a client may do.
//! - `testing`, with the feature of that name: tests without sockets, in virtual time.

// From the front door inwards: an application, its endpoints, their sockets.
mod app;
mod error;
mod server;

// One client, as long as it speaks HTTP.
mod http;

mod upgrade;

mod message;
mod socket;

// What sockets have in common.
mod metrics;

// Topics that remember: subscribing, coming back, doing things once.
pub mod topic;

// The guide's features on top.
mod auth;
pub mod chat;
pub mod live;
mod room;

#[cfg(feature = "testing")]
pub mod testing;

pub use app::{App, AppBuilder};
pub use auth::{AuthError, AuthRejection, Authenticated, Jwt, KeyError, SignError};
pub use chat::ChatServer;
pub use error::{BoxError, Error, Result};
#[cfg(feature = "tls")]
pub use http::tls::{TlsConfig, TlsError};
pub use live::LiveUpdates;
pub use message::command::decode as decode_command;
pub use message::request::{Answer, CommandId, Request};
pub use message::{
    CommandError, ErrorCode, ErrorMessage, InvalidTimestamp, InvalidUserId, Message, Outgoing,
    Timestamp, User, UserId,
};
pub use metrics::Metrics;
pub use room::manager::RoomManager;
pub use server::{Listen, ListenAddr, Server, ToAddr};
pub use socket::audience::Audience;
pub use socket::handle::{Handle, MissingHandle};
pub use socket::handler::{EventHandler, Outcome};
pub use socket::join::JoinError;
pub use socket::offload::{blocking, offload};
pub use socket::rate_limit::{Exceeded, RateLimit, SlidingWindow, TokenBucket, rate_limit};
pub use socket::room_event::{RoomEvent, RoomEvents};
pub use socket::room_name::{InvalidRoomName, RoomName};
pub use socket::{Socket, Timer};
pub use topic::Since;
pub use upgrade::endpoint::Endpoint;
pub use upgrade::origin::{InvalidOrigin, Origin, OriginError, OriginPolicy};
pub use upgrade::place::place_by;
pub use upgrade::ws::ws;

pub use nextrush_broker::{
    Broker, BrokerError, CommandKey, CommandKeyError, Epoch, History, HistoryQuery, MemoryBroker,
    MemoryLimits, Position, Publication, Published,
};
#[cfg(feature = "embedded")]
pub use nextrush_broker::{EmbeddedBroker, EmbeddedOptions, OpenError};
pub use nextrush_engine::{
    Backlog, CloseReason, ConnectionError, ConnectionId, ConnectionState, Counts, EngineConfig,
    EngineMetrics, Heartbeat, InvalidConnectionId, PingLimit, ShardMetrics, SocketOptions,
    TurnTimes,
};
pub use nextrush_protocol::{CloseCode, DeflateConfig, Limits, Retry};
