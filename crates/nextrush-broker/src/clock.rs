//! The time of day, from the system or from a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of the time of day, which a test replaces.
pub trait Clock: Send + Sync + 'static {
    /// The milliseconds since 1970. May fall between two calls, as clocks can be set back.
    fn now_ms(&self) -> u64;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has no state")]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        // A clock set to before 1970 reads as 1970.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        whole_ms(since)
    }
}

/// A clock that stands still until it is moved.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use nextrush_broker::{Clock, ManualClock, MemoryBroker};
///
/// let clock = Arc::new(ManualClock::new(1_700_000_000_000));
/// let broker = MemoryBroker::builder().clock(clock.clone()).build();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now_ms(), 1_700_000_060_000);
/// # drop(broker);
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock at `unix_ms`.
    #[must_use]
    pub fn new(unix_ms: u64) -> Self {
        Self(AtomicU64::new(unix_ms))
    }

    /// Moves the clock forward by whole milliseconds.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(whole_ms(by), Ordering::SeqCst);
    }

    /// Sets the clock to `unix_ms`, which may be earlier.
    pub fn set(&self, unix_ms: u64) {
        self.0.store(unix_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now_ms(&self) -> u64 {
        (**self).now_ms()
    }
}

pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_reads_milliseconds_of_this_century() {
        let now = SystemClock.now_ms();
        assert!(
            (1_700_000_000_000..4_102_444_800_000).contains(&now),
            "{now}"
        );
    }

    #[test]
    fn a_manual_clock_moves_both_ways() {
        let clock = ManualClock::new(10);
        clock.advance(Duration::from_micros(5999));
        assert_eq!(clock.now_ms(), 15);
        clock.set(3);
        assert_eq!(clock.now_ms(), 3);
    }
}
