//! The effects of a token on a socket.

use nextrush_protocol::CloseCode;

use super::authenticated::Authenticated;
use super::expiry;
use super::rejection::AuthRejection;
use crate::message::User;
use crate::socket::Socket;

impl AuthRejection {
    /// Rejects a socket as the guide does: sends `{"type":"error","message":…,"code":…}` and
    /// closes with 1008 and the same text.
    pub fn reject(&self, socket: &Socket) {
        socket.send(self.to_message());
        socket.close(CloseCode::POLICY_VIOLATION, &self.to_string());
    }
}

impl Authenticated<User> {
    /// [Identifies](Socket::identify) the socket as the user's, and closes it with 1008
    /// `Token expired` when the token is no longer [valid](Self::valid_until), unless it is
    /// [refreshed](crate::Jwt::refresh).
    pub fn admit(self, socket: &Socket) -> User {
        // Fails only when the socket is closed, and then nobody needs to reach it.
        if let Err(error) = socket.identify(self.claims.clone()) {
            tracing::debug!(socket = %socket.id(), %error, "a socket ended before it was admitted");
        }
        self.limit(socket);
        self.claims
    }
}

impl<C> Authenticated<C> {
    /// Closes the socket with 1008 `Token expired` when the token is no longer
    /// [valid](Self::valid_until): a part of
    /// [`admit`](Self::admit), for claims of your own. Replaces the time that was set before.
    pub fn limit(&self, socket: &Socket) {
        expiry::expire(socket, self.valid_until());
    }
}
