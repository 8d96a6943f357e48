//! The way from an HTTP request to an open socket.

pub(crate) mod endpoint;
pub(crate) mod origin;
pub(crate) mod pattern;
pub(crate) mod place;
#[cfg(feature = "testing")]
pub(crate) mod simulated;
pub(crate) mod transport;
