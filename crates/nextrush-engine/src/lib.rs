//! Live WebSocket connections: shards, rooms, fan-out and backpressure.
//!
//! An [`Engine`] takes over connections whose opening handshake is done, and spreads them
//! over its shards: threads that each poll their own sockets. An idle connection costs about
//! 200 bytes and its [`Handler`], but no task, no buffer and no timer.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//! use std::sync::Arc;
//!
//! use nextrush_engine::{
//!     EngineConfig, Connection, Engine, Handler, Handover, Incoming, SocketOptions, Work,
//! };
//! use nextrush_protocol::Frame;
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn message(&self, connection: &Connection, message: Incoming<'_>) -> Work {
//!         connection.send(match message {
//!             Incoming::Text(text) => Frame::text(&text),
//!             Incoming::Binary(data) => Frame::binary(&data),
//!         });
//!         None
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(EngineConfig::default());
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut client = TcpStream::connect(listener.local_addr()?)?;
//! let (stream, _) = listener.accept()?;
//!
//! // The opening handshake is not shown here.
//! let options = Arc::new(SocketOptions::default());
//! engine.accept(stream.into(), Handover::default(), options, Echo)?;
//!
//! client.write_all(b"\x81\x82\0\0\0\0hi")?;
//! let mut answer = [0; 4];
//! client.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"\x81\x02hi");
//! # Ok(())
//! # }
//! ```
//!
//! # Order
//!
//! Every order for a connection, from whatever thread, goes through the one inbox of its shard.
//! So the calls of one task take effect in its order, [`Connection::send`] and
//! [`Room::publish`] mixed, and all members of a room get its publications in one order,
//! whatever their shards.
//!
//! # Bounds
//!
//! No call waits, and little is kept. [`SocketOptions::limits`] bound the messages of a client,
//! and TCP holds the client back while its handler has work pending. [`SocketOptions::backlog`]
//! bounds what waits for a client, in bytes and in age. A publication is one command for each
//! shard, and each turn of a shard follows all commands there are: a publisher that does not
//! pause, and is faster than the shards can write, has to slow down by itself.
//!
//! # Slow readers
//!
//! A client that reads too slowly for its [`Backlog`] is closed with 1013. A room that can
//! repeat its publications offers more, by [`Room::publish_skippable`]: the member *lags*, which
//! is to skip publications, and *catches up* when a [`Refill`] sends what it has skipped.
//!
//! # Locks
//!
//! Locks are taken in this order: that of a connection's rooms, that of a room's members, that of
//! a shard's inbox. Those of the room directory and of a shard's free slots come last: nothing
//! else is locked under them. The user's code is called under no lock but for
//! [`Watch::left`], which says so.

#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::must_use_candidate
)]

mod chunked;
mod close_reason;
mod config;
mod connection;
mod driver;
mod engine;
mod error;
mod id;
mod link;
mod memory;
mod metrics;
mod moment;
mod room;
mod shard;
mod shared;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim;
mod slow_reader;
mod transport;

pub use close_reason::CloseReason;
pub use config::{Backlog, EngineConfig, Heartbeat, PingLimit, SocketOptions};
pub use connection::{
    Connection, ConnectionState, Handler, Handover, Incoming, OpenFn, Placement, Reservation,
    Traffic, Work,
};
pub use engine::Engine;
pub use error::{AcceptError, ConnectionError, JoinError};
pub use id::{ConnectionId, InvalidConnectionId, TimerId};
pub use metrics::{Counts, EngineMetrics, ShardMetrics, TurnTimes};
pub use room::{Lag, Refill, Room, RoomEvent, Skippable, Standing, Unsent, Watch};
pub use transport::Transport;
