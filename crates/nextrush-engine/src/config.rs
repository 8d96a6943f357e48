//! The settings of an engine and of its connections, with their defaults.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nextrush_protocol::{DeflateConfig, Limits};

use crate::memory;

/// The settings of an [`Engine`](crate::Engine).
///
/// ```
/// use nextrush_engine::{Engine, EngineConfig};
///
/// let engine = Engine::new(EngineConfig::default().connections(10_000));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The number of shards, each a thread with its own connections. Default: one per
    /// available core. More than 65,536 are taken as 65,536.
    pub shards: NonZeroUsize,
    /// The most connections at a time, those that are still closing included; more are
    /// refused with [`AcceptError::TooManyConnections`](crate::AcceptError). Default:
    /// 100,000.
    pub connections: usize,
    /// The bytes that may wait for all slow readers together; see [`Backlog`]. A publication is
    /// one buffer for all and does not count. Above it those
    /// with the largest are closed with 1013. Default: a quarter of the memory of the
    /// machine or of the container.
    pub backlog_total: usize,
}

impl EngineConfig {
    /// Sets [`shards`](Self::shards).
    #[must_use]
    pub fn shards(mut self, shards: NonZeroUsize) -> Self {
        self.shards = shards;
        self
    }

    /// Sets [`connections`](Self::connections).
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets [`backlog_total`](Self::backlog_total).
    #[must_use]
    pub fn backlog_total(mut self, backlog_total: usize) -> Self {
        self.backlog_total = backlog_total;
        self
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            shards: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            connections: 100_000,
            backlog_total: memory::available() / 4,
        }
    }
}

/// The settings of all connections of one endpoint.
///
/// ```
/// use std::time::Duration;
/// use nextrush_engine::{Backlog, Heartbeat, SocketOptions};
/// use nextrush_protocol::Limits;
///
/// let options = SocketOptions::default()
///     .limits(Limits::message(1024 * 1024))
///     .heartbeat(Heartbeat::default().interval(Duration::from_secs(60)));
/// assert_eq!(options.backlog, Backlog::default());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// The endpoint's name in the log. Default: `None`.
    pub name: Option<Arc<str>>,
    /// The length of a client's messages and frames; a longer one closes the connection
    /// with 1009. Default: 64 KiB.
    pub limits: Limits,
    /// The time that a client may take for one message, from its first byte to its last; a
    /// slower one closes the connection with 3008. Time in which a handler holds reading back
    /// does not count. Default: 60 s.
    pub message_timeout: Duration,
    /// The pings that a client may send. Default: [`PingLimit::default`].
    pub pings: PingLimit,
    /// Pings to silent clients. With `None` a client that went away silently is noticed only
    /// when something is sent to it. Default: [`Heartbeat::default`].
    pub heartbeat: Option<Heartbeat>,
    /// The time that a client may take for its part of closing; then the transport is cut. It
    /// starts when our close frame has been written ([`Backlog::age`] bounds the time for what
    /// is queued ahead of it) or, if the client closed or failed, at once. Default: 2 s.
    pub close_timeout: Duration,
    /// The bounds of a slow reader's backlog. Default: [`Backlog::default`].
    pub backlog: Backlog,
    /// The compression of messages, for handshakes that agree on it (RFC 7692). With `None`
    /// no handshake agrees, and nothing is compressed. Default: `None`.
    ///
    /// Each message is compressed by itself, whatever
    /// [`server_no_context_takeover`](DeflateConfig::server_no_context_takeover) says, so that
    /// a publication is compressed once for all its receivers.
    pub deflate: Option<DeflateConfig>,
    /// The subprotocols that the endpoint speaks, the best liked first (RFC 6455 §1.9): a handshake
    /// agrees on the first of them that the client offers, or on none. With `None` it agrees on
    /// `nextrush.v1` or else on the first offer of up to 64 bytes that carries no token.
    /// Default: `None`.
    pub protocols: Option<Arc<[Arc<str>]>>,
    /// The subprotocol that the handshake has agreed on; set for each connection. Default: `None`.
    pub protocol: Option<Arc<str>>,
}

impl SocketOptions {
    /// Sets [`name`](Self::name).
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`message_timeout`](Self::message_timeout).
    #[must_use]
    pub fn message_timeout(mut self, message_timeout: Duration) -> Self {
        self.message_timeout = message_timeout;
        self
    }

    /// Sets [`pings`](Self::pings).
    #[must_use]
    pub fn pings(mut self, pings: PingLimit) -> Self {
        self.pings = pings;
        self
    }

    /// Sets [`heartbeat`](Self::heartbeat).
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<Heartbeat>>) -> Self {
        self.heartbeat = heartbeat.into();
        self
    }

    /// Sets [`close_timeout`](Self::close_timeout).
    #[must_use]
    pub fn close_timeout(mut self, close_timeout: Duration) -> Self {
        self.close_timeout = close_timeout;
        self
    }

    /// Sets [`backlog`](Self::backlog).
    #[must_use]
    pub fn backlog(mut self, backlog: Backlog) -> Self {
        self.backlog = backlog;
        self
    }

    /// Sets [`deflate`](Self::deflate).
    #[must_use]
    pub fn deflate(mut self, deflate: impl Into<Option<DeflateConfig>>) -> Self {
        self.deflate = deflate.into();
        self
    }

    /// Sets [`protocols`](Self::protocols).
    ///
    /// ```
    /// use nextrush_engine::SocketOptions;
    ///
    /// let options = SocketOptions::default().protocols(["graphql-transport-ws"]);
    /// assert_eq!(options.protocols.map(|all| all.len()), Some(1));
    /// ```
    #[must_use]
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.protocols = Some(protocols.into_iter().map(Into::into).collect());
        self
    }
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
            protocols: None,
            protocol: None,
        }
    }
}

/// Pings to clients that are silent.
///
/// A client is alive when it sends a byte, or when it drains a full send buffer. While a
/// handler holds the connection's reading back, silence is not held against the client.
///
/// Connections are looked at in slices, to keep a million idle ones cheap, so both times are
/// lower bounds: a ping or a cut may come later by an eighth of the shorter time, and by 0.1 s
/// at least.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The silence after which a ping is sent. Default: 25 s, below the 30 s to 60 s after
    /// which usual proxies cut an idle connection.
    pub interval: Duration,
    /// The further silence after which the client counts as gone: its handler sees
    /// [`ConnectionError::HeartbeatTimeout`](crate::ConnectionError), it is closed with 3008, in case
    /// that it hears after all, and cut after [`SocketOptions::close_timeout`]. Default: 10 s.
    pub timeout: Duration,
}

impl Heartbeat {
    /// Sets [`interval`](Self::interval).
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(25),
            timeout: Duration::from_secs(10),
        }
    }
}

/// The budget of pings of a client; a ping above it closes the connection with 1008. Answering
/// pings costs a server more than sending them costs a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PingLimit {
    /// The pings of a full budget, which may come at once. Default: 100.
    pub burst: u32,
    /// The time in which the budget grows by one ping. A ping after 0.2 s of silence is free.
    /// Default: 100 ms.
    pub interval: Duration,
}

impl PingLimit {
    /// Sets [`burst`](Self::burst).
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = burst;
        self
    }

    /// Sets [`interval`](Self::interval).
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }
}

impl Default for PingLimit {
    fn default() -> Self {
        Self {
            burst: 100,
            interval: Duration::from_millis(100),
        }
    }
}

/// The bounds of a slow reader's backlog: the frames that the kernel does not take. Above one of
/// them the connection is closed with 1013, and its backlog is dropped.
///
/// Pongs and close frames are sent regardless of these bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Backlog {
    /// The bytes that may wait. A single frame that is longer may wait alone. More than 1 GiB are taken as 1 GiB. Default: 1 MiB.
    pub bytes: usize,
    /// The time that a frame may wait until the kernel has taken the whole of it. If
    /// [skippable publications](crate::Room::publish_skippable) wait, the time in which the
    /// kernel may take nothing at all. Default: 10 s.
    pub age: Duration,
}

impl Backlog {
    /// Sets [`bytes`](Self::bytes).
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets [`age`](Self::age).
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            bytes: 1024 * 1024,
            age: Duration::from_secs(10),
        }
    }
}
