//! What moves a shard: real sockets and time, or simulated ones.

pub(crate) mod mio;
pub mod sim;
#[cfg(feature = "tls")]
mod tls;
mod watchdog;
