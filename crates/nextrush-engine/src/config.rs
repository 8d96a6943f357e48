use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nextrush_protocol::{DeflateConfig, Limits};

/// How an [`Engine`](crate::Engine) is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Shards, each a thread with its own connections. Default: one per available core.
    /// More than 65,536 are taken as 65,536.
    pub shards: NonZeroUsize,
    /// The most connections at a time, those that are still closing included; more are
    /// refused with [`AcceptError::TooManyConnections`](crate::AcceptError). Default:
    /// 100,000.
    pub connections: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            shards: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            connections: 100_000,
        }
    }
}

/// What the connections of one endpoint have in common.
///
/// ```
/// use std::time::Duration;
/// use nextrush_engine::{Backlog, Heartbeat, SocketOptions};
/// use nextrush_protocol::Limits;
///
/// let options = SocketOptions {
///     limits: Limits::message(1024 * 1024),
///     heartbeat: Some(Heartbeat { interval: Duration::from_secs(60), ..Heartbeat::default() }),
///     ..SocketOptions::default()
/// };
/// assert_eq!(options.backlog, Backlog::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOptions {
    /// What the log calls the endpoint. Default: `None`.
    pub name: Option<Arc<str>>,
    /// How long a client's messages and frames may be; a longer one closes the connection
    /// with 1009. Default: 64 KiB.
    pub limits: Limits,
    /// How long a client may take for one message, from its first byte to its last, before
    /// the connection is closed with 3008. The time in which a handler holds reading back
    /// does not count. Default: 60 s.
    pub message_timeout: Duration,
    /// How many pings a client may send. Default: [`PingLimit::default`].
    pub pings: PingLimit,
    /// How a client that went away silently is noticed; `None`: only when something is
    /// sent to it. Default: [`Heartbeat::default`].
    pub heartbeat: Option<Heartbeat>,
    /// How long a client may take for its part of closing; then the transport is cut. When
    /// we close, counted from the moment our close frame has been written (what waits
    /// ahead of it is bounded by [`Backlog::age`]); when the client closed or failed, from
    /// then. Default: 2 s.
    pub close_timeout: Duration,
    /// How far a client may read behind. Default: [`Backlog::default`].
    pub backlog: Backlog,
    /// How messages are compressed where the handshake has agreed on it (RFC 7692); `None`:
    /// it does not agree, and nothing is compressed. Default: `None`.
    ///
    /// What is sent is compressed message by message, whatever
    /// [`server_no_context_takeover`](DeflateConfig::server_no_context_takeover) says: a
    /// publication is compressed once for all its receivers.
    pub deflate: Option<DeflateConfig>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            name: None,
            limits: Limits::default(),
            message_timeout: Duration::from_secs(60),
            pings: PingLimit::default(),
            heartbeat: Some(Heartbeat::default()),
            close_timeout: Duration::from_secs(2),
            backlog: Backlog::default(),
            deflate: None,
        }
    }
}

/// Pings to clients that are silent.
///
/// Any byte from the client counts as a sign of life, and so does that it reads on where
/// the kernel takes no more for it. Looked after in slices to keep a million idle
/// connections cheap, so both times are lower bounds: a ping or a cut comes up to an eighth
/// of the shorter one later, at least 0.1 s. While a handler holds the connection's reading
/// back its silence is not held against the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// The silence after which a ping is sent. Default: 25 s, below the 30 s to 60 s after
    /// which usual proxies cut an idle connection.
    pub interval: Duration,
    /// The further silence after which the client counts as gone: its transport is cut,
    /// its handler sees [`ConnectionError::HeartbeatTimeout`](crate::ConnectionError) and
    /// 1006. Default: 10 s.
    pub timeout: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(25),
            timeout: Duration::from_secs(10),
        }
    }
}

/// How many pings a client may send; one more closes the connection with 1008. Answering
/// them costs a server more than sending them costs a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingLimit {
    /// How many may come at once. Default: 100.
    pub burst: u32,
    /// Every such interval allows one more. One that comes after 0.2 s of silence is
    /// never too many. Default: 100 ms.
    pub interval: Duration,
}

impl Default for PingLimit {
    fn default() -> Self {
        Self {
            burst: 100,
            interval: Duration::from_millis(100),
        }
    }
}

/// The bounds of what waits for a client that reads too slowly. Over one of them the
/// connection is closed with 1013, and what waited is dropped.
///
/// Pongs and close frames are not held back by these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// The bytes that may wait because the kernel does not take them. A single frame that
    /// is longer may wait alone. More than 1 GiB are taken as 1 GiB. Default: 1 MiB.
    pub bytes: usize,
    /// How long a frame may wait until the kernel has taken the whole of it; where something
    /// is on the way that [could be left out](crate::Room::publish_skippable), how long the
    /// kernel may take nothing at all. Default: 10 s.
    pub age: Duration,
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            bytes: 1024 * 1024,
            age: Duration::from_secs(10),
        }
    }
}
