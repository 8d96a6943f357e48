//! The errors of the engine's operations, and those that end connections.

use std::io;
use std::sync::Arc;

use nextrush_protocol::{CloseCode, ProtocolError};
use thiserror::Error;

/// The reason why a connection failed. The calls [`Handler::error`](crate::Handler::error) and
/// [`Handler::close`](crate::Handler::close) follow.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The client violated the protocol or a limit.
    #[error("protocol violation")]
    Protocol(#[from] ProtocolError),
    /// The transport broke, mostly by a reset.
    #[error("transport failed")]
    Transport(#[source] Arc<io::Error>),
    /// The client reads too slowly: more than [`Backlog::bytes`](crate::Backlog) wait for it,
    /// or they wait for longer than [`Backlog::age`](crate::Backlog).
    #[error("client reads too slowly")]
    SlowReader,
    /// The client did not end a message within
    /// [`SocketOptions::message_timeout`](crate::SocketOptions).
    #[error("message took too long")]
    MessageTimeout,
    /// The client sent more pings than its [`PingLimit`](crate::PingLimit) allows.
    #[error("too many pings")]
    TooManyPings,
    /// The client was silent and did not answer a ping in time.
    #[error("no answer to a ping")]
    HeartbeatTimeout,
    /// The handler panicked, or work that it had returned.
    #[error("handler panicked")]
    HandlerPanicked,
}

impl ConnectionError {
    /// The code that the client gets in its close frame, and the handler in its
    /// [`CloseReason`](crate::CloseReason). [`CloseCode::ABNORMAL`] if the client is cut without
    /// a close frame.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::Protocol(error) => error.close_code(),
            Self::Transport(_) => CloseCode::ABNORMAL,
            Self::SlowReader => CloseCode::TRY_AGAIN_LATER,
            Self::MessageTimeout | Self::HeartbeatTimeout => CloseCode::TIMEOUT,
            Self::TooManyPings => CloseCode::POLICY_VIOLATION,
            Self::HandlerPanicked => CloseCode::INTERNAL_ERROR,
        }
    }

    /// The error's name for programs, to be passed on to clients. Never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Protocol(error) => match error.close_code() {
                CloseCode::INVALID_PAYLOAD => "INVALID_PAYLOAD",
                CloseCode::MESSAGE_TOO_BIG => "MESSAGE_TOO_BIG",
                _ => "PROTOCOL_ERROR",
            },
            Self::Transport(_) => "TRANSPORT_ERROR",
            Self::SlowReader => "SLOW_READER",
            Self::MessageTimeout => "MESSAGE_TIMEOUT",
            Self::TooManyPings => "TOO_MANY_PINGS",
            Self::HeartbeatTimeout => "HEARTBEAT_TIMEOUT",
            Self::HandlerPanicked => "HANDLER_PANICKED",
        }
    }
}

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        Self::Transport(Arc::new(error))
    }
}

/// The reason why a transport was not taken over. It was dropped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The engine has [`EngineConfig::connections`](crate::EngineConfig) already.
    #[error("too many connections, {limit} are allowed")]
    TooManyConnections {
        /// The limit.
        limit: usize,
    },
    /// The engine shuts down or has stopped.
    #[error("engine is shutting down")]
    ShuttingDown,
    /// The call was made outside of a tokio runtime.
    #[error("not inside a tokio runtime")]
    NoRuntime,
    /// The threads of the shards could not be started.
    #[error("shards could not be started")]
    Start(#[source] io::Error),
}

/// The reason why a connection did not join a room.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum JoinError {
    /// The connection is closing or closed.
    #[error("connection is closed")]
    Closed,
    /// The room belongs to another engine.
    #[error("room belongs to another engine")]
    ForeignRoom,
}
