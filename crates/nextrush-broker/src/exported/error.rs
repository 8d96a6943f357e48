//! The errors of exports.

use std::io;

use crate::error::BrokerError;

/// The reason why an export could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The lines could not be read or written.
    #[error("the export cannot be read or written")]
    Io(#[from] io::Error),
    /// A line is not what must be there.
    #[error("line {line}: {what}")]
    Line {
        /// The number of the line, from 1.
        line: u64,
        /// The fault.
        what: String,
    },
    /// There is something where an empty store is needed.
    #[error("{0} has topics already: import into an empty store")]
    NotEmpty(String),
    /// The store could not be read or written.
    #[error("the store cannot be read or written")]
    Store(#[from] BrokerError),
}
