//! The sizes and times of the embedded broker.

use std::time::Duration;

/// The sizes and times of an [`EmbeddedBroker`](crate::EmbeddedBroker).
///
/// ```
/// use nextrush_broker::EmbeddedOptions;
///
/// let options = EmbeddedOptions::default().cache_bytes(8 << 20);
/// assert_eq!(options.cache_bytes, 8 << 20);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EmbeddedOptions {
    /// The most bytes of histories in memory. Default 64 MiB.
    pub cache_bytes: usize,
    /// The most topics in memory; topics that this process is subscribed to come on top.
    /// Default 100,000.
    pub cached_topics: usize,
    /// The most bytes of the history of a topic, even if its [`Retention`](crate::Retention)
    /// allows more; those of [internal](crate::TopicName::is_internal) topics are not cut. Default 16 MiB.
    pub topic_bytes: usize,
    /// The most bytes in the queue to the disk. Publishers wait while it is full. Default 32
    /// MiB.
    pub queue_bytes: usize,
    /// The most bytes of the store's files. Histories take up to half of what it leaves beside
    /// 256 MiB, and 16 MiB at least; the rest is for journals and for merging. `None`, the
    /// default, for 10 GiB, or half of what is free on the disk or in use by the store when it is
    /// opened if that is less.
    ///
    /// Beyond that histories are shed, the longest unused topics first: positions stay, and who
    /// comes back is told that it cannot recover. First of all those
    /// [owners](crate::Owner) whose share exceeds a sixteenth lose what they published. Near the
    /// bound they are refused with [`BrokerError::Full`](crate::BrokerError::Full), and at the
    /// bound everybody is, until the files have been rewritten.
    /// [Internal](crate::TopicName::is_internal) topics are neither shed nor refused.
    pub store_bytes: Option<u64>,
    /// The time after its last publication for which a topic without history keeps its epoch
    /// and offset. Default 30 days.
    pub idle: Duration,
}

impl EmbeddedOptions {
    /// Sets [`cache_bytes`](Self::cache_bytes).
    #[must_use]
    pub const fn cache_bytes(self, cache_bytes: usize) -> Self {
        Self {
            cache_bytes,
            ..self
        }
    }

    /// Sets [`cached_topics`](Self::cached_topics).
    #[must_use]
    pub const fn cached_topics(self, cached_topics: usize) -> Self {
        Self {
            cached_topics,
            ..self
        }
    }

    /// Sets [`topic_bytes`](Self::topic_bytes).
    #[must_use]
    pub const fn topic_bytes(self, topic_bytes: usize) -> Self {
        Self {
            topic_bytes,
            ..self
        }
    }

    /// Sets [`queue_bytes`](Self::queue_bytes).
    #[must_use]
    pub const fn queue_bytes(self, queue_bytes: usize) -> Self {
        Self {
            queue_bytes,
            ..self
        }
    }

    /// Sets [`store_bytes`](Self::store_bytes).
    #[must_use]
    pub const fn store_bytes(self, store_bytes: u64) -> Self {
        Self {
            store_bytes: Some(store_bytes),
            ..self
        }
    }

    /// Sets [`idle`](Self::idle).
    #[must_use]
    pub const fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            cached_topics: 100_000,
            topic_bytes: 16 << 20,
            queue_bytes: 32 << 20,
            store_bytes: None,
            idle: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
}
