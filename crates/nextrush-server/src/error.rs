//! Why the server does not start.

use nextrush::OpenError;
use nextrush::topic::PublishError;

/// Why the server's application cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] OpenError),
    /// The posts in the store cannot be read.
    #[error("cannot read post {id} in the store")]
    Post {
        /// Which one.
        id: u64,
        /// The store's reason, or the parser's.
        source: PublishError,
    },
}
