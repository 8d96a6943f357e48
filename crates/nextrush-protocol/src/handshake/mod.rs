//! The opening handshake (RFC 6455 §4), as functions on headers.
//!
//! [`server::accept`] judges a request and makes the answer; [`client::Opening`] makes a
//! request and judges the answer. Over HTTP/2 and HTTP/3, where a stream is opened with an
//! extended CONNECT (RFC 8441), it is [`server::accept_connect`] and the opening's
//! [`connect_headers`](client::Opening::connect_headers). Reading and writing HTTP is
//! somebody else's job.

pub mod client;
pub mod server;

mod deflate;
mod error;
mod extension;
mod key;
mod list;

pub use error::{AnswerError, ConnectError, HandshakeError};
pub use key::accept_key;
