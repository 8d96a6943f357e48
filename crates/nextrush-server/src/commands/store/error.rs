//! Errors of the commands about stores.

use std::io;
use std::path::PathBuf;

use nextrush::broker::{BrokerError, ExportError, OpenError};
use nextrush_redis::ConnectError;

use crate::client::ClientError;
use crate::document::ConfigError;

/// The reason why a command about stores failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The configuration, in which the place of the store was looked for, is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing says where the store is.
    #[error("the configuration names no store: give its directory, or --redis where that is meant")]
    Nowhere,
    /// The command is about a store, and the configuration names a Redis.
    #[error(
        "the configuration names a Redis: {0} is for the store of one server; give its directory"
    )]
    Redis(&'static str),
    /// The store cannot be opened.
    #[error("cannot use the store in {}", directory.display())]
    Store {
        /// Its directory.
        directory: PathBuf,
        /// The reason.
        source: OpenError,
    },
    /// The Redis cannot be used.
    #[error("cannot use the Redis")]
    Connect(#[from] ConnectError),
    /// An export cannot be read or written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// An item of an export cannot be imported.
    #[error("cannot import")]
    Import(#[source] BrokerError),
    /// The server cannot be reached or refuses.
    #[error("no backup was made")]
    Client(#[from] ClientError),
    /// The answer is not one of this API.
    #[error("the server's answer cannot be read")]
    Answer(#[source] serde_json::Error),
    /// A key that no header can hold.
    #[error("a key has visible characters only")]
    Key,
    /// Standard input or output failed.
    #[error("standard input or output failed")]
    Io(#[from] io::Error),
}
