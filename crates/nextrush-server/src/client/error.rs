//! Errors of the client.

use std::io;

use http::StatusCode;
use nextrush::BoxError;
use nextrush_protocol::handshake::AnswerError;

/// A failed request or handshake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The host is unknown, nobody listens there, its certificate is not trusted, or this
    /// process is out of files (`ulimit -n`).
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
    /// The peer does not speak HTTP/1.1, or broke off.
    #[error("{authority} gave no answer in HTTP")]
    Http {
        /// Host and port.
        authority: String,
        /// The HTTP client's reason.
        source: hyper::Error,
    },
    /// The answer is too large, or ends before its end.
    #[error("the answer of {authority} cannot be read")]
    Body {
        /// Host and port.
        authority: String,
        /// The reason.
        source: BoxError,
    },
    /// The server refused the request or the upgrade.
    #[error("the server refused with {status}{}{body}", if body.is_empty() { "" } else { ": " })]
    Refused {
        /// The status of its answer.
        status: StatusCode,
        /// The beginning of its body.
        body: String,
    },
    /// The answer is no valid opening handshake (RFC 6455 §4.2.2).
    #[error("the server's answer is no WebSocket handshake")]
    Handshake(#[from] AnswerError),
}

/// A URL or header that is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// The text is no URL.
    #[error("this is no URL; one looks like {example}")]
    Url {
        /// A URL of the right form.
        example: &'static str,
    },
    /// The scheme is not supported.
    #[error("{found}:// is not supported, only {}:// and {}:// are", supported[0], supported[1])]
    Scheme {
        /// The scheme of the URL.
        found: String,
        /// The supported schemes, without TLS and with it.
        supported: [&'static str; 2],
    },
    /// The URL has no host.
    #[error("the URL names no host")]
    Host,
    /// The URL has a query, where only a server is meant.
    #[error("the URL of a server has no query")]
    Query,
    /// A URL without TLS to another machine.
    #[error("http:// is for this machine only, as http://localhost: elsewhere take https://")]
    Plain,
    /// The header is not of the form `Name: value`.
    #[error("a header looks like 'Name: value'")]
    Header,
}
