//! The end of a socket when its token expires.

use std::time::Duration;

use nextrush_protocol::CloseCode;

use crate::message::Timestamp;
use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;

/// Sets the timer that ends the socket when its token expires, and cancels the one before.
/// `expires` is in seconds since 1970; `None` is never.
pub(super) fn expire(socket: &Socket, expires: Option<u64>) {
    let end = expires.map(|expires| {
        let now = Timestamp::now().unix_ms();
        let left = expires.saturating_mul(1000).saturating_sub(now);
        let expired = socket.clone();
        let run = move || {
            expired.send(ErrorMessage::new(ErrorCode::TokenExpired, "Token expired"));
            expired.close(CloseCode::POLICY_VIOLATION, "Token expired");
            None
        };
        let left = Duration::from_millis(left);
        socket.connection().set_timer(left, Box::new(run))
    });
    let before = socket.change_identity(|identity| std::mem::replace(&mut identity.expiry, end));
    if let Some(before) = before {
        socket.connection().cancel_timer(before);
    }
}
