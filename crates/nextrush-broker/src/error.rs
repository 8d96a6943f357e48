//! The error of a broker.

use std::time::Duration;

use crate::answer::Reused;

/// The time after which a failure is worth another try. A lost connection to a shared store is back
/// after up to 5 s, most after less.
const RETRY: Duration = Duration::from_secs(2);

/// The error of a broker.
///
/// The [`MemoryBroker`](crate::MemoryBroker) refuses [reused](Self::Reused) keys and, with
/// [`Unavailable`](Self::Unavailable), to remember more answers than it may; it fails in no other
/// way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The broker's disk, server or connection failed or cannot be reached. A later attempt
    /// may succeed.
    ///
    /// Where several nodes share the broker, the request was not sent: nothing has happened.
    #[error("the broker is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The request was sent, and the broker did not say what became of it: it may have happened,
    /// or may happen yet. A repeat with the same key is safe.
    #[error("the broker did not answer")]
    InDoubt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The data in the broker's store contradicts itself and is not served. A later attempt
    /// fails too.
    #[error("the store of the broker is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store is full. Everything acknowledged before can be read.
    #[error("the store of the broker is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key belongs to another publication or command, of which nothing has changed.
    #[error("the key belongs to another command")]
    Reused,
}

impl BrokerError {
    /// The time after which the same request is worth another try: 2 s where it may succeed then,
    /// with the same key if the publication may have happened; `None` where only a change of the
    /// request or of the store helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(_) | Self::InDoubt(_) => Some(RETRY),
            Self::Damaged(_) | Self::Full(_) | Self::Reused => None,
        }
    }
}

impl From<Reused> for BrokerError {
    fn from(Reused: Reused) -> Self {
        Self::Reused
    }
}
