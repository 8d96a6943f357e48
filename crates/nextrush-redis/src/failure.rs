//! Errors, sorted by what is known of the request that met them.

use std::io;
use std::time::Duration;

use nextrush_broker::{BrokerError, NodeName};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// The reason why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// There is no connection, so nothing was sent.
    #[error("there is no connection to the Redis at {0}")]
    NotConnected(String),
    /// The server refused the request before it did anything.
    #[error("Redis refused the request")]
    Refused(#[source] RedisError),
    /// The server has no memory for the request, and did nothing.
    #[error("Redis has no memory left")]
    Full(#[source] RedisError),
    /// An owner has used up its share.
    #[error("what is remembered for one user fills that user's share of {0} bytes")]
    Share(u64),
    /// The connection was lost before the reply came.
    #[error("the connection to Redis was lost before the reply came")]
    Lost(#[source] RedisError),
    /// No reply came in time.
    #[error("Redis did not reply within {0:?}")]
    Late(Duration),
    /// The server or the script reports an error in the midst of its work.
    #[error("Redis failed at the request")]
    Failed(#[source] RedisError),
    /// A key holds something that this program did not write, or a reply has another form.
    #[error("the data in Redis is not what this program wrote: {0}")]
    Damaged(String),
    /// The list of living nodes lacks some of them.
    #[error("living nodes are missing in the list of nodes in Redis")]
    Unlisted,
    /// Another process has the name of this node.
    #[error("a living node has the name {0} already")]
    NameTaken(NodeName),
    /// The other nodes write a layout that this program does not know.
    #[error("the data in Redis has layout {0}, which this program cannot read")]
    Newer(u8),
}

impl Failure {
    /// Sorts the error of a request that was sent.
    pub(crate) fn of_sent(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(kind) => Self::of_server(kind, error),
            ErrorKind::Extension => match error.code() {
                Some("OOM") => Self::Full(error),
                Some("WRONGTYPE" | "NXDAMAGED") => {
                    Self::Damaged(error.detail().unwrap_or_default().to_owned())
                }
                Some("NOREPLICAS" | "MISCONF" | "BUSY" | "NOAUTH" | "WRONGPASS" | "DENIED") => {
                    Self::Refused(error)
                }
                _ => Self::Failed(error),
            },
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
                Self::Damaged("the reply has another form".to_owned())
            }
            ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::RESP3NotSupported => Self::Refused(error),
            _ => Self::Lost(error),
        }
    }

    fn of_server(kind: ServerErrorKind, error: RedisError) -> Self {
        match kind {
            // "ERR" is also how a script ends that met an error half-way.
            ServerErrorKind::ResponseError | ServerErrorKind::ExecAbort => Self::Failed(error),
            _ => Self::Refused(error),
        }
    }

    /// The redirection or transient refusal in a server's answer, if it is one.
    pub(crate) fn detour(&self) -> Option<Detour> {
        let Self::Refused(error) = self else {
            return None;
        };
        let ErrorKind::Server(kind) = error.kind() else {
            return None;
        };
        let target = || error.redirect_node().map(|(address, _)| address.to_owned());
        match kind {
            ServerErrorKind::NoScript => Some(Detour::UnknownScript),
            ServerErrorKind::Moved => Some(Detour::Moved),
            ServerErrorKind::Ask => target().map(Detour::Ask),
            ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::BusyLoading => Some(Detour::Wait),
            _ => None,
        }
    }

    /// True if the server is a replica, which takes no writes.
    pub(crate) fn is_read_only(&self) -> bool {
        let read_only = ErrorKind::Server(ServerErrorKind::ReadOnly);
        matches!(self, Self::Refused(error) if error.kind() == read_only)
    }
}

/// The way in which a request that had no effect may be made again.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Detour {
    /// With the script's text.
    UnknownScript,
    /// To the new master of its partition.
    Moved,
    /// Once, to this address.
    Ask(String),
    /// To the same server, a little later.
    Wait,
}

impl From<Failure> for BrokerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotConnected(_)
            | Failure::Refused(_)
            | Failure::Unlisted
            | Failure::NameTaken(_)
            | Failure::Newer(_) => Self::Unavailable(Box::new(failure)),
            Failure::Full(_) | Failure::Share(_) => Self::Full(Box::new(failure)),
            Failure::Lost(_) | Failure::Late(_) | Failure::Failed(_) => {
                Self::InDoubt(Box::new(failure))
            }
            Failure::Damaged(_) => Self::Damaged(Box::new(failure)),
        }
    }
}

/// The reason why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// No TCP connection to any address of the host.
    #[error("cannot connect to {address}")]
    Tcp {
        address: String,
        #[source]
        error: io::Error,
    },
    /// The server's name is none that a certificate could hold.
    #[error("{0} is no name for TLS")]
    ServerName(String),
    /// The TLS handshake failed.
    #[error("the TLS handshake with {address} failed")]
    Tls {
        address: String,
        #[source]
        error: io::Error,
    },
    /// The server refused the first commands: a wrong password, or no RESP3.
    #[error("{address} refused the connection")]
    Refused {
        address: String,
        #[source]
        error: RedisError,
    },
    /// Nothing came back in time.
    #[error("{address} did not answer within {after:?}")]
    Late { address: String, after: Duration },
    /// The server is a replica.
    #[error("{0} is a replica and takes no writes")]
    Replica(String),
    /// The server does not tell its identity: a proxy, or a service that hides it.
    #[error(
        "{0} does not tell its run_id in INFO, without which a failover that loses publications \
         could not be noticed"
    )]
    NoIdentity(String),
    /// The two connections to a server reached two servers.
    #[error("{0} is several servers behind one address")]
    SeveralServers(String),
    /// No Sentinel knows the master.
    #[error("no Sentinel knows a master {0:?}")]
    UnknownMaster(String),
    /// No member of a cluster answered.
    #[error("no member of the cluster tells who has which slots")]
    NoCluster(#[source] Option<Box<Self>>),
}

impl DialError {
    /// The error and its causes in one line, for the log.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(error: RedisError) -> &'static str {
        match BrokerError::from(Failure::of_sent(error)) {
            BrokerError::Unavailable(_) => "unavailable",
            BrokerError::InDoubt(_) => "in doubt",
            BrokerError::Full(_) => "full",
            BrokerError::Damaged(_) => "damaged",
            _ => "another",
        }
    }

    /// The error that a server sends as this line.
    fn line(text: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("-{text}\r\n").as_bytes());
        reply.and_then(redis::Value::extract_error).unwrap_err()
    }

    #[test]
    fn errors_are_sorted_by_what_is_known_of_the_request() {
        let cases = [
            (
                "READONLY You can't write against a read only replica.",
                "unavailable",
            ),
            (
                "NOREPLICAS Not enough good replicas to write.",
                "unavailable",
            ),
            ("MISCONF Errors writing to the AOF file", "unavailable"),
            (
                "LOADING Redis is loading the dataset in memory",
                "unavailable",
            ),
            ("BUSY Redis is busy running a script.", "unavailable"),
            ("CLUSTERDOWN Hash slot not served", "unavailable"),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                "unavailable",
            ),
            ("MOVED 3999 127.0.0.1:6381", "unavailable"),
            ("NOPERM No permissions to access a key", "unavailable"),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "full",
            ),
            (
                "WRONGTYPE Operation against a key holding the wrong kind",
                "damaged",
            ),
            ("NXDAMAGED the topic's record", "damaged"),
            ("ERR user_script:7: something", "in doubt"),
            ("UNKNOWN of tomorrow", "in doubt"),
        ];
        for (text, expected) in cases {
            assert_eq!(sorted(line(text)), expected, "{text}");
        }
        let lost = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(sorted(lost.into()), "in doubt");
    }

    #[test]
    fn a_request_that_had_no_effect_may_take_a_detour() {
        let detour = |text: &str| Failure::of_sent(line(text)).detour();
        assert_eq!(
            detour("NOSCRIPT No matching script."),
            Some(Detour::UnknownScript)
        );
        assert_eq!(detour("MOVED 1 10.0.0.1:7000"), Some(Detour::Moved));
        let ask = Detour::Ask("10.0.0.1:7000".to_owned());
        assert_eq!(detour("ASK 1 10.0.0.1:7000"), Some(ask));
        assert_eq!(detour("TRYAGAIN"), Some(Detour::Wait));
        assert_eq!(detour("OOM"), None);
        assert_eq!(detour("ERR"), None);
    }
}
