//! Live WebSocket connections: shards, rooms, fan-out and backpressure.

mod close_reason;
mod config;
mod connection;
mod driver;
mod engine;
mod error;
mod handler;
mod id;
mod inbox;
mod io;
mod link;
mod moment;
mod room;
mod shard;
mod shared;
mod transport;

pub use close_reason::CloseReason;
pub use config::{Backlog, Config, Heartbeat, Options};
pub use connection::{Connection, State};
#[doc(hidden)]
pub use driver::sim;
pub use engine::Engine;
pub use error::{AcceptError, ConnectionError, JoinError};
pub use handler::{Handler, Incoming, Work};
pub use id::{ConnectionId, TimerId};
pub use room::Room;
pub use transport::Transport;
