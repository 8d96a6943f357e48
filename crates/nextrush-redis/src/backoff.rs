//! The time between attempts to connect.

use std::time::Duration;

use rand::Rng as _;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The time between attempts: random between 0.1 s and a bound that doubles up to 5 s, so that
/// the nodes of a server that comes back don't come all at once.
#[derive(Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The time to wait before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let bound = SHORTEST * 2_u32.saturating_pow(self.attempts.min(16) + 1);
        self.attempts += 1;
        rand::rng().random_range(SHORTEST..=bound.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_between_a_tenth_of_a_second_and_five() {
        let mut backoff = Backoff::default();
        for attempt in 0..100 {
            let delay = backoff.next();
            let bound = Duration::from_millis(200 << attempt.min(20)).min(LONGEST);
            assert!((SHORTEST..=bound).contains(&delay), "{attempt}: {delay:?}");
        }
        let late: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(late.iter().any(|delay| *delay > Duration::from_secs(2)));
        assert!(late.iter().any(|delay| *delay < Duration::from_secs(2)));
    }
}
