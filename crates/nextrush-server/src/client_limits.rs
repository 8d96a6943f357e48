//! The bounds on clients that operators set.

use std::num::NonZeroUsize;
use std::time::Duration;

use nextrush::SocketOptions;
use nextrush::limits::{Backlog, Heartbeat, Limits, TokenBucket};

use crate::settings::Settings;

/// The shortest time that a setting may give a client.
const LEAST_TIME: Duration = Duration::from_secs(1);
/// The least bytes of a message: a token fits into one.
const LEAST_MESSAGE: usize = 16 * 1024;
/// The most bytes of a message or of what waits for a reader.
const MOST_BYTES: usize = 1024 * 1024 * 1024;
/// The least bytes of a head, which are hyper's.
const LEAST_HEAD: usize = 8 * 1024;
/// The most bytes of a head: it is kept whole.
const MOST_HEAD: usize = 1024 * 1024;
/// The most messages of a second, which is what a `TokenBucket` counts.
const MOST_MESSAGES: usize = 1_000_000_000;

/// The bounds on clients that operators set. The guide's page *Limits and defaults* lists these
/// and all others.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientLimits {
    /// The most connections of all clients.
    pub connections: NonZeroUsize,
    /// The time from connecting to the end of the first request's head.
    pub head_timeout: Duration,
    /// The bytes of a request's head.
    pub head_bytes: usize,
    /// The bytes of a message, with all its fragments and inflated.
    pub message_bytes: usize,
    /// The messages of a socket.
    pub messages: TokenBucket,
    /// The pings to silent sockets.
    pub heartbeat: Heartbeat,
    /// The bounds of what waits for a socket that reads slowly.
    pub backlog: Backlog,
    /// The most channels that one socket may be subscribed to.
    pub channels_per_socket: NonZeroUsize,
}

impl ClientLimits {
    /// The bounds that the settings say. `wrong` is told what cannot be.
    pub(crate) fn new(settings: &Settings, mut wrong: impl FnMut(&str, String)) -> Self {
        for (name, time) in [
            ("head-timeout", settings.head_timeout),
            ("heartbeat-interval", settings.heartbeat_interval),
            ("heartbeat-timeout", settings.heartbeat_timeout),
            ("backlog-age", settings.backlog_age),
        ] {
            if time < LEAST_TIME {
                wrong(
                    name,
                    "less than 1s: clients on slow lines would be cut".to_owned(),
                );
            }
        }
        let head_bytes = settings.head_bytes.bytes();
        if !(LEAST_HEAD..=MOST_HEAD).contains(&head_bytes) {
            wrong("head-bytes", "expected 8K to 1M".to_owned());
        }
        let message_bytes = settings.message_bytes.bytes();
        if !(LEAST_MESSAGE..=MOST_BYTES).contains(&message_bytes) {
            wrong("message-bytes", "expected 16K to 1G".to_owned());
        }
        let backlog_bytes = settings.backlog_bytes.bytes();
        if !(LEAST_MESSAGE..=MOST_BYTES).contains(&backlog_bytes) {
            wrong("backlog-bytes", "expected 16K to 1G".to_owned());
        }
        let mut messages = |name: &str, number: NonZeroUsize| {
            if number.get() > MOST_MESSAGES {
                wrong(name, format!("more than {MOST_MESSAGES}"));
            }
            u32::try_from(number.get()).unwrap_or(u32::MAX)
        };
        let rate = messages("messages-per-second", settings.messages_per_second);
        let burst = messages("messages-at-once", settings.messages_at_once);
        Self {
            connections: settings.connections,
            head_timeout: settings.head_timeout,
            head_bytes,
            message_bytes,
            messages: TokenBucket::new(rate, burst),
            heartbeat: Heartbeat::default()
                .interval(settings.heartbeat_interval)
                .timeout(settings.heartbeat_timeout),
            backlog: Backlog::default()
                .bytes(backlog_bytes)
                .age(settings.backlog_age),
            channels_per_socket: settings.channels_per_socket,
        }
    }

    /// The bounds of each socket.
    pub(crate) fn of_sockets(&self) -> SocketOptions {
        SocketOptions::default()
            .limits(Limits::message(self.message_bytes))
            .heartbeat(self.heartbeat)
            .backlog(self.backlog)
    }
}

#[cfg(test)]
mod tests {
    use nextrush::limits::EngineConfig;

    use super::*;
    use crate::settings::Layers;

    fn read(words: &str) -> (Option<ClientLimits>, Vec<String>) {
        let text = format!("jwt-secret = \"{}\"\n{words}", "s".repeat(32));
        let mut problems = Vec::new();
        let layers = Layers::of_text("nextrush.toml".as_ref(), &text, &mut problems);
        let settings = Settings::read(&layers, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let mut wrong = Vec::new();
        let limits = settings.map(|settings| {
            ClientLimits::new(&settings, |name, why| wrong.push(format!("{name}: {why}")))
        });
        (limits, wrong)
    }

    #[test]
    fn a_bound_that_nobody_has_set_is_the_librarys() {
        let (limits, wrong) = read("");
        let limits = limits.unwrap();
        assert_eq!(wrong, [""; 0]);
        assert_eq!(limits.of_sockets(), SocketOptions::default());
        let all = limits.connections.get();
        assert_eq!(all, EngineConfig::default().connections);
        let messages = format!("{:?}", limits.messages);
        assert_eq!(messages, format!("{:?}", TokenBucket::default()));
    }

    #[test]
    fn bounds_that_would_let_nobody_in_are_refused_by_name() {
        for (words, expected) in [
            ("head-timeout = \"10ms\"", "head-timeout"),
            ("head-bytes = \"4K\"", "head-bytes"),
            ("head-bytes = \"2M\"", "head-bytes"),
            ("message-bytes = \"0\"", "message-bytes"),
            ("message-bytes = \"2G\"", "message-bytes"),
            ("heartbeat-interval = \"0s\"", "heartbeat-interval"),
            ("heartbeat-timeout = \"1ms\"", "heartbeat-timeout"),
            ("backlog-bytes = \"1K\"", "backlog-bytes"),
            ("backlog-age = \"0s\"", "backlog-age"),
            ("messages-per-second = 2000000000", "messages-per-second"),
            ("messages-at-once = 2000000000", "messages-at-once"),
        ] {
            let (_, wrong) = read(words);
            let names: Vec<_> = wrong
                .iter()
                .filter_map(|line| line.split(':').next())
                .collect();
            assert_eq!(names, [expected], "{words}");
        }
    }
}
