//! The driver of shards: real sockets, real time, and a watch over the user's code.

pub(crate) mod mio;
#[cfg(feature = "tls")]
mod tls;
mod watchdog;
