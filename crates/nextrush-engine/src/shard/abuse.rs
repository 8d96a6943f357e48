//! What a client may not do, though the protocol allows it.

use super::Shard;
use super::timers::Due;
use crate::error::ConnectionError;
use crate::link::Key;
use crate::moment::Moment;
use crate::transport::Io;

impl<I: Io> Shard<I> {
    /// Bounds the time in which the peer has to end the message that it has begun.
    /// `message_ended`: it has ended one since this was last called.
    pub(super) fn watch_unfinished(&mut self, slot: u32, is_between: bool, message_ended: bool) {
        let now = self.now;
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if let Some(extra) = live.extra_mut() {
            extra.pings.take_if(|allowed| *allowed <= now);
            if is_between || message_ended {
                let watched = extra.unfinished.take();
                watched
                    .into_iter()
                    .for_each(|timer| self.timers.cancel(timer));
            }
        }
        if is_between {
            return live.tidy();
        }
        if live.extra().is_some_and(|extra| extra.unfinished.is_some()) {
            return;
        }
        self.set_unfinished(slot);
    }

    pub(super) fn check_unfinished(&mut self, key: Key) {
        let Some(live) = self.slab.get(key) else {
            return;
        };
        if let Some(extra) = live.extra_mut() {
            extra.unfinished = None;
        }
        if live.reads() {
            live.connection.fail(ConnectionError::MessageTimeout);
        } else {
            // Not slow: not listened to.
            self.set_unfinished(key.slot);
        }
    }

    fn set_unfinished(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let at = self.now.after(live.options().message_timeout);
        let id = self.link.next_timer();
        let timer = self.timers.set(at, id, Due::Unfinished(live.key_at(slot)));
        live.need_extra().unfinished = Some(timer);
    }

    /// Counts a ping; `false` if it is one too many, which closes the connection.
    ///
    /// The usual client, which pings now and then, has nothing counted: its pings come
    /// more slowly than they are allowed.
    pub(super) fn count_ping(&mut self, slot: u32) -> bool {
        let now = self.now;
        let Some(live) = self.slab.at(slot) else {
            return false;
        };
        if std::mem::take(&mut self.free_ping) {
            return true;
        }
        let limit = live.options().pings;
        let counted: &mut Option<Moment> = &mut live.need_extra().pings;
        let allowed = counted.map_or(now, |allowed| allowed.max(now));
        if allowed.since(now) >= limit.interval.saturating_mul(limit.burst) {
            live.connection.fail(ConnectionError::TooManyPings);
            return false;
        }
        *counted = Some(allowed.after(limit.interval));
        true
    }
}
