//! The framework's errors.

use std::io;

use crate::addr::{InvalidAddr, ListenAddr};

/// Any error of the user's own, as handlers may return it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of an application's `main`.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// The reason why an application could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address could not be listened on.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address that was asked for.
        addr: ListenAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// A socket that listens already cannot be used.
    #[error("cannot listen on a socket that was handed over")]
    Adopt(#[source] io::Error),
    /// The text given to `listen` names no address.
    #[error(transparent)]
    Address(InvalidAddr),
    /// The certificate cannot be used.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] crate::http::tls::TlsError),
    /// The application cannot be one of the nodes that share its broker.
    #[error(transparent)]
    Nodes(#[from] crate::node::StartError),
    /// A part of the process that it cannot serve without has ended.
    #[error("{0} has ended")]
    Ended(&'static str),
    /// The process cannot be told about its termination signals.
    #[error("cannot wait for termination signals")]
    Signals(#[source] io::Error),
}
