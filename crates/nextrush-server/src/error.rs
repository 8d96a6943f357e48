//! Errors of the server's start.

use nextrush::broker::OpenError;
use nextrush::topic::PublishError;

/// A failure to build the server's application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] OpenError),
    /// The posts in the store cannot be read.
    #[error("cannot read post {id} in the store")]
    Post {
        /// The post's id.
        id: u64,
        /// The error of the store or of the JSON parser.
        source: PublishError,
    },
}
