//! From a token to a socket that is its user's.

use std::time::Duration;

use nextrush_protocol::CloseCode;

use super::authenticated::Authenticated;
use super::rejection::AuthRejection;
use super::user::User;
use crate::error_message::ErrorMessage;
use crate::socket::Socket;
use crate::timestamp::Timestamp;

impl AuthRejection {
    /// Refuses a socket as the guide does: sends `{"type":"error","message":…}` and
    /// closes with 1008 and the same text.
    pub fn refuse(&self, socket: &Socket) {
        socket.send(ErrorMessage::new(self.message()));
        socket.close(CloseCode::POLICY_VIOLATION, self.message());
    }
}

impl Authenticated<User> {
    /// Makes the socket the user's: [`Handle::user`](crate::Handle::user) reaches it,
    /// and it is closed with 1008 `Token expired` when the token expires.
    pub fn admit(self, socket: &Socket) -> User {
        // Fails only when the socket is closed, and then nobody needs to reach it.
        if let Err(error) = socket.identify(&self.claims.id) {
            tracing::debug!(socket = %socket.id(), %error, "a socket ended before it was admitted");
        }
        if let Some(expires) = self.expires {
            let now = Timestamp::now().unix_ms();
            let left = Duration::from_millis(expires.saturating_mul(1000).saturating_sub(now));
            socket.after(left, |socket: Socket, ()| {
                socket.send(ErrorMessage::new("Token expired"));
                socket.close(CloseCode::POLICY_VIOLATION, "Token expired");
            });
        }
        self.claims
    }
}
