//! Channels by pattern: who may, and how much is remembered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::Retention;

use crate::socket::Socket;
use crate::topic::feed::SlowPolicy;
use crate::topic::slow_readers::{Counters, SlowReaderCounts, SlowReaders};

/// A channel as a policy sees it: its name, and what stands in it for the parameters of
/// the policy's pattern.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'a> {
    name: &'a str,
    pattern: Option<&'a Pattern>,
}

impl<'a> Channel<'a> {
    /// The whole name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// What stands for `:parameter` of the pattern; `None` if it has no such one.
    #[must_use]
    pub fn param(&self, parameter: &str) -> Option<&'a str> {
        let found = self.pattern?.matches(self.name)?;
        let mut pairs = found.into_iter();
        pairs.find_map(|(name, value)| (name == parameter).then_some(value))
    }
}

type Rule = Arc<dyn Fn(&Socket, &Channel<'_>) -> bool + Send + Sync>;

/// What holds for a kind of channels.
///
/// By default everybody may subscribe and nothing is remembered, so that only a client
/// that missed nothing can come back.
///
/// ```
/// use std::time::Duration;
/// use nextrush::{Channel, ChannelPolicy, Socket, User};
///
/// let policy = ChannelPolicy::new()
///     .history(100, Duration::from_secs(3600))
///     .may_subscribe(|socket: &Socket, channel: &Channel<'_>| {
///         let user = socket.data::<User>().map(|user| user.id.to_string());
///         user.as_deref() == channel.param("id")
///     });
/// # drop(policy);
/// ```
#[derive(Clone, Default)]
pub struct ChannelPolicy {
    retention: Retention,
    may_subscribe: Option<Rule>,
    may_publish: Option<Rule>,
    presence: bool,
    slow_readers: Option<SlowReaders>,
    key: Option<Arc<str>>,
    sends_latest: bool,
    counters: Arc<Counters>,
}

impl ChannelPolicy {
    /// The default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers the last `count` publications, none for longer than `age`.
    #[must_use]
    pub fn history(self, count: usize, age: Duration) -> Self {
        Self {
            retention: self.retention.max_count(count).max_age(age),
            ..self
        }
    }

    /// Remembers no more than so many bytes of JSON for each channel.
    #[must_use]
    pub fn history_bytes(self, bytes: usize) -> Self {
        Self {
            retention: self.retention.max_bytes(bytes),
            ..self
        }
    }

    /// Shows who is there: subscribers can ask for all members and are told of each change.
    /// For sockets whose user is known, see
    /// [`LiveUpdates::connect_as`](crate::LiveUpdates::connect_as).
    #[must_use]
    pub fn presence(self) -> Self {
        Self {
            presence: true,
            ..self
        }
    }

    /// What becomes of a subscriber that reads too slowly. Default: [`SlowReaders::Heal`]
    /// with a history, else [`SlowReaders::Close`].
    #[must_use]
    pub fn slow_readers(self, slow_readers: SlowReaders) -> Self {
        Self {
            slow_readers: Some(slow_readers),
            ..self
        }
    }

    /// Gives each new subscriber the newest update at once, or with a [key](Self::key) the
    /// newest of each key that the [history](Self::history) has, 256 KiB at most. One update is
    /// remembered at least; with a key the history has to be long enough for all of them. A
    /// client that comes back and can recover gets what it missed.
    #[must_use]
    pub fn latest_value(self) -> Self {
        Self {
            sends_latest: true,
            retention: self.retention.max_count(self.retention.count.max(1)),
            ..self
        }
    }

    /// What tells updates apart of which only the newest matters, in
    /// [`SlowReaders::Latest`] and [`latest_value`](Self::latest_value): a JSON pointer
    /// (RFC 6901) into their data, such as `/symbol`. Updates in which it leads nowhere are
    /// of one kind.
    #[must_use]
    pub fn key(self, pointer: &str) -> Self {
        Self {
            key: Some(pointer.into()),
            ..self
        }
    }

    /// Lets a client subscribe where `rule` says so; the others are told
    /// `Subscription refused`. It is called for each attempt of a client, on the thread
    /// that serves its socket: it must not block.
    #[must_use]
    pub fn may_subscribe<F>(self, rule: F) -> Self
    where
        F: Fn(&Socket, &Channel<'_>) -> bool + Send + Sync + 'static,
    {
        Self {
            may_subscribe: Some(Arc::new(rule)),
            ..self
        }
    }

    /// Lets a client publish where `rule` says so, by a message `publish`; without a rule none
    /// may, and the others are told `Publishing refused`. It is called for each attempt of a
    /// client, on the thread that serves its socket: it must not block.
    ///
    /// What clients publish goes to all subscribers as it came. Whoever may publish needs not
    /// be subscribed. Where no policy has such a rule, `publish` is an unknown type of message.
    #[must_use]
    pub fn may_publish<F>(self, rule: F) -> Self
    where
        F: Fn(&Socket, &Channel<'_>) -> bool + Send + Sync + 'static,
    {
        Self {
            may_publish: Some(Arc::new(rule)),
            ..self
        }
    }
}

impl ChannelPolicy {
    fn slow_policy(&self) -> SlowPolicy {
        let remembers = self.retention.count > 0;
        let usual = match remembers {
            true => SlowReaders::Heal,
            false => SlowReaders::Close,
        };
        SlowPolicy {
            slow_readers: self.slow_readers.unwrap_or(usual),
            key: self.key.clone(),
            counters: Arc::clone(&self.counters),
        }
    }
}

impl fmt::Debug for ChannelPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelPolicy")
            .field("retention", &self.retention)
            .field("presence", &self.presence)
            .field("slow_readers", &self.slow_policy().slow_readers)
            .field("restricted", &self.may_subscribe.is_some())
            .field("clients_publish", &self.may_publish.is_some())
            .finish()
    }
}

/// Which policy holds for which channel: the first whose pattern fits the name.
///
/// A pattern is a name with parameters, `post-:id`. A parameter begins with a colon and a
/// letter, goes on with letters, digits and `_`, and stands for one character or more, as
/// few as possible. Channels that no pattern fits have the default policy, unless
/// [`refuse_others`](Self::refuse_others) was called.
///
/// ```
/// use std::time::Duration;
/// use nextrush::{App, ChannelPolicy, Channels, LiveUpdates};
///
/// let app: App = App::new();
/// let hour = Duration::from_secs(3600);
/// let channels = Channels::new()
///     .channel("posts", ChannelPolicy::new().history(300, hour))?
///     .channel("post-:id", ChannelPolicy::new().history(100, hour))?
///     .refuse_others();
/// let live = LiveUpdates::with(app.handle(), channels);
/// # drop(live);
/// # Ok::<(), nextrush::InvalidPattern>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Channels {
    policies: Vec<(Pattern, ChannelPolicy)>,
    /// Of channels that no pattern fits.
    others: ChannelPolicy,
    refuse_others: bool,
}

impl Channels {
    /// Every channel has the default policy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a policy for the channels that the pattern fits, and none before.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`] for an empty pattern, a colon without a name behind it, a
    /// parameter right behind another, and two of the same name.
    pub fn channel(mut self, pattern: &str, policy: ChannelPolicy) -> Result<Self, InvalidPattern> {
        // Counted for each pattern.
        let counters = Arc::default();
        let policy = ChannelPolicy { counters, ..policy };
        self.policies.push((Pattern::new(pattern)?, policy));
        Ok(self)
    }

    /// Lets nobody subscribe to channels that no pattern fits.
    #[must_use]
    pub fn refuse_others(self) -> Self {
        Self {
            refuse_others: true,
            ..self
        }
    }

    pub(crate) fn retention(&self, name: &str) -> Retention {
        let found = self.find(name);
        found.map_or(Retention::NOTHING, |(_, policy)| policy.retention)
    }

    pub(crate) fn may_subscribe(&self, socket: &Socket, name: &str) -> bool {
        let Some((pattern, policy)) = self.find(name) else {
            return !self.refuse_others;
        };
        let channel = Channel {
            name,
            pattern: Some(pattern),
        };
        let rule = policy.may_subscribe.as_ref();
        rule.is_none_or(|rule| rule(socket, &channel))
    }

    /// Whether any policy lets clients publish.
    pub(crate) fn have_publishing_clients(&self) -> bool {
        let mut policies = self.policies.iter();
        policies.any(|(_, policy)| policy.may_publish.is_some())
    }

    pub(crate) fn may_publish(&self, socket: &Socket, name: &str) -> bool {
        let Some((pattern, policy)) = self.find(name) else {
            return false;
        };
        let channel = Channel {
            name,
            pattern: Some(pattern),
        };
        let rule = policy.may_publish.as_ref();
        rule.is_some_and(|rule| rule(socket, &channel))
    }

    pub(crate) fn has_presence(&self, name: &str) -> bool {
        self.find(name).is_some_and(|(_, policy)| policy.presence)
    }

    pub(crate) fn slow_policy(&self, name: &str) -> SlowPolicy {
        let found = self.find(name).map(|(_, policy)| policy);
        found.unwrap_or(&self.others).slow_policy()
    }

    /// What a new subscriber gets at once: whether anything, and the key.
    pub(crate) fn latest_value(&self, name: &str) -> Option<Option<&str>> {
        let (_, policy) = self.find(name).filter(|(_, policy)| policy.sends_latest)?;
        Some(policy.key.as_deref())
    }

    /// Whether offsets may be left out, as only the newest publication matters.
    pub(crate) fn is_latest(&self, name: &str) -> bool {
        self.latest_value(name).is_some()
            || self.slow_policy(name).slow_readers == SlowReaders::Latest
    }

    /// By pattern, in their order.
    pub(crate) fn slow_reader_counts(&self) -> Vec<(String, SlowReaderCounts)> {
        let policies = self.policies.iter();
        policies
            .map(|(pattern, policy)| (pattern.to_string(), policy.counters.read()))
            .collect()
    }

    fn find(&self, name: &str) -> Option<&(Pattern, ChannelPolicy)> {
        let mut policies = self.policies.iter();
        policies.find(|(pattern, _)| pattern.matches(name).is_some())
    }
}

/// A text that is no pattern of channels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {problem}")]
pub struct InvalidPattern {
    pattern: String,
    problem: &'static str,
}

#[derive(Clone, Debug)]
struct Pattern(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Parameter(String),
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Parameter(name) => write!(f, ":{name}"),
        })
    }
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        let wrong = |problem| InvalidPattern {
            pattern: pattern.to_owned(),
            problem,
        };
        if pattern.is_empty() {
            return Err(wrong("it is empty"));
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut pieces = pattern.split(':');
        let first = pieces.next().unwrap_or_default();
        if !first.is_empty() {
            parts.push(Part::Text(first.to_owned()));
        }
        for piece in pieces {
            let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
            let end = piece.find(|char| !is_name(char)).unwrap_or(piece.len());
            let (name, text) = piece.split_at(end);
            if !name.starts_with(|char: char| char.is_ascii_alphabetic()) {
                return Err(wrong("a colon is followed by a parameter's name"));
            }
            if matches!(parts.last(), Some(Part::Parameter(_))) {
                return Err(wrong("a parameter is followed by a text"));
            }
            let has_name = |part: &Part| matches!(part, Part::Parameter(other) if other == name);
            if parts.iter().any(has_name) {
                return Err(wrong("a parameter is there twice"));
            }
            parts.push(Part::Parameter(name.to_owned()));
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
        }
        Ok(Self(parts))
    }

    /// What stands for the parameters if it fits.
    fn matches<'a>(&'a self, name: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut rest = name;
        let mut found = Vec::new();
        let mut parts = self.0.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Parameter(parameter) => {
                    // One character at least.
                    let first = rest.chars().next()?.len_utf8();
                    let end = match parts.peek() {
                        Some(Part::Text(text)) => first + rest[first..].find(text.as_str())?,
                        _ => rest.len(),
                    };
                    found.push((parameter.as_str(), &rest[..end]));
                    rest = &rest[end..];
                }
            }
        }
        rest.is_empty().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found<'a> = Option<&'a [(&'a str, &'a str)]>;

    #[test]
    fn a_pattern_fits_names_and_says_what_stands_for_its_parameters() {
        let cases: [(&str, &str, Found<'_>); 12] = [
            ("posts", "posts", Some(&[])),
            ("posts", "post", None),
            ("posts", "posts2", None),
            ("post-:id", "post-7", Some(&[("id", "7")])),
            ("post-:id", "post-", None),
            ("post-:id", "post-7/b é", Some(&[("id", "7/b é")])),
            (":a-:b", "x-y-z", Some(&[("a", "x"), ("b", "y-z")])),
            (":a-:b", "--z", Some(&[("a", "-"), ("b", "z")])),
            (":a-:b", "é-z", Some(&[("a", "é"), ("b", "z")])),
            (":a-:b", "x-", None),
            ("room/:id/news", "room/1/news", Some(&[("id", "1")])),
            ("room/:id/news", "room/1/newsroom", None),
        ];
        for (pattern, name, expected) in cases {
            let parsed = Pattern::new(pattern).unwrap();
            let found = parsed.matches(name);
            assert_eq!(found.as_deref(), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["", ":", "a-:", "a-:1", ":a:b", "a::b", ":a-:a", "a: b"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn the_first_pattern_that_fits_holds() {
        let keep = |count| ChannelPolicy::new().history(count, Duration::from_secs(1));
        let channels = Channels::new();
        let channels = channels.channel("post-:id", keep(1)).unwrap();
        let channels = channels.channel(":any", keep(2)).unwrap();
        for (name, count) in [("post-1", 1), ("posts", 2)] {
            assert_eq!(channels.retention(name).count, count, "{name}");
        }
        assert_eq!(Channels::new().retention("posts"), Retention::NOTHING);
    }
}
