//! Errors of a load test.

use crate::client::ClientError;

/// A load test that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A connection could not be opened.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A part of the test itself failed.
    #[error("the load test failed")]
    Task(#[source] tokio::task::JoinError),
}

/// An option of a load test that is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// The rate is not a number within its bounds.
    #[error("a rate is a number from 0.001 to 1000000")]
    Rate,
    /// The size is not a number within its bounds.
    #[error("a size is a number of bytes from 49 to 16777216")]
    Size,
    /// The duration is not understood.
    #[error("a duration looks like 10s, 500ms or 2m, and is a day at most")]
    Duration,
    /// The message has no placeholder for the numbers.
    #[error("the message has to hold {{payload}}")]
    NoPayload,
}
