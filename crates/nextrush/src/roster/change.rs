//! Changes of a roster, as rules tell of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use parking_lot::Mutex;

use super::draft::sort;
use super::place::Record;
use super::rules::Rules;
use super::view::View;

/// The part of a change that is about one member.
pub(crate) struct Step<R: Rules> {
    pub(crate) number: u64,
    /// `None` if the member comes.
    pub(crate) before: Option<Record<R::Member>>,
    /// `None` if it leaves.
    pub(crate) after: Option<Record<R::Member>>,
    /// The arrival of a socket of this node that has become this member.
    pub(crate) arrival: Option<R::Arrival>,
}

impl<R: Rules> Step<R> {
    /// Returns whether clients see it: somebody comes, leaves, or is another. Not visible are
    /// changes of places, and members that come as lost ones: they were there before.
    pub(crate) fn is_visible(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => before.member != after.member,
            (None, Some(after)) => !after.place.is_lost(),
            (_, None) => true,
        }
    }
}

impl<R: Rules> fmt::Debug for Step<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("number", &self.number)
            .field("before", &self.before)
            .field("after", &self.after)
            .field("arrives", &self.arrival.is_some())
            .finish()
    }
}

/// A change of a roster.
///
/// The same on all nodes but for the arrivals: those who leave by their numbers, then those who
/// come or change by theirs.
pub(crate) struct Change<'a, R: Rules> {
    pub(crate) before: View<R>,
    pub(crate) after: View<R>,
    pub(crate) steps: Vec<Step<R>>,
    pub(crate) shown: &'a Shown<R>,
    pub(super) rules: &'a R,
}

impl<'a, R: Rules> Change<'a, R> {
    /// The steps one by one, each with the roster after it: each visible one raises the version
    /// by one. For rules that tell of each step in a message of its own.
    pub(crate) fn one_by_one(self) -> OneByOne<'a, R> {
        OneByOne {
            steps: self.steps.into_iter(),
            view: self.before,
            rules: self.rules,
        }
    }
}

impl<R: Rules> fmt::Debug for Change<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("from", &self.before.version())
            .field("to", &self.after.version())
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// The steps of a change, each with the roster after it. Made by [`Change::one_by_one`].
pub(crate) struct OneByOne<'a, R: Rules> {
    steps: std::vec::IntoIter<Step<R>>,
    view: View<R>,
    rules: &'a R,
}

impl<R: Rules> Iterator for OneByOne<'_, R> {
    type Item = (Step<R>, View<R>);

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.steps.next()?;
        self.view.set(self.rules, step.number, step.after.clone());
        self.view.origin.version += u64::from(step.is_visible());
        Some((step, self.view.clone()))
    }
}

/// A whole roster that is told anew.
pub(crate) struct Retold<'a, R: Rules> {
    /// The roster that was told before.
    pub(crate) before: View<R>,
    pub(crate) after: View<R>,
    /// The arrivals of the sockets of this node that are members now, by the members'
    /// numbers.
    pub(crate) arrivals: Vec<(u64, R::Arrival)>,
    pub(crate) shown: &'a Shown<R>,
    pub(super) rules: &'a R,
}

impl<'a, R: Rules> Retold<'a, R> {
    /// The differences and the arrivals as steps one by one, for rules that tell of each member in
    /// a message of its own. The version of the last one is not that of the roster.
    pub(crate) fn one_by_one(self) -> OneByOne<'a, R> {
        let mut arrivals: BTreeMap<u64, R::Arrival> = self.arrivals.into_iter().collect();
        let before = self.before.members().map(|(number, _)| number);
        let after = self.after.members().map(|(number, _)| number);
        let numbers: BTreeSet<u64> = before.chain(after).collect();
        let mut steps: Vec<Step<R>> = numbers
            .into_iter()
            .map(|number| Step {
                number,
                before: self.before.get(number).cloned(),
                after: self.after.get(number).cloned(),
                arrival: arrivals.remove(&number),
            })
            .filter(|step| step.is_visible() || step.arrival.is_some())
            .collect();
        sort(&mut steps);
        OneByOne {
            steps: steps.into_iter(),
            view: self.before,
            rules: self.rules,
        }
    }
}

impl<R: Rules> fmt::Debug for Retold<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retold")
            .field("before", &self.before)
            .field("after", &self.after)
            .field("arrivals", &self.arrivals.len())
            .finish_non_exhaustive()
    }
}

/// The roster as this node's clients have been told it.
///
/// Set by the rules under the topic's lock, together with what they tell: whoever reads it under
/// that lock has exactly what the topic's subscribers know. A leaf in the order of locks.
pub(crate) struct Shown<R: Rules>(Mutex<Option<View<R>>>);

impl<R: Rules> Shown<R> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The roster; `None` before it was read for the first time.
    pub(crate) fn get(&self) -> Option<View<R>> {
        self.0.lock().clone()
    }

    pub(crate) fn set(&self, view: &View<R>) {
        // The old one is dropped outside of the lock.
        let _before = self.0.lock().replace(view.clone());
    }
}

impl<R: Rules> fmt::Debug for Shown<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.0.lock().as_ref().map(View::version);
        f.debug_tuple("Shown").field(&version).finish()
    }
}
