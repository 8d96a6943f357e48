//! Disconnecting sockets at the request of a server or an operator.

use nextrush::{Handle, Socket, UserId};
use serde::Serialize;

use crate::others::Silence;

pub(crate) const CODE: u16 = 1008;
pub(crate) const REASON: &str = "Disconnected";

/// The answer to a request to disconnect.
#[derive(Serialize)]
pub(crate) struct Disconnected {
    disconnected: usize,
    #[serde(flatten)]
    silence: Silence,
}

impl Disconnected {
    /// The answer for so many sockets of nodes that have answered.
    pub(crate) fn of(disconnected: usize, silence: Silence) -> Self {
        Self {
            disconnected,
            silence,
        }
    }
}

/// Closes the sockets with 1008; their number. Their users can come back while their tokens are
/// valid.
pub(crate) fn close(sockets: &[Socket]) -> usize {
    for socket in sockets {
        socket.close(CODE, REASON);
    }
    sockets.len()
}

/// Closes the sockets of a user on all nodes.
pub(crate) async fn disconnect(app: &Handle, user: &UserId) -> Disconnected {
    let reached = app.disconnect(user, CODE, REASON).await;
    Disconnected::of(reached.sockets, Silence::after(&reached))
}
