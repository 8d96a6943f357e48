//! The options of a sequenced broker.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The options of a [`SequencedBroker`](super::SequencedBroker).
///
/// ```
/// use std::time::Duration;
/// use nextrush_broker::SequencerOptions;
///
/// let options = SequencerOptions::default().tail_bytes(16 << 20);
/// assert_eq!(options.check_every, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SequencerOptions {
    /// The most bytes of publications that the node keeps of all topics together, with about
    /// 100 for each beside its data: to answer histories, and to put in order what comes too
    /// early. Beyond that those of the longest unused topics are forgotten and read again when
    /// they are wanted. Default 64 MiB.
    pub tail_bytes: usize,
    /// The most bytes of publications that wait to be sent to the store. Further publishers wait
    /// for room. Default 64 MiB.
    pub queue_bytes: usize,
    /// The time between two checks of all watched topics against the store, give or take a
    /// fifth. A push that was lost without another one after it is found by then. Default 10 s,
    /// and at most that.
    pub check_every: Duration,
    /// The time for which a topic stays watched after its last subscriber has left. Default 5 s.
    pub linger: Duration,
    /// The seed of the times that are spread at random. Default: another one for each node.
    pub seed: u64,
}

impl SequencerOptions {
    /// Sets [`tail_bytes`](Self::tail_bytes).
    #[must_use]
    pub const fn tail_bytes(self, tail_bytes: usize) -> Self {
        Self { tail_bytes, ..self }
    }

    /// Sets [`queue_bytes`](Self::queue_bytes).
    #[must_use]
    pub const fn queue_bytes(self, queue_bytes: usize) -> Self {
        Self {
            queue_bytes,
            ..self
        }
    }

    /// Sets [`check_every`](Self::check_every).
    #[must_use]
    pub const fn check_every(self, check_every: Duration) -> Self {
        Self {
            check_every,
            ..self
        }
    }

    /// Sets [`linger`](Self::linger).
    #[must_use]
    pub const fn linger(self, linger: Duration) -> Self {
        Self { linger, ..self }
    }

    /// Sets [`seed`](Self::seed), for tests that have to be repeated exactly.
    #[must_use]
    pub const fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

impl Default for SequencerOptions {
    fn default() -> Self {
        Self {
            tail_bytes: 64 << 20,
            queue_bytes: 64 << 20,
            check_every: Duration::from_secs(10),
            linger: Duration::from_secs(5),
            seed: RandomState::new().hash_one(0),
        }
    }
}
