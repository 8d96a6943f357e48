//! The commands beside serving.

mod bench;
mod config;
mod position;
mod publish;
mod tail;
mod token;
mod trace;

pub use self::bench::{Bench, BenchError, BenchReport, InvalidMessage};
pub use self::config::{Check, ConfigCommand, ConfigCommandError, Init};
pub use self::position::{InvalidPosition, Position};
pub use self::publish::{Publish, PublishError};
pub use self::tail::{Tail, TailError};
pub use self::token::{Token, TokenError};
pub use self::trace::{Trace, TraceError};
