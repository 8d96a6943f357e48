//! Live WebSocket connections: shards, rooms, fan-out and backpressure.

mod engine;
mod config;
mod transport;
mod handler;
mod connection;
mod room;
mod close_reason;
mod error;
mod id;
mod inbox;
mod link;
mod shared;
mod io;
mod moment;
mod driver;

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
