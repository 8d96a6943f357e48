//! The rules and settings of a kind of channels.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::Retention;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::accepted::{Accepted, IntoAccepted};
use super::hook::Hook;
use super::rule::{PublishContext, Rule, SubscribeContext, Verdict};
use crate::socket::requests::{IntoRefusal, Refusal};
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
    pub(super) on_publish: Option<PublishHook>,
    pub(super) on_subscribe: Option<LoadHook>,
    pub(super) presence: bool,
    slow_readers: Option<SlowReaders>,
    pub(super) key: Option<Arc<str>>,
    pub(super) sends_latest: bool,
    counted: Option<SlowReaderPolicy>,
}

/// A hook that decides about publications.
pub(super) type PublishHook = Hook<PublishContext, Result<Accepted, Refusal>>;
/// A hook that loads a state; it may refuse, and what it loads may be no JSON.
pub(super) type LoadHook =
    Hook<SubscribeContext, Result<serde_json::Result<Box<RawValue>>, Refusal>>;

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
    /// of one kind. [Versions](crate::LiveUpdates::publish_version) are those of a key, too.
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

    /// Shows `hook` what clients publish, before anybody else sees it: it may refuse it, store it, and
    /// have something else published instead. With `Ok(())` it goes to all subscribers as it came;
    /// a [`serde_json::Value`] or an [`Accepted`] takes its place. Without a rule of
    /// [`may_publish`](Self::may_publish) the hook alone says who may publish; with one it is asked
    /// after it.
    ///
    /// A hook that fails to store returns an error, told as [`IntoRefusal`] says, and nothing is published. Where it has accepted
    /// and the broker fails then, the client is told
    /// [`NotPublished`](crate::ErrorCode::NotPublished), and a repeat with the same id publishes what was
    /// accepted. Of a user's messages with an id the hook is asked once within 2 minutes: a repeat gets
    /// the same decision. It is asked again if it refused with a
    /// [`retryAfterMs`](crate::ErrorMessage::retry_after_ms), if it gave no answer by the
    /// [deadline](super::ChannelPolicies::deadline), or if the process died meanwhile; so what it stores
    /// it had better store under the user and the [id](PublishContext::id).
    ///
    /// ```
    /// use nextrush::live::{ChannelPolicy, PublishContext};
    /// # async fn store(_: &str) -> Result<u64, std::io::Error> { Ok(1) }
    ///
    /// let policy = ChannelPolicy::new().on_publish(async |context: PublishContext| {
    ///     let id = store(context.data.get()).await?;
    ///     Ok::<_, std::io::Error>(serde_json::json!({ "id": id, "text": *context.data }))
    /// });
    /// # drop(policy);
    /// ```
    #[must_use]
    pub fn on_publish<F, P, E>(self, hook: F) -> Self
    where
        F: AsyncFn(PublishContext) -> Result<P, E> + Send + Sync + 'static,
        P: IntoAccepted + 'static,
        E: IntoRefusal + 'static,
    {
        let decide = |outcome: Result<P, E>| {
            outcome
                .map(P::into_accepted)
                .map_err(IntoRefusal::into_refusal)
        };
        let on_publish = Some(Hook::new(hook, decide));
        Self { on_publish, ..self }
    }

    /// Gives each new subscriber a state that `hook` loads, as JSON of at most 512 KiB: `data` in the
    /// answer to its `subscribe`. An error refuses the client.
    ///
    /// The position in that answer was read before the hook was asked, and what has been published
    /// since follows: "load, then follow" in one round trip, without a gap. An update may say again what
    /// the state has already, so a client takes updates as what is, or by a version in their data. The
    /// state takes the place of the [latest value](Self::latest_value).
    ///
    /// The hook is asked after the rule. It is not asked for a client that comes back and gets all that
    /// it missed, nor for a socket that is subscribed already.
    ///
    /// ```
    /// use nextrush::live::{ChannelPolicy, SubscribeContext};
    /// use nextrush::{ErrorCode, ErrorMessage};
    /// # async fn cards(_: &str) -> Result<Vec<String>, std::io::Error> { Ok(Vec::new()) }
    ///
    /// let policy = ChannelPolicy::new().on_subscribe(async |context: SubscribeContext| {
    ///     let board = context.channel.param("id").unwrap_or_default();
    ///     let failed = |_| ErrorMessage::new(ErrorCode::Unavailable, "Try again");
    ///     cards(board).await.map_err(failed)
    /// });
    /// # drop(policy);
    /// ```
    #[must_use]
    pub fn on_subscribe<F, T, E>(self, hook: F) -> Self
    where
        F: AsyncFn(SubscribeContext) -> Result<T, E> + Send + Sync + 'static,
        T: Serialize + 'static,
        E: IntoRefusal + 'static,
    {
        let write = |state: Result<T, E>| {
            state
                .map(|state| to_raw_value(&state))
                .map_err(IntoRefusal::into_refusal)
        };
        let on_subscribe = Some(Hook::new(hook, write));
        Self {
            on_subscribe,
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

    pub(super) fn lets_clients_publish(&self) -> bool {
        self.may_publish.is_some() || self.on_publish.is_some()
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
            .field("clients_publish", &self.lets_clients_publish())
            .field("loads", &self.on_subscribe.is_some())
            .finish()
    }
}
