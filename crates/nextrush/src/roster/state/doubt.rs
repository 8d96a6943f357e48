//! Doubt about a roster of which the store has forgotten something.
//!
//! What the store has forgotten is put back: by the nodes whose sockets the members are, and those
//! that are waited for by whoever knows of them. Until that is done nobody is told anything, so that
//! nobody is seen to leave who is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::State;
use crate::roster::draft::Draft;
use crate::roster::host::Surroundings;
use crate::roster::living::Living;
use crate::roster::own::TOUCHED;
use crate::roster::place::{Place, Record};
use crate::roster::rules::Rules;
use crate::roster::view::View;

/// The longest time for which nobody is told anything: nodes compare quiet rosters every 12 s at
/// least.
const LONGEST: Duration = Duration::from_secs(15);
/// The same where somebody waits who has come: nodes are back at the store within 5 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// The members about whom it is not known whether they are there.
pub(super) struct Doubt<R: Rules> {
    since: Instant,
    /// Members that the store has forgotten.
    missing: BTreeMap<u64, Record<R::Member>>,
    /// Members whose leaving the store has forgotten.
    back: BTreeSet<u64>,
}

impl<R: Rules> Doubt<R> {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            missing: BTreeMap::new(),
            back: BTreeSet::new(),
        }
    }

    /// Puts those back who are waited for: no node has them at its sockets.
    pub(super) fn put_back(&self, draft: &mut Draft<'_, R>, around: &Surroundings<'_, R>) {
        for (number, record) in &self.missing {
            let is_waited_for = around.left_until(&record.place) > Some(Duration::ZERO);
            if is_waited_for && draft.view().get(*number).is_none() && draft.touched() < TOUCHED {
                draft.put(*number, record.clone());
            }
        }
    }

    /// Gives up members at homes that are dead.
    pub(super) fn bury(&mut self, living: &Living) {
        let is_alive = |record: &Record<R::Member>| {
            let home = record.place.home();
            home.is_none_or(|home| !living.has_lost(home, self.since))
        };
        self.missing.retain(|_, record| is_alive(record));
    }
}

impl<R: Rules> State<R> {
    /// Takes note of what the store has forgotten, if the view, which was read just now, is of
    /// before the one that was known, or of another life.
    pub(super) fn begin_doubt(&mut self, before: &View<R>) {
        let (known, found) = (before.revision.number, self.view.revision.number);
        if known == 0 {
            return;
        }
        let is_older = found <= known;
        let is_other = before.life != self.view.life && before.life != 0 && self.view.life != 0;
        if !is_older && !is_other {
            return;
        }
        let view = &mut self.view;
        let doubt = self.doubt.get_or_insert_with(|| Box::new(Doubt::new()));
        let forgotten = before
            .members()
            .filter(|(number, _)| view.get(*number).is_none());
        doubt
            .missing
            .extend(forgotten.map(|(number, record)| (number, record.clone())));
        if is_older && !is_other && found > 0 {
            let back = view.members().map(|(number, _)| number);
            let back = back.filter(|number| before.get(*number).is_none());
            doubt.back.extend(back);
        }
        if !is_other {
            // Others see by the new life, which the next change gives it, that something was lost.
            view.life = 0;
        }
    }

    /// The moment at which it is believed that who is missing has left.
    pub(super) fn end_of_doubt(&self) -> Option<Instant> {
        let longest = match self.arrived.is_empty() {
            true => LONGEST,
            false => PATIENCE,
        };
        self.doubt.as_ref().map(|doubt| doubt.since + longest)
    }

    /// Returns whether members are still to be put back or taken out.
    pub(super) fn is_in_doubt(&mut self, around: &Surroundings<'_, R>) -> bool {
        let end = self.end_of_doubt();
        let Some(doubt) = &mut self.doubt else {
            return false;
        };
        let (view, owns) = (&self.view, &self.owns);
        let is_missing = |number: &u64, record: &mut Record<R::Member>| {
            view.get(*number).is_none()
                && match &record.place {
                    Place::At { home, socket } if home == owns.home() => {
                        owns.is_member(*socket, *number)
                    }
                    Place::At { .. } => true,
                    lost @ Place::LostUntil(_) => around.left_until(lost) > Some(Duration::ZERO),
                }
        };
        doubt.missing.retain(is_missing);
        doubt.back.retain(|number| view.get(*number).is_some());
        let is_over = doubt.missing.is_empty() && doubt.back.is_empty();
        if is_over || end <= Some(Instant::now()) {
            self.doubt = None;
        }
        self.doubt.is_some()
    }
}
