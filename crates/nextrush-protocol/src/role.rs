//! The two sides of a connection.

/// The side of the connection that a [`Decoder`](crate::Decoder) stands on.
///
/// It decides about masking (RFC 6455 §5.1): a client masks every frame it sends, a
/// server masks none.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Reads what clients send: every frame must be masked.
    Server,
    /// Reads what a server sends: no frame may be masked.
    Client,
}
