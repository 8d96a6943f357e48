//! The effects of a token on a socket.

use nextrush_protocol::CloseCode;

use super::authenticated::{AskedAt, Authenticated};
use super::expiry;
use super::rejection::AuthRejection;
use crate::message::User;
use crate::socket::Socket;

impl AuthRejection {
    /// Rejects a socket as the guide does: sends `{"type":"error","message":…,"code":…}` and
    /// closes with 1008 and the same text, or with 1013 if it has a `retryAfterMs`, as
    /// [`Unavailable`](Self::Unavailable) does.
    pub fn reject(&self, socket: &Socket) {
        let code = match self.is_passing() {
            true => CloseCode::TRY_AGAIN_LATER,
            false => CloseCode::POLICY_VIOLATION,
        };
        socket.send(self.to_message());
        socket.close(code, &self.to_string());
    }
}

impl Authenticated<User> {
    /// [Identifies](Socket::identify) the socket as the user's, makes it one of its
    /// [session](Self::session) if there is one, and closes it with 1008
    /// `Token expired` when the token is no longer [valid](Self::valid_until), unless it is
    /// [refreshed](crate::Jwt::refresh).
    pub fn admit(self, socket: &Socket) -> User {
        // Fails only when the socket is closed, and then nobody needs to reach it.
        let entered = socket.identify(self.claims.clone()).and_then(|()| {
            let session = self.session.as_deref();
            session.map_or(Ok(()), |session| socket.enter_session(session))
        });
        if let Err(error) = entered {
            tracing::debug!(socket = %socket.id(), %error, "a socket ended before it was admitted");
        }
        let AskedAt {
            looked_up,
            issued_ms,
        } = self.asked_at;
        socket.change_identity(|identity| identity.issued_ms = issued_ms);
        if let Some(looked_up) = looked_up {
            socket.app().close_if_disconnected(socket, looked_up);
        }
        if let Some(issued_ms) = issued_ms {
            socket.app().close_if_revoked(socket, issued_ms);
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
