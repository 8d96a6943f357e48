//! Why a load test could not be made.

use std::io;

use http::StatusCode;
use nextrush_protocol::handshake::AnswerError;

/// Why a connection of a load test could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The host's name leads nowhere, or nobody listens there, or this process is out of
    /// files (`ulimit -n`).
    #[error("cannot connect to {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The opening handshake took longer than 10 s.
    #[error("{authority} did not answer the opening handshake within 10 s")]
    Timeout {
        /// Host and port.
        authority: String,
    },
    /// What answered does not speak HTTP/1.1.
    #[error("{authority} gave no answer in HTTP")]
    Http {
        /// Host and port.
        authority: String,
        /// The HTTP client's reason.
        source: hyper::Error,
    },
    /// The endpoint refused the upgrade.
    #[error("the endpoint refused with {status}{}{body}", if body.is_empty() { "" } else { ": " })]
    Refused {
        /// The status of its answer.
        status: StatusCode,
        /// The beginning of what it said.
        body: String,
    },
    /// The answer is no valid opening handshake (RFC 6455 §4.2.2).
    #[error("the endpoint's answer is no WebSocket handshake")]
    Handshake(#[from] AnswerError),
    /// A part of the test itself failed.
    #[error("the load test failed")]
    Task(#[source] tokio::task::JoinError),
}

/// Why a URL or a header of a load test is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// It is no URL.
    #[error("this is no URL; one looks like ws://localhost:3000/rooms/load")]
    Url,
    /// A scheme other than `ws`.
    #[error("{0}:// is not supported, only ws:// is")]
    Scheme(String),
    /// No host after the scheme.
    #[error("the URL names no host")]
    Host,
    /// Not of the form `Name: value`.
    #[error("a header looks like 'Name: value'")]
    Header,
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
