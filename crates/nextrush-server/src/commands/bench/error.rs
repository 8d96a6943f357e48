//! Why a load test could not be made.

use crate::commands::client::ClientError;

/// Why a load test could not be made.
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

/// Why a number or a text of a load test is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// The rate is no number in its bounds.
    #[error("a rate is a number from 0.001 to 1000000")]
    Rate,
    /// The size is no number in its bounds.
    #[error("a size is a number of bytes from 49 to 16777216")]
    Size,
    /// The duration is not understood.
    #[error("a duration looks like 10s, 500ms or 2m, and is a day at most")]
    Duration,
    /// The message has no place for the numbers.
    #[error("the message has to hold {{payload}}")]
    NoPayload,
}
