//! Limits on what the protocol allows: unfinished messages and floods of pings.

use std::mem;

use super::Shard;
use super::peer::Peer;
use super::timers::Due;
use crate::error::ConnectionError;
use crate::link::Key;
use crate::transport::Io;

/// The place in its messages that a peer has reached, after a read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Between two messages.
    Between,
    /// Within a message, having ended another one.
    WithinNext,
    /// Within the message in which it was before.
    WithinSame,
}

impl<I: Io> Shard<I> {
    pub(super) fn check_unfinished(&mut self, key: Key) {
        if let Some(mut peer) = self.peer_of(key) {
            peer.check_unfinished();
        }
    }
}

impl<I: Io> Peer<'_, I> {
    /// Bounds the time in which the peer has to end the message that it has begun.
    pub(super) fn watch_unfinished(&mut self, place: Place) {
        let now = self.parts.now;
        let mut is_watched = false;
        if let Some(extra) = self.live.extra_mut() {
            extra.pings.take_if(|full_again| *full_again <= now);
            if place != Place::WithinSame
                && let Some(timer) = extra.unfinished.take()
            {
                self.parts.timers.cancel(timer);
            }
            is_watched = extra.unfinished.is_some();
        }
        if place == Place::Between {
            self.live.tidy();
        } else if !is_watched {
            self.set_unfinished();
        }
    }

    fn check_unfinished(&mut self) {
        if let Some(extra) = self.live.extra_mut() {
            extra.unfinished = None;
        }
        if self.live.reads() {
            self.live.connection.fail(ConnectionError::MessageTimeout);
        } else {
            // Not slow: not listened to.
            self.set_unfinished();
        }
    }

    fn set_unfinished(&mut self) {
        let timeout = self.live.options().message_timeout;
        let timer = self.set_deadline(timeout, Due::Unfinished(self.key()));
        self.live.need_extra().unfinished = Some(timer);
    }

    /// Counts a ping; `false` if it is one too many, which closes the connection.
    ///
    /// The usual client, which pings now and then, has nothing counted: its pings come
    /// more slowly than they are allowed.
    pub(super) fn count_ping(&mut self) -> bool {
        if mem::take(&mut self.parts.free_ping) {
            return true;
        }
        let now = self.parts.now;
        let limit = self.live.options().pings;
        let counted = &mut self.live.need_extra().pings;
        let full_again = counted.map_or(now, |full_again| full_again.max(now));
        if full_again.since(now) >= limit.interval.saturating_mul(limit.burst) {
            self.live.connection.fail(ConnectionError::TooManyPings);
            return false;
        }
        *counted = Some(full_again.after(limit.interval));
        true
    }
}
