//! Claims to commands: of all nodes, one executes a command, and the others get its answer.

use std::time::Duration;

use bytes::Bytes;

use crate::answer::{CommandKey, Fingerprint};

/// An attempt at a command that is executed once.
///
/// ```
/// use std::time::Duration;
/// use nextrush_broker::{Attempt, CommandKey, Fingerprint};
///
/// let attempt = Attempt::new(CommandKey::try_from("ada/17")?)
///     .fingerprint(Fingerprint::of(b"the body"))
///     .window(Duration::from_secs(120));
/// assert_eq!(attempt.lease, Duration::from_secs(10));
/// # Ok::<(), nextrush_broker::CommandKeyError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// The key that the command and its repeats share.
    pub key: CommandKey,
    /// The fingerprint of the command. The key with another one is
    /// [refused](crate::BrokerError::Reused); without one, on either side, everything with the
    /// key is a repeat.
    pub fingerprint: Option<Fingerprint>,
    /// The time after which a claim without an answer ends, as its holder has most likely died.
    /// In whole milliseconds; default 10 s.
    pub lease: Duration,
    /// The time from the answer on for which it is remembered, in whole milliseconds. Default
    /// 2 minutes.
    pub window: Duration,
    /// `true` if a claim that has ended without an answer is nobody's any more: for the window
    /// after its lease others learn that its outcome is [in doubt](Claim::InDoubt). Default
    /// `false`: the command is claimed again.
    pub is_at_most_once: bool,
    /// The expected length of the answer in bytes. A broker that has no room for it refuses the
    /// claim, so that nothing is executed whose repeat would be executed again. Default 0.
    pub answer_bytes: usize,
}

impl Attempt {
    /// An attempt with the default times.
    #[must_use]
    pub const fn new(key: CommandKey) -> Self {
        Self {
            key,
            fingerprint: None,
            lease: Duration::from_secs(10),
            window: Duration::from_secs(120),
            is_at_most_once: false,
            answer_bytes: 0,
        }
    }

    /// Sets [`is_at_most_once`](Self::is_at_most_once), for commands whose effect must not come
    /// twice, even where their executor died between the effect and the answer. A durable broker
    /// writes the claim down before it is the caller's.
    #[must_use]
    pub fn at_most_once(self) -> Self {
        Self {
            is_at_most_once: true,
            ..self
        }
    }

    /// Sets [`fingerprint`](Self::fingerprint).
    #[must_use]
    pub fn fingerprint(self, fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint: Some(fingerprint),
            ..self
        }
    }

    /// Sets [`lease`](Self::lease).
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// Sets [`window`](Self::window).
    #[must_use]
    pub fn window(self, window: Duration) -> Self {
        Self { window, ..self }
    }

    /// Sets [`answer_bytes`](Self::answer_bytes).
    #[must_use]
    pub fn answer_bytes(self, answer_bytes: usize) -> Self {
        Self {
            answer_bytes,
            ..self
        }
    }
}

/// The outcome of an [`Attempt`] at a command.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "whoever attempts a command has to handle every outcome"
)]
pub enum Claim {
    /// The command is the caller's to execute, who then gives its
    /// [answer](crate::Broker::answer).
    Mine(Claimed),
    /// The command is being executed, here or on another node, or its executor died less than a
    /// lease ago. Another attempt a little later learns more.
    Running,
    /// The command was executed, with this answer.
    Answered(Bytes),
    /// The command was claimed to be executed [at most once](Attempt::at_most_once), and its holder
    /// has not answered within the lease: nobody knows whether it was executed. It is claimed by
    /// nobody before the window after that has ended; its holder may still answer.
    InDoubt,
}

/// A command that is its holder's to execute, until the lease ends.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Claimed {
    /// The attempt that succeeded.
    pub attempt: Attempt,
    /// The mark of this claim among all claims to the key.
    pub token: u128,
}

impl Claimed {
    /// A claim with a token that no other claim to the key has. For implementers of brokers.
    #[must_use]
    pub const fn new(attempt: Attempt, token: u128) -> Self {
        Self { attempt, token }
    }
}
