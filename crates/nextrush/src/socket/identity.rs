//! Who the client behind a socket is.

use nextrush_engine::TimerId;

use crate::message::User;

/// Who a client is, as long as its token says so.
#[derive(Default)]
pub(crate) struct Identity {
    pub(crate) user: Option<User>,
    /// Ends the socket when the token expires.
    pub(crate) expiry: Option<TimerId>,
}
