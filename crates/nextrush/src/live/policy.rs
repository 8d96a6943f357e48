//! Policies of channels, by pattern.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::Retention;
use serde_json::value::RawValue;

use super::pattern::{InvalidPattern, Pattern};
use super::rule::{Channel, PublishContext, Rule, SubscribeContext, Verdict};
use crate::message::{ErrorMessage, User};
use crate::socket::Socket;
use crate::topic::{SlowReaderCounts, SlowReaderPolicy, SlowReaders};

/// The rules and settings of a kind of channels.
///
/// By default everybody may subscribe and nothing is remembered, so that only a client
/// that missed nothing can come back.
///
/// ```
/// use std::time::Duration;
/// use nextrush::live::{ChannelPolicy, SubscribeContext};
///
/// // Nobody reads the inbox of somebody else.
/// let policy = ChannelPolicy::new()
///     .history(100, Duration::from_secs(3600))
///     .may_subscribe(async |context: SubscribeContext| {
///         let user = context.user.map(|user| user.id.to_string());
///         user.as_deref() == context.channel.param("id")
///     });
/// # drop(policy);
/// ```
#[derive(Clone, Default)]
pub struct ChannelPolicy {
    retention: Retention,
    may_subscribe: Option<Rule<SubscribeContext>>,
    may_publish: Option<Rule<PublishContext>>,
    presence: bool,
    slow_readers: Option<SlowReaders>,
    key: Option<Arc<str>>,
    sends_latest: bool,
    counted: Option<SlowReaderPolicy>,
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

    /// Shows who is there: subscribers can ask for all members and are told of each change. A
    /// member is a [user](crate::Socket::user) whose socket is subscribed.
    #[must_use]
    pub fn presence(self) -> Self {
        Self {
            presence: true,
            ..self
        }
    }

    /// Sets the treatment of a subscriber that reads too slowly. Default: [`SlowReaders::Heal`]
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

    /// Sets the key of updates of which only the newest matters, for
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
    /// `Subscription refused`, or what the rule's error says. It is asked for each attempt of a
    /// client, on the thread that serves its socket: it may wait, for a database say, but must
    /// not block. Until it has answered nothing more is read from this socket.
    #[must_use]
    pub fn may_subscribe<F, V>(self, rule: F) -> Self
    where
        F: AsyncFn(SubscribeContext) -> V + Send + Sync + 'static,
        V: Verdict + 'static,
    {
        let may_subscribe = Some(Rule::new(rule));
        Self {
            may_subscribe,
            ..self
        }
    }

    /// Lets a client publish where `rule` says so, by a message `publish`; without a rule none
    /// may, and the others are told `Publishing refused`, or what the rule's error says. It is
    /// asked as that of [`may_subscribe`](Self::may_subscribe), and sees the data.
    ///
    /// What clients publish goes to all subscribers as it came. Whoever may publish needs not
    /// be subscribed. Where no policy has such a rule, `publish` is an unknown type of message.
    #[must_use]
    pub fn may_publish<F, V>(self, rule: F) -> Self
    where
        F: AsyncFn(PublishContext) -> V + Send + Sync + 'static,
        V: Verdict + 'static,
    {
        let may_publish = Some(Rule::new(rule));
        Self {
            may_publish,
            ..self
        }
    }
}

impl ChannelPolicy {
    fn slow_policy(&self) -> SlowReaderPolicy {
        let mut policy = SlowReaderPolicy::of(self.retention);
        if let Some(slow_readers) = self.slow_readers {
            policy = SlowReaderPolicy::new(slow_readers);
        }
        if let Some(key) = &self.key {
            policy = policy.key(Arc::clone(key));
        }
        match &self.counted {
            Some(counted) => policy.counted_with(counted),
            None => policy,
        }
    }
}

impl fmt::Debug for ChannelPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelPolicy")
            .field("retention", &self.retention)
            .field("presence", &self.presence)
            .field("slow_readers", &self.slow_policy().slow_readers())
            .field("restricted", &self.may_subscribe.is_some())
            .field("clients_publish", &self.may_publish.is_some())
            .finish()
    }
}

/// The policies of channels: of those whose pattern fits a channel's name the first holds.
///
/// A pattern is a name with parameters, `post-:id`. A parameter begins with a colon and a
/// letter, goes on with letters, digits and `_`, and stands for one character or more, as
/// few as possible. Channels that no pattern fits have the default policy, unless
/// [`refuse_others`](Self::refuse_others) was called.
///
/// ```
/// use std::time::Duration;
/// use nextrush::live::{ChannelPolicies, ChannelPolicy};
/// use nextrush::{App, LiveUpdates};
///
/// let app: App = App::new();
/// let hour = Duration::from_secs(3600);
/// let policies = ChannelPolicies::new()
///     .policy("posts", ChannelPolicy::new().history(300, hour))
///     .policy("post-:id", ChannelPolicy::new().history(100, hour))
///     .refuse_others();
/// let live = LiveUpdates::builder().policies(policies).build(&app, "live");
/// # drop(live);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChannelPolicies {
    policies: Vec<(Arc<Pattern>, ChannelPolicy)>,
    /// The policy of channels that no pattern fits.
    others: ChannelPolicy,
    refuse_others: bool,
}

impl ChannelPolicies {
    /// The default policy for every channel.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a policy for the channels that the pattern fits and none before does.
    ///
    /// # Panics
    ///
    /// Panics on an invalid pattern, as [`App::route`](crate::App::route) does; see
    /// [`try_policy`](Self::try_policy) for patterns from outside.
    #[must_use]
    #[track_caller]
    pub fn policy(self, pattern: &str, policy: ChannelPolicy) -> Self {
        match self.try_policy(pattern, policy) {
            Ok(policies) => policies,
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds a policy as [`policy`](Self::policy) does, for patterns from outside.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`] for an empty pattern, a colon without a name behind it, a
    /// parameter right behind another, and two of the same name.
    pub fn try_policy(
        mut self,
        pattern: &str,
        policy: ChannelPolicy,
    ) -> Result<Self, InvalidPattern> {
        // Slow readers are counted for each pattern.
        let counted = Some(SlowReaderPolicy::of(Retention::NOTHING));
        let policy = ChannelPolicy { counted, ..policy };
        self.policies
            .push((Arc::new(Pattern::new(pattern)?), policy));
        Ok(self)
    }

    /// Lets no client subscribe to channels that no pattern fits.
    #[must_use]
    pub fn refuse_others(self) -> Self {
        Self {
            refuse_others: true,
            ..self
        }
    }

    pub(super) fn retention(&self, name: &str) -> Retention {
        self.find(name)
            .map_or(Retention::NOTHING, |(_, policy)| policy.retention)
    }

    /// Asks whether a client may subscribe.
    pub(super) async fn ask_to_subscribe(
        &self,
        socket: &Socket,
        user: Option<&User>,
        name: &str,
    ) -> Result<(), Option<ErrorMessage>> {
        let Some((pattern, policy)) = self.find(name) else {
            return match self.refuse_others {
                true => Err(None),
                false => Ok(()),
            };
        };
        let Some(rule) = &policy.may_subscribe else {
            return Ok(());
        };
        let context = SubscribeContext {
            socket: socket.clone(),
            user: user.cloned(),
            channel: Channel::new(name, pattern),
        };
        rule.judge(context).await
    }

    /// `true` if any policy lets clients publish.
    pub(super) fn have_publishing_clients(&self) -> bool {
        self.policies
            .iter()
            .any(|(_, policy)| policy.may_publish.is_some())
    }

    /// Asks whether a client may publish.
    pub(super) async fn ask_to_publish(
        &self,
        socket: &Socket,
        user: Option<&User>,
        name: &str,
        data: &RawValue,
    ) -> Result<(), Option<ErrorMessage>> {
        let (pattern, policy) = self.find(name).ok_or(None)?;
        let rule = policy.may_publish.as_ref().ok_or(None)?;
        let context = PublishContext {
            socket: socket.clone(),
            user: user.cloned(),
            channel: Channel::new(name, pattern),
            data: data.to_owned().into(),
        };
        rule.judge(context).await
    }

    pub(super) fn has_presence(&self, name: &str) -> bool {
        self.find(name).is_some_and(|(_, policy)| policy.presence)
    }

    pub(super) fn slow_readers(&self, name: &str) -> SlowReaderPolicy {
        self.find(name)
            .map_or(&self.others, |(_, policy)| policy)
            .slow_policy()
    }

    /// The value that a new subscriber is given at once: whether any, and its key.
    pub(super) fn latest_value(&self, name: &str) -> Option<Option<&str>> {
        let (_, policy) = self.find(name).filter(|(_, policy)| policy.sends_latest)?;
        Some(policy.key.as_deref())
    }

    /// `true` if offsets may be left out, as only the newest publication matters.
    pub(super) fn is_latest(&self, name: &str) -> bool {
        self.latest_value(name).is_some()
            || self.slow_readers(name).slow_readers() == SlowReaders::Latest
    }

    /// The counters by pattern, in their order.
    pub(super) fn slow_reader_counts(&self) -> Vec<(String, SlowReaderCounts)> {
        self.policies
            .iter()
            .map(|(pattern, policy)| (pattern.to_string(), policy.slow_policy().counts()))
            .collect()
    }

    fn find(&self, name: &str) -> Option<&(Arc<Pattern>, ChannelPolicy)> {
        self.policies
            .iter()
            .find(|(pattern, _)| pattern.matches(name).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_fits_holds() {
        let keep = |count| ChannelPolicy::new().history(count, Duration::from_secs(1));
        let policies = ChannelPolicies::new()
            .policy("post-:id", keep(1))
            .policy(":any", keep(2));
        for (name, count) in [("post-1", 1), ("posts", 2)] {
            assert_eq!(policies.retention(name).count, count, "{name}");
        }
        assert_eq!(
            ChannelPolicies::new().retention("posts"),
            Retention::NOTHING
        );
    }
}
