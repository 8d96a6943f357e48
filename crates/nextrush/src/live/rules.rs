//! The rules of presence, and who tells of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nextrush_broker::TopicName;

use super::budget::Budget;
use super::devices::{self, Device, GRACE, OfUsers};
use super::shown::Diff;
use crate::roster::{Admission, Change, Home, Origin, Record, Retold, Rules, Step, View};

/// Tells the subscribers of channels on this node.
pub(super) trait Tell: Send + Sync + 'static {
    /// The work that remains to be done for a socket whose device has come.
    type Arrival: Send + 'static;

    /// Tells of something and takes arrivals, of which each is told behind its answer. Calls
    /// `show` at the moment from which this is what subscribers know.
    fn tell(
        &self,
        roster: &TopicName,
        told: Told<'_, Self>,
        arrivals: Vec<Self::Arrival>,
        show: &dyn Fn(),
    ) where
        Self: Sized;

    /// Takes the arrival of a device for which there is no room.
    fn waits(&self, roster: &TopicName, arrival: Self::Arrival);

    /// Returns whether somebody on this node is subscribed.
    fn is_used(&self, roster: &TopicName) -> bool;
}

/// The word to subscribers.
pub(super) enum Told<'a, T: Tell> {
    /// The changes in messages with versions that rise by one; none for what nobody hears of.
    Changes(Vec<Diff>),
    /// Everybody who is there.
    Everybody(&'a View<PresenceRules<T>>),
}

/// The rules of presence.
pub(super) struct PresenceRules<T> {
    /// The number of the next device, of whatever channel.
    next: AtomicU64,
    /// The highest version of all channels: one that becomes empty and is forgotten must not
    /// begin with lower ones later.
    version: AtomicU64,
    subscribers: T,
    /// The bytes of this node's devices.
    budget: Budget,
    /// This node.
    home: Arc<Home>,
}

impl<T> PresenceRules<T> {
    pub(super) fn new(home: &Arc<Home>, subscribers: T, budget: Budget) -> Self {
        Self {
            next: AtomicU64::new(1),
            version: AtomicU64::new(0),
            subscribers,
            budget,
            home: Arc::clone(home),
        }
    }

    /// Counts what a device has said if this node has its connection, and not if another one has.
    fn note_place(&self, record: &Record<Device>) {
        let Some(home) = record.place.home() else {
            return;
        };
        if *home == self.home {
            record.member.has_come();
            record.member.count(&self.budget);
        } else {
            record.member.release();
        }
    }

    /// New devices get higher numbers than this.
    fn is_taken(&self, number: u64) {
        self.next
            .fetch_max(number.saturating_add(1), Ordering::Relaxed);
    }
}

impl<T: Tell> Rules for PresenceRules<T> {
    type Member = Device;
    type Arrival = T::Arrival;
    type Index = OfUsers;

    fn grace(&self) -> Option<Duration> {
        Some(GRACE)
    }

    fn begin(&self) -> Origin {
        let version = self.version.load(Ordering::Relaxed);
        Origin { version, last: 0 }
    }

    fn ended(&self, last: Origin) {
        self.version.fetch_max(last.version, Ordering::Relaxed);
    }

    fn number(&self, last: u64) -> u64 {
        self.is_taken(last);
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn admit(&self, view: &View<Self>, newcomer: &Device) -> Admission {
        devices::admit(view, &self.home, newcomer)
    }

    fn index(
        &self,
        index: &mut OfUsers,
        number: u64,
        before: Option<&Record<Device>>,
        after: Option<&Record<Device>>,
    ) {
        if after.is_some() {
            self.is_taken(number);
        }
        index.note(number, before, after);
    }

    fn versions(&self, steps: &[Step<Self>]) -> u64 {
        devices::changes(steps).len() as u64
    }

    fn changed(&self, roster: &TopicName, change: Change<'_, Self>) {
        let Change {
            before,
            after,
            steps,
            shown,
            ..
        } = change;
        let diffs = devices::changes(&steps).numbered_after(before.version());
        let is_whole = diffs.is_empty() || before.version() + diffs.len() as u64 == after.version();
        let told = match is_whole {
            true => Told::Changes(diffs),
            // A node of another version has told it in another number of messages.
            false => Told::Everybody(&after),
        };
        let mut arrivals = Vec::new();
        for step in steps {
            if let Some(after) = &step.after {
                self.note_place(after);
            }
            arrivals.extend(step.arrival);
        }
        let show = || shown.set(&after);
        self.subscribers.tell(roster, told, arrivals, &show);
    }

    fn retold(&self, roster: &TopicName, retold: Retold<'_, Self>) {
        let Retold {
            after,
            arrivals,
            shown,
            ..
        } = retold;
        for (_, record) in after.members() {
            self.note_place(record);
        }
        let arrivals = arrivals.into_iter().map(|(_, arrival)| arrival).collect();
        let show = || shown.set(&after);
        let told = Told::Everybody(&after);
        self.subscribers.tell(roster, told, arrivals, &show);
    }

    fn waits(&self, roster: &TopicName, arrival: T::Arrival) {
        self.subscribers.waits(roster, arrival);
    }

    fn is_used(&self, roster: &TopicName) -> bool {
        self.subscribers.is_used(roster)
    }
}
