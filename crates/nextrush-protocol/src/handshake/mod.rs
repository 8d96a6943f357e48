//! The opening handshake (RFC 6455 §4), as functions on headers.
//!
//! [`server::accept`] judges a request and makes the answer; [`client::Opening`] makes a
//! request and judges the answer. Over HTTP/2 and HTTP/3, where an extended CONNECT (RFC
//! 8441) opens a stream, [`server::accept_connect`] and
//! [`connect_headers`](client::Opening::connect_headers) take their place. Reading and
//! writing HTTP is left to others.

pub mod client;
pub mod server;

mod deflate;
mod error;
mod extension;
mod key;
mod list;

pub use error::{AnswerError, ConnectError, HandshakeError};
pub use key::accept_key;
