//! Following the changes that others have made.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::RosterChange;
use tokio::time::Instant;

use super::{Phase, State};
use crate::roster::change::Step;
use crate::roster::draft;
use crate::roster::host::Surroundings;
use crate::roster::place::Record;
use crate::roster::rules::Rules;
use crate::roster::wire;

/// The time for which a change is waited for that others have made, before the roster is read.
const HOLE: Duration = Duration::from_millis(50);

/// A number that the revision has in the store, ahead of the view.
pub(super) struct Awaited {
    pub(super) number: u64,
    /// The moment at which what leads to it is waited for no longer.
    pub(super) until: Instant,
}

impl<R: Rules> State<R> {
    /// Takes a change of which the store tells.
    pub(super) fn pushed(&mut self, change: &Arc<RosterChange>, around: &Surroundings<'_, R>) {
        self.highest = self.highest.max(change.to.number);
        if self.phase != Phase::Loaded {
            self.early.insert(change.from.number, Arc::clone(change));
        } else if change.from == self.view.revision {
            self.follow(change, around);
            self.follow_early(around);
        } else if change.from.number > self.view.revision.number {
            self.early.insert(change.from.number, Arc::clone(change));
            self.await_number(change.to.number);
        } else if change.to != self.view.revision {
            // It was read before, or the store has forgotten something.
            self.wants_check = true;
        }
    }

    /// Follows the changes that came too early, as far as they lead on.
    pub(super) fn follow_early(&mut self, around: &Surroundings<'_, R>) {
        while let Some((number, change)) = self.early.pop_first() {
            if change.from == self.view.revision {
                self.follow(&change, around);
            } else if number >= self.view.revision.number {
                self.await_number(change.to.number);
                self.early.insert(number, change);
                return;
            }
        }
    }

    pub(super) fn await_number(&mut self, number: u64) {
        let until = || Instant::now() + HOLE;
        match &mut self.awaited {
            Some(awaited) => awaited.number = awaited.number.max(number),
            None => {
                self.awaited = Some(Awaited {
                    number,
                    until: until(),
                });
            }
        }
    }

    /// Makes a change that goes out from the view.
    fn follow(&mut self, change: &RosterChange, around: &Surroundings<'_, R>) {
        if let Some(flight) = &mut self.flight
            && flight.change.to == change.to
        {
            flight.is_applied = true;
            let steps = mem::take(&mut flight.steps);
            let after = flight.after.clone();
            return self.apply(steps, after, around);
        }
        let steps = self.read_steps(change);
        let mut after = self.view.clone();
        after.make(&*self.rules, &steps);
        after.revision = change.to;
        match wire::read_head(&change.head) {
            Ok((origin, life)) => {
                after.origin.version = origin.version;
                after.origin.last = after.origin.last.max(origin.last);
                after.life = life;
            }
            Err(error) => {
                tracing::error!(roster = %self.roster, %error, "a roster cannot be read");
                after.origin.version += self.rules.versions(&steps);
            }
        }
        self.apply(steps, after, around);
    }

    /// The steps that a stored change has, going out from the view.
    fn read_steps(&self, change: &RosterChange) -> Vec<Step<R>> {
        let mut after: BTreeMap<u64, Option<Record<R::Member>>> = change
            .removed
            .iter()
            .map(|number| (*number, None))
            .collect();
        for (number, bytes) in &change.put {
            after.insert(*number, self.read_record(*number, bytes));
        }
        let mut steps = Vec::with_capacity(after.len());
        for (number, after) in after {
            let before = self.view.get(number).cloned();
            if before != after {
                steps.push(Step {
                    number,
                    before,
                    after,
                    arrival: None,
                });
            }
        }
        draft::sort(&mut steps);
        steps
    }

    pub(super) fn read_record(&self, number: u64, bytes: &[u8]) -> Option<Record<R::Member>> {
        let known = self.view.get(number);
        match wire::read_record::<R>(bytes, known, self.owns.home()) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::error!(roster = %self.roster, number, %error, "a member cannot be read");
                None
            }
        }
    }

    /// The view has another revision.
    pub(super) fn has_advanced(&mut self) {
        let number = self.view.revision.number;
        self.highest = self.highest.max(number);
        if self
            .awaited
            .as_ref()
            .is_some_and(|awaited| awaited.number <= number)
        {
            self.awaited = None;
        }
    }
}
