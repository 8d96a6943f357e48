//! What moves a shard: real sockets and real time.

pub(crate) mod mio;
#[cfg(feature = "tls")]
mod tls;
mod watchdog;
