//! The broker that keeps everything in memory.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::RwLock;

use crate::answer::Once;
use crate::answers::Answers;
use crate::broker::{Broker, Immediate, Sink};
use crate::claim::{Attempt, Claim, Claimed};
use crate::clock::{Clock, SystemClock};
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::{History, HistoryQuery};
use crate::leases::{Leases, answer_of, kept, kept_bytes};
use crate::position::Position;
use crate::publication::{Publish, Published, Version};
use crate::stream::Stream;
use crate::table::{Shed, Table, TableLimits};
use crate::topic_name::TopicName;

/// The broker of a single process that keeps everything in memory and forgets it with the
/// process.
///
/// It refuses [reused](BrokerError::Reused) keys, and to remember more answers than it may; it
/// fails in no other way, and its futures are ready the first time they are polled. Publishers of
/// the same topic wait for each other, publishers of different topics don't.
///
/// # Bounds
///
/// The [`Retention`](crate::Retention) of its newest publication bounds a topic's history, at
/// reading too. [`MemoryLimits`] bound the number of topics and the bytes of all histories
/// and answers. Topics that this process is subscribed to are never forgotten and come on
/// top, so bound the subscriptions as well. Expired publications are freed while the broker
/// is in use, about once a minute for each topic. Beside its history a topic costs a few
/// hundred bytes.
///
/// A topic that was forgotten begins a new [`Epoch`](crate::Epoch) when it is used again.
/// Deleted messages are freed at once.
///
/// # Time
///
/// Ages and windows are measured by the [`Clock`]'s steady time, whatever becomes of its time of day.
/// The times of a topic's publications are those of the day. They do not fall where the clock is
/// set back by a minute at most; where it is set back by more, it was wrong before, and times fall
/// once.
pub struct MemoryBroker {
    topics: Table<Stream>,
    answers: Answers,
    leases: Leases,
    // Replaced as a whole, so that a delivery holds only the lock of its topic.
    sinks: RwLock<Arc<[Arc<dyn Sink>]>>,
}

/// The bounds of all that a [`MemoryBroker`] keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MemoryLimits {
    /// The most topics. Beyond that, topics without subscribers are forgotten: first those
    /// without history, then those with, the longest unused first. A sixteenth of the topics,
    /// at least 1, is forgotten at a time, and the number may be exceeded by as many. Default
    /// 100,000.
    pub topics: usize,
    /// The time for which an unused topic keeps its epoch and offset after its history has
    /// expired. Default 1 hour.
    pub idle: Duration,
    /// The most bytes of all histories, with about 100 for each publication beside its data.
    /// Beyond that the oldest publications of the topics with the most bytes are forgotten, with
    /// subscribers or without; positions stay, and so do small histories and those of
    /// [internal](TopicName::is_internal) topics. Default 256 MiB.
    pub history_bytes: usize,
    /// The most bytes of answers to commands and of the keys of publications that happen
    /// once, with about 256 for each beside its texts. Beyond that the
    /// [owner](crate::CommandKey::owner) with the most bytes is refused with
    /// [`BrokerError::Unavailable`]; for another one the first of that owner's to end are
    /// forgotten early. [Versions](crate::Version) count as those of an owner of their own who is not
    /// refused: those that have not risen for longest are forgotten. Default 32 MiB.
    pub answer_bytes: usize,
}

impl MemoryLimits {
    /// Sets [`topics`](Self::topics).
    #[must_use]
    pub const fn topics(self, topics: usize) -> Self {
        Self { topics, ..self }
    }

    /// Sets [`idle`](Self::idle).
    #[must_use]
    pub const fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// Sets [`history_bytes`](Self::history_bytes).
    #[must_use]
    pub const fn history_bytes(self, history_bytes: usize) -> Self {
        Self {
            history_bytes,
            ..self
        }
    }

    /// Sets [`answer_bytes`](Self::answer_bytes).
    #[must_use]
    pub const fn answer_bytes(self, answer_bytes: usize) -> Self {
        Self {
            answer_bytes,
            ..self
        }
    }
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            topics: 100_000,
            idle: Duration::from_secs(60 * 60),
            history_bytes: 256 << 20,
            answer_bytes: 32 << 20,
        }
    }
}

/// The limits and the clock of a [`MemoryBroker`] to be made.
#[must_use = "a builder does nothing before it builds the broker"]
pub struct MemoryBuilder {
    limits: MemoryLimits,
    clock: Box<dyn Clock>,
}

impl MemoryBuilder {
    /// Sets the limits.
    pub fn limits(self, limits: MemoryLimits) -> Self {
        Self { limits, ..self }
    }

    /// Replaces the system's clock.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Box::new(clock),
            ..self
        }
    }

    /// Makes the broker.
    #[must_use]
    pub fn build(self) -> MemoryBroker {
        let limits = TableLimits {
            topics: self.limits.topics,
            bytes: self.limits.history_bytes,
            idle: self.limits.idle,
            shed: Shed::Largest,
        };
        MemoryBroker {
            topics: Table::new(limits, self.clock),
            answers: Answers::new(self.limits.answer_bytes),
            leases: Leases::default(),
            sinks: RwLock::new(Arc::new([])),
        }
    }
}

impl fmt::Debug for MemoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBuilder")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl MemoryBroker {
    /// A broker with the default limits and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A builder for a broker with other limits or another clock.
    ///
    /// ```
    /// use nextrush_broker::{MemoryBroker, MemoryLimits};
    ///
    /// let limits = MemoryLimits::default().history_bytes(16 << 20);
    /// let broker = MemoryBroker::builder().limits(limits).build();
    /// assert_eq!(broker.topic_count(), 0);
    /// ```
    pub fn builder() -> MemoryBuilder {
        MemoryBuilder {
            limits: MemoryLimits::default(),
            clock: Box::new(SystemClock),
        }
    }

    /// The number of topics in memory.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.count()
    }

    /// The bytes of all histories.
    #[must_use]
    pub fn history_bytes(&self) -> usize {
        self.topics.bytes()
    }

    /// The position of the publication that has this version or a higher one.
    fn newer(&self, topic: &TopicName, version: &Version, now_ms: u64) -> Option<Position> {
        let before = self.answers.version(topic, version.key.as_ref(), now_ms)?;
        version.outdated_by(&before)
    }

    /// The position of the publication that this one would repeat.
    fn earlier(
        &self,
        topic: &TopicName,
        once: Option<&Once>,
        now_ms: u64,
    ) -> Result<Option<Position>, BrokerError> {
        let Some(once) = once else {
            return Ok(None);
        };
        match self.answers.recall(Some(topic), &once.key, now_ms) {
            Some(answer) => Ok(once.repeated(&answer)?),
            None => Ok(None),
        }
    }
}

impl Immediate for MemoryBroker {
    fn publish_now(&self, topic: &TopicName, publish: Publish) -> Result<Published, BrokerError> {
        self.topics.enter(topic, |stream, now| {
            let now_ms = now.steady_ms;
            if let Some(position) = self.earlier(topic, publish.once.as_ref(), now_ms)? {
                return Ok(Published::repeat(position));
            }
            if let Some(version) = &publish.version
                && let Some(newer) = self.newer(topic, version, now_ms)
            {
                return Ok(Published::outdated(newer));
            }
            if let Some(once) = &publish.once {
                let bytes = once.kept(stream.position()).len();
                self.answers
                    .make_room(Some(topic), &once.key, bytes, now_ms)?;
            }
            if let Some(version) = &publish.version {
                let bytes = version.kept(stream.position()).len();
                let key = version.key.as_ref();
                self.answers
                    .make_room_for_version(topic, key, bytes, now_ms)?;
            }
            let publication = stream.append(publish.data, publish.owner, publish.retention, now);
            let position = stream.position();
            if let Some(once) = publish.once {
                let answer = once.kept(position);
                self.answers
                    .remember(Some(topic), &once.key, answer, once.window, now_ms);
            }
            if let Some(version) = publish.version {
                let kept = version.kept(position);
                self.answers
                    .set_version(topic, version.key.as_ref(), kept, now_ms);
            }
            // Under the topic's lock, so that publications are delivered in the order of
            // their offsets.
            if stream.has_interest() {
                let sinks = Arc::clone(&self.sinks.read());
                for sink in sinks.iter() {
                    sink.deliver(topic, stream.epoch(), &publication);
                }
            }
            Ok(Published::new(position))
        })
    }
}

impl Broker for MemoryBroker {
    fn attach(&self, sink: Arc<dyn Sink>) {
        let mut sinks = self.sinks.write();
        *sinks = sinks.iter().cloned().chain([sink]).collect();
    }

    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { self.publish_now(&topic, publish) })
    }

    fn immediate(&self) -> Option<&dyn Immediate> {
        Some(self)
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            Ok(self
                .topics
                .enter(&topic, |stream, now| stream.read(query, now)))
        })
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        let after = after.cloned();
        Box::pin(async move {
            let has_begun = |stream: &Stream| stream.position().offset > 0;
            let topics = self.topics.topics(after.as_ref(), limit, has_begun);
            Ok(topics.into_iter().collect())
        })
    }

    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.topics.enter(&topic, Stream::subscribe);
            Ok(())
        })
    }

    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.topics.enter_existing(&topic, Stream::unsubscribe);
            Ok(())
        })
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        Box::pin(async move {
            let now_ms = self.topics.now_ms();
            let claim = self.leases.claim(attempt.clone(), now_ms);
            if let Some(answer) = self.answers.recall(None, &attempt.key, now_ms) {
                return self.leases.found(claim, &attempt, &answer);
            }
            let claim = claim?;
            if let Claim::Mine(claimed) = &claim {
                let bytes = kept_bytes(attempt.answer_bytes);
                self.answers
                    .make_room(None, &attempt.key, bytes, now_ms)
                    .inspect_err(|_| self.leases.release(claimed))?;
            }
            Ok(claim)
        })
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        Box::pin(async move {
            let now_ms = self.topics.now_ms();
            let Attempt {
                key,
                fingerprint,
                window,
                ..
            } = &claimed.attempt;
            let kept = kept(*fingerprint, &answer);
            self.answers.make_room(None, key, kept.len(), now_ms)?;
            let kept = self.answers.remember(None, key, kept, *window, now_ms);
            self.leases.release(&claimed);
            Ok(answer_of(&kept))
        })
    }

    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<usize, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let mut deleted = 0;
            self.topics.enter_existing(&topic, |stream, now| {
                let offsets = stream.delete(&which, now);
                deleted = offsets.len();
                if stream.has_interest() && !offsets.is_empty() {
                    let sinks = Arc::clone(&self.sinks.read());
                    for sink in sinks.iter() {
                        sink.deleted(&topic, stream.epoch(), &offsets);
                    }
                }
            });
            Ok(deleted)
        })
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBroker")
            .field("topics", &self.topic_count())
            .field("sinks", &self.sinks.read().len())
            .finish_non_exhaustive()
    }
}
