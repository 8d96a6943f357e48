//! The faults of a simulated store.

use std::time::Duration;

/// The faults of a [`SimulatedServer`](super::SimulatedServer) and of the lines to it. By default
/// there are none, and no delays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SimulatedFaults {
    /// The longest time that a request or a reply takes.
    pub delay: Duration,
    /// The longest time that a push takes. Each takes another one, so they overtake each other, but
    /// for changes of rosters, which keep their order.
    pub push_delay: Duration,
    /// The probability with which a push is lost.
    pub lost_push: f64,
    /// The probability with which a push comes twice, other than of a roster.
    pub doubled_push: f64,
    /// The probability with which a request is refused and has no effect.
    pub refused: f64,
    /// The probability with which the reply to a request is lost. The caller learns it 5 s later.
    pub lost_reply: f64,
}

impl SimulatedFaults {
    /// Sets [`delay`](Self::delay).
    #[must_use]
    pub const fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Sets [`push_delay`](Self::push_delay).
    #[must_use]
    pub const fn push_delay(self, push_delay: Duration) -> Self {
        Self { push_delay, ..self }
    }

    /// Sets [`lost_push`](Self::lost_push).
    #[must_use]
    pub const fn lost_push(self, lost_push: f64) -> Self {
        Self { lost_push, ..self }
    }

    /// Sets [`doubled_push`](Self::doubled_push).
    #[must_use]
    pub const fn doubled_push(self, doubled_push: f64) -> Self {
        Self {
            doubled_push,
            ..self
        }
    }

    /// Sets [`refused`](Self::refused).
    #[must_use]
    pub const fn refused(self, refused: f64) -> Self {
        Self { refused, ..self }
    }

    /// Sets [`lost_reply`](Self::lost_reply).
    #[must_use]
    pub const fn lost_reply(self, lost_reply: f64) -> Self {
        Self { lost_reply, ..self }
    }
}
