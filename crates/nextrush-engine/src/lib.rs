//! Live WebSocket connections: shards, rooms, fan-out and backpressure.
//!
//! An [`Engine`] takes over connections whose opening handshake is done, and spreads them
//! over its shards: threads that each poll their own sockets. An idle connection costs about
//! 200 bytes and its [`Handler`]; no task, no buffer, no timer of its own.
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
//! // The opening handshake is left out here.
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
//! Everything that is wanted of a connection, from whatever thread, goes through the one
//! inbox of its shard. So what one task does to one connection happens in the order of its
//! calls, [`Connection::send`] and [`Room::publish`] mixed; and all members of a room see its
//! publications in one order, whatever their shards.
//!
//! # Bounds
//!
//! Nothing waits, and little is kept. What a client sends is bounded by
//! [`SocketOptions::limits`], and held back by TCP while its handler has work pending. What it is
//! sent is bounded by [`SocketOptions::backlog`], in bytes and in age. A publication is one entry
//! per shard, and a shard takes all there is in each turn; who publishes without a pause and
//! faster than the shards can write has to slow down by itself.
//!
//! # Locks
//!
//! There are three kinds, taken in this order: that of a connection's rooms, that of a
//! room's members, that of a shard's inbox. Those of the room directory and of a shard's
//! free slots come last: nothing else is locked under them. No code of the user is called
//! under any lock.

mod chunked;
mod close_reason;
mod config;
mod connection;
mod driver;
mod engine;
mod error;
mod id;
mod link;
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
    Connection, ConnectionState, Handler, Handover, Incoming, OpenFn, Placement, Work,
};
pub use engine::Engine;
pub use error::{AcceptError, ConnectionError, JoinError};
pub use id::{ConnectionId, InvalidConnectionId, TimerId};
pub use metrics::{Counts, EngineMetrics, ShardMetrics, TurnTimes};
pub use room::{Lag, Refill, Room, RoomEvent, Skippable};
pub use transport::Transport;
