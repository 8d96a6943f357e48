//! The WebSocket protocol (RFC 6455, RFC 7692), sans-IO: bytes in, events out.
//!
//! No socket, no clock, no runtime. Three parts, each usable alone:
//!
//! - [`Decoder`] takes the bytes of one connection, in any pieces, and returns [`Event`]s:
//!   whole messages, pings, pongs and the close. It is strict: it refuses a violation at the
//!   first byte that proves it (a close frame as a whole) with a [`ProtocolError`], which has a
//!   close code.
//! - [`Frame`] is a message for the wire: header and payload in one shared buffer for any
//!   number of connections, or a long payload where it is. Clients mask their frames: [`encode_masked`].
//! - [`handshake`] has both halves of the opening handshake as functions on headers.
//!
//! ```
//! use nextrush_protocol::{Decoder, Event, Frame, Limits, Role};
//!
//! // The masked "Hello" of RFC 6455 §5.7, cut in the middle.
//! let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
//! let (mut first, mut second) = bytes.split_at_mut(8);
//!
//! let mut decoder = Decoder::new(Role::Server, Limits::default());
//! assert_eq!(decoder.decode(&mut first)?, None);
//! assert_eq!(decoder.decode(&mut second)?, Some(Event::Text("Hello".into())));
//! assert_eq!(decoder.decode(&mut second)?, None);
//!
//! assert_eq!(*Frame::text("Hello").as_bytes(), *b"\x81\x05Hello");
//! # Ok::<(), nextrush_protocol::ProtocolError>(())
//! ```
//!
//! # Compression
//!
//! permessage-deflate (RFC 7692) starts in the handshake, where a [`DeflateConfig`] and the
//! offer of the other side become [`DeflateParams`]. With these a [`Decoder`] accepts
//! compressed messages ([`Decoder::with_deflate`]), a server sends the compressed twin of a
//! [`Frame`] ([`Frame::deflated`]), and a client compresses with a [`DeflateContext`]. The
//! large states, [`Inflater`] and [`Deflater`], belong to threads and not to connections.

#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::must_use_candidate
)]

mod close;
mod close_code;
mod decoder;
mod deflate;
mod error;
mod event;
mod frame;
mod header;
mod limits;
mod mask;
mod message;
mod opcode;
mod role;
mod twin;
mod utf8;

pub mod handshake;

pub use close::CloseFrame;
pub use close_code::{CloseCode, Retry};
pub use decoder::Decoder;
pub use deflate::{DeflateConfig, DeflateContext, DeflateParams, Deflater, Inflater};
pub use error::{ControlTooLong, ProtocolError};
pub use event::Event;
pub use frame::{Frame, encode_masked};
pub use header::{FrameHead, HeaderBytes};
pub use limits::Limits;
pub use opcode::Opcode;
pub use role::Role;
