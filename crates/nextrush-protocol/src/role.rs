//! The two sides of a connection.

/// The side of the connection on which a [`Decoder`](crate::Decoder) is.
///
/// A client masks every frame that it sends, a server masks none (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a connection has two sides")]
pub enum Role {
    /// The server, to which all frames must be masked.
    Server,
    /// The client, to which no frame may be masked.
    Client,
}
