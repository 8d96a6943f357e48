//! The shares of owners and topics in the tables.

use std::collections::HashMap;

use crate::owner::Owner;
use crate::publication::Publication;

/// The bytes of each owner; `None` for publications without one.
pub(super) type Shares = HashMap<Option<Owner>, u64>;

/// About what a publication takes in the tables beside its data.
const AROUND: u64 = 32;

/// Adds a publication to the shares of a run. The place of a deleted one is nobody's.
pub(super) fn add_to(shares: &mut Shares, publication: &Publication) {
    if !publication.is_deleted {
        let bytes = publication.data.len() as u64 + AROUND;
        *shares.entry(publication.owner.clone()).or_default() += bytes;
    }
}

/// The key of a run in the tables.
pub(super) type RunKey = [u8; 16];

/// A run that has changed, with its shares before and after.
pub(super) type Recount = (RunKey, Shares, Shares);

/// The bytes of publications in the tables, by topic and owner.
///
/// After the store was opened its runs are counted one after the other, in the order of their keys,
/// while others come and go: those behind the place that was reached are counted later.
#[derive(Default)]
pub(super) struct Usage {
    total: u64,
    owners: Shares,
    topics: HashMap<u64, Shares>,
    /// The last run that was counted.
    reached: Option<RunKey>,
    is_whole: bool,
}

impl Usage {
    /// The last run that was counted; `None` before the first.
    pub(super) fn reached(&self) -> Option<RunKey> {
        self.reached
    }

    /// Returns `true` once all runs are counted.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Counts the next run that was there.
    pub(super) fn count(&mut self, key: RunKey, shares: Shares) {
        self.reached = Some(key);
        self.put(key, shares);
    }

    /// Notes that there is no further run to count.
    pub(super) fn complete(&mut self) {
        self.is_whole = true;
    }

    /// Adds a new run.
    pub(super) fn add(&mut self, key: RunKey, shares: Shares) {
        if self.has_counted(&key) {
            self.put(key, shares);
        }
    }

    /// Removes a run.
    pub(super) fn remove(&mut self, key: &RunKey, shares: &Shares) {
        if !self.has_counted(key) {
            return;
        }
        let topic = topic_of(key);
        let of_topic = self.topics.entry(topic).or_default();
        for (owner, bytes) in shares {
            self.total = self.total.saturating_sub(*bytes);
            take(of_topic, owner, *bytes);
            take(&mut self.owners, owner, *bytes);
        }
        if of_topic.is_empty() {
            self.topics.remove(&topic);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The owners with more than so many bytes.
    pub(super) fn above(&self, bytes: u64) -> impl Iterator<Item = (&Option<Owner>, u64)> {
        self.owners
            .iter()
            .map(|(owner, of)| (owner, *of))
            .filter(move |(_, of)| *of > bytes)
    }

    /// The shares in a topic; `None` if nothing of it is in the tables.
    pub(super) fn of_topic(&self, topic: u64) -> Option<&Shares> {
        self.topics.get(&topic)
    }

    fn has_counted(&self, key: &RunKey) -> bool {
        self.is_whole || self.reached.is_some_and(|reached| *key <= reached)
    }

    fn put(&mut self, key: RunKey, shares: Shares) {
        let of_topic = self.topics.entry(topic_of(&key)).or_default();
        for (owner, bytes) in shares {
            self.total += bytes;
            // One name for all topics.
            let known = self.owners.get_key_value(&owner);
            let owner = known.map_or(owner.clone(), |(owner, _)| owner.clone());
            *self.owners.entry(owner.clone()).or_default() += bytes;
            *of_topic.entry(owner).or_default() += bytes;
        }
        if of_topic.is_empty() {
            self.topics.remove(&topic_of(&key));
        }
    }
}

fn take(shares: &mut Shares, owner: &Option<Owner>, bytes: u64) {
    if let Some(of_owner) = shares.get_mut(owner) {
        *of_owner = of_owner.saturating_sub(bytes);
        if *of_owner == 0 {
            shares.remove(owner);
        }
    }
}

fn topic_of(key: &RunKey) -> u64 {
    let mut topic = [0; 8];
    topic.copy_from_slice(&key[..8]);
    u64::from_be_bytes(topic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::record::run_key;

    fn shares(owner: &str, bytes: u64) -> Shares {
        Shares::from([(Some(Owner::new(owner)), bytes)])
    }

    #[test]
    fn a_run_counts_once_whether_it_was_there_or_came_meanwhile() {
        let mut usage = Usage::default();
        usage.count(run_key(1, 1), shares("ada", 10));
        // Behind the place that was reached: it is counted when that comes there.
        usage.add(run_key(3, 1), shares("bob", 20));
        usage.add(run_key(1, 0), shares("ada", 1));
        usage.remove(&run_key(2, 1), &shares("eve", 5));
        assert_eq!(usage.total(), 11);
        usage.count(run_key(3, 1), shares("bob", 20));
        usage.complete();
        usage.add(run_key(9, 1), shares("ada", 7));
        assert_eq!(usage.total(), 38);
        let largest: Vec<_> = usage.above(18).map(|(_, bytes)| bytes).collect();
        assert_eq!(largest, [20]);
        usage.remove(&run_key(3, 1), &shares("bob", 20));
        assert!(usage.of_topic(3).is_none());
        assert_eq!(usage.of_topic(1), Some(&shares("ada", 11)));
        assert_eq!(usage.total(), 18);
    }
}
