//! A topic: publishing to it, subscribing sockets, reading its history.

use std::borrow::Cow;
use std::fmt;

use nextrush_broker::{
    BrokerError, Bytes, CommandKey, Deletion, Fingerprint, History, HistoryQuery, Owner, Position,
    Publish, Published, Retention, TopicName,
};
use nextrush_engine::CloseReason;
use serde::Serialize;

use super::dialect::{Arrival, Dialect};
use super::entry::Wish;
use super::error::{InvalidTopicName, PublishError, SubscribeError};
use super::family::{Topics, plain};
use super::json::Json;
use super::local::Parting;
use super::locked::Locked;
use super::members::Profile;
use super::name::own_name;
use super::since::Since;
use super::subscriptions::Noted;
use crate::message::request::REPEAT_WINDOW;
use crate::message::{Outgoing, UserId};
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::socket::join::JoinError;
use crate::trace::{Question, Trace, What};

/// The code in the record of subscribers that leave by themselves, or at the application's wish.
pub(crate) const UNSUBSCRIBED: &str = "unsubscribed";

/// The number of topics whose names are read at once.
pub(super) const PURGED_AT_ONCE: usize = 1000;

impl Handle {
    /// A topic that remembers: publishing to it, subscribing sockets, its history. Topics of
    /// chats and live channels of the same name are others.
    ///
    /// It speaks [`Json`] and remembers 100 publications; [`Topics`] is for other dialects.
    ///
    /// ```
    /// # async fn example(app: &nextrush::Handle, socket: &nextrush::Socket) -> nextrush::Result<(), nextrush::BoxError> {
    /// let orders = app.topic("orders");
    /// orders.subscribe(socket, None).await?;
    /// let position = orders.publish(&serde_json::json!({ "order": 7 })).await?;
    /// println!("published at {}", position.offset);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics when the name is empty, longer than 255 bytes, or holds invisible characters; see
    /// [`try_topic`](Self::try_topic).
    #[must_use]
    #[track_caller]
    pub fn topic(&self, name: &str) -> Topic {
        match self.try_topic(name) {
            Ok(topic) => topic,
            Err(error) => panic!("{name:?} names no topic: {error}"),
        }
    }

    /// Deletes what a user has published in all topics of the broker, those of chats and channels
    /// and [`Topic::by`] the user; the number of publications. Subscribers are told.
    ///
    /// What was published without a user, as by other servers or in a store from before
    /// publications had owners, is not found. Reads the names of all topics, and asks for each.
    ///
    /// # Errors
    ///
    /// Fails when the broker does, or cannot delete; some may be deleted then.
    pub async fn purge_user(&self, user: &UserId) -> Result<usize, BrokerError> {
        let broker = self.broker();
        let which = Deletion::By(owner(user));
        let mut deleted = 0;
        let mut after: Option<TopicName> = None;
        loop {
            let topics = broker.topics(after.as_ref(), PURGED_AT_ONCE).await?;
            for topic in &topics {
                deleted += broker.delete(topic, which.clone()).await?;
            }
            match topics.into_iter().last() {
                Some(last) => after = Some(last),
                None => return Ok(deleted),
            }
        }
    }

    /// Gives a topic as [`topic`](Self::topic) does, for names from outside.
    ///
    /// # Errors
    ///
    /// [`InvalidTopicName`] when the name is empty, longer than 255 bytes, or holds invisible
    /// characters.
    pub fn try_topic(&self, name: &str) -> Result<Topic, InvalidTopicName> {
        plain(self).topic(name)
    }
}

/// A topic that remembers: a stream of publications with positions, the sockets of this node
/// that are subscribed to it, and a [dialect](Dialect) for the wire.
///
/// A cheap handle, made by [`Handle::topic`] and [`Topics::topic`].
pub struct Topic<D = Json> {
    topics: Topics<D>,
    topic: TopicName,
    retention: Option<Retention>,
    owner: Option<Owner>,
}

/// The terms on which something is published.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// The key by which a repeat is recognised, and the fingerprint of what the command said.
    once: Option<(CommandKey, Fingerprint)>,
    /// The version, and the part of the topic that has it.
    version: Option<(u64, Option<CommandKey>)>,
}

impl Terms {
    pub(crate) fn once(key: CommandKey, body: Fingerprint) -> Self {
        Self {
            once: Some((key, body)),
            version: None,
        }
    }

    pub(crate) fn version(self, version: u64, key: Option<CommandKey>) -> Self {
        let version = Some((version, key));
        Self { version, ..self }
    }
}

/// The owner of what a user publishes.
pub(super) fn owner(user: &UserId) -> Owner {
    // As JSON 1 and "1" are two users.
    Owner::new(&serde_json::json!(user).to_string())
}

impl<D: Dialect> Topic<D> {
    pub(super) fn new(topics: Topics<D>, topic: TopicName) -> Self {
        Self {
            topics,
            topic,
            retention: None,
            owner: None,
        }
    }

    /// The topic's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        own_name(&self.topic)
    }

    /// The family that the topic belongs to.
    #[must_use]
    pub fn topics(&self) -> &Topics<D> {
        &self.topics
    }

    /// Sets how much is remembered of what is published with this handle, in place of the
    /// dialect's [retention](Dialect::retention).
    #[must_use]
    pub fn retain(self, retention: Retention) -> Self {
        let retention = Some(retention);
        Self { retention, ..self }
    }

    /// Makes a user the owner of what is published with this handle: it is deleted with the other
    /// publications of the user, and counts for it where a store is bounded.
    #[must_use]
    pub fn by(self, user: &UserId) -> Self {
        let owner = Some(owner(user));
        Self { owner, ..self }
    }

    /// Publishes `data` as JSON. Resolves with its position when the broker has acknowledged
    /// it; by then it is on its way to the subscribers of this node.
    ///
    /// # Errors
    ///
    /// Fails, and publishes nothing, when `data` cannot be written as JSON; fails when the
    /// broker does.
    pub async fn publish<T: Serialize + ?Sized>(&self, data: &T) -> Result<Position, PublishError> {
        let data = serde_json::to_vec(data)?;
        let published = self.publish_data(data, Terms::default()).await?;
        Ok(published.position)
    }

    /// Publishes as [`publish`](Self::publish) does, but only once for each key: a repeat
    /// within two minutes publishes nothing and resolves with the position of the first.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); and [`BrokerError::Reused`] where other data was published
    /// with the key.
    pub async fn publish_once<T: Serialize + ?Sized>(
        &self,
        data: &T,
        key: CommandKey,
    ) -> Result<Published, PublishError> {
        let data = serde_json::to_vec(data)?;
        let body = Fingerprint::of(&data);
        self.publish_data(data, Terms::once(key, body)).await
    }

    /// Publishes as [`publish_once`](Self::publish_once) does, for data that has more in it than
    /// the command said: `body` must be the same in a repeat.
    ///
    /// # Errors
    ///
    /// As [`publish_once`](Self::publish_once).
    pub async fn publish_command<T: Serialize + ?Sized>(
        &self,
        data: &T,
        key: CommandKey,
        body: &[u8],
    ) -> Result<Published, PublishError> {
        let data = serde_json::to_vec(data)?;
        let body = Fingerprint::of(body);
        self.publish_data(data, Terms::once(key, body)).await
    }

    /// Publishes as [`publish`](Self::publish) does, unless something was published with the same or
    /// a higher version: a number from 1 that rises with each state of what `data` says, such as
    /// that of a row. With a `key` the version is that of one of many things in the topic.
    ///
    /// So subscribers end with what was committed last, in whatever order its writers come to publish
    /// it. [`Published::is_outdated`] says that nothing was published.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_version<T: Serialize + ?Sized>(
        &self,
        data: &T,
        version: u64,
        key: Option<CommandKey>,
    ) -> Result<Published, PublishError> {
        let data = serde_json::to_vec(data)?;
        let terms = Terms::default().version(version, key);
        self.publish_data(data, terms).await
    }

    pub(crate) async fn publish_data(
        &self,
        data: impl Into<Bytes>,
        terms: Terms,
    ) -> Result<Published, PublishError> {
        let publish = self.to_publish(data.into(), terms);
        Ok(self.topics.0.local.publish(&self.topic, publish).await?)
    }

    /// Publishes data that `make` gives, with its terms, without waiting. `None` where the broker
    /// has to be waited for: `make` is not called then.
    pub(crate) fn publish_now<E>(
        &self,
        make: impl FnOnce() -> Result<(Vec<u8>, Terms), E>,
    ) -> Option<Result<Published, E>>
    where
        E: From<BrokerError>,
    {
        let local = &self.topics.0.local;
        let immediate = local.broker().immediate()?;
        Some(make().and_then(|(data, terms)| {
            let publish = self.to_publish(data.into(), terms);
            Ok(local.publish_now(immediate, &self.topic, publish)?)
        }))
    }

    fn to_publish(&self, data: Bytes, terms: Terms) -> Publish {
        let retention = self
            .retention
            .unwrap_or_else(|| self.topics.dialect().retention(self.name()));
        let mut publish = Publish::new(data).retain(retention);
        publish.owner.clone_from(&self.owner);
        if let Some((key, body)) = terms.once {
            publish = publish.once(key, REPEAT_WINDOW).fingerprint(body);
        }
        match terms.version {
            Some((version, Some(key))) => publish.version_of(key, version),
            Some((version, None)) => publish.version(version),
            None => publish,
        }
    }

    /// The remembered publications that `query` asks for, and the topic's position, read at
    /// the same moment.
    ///
    /// # Errors
    ///
    /// Fails when the broker does.
    pub async fn history(&self, query: HistoryQuery) -> Result<History, BrokerError> {
        self.topics
            .0
            .local
            .broker()
            .history(&self.topic, query)
            .await
    }

    /// Deletes remembered publications; their number. Subscribers are told by the dialect's
    /// [`deleted`](Dialect::deleted), and so is in its place who missed one: offsets stay.
    ///
    /// The broker says for how long the bytes stay on its disk; for the embedded one that is a
    /// minute at most.
    ///
    /// # Errors
    ///
    /// Fails when the broker does, or cannot delete; some may be deleted then.
    pub async fn delete(&self, which: Deletion) -> Result<usize, BrokerError> {
        self.topics
            .0
            .local
            .broker()
            .delete(&self.topic, which)
            .await
    }

    /// Subscribes a socket, and unsubscribes it when it closes; `false` if it was subscribed
    /// already.
    ///
    /// The socket is sent what the dialect [answers](Dialect::subscribed), what it missed
    /// since the position, and then what is published: each once and in order. Where it cannot
    /// have all that it missed, the answer says so and it gets what is published from now on.
    /// A socket with a [user](Socket::user) is a [member](Self::members) until it leaves.
    ///
    /// # Errors
    ///
    /// Refused when the socket is closed or has too many subscriptions, or when the broker
    /// fails.
    pub async fn subscribe(
        &self,
        socket: &Socket,
        since: Option<&Since>,
    ) -> Result<bool, SubscribeError> {
        let mut wish = self.wish(socket).await?;
        let query = since.map_or(HistoryQuery::Latest(0), Since::query);
        let history = self.history(query).await?;
        if let Some(user) = socket.user() {
            wish.seat(&user.id, Profile::from(&user)).await?;
        }
        let mut entry = wish.admit(&history)?;
        let missed = since
            .filter(|_| entry.is_new())
            .map(|since| since.missed(&history));
        socket.app().came_back(missed.as_ref());
        let arrival = Arrival {
            position: entry.position(),
            recovered: missed.map(|missed| missed.map(drop)),
        };
        entry.note_since(since, missed.map(|missed| missed.map(drop)));
        for message in self.topics.dialect().subscribed(&entry.topic(), &arrival) {
            entry.send(message);
        }
        let is_new = entry.is_new();
        entry.go_live(missed.and_then(Result::ok).unwrap_or_default());
        Ok(is_new)
    }

    /// Begins to subscribe a socket, step by step: what is published from now on is held for
    /// it until the [entry](super::Entry) that [`Wish::admit`] gives
    /// [goes live](super::Entry::go_live). Dropping the wish gives it up.
    ///
    /// ```
    /// # use nextrush::topic::{Dialect, SubscribeError, Topic};
    /// # use nextrush::broker::HistoryQuery;
    /// # async fn example<D: Dialect>(topic: &Topic<D>, socket: &nextrush::Socket) -> Result<(), SubscribeError> {
    /// let wish = topic.wish(socket).await?;
    /// let history = topic.history(HistoryQuery::Latest(10)).await?;
    /// let entry = wish.admit(&history)?;
    /// entry.send("welcome");
    /// entry.go_live(&history.publications);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Refused when the socket is closed or has too many subscriptions, or when the broker
    /// fails.
    pub async fn wish(&self, socket: &Socket) -> Result<Wish<D>, SubscribeError> {
        let topics = &self.topics;
        let subscriptions = &topics.0.subscriptions;
        let noted = subscriptions.note(&self.topic, socket.id(), topics.limit())?;
        if noted == Noted::First {
            let family = topics.clone();
            let on_close = async move |socket: Socket, reason: CloseReason| {
                family.closed(&socket, &reason).await;
            };
            if !socket.try_on_close(on_close) {
                subscriptions.remove(socket.id());
                return Err(JoinError::Closed.into());
            }
        }
        let mut wish = Wish::new(self, socket, noted != Noted::Before);
        let dialect = topics.dyn_dialect();
        let (local, ticket) = topics.0.local.wanted(&self.topic, &dialect).await?;
        wish.begin(local, ticket);
        Ok(wish)
    }

    /// Unsubscribes a socket; `false` if it was not subscribed.
    ///
    /// # Errors
    ///
    /// Fails when the broker cannot be told that the topic has no subscriber any more; the
    /// socket is unsubscribed all the same.
    pub async fn unsubscribe(&self, socket: &Socket) -> Result<bool, BrokerError> {
        self.unsubscribe_telling(socket, UNSUBSCRIBED, None).await
    }

    /// Unsubscribes a socket as [`unsubscribe`](Self::unsubscribe) does, with a last message behind
    /// all that it gets of the topic. `code` is the reason in the record.
    pub(crate) async fn unsubscribe_telling(
        &self,
        socket: &Socket,
        code: impl Into<Cow<'static, str>>,
        farewell: Option<Outgoing>,
    ) -> Result<bool, BrokerError> {
        let topics = &self.topics;
        let Some(user) = topics.0.subscriptions.strike(&self.topic, socket.id()) else {
            return Ok(false);
        };
        let code = code.into();
        topics
            .0
            .local
            .record
            .note(socket.id(), &self.topic, What::Out { code });
        if let Some(user) = user {
            topics.user(&user).dismiss(socket);
        }
        let dialect = topics.dyn_dialect();
        let parting = Parting {
            closed: None,
            farewell,
        };
        topics
            .0
            .local
            .leave(&self.topic, &dialect, socket, parting, || {
                topics.unseat(&self.topic, socket);
            })
            .await?;
        Ok(true)
    }

    /// Says what became of a publication for the sockets of all nodes; see [`trace`](crate::trace).
    /// Waits for 2 s at most for other nodes.
    ///
    /// # Errors
    ///
    /// Fails when the broker cannot read the topic's history.
    pub async fn trace(&self, question: &Question) -> Result<Trace, BrokerError> {
        self.topics.app().trace(&self.topic, question).await
    }

    /// `true` if a socket is subscribed, or about to be.
    #[must_use]
    pub fn is_subscribed(&self, socket: &Socket) -> bool {
        self.topics
            .0
            .subscriptions
            .contains(&self.topic, socket.id())
    }

    /// The members on all nodes in the order in which they came: the users of subscribed
    /// sockets, one entry for each socket, or who was [seated](Wish::seat).
    ///
    /// While the store of the nodes cannot be read they are those that this node knows of.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is not general enough over the lifetime of the view"
    )]
    pub async fn members(&self) -> Vec<Profile> {
        if let Some(seating) = &self.topics.0.seating {
            match seating.members(&self.topic).await {
                Ok(members) => return members,
                Err(error) => {
                    tracing::warn!(%error, topic = %self.topic, "members cannot be read");
                }
            }
        }
        self.locked(|topic| topic.members()).unwrap_or_default()
    }

    /// The number of sockets subscribed on this node.
    #[must_use]
    pub fn local_subscribers(&self) -> usize {
        self.topics.0.local.subscribers(&self.topic)
    }

    /// The sockets that are subscribed on this node.
    pub(crate) fn local_sockets(&self) -> Vec<Socket> {
        self.topics.0.local.sockets(&self.topic)
    }

    /// Runs `act` while nothing else happens in the topic; `None` if nobody is subscribed to
    /// it on this node.
    pub fn locked<R>(&self, act: impl FnOnce(&Locked<'_>) -> R) -> Option<R> {
        self.topics.0.local.locked(&self.topic, act)
    }

    /// The topic's name in the broker, by which a [`Sink`](crate::broker::Sink) knows it.
    #[must_use]
    pub fn stored_name(&self) -> &TopicName {
        &self.topic
    }
}

impl<D> Clone for Topic<D> {
    fn clone(&self) -> Self {
        Self {
            topics: self.topics.clone(),
            topic: self.topic.clone(),
            retention: self.retention,
            owner: self.owner.clone(),
        }
    }
}

impl<D> fmt::Debug for Topic<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Topic").field(&self.topic).finish()
    }
}
