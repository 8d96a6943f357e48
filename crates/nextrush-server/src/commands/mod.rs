//! The commands beside serving, and the client with which they reach a server.

mod bench;
mod client;
mod publish;
mod tail;

pub use self::bench::{Bench, BenchError, BenchReport, InvalidMessage};
pub use self::client::{ClientError, InvalidTarget, ServerUrl, Target};
pub use self::publish::{Publish, PublishError};
pub use self::tail::{InvalidPosition, Since, Tail, TailError};
