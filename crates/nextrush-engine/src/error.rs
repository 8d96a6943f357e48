use std::io;
use std::sync::Arc;

use nextrush_protocol::{CloseCode, ProtocolError};
use thiserror::Error;

/// Why a connection failed. Its handler is told, then closed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The client violated the protocol or a limit.
    #[error("protocol violation")]
    Protocol(#[from] ProtocolError),
    /// The transport broke: a reset, mostly.
    #[error("transport failed")]
    Transport(#[source] Arc<io::Error>),
    /// More waits for the client than [`Backlog::bytes`](crate::Backlog), or for longer
    /// than [`Backlog::age`](crate::Backlog).
    #[error("client reads too slowly")]
    SlowReader,
    /// The client has begun a message and not ended it within
    /// [`SocketOptions::message_timeout`](crate::SocketOptions).
    #[error("message took too long")]
    MessageTimeout,
    /// The client sent more pings than its [`PingLimit`](crate::PingLimit) allows.
    #[error("too many pings")]
    TooManyPings,
    /// The client was silent and did not answer a ping in time.
    #[error("no answer to a ping")]
    HeartbeatTimeout,
    /// The handler, or work that it had returned, panicked.
    #[error("handler panicked")]
    HandlerPanicked,
}

impl ConnectionError {
    /// The code that the connection is closed with: what the client is sent, and what the
    /// handler sees in its [`CloseReason`](crate::CloseReason).
    /// [`CloseCode::ABNORMAL`] where the client is cut without a close frame.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::Protocol(error) => error.close_code(),
            Self::Transport(_) | Self::HeartbeatTimeout => CloseCode::ABNORMAL,
            Self::SlowReader => CloseCode::TRY_AGAIN_LATER,
            Self::MessageTimeout => CloseCode::TIMEOUT,
            Self::TooManyPings => CloseCode::POLICY_VIOLATION,
            Self::HandlerPanicked => CloseCode::INTERNAL_ERROR,
        }
    }
}

impl ConnectionError {
    /// A name for programs, to be passed on to clients; it never changes.
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

/// Why a transport was not taken over; it has been dropped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// [`EngineConfig::connections`](crate::EngineConfig) are there already.
    #[error("too many connections, {limit} are allowed")]
    TooManyConnections {
        /// The limit.
        limit: usize,
    },
    /// The engine shuts down or has stopped.
    #[error("engine is shutting down")]
    ShuttingDown,
    /// Called outside of a tokio runtime.
    #[error("not inside a tokio runtime")]
    NoRuntime,
    /// The threads of the shards could not be started.
    #[error("shards could not be started")]
    Start(#[source] io::Error),
}

/// Why a connection did not join a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The connection is closing or closed.
    #[error("connection is closed")]
    Closed,
    /// The room belongs to another engine.
    #[error("room belongs to another engine")]
    ForeignRoom,
}
