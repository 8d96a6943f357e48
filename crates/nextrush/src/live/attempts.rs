//! Subscriptions that clients have asked for and that are not settled yet.

use std::collections::HashMap;

use nextrush_engine::ConnectionId;
use parking_lot::Mutex;

use crate::message::ErrorMessage;

/// The subscription that each socket is asking for; there is one at a time.
///
/// Whoever takes access away meanwhile leaves word here: the rule may have answered before.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<ConnectionId, State>>);

#[derive(Debug)]
struct State {
    channel: Box<str>,
    /// The word to the client if it is not to be let in any more.
    revoked: Option<ErrorMessage>,
    /// `true` if the rule has to be asked again.
    is_outdated: bool,
}

/// The attempt of a socket, until this is dropped.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    socket: ConnectionId,
}

impl Attempts {
    pub(super) fn begin(&self, socket: ConnectionId, channel: &str) -> Attempt<'_> {
        let state = State {
            channel: channel.into(),
            revoked: None,
            is_outdated: false,
        };
        self.0.lock().insert(socket, state);
        Attempt {
            attempts: self,
            socket,
        }
    }

    /// Ends the attempt of a socket at a channel, if there is one.
    pub(super) fn revoke(&self, socket: ConnectionId, channel: &str, reason: &ErrorMessage) {
        if let Some(state) = self.0.lock().get_mut(&socket)
            && *state.channel == *channel
        {
            state.revoked = Some(reason.clone());
        }
    }

    /// Asks the rule again for the attempt of a socket; `false` if it makes none.
    pub(super) fn recheck(&self, socket: ConnectionId) -> bool {
        let mut attempts = self.0.lock();
        attempts
            .get_mut(&socket)
            .map(|state| state.is_outdated = true)
            .is_some()
    }

    /// Asks the rule again for all attempts at a channel; the sockets that make them.
    pub(super) fn recheck_channel(&self, channel: &str) -> Vec<ConnectionId> {
        let mut sockets = Vec::new();
        for (socket, state) in &mut *self.0.lock() {
            if *state.channel == *channel {
                state.is_outdated = true;
                sockets.push(*socket);
            }
        }
        sockets
    }
}

impl Attempt<'_> {
    /// The word to the client if its access was taken away meanwhile.
    pub(super) fn revoked(&self) -> Option<ErrorMessage> {
        let attempts = self.attempts.0.lock();
        attempts.get(&self.socket)?.revoked.clone()
    }

    /// Returns whether the rule has to be asked again, since it was asked last.
    pub(super) fn take_outdated(&self) -> bool {
        let mut attempts = self.attempts.0.lock();
        let state = attempts.get_mut(&self.socket);
        state.is_some_and(|state| std::mem::take(&mut state.is_outdated))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.attempts.0.lock().remove(&self.socket);
    }
}
