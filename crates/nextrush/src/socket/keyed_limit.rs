//! Rate limits of one user or address over all its sockets and requests.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::rate_limit::{Exceeded, RateLimit, TokenBucket};

/// The keys that are counted at once.
const KEYS: usize = 100_000;

/// A rate limit for each key, such as a [`UserId`](crate::UserId) or an address, whichever sockets
/// or requests it comes over.
///
/// A cheap handle: clones count together. 100,000 keys are counted at once; beyond that those that
/// have not done anything for long begin again.
///
/// ```
/// use std::time::{Duration, Instant};
/// use nextrush::limits::{KeyedLimit, SlidingWindow};
///
/// let writes = KeyedLimit::new(SlidingWindow::new(1, Duration::from_secs(60)));
/// let now = Instant::now();
/// assert!(writes.allow(&"ada", now).is_ok());
/// assert!(writes.allow(&"ada", now).is_err());
/// assert!(writes.allow(&"bob", now).is_ok());
/// ```
pub struct KeyedLimit<K, L>(Arc<Inner<K, L>>);

struct Inner<K, L> {
    fresh: L,
    used: Cache<K, Arc<Mutex<L>>>,
}

impl<K: Clone + Eq + Hash, L: Clone + RateLimit> KeyedLimit<K, L> {
    /// Gives each key a copy of this limit.
    #[must_use]
    pub fn new(limit: L) -> Self {
        Self::with_keys(limit, KEYS)
    }

    fn with_keys(limit: L, keys: usize) -> Self {
        Self(Arc::new(Inner {
            fresh: limit,
            used: Cache::new(keys),
        }))
    }

    /// Counts an event of a key at `now`.
    ///
    /// # Errors
    ///
    /// Refuses the event when it is over the key's limit.
    pub fn allow(&self, key: &K, now: Instant) -> Result<(), Exceeded> {
        self.of(key)?.lock().allow(now)
    }

    /// The limit of one key. Never fails: the cache asks for a `Result`.
    fn of(&self, key: &K) -> Result<Arc<Mutex<L>>, Exceeded> {
        let Inner { fresh, used } = &*self.0;
        used.get_or_insert_with(key, || Ok(Arc::new(Mutex::new(fresh.clone()))))
    }
}

impl<K: Clone + Eq + Hash> KeyedLimit<K, TokenBucket> {
    /// Takes as many tokens of a key as an event at `now` costs; see [`TokenBucket::take`].
    ///
    /// # Errors
    ///
    /// Refuses the event when the key has too few.
    pub fn take(&self, key: &K, tokens: u32, now: Instant) -> Result<(), Exceeded> {
        self.of(key)?.lock().take(tokens, now)
    }
}

impl<K, L> Clone for KeyedLimit<K, L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, L> fmt::Debug for KeyedLimit<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLimit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::socket::rate_limit::SlidingWindow;

    #[test]
    fn a_million_keys_take_no_more_memory_than_the_bound() {
        let limit = KeyedLimit::with_keys(SlidingWindow::new(1, Duration::MAX), 1_000);
        let now = Instant::now();
        for key in 0..1_000_000_u32 {
            assert!(limit.allow(&key, now).is_ok());
        }
        assert!(limit.0.used.len() <= 1_000, "{}", limit.0.used.len());
    }

    #[test]
    fn an_event_takes_what_it_costs_and_at_most_a_full_bucket() {
        let limit = KeyedLimit::new(TokenBucket::new(10, 100));
        let now = Instant::now();
        assert!(limit.take(&1, 60, now).is_ok());
        let exceeded = limit.take(&1, 60, now).unwrap_err();
        assert_eq!(exceeded.retry_after, Duration::from_secs(2));
        assert!(limit.take(&1, 40, now).is_ok());
        let later = now + Duration::from_secs(10);
        assert!(limit.take(&1, 1_000, later).is_ok());
        assert!(limit.take(&1, 1, later).is_err());
        assert!(
            KeyedLimit::new(TokenBucket::new(10, 0))
                .take(&1, 1, now)
                .is_err()
        );
    }

    #[test]
    fn clones_count_together() {
        let limit = KeyedLimit::new(SlidingWindow::new(2, Duration::from_secs(1)));
        let now = Instant::now();
        assert!(limit.allow(&1, now).is_ok());
        assert!(limit.clone().allow(&1, now).is_ok());
        let exceeded = limit.allow(&1, now).unwrap_err();
        assert_eq!(exceeded.retry_after, Duration::from_secs(1));
        assert!(limit.allow(&1, now + exceeded.retry_after).is_ok());
    }
}
