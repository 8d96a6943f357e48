//! Working out what this node changes, and what becomes of it at the store.

use std::mem;
use std::sync::Arc;

use nextrush_broker::{BrokerError, Bytes, Committed, RosterChange, RosterRevision};
use tokio::time::Instant;

use super::{State, settle};
use crate::roster::change::Step;
use crate::roster::draft::Draft;
use crate::roster::host::Surroundings;
use crate::roster::own::{Arrived, TOUCHED};
use crate::roster::place::Record;
use crate::roster::rules::Rules;
use crate::roster::view::View;
use crate::roster::wire;
use crate::roster::wish::{Act, Settling};

/// A change that is on its way to the store.
pub(super) struct Flight<R: Rules> {
    pub(super) change: Arc<RosterChange>,
    pub(super) steps: Vec<Step<R>>,
    pub(super) after: View<R>,
    pub(super) acts: Vec<(Act<R>, Settling)>,
    /// `true` if it is in the view already: the store has told of it before it answered.
    pub(super) is_applied: bool,
    pub(super) sent: Instant,
    pub(super) is_in_doubt: bool,
}

/// A change that was worked out.
pub(super) struct Worked<R: Rules> {
    pub(super) steps: Vec<Step<R>>,
    pub(super) after: View<R>,
    pub(super) acts: Vec<(Act<R>, Settling)>,
}

impl<R: Rules> State<R> {
    /// Works out what is to be changed; `None` if the roster is as it should be.
    pub(super) fn work_out(&mut self, around: &Surroundings<'_, R>) -> Option<Worked<R>> {
        let rules = Arc::clone(&self.rules);
        let mut draft = Draft::new(&*rules, self.view.clone());
        let shown = around.shown.get().filter(|_| self.is_stale);
        if let Some(doubt) = &self.doubt {
            doubt.put_back(&mut draft, around);
        }
        for (act, _) in &mut self.acts {
            act(&mut draft);
        }
        self.expire(&mut draft);
        self.take_from_dead(&mut draft, around);
        let now_ms = around.time.now_ms();
        let waits = self.owns.work_on(&mut draft, &rules, now_ms);
        if let Some(shown) = shown {
            // Clients are told nothing step by step, and may have seen higher versions than the
            // store knows.
            let is_to_be_told = self.doubt.is_none() && !draft.view().looks_like(&shown);
            draft.is_told_as_a_whole(shown.version() + u64::from(is_to_be_told));
        }
        let worked = draft.finish();
        for Arrived { arrival, settling } in waits {
            rules.waits(&self.roster, arrival);
            settling.settle(Ok(()));
        }
        let acts = self.acts.drain(..).collect();
        let Some((steps, mut after)) = worked else {
            self.owns.has_tried();
            settle(acts);
            return None;
        };
        let number = self.highest.max(self.view.revision.number) + 1;
        after.revision = RosterRevision::new(number, around.tag());
        if after.life == 0 {
            after.life = around.tag();
        }
        Some(Worked { steps, after, acts })
    }

    /// Takes out those who have not come back.
    fn expire(&self, draft: &mut Draft<'_, R>) {
        let now = Instant::now();
        for (_, number) in self.lost.iter().take_while(|(at, _)| *at <= now) {
            let record = draft.view().get(*number);
            if record.is_some_and(|record| record.place.is_lost()) && draft.touched() < TOUCHED {
                draft.remove(*number);
            }
        }
    }

    /// Marks members of dead homes as lost, or takes them out.
    fn take_from_dead(&self, draft: &mut Draft<'_, R>, around: &Surroundings<'_, R>) {
        if self.dead.is_empty() {
            return;
        }
        let is_dead = |record: &Record<R::Member>| {
            let home = record.place.home();
            home.is_some_and(|home| self.dead.contains(home))
        };
        let of_dead: Vec<_> = draft
            .view()
            .members()
            .filter(|(_, record)| is_dead(record))
            .take(TOUCHED)
            .map(|(number, record)| (number, record.clone()))
            .collect();
        let until = self.rules.grace().map(|grace| around.lost_until(grace));
        for (number, record) in of_dead {
            match &until {
                Some(lost) => {
                    let member = self.rules.lost(&record.member);
                    draft.put(number, Record::new(lost.clone(), member));
                }
                None => draft.remove(number),
            }
        }
    }

    /// A change in the form in which it is stored.
    pub(super) fn written(&self, steps: &[Step<R>], after: &View<R>) -> RosterChange {
        let mut change = RosterChange::new(self.view.revision, after.revision);
        change.head = wire::write_head(after.origin, after.life);
        for step in steps {
            match &step.after {
                Some(record) => {
                    let written = wire::write_record::<R>(record).unwrap_or_else(|error| {
                        tracing::error!(roster = %self.roster, %error, "a member cannot be stored");
                        Bytes::new()
                    });
                    change.put.push((step.number, written));
                }
                None => change.removed.push(step.number),
            }
        }
        change
    }

    pub(super) fn has_committed(
        &mut self,
        outcome: Result<Committed, BrokerError>,
        around: &Surroundings<'_, R>,
    ) {
        let Some(mut flight) = self.flight.take() else {
            return;
        };
        match outcome {
            Ok(Committed::Done { time_ms }) => {
                self.failures = 0;
                around.time.note(time_ms, flight.sent);
                if !flight.is_applied {
                    if self.view.revision == flight.change.from {
                        let steps = mem::take(&mut flight.steps);
                        self.apply(steps, flight.after, around);
                        self.follow_early(around);
                    } else if self.view.revision.number < flight.change.to.number {
                        self.wants_read = true;
                    }
                }
                settle(flight.acts);
            }
            Ok(Committed::Conflict { revision }) => {
                self.failures = 0;
                self.highest = self.highest.max(revision.number);
                self.acts.extend(flight.acts);
                let known = self.view.revision;
                if revision.number > known.number {
                    self.await_number(revision.number);
                } else if known == flight.change.from {
                    self.wants_read = true;
                }
            }
            Ok(_) => self.wants_read = true,
            Err(error @ BrokerError::InDoubt(_)) => {
                tracing::debug!(roster = %self.roster, %error, "a change is in doubt");
                flight.is_in_doubt = true;
                self.flight = Some(flight);
                self.wants_read = true;
            }
            Err(error) => {
                self.acts.extend(flight.acts);
                self.fail(&error);
            }
        }
    }
}
