//! The identity of the client behind a socket.

use nextrush_engine::TimerId;

use crate::message::User;

/// The user of a socket, and the end of its token.
#[derive(Default)]
pub(crate) struct Identity {
    pub(crate) user: Option<User>,
    /// Ends the socket when the token expires.
    pub(crate) expiry: Option<TimerId>,
}
