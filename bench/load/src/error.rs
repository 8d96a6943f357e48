use std::error::Error as _;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nextrush_protocol::ProtocolError;
use nextrush_protocol::handshake::AnswerError;

use crate::ledger::Faults;

/// The reason why there is no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("{doing}")]
    Io {
        /// The action that was refused.
        doing: String,
        /// The refusal.
        source: io::Error,
    },
    /// `servers.toml` is not as it should be.
    #[error("servers.toml")]
    Servers(#[from] toml::de::Error),
    /// No entry of this name in `servers.toml`.
    #[error("servers.toml has no server {0:?}")]
    UnknownServer(String),
    /// A server does not do what is to be measured.
    #[error("{server} does not take part in {scenario}")]
    NotFor {
        /// The server's name.
        server: String,
        /// The scenario's name.
        scenario: &'static str,
    },
    /// A command of `servers.toml` failed.
    #[error("{command} failed ({status}):\n{output}")]
    Command {
        /// The command line.
        command: String,
        /// The command's exit status.
        status: ExitStatus,
        /// The command's error output.
        output: String,
    },
    /// A server ended or said something else before it said where it listens.
    #[error("{0} did not say `listening on port N`")]
    NotListening(String),
    /// A server answered the opening handshake with something else than an upgrade.
    #[error("the answer to the opening handshake is no HTTP")]
    Answer(#[from] httparse::Error),
    /// A server answered the opening handshake wrongly.
    #[error("the opening handshake failed")]
    Handshake(#[from] AnswerError),
    /// A server broke the protocol.
    #[error("the server broke the protocol")]
    Protocol(#[from] ProtocolError),
    /// A frame that no server has a reason to send here.
    #[error("a frame begins with {0:#04x}")]
    Frame(u8),
    /// The server closed a socket.
    #[error("the server closed socket {0}")]
    Closed(usize),
    /// Nothing happened for too long.
    #[error("nothing came for {0:?}")]
    Silence(Duration),
    /// Messages that a server has taken and never acknowledged.
    #[error("{0} messages were not acknowledged")]
    Unacknowledged(u64),
    /// Messages went missing, came twice or in another order.
    #[error("not delivered once and in order: {0}")]
    Faults(Faults),
    /// The limit of open files is too low.
    #[error("{wanted} sockets are wanted, and {limit} files may be open")]
    Descriptors {
        /// Sockets wanted.
        wanted: usize,
        /// The limit of this process.
        limit: usize,
    },
    /// A comparison is made, but servers failed in it.
    #[error("{0} of the runs failed")]
    Failures(usize),
    /// A result could not be written as JSON.
    #[error("the result cannot be written")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// Adds what was tried to an operating system's refusal.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
    /// The message with those of its causes.
    pub fn with_causes(&self) -> String {
        let mut message = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        message
    }
}
