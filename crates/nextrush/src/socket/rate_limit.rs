//! Limits on the messages of one socket.
//!
//! Both counters are plain values that belong to one socket and are told the time:
//! nothing is shared, nothing runs in the background, and tests need no clock.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::message::Message;
use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;

/// The refusal of a message over the limit, which is to be dropped and its client told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("rate limit exceeded")]
#[non_exhaustive]
pub struct Exceeded {
    /// The time in which nothing more will be let through.
    pub retry_after: Duration,
}

impl Exceeded {
    /// A refusal of everything for this time.
    #[must_use]
    pub fn new(retry_after: Duration) -> Self {
        Self { retry_after }
    }

    /// [`retry_after`](Self::retry_after) in whole milliseconds, rounded up so that
    /// waiting that long is enough.
    #[must_use]
    pub fn retry_after_ms(&self) -> u64 {
        let ms = self.retry_after.as_nanos().div_ceil(1_000_000);
        u64::try_from(ms).unwrap_or(u64::MAX)
    }

    /// The error that a client is told.
    pub(crate) fn to_message(self) -> ErrorMessage {
        ErrorMessage::new(ErrorCode::RateLimited, "Rate limit exceeded")
            .retry_after_ms(self.retry_after_ms())
    }
}

/// A counter of one socket's messages.
pub trait RateLimit: Send + 'static {
    /// Counts a message at `now`.
    ///
    /// # Errors
    ///
    /// Refuses the message when it is over the limit.
    fn allow(&mut self, now: Instant) -> Result<(), Exceeded>;
}

impl RateLimit for SlidingWindow {
    fn allow(&mut self, now: Instant) -> Result<(), Exceeded> {
        self.allow(now)
    }
}

impl RateLimit for TokenBucket {
    fn allow(&mut self, now: Instant) -> Result<(), Exceeded> {
        self.allow(now)
    }
}

/// A [filter](Socket::filter) that drops what a limit refuses and tells the client:
/// `{"type":"error","message":"Rate limit exceeded","retryAfterMs":…}`. The
/// connection stays.
///
/// ```
/// # use std::time::Duration;
/// use nextrush::Socket;
/// use nextrush::limits::{SlidingWindow, rate_limit};
///
/// fn connected(socket: Socket) {
///     socket.filter(rate_limit(SlidingWindow::new(60, Duration::from_secs(60))));
/// }
/// ```
pub fn rate_limit(limit: impl RateLimit) -> impl Fn(&Socket, &Message) -> ControlFlow<()> {
    let limit = Mutex::new(limit);
    move |socket, _| match limit.lock().allow(Instant::now()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(exceeded) => {
            socket.send(exceeded.to_message());
            ControlFlow::Break(())
        }
    }
}

/// At most `limit` events in any stretch of time as long as `window`.
///
/// Exact at every moment, unlike a counter that is set to zero at each full minute,
/// at the price of 16 bytes for each event that still counts: never more than
/// `16 × limit` bytes, and none before the first event.
///
/// ```
/// use std::time::{Duration, Instant};
/// use nextrush::limits::SlidingWindow;
///
/// let mut messages = SlidingWindow::new(60, Duration::from_secs(60));
/// let start = Instant::now();
/// for _ in 0..60 {
///     assert!(messages.allow(start).is_ok());
/// }
/// let exceeded = messages.allow(start + Duration::from_secs(20)).unwrap_err();
/// assert_eq!(exceeded.retry_after, Duration::from_secs(40));
/// assert!(messages.allow(start + Duration::from_secs(60)).is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    limit: usize,
    window: Duration,
    /// The times of the events that still count, oldest first.
    allowed: VecDeque<Instant>,
}

impl SlidingWindow {
    /// A window without events. A `limit` of 0 lets nothing through.
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            window,
            allowed: VecDeque::new(),
        }
    }

    /// Counts an event at `now`, which must not go back between two calls; a time
    /// that does is taken for that of the event before.
    ///
    /// An event that is exactly `window` old does not count any more. One that is
    /// refused never counts.
    ///
    /// # Errors
    ///
    /// Refuses the event when `limit` events lie within the window already.
    pub fn allow(&mut self, now: Instant) -> Result<(), Exceeded> {
        let now = self.allowed.back().map_or(now, |last| now.max(*last));
        while let Some(oldest) = self.allowed.front()
            && now.duration_since(*oldest) >= self.window
        {
            self.allowed.pop_front();
        }
        if self.allowed.len() >= self.limit {
            let age = self
                .allowed
                .front()
                .map_or(Duration::ZERO, |oldest| now.duration_since(*oldest));
            return Err(Exceeded {
                retry_after: self.window - age,
            });
        }
        self.make_room();
        self.allowed.push_back(now);
        Ok(())
    }

    /// Grows by doubling, as usual, but not beyond the limit.
    fn make_room(&mut self) {
        let capacity = self.allowed.capacity();
        if self.allowed.len() == capacity {
            let wanted = capacity.saturating_mul(2).max(4).min(self.limit);
            self.allowed.reserve_exact(wanted - self.allowed.len());
        }
    }
}

/// `rate` events a second on average, and at most `burst` at once.
///
/// The default, 100 a second and 200 at once, is far above what people type and
/// games send, and far below what floods.
///
/// ```
/// use std::time::{Duration, Instant};
/// use nextrush::limits::TokenBucket;
///
/// let mut messages = TokenBucket::new(2, 2);
/// let start = Instant::now();
/// assert!(messages.allow(start).is_ok());
/// assert!(messages.allow(start).is_ok());
/// let exceeded = messages.allow(start).unwrap_err();
/// assert_eq!(exceeded.retry_after, Duration::from_millis(500));
/// assert!(messages.allow(start + exceeded.retry_after).is_ok());
/// ```
//
// `governor` has the same algorithm, but its limiter reads a clock of its own instead
// of being told the time, and keeps state, clock and quota in a shared atomic form;
// here one moment and two numbers per socket are enough.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    rate: u32,
    burst: u32,
    /// The time when the bucket will be full again if nothing more is taken out, from which
    /// its level follows. `None` is a bucket never used.
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket. `rate` is per second, up to a thousand million. A `rate` or `burst` of 0
    /// lets nothing through.
    #[must_use]
    pub fn new(rate: u32, burst: u32) -> Self {
        Self {
            rate,
            burst,
            full_at: None,
        }
    }

    /// Takes a token for an event at `now`.
    ///
    /// # Errors
    ///
    /// Refuses the event, which then takes no token, when the bucket is empty.
    pub fn allow(&mut self, now: Instant) -> Result<(), Exceeded> {
        self.take(1, now)
    }

    /// Takes as many tokens as an event at `now` costs; a full bucket if it costs more than that.
    ///
    /// # Errors
    ///
    /// Refuses the event, which then takes no token, when there are too few.
    pub fn take(&mut self, tokens: u32, now: Instant) -> Result<(), Exceeded> {
        let tokens = tokens.min(self.burst.max(1));
        let Some(per_token) = Duration::from_secs(1).checked_div(self.rate) else {
            return Err(Exceeded::new(Duration::from_secs(1)));
        };
        let from = self.full_at.map_or(now, |full_at| full_at.max(now));
        let full_at = from + per_token * tokens;
        let capacity = per_token * self.burst;
        match full_at.duration_since(now).checked_sub(capacity) {
            None | Some(Duration::ZERO) => {
                self.full_at = Some(full_at);
                Ok(())
            }
            Some(retry_after) => Err(Exceeded { retry_after }),
        }
    }
}

impl Default for TokenBucket {
    fn default() -> Self {
        Self::new(100, 200)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_sixty_first_message_of_a_minute_is_refused() {
        let mut messages = SlidingWindow::new(60, MINUTE);
        let start = Instant::now();
        for second in 0..60 {
            assert_eq!(
                messages.allow(start + Duration::from_secs(second) / 2),
                Ok(())
            );
        }
        let refused = messages.allow(start + Duration::from_secs(30));
        let retry_after = Duration::from_secs(30);
        assert_eq!(refused, Err(Exceeded { retry_after }));
    }

    #[test]
    fn an_event_exactly_as_old_as_the_window_does_not_count() {
        let mut messages = SlidingWindow::new(1, MINUTE);
        let start = Instant::now();
        assert!(messages.allow(start).is_ok());
        let nanosecond = Duration::from_nanos(1);
        let refused = messages.allow(start + MINUTE - nanosecond);
        assert_eq!(
            refused,
            Err(Exceeded {
                retry_after: nanosecond
            })
        );
        assert!(messages.allow(start + MINUTE).is_ok());
        assert!(messages.allow(start + MINUTE).is_err());
    }

    #[test]
    fn refused_events_do_not_count() {
        let mut messages = SlidingWindow::new(1, MINUTE);
        let start = Instant::now();
        assert!(messages.allow(start).is_ok());
        for second in 1..60 {
            assert!(messages.allow(start + Duration::from_secs(second)).is_err());
        }
        assert!(messages.allow(start + MINUTE).is_ok());
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_through() {
        let mut messages = SlidingWindow::new(0, MINUTE);
        let refused = messages.allow(Instant::now());
        assert_eq!(
            refused,
            Err(Exceeded {
                retry_after: MINUTE
            })
        );
        assert_eq!(messages.allowed.capacity(), 0);
        for (rate, burst) in [(0, 0), (0, 7), (7, 0)] {
            let mut messages = TokenBucket::new(rate, burst);
            let start = Instant::now();
            for second in 0..100 {
                let now = start + Duration::from_secs(second);
                assert!(messages.allow(now).is_err(), "{rate} {burst}");
            }
        }
    }

    #[test]
    fn a_window_takes_no_memory_before_the_first_event_and_never_more_than_its_limit() {
        let start = Instant::now();
        for limit in [1, 3, 4, 5, 60, 100] {
            let mut messages = SlidingWindow::new(limit, MINUTE);
            assert_eq!(messages.allowed.capacity(), 0);
            assert!(messages.allow(start).is_ok());
            assert!(messages.allowed.capacity() <= limit.min(4) as usize);
            for ms in 0..100_000 {
                let _ = messages.allow(start + ms * MS);
            }
            assert_eq!(messages.allowed.capacity(), limit as usize);
        }
        let mut huge = SlidingWindow::new(u32::MAX, MINUTE);
        assert!(huge.allow(start).is_ok());
        assert_eq!(huge.allowed.capacity(), 4);
    }

    #[test]
    fn a_time_that_goes_back_lets_nothing_extra_through() {
        let start = Instant::now() + MINUTE;
        let mut messages = SlidingWindow::new(2, MINUTE);
        assert!(messages.allow(start).is_ok());
        assert!(messages.allow(start - MINUTE).is_ok());
        let refused = messages.allow(start - MINUTE);
        assert_eq!(
            refused,
            Err(Exceeded {
                retry_after: MINUTE
            })
        );

        let mut messages = TokenBucket::new(1, 1);
        assert!(messages.allow(start).is_ok());
        let refused = messages.allow(start - MINUTE);
        assert_eq!(
            refused,
            Err(Exceeded {
                retry_after: MINUTE + Duration::from_secs(1)
            })
        );
    }

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_its_rate() {
        let mut messages = TokenBucket::new(10, 5);
        let start = Instant::now();
        for _ in 0..5 {
            assert!(messages.allow(start).is_ok());
        }
        let refused = messages.allow(start + 30 * MS);
        assert_eq!(
            refused,
            Err(Exceeded {
                retry_after: 70 * MS
            })
        );
        for step in 1..20 {
            assert!(messages.allow(start + step * 100 * MS).is_ok());
            assert!(messages.allow(start + step * 100 * MS).is_err());
        }
    }

    #[test]
    fn a_rested_bucket_holds_no_more_than_its_burst() {
        let mut messages = TokenBucket::new(10, 5);
        let start = Instant::now();
        assert!(messages.allow(start).is_ok());
        let later = start + Duration::from_secs(3600);
        let let_through = (0..100).filter(|_| messages.allow(later).is_ok()).count();
        assert_eq!(let_through, 5);
    }

    #[test]
    fn the_default_bucket_allows_100_a_second_and_200_at_once() {
        let mut messages = TokenBucket::default();
        let start = Instant::now();
        assert_eq!(
            (0..1000).filter(|_| messages.allow(start).is_ok()).count(),
            200
        );
        let later = start + Duration::from_secs(1);
        assert_eq!(
            (0..1000).filter(|_| messages.allow(later).is_ok()).count(),
            100
        );
    }

    #[test]
    fn extreme_rates_neither_panic_nor_overflow() {
        let start = Instant::now();
        for (rate, burst) in [(1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX), (1, 1)] {
            let mut messages = TokenBucket::new(rate, burst);
            for second in 0..100 {
                let _ = messages.allow(start + Duration::from_secs(second));
            }
        }
    }

    #[test]
    fn a_bucket_is_24_bytes() {
        assert!(size_of::<TokenBucket>() <= 24);
    }

    #[test]
    fn the_time_to_wait_is_rounded_up() {
        for (nanos, ms) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2)] {
            let retry_after = Duration::from_nanos(nanos);
            assert_eq!(Exceeded { retry_after }.retry_after_ms(), ms);
        }
        let retry_after = Duration::MAX;
        assert_eq!(Exceeded { retry_after }.retry_after_ms(), u64::MAX);
    }

    /// Remembers every event that was let through and counts them anew each time.
    fn naive_window(limit: usize, window: u32, times: &[u32]) -> Vec<Result<(), u32>> {
        let mut allowed: Vec<u32> = Vec::new();
        let mut results = Vec::new();
        for &now in times {
            let recent: Vec<u32> = allowed
                .iter()
                .copied()
                .filter(|at| now - at < window)
                .collect();
            results.push(if recent.len() < limit {
                allowed.push(now);
                Ok(())
            } else {
                Err(recent[0] + window - now)
            });
        }
        results
    }

    /// Counts tokens in thousandths, refilled every millisecond.
    fn naive_bucket(rate: u32, burst: u32, times: &[u32]) -> Vec<bool> {
        let (full, mut level, mut last) = (burst * 1000, burst * 1000, 0);
        let mut results = Vec::new();
        for &now in times {
            level = full.min(level + rate * (now - last));
            last = now;
            results.push(level >= 1000);
            level -= if level >= 1000 { 1000 } else { 0 };
        }
        results
    }

    fn times(gap: u32) -> impl Strategy<Value = Vec<u32>> {
        vec(0..=gap, 0..300).prop_map(|gaps| {
            let sum = |now: &mut u32, gap| {
                *now += gap;
                Some(*now)
            };
            gaps.into_iter().scan(0, sum).collect()
        })
    }

    proptest! {
        #[test]
        fn a_window_agrees_with_the_naive_count(
            limit in 1_u32..10,
            window in 1_u32..200,
            times in times(60),
        ) {
            let start = Instant::now();
            let mut counter = SlidingWindow::new(limit, window * MS);
            let results: Vec<_> = times
                .iter()
                .map(|ms| counter.allow(start + *ms * MS))
                .collect();
            let expected: Vec<_> = naive_window(limit as usize, window, &times)
                .into_iter()
                .map(|result| result.map_err(|ms| Exceeded { retry_after: ms * MS }))
                .collect();
            prop_assert_eq!(results, expected);
        }

        #[test]
        fn a_bucket_agrees_with_the_naive_count(
            // Those whose token takes a whole number of milliseconds.
            rate in prop::sample::select(vec![1_u32, 2, 4, 5, 8, 10, 20, 25, 50, 100, 1000]),
            burst in 1_u32..20,
            times in times(300),
        ) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(rate, burst);
            let results: Vec<_> = times
                .iter()
                .map(|ms| bucket.allow(start + *ms * MS).is_ok())
                .collect();
            prop_assert_eq!(results, naive_bucket(rate, burst, &times));
        }

        #[test]
        fn who_waits_as_told_gets_through(
            rate in 1_u32..2000,
            burst in 1_u32..20,
            limit in 1_u32..20,
            times in times(50),
        ) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(rate, burst);
            let mut window = SlidingWindow::new(limit, Duration::from_secs(1));
            for ms in times {
                let now = start + ms * MS;
                if let Err(exceeded) = bucket.allow(now) {
                    prop_assert!(bucket.clone().allow(now + exceeded.retry_after).is_ok());
                }
                if let Err(exceeded) = window.allow(now) {
                    prop_assert!(window.clone().allow(now + exceeded.retry_after).is_ok());
                }
            }
        }
    }
}
