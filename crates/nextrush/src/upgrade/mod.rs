//! The way from an HTTP request to an open socket.

pub(crate) mod endpoint;
mod first_message;
mod options;
pub(crate) mod pattern;
pub(crate) mod place;
#[cfg(feature = "testing")]
pub(crate) mod simulated;
mod transport;
pub(crate) mod ws;
