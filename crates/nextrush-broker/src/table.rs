//! All topics of a process by name, bounded in number and bytes.

use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::clock::{Clock, Now};
use crate::topic_name::TopicName;

/// The number of maps. Topics are spread over them, so that a map that is locked for a change
/// or a sweep blocks few other topics.
const SHARDS: usize = 64;

/// The time between two sweeps of a shard; each shard is swept once in 64 of these.
const SWEEP_EVERY_MS: u64 = 1000;

/// The part of the topics that is forgotten at once when there are too many: finding the
/// longest unused ones takes a look at all.
const EVICTED_PART: usize = 16;

/// The part of the bytes that is freed at once when there are too many, so that the next look
/// at all topics is far away.
const FREED_PART: usize = 16;

/// The state that a table keeps of a topic.
pub(crate) trait Entry {
    /// The state of a topic that was not in the table.
    fn begin(now: Now) -> Self;
    /// Forgets publications that have expired at the steady time `now_ms`.
    fn trim(&mut self, now_ms: u64);
    /// Returns `true` if the topic can be forgotten unnoticed at the steady time `now_ms`: it has no
    /// subscriber and no history, and has not been used for `idle` since its history expired.
    fn is_idle(&self, now_ms: u64, idle: Duration) -> bool;
    /// The value of the topic, to evict the least valuable first; `None` if it must stay.
    fn worth(&self) -> Option<(bool, u64)>;
    /// The steady time of the last use.
    fn used_ms(&self) -> u64;
    /// The bytes of the history.
    fn cost(&self) -> usize;
    /// Forgets at least `bytes` of the history, or all of it.
    fn shed(&mut self, bytes: usize);
    /// Ends this life. Others who still hold the entry look the topic up again.
    fn forget(&mut self);
    /// Returns `true` if this life has ended.
    fn is_forgotten(&self) -> bool;
}

/// The bounds of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableLimits {
    pub(crate) topics: usize,
    pub(crate) bytes: usize,
    pub(crate) idle: Duration,
    pub(crate) shed: Shed,
}

impl TableLimits {
    /// Returns whether nothing of a topic is forgotten for want of room, as it cannot be read again.
    fn spares(&self, topic: &TopicName) -> bool {
        self.shed == Shed::Largest && topic.is_internal()
    }
}

/// The histories that are forgotten first when there are too many bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shed {
    /// The histories of the longest unused topics, where they can be read again.
    #[cfg(feature = "embedded")]
    LongestUnused,
    /// The largest, so that whoever fills the memory takes it from itself and not from others.
    Largest,
}

/// The topics of a process by name.
///
/// Locks: an entry's lock is held while sinks run, so nothing waits for one while it holds a
/// map's lock. Sweeping and evicting skip entries that are in use.
pub(crate) struct Table<S> {
    shards: Box<[Shard<S>]>,
    hasher: RandomState,
    clock: Box<dyn Clock>,
    limits: TableLimits,
    /// The number of entries in all shards.
    count: AtomicUsize,
    /// The bytes of all histories.
    bytes: AtomicUsize,
    /// The count above which topics are evicted.
    evict_above: AtomicUsize,
    evicting: Mutex<()>,
    /// The time up to which shards have been swept.
    swept_ms: AtomicU64,
    next_swept: AtomicUsize,
}

type Shard<S> = RwLock<HashMap<TopicName, Arc<Mutex<S>>>>;

impl<S: Entry> Table<S> {
    pub(crate) fn new(limits: TableLimits, clock: Box<dyn Clock>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::<S>::default()).collect(),
            hasher: RandomState::new(),
            limits,
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            evict_above: AtomicUsize::new(limits.topics),
            evicting: Mutex::new(()),
            swept_ms: AtomicU64::new(clock.steady_ms()),
            next_swept: AtomicUsize::new(0),
            clock,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The bytes of all histories.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn now(&self) -> Now {
        Now::of(&*self.clock)
    }

    /// The steady time.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.steady_ms()
    }

    /// Runs `act` on the topic's entry under its lock, with the time. Begins the entry if
    /// there is none.
    pub(crate) fn enter<R>(&self, topic: &TopicName, act: impl FnOnce(&mut S, Now) -> R) -> R {
        let now = self.sweep();
        let mut began = false;
        let result = loop {
            let entry = self.find(topic).unwrap_or_else(|| {
                began = true;
                self.begin(topic)
            });
            let mut entry = entry.lock();
            if !entry.is_forgotten() {
                break self.change(&mut entry, |entry| act(entry, now));
            }
        };
        if began {
            self.make_room(topic);
        }
        if self.bytes() > self.limits.bytes {
            self.make_space();
        }
        result
    }

    /// Does the same only if the entry exists and is not locked, so that it never waits.
    #[cfg(feature = "embedded")]
    pub(crate) fn try_enter<R>(
        &self,
        topic: &TopicName,
        act: impl FnOnce(&mut S, Now) -> R,
    ) -> Option<R> {
        let now = self.sweep();
        let entry = self.find(topic)?;
        let mut entry = entry.try_lock()?;
        if entry.is_forgotten() {
            return None;
        }
        Some(self.change(&mut entry, |entry| act(entry, now)))
    }

    /// Does the same only if the entry exists.
    pub(crate) fn enter_existing(&self, topic: &TopicName, act: impl FnOnce(&mut S, Now)) {
        if let Some(entry) = self.find(topic) {
            let mut entry = entry.lock();
            if !entry.is_forgotten() {
                self.change(&mut entry, |entry| act(entry, self.now()));
            }
        }
    }

    /// The first `limit` topics whose names come after `after`, of those that are `wanted`.
    pub(crate) fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
        wanted: impl Fn(&S) -> bool,
    ) -> BTreeSet<TopicName> {
        let mut found = BTreeSet::new();
        for shard in &self.shards {
            let entries: Vec<_> = shard
                .read()
                .iter()
                .filter(|(topic, _)| after.is_none_or(|after| *topic > after))
                .map(|(topic, entry)| (topic.clone(), Arc::clone(entry)))
                .collect();
            for (topic, entry) in entries {
                let entry = entry.lock();
                if !entry.is_forgotten() && wanted(&entry) {
                    found.insert(topic);
                }
                if found.len() > limit {
                    found.pop_last();
                }
            }
        }
        found
    }

    /// Changes an entry and updates the count of bytes.
    fn change<R>(&self, entry: &mut S, change: impl FnOnce(&mut S) -> R) -> R {
        /// Updates the count even if the change panics (a sink may).
        struct Counted<'a, S: Entry>(&'a mut S, usize, &'a AtomicUsize);

        impl<S: Entry> Drop for Counted<'_, S> {
            fn drop(&mut self) {
                let after = self.0.cost();
                if after >= self.1 {
                    self.2.fetch_add(after - self.1, Ordering::Relaxed);
                } else {
                    self.2.fetch_sub(self.1 - after, Ordering::Relaxed);
                }
            }
        }

        let before = entry.cost();
        let counted = Counted(entry, before, &self.bytes);
        change(&mut *counted.0)
    }

    fn find(&self, topic: &TopicName) -> Option<Arc<Mutex<S>>> {
        self.shard(topic).read().get(topic).cloned()
    }

    fn begin(&self, topic: &TopicName) -> Arc<Mutex<S>> {
        match self.shard(topic).write().entry(topic.clone()) {
            // Another thread was faster.
            Place::Occupied(entry) => Arc::clone(entry.get()),
            Place::Vacant(place) => {
                let entry = Arc::new(Mutex::new(S::begin(self.now())));
                self.count.fetch_add(1, Ordering::Relaxed);
                Arc::clone(place.insert(entry))
            }
        }
    }

    fn shard(&self, topic: &TopicName) -> &Shard<S> {
        let hash = self.hasher.hash_one(topic);
        &self.shards[(hash % SHARDS as u64) as usize]
    }

    /// Forgets topics if there are too many, but never `newest`.
    fn make_room(&self, newest: &TopicName) {
        if self.count() <= self.evict_above.load(Ordering::Relaxed) {
            return;
        }
        let _one_at_a_time = self.evicting.lock();
        let count = self.count();
        if count <= self.evict_above.load(Ordering::Relaxed) {
            return;
        }

        let part = (count / EVICTED_PART).max(1);
        let mut candidates = Vec::new();
        for shard in &self.shards {
            for (topic, entry) in &*shard.read() {
                if topic != newest
                    && !self.limits.spares(topic)
                    && let Some(entry) = entry.try_lock()
                    && let Some(worth) = entry.worth()
                {
                    candidates.push((worth, topic.clone()));
                }
            }
        }
        let wanted = count.saturating_sub(self.limits.topics) + part - 1;
        if wanted < candidates.len() {
            candidates.select_nth_unstable(wanted);
            candidates.truncate(wanted);
        }
        for (_, topic) in candidates {
            self.forget(&topic, |entry| entry.worth().is_some());
        }

        // If most topics must stay, the next look waits until it can pay off.
        let count = self.count();
        let above = if count > self.limits.topics {
            count + part
        } else {
            self.limits.topics
        };
        self.evict_above.store(above, Ordering::Relaxed);
    }

    /// Forgets history, down to a sixteenth below the limit.
    fn make_space(&self) {
        let _one_at_a_time = self.evicting.lock();
        let enough = self.limits.bytes - self.limits.bytes / FREED_PART;
        if self.bytes() <= self.limits.bytes {
            return;
        }
        let mut candidates = Vec::new();
        for shard in &self.shards {
            for (topic, entry) in &*shard.read() {
                if !self.limits.spares(topic)
                    && let Some(entry) = entry.try_lock()
                    && entry.cost() > 0
                {
                    candidates.push((entry.used_ms(), entry.cost(), topic.clone()));
                }
            }
        }
        candidates.sort_unstable();
        let level = match self.limits.shed {
            #[cfg(feature = "embedded")]
            Shed::LongestUnused => 0,
            Shed::Largest => {
                let costs: Vec<usize> = candidates.iter().map(|(_, cost, _)| *cost).collect();
                let in_use = self.bytes().saturating_sub(costs.iter().sum());
                level(costs, enough.saturating_sub(in_use))
            }
        };
        for (_, cost, topic) in candidates {
            let surplus = self.bytes().saturating_sub(enough);
            if surplus == 0 {
                break;
            }
            let surplus = surplus.min(cost.saturating_sub(level));
            if surplus > 0
                && let Some(entry) = self.find(&topic)
                && let Some(mut entry) = entry.try_lock()
                && !entry.is_forgotten()
            {
                self.change(&mut entry, |entry| entry.shed(surplus));
            }
        }
    }

    /// Frees expired publications in the shards that are due. Returns the time.
    fn sweep(&self) -> Now {
        let now = self.now();
        let now_ms = now.steady_ms;
        let swept_ms = self.swept_ms.load(Ordering::Relaxed);
        let (turns, next_ms) = match now_ms.checked_sub(swept_ms) {
            // Another thread has read the clock later.
            None => return now,
            Some(passed_ms) if passed_ms < SWEEP_EVERY_MS => return now,
            Some(passed_ms) => {
                let turns = passed_ms / SWEEP_EVERY_MS;
                (turns, swept_ms + turns * SWEEP_EVERY_MS)
            }
        };
        let won =
            self.swept_ms
                .compare_exchange(swept_ms, next_ms, Ordering::Relaxed, Ordering::Relaxed);
        if won.is_ok() {
            for _ in 0..turns.min(SHARDS as u64) {
                let shard = self.next_swept.fetch_add(1, Ordering::Relaxed) % SHARDS;
                self.sweep_shard(&self.shards[shard], now_ms);
            }
        }
        now
    }

    fn sweep_shard(&self, shard: &Shard<S>, now_ms: u64) {
        let is_idle = |entry: &S| entry.is_idle(now_ms, self.limits.idle);
        let mut idle = Vec::new();
        for (topic, entry) in &*shard.read() {
            if let Some(mut entry) = entry.try_lock() {
                self.change(&mut entry, |entry| entry.trim(now_ms));
                if is_idle(&entry) {
                    idle.push(topic.clone());
                }
            }
        }
        for topic in idle {
            self.forget(&topic, is_idle);
        }
    }

    /// Forgets the topic unless it is locked or `still` no longer holds.
    fn forget(&self, topic: &TopicName, still: impl Fn(&S) -> bool) {
        let mut shard = self.shard(topic).write();
        if let Place::Occupied(place) = shard.entry(topic.clone()) {
            let Some(mut entry) = place.get().try_lock() else {
                return;
            };
            if !still(&entry) {
                return;
            }
            self.bytes.fetch_sub(entry.cost(), Ordering::Relaxed);
            entry.forget();
            drop(entry);
            place.remove();
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 4 {
            let len = shard.len();
            shard.shrink_to(len * 2);
        }
    }
}

/// The height at which all costs have to be cut off so that no more than `enough` is left.
fn level(mut costs: Vec<usize>, enough: usize) -> usize {
    costs.sort_unstable();
    let mut left = enough;
    for (index, cost) in costs.iter().enumerate() {
        let even = left / (costs.len() - index);
        if *cost > even {
            return even;
        }
        left -= cost;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::clock::SystemClock;
    use crate::stream::Stream;

    #[test]
    fn the_level_cuts_off_the_largest_only() {
        for (costs, enough, expected) in [
            (vec![], 10, usize::MAX),
            (vec![10, 20, 70], 100, usize::MAX),
            (vec![70, 10, 20], 60, 30),
            (vec![5, 50, 50], 65, 30),
            (vec![9, 9, 9], 6, 2),
            (vec![9], 0, 0),
        ] {
            assert_eq!(level(costs.clone(), enough), expected, "{costs:?} {enough}");
        }
    }

    #[test]
    fn who_waits_for_an_entry_while_it_is_forgotten_gets_the_next_one() {
        let topic = TopicName::try_from("a").unwrap();
        // The scheduler decides whether the second thread is waiting by then, hence the
        // rounds.
        for _ in 0..200 {
            let limits = TableLimits {
                topics: 10,
                bytes: 10,
                idle: Duration::from_secs(1),
                shed: Shed::Largest,
            };
            let topics = Table::<Stream>::new(limits, Box::new(SystemClock));
            let both = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    topics.enter(&topic, |stream, _| {
                        both.wait();
                        (0..50).for_each(|_| thread::yield_now());
                        stream.forget();
                        topics.shard(&topic).write().remove(&topic);
                    });
                });
                both.wait();
                let forgotten = topics.enter(&topic, |stream, _| stream.is_forgotten());
                assert!(!forgotten);
            });
        }
    }
}
