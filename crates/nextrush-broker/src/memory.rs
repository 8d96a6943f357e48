mod stream;
mod topics;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::RwLock;

use self::{stream::Stream, topics::Topics};
use crate::{
    Broker, BrokerError, Clock, History, HistoryQuery, Position, Retention, Sink, SystemClock,
    Topic,
};

/// The broker of a single process: everything is in memory, acknowledged at once, and
/// forgotten with the process.
///
/// It never fails, and its futures are ready the first time they are polled. Publishers
/// of one topic wait for each other, those of different topics don't.
///
/// # How much it keeps
///
/// A topic's history is bounded by the [`Retention`] of its newest publication, which
/// also holds when reading. The number of topics is bounded by [`MemoryLimits`]; a topic
/// that this process is subscribed to is never forgotten and comes on top, so bound the
/// subscriptions as well. The time is looked at, and what has expired is freed, while the
/// broker is in use: about once a minute for every topic. Besides its history a topic
/// costs a few hundred bytes.
///
/// A topic that was forgotten begins a new [`Epoch`](crate::Epoch) when it is used again.
///
/// # Time
///
/// Ages are differences of the [`Clock`]'s readings. While a clock that was set back has
/// not caught up, a topic's time stands still.
pub struct MemoryBroker {
    topics: Topics,
    // Replaced as a whole, so that delivering holds no lock but the topic's own.
    sinks: RwLock<Arc<[Arc<dyn Sink>]>>,
}

/// When a [`MemoryBroker`] forgets topics that nobody on this node is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// How many topics are remembered. Beyond that, those that nobody is subscribed to
    /// are forgotten, first those without history, then those with, the longest unused
    /// first. To spare effort the number may be passed by a sixteenth, at least 1, and
    /// room is made for as many at a time. Default 100,000.
    pub topics: usize,
    /// For how long a topic's epoch and offset are remembered after it was last used
    /// and all its history has expired. Default 1 hour.
    pub idle: Duration,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            topics: 100_000,
            idle: Duration::from_secs(60 * 60),
        }
    }
}

impl MemoryBroker {
    /// A broker with the default limits and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(MemoryLimits::default(), SystemClock)
    }

    /// A broker with these limits and this clock.
    #[must_use]
    pub fn with(limits: MemoryLimits, clock: impl Clock) -> Self {
        Self {
            topics: Topics::new(limits, Box::new(clock)),
            sinks: RwLock::new(Arc::new([])),
        }
    }

    /// How many topics it remembers.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.topics.count()
    }

    fn append(&self, topic: &Topic, data: Bytes, retention: Retention) -> Position {
        self.topics.enter(topic, |stream, now_ms| {
            let publication = stream.append(data, retention, now_ms);
            // Still under the topic's lock: this is what makes the order of delivery
            // that of the offsets.
            if stream.has_interest() {
                let sinks = Arc::clone(&self.sinks.read());
                for sink in sinks.iter() {
                    sink.deliver(topic, stream.epoch(), &publication);
                }
            }
            stream.position()
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
        topic: &Topic,
        data: Bytes,
        retention: Retention,
    ) -> BoxFuture<'_, Result<Position, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { Ok(self.append(&topic, data, retention)) })
    }

    fn history(
        &self,
        topic: &Topic,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            Ok(self
                .topics
                .enter(&topic, |stream, now_ms| stream.read(query, now_ms)))
        })
    }

    fn subscribe(&self, topic: &Topic) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.topics.enter(&topic, Stream::subscribe);
            Ok(())
        })
    }

    fn unsubscribe(&self, topic: &Topic) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.topics.enter_existing(&topic, Stream::unsubscribe);
            Ok(())
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
            .field("topics", &self.topics())
            .field("sinks", &self.sinks.read().len())
            .finish_non_exhaustive()
    }
}
