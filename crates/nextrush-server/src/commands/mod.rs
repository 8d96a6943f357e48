//! The commands beside serving, and the client with which they reach a server.

mod bench;
mod client;
mod config;
mod position;
mod publish;
mod tail;

pub use self::bench::{Bench, BenchError, BenchReport, InvalidMessage};
pub use self::client::{ClientError, InvalidTarget, ServerUrl, Target};
pub use self::config::{Check, ConfigCommand, ConfigCommandError, Init};
pub use self::position::{InvalidPosition, Position};
pub use self::publish::{Publish, PublishError};
pub use self::tail::{Tail, TailError};
