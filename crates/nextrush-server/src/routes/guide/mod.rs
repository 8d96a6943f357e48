//! The guide's endpoints, as the program serves them.
//!
//! The programs in `examples/` teach the same endpoints, without the needs of a public server:
//! rate limits, refreshed tokens, rooms apart from those of other endpoints. The suite
//! `crates/nextrush/tests/guide` runs against both.

mod chat;
mod live;
mod plain;
mod private;
mod robust;
mod room_id;

use nextrush::limits::rate_limit;
use nextrush::{App, Authenticated, ChatServer, LiveUpdates, Socket, SocketOptions, User};

use crate::current::Current;
use crate::hooks::Hooks;

/// Adds the endpoints that need a token. The key of the moment checks the new tokens of open
/// sockets.
pub(crate) fn add(
    app: &mut App,
    chat: ChatServer,
    live: LiveUpdates,
    current: &Current,
    hooks: &Hooks,
) {
    private::add(app, current.clone());
    chat::add(app, chat, current.clone());
    live::add(app, live, current.clone(), hooks.clone());
}

/// Adds the endpoints that anybody may use, without a token. `options` bounds their sockets.
pub(crate) fn add_open(app: &mut App, current: &Current, options: SocketOptions) {
    plain::add(app, current.clone());
    robust::add(app, options);
}

/// Lets a client in: within its rate, and until its token or a newer one expires.
fn admit(socket: &Socket, user: Authenticated, current: &Current) -> User {
    bound_rate(socket, current);
    socket.filter(current.refresh());
    user.admit(socket)
}

/// Bounds the rate of a client whose messages go to many others.
fn bound_rate(socket: &Socket, current: &Current) {
    socket.filter(rate_limit(current.messages));
}
