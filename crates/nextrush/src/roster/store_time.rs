//! The time of the store's clock, as this node knows it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The time of the store's clock in milliseconds, which is the same on all nodes.
///
/// Nodes wait for lost members until a time of this clock, so that their own clocks do not matter.
/// A node that is alone counts from its start.
#[derive(Debug)]
pub(super) struct StoreTime {
    begun: Instant,
    /// The milliseconds by which the store's clock is ahead of the time since the start.
    ahead_ms: Mutex<i128>,
}

impl StoreTime {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            ahead_ms: Mutex::new(0),
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        let now = self.since_start_ms(Instant::now()) + *self.ahead_ms.lock();
        u64::try_from(now.max(0)).unwrap_or(u64::MAX)
    }

    /// Takes note of a time that the store has told in answer to a request that was sent then.
    pub(super) fn note(&self, time_ms: u64, sent: Instant) {
        let now = Instant::now();
        let took_ms = now.saturating_duration_since(sent).as_millis();
        let half_ms = i128::try_from(took_ms / 2).unwrap_or(0);
        let told = i128::from(time_ms) + half_ms - self.since_start_ms(now);
        let mut ahead_ms = self.ahead_ms.lock();
        // What is known is as good as long as it may be right.
        if (told - *ahead_ms).abs() > half_ms + 5 {
            *ahead_ms = told;
        }
    }

    /// The time until one of the store's clock.
    pub(super) fn until(&self, time_ms: u64) -> Duration {
        Duration::from_millis(time_ms.saturating_sub(self.now_ms()))
    }

    fn since_start_ms(&self, at: Instant) -> i128 {
        let since = at.saturating_duration_since(self.begun).as_millis();
        i128::try_from(since).unwrap_or(i128::MAX / 2)
    }
}
