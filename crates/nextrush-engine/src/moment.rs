use std::time::Duration;

/// A point in a shard's time, which its driver counts from the shard's start. The core
/// takes it as it is told, so a simulation may run time as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const START: Self = Self(0);

    /// `elapsed` after the start; 584 years at most.
    pub(crate) fn new(elapsed: Duration) -> Self {
        Self(nanos(elapsed))
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// The time since `earlier`; zero if that lies ahead.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
