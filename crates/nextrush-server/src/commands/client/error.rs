//! Why a server could not be reached.

use std::io;

use http::StatusCode;
use nextrush_protocol::handshake::AnswerError;

/// Why a server could not be reached, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The host's name leads nowhere, or nobody listens there, or its certificate is not
    /// trusted, or this process is out of files (`ulimit -n`).
    #[error("cannot connect to {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The answer took longer than 10 s.
    #[error("{authority} did not answer within 10 s")]
    Timeout {
        /// Host and port.
        authority: String,
    },
    /// What answered does not speak HTTP/1.1, or broke off.
    #[error("{authority} gave no answer in HTTP")]
    Http {
        /// Host and port.
        authority: String,
        /// The HTTP client's reason.
        source: hyper::Error,
    },
    /// The server refused the request or the upgrade.
    #[error("the server refused with {status}{}{body}", if body.is_empty() { "" } else { ": " })]
    Refused {
        /// The status of its answer.
        status: StatusCode,
        /// The beginning of what it said.
        body: String,
    },
    /// The answer is no valid opening handshake (RFC 6455 §4.2.2).
    #[error("the server's answer is no WebSocket handshake")]
    Handshake(#[from] AnswerError),
}

/// Why a URL or a header is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// It is no URL.
    #[error("this is no URL; one looks like {example}")]
    Url {
        /// One that is.
        example: &'static str,
    },
    /// Another scheme than the one that is spoken.
    #[error("{found}:// is not supported, only {}:// and {}:// are", supported[0], supported[1])]
    Scheme {
        /// The one that was given.
        found: String,
        /// Those that can be, without TLS and with it.
        supported: [&'static str; 2],
    },
    /// No host after the scheme.
    #[error("the URL names no host")]
    Host,
    /// A path where the server itself is meant.
    #[error("the URL of a server ends with its host and port")]
    Path,
    /// Not of the form `Name: value`.
    #[error("a header looks like 'Name: value'")]
    Header,
}
