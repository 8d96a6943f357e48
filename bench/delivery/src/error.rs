use std::error::Error as _;
use std::io;

use nextrush_protocol::ProtocolError;
use nextrush_protocol::handshake::AnswerError;

/// The reason why a scenario did not come to its end, or came to a bad one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The operating system refused something.
    #[error("{doing}")]
    Io { doing: String, source: io::Error },
    #[error("the server could not be built")]
    Build,
    #[error("the server did not say where it listens")]
    NotListening,
    #[error("the API of the server")]
    Api(#[from] ureq::Error),
    #[error("a token")]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error("the answer to the opening handshake is no HTTP")]
    Answer(#[from] httparse::Error),
    #[error("the opening handshake failed")]
    Handshake(#[from] AnswerError),
    #[error("the server broke the protocol")]
    Protocol(#[from] ProtocolError),
    #[error("a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS")]
    Tls(#[from] rustls::Error),
    #[error("a bystander's connection")]
    Bystander(#[from] Box<tungstenite::Error>),
    #[error("a message that is not understood: {text}")]
    Message {
        text: String,
        source: serde_json::Error,
    },
    #[error("nothing happened for a long time while {0}")]
    Silence(&'static str),
    /// A promise did not hold.
    #[error("{0}")]
    Broken(String),
}

impl Error {
    /// Adds what was tried to an operating system's refusal.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// The message with those of its causes.
    pub(crate) fn with_causes(&self) -> String {
        let mut message = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        message
    }
}
