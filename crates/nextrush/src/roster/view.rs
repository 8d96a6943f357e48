//! A roster at one moment.

use std::fmt;
use std::ops::Bound;

use nextrush_broker::RosterRevision;
use rpds::RedBlackTreeMapSync;

use super::change::Step;
use super::place::Record;
use super::rules::{Origin, Rules};

/// A roster at one moment. A clone is cheap and does not change with the roster.
pub(crate) struct View<R: Rules> {
    pub(super) revision: RosterRevision,
    pub(super) origin: Origin,
    /// A number that is another one after the store has forgotten something; 0 if it is not known.
    pub(super) life: u64,
    members: RedBlackTreeMapSync<u64, Record<R::Member>>,
    index: R::Index,
}

impl<R: Rules> View<R> {
    /// A roster in which nobody is.
    pub(super) fn new(revision: RosterRevision, origin: Origin) -> Self {
        Self {
            revision,
            origin,
            life: 0,
            members: RedBlackTreeMapSync::new_sync(),
            index: R::Index::default(),
        }
    }

    /// The number of visible changes so far: what clients are told rises with it. Changes of places
    /// do not raise it.
    pub(crate) fn version(&self) -> u64 {
        self.origin.version
    }

    /// The highest number that a member has had so far.
    pub(crate) fn last(&self) -> u64 {
        self.origin.last
    }

    pub(crate) fn len(&self) -> usize {
        self.members.size()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Record<R::Member>> {
        self.members.get(&number)
    }

    /// The members by their numbers, which is the order in which they came.
    pub(crate) fn members(&self) -> impl Iterator<Item = (u64, &Record<R::Member>)> {
        self.members
            .iter()
            .map(|(number, record)| (*number, record))
    }

    /// The members with numbers higher than this one.
    pub(crate) fn members_after(
        &self,
        after: u64,
    ) -> impl Iterator<Item = (u64, &Record<R::Member>)> {
        let range = (Bound::Excluded(after), Bound::Unbounded);
        self.members
            .range(range)
            .map(|(number, record)| (*number, record))
    }

    pub(crate) fn index(&self) -> &R::Index {
        &self.index
    }

    /// Lets a member come, change, or leave; the record before.
    pub(super) fn set(
        &mut self,
        rules: &R,
        number: u64,
        after: Option<Record<R::Member>>,
    ) -> Option<Record<R::Member>> {
        let before = self.members.get(&number).cloned();
        rules.index(&mut self.index, number, before.as_ref(), after.as_ref());
        match after {
            Some(record) => {
                self.origin.last = self.origin.last.max(number);
                self.members.insert_mut(number, record);
            }
            None => {
                self.members.remove_mut(&number);
            }
        }
        before
    }

    pub(super) fn make(&mut self, rules: &R, steps: &[Step<R>]) {
        for step in steps {
            self.set(rules, step.number, step.after.clone());
        }
    }

    /// Returns whether clients see the same in both.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        let mut members = self.members().zip(other.members());
        self.len() == other.len()
            && members.all(|((number, record), (other_number, other))| {
                number == other_number && record.member == other.member
            })
    }
}

impl<R: Rules> Clone for View<R> {
    fn clone(&self) -> Self {
        Self {
            revision: self.revision,
            origin: self.origin,
            life: self.life,
            members: self.members.clone(),
            index: self.index.clone(),
        }
    }
}

impl<R: Rules> fmt::Debug for View<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("revision", &self.revision)
            .field("origin", &self.origin)
            .field("members", &self.members().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
