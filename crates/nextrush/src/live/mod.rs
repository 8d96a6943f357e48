//! The guide's live updates: clients subscribe to channels, any code publishes.
//!
//! A dialect of [topics](crate::topic), written on their public interface alone.

mod accepted;
mod attempts;
mod budget;
mod client;
mod commands;
mod device;
mod devices;
mod dialect;
mod entering;
mod history;
mod hook;
mod in_use;
mod joining;
mod left_behind;
mod members;
mod messages;
mod pattern;
mod payload;
mod policies;
mod policy;
mod presence;
mod publish;
mod publish_options;
mod restart;
mod revoking;
mod rule;
mod rules;
mod shown;
mod snapshot;
mod subscribers;
mod subscription;
mod versions;

use std::collections::HashSet;
use std::sync::{Arc, Once};

use nextrush_broker::{
    BrokerError, CommandKey, Deletion, History, HistoryQuery, Position, Published,
};
use parking_lot::Mutex;
use serde::Serialize;

pub use self::accepted::{Accepted, IntoAccepted};
use self::attempts::Attempts;
pub use self::budget::PresenceLimits;
use self::client::Client;
use self::dialect::Live;
pub use self::in_use::ChannelsInUse;
use self::pattern::Pattern;
pub use self::pattern::{ChannelPattern, InvalidPattern};
pub use self::payload::{Encoding, Payload};
pub use self::policies::ChannelPolicies;
pub use self::policy::ChannelPolicy;
use self::presence::Presence;
pub use self::publish_options::PublishOptions;
pub use self::rule::{Channel, PublishContext, SubscribeContext, Verdict};
pub use self::snapshot::PresenceSnapshot;
use self::snapshot::{Part, Snapshots};
use self::subscribers::Subscribers;
use crate::message::{ErrorCode, Outgoing, User, UserId};
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::socket::handler::Callback;
use crate::socket::work::Work;
use crate::topic::{
    InvalidTopicName, Profile, PublishError, ShowUser, SlowReaderCounts, SlowReaderPolicy,
    SubscribeError, Topic, Topics, show_user,
};
use crate::trace::{Question, Trace};

/// The most channels one socket can be subscribed to, unless the application says otherwise.
const CHANNELS_PER_SOCKET: usize = 100;

/// Channels that clients subscribe to by message and that any code publishes to.
///
/// A cheap handle: keep it in the state of the HTTP routes that publish. See
/// `examples/live_updates.rs`.
///
/// ```
/// # async fn example(app: &nextrush::Handle) -> Result<(), nextrush::topic::PublishError> {
/// use nextrush::LiveUpdates;
///
/// let live = LiveUpdates::new(app, "live");
/// live.publish("posts", &serde_json::json!({ "type": "new-post" })).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LiveUpdates(Topics<Live>);

impl LiveUpdates {
    /// Channels that are all open to everybody and without a history, under a name of 1 to 32
    /// of `a-z`, `0-9` and `-`: what channels remember is kept under that name, from one start
    /// of the application to the next.
    ///
    /// # Panics
    ///
    /// Panics on an invalid name, and when a part of the application has it already, as a
    /// route does whose path is taken.
    #[must_use]
    #[track_caller]
    pub fn new(app: &impl AsRef<Handle>, name: &str) -> Self {
        Self::builder().build(app, name)
    }

    /// Options for live updates: [policies](ChannelPolicies) and what is shown of users.
    pub fn builder() -> LiveBuilder {
        LiveBuilder::default()
    }

    /// Handles a client's messages from now on: `subscribe`, `unsubscribe` and what goes with
    /// them.
    ///
    /// A client that gives the position up to which it has seen a channel gets what it
    /// missed, or is told why it cannot. An answer carries the `id` of the message that it
    /// answers, if there is one; a repeat of a subscription is executed again, as a
    /// subscription belongs to its socket.
    ///
    /// In channels with [presence](ChannelPolicy::presence) the [user](Socket::user) that the
    /// socket has by now is a member while one of its sockets is subscribed. A socket that is
    /// lost without a close is waited for, 15 s, and if the user comes back by then nobody is
    /// told. So is everybody after a [drain](crate::Handle::drain), also by the next process
    /// if its broker is the same and it begins within 15 s. After a crash of the process
    /// nobody is a member who has not subscribed again. A channel shows 1,000 sockets at most,
    /// and 20 of a user.
    ///
    /// Nodes that share a store show the same members, and a lost socket may come back at any of
    /// them. Those of a node that crashed are waited for until 28 s after the crash at most.
    ///
    /// The messages' types are claimed: the application's own messages beside them are for
    /// [`Socket::on_command`] and [`Socket::on_message`].
    ///
    /// Subscriptions and presence count by the work that they make, 10,000 deliveries a second
    /// and 50,000 at once of each user, or of each socket without one: what a socket gets and
    /// what others are told of it, in KiB for each socket. Beyond that a message is refused as
    /// [`RateLimited`](crate::ErrorCode::RateLimited).
    ///
    /// # Panics
    ///
    /// Panics when something else on this socket has claimed one of the types, as other live
    /// updates do.
    #[track_caller]
    pub fn connect(&self, socket: &Socket) {
        socket.tell_reconnect();
        let client = Client::connect(self, socket);
        Self::join_own(&client, socket);
        socket.add_message(Callback::of(client));
    }

    /// Subscribes a socket, and unsubscribes it when it closes; `false` if it was
    /// subscribed already. The channel's rule is not asked.
    ///
    /// # Errors
    ///
    /// Refused when the name is empty, longer than 255 bytes or holds invisible
    /// characters, when the socket has 100 subscriptions already or is closed, or
    /// when the broker fails.
    pub async fn subscribe(&self, channel: &str, socket: &Socket) -> Result<bool, SubscribeError> {
        let topic = self.0.topic(channel)?;
        // The socket hears of changes of presence.
        let watched = match self.live().policies.has_presence(channel) {
            true => Some(self.live().presence.watch(topic.stored_name()).await?),
            false => None,
        };
        let subscribed = topic.subscribe(socket, None).await;
        drop(watched);
        subscribed
    }

    /// Unsubscribes a socket; `false` if it was not subscribed. Its client is told:
    /// `{"type":"unsubscribed","channel","code":"kicked","message"}`. It may subscribe again, and then
    /// the rule is asked. [`kick`](Self::kick) does so for all sockets of a user.
    ///
    /// # Errors
    ///
    /// Fails when the broker cannot be told that a channel has no subscriber any
    /// more; the socket is unsubscribed all the same.
    pub async fn unsubscribe(&self, channel: &str, socket: &Socket) -> Result<bool, BrokerError> {
        let code = ErrorCode::Kicked.as_str();
        self.unsubscribe_telling(channel, socket, code, Some(Self::kicked(channel)))
            .await
    }

    async fn unsubscribe_telling(
        &self,
        channel: &str,
        socket: &Socket,
        code: &'static str,
        farewell: Option<Outgoing>,
    ) -> Result<bool, BrokerError> {
        let Ok(topic) = self.0.topic(channel) else {
            return Ok(false);
        };
        if let Some(client) = Client::of(socket, self) {
            client.forget(channel);
        }
        let unsubscribed = topic.unsubscribe_telling(socket, code, farewell).await;
        self.live().presence.tidy(topic.stored_name());
        unsubscribed
    }

    /// Publishes `data` to a channel's subscribers, each of whom gets it once, as
    /// `{"type":"update","channel","data","timestamp","offset"}`. Resolves with its
    /// position when the broker has acknowledged it. How much the channel remembers
    /// is in its policy.
    ///
    /// # Errors
    ///
    /// Fails, and publishes nothing, when the name is invalid, when `data` cannot
    /// be written as JSON, or when the broker fails.
    pub async fn publish<T: Serialize + ?Sized>(
        &self,
        channel: &str,
        data: &T,
    ) -> Result<Position, PublishError> {
        self.0.topic(channel)?.publish(data).await
    }

    /// Publishes as [`publish`](Self::publish) does, for a user: it is deleted with what else the
    /// user has published, and counts for the user where a store is bounded.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_by<T: Serialize + ?Sized>(
        &self,
        user: &UserId,
        channel: &str,
        data: &T,
    ) -> Result<Position, PublishError> {
        self.0.topic(channel)?.by(user).publish(data).await
    }

    /// Deletes all that a channel remembers; the number of updates. Its subscribers are told, and
    /// the places of the updates stay, so that nobody misses anything else. What is left of its
    /// members for the next process goes too; who is there stays.
    ///
    /// # Errors
    ///
    /// Fails when the name is invalid, or when the broker fails or cannot delete; some may be
    /// deleted then.
    pub async fn purge(&self, channel: &str) -> Result<usize, PublishError> {
        let deleted = self.0.topic(channel)?.delete(Deletion::All).await?;
        self.live()
            .records
            .topic(channel)?
            .delete(Deletion::All)
            .await?;
        Ok(deleted)
    }

    /// Deletes who was in channels before the last restart, for
    /// [`Handle::purge_user`](crate::Handle::purge_user). In the first 15 s after a start, while
    /// these are waited for, it does nothing.
    ///
    /// # Errors
    ///
    /// Fails when the broker does, or cannot delete.
    pub async fn purge_left_behind(&self) -> Result<(), BrokerError> {
        self.live().forget_left_behind().await
    }

    /// Publishes as [`publish`](Self::publish) does, but only once for each key: a repeat
    /// within 2 minutes publishes nothing and resolves with the position of the first.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); and [`BrokerError::Reused`] where other data was published
    /// with the key.
    pub async fn publish_once<T: Serialize + ?Sized>(
        &self,
        channel: &str,
        data: &T,
        key: CommandKey,
    ) -> Result<Published, PublishError> {
        self.0.topic(channel)?.publish_once(data, key).await
    }

    /// The remembered publications of a channel that `query` asks for, and its position.
    /// [`Payload`] reads their data.
    ///
    /// # Errors
    ///
    /// Fails when the name is invalid or the broker fails.
    pub async fn history(
        &self,
        channel: &str,
        query: HistoryQuery,
    ) -> Result<History, PublishError> {
        Ok(self.0.topic(channel)?.history(query).await?)
    }

    /// Says what became of an update for the sockets of all nodes; see [`trace`](crate::trace). Waits
    /// for 2 s at most for other nodes.
    ///
    /// # Errors
    ///
    /// Fails when the name is invalid, or when the broker cannot read the channel's history.
    pub async fn trace(&self, channel: &str, question: &Question) -> Result<Trace, PublishError> {
        Ok(self.0.topic(channel)?.trace(question).await?)
    }

    /// The members of a channel, on all nodes; nobody in one without
    /// [presence](ChannelPolicy::presence). Written as `members` and `version`.
    ///
    /// # Errors
    ///
    /// Fails where nodes share the channel, none of this node's sockets is subscribed, and the
    /// store does not answer.
    pub async fn members(&self, channel: &str) -> Result<PresenceSnapshot, BrokerError> {
        self.read_members(channel, Part::All).await
    }

    /// A page of the [members](Self::members) of a channel: those with the devices that came
    /// after this one, 0 for the first page. It has 64 KiB of JSON at most, or one device, and
    /// its [`next`](PresenceSnapshot::next) is where the next page begins.
    ///
    /// A member whose devices are on several pages is on each of them. Pages of one version are
    /// one moment; between others members may have come, changed and left.
    ///
    /// # Errors
    ///
    /// As [`members`](Self::members).
    pub async fn members_after(
        &self,
        channel: &str,
        device: u64,
    ) -> Result<PresenceSnapshot, BrokerError> {
        self.read_members(channel, Part::After(device)).await
    }

    async fn read_members(
        &self,
        channel: &str,
        part: Part,
    ) -> Result<PresenceSnapshot, BrokerError> {
        let topic = self.0.topic(channel).ok();
        match topic.filter(|_| self.live().policies.has_presence(channel)) {
            Some(topic) => self.live().presence.read(topic.stored_name(), part).await,
            None => Ok(PresenceSnapshot::nobody(part)),
        }
    }

    /// The name that these live updates were built with.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The channels that have subscribers on this node, with the number of these, in no order.
    #[must_use]
    pub fn local_channels(&self) -> Vec<(String, usize)> {
        self.0.local_topics()
    }

    /// The number of channels in use on this node; cheaper than to list them.
    #[must_use]
    pub fn local_channel_count(&self) -> usize {
        self.0.local_topic_count()
    }

    /// The number of sockets subscribed to a channel on this node.
    #[must_use]
    pub fn local_subscribers(&self, channel: &str) -> usize {
        let topic = self.0.topic(channel);
        topic.map_or(0, |topic| topic.local_subscribers())
    }

    /// The counts of subscribers that lagged, by pattern of the [policies](ChannelPolicies).
    #[must_use]
    pub fn slow_readers(&self) -> Vec<(String, SlowReaderCounts)> {
        self.live().policies.slow_reader_counts()
    }

    /// The treatments of subscribers that lag, with their counts: that of each pattern of the
    /// [policies](ChannelPolicies), in their order, and at the end that of channels which fit none.
    #[must_use]
    pub fn slow_reader_policies(&self) -> Vec<SlowReaderPolicy> {
        self.live().policies.slow_reader_policies()
    }

    fn live(&self) -> &Live {
        self.0.dialect()
    }

    fn topic(&self, channel: &str) -> Result<Topic<Live>, InvalidTopicName> {
        self.0.topic(channel)
    }

    /// Returns whether two handles are of the same live updates.
    fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.live(), other.live())
    }
}

/// The options of [`LiveUpdates`].
#[must_use = "a builder does nothing before it builds the live updates"]
pub struct LiveBuilder {
    policies: ChannelPolicies,
    show_user: ShowUser,
    presence_limits: PresenceLimits,
    channels_per_socket: usize,
    user_channel: Option<Pattern>,
}

impl LiveBuilder {
    /// Sets the policies of the channels. Default: all are open to everybody and remember
    /// nothing.
    pub fn policies(self, policies: ChannelPolicies) -> Self {
        Self { policies, ..self }
    }

    /// Picks what others see of a user in presence, as any JSON value. Default: exactly
    /// `{"id":…,"email":…}`. It is called once for each socket that connects. Where its value
    /// cannot be written as JSON, others see `null`.
    pub fn show_user<F, T>(self, show: F) -> Self
    where
        F: Fn(&Socket, &User) -> T + Send + Sync + 'static,
        T: Serialize,
    {
        Self {
            show_user: show_user(show),
            ..self
        }
    }

    /// Sets the bytes that devices may say of themselves. Default: 512 KiB of a user, 128 MiB in
    /// all.
    pub fn presence_limits(self, limits: PresenceLimits) -> Self {
        Self {
            presence_limits: limits,
            ..self
        }
    }

    /// Sets the most channels that one socket can be subscribed to, that of its
    /// [user](Self::user_channel) included; a further one is refused as
    /// [`TooManyChannels`](crate::ErrorCode::TooManyChannels). Default: 100.
    pub fn channels_per_socket(self, channels: usize) -> Self {
        Self {
            channels_per_socket: channels,
            ..self
        }
    }

    /// Sets a channel for each user, such as `user:{id}`, to which its sockets are subscribed when
    /// they [connect](LiveUpdates::connect). Nobody else may subscribe to one. In place of the pattern's
    /// one parameter stands the user's id: the ids 1 and `"1"` have one channel.
    ///
    /// Its policy is that of a pattern as any, and where none fits its user may subscribe; with a
    /// history a client that comes back gets what was published to its user meanwhile. While the broker
    /// is away, or a hook refuses with a `retryAfterMs`, the server tries again until the socket is
    /// subscribed. [`LiveUpdates::user_channel`] gives a user's channel, to publish to it.
    ///
    /// # Panics
    ///
    /// Panics on an invalid pattern, and on one that has not exactly one parameter.
    #[track_caller]
    pub fn user_channel(self, pattern: &str) -> Self {
        let parsed = match Pattern::new(pattern) {
            Ok(pattern) => pattern,
            Err(error) => panic!("{error}"),
        };
        let parameters = parsed.parameters();
        assert!(
            parameters == 1,
            "{pattern:?} has {parameters} parameters; a channel of users has one, the id"
        );
        Self {
            user_channel: Some(parsed),
            ..self
        }
    }

    /// The live updates, under this name.
    ///
    /// # Panics
    ///
    /// As [`LiveUpdates::new`].
    #[must_use]
    #[track_caller]
    pub fn build(self, app: &impl AsRef<Handle>, name: &str) -> LiveUpdates {
        let handle = app.as_ref();
        let snapshots = Arc::<Snapshots>::default();
        let subscribers = Subscribers {
            topics: handle.local_topics(),
            snapshots: Arc::clone(&snapshots),
        };
        let live = Live {
            app: handle.clone(),
            records: Topics::records(app, name),
            policies: self.policies,
            show_user: self.show_user,
            presence: Presence::new(handle, self.presence_limits, snapshots, subscribers),
            work: Work::default(),
            taken_over: Mutex::new(HashSet::new()),
            unseen: Once::new(),
            attempts: Attempts::default(),
            user_channel: self.user_channel,
        };
        let live = LiveUpdates(Topics::with_limit(
            app,
            name,
            live,
            self.channels_per_socket,
        ));
        live.answer_nodes();
        live.answer_channels();
        live
    }
}

impl Default for LiveBuilder {
    fn default() -> Self {
        Self {
            policies: ChannelPolicies::default(),
            show_user: Arc::new(|_, user| Profile::from(user)),
            presence_limits: PresenceLimits::default(),
            channels_per_socket: CHANNELS_PER_SOCKET,
            user_channel: None,
        }
    }
}

impl std::fmt::Debug for LiveBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveBuilder")
            .field("policies", &self.policies)
            .field("presence_limits", &self.presence_limits)
            .finish_non_exhaustive()
    }
}
