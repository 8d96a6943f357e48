//! The opening handshake (RFC 6455 §4), as functions on headers.
//!
//! [`server::accept`] judges a request and makes the answer; [`client::Opening`] makes a
//! request and judges the answer. Reading and writing HTTP is somebody else's job.

pub mod client;
pub mod server;

mod error;
pub(crate) mod extension;
mod key;
mod list;

pub use error::{AnswerError, HandshakeError};
pub use key::accept_key;
