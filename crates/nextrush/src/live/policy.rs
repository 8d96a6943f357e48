//! The rules and settings of a kind of channels.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::Retention;

use super::hook::Hook;
use super::rule::{PublishContext, Rule, SubscribeContext, Verdict};
use crate::topic::{SlowReaderPolicy, SlowReaders};

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
    pub(super) retention: Retention,
    pub(super) may_subscribe: Option<Rule<SubscribeContext>>,
    pub(super) may_publish: Option<Rule<PublishContext>>,
    pub(super) presence: bool,
    slow_readers: Option<SlowReaders>,
    pub(super) key: Option<Arc<str>>,
    pub(super) sends_latest: bool,
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
    /// not block. Until it has answered nothing more is read from this socket. One that does not answer
    /// within the [deadline](super::ChannelPolicies::deadline), or panics, refuses this one attempt.
    #[must_use]
    pub fn may_subscribe<F, V>(self, rule: F) -> Self
    where
        F: AsyncFn(SubscribeContext) -> V + Send + Sync + 'static,
        V: Verdict + 'static,
    {
        let may_subscribe = Some(Hook::new(rule, V::into_result));
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
        let may_publish = Some(Hook::new(rule, V::into_result));
        Self {
            may_publish,
            ..self
        }
    }
}

impl ChannelPolicy {
    /// The policy with counters of slow readers of its own.
    pub(super) fn counted(self) -> Self {
        let counted = Some(SlowReaderPolicy::of(Retention::NOTHING));
        Self { counted, ..self }
    }

    pub(super) fn slow_policy(&self) -> SlowReaderPolicy {
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

