//! The settings of a connection to Redis.

use std::time::Duration;

use nextrush_broker::NodeName;

/// The settings of a connection to Redis, beside its [address](crate::RedisUrl).
///
/// Nodes that share topics have the same prefix, and names of their own.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RedisOptions {
    /// The start of all keys and channels. Default `nextrush`.
    pub prefix: String,
    /// The name of this node, which no other living one has; also that of its connections in
    /// `CLIENT LIST`. Default `None`, which gives it a [random](NodeName::random) one.
    pub node: Option<NodeName>,
    /// The time after which a topic is forgotten that nobody publishes to or asks for, if its
    /// history has an age or is empty. A topic whose history has no age is never forgotten. At
    /// least an hour more than the age of the history; default 24 hours.
    pub idle: Duration,
    /// The most bytes of answers to commands that are remembered for one owner, and of keys of
    /// publications that happen once: of those, as much of the window before may be left, and a
    /// cluster counts them in each of its 256 partitions. Default 4 MiB.
    pub share: u64,
    /// The deadlines of requests and connections.
    pub deadlines: Deadlines,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            prefix: "nextrush".to_owned(),
            node: None,
            idle: Duration::from_secs(24 * 60 * 60),
            share: 4 << 20,
            deadlines: Deadlines::default(),
        }
    }
}

impl RedisOptions {
    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        Self { prefix, ..self }
    }

    /// Sets [`node`](Self::node).
    #[must_use]
    pub fn node(self, node: NodeName) -> Self {
        let node = Some(node);
        Self { node, ..self }
    }

    /// Sets [`idle`](Self::idle).
    #[must_use]
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// Sets [`share`](Self::share).
    #[must_use]
    pub fn share(self, share: u64) -> Self {
        Self { share, ..self }
    }

    /// Sets [`deadlines`](Self::deadlines).
    #[must_use]
    pub fn deadlines(self, deadlines: Deadlines) -> Self {
        Self { deadlines, ..self }
    }
}

/// The deadlines of requests and connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Deadlines {
    /// The time within which a new connection is ready. Default 5 s.
    pub connect: Duration,
    /// The time within which a ping is answered, before the connection counts as lost. Default
    /// 2 s.
    pub ping: Duration,
    /// The time within which a request is answered, repeats included. Default 5 s.
    pub command: Duration,
    /// The time for which the connection for pushes may be silent, though it was asked for a
    /// reply half-way. Default 10 s.
    pub silence: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            ping: Duration::from_secs(2),
            command: Duration::from_secs(5),
            silence: Duration::from_secs(10),
        }
    }
}

impl Deadlines {
    /// Sets [`connect`](Self::connect).
    #[must_use]
    pub const fn connect(self, connect: Duration) -> Self {
        Self { connect, ..self }
    }

    /// Sets [`ping`](Self::ping).
    #[must_use]
    pub const fn ping(self, ping: Duration) -> Self {
        Self { ping, ..self }
    }

    /// Sets [`command`](Self::command).
    #[must_use]
    pub const fn command(self, command: Duration) -> Self {
        Self { command, ..self }
    }

    /// Sets [`silence`](Self::silence).
    #[must_use]
    pub const fn silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }
}
