//! Errors of the server's start.

use std::path::PathBuf;

use nextrush::broker::{BrokerError, OpenError};
use nextrush::live::InvalidPattern;
use nextrush::topic::PublishError;
use nextrush_redis::ConnectError;

/// A failure to build the server's application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be opened.
    #[error("cannot open the store in {}", directory.display())]
    Store {
        /// Its directory.
        directory: PathBuf,
        /// The reason.
        source: OpenError,
    },
    /// The Redis that servers share cannot be used.
    #[error("cannot share topics on Redis")]
    Redis(#[from] ConnectError),
    /// The pattern of a channel is none.
    #[error(transparent)]
    Channel(#[from] InvalidPattern),
    /// The backends of hooks cannot be reached over TLS.
    #[error("cannot reach backends over TLS")]
    Hooks(#[source] std::io::Error),
    /// The log of the posts cannot be read.
    #[error("cannot read the posts")]
    Posts(#[source] BrokerError),
    /// A post of an old store cannot be read, or not be moved to the log of the posts.
    #[error("cannot move post {id} of the store to the log of the posts")]
    Post {
        /// The post's id.
        id: u64,
        /// The error of the store or of the JSON parser.
        source: PublishError,
    },
}
