//! The identity of the client behind a socket.

use std::sync::Arc;

use nextrush_engine::TimerId;

use crate::message::User;
use crate::socket::Socket;

/// The user of a socket, and the end of its token.
#[derive(Default)]
pub(crate) struct Identity {
    pub(crate) user: Option<User>,
    pub(crate) session: Option<Box<str>>,
    /// The time at which its token was issued, in milliseconds since 1970; `None` if that is not
    /// known.
    pub(crate) issued_ms: Option<u64>,
    /// The end of the socket with its token.
    pub(crate) expiry: Option<Expiry>,
    pub(crate) on_refresh: Option<OnRefresh>,
    /// True while a new token waits for its key.
    pub(crate) awaits_key: bool,
}

/// A function for the moment at which the client has given a new token.
pub(crate) type OnRefresh = Arc<dyn Fn(&Socket) + Send + Sync>;

/// The end of a socket when its token is no longer valid.
#[derive(Clone)]
pub(crate) struct Expiry {
    pub(crate) timer: TimerId,
    /// The one end that the timer, and those that follow it, are for.
    pub(crate) mark: Arc<()>,
    /// The time of that, in seconds since 1970.
    pub(crate) valid_until: u64,
}
