//! Numbers that look random and are the same for the same seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A source of numbers. Not for secrets.
#[derive(Debug)]
pub(crate) struct Chance {
    seed: u64,
    drawn: AtomicU64,
}

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            seed,
            drawn: AtomicU64::new(0),
        }
    }

    /// A number from 0 to below 1, another each time.
    pub(crate) fn fraction(&self) -> f64 {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let hash = xxh3_64_with_seed(&number.to_le_bytes(), self.seed);
        f64::from(u32::try_from(hash >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
    }

    /// `true` with this probability.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn happens(&self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A time up to `longest`.
    pub(crate) fn time(&self, longest: Duration) -> Duration {
        longest.mul_f64(self.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_spread_and_the_same_for_a_seed() {
        let [chance, same] = [0, 0].map(|_| Chance::new(7));
        let mut counts = [0_u32; 4];
        for _ in 0..4000 {
            let fraction = chance.fraction();
            assert!((0.0..1.0).contains(&fraction));
            assert!((fraction - same.fraction()).abs() < f64::EPSILON);
            let quarter = [0.25, 0.5, 0.75, 1.0]
                .iter()
                .position(|end| fraction < *end);
            counts[quarter.unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
    }
}
