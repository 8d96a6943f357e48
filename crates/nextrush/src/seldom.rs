//! Log lines that come once a minute at most.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The time between two lines.
const PERIOD: Duration = Duration::from_secs(60);

/// The time of the last line of one kind: a broker that fails fails for everybody, and the log
/// needs to say so once. A line is due a minute after the last.
///
/// ```
/// use nextrush::limits::Seldom;
///
/// static NOT_SAVED: Seldom = Seldom::new();
///
/// assert!(NOT_SAVED.is_due());
/// assert!(!NOT_SAVED.is_due());
/// ```
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// A kind of line of which none was written yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Returns whether a line is due, and takes it for written.
    pub fn is_due(&self) -> bool {
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
