//! Counts of what clients asked for and were told.

mod durations;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

pub use self::durations::Durations;
use crate::message::{ErrorCode, Refused};

/// The most types of requests that are counted apart, however many an application has.
const TYPES: usize = 100;

/// The type of a request that names none of the application's, and of all beyond the bound.
pub(crate) const OTHER: &str = "other";

/// The refusals with one code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RefusalCount {
    /// The code, one of [`ErrorCode::ALL`]; `None` stands for all codes of the application's own
    /// together.
    pub code: Option<ErrorCode>,
    /// The times that a client was told so.
    pub count: u64,
}

/// Clients that came back and said what they had seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RecoveryCounts {
    /// They got all that they had missed.
    pub recovered: u64,
    /// The topic had begun anew: [`Unrecovered::Epoch`](crate::topic::Unrecovered).
    pub epoch: u64,
    /// The history did not reach back: [`Unrecovered::History`](crate::topic::Unrecovered).
    pub history: u64,
    /// They claimed to have seen what was not published yet: [`Unrecovered::Ahead`](crate::topic::Unrecovered).
    pub ahead: u64,
}

/// The fate of a position with which a client came back, in the order of the counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recovery {
    Recovered,
    Epoch,
    History,
    Ahead,
}

/// The way in which a request of a client ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum RequestOutcome {
    /// The function gave an answer.
    Answered,
    /// The function refused, with an error that the client was told.
    Refused,
    /// The function failed or panicked, and the client was told `internal`.
    Failed,
    /// The function took longer than its deadline.
    TimedOut,
}

impl RequestOutcome {
    const ALL: [Self; 4] = [Self::Answered, Self::Refused, Self::Failed, Self::TimedOut];

    /// The outcome's name, for logs and metrics: `answered`, `refused`, `failed` or `timed-out`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
        }
    }
}

/// The requests of one type with one outcome.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RequestTimes {
    /// A type that the application has registered with
    /// [`Socket::on_request`](crate::Socket::on_request), or `other`: whatever clients send, there
    /// are 101 of them at most.
    pub kind: &'static str,
    /// The outcome.
    pub outcome: RequestOutcome,
    /// The times that the function took.
    pub durations: Durations,
}

/// The counts of an application.
#[derive(Debug)]
pub(crate) struct Tally {
    /// By [`Refused`].
    refusals: Box<[AtomicU64]>,
    /// By [`Recovery`].
    recoveries: [AtomicU64; 4],
    requests: Mutex<BTreeMap<&'static str, BTreeMap<RequestOutcome, Durations>>>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            refusals: (0..=ErrorCode::ALL.len()).map(zero).collect(),
            recoveries: std::array::from_fn(zero),
            requests: Mutex::default(),
        }
    }

    pub(crate) fn refused(&self, refused: Refused) {
        self.refusals[refused.place()].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a client that came back with a position.
    pub(crate) fn came_back(&self, recovery: Recovery) {
        self.recoveries[recovery as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request of a type that the application has registered, or [`OTHER`].
    pub(crate) fn requested(&self, kind: &'static str, outcome: RequestOutcome, took: Duration) {
        let mut requests = self.requests.lock();
        let is_one_too_many = requests.len() >= TYPES && !requests.contains_key(kind);
        let kind = if is_one_too_many { OTHER } else { kind };
        // All outcomes are there from the first on: a rate needs the zero before it.
        let none = || RequestOutcome::ALL.map(|outcome| (outcome, Durations::default()));
        requests
            .entry(kind)
            .or_insert_with(|| none().into())
            .entry(outcome)
            .or_default()
            .add(took);
    }

    pub(crate) fn refusals(&self) -> Vec<RefusalCount> {
        let codes = ErrorCode::ALL.iter().copied().map(Some).chain([None]);
        let counts = codes.zip(&self.refusals);
        let counts = counts.map(|(code, count)| RefusalCount {
            code,
            count: count.load(Ordering::Relaxed),
        });
        counts.collect()
    }

    pub(crate) fn recoveries(&self) -> RecoveryCounts {
        let [recovered, epoch, history, ahead] =
            std::array::from_fn(|place| self.recoveries[place].load(Ordering::Relaxed));
        RecoveryCounts {
            recovered,
            epoch,
            history,
            ahead,
        }
    }

    pub(crate) fn requests(&self) -> Vec<RequestTimes> {
        let requests = self.requests.lock();
        let mut all = Vec::new();
        for (kind, by_outcome) in &*requests {
            all.extend(by_outcome.iter().map(|(outcome, durations)| RequestTimes {
                kind,
                outcome: *outcome,
                durations: durations.clone(),
            }));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_requests_that_are_counted_apart_are_bounded() {
        let tally = Tally::new();
        let kinds: Vec<&'static str> = (0..150).map(|n| &*format!("kind-{n}").leak()).collect();
        for kind in &kinds {
            tally.requested(kind, RequestOutcome::Answered, Duration::ZERO);
        }
        tally.requested(kinds[0], RequestOutcome::Answered, Duration::ZERO);
        let counted = tally.requests();
        assert_eq!(counted.len(), 4 * (TYPES + 1));
        let count = |kind| {
            let is_answered = |times: &&RequestTimes| times.outcome == RequestOutcome::Answered;
            let mut answered = counted.iter().filter(is_answered);
            let of_kind = answered.find(|times| times.kind == kind);
            of_kind.map(|times| times.durations.count())
        };
        assert_eq!(count("kind-0"), Some(2));
        assert_eq!(count("kind-149"), None);
        assert_eq!(count(OTHER), Some(50));
    }

    #[test]
    fn codes_of_the_application_are_counted_together() {
        let tally = Tally::new();
        for code in ["board-full", "rate-limited", "x"] {
            tally.refused(Refused::of(code));
        }
        let told = tally.refusals().into_iter().filter(|told| told.count > 0);
        let told: Vec<_> = told.map(|told| (told.code, told.count)).collect();
        assert_eq!(told, [(Some(ErrorCode::RateLimited), 1), (None, 2)]);
    }
}
