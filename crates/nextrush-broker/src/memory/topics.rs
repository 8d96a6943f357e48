use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};

use super::{MemoryLimits, stream::Stream};
use crate::{Clock, Topic};

/// Topics are spread over this many maps, so that one being changed or swept holds up
/// few others.
const SHARDS: usize = 64;

/// One shard is swept each second, so every topic once in 64.
const SWEEP_EVERY_MS: u64 = 1000;

/// At the limit a sixteenth of the topics is forgotten at once: finding the longest
/// unused ones means looking at all.
const EVICTED_PART: usize = 16;

/// The streams by name, and when they are forgotten.
///
/// Locks: nothing waits for a stream's lock while it holds a map's, because a stream's
/// lock is held while sinks run. Sweeping and evicting pass over streams in use.
pub(super) struct Topics {
    shards: Box<[Shard]>,
    hasher: RandomState,
    clock: Box<dyn Clock>,
    limits: MemoryLimits,
    /// The number of entries in all shards.
    count: AtomicUsize,
    /// Above this count topics are evicted.
    evict_above: AtomicUsize,
    evicting: Mutex<()>,
    /// Up to when sweeping is done.
    swept_ms: AtomicU64,
    next_swept: AtomicUsize,
}

type Shard = RwLock<HashMap<Topic, Arc<Mutex<Stream>>>>;

impl Topics {
    pub(super) fn new(limits: MemoryLimits, clock: Box<dyn Clock>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::new(),
            limits,
            count: AtomicUsize::new(0),
            evict_above: AtomicUsize::new(limits.topics),
            evicting: Mutex::new(()),
            swept_ms: AtomicU64::new(clock.now_ms()),
            next_swept: AtomicUsize::new(0),
            clock,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Runs `act` on the topic's stream, with the time, under the stream's lock. Begins
    /// the stream if there is none.
    pub(super) fn enter<R>(&self, topic: &Topic, act: impl FnOnce(&mut Stream, u64) -> R) -> R {
        self.sweep();
        let mut began = false;
        let result = loop {
            let entry = self.find(topic).unwrap_or_else(|| {
                began = true;
                self.begin(topic)
            });
            let mut stream = entry.lock();
            if !stream.is_forgotten() {
                break act(&mut stream, self.clock.now_ms());
            }
        };
        if began {
            self.make_room(topic);
        }
        result
    }

    /// As [`enter`](Self::enter), but does nothing if there is no stream.
    pub(super) fn enter_existing(&self, topic: &Topic, act: impl FnOnce(&mut Stream, u64)) {
        if let Some(entry) = self.find(topic) {
            let mut stream = entry.lock();
            if !stream.is_forgotten() {
                act(&mut stream, self.clock.now_ms());
            }
        }
    }

    fn find(&self, topic: &Topic) -> Option<Arc<Mutex<Stream>>> {
        self.shard(topic).read().get(topic).cloned()
    }

    fn begin(&self, topic: &Topic) -> Arc<Mutex<Stream>> {
        match self.shard(topic).write().entry(topic.clone()) {
            // Somebody else was faster.
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(place) => {
                let stream = Arc::new(Mutex::new(Stream::begin(self.clock.now_ms())));
                self.count.fetch_add(1, Ordering::Relaxed);
                Arc::clone(place.insert(stream))
            }
        }
    }

    fn shard(&self, topic: &Topic) -> &Shard {
        let hash = self.hasher.hash_one(topic);
        &self.shards[(hash % SHARDS as u64) as usize]
    }

    /// Forgets topics if there are too many, but never `newest`.
    fn make_room(&self, newest: &Topic) {
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
                    && let Some(stream) = entry.try_lock()
                    && let Some(worth) = stream.worth()
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
            self.forget(&topic, |stream| !stream.has_interest());
        }

        // Where most must stay, the next look waits until it may pay.
        let count = self.count();
        let above = if count > self.limits.topics {
            count + part
        } else {
            self.limits.topics
        };
        self.evict_above.store(above, Ordering::Relaxed);
    }

    /// Frees what has expired in the shards whose turn has come.
    fn sweep(&self) {
        let now_ms = self.clock.now_ms();
        let swept_ms = self.swept_ms.load(Ordering::Relaxed);
        let (turns, next_ms) = match now_ms.checked_sub(swept_ms) {
            // The clock was set back: count from there.
            None => (0, now_ms),
            Some(passed_ms) if passed_ms < SWEEP_EVERY_MS => return,
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
    }

    fn sweep_shard(&self, shard: &Shard, now_ms: u64) {
        let is_idle = |stream: &Stream| stream.is_idle(now_ms, self.limits.idle);
        let mut idle = Vec::new();
        for (topic, entry) in &*shard.read() {
            if let Some(mut stream) = entry.try_lock() {
                stream.trim(now_ms);
                if is_idle(&stream) {
                    idle.push(topic.clone());
                }
            }
        }
        for topic in idle {
            self.forget(&topic, is_idle);
        }
    }

    /// Forgets the topic unless it is in use at this moment or `still` no longer holds.
    fn forget(&self, topic: &Topic, still: impl Fn(&Stream) -> bool) {
        let mut shard = self.shard(topic).write();
        if let Entry::Occupied(entry) = shard.entry(topic.clone()) {
            let Some(mut stream) = entry.get().try_lock() else {
                return;
            };
            if !still(&stream) {
                return;
            }
            stream.forget();
            drop(stream);
            entry.remove();
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 4 {
            let len = shard.len();
            shard.shrink_to(len * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;
    use crate::SystemClock;

    #[test]
    fn who_waits_for_a_stream_while_it_is_forgotten_gets_the_next_one() {
        let topic = Topic::try_from("a").unwrap();
        // Whether the second thread is waiting by then is up to the scheduler, hence
        // the rounds.
        for _ in 0..200 {
            let topics = Topics::new(MemoryLimits::default(), Box::new(SystemClock));
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
