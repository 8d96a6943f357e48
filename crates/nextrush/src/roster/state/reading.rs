//! Reading a roster from the store, and taking what was read in place of the view.

use std::collections::BTreeSet;
use std::mem;

use nextrush_broker::{BrokerError, Roster as Stored, RosterRevision};
use tokio::time::Instant;

use super::{Phase, State, settle};
use crate::roster::host::Surroundings;
use crate::roster::rules::{Origin, Rules};
use crate::roster::view::View;
use crate::roster::wire;

/// A reading that is under way.
pub(super) struct Reading {
    pub(super) sent: Instant,
    /// The revision of the view at the beginning.
    pub(super) known: RosterRevision,
}

impl<R: Rules> State<R> {
    pub(super) fn begin_reading(&mut self, now: Instant) {
        self.reading = Some(Reading {
            sent: now,
            known: self.view.revision,
        });
    }

    pub(super) fn has_read(
        &mut self,
        outcome: Result<Stored, BrokerError>,
        around: &Surroundings<'_, R>,
    ) {
        let reading = self.reading.take();
        let (Ok(stored), Some(reading)) = (outcome.as_ref(), &reading) else {
            if self.phase == Phase::Loading {
                self.phase = Phase::New;
            } else {
                self.wants_read = true;
            }
            if let Err(error) = outcome {
                self.fail(&error);
            }
            return;
        };
        self.failures = 0;
        around.time.note(stored.time_ms, reading.sent);
        let has_moved = self.view.revision != reading.known;
        let found = stored.revision;
        if has_moved && found != self.view.revision && found.number <= self.view.revision.number {
            // What was read is older than what has come meanwhile, or is it? The next one tells.
            self.wants_read = true;
            return;
        }
        let is_new = self.phase != Phase::Loaded || found != self.view.revision;
        self.end_doubt(found);
        self.phase = Phase::Loaded;
        if is_new {
            self.rebase(stored, around);
        } else {
            // What is waited for does not come: it was of a life that the store has forgotten.
            self.early.clear();
        }
        self.awaited = None;
        self.follow_early(around);
        for settling in self.watchers.drain(..) {
            settling.settle(Ok(()));
        }
    }

    /// A reading has found this revision, after it was in doubt whether a change was made.
    fn end_doubt(&mut self, found: RosterRevision) {
        if let Some(flight) = self.flight.take_if(|flight| flight.is_in_doubt) {
            if flight.is_applied || flight.change.to == found {
                settle(flight.acts);
            } else {
                self.acts.extend(flight.acts);
            }
        }
    }

    /// Takes a roster as it was read in place of the view.
    fn rebase(&mut self, stored: &Stored, around: &Surroundings<'_, R>) {
        let mut view: View<R> = View::new(stored.revision, Origin::default());
        for (number, bytes) in &stored.members {
            if let Some(record) = self.read_record(*number, bytes) {
                view.set(&*self.rules, *number, Some(record));
            }
        }
        let mut last = 0;
        match wire::read_head(&stored.head) {
            Ok((origin, life)) => {
                (view.origin.version, last) = (origin.version, origin.last);
                view.life = life;
            }
            Err(error) => {
                tracing::error!(roster = %self.roster, %error, "a roster cannot be read");
            }
        }
        // Numbers that were given are not given again, even if the store has forgotten them.
        view.origin.last = view.origin.last.max(last).max(self.view.last());
        let before = mem::replace(&mut self.view, view);
        self.begin_doubt(&before);
        let after = self.view.clone();
        let all = before.members().chain(after.members());
        let numbers: BTreeSet<u64> = all.map(|(number, _)| number).collect();
        for number in numbers {
            let (was, is) = (before.get(number), after.get(number));
            if was != is
                && let Some(arrived) = self.note(number, was, is, around)
            {
                self.arrived.push((number, arrived));
            }
        }
        self.highest = self.highest.max(stored.revision.number);
        self.is_stale = true;
        self.tell_anew(around);
    }
}
