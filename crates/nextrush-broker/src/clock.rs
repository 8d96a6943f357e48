//! The time of day and the time that passes, from the system or from a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of the time of day, which a test replaces.
pub trait Clock: Send + Sync + 'static {
    /// The milliseconds since 1970. May fall between two calls, as clocks can be set back.
    fn now_ms(&self) -> u64;

    /// The milliseconds of a time that never falls and does not jump where the clock is set:
    /// ages and windows are measured by it. At the start of the process it is about
    /// [`now_ms`](Self::now_ms). By default the same, for clocks that nobody sets.
    fn steady_ms(&self) -> u64 {
        self.now_ms()
    }
}

/// A reading of a clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Now {
    /// The time of day, for what is shown and for what outlives the process.
    pub(crate) day_ms: u64,
    /// The time that durations are measured by.
    pub(crate) steady_ms: u64,
}

impl Now {
    pub(crate) fn of(clock: &(impl Clock + ?Sized)) -> Self {
        Self {
            day_ms: clock.now_ms(),
            steady_ms: clock.steady_ms(),
        }
    }

    /// The time of a publication after one of `last_ms`: it does not fall where the clock is set
    /// back by little. A clock that was set back by more was wrong before, and is believed.
    pub(crate) fn stamp(self, last_ms: u64) -> u64 {
        const LITTLE_MS: u64 = 60_000;
        match last_ms.checked_sub(self.day_ms) {
            Some(back_ms) if back_ms <= LITTLE_MS => last_ms,
            _ => self.day_ms,
        }
    }

    /// The steady time at which something happened that has this time of day. What seems to
    /// be still to come happens now.
    #[cfg(feature = "embedded")]
    pub(crate) fn steady_at(self, day_ms: u64) -> u64 {
        self.steady_ms
            .saturating_sub(self.day_ms.saturating_sub(day_ms))
    }
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

    fn steady_ms(&self) -> u64 {
        static START: LazyLock<(Instant, u64)> =
            LazyLock::new(|| (Instant::now(), SystemClock.now_ms()));
        let (start, start_ms) = *START;
        start_ms.saturating_add(whole_ms(start.elapsed()))
    }
}

/// A clock that stands still until it is moved or set.
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
pub struct ManualClock {
    day_ms: AtomicU64,
    steady_ms: AtomicU64,
}

impl ManualClock {
    /// A clock at `unix_ms`.
    #[must_use]
    pub fn new(unix_ms: u64) -> Self {
        Self {
            day_ms: AtomicU64::new(unix_ms),
            steady_ms: AtomicU64::new(unix_ms),
        }
    }

    /// Lets whole milliseconds pass.
    pub fn advance(&self, by: Duration) {
        self.day_ms.fetch_add(whole_ms(by), Ordering::SeqCst);
        self.steady_ms.fetch_add(whole_ms(by), Ordering::SeqCst);
    }

    /// Sets the time of day to `unix_ms`, which may be earlier. No time passes by that.
    pub fn set(&self, unix_ms: u64) {
        self.day_ms.store(unix_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.day_ms.load(Ordering::SeqCst)
    }

    fn steady_ms(&self) -> u64 {
        self.steady_ms.load(Ordering::SeqCst)
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now_ms(&self) -> u64 {
        (**self).now_ms()
    }

    fn steady_ms(&self) -> u64 {
        (**self).steady_ms()
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
        assert_eq!((clock.now_ms(), clock.steady_ms()), (3, 15));
    }

    #[test]
    fn the_steady_time_begins_with_the_time_of_day() {
        let (day, steady) = (SystemClock.now_ms(), SystemClock.steady_ms());
        assert!(day.abs_diff(steady) < 60_000, "{day} {steady}");
    }

    #[test]
    fn a_time_falls_only_where_the_clock_was_wrong_by_more_than_a_minute() {
        let stamp = |day_ms| {
            let steady_ms = 0;
            Now { day_ms, steady_ms }.stamp(1_000_000)
        };
        for (day_ms, expected) in [
            (1_000_001, 1_000_001),
            (1_000_000, 1_000_000),
            (999_999, 1_000_000),
            (940_000, 1_000_000),
            (939_999, 939_999),
            (0, 0),
        ] {
            assert_eq!(stamp(day_ms), expected, "{day_ms}");
        }
    }
}
