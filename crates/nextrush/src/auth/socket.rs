//! From a token to a socket that is its user's.

use nextrush_protocol::CloseCode;

use super::authenticated::Authenticated;
use super::expiry;
use super::rejection::AuthRejection;
use crate::message::User;
use crate::socket::Socket;

impl AuthRejection {
    /// Refuses a socket as the guide does: sends `{"type":"error","message":…,"code":…}` and
    /// closes with 1008 and the same text.
    pub fn refuse(&self, socket: &Socket) {
        socket.send(self.to_message());
        socket.close(CloseCode::POLICY_VIOLATION, &self.to_string());
    }
}

impl Authenticated<User> {
    /// Makes the socket the user's: [`Handle::user`](crate::Handle::user) reaches it,
    /// [`Socket::user`] tells who it is, and it is closed with 1008 `Token expired` when the
    /// token expires, unless it is [refreshed](crate::Jwt::refresh).
    pub fn admit(self, socket: &Socket) -> User {
        // Fails only when the socket is closed, and then nobody needs to reach it.
        if let Err(error) = socket.identify(&self.claims.id) {
            tracing::debug!(socket = %socket.id(), %error, "a socket ended before it was admitted");
        }
        socket.change_identity(|identity| identity.user = Some(self.claims.clone()));
        self.limit(socket);
        self.claims
    }
}

impl<C> Authenticated<C> {
    /// Has the socket closed with 1008 `Token expired` when the token expires: a part of
    /// [`admit`](Self::admit), for claims of your own. It takes the place of what was set
    /// before.
    pub fn limit(&self, socket: &Socket) {
        expiry::expire(socket, self.expires);
    }
}
