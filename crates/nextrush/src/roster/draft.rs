//! A change while it is worked out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::change::Step;
use super::place::{Place, Record};
use super::rules::{Admission, Rules};
use super::view::View;

/// A change while it is worked out, on a copy of the roster.
pub(crate) struct Draft<'a, R: Rules> {
    rules: &'a R,
    view: View<R>,
    /// The members that are touched, as they were before.
    before: BTreeMap<u64, Option<Record<R::Member>>>,
    /// `true` if the version rises beyond what the steps make of it.
    is_raised: bool,
    /// `true` if steps raise no version, as nobody is told of them one by one.
    is_whole: bool,
}

impl<'a, R: Rules> Draft<'a, R> {
    pub(super) fn new(rules: &'a R, view: View<R>) -> Self {
        Self {
            rules,
            view,
            before: BTreeMap::new(),
            is_raised: false,
            is_whole: false,
        }
    }

    /// The roster as it would be.
    pub(crate) fn view(&self) -> &View<R> {
        &self.view
    }

    /// Lets a member come, or replaces it.
    pub(crate) fn put(&mut self, number: u64, record: Record<R::Member>) {
        self.set(number, Some(record));
    }

    /// Lets a member leave.
    pub(crate) fn remove(&mut self, number: u64) {
        if self.view.get(number).is_some() {
            self.set(number, None);
        }
    }

    /// Raises the version, unless it is as high already.
    pub(crate) fn raise_version_to(&mut self, version: u64) {
        if self.view.origin.version < version {
            self.view.origin.version = version;
            self.is_raised = true;
        }
    }

    /// Gives the roster this version, if it has not a higher one, whatever its steps are.
    pub(super) fn is_told_as_a_whole(&mut self, version: u64) {
        self.raise_version_to(version);
        self.is_whole = true;
    }

    /// Lets a member in where the rules do; its number.
    pub(super) fn admit(&mut self, member: &Arc<R::Member>, place: Place) -> Option<u64> {
        match self.rules.admit(&self.view, member) {
            Admission::Again(number) => {
                let again = self.view.get(number)?;
                let member = Arc::clone(&again.member);
                self.put(number, Record::new(place, member));
                Some(number)
            }
            Admission::New => {
                let number = self.rules.number(self.view.last());
                self.put(number, Record::new(place, Arc::clone(member)));
                Some(number)
            }
            Admission::Wait => None,
        }
    }

    fn set(&mut self, number: u64, after: Option<Record<R::Member>>) {
        let before = self.view.set(self.rules, number, after);
        self.before.entry(number).or_insert(before);
    }

    pub(super) fn touched(&self) -> usize {
        self.before.len()
    }

    /// The steps, in the order in which all nodes tell of them, and the roster after them. `None`
    /// if nothing has changed.
    pub(super) fn finish(mut self) -> Option<(Vec<Step<R>>, View<R>)> {
        let mut steps: Vec<Step<R>> = Vec::new();
        for (number, before) in self.before {
            let after = self.view.get(number).cloned();
            if before != after {
                steps.push(Step {
                    number,
                    before,
                    after,
                    arrival: None,
                });
            }
        }
        if steps.is_empty() && !self.is_raised {
            return None;
        }
        sort(&mut steps);
        if !self.is_whole {
            self.view.origin.version += self.rules.versions(&steps);
        }
        Some((steps, self.view))
    }
}

/// Sorts steps: those who leave come first, both in the order of their numbers.
pub(super) fn sort<R: Rules>(steps: &mut [Step<R>]) {
    steps.sort_by_key(|step| (step.after.is_some(), step.number));
}

impl<R: Rules> fmt::Debug for Draft<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}
