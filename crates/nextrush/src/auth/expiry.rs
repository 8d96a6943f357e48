//! The end of a socket when its token expires.

use std::time::Duration;

use nextrush_protocol::CloseCode;

use crate::message::Timestamp;
use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;
use crate::socket::identity::Expiry;

/// Ends the socket when its token is no longer valid, instead of at the time that was set before.
/// `valid_until` in seconds since 1970; `None`: never.
pub(super) fn expire(socket: &Socket, valid_until: Option<u64>) {
    let end = valid_until.map(|valid_until| {
        let now = Timestamp::now().unix_ms();
        let left = valid_until.saturating_mul(1000).saturating_sub(now);
        let expired = socket.clone();
        let run = move || {
            expired.send(ErrorMessage::new(ErrorCode::TokenExpired, "Token expired"));
            expired.close(CloseCode::POLICY_VIOLATION, "Token expired");
            None
        };
        let left = Duration::from_millis(left);
        Expiry {
            timer: socket.connection().set_timer(left, Box::new(run)),
            valid_until,
        }
    });
    let before = socket.change_identity(|identity| std::mem::replace(&mut identity.expiry, end));
    if let Some(before) = before {
        socket.connection().cancel_timer(before.timer);
    }
}

/// Does what [`expire`] does unless the end that was set before is later. Returns the end in force.
pub(super) fn extend(socket: &Socket, valid_until: Option<u64>) -> Option<u64> {
    let before = socket.change_identity(|identity| identity.expiry);
    match (before, valid_until) {
        (Some(before), Some(until)) if until < before.valid_until => Some(before.valid_until),
        _ => {
            expire(socket, valid_until);
            valid_until
        }
    }
}
