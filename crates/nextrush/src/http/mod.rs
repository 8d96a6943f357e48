//! One client, as long as it speaks HTTP.

pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod read_ahead;
pub(crate) mod refusal;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod traffic;
