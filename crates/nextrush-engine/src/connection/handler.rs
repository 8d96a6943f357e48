//! The user's side of a connection: its handler, and what the handler is called with.

use std::any::Any;
use std::borrow::Cow;
use std::pin::Pin;

use super::Connection;
use crate::close_reason::CloseReason;
use crate::error::ConnectionError;
use crate::room::Unsent;

/// The user's state of one connection, and the calls that its events make. It is in the
/// connection's own allocation, where [`Connection::handler`] finds it.
///
/// Every call is made on the thread of the connection's shard, one at a time. A call must
/// not block: all connections of the shard wait for it. One that panics closes its own
/// connection with 1011 and no other.
///
/// [`Handover::open`](crate::Handover::open) is called before any of these, and
/// [`close`](Self::close), exactly once, after all of them. Work that calls have returned
/// runs on to its end.
pub trait Handler: Any + Send + Sync {
    /// Receives a message. While the returned work is pending the connection is read no
    /// further, so that TCP holds the sender back.
    fn message(&self, connection: &Connection, message: Incoming<'_>) -> Work {
        let _ = (connection, message);
        None
    }

    /// Receives a message that came while the work of one before is pending, where reading [goes
    /// on](Connection::read_on), or one that came before reading has begun. Gives it back if it has to
    /// wait, as any does by default.
    fn overtake<'a>(&self, connection: &Connection, message: Incoming<'a>) -> Option<Incoming<'a>> {
        let _ = connection;
        Some(message)
    }

    /// Receives a pong, asked for or not. Pending work holds the sender back as with
    /// [`message`](Self::message).
    fn pong(&self, connection: &Connection, payload: &[u8]) -> Work {
        let _ = (connection, payload);
        None
    }

    /// Learns that the connection failed; [`close`](Self::close) follows at once. After a
    /// violation of the protocol the connection is still open: frames that are sent in this
    /// call, or until its work is pending for the first time, go out before the close frame.
    /// A panic here is logged and changes nothing.
    fn error(&self, connection: &Connection, error: &ConnectionError) -> Work {
        let _ = (connection, error);
        None
    }

    /// Learns what a connection has carried whose bytes are
    /// [counted](crate::Handover::is_counted); [`close`](Self::close) follows at once. Its close frame is
    /// not among them.
    fn ended(&self, connection: &Connection, reason: &CloseReason, traffic: Traffic) {
        let _ = (connection, reason, traffic);
    }

    /// Learns that the connection ends while [numbered](crate::Room::publish_numbered) publications
    /// of rooms wait for it: the first of each room. Those that wait may or may not be written
    /// to the transport any more. [`close`](Self::close) follows. Return at once.
    fn unsent(&self, connection: &Connection, unsent: &[Unsent]) {
        let _ = (connection, unsent);
    }

    /// Learns that the connection ended, in whatever way. It has already left its rooms, and
    /// its state is [`Closed`](crate::ConnectionState::Closed).
    fn close(&self, connection: &Connection, reason: &CloseReason) -> Work {
        let _ = (connection, reason);
        None
    }
}

/// The bytes that one connection has carried; those of TLS without encryption.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes that were read behind the handshake.
    pub bytes_in: u64,
    /// Bytes that were written.
    pub bytes_out: u64,
}

/// The work that a call of a [`Handler`] leaves to be done.
///
/// `None` is no work, which is the usual case and costs nothing. A future is polled at once,
/// on the shard's thread, and kept only while it is pending; it need not be [`Send`].
pub type Work = Option<Pin<Box<dyn Future<Output = ()>>>>;

/// A message from a client, borrowed from the read buffer if it is there in one piece.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "RFC 6455 has two kinds of message")]
pub enum Incoming<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
}

impl Incoming<'_> {
    /// The length of the payload in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(data) => data.len(),
        }
    }

    /// The same message, independent of the read buffer.
    pub(crate) fn into_owned(self) -> Incoming<'static> {
        match self {
            Self::Text(text) => Incoming::Text(text.into_owned().into()),
            Self::Binary(data) => Incoming::Binary(data.into_owned().into()),
        }
    }
}
