//! A node's topics: what its sinks are given, and the reads that fill holes.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle as Runtime;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::agenda::Agenda;
use super::feed::{Deleted, PushedGroup};
use super::options::SequencerOptions;
use super::sequence::{Need, Sequence};
use super::sinks::{Counts, Sinks};
use super::store::{SharedStore, StoredHistory};
use super::topic::{State, Topic};
use crate::broker::Sink;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::error::BrokerError;
use crate::history::HistoryQuery;
use crate::position::Position;
use crate::topic_name::TopicName;

/// The time for which a missing publication may be on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

/// The reads of histories that a node has under way at a time.
const READS: usize = 8;

/// The time that callers wait for a topic that is out of step, at most, and after which nobody waits
/// for a store that is out of reach.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The longest time between two attempts at what failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The part of the bytes that is freed at once when there are too many.
const FREED_PART: usize = 16;

/// A node among those that share a store.
pub(super) struct Node<S> {
    pub(super) store: Arc<S>,
    pub(super) options: SequencerOptions,
    pub(super) runtime: Runtime,
    own: Weak<Self>,
    clock: Arc<dyn Clock>,
    /// The time of the store's server less that of this node's clock, in milliseconds.
    skew_ms: AtomicI64,
    // Replaced as a whole, so that a delivery holds only the lock of its topic.
    sinks: RwLock<Arc<[Arc<dyn Sink>]>>,
    topics: RwLock<IndexMap<TopicName, Arc<Topic>>>,
    /// The topics to be watched.
    due: Mutex<Agenda>,
    /// The topics without interest, which are given up if that stays so.
    unused: Mutex<Agenda>,
    /// Wakes the watcher.
    pub(super) work: Notify,
    /// Wakes those who wait before they try again.
    resumed: Notify,
    reads: Semaphore,
    /// The bytes of all topics' publications.
    bytes: AtomicUsize,
    pub(super) jitter: Chance,
    closed: AtomicBool,
    pub(super) counts: Counts,
}

impl<S: SharedStore> Node<S> {
    pub(super) fn new(
        store: Arc<S>,
        options: SequencerOptions,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            store,
            options,
            runtime: Runtime::current(),
            own: Weak::clone(own),
            clock,
            skew_ms: AtomicI64::new(0),
            sinks: RwLock::new(Arc::new([])),
            topics: RwLock::default(),
            due: Mutex::default(),
            unused: Mutex::default(),
            work: Notify::new(),
            resumed: Notify::new(),
            reads: Semaphore::new(READS),
            bytes: AtomicUsize::new(0),
            jitter: Chance::new(options.seed),
            closed: AtomicBool::new(false),
            counts: Counts::default(),
        })
    }

    pub(super) fn attach(&self, sink: Arc<dyn Sink>) {
        let mut sinks = self.sinks.write();
        *sinks = sinks.iter().cloned().chain([sink]).collect();
    }

    pub(super) fn sink_count(&self) -> usize {
        self.sinks.read().len()
    }

    /// Ends everything that goes on by itself.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.resumed.notify_waiters();
        self.work.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The time of day at the store's server, as far as this node can tell.
    pub(super) fn now_ms(&self) -> u64 {
        let skew_ms = self.skew_ms.load(Ordering::Relaxed);
        self.clock.now_ms().saturating_add_signed(skew_ms)
    }

    pub(super) fn find(&self, topic: &TopicName) -> Option<Arc<Topic>> {
        self.topics.read().get(topic).cloned()
    }

    pub(super) fn find_or_begin(&self, topic: &TopicName) -> Arc<Topic> {
        if let Some(topic) = self.find(topic) {
            return topic;
        }
        let mut topics = self.topics.write();
        let entry = topics
            .entry(topic.clone())
            .or_insert_with(|| Arc::new(Topic::new(topic.clone())));
        let topic = Arc::clone(entry);
        drop(topics);
        self.watch_at(Instant::now(), &topic);
        topic
    }

    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().values().cloned().collect()
    }

    pub(super) fn topic_count(&self) -> usize {
        self.topics.read().len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes a topic that nobody wants out of the table. Returns `true` if it was there.
    pub(super) fn forget(&self, topic: &Arc<Topic>) -> bool {
        let mut state = topic.state.lock();
        // It may have been wanted again since, and left again.
        let has_lingered = |left: Instant| left.elapsed() >= self.options.linger;
        if state.interests > 0 || state.is_gone || !state.left.is_none_or(has_lingered) {
            return false;
        }
        state.is_gone = true;
        self.bytes
            .fetch_sub(state.sequence.cost(), Ordering::Relaxed);
        state.sequence = Sequence::default();
        drop(state);
        self.topics.write().swap_remove(&topic.name);
        topic.changed.notify_waiters();
        true
    }

    /// Asks the watcher to watch a topic from this time on.
    pub(super) fn watch_at(&self, at: Instant, topic: &Arc<Topic>) {
        self.due.lock().add(at, topic);
        self.work.notify_one();
    }

    /// The topics whose time to be watched has come, or the time at which there will be some.
    pub(super) fn take_due(&self) -> Result<Vec<Arc<Topic>>, Option<Instant>> {
        self.due.lock().take()
    }

    /// Tries at once what waits to be tried again.
    pub(super) fn resume(&self) {
        self.due.lock().hasten();
        self.work.notify_one();
        self.resumed.notify_waiters();
    }

    /// Asks the watcher to give a topic up at this time, if nobody wants it then.
    pub(super) fn give_up_at(&self, at: Instant, topic: &Arc<Topic>) {
        self.unused.lock().add(at, topic);
        self.work.notify_one();
    }

    /// The topics whose time to be given up has come, or the time at which there will be some.
    pub(super) fn take_unused(&self) -> Result<Vec<Arc<Topic>>, Option<Instant>> {
        self.unused.lock().take()
    }

    /// Changes a topic, and sees to what follows from it.
    pub(super) fn enter<R>(
        &self,
        topic: &Arc<Topic>,
        change: impl FnOnce(&mut State, &mut Sinks<'_>) -> R,
    ) -> R {
        let mut state = topic.state.lock();
        let before = (state.sequence.position(), state.sequence.cost());
        let sinks = (state.interests > 0).then(|| Arc::clone(&self.sinks.read()));
        let mut sinks = Sinks {
            topic: &topic.name,
            sinks: sinks.as_deref().unwrap_or_default(),
            counts: &self.counts,
        };
        let result = change(&mut state, &mut sinks);
        let after = (state.sequence.position(), state.sequence.cost());
        let now = Instant::now();
        state.used = now;
        let need = state.sequence.need();
        if before.0 != after.0 && need == Need::None {
            state.confirm(now);
        }
        if need != Need::None && state.is_watched && !state.is_gone {
            if !mem::replace(&mut state.is_repairing, true) {
                self.repair(topic);
            } else if need == Need::Now {
                topic.urgent.notify_one();
            }
        }
        drop(state);
        topic.changed.notify_waiters();
        if after.1 != before.1 {
            let grown = after.1.wrapping_sub(before.1);
            let bytes = self.bytes.fetch_add(grown, Ordering::Relaxed);
            if bytes.wrapping_add(grown) > self.options.tail_bytes && after.1 > before.1 {
                self.make_space();
            }
        }
        result
    }

    /// Takes what this node has published itself, which the store also pushes.
    pub(super) fn acknowledged(&self, topic: &TopicName, group: PushedGroup) {
        self.note_time(&group);
        if let Some(topic) = self.find(topic) {
            self.take(&topic, group);
        }
    }

    /// The time until which a caller waits for a topic. Of those that come while the store is
    /// away the first takes all of the patience: it is not for each of them anew.
    pub(super) fn deadline(&self, topic: &TopicName) -> Instant {
        let away = self.store.away_from(topic).unwrap_or_default();
        Instant::now() + PATIENCE.saturating_sub(away)
    }

    /// Reads a history, one of eight at a time.
    pub(super) async fn read(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> Result<StoredHistory, BrokerError> {
        let _permit = self.reads.acquire().await.map_err(closed)?;
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        self.store.history(topic, query).await
    }

    /// Waits before another attempt at what has failed so many times in a row, or until the
    /// store has a connection again.
    pub(super) async fn pause(&self, failures: u32) {
        // Ends early when the store has resumed; otherwise after the whole of the time.
        let _ = timeout(self.pause_after(failures), self.resumed.notified()).await;
    }

    /// A time between attempts, with full jitter so that nodes do not try at once.
    pub(super) fn pause_after(&self, failures: u32) -> Duration {
        let longest = Duration::from_millis(100)
            .saturating_mul(1 << failures.min(10))
            .min(LONGEST_PAUSE);
        Duration::from_millis(10) + self.jitter.time(longest)
    }

    pub(super) fn take(&self, topic: &Arc<Topic>, group: PushedGroup) {
        self.enter(topic, |state, sinks| {
            if !state.is_gone {
                state.sequence.pushed(group, sinks);
            }
        });
    }

    pub(super) fn delete(&self, topic: &Arc<Topic>, deleted: &Deleted) {
        self.enter(topic, |state, sinks| {
            if !state.is_gone {
                state.sequence.deleted(deleted, sinks);
            }
        });
    }

    /// Compares this node's clock with that of the store's server.
    pub(super) fn note_time(&self, group: &PushedGroup) {
        if let Some(newest) = group.publications.last() {
            let skew_ms = newest.time_ms.cast_signed() - self.clock.now_ms().cast_signed();
            self.skew_ms.store(skew_ms, Ordering::Relaxed);
        }
    }

    /// Reads what a topic lacks until it lacks nothing.
    fn repair(&self, topic: &Arc<Topic>) {
        let Some(node) = self.own.upgrade() else {
            return;
        };
        let topic = Arc::clone(topic);
        self.runtime.spawn(async move {
            let mut failures = 0;
            let mut was_urgent = false;
            while let Some((need, known)) = node.goes_on(&topic) {
                let mut settled = None;
                if failures > 0 {
                    node.pause(failures).await;
                } else if was_urgent || need == Need::Later {
                    let on_its_way = ON_ITS_WAY + node.jitter.time(ON_ITS_WAY / 2);
                    // What is on its way comes, or so much comes that it is no use to wait.
                    if timeout(on_its_way, topic.urgent.notified()).await.is_err() {
                        settled = known;
                    }
                }
                was_urgent = settled.is_none();
                failures = match node.repair_once(&topic, settled).await {
                    Ok(()) => 0,
                    Err(_) => failures + 1,
                };
            }
        });
    }

    /// The need of a topic and what is known of it, or `None` if its repair ends here.
    fn goes_on(&self, topic: &Topic) -> Option<(Need, Option<Position>)> {
        let mut state = topic.state.lock();
        let need = state.sequence.need();
        let goes_on = need != Need::None && state.is_watched && !state.is_gone && !self.is_closed();
        state.is_repairing = goes_on;
        goes_on.then_some((need, state.sequence.known()))
    }

    async fn repair_once(
        &self,
        topic: &Arc<Topic>,
        settled: Option<Position>,
    ) -> Result<(), BrokerError> {
        let _permit = self.reads.acquire().await.map_err(closed)?;
        let (read, breaks) = {
            let mut state = topic.state.lock();
            if state.sequence.need() == Need::None {
                return Ok(());
            }
            (state.sequence.begin_read(settled), state.breaks)
        };
        let begun = Instant::now();
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let found = self.store.history(&topic.name, read.query).await;
        self.enter(topic, |state, sinks| {
            if state.is_gone {
                return Ok(());
            }
            match found {
                Ok(found) => {
                    state.sequence.finish_read(read, found, sinks);
                    if state.breaks == breaks && state.sequence.need() == Need::None {
                        state.compared(begun);
                    }
                    Ok(())
                }
                Err(error) => {
                    state.sequence.doubt();
                    Err(error)
                }
            }
        })
    }

    /// Forgets the publications of the topics that were not used for the longest time.
    fn make_space(&self) {
        let mut topics: Vec<_> = self
            .topics()
            .into_iter()
            .filter_map(|topic| {
                let used = topic.state.try_lock()?.used;
                Some((used, topic))
            })
            .collect();
        topics.sort_by_key(|(used, _)| *used);
        let limit = self.options.tail_bytes;
        let enough = limit - limit / FREED_PART;
        for (_, topic) in topics {
            if self.bytes() <= enough {
                break;
            }
            if let Some(mut state) = topic.state.try_lock()
                && !state.is_gone
            {
                let before = state.sequence.cost();
                state.sequence.shed();
                let freed = before - state.sequence.cost();
                self.bytes.fetch_sub(freed, Ordering::Relaxed);
            }
        }
    }
}

fn closed(error: tokio::sync::AcquireError) -> BrokerError {
    BrokerError::Unavailable(error.into())
}

/// Waits for no longer than a caller does.
pub(super) async fn patient<T>(
    deadline: Instant,
    wait: impl Future<Output = T>,
) -> Result<T, BrokerError> {
    tokio::time::timeout_at(deadline, wait)
        .await
        .map_err(|_| BrokerError::Unavailable("the topic is out of step with the store".into()))
}

/// A short pause of the caller's.
pub(super) async fn breathe() {
    sleep(Duration::from_millis(10)).await;
}
