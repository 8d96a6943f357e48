use std::collections::BTreeMap;
use std::time::Duration;

use super::Shard;
use super::calls::drop_shielded;
use super::slab::Live;
use crate::id::TimerId;
use crate::link::{Key, SetTimer, TimerFn};
use crate::moment::Moment;
use crate::transport::Io;

/// What is due at some moment. Ordered, so that a cancelled timer leaves nothing behind:
/// most timers are cancelled.
#[derive(Default)]
pub(super) struct Timers {
    queue: BTreeMap<TimerKey, Due>,
}

/// When a timer is due; timers of one moment run in the order of their setting.
pub(super) type TimerKey = (Moment, TimerId);

pub(super) enum Due {
    /// A timer of the user's.
    User { key: Key, id: TimerId, run: TimerFn },
    /// The peer has had its time for a message.
    Unfinished(Key),
    /// The peer has had its time for closing.
    Deadline(Key),
    /// The oldest frame of a backlog may be too old.
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

    /// Takes out the next one whose time has come.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Due> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn next(&self) -> Option<Moment> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Drops all.
    pub(super) fn cut(&mut self) {
        while let Some((_, due)) = self.queue.pop_first() {
            drop_shielded(due);
        }
    }
}

impl<I: Io> Shard<I> {
    pub(super) fn set_timer(&mut self, slot: u32, timer: SetTimer) {
        let SetTimer { id, after, run } = timer;
        let Some(live) = self.slab.at(slot) else {
            return drop_shielded(run);
        };
        // Never in this very turn, which a timer that sets itself again would not leave.
        let at = self.now.after(after.max(Duration::from_nanos(1)));
        let key = live.key();
        live.need_extra()
            .timers
            .push(self.timers.set(at, id, Due::User { key, id, run }));
    }

    pub(super) fn cancel_timer(&mut self, slot: u32, id: TimerId) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if let Some(timer) = live.take_timer(id) {
            self.timers.cancel(timer);
        }
    }

    pub(super) fn run_timer(&mut self, key: Key, id: TimerId, run: TimerFn) {
        if let Some(live) = self.slab.get(key) {
            live.take_timer(id);
        }
        self.run_timer_fn(key, run);
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
