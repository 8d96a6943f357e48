//! Log lines that come once a minute at most.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The time between two lines.
const PERIOD: Duration = Duration::from_secs(60);

/// The time of the last line of one kind: a broker that fails fails for everybody, and the log
/// needs to say so once.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Returns whether a line is due, and takes it for written.
    pub(super) fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock();
        let is_due = last.is_none_or(|last| now.duration_since(last) >= PERIOD);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_due_once_a_minute() {
        let seldom = Seldom::default();
        assert!(seldom.is_due());
        assert!(!seldom.is_due());
        tokio::time::advance(PERIOD).await;
        assert!(seldom.is_due());
        assert!(!seldom.is_due());
    }
}
