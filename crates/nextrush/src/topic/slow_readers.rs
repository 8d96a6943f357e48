//! Subscribers that read more slowly than a topic publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nextrush_broker::Retention;

/// The treatment of a subscriber that reads more slowly than its topic publishes.
///
/// It is slow when the kernel does not take what it is sent. Whatever the policy, its other
/// channels and what it is sent directly go on.
///
/// ```
/// use std::time::Duration;
/// use nextrush::live::ChannelPolicy;
/// use nextrush::topic::SlowReaders;
///
/// let hour = Duration::from_secs(3600);
/// let posts = ChannelPolicy::new().history(300, hour); // heals
/// let prices = ChannelPolicy::new().slow_readers(SlowReaders::Latest).key("/symbol");
/// # drop((posts, prices));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SlowReaders {
    /// With more than 64 KiB waiting for it the subscriber is sent no more updates. When it
    /// has taken these, it gets what it missed from the history, and is live again:
    /// everything once and in order, on the same socket. Where the history does not reach
    /// back, it is told so by a message `gap`. The default for channels with a history.
    Heal,
    /// The subscriber is sent no updates as long as anything waits for it. When it has taken
    /// that, it gets the newest: one, or with a [key](crate::live::ChannelPolicy::key) one for each
    /// of the up to 1,000 newest keys.
    Latest,
    /// With more than 64 KiB waiting for it the subscriber misses what is published. When it
    /// has taken these, a message `gap` says what it missed, and it is live again.
    Drop,
    /// With more than 1 MiB waiting for it, or something waiting longer than 10 s, the socket
    /// is closed with 1013, and its client may come back. The default for channels without a
    /// history. See [`SocketOptions::backlog`](crate::SocketOptions) for other bounds.
    Close,
}

impl SlowReaders {
    /// The policy's name, for logs and metrics: `heal`, `latest`, `drop` or `close`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Heal => "heal",
            Self::Latest => "latest",
            Self::Drop => "drop",
            Self::Close => "close",
        }
    }
}

/// Counts of subscribers that lagged, since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SlowReaderCounts {
    /// The times that a subscriber which had been sent no updates became live again.
    pub recovered: u64,
    /// The updates that subscribers got later, from the history or as the newest.
    pub sent_later: u64,
    /// The updates that subscribers did not get, and were told so.
    pub missed: u64,
}

/// The treatment of a topic's slow readers, with its settings.
#[derive(Clone, Debug)]
pub struct SlowReaderPolicy {
    pub(super) slow_readers: SlowReaders,
    pub(super) key: Option<Arc<str>>,
    pub(super) counters: Arc<Counters>,
}

impl SlowReaderPolicy {
    /// A policy without a key that counts for itself alone.
    #[must_use]
    pub fn new(slow_readers: SlowReaders) -> Self {
        Self {
            slow_readers,
            key: None,
            counters: Arc::default(),
        }
    }

    /// The default for topics that remember so much: [`SlowReaders::Heal`] with a history, else
    /// [`SlowReaders::Close`].
    #[must_use]
    pub fn of(retention: Retention) -> Self {
        Self::new(match retention.count {
            0 => SlowReaders::Close,
            _ => SlowReaders::Heal,
        })
    }

    /// Sets the key of which [`SlowReaders::Latest`] keeps the newest: a JSON pointer (RFC 6901) into
    /// the publications' data.
    #[must_use]
    pub fn key(self, pointer: impl Into<Arc<str>>) -> Self {
        let key = Some(pointer.into());
        Self { key, ..self }
    }

    /// Adds to the counters of another policy.
    #[must_use]
    pub fn counted_with(self, other: &Self) -> Self {
        let counters = Arc::clone(&other.counters);
        Self { counters, ..self }
    }

    /// The treatment.
    #[must_use]
    pub fn slow_readers(&self) -> SlowReaders {
        self.slow_readers
    }

    /// The counters of all policies that count together.
    #[must_use]
    pub fn counts(&self) -> SlowReaderCounts {
        self.counters.read()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    recovered: AtomicU64,
    sent_later: AtomicU64,
    missed: AtomicU64,
}

impl Counters {
    pub(super) fn recovered(&self) {
        self.recovered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent_later(&self, updates: usize) {
        self.sent_later.fetch_add(updates as u64, Ordering::Relaxed);
    }

    pub(super) fn missed(&self, updates: u64) {
        self.missed.fetch_add(updates, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> SlowReaderCounts {
        SlowReaderCounts {
            recovered: self.recovered.load(Ordering::Relaxed),
            sent_later: self.sent_later.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
        }
    }
}
