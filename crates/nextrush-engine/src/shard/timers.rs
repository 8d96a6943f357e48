//! Timers: those of users, and the shard's own deadlines.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Shard;
use super::calls::drop_shielded;
use super::live::Live;
use super::peer::Peer;
use crate::id::TimerId;
use crate::link::{Key, SetTimer, TimerFn};
use crate::moment::Moment;
use crate::transport::Io;

/// The timers of a shard. Ordered, so that a cancelled timer leaves nothing behind: most
/// timers are cancelled.
#[derive(Default)]
pub(super) struct Timers {
    queue: BTreeMap<TimerKey, Due>,
}

/// The moment at which a timer is due. Timers of one moment run in the order in which they
/// were set.
pub(super) type TimerKey = (Moment, TimerId);

/// The event for which a timer is set.
pub(super) enum Due {
    /// A timer of the user's.
    User { key: Key, id: TimerId, run: TimerFn },
    /// The time in which the peer has to end a message is over.
    Unfinished(Key),
    /// The time in which the peer has to do its part of closing is over.
    Deadline(Key),
    /// A backlog may have stalled for too long.
    Age(Key),
    /// The time for a shutdown is over.
    Cut,
}

impl Timers {
    pub(super) fn set(&mut self, at: Moment, id: TimerId, due: Due) -> TimerKey {
        self.queue.insert((at, id), due);
        (at, id)
    }

    pub(super) fn cancel(&mut self, timer: TimerKey) {
        if let Some(Due::User { run, .. }) = self.queue.remove(&timer) {
            drop_shielded(run);
        }
    }

    /// Takes the next timer that is due.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Due> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn next(&self) -> Option<Moment> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Drops all timers.
    pub(super) fn cut(&mut self) {
        while let Some((_, due)) = self.queue.pop_first() {
            drop_shielded(due);
        }
    }
}

impl<I: Io> Shard<I> {
    pub(super) fn run_timer(&mut self, key: Key, id: TimerId, run: TimerFn) {
        if let Some(peer) = self.peer_of(key) {
            peer.live.take_timer(id);
        }
        self.run_timer_fn(key, run);
    }
}

impl<I: Io> Peer<'_, I> {
    pub(super) fn set_timer(&mut self, timer: SetTimer) {
        let SetTimer { id, after, run } = timer;
        // Never in this very turn, which a timer that sets itself again would not leave.
        let at = self.parts.now.after(after.max(Duration::from_nanos(1)));
        let key = self.key();
        let timer = self.parts.timers.set(at, id, Due::User { key, id, run });
        self.live.need_extra().timers.push(timer);
    }

    pub(super) fn cancel_timer(&mut self, id: TimerId) {
        if let Some(timer) = self.live.take_timer(id) {
            self.parts.timers.cancel(timer);
        }
    }

    /// Sets a timer of the shard's own.
    pub(super) fn set_deadline(&mut self, after: Duration, due: Due) -> TimerKey {
        let id = self.parts.link.next_timer();
        self.parts.timers.set(self.parts.now.after(after), id, due)
    }
}

impl Live {
    fn take_timer(&mut self, id: TimerId) -> Option<TimerKey> {
        let timers = &mut self.extra_mut()?.timers;
        let index = timers.iter().position(|timer| timer.1 == id)?;
        let timer = timers.swap_remove(index);
        self.tidy();
        Some(timer)
    }
}
