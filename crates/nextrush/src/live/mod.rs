//! The guide's live updates: clients subscribe to channels, anybody publishes.

mod encoded;
mod messages;
pub(crate) mod policy;
mod presence;
mod publish;
mod restart;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nextrush_broker::{
    BrokerError, CommandKey, Epoch, History, HistoryQuery, Position, Publication, Publish,
    Published, Topic,
};
use nextrush_engine::{CloseReason, ConnectionId, Room};
use nextrush_protocol::CloseCode;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::encoded::Encoded;
use self::messages::{Command, Event, refusal};
use crate::live::policy::Channels;
use crate::message::Message;
use crate::message::Outgoing;
use crate::message::Timestamp;
use crate::message::User;
use crate::message::request::{Answer, CommandId, Request};
use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;
use crate::socket::drain;
use crate::socket::handle::Handle;
use crate::socket::join::JoinError;
use crate::socket::room_name::RoomName;
use crate::topic::feed::{Behind, Feed, SlowPolicy};
use crate::topic::once;
use crate::topic::presence::{Presence, Snapshot};
use crate::topic::since::{self, Since};
use crate::topic::slow_readers::{SlowReaderCounts, SlowReaders};
use crate::topic::stream;
use crate::topic::topics::{Entered, Entrance, SubscribeError, Topics};

/// How much of the newest updates a new subscriber is given, in bytes, with what waits for it.
const NEWEST_BYTES: usize = 256 * 1024;

/// The most channels one socket can be subscribed to.
const CHANNELS_PER_SOCKET: usize = 100;

/// Channels that clients subscribe to by message and that any code publishes to.
///
/// A cheap handle: keep it in the state of the HTTP routes that publish. See
/// `examples/live_updates.rs`.
///
/// ```
/// # async fn example(app: &nextrush::Handle) -> Result<(), nextrush::PublishError> {
/// use nextrush::LiveUpdates;
///
/// let live = LiveUpdates::new(app);
/// live.publish("posts", &serde_json::json!({ "type": "new-post" })).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LiveUpdates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: Handle,
    topics: Arc<Topics>,
    /// Tells the channels of several `LiveUpdates` of one application apart.
    owner: u64,
    channels: Channels,
    presence: Presence<ConnectionId>,
    /// Grace periods are counted from here.
    begun: Instant,
    subscriptions: Mutex<HashMap<ConnectionId, HashSet<Topic>>>,
    encoded: Encoded,
    /// Channels whose members of before a restart have been looked for.
    taken_over: Mutex<HashSet<Topic>>,
}

/// Why something could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The channel's name is empty, longer than 255 bytes, or holds control
    /// characters.
    #[error("invalid channel name")]
    InvalidName,
    /// The data cannot be written as JSON.
    #[error("the data cannot be written as JSON")]
    Data(#[from] serde_json::Error),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl LiveUpdates {
    /// Channels of their own, apart from those of every other `LiveUpdates`, all of them
    /// open to everybody and without a history.
    #[must_use]
    pub fn new(app: &Handle) -> Self {
        Self::with(app, Channels::new())
    }

    /// Channels of their own with policies; see [`Channels`].
    #[must_use]
    pub fn with(app: &Handle, channels: Channels) -> Self {
        Self(Arc::new(Inner {
            app: app.clone(),
            topics: app.topics(),
            owner: app.next_owner(),
            channels,
            presence: Presence::default(),
            begun: Instant::now(),
            subscriptions: Mutex::default(),
            encoded: Encoded::default(),
            taken_over: Mutex::default(),
        }))
    }

    /// Handles a client's `subscribe` and `unsubscribe` messages from now on.
    ///
    /// A client that gives the position up to which it has seen a channel gets what it
    /// missed, or is told why it cannot. An answer bears the `id` of the message that it
    /// answers, if there is one; a repeat is executed again, as a subscription belongs to
    /// its socket.
    pub fn connect(&self, socket: &Socket) {
        self.connect_client(socket, None);
    }

    /// As [`connect`](Self::connect), for a client whose user is known: in channels with
    /// [presence](crate::ChannelPolicy::presence) the user is a member while one of its
    /// sockets is subscribed.
    ///
    /// A socket that is lost without a close is waited for, 15 s, and if the user comes
    /// back by then nobody is told. So is everybody after a
    /// [drain](crate::Handle::drain), also by the next process if its broker is the same and
    /// it begins within 15 s. After a crash of the process nobody is a member who has not
    /// subscribed again. A channel shows 1,000 sockets at most.
    pub fn connect_as(&self, socket: &Socket, user: User) {
        self.connect_client(socket, Some(Arc::new(user)));
    }

    fn connect_client(&self, socket: &Socket, user: Option<Arc<User>>) {
        drain::tell(socket);
        let live = self.clone();
        socket.on_message(async move |socket: Socket, message: Message| {
            match Request::<Command>::read(&message) {
                Ok(request) => {
                    live.handle(&socket, user.as_deref(), request, &message)
                        .await
                }
                Err(refusal) => socket.send(refusal),
            }
        });
    }

    /// Subscribes a socket, and unsubscribes it when it closes; `false` if it was
    /// subscribed already. The channel's policy is not asked.
    ///
    /// # Errors
    ///
    /// Refused when the name is empty, longer than 255 bytes or holds control
    /// characters, when the socket has 100 subscriptions already or is closed, or
    /// when the broker fails.
    pub async fn subscribe(&self, channel: &str, socket: &Socket) -> Result<bool, SubscribeError> {
        let topic = self.topic(channel).ok_or(SubscribeError::InvalidName)?;
        let mut is_new = false;
        let then = |_: &Room, _: &History, entrance: Entrance| {
            is_new = entrance == Entrance::New;
            Entered::default()
        };
        self.subscribe_and(&topic, socket, HistoryQuery::Latest(0), then)
            .await?;
        Ok(is_new)
    }

    /// Subscribes a socket; what `then` sends to it comes before what is published after
    /// the history's position.
    async fn subscribe_and(
        &self,
        topic: &Topic,
        socket: &Socket,
        query: HistoryQuery,
        then: impl FnOnce(&Room, &History, Entrance) -> Entered,
    ) -> Result<(), SubscribeError> {
        let mut noted = Noted {
            live: self,
            topic,
            socket,
            // One that is there already stays, whatever comes of this.
            is_subscribed: !self.note(topic, socket)?,
        };
        let mut is_given_up = false;
        let enter = |room: &Room, history: &History, entrance: Entrance| {
            noted.is_subscribed = true;
            if self.is_noted(topic, socket.id()) {
                return then(room, history, entrance);
            }
            // Unsubscribed again meanwhile, by another task.
            is_given_up = true;
            socket.connection().leave(room);
            Entered::default()
        };
        self.topics()
            .subscribe(topic, &self.feed(), socket, query, enter)
            .await?;
        if is_given_up {
            return Err(SubscribeError::GivenUp);
        }
        Ok(())
    }

    /// Unsubscribes a socket; `false` if it was not subscribed.
    ///
    /// # Errors
    ///
    /// Fails when the broker cannot be told that a channel has no subscriber any
    /// more; the socket is unsubscribed all the same.
    pub async fn unsubscribe(&self, channel: &str, socket: &Socket) -> Result<bool, BrokerError> {
        let Some(topic) = self.topic(channel) else {
            return Ok(false);
        };
        if !self.is_noted(&topic, socket.id()) {
            return Ok(false);
        }
        let mut was_noted = false;
        let leave = |others: &Room| {
            was_noted = self.strike(&topic, socket.id());
            self.announce(others, &topic, self.0.presence.leave(&topic, socket.id()));
        };
        self.topics()
            .unsubscribe(&topic, &self.feed(), socket, leave)
            .await?;
        Ok(was_noted)
    }

    /// Publishes `data` to a channel's subscribers, each of whom gets it once, as
    /// `{"type":"update","channel","data","timestamp","offset"}`. Resolves with its
    /// position when the broker has acknowledged it. What the channel remembers of it
    /// says its policy.
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
        let published = self.append(channel, data, None).await?;
        Ok(published.position)
    }

    /// As [`publish`](Self::publish), but a repeat with the same key within 2 minutes
    /// publishes nothing and resolves with the position of the first.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_once<T: Serialize + ?Sized>(
        &self,
        channel: &str,
        data: &T,
        key: CommandKey,
    ) -> Result<Published, PublishError> {
        self.append(channel, data, Some(key)).await
    }

    async fn append<T: Serialize + ?Sized>(
        &self,
        channel: &str,
        data: &T,
        key: Option<CommandKey>,
    ) -> Result<Published, PublishError> {
        let topic = self.topic(channel).ok_or(PublishError::InvalidName)?;
        let data = serde_json::to_vec(data)?;
        let mut publish = Publish::new(data).retain(self.0.channels.retention(channel));
        if let Some(key) = key {
            publish = publish.once(key, once::WINDOW);
        }
        Ok(self.topics().publish(&topic, publish).await?)
    }

    /// What a channel remembers of what `query` asks for, and where it stands.
    ///
    /// # Errors
    ///
    /// Fails when the name is invalid or the broker fails.
    pub async fn history(
        &self,
        channel: &str,
        query: HistoryQuery,
    ) -> Result<History, PublishError> {
        let topic = self.topic(channel).ok_or(PublishError::InvalidName)?;
        Ok(self.topics().broker().history(&topic, query).await?)
    }

    /// Who is in a channel; nobody in one without
    /// [presence](crate::ChannelPolicy::presence). Written as `members` and `version`.
    #[must_use]
    pub fn members(&self, channel: &str) -> Snapshot {
        let topic = self.topic(channel);
        topic.map_or_else(Snapshot::default, |topic| self.0.presence.snapshot(&topic))
    }

    /// The channels that have subscribers, with the number of these, in no order.
    #[must_use]
    pub fn channels(&self) -> Vec<(String, usize)> {
        let prefix = format!("live/{}/", self.0.owner);
        let topics = self.topics().with_prefix(&prefix).into_iter();
        topics
            .map(|(topic, subscribers)| (channel_of(&topic).to_owned(), subscribers))
            .collect()
    }

    /// How often subscribers have been too slow, for each pattern of the channels that there
    /// are policies for.
    #[must_use]
    pub fn slow_readers(&self) -> Vec<(String, SlowReaderCounts)> {
        self.0.channels.slow_reader_counts()
    }

    /// How many channels have subscribers; cheaper than to list them.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.topics().count(&format!("live/{}/", self.0.owner))
    }

    /// The number of sockets subscribed to a channel.
    #[must_use]
    pub fn subscribers(&self, channel: &str) -> usize {
        let topic = self.topic(channel);
        topic.map_or(0, |topic| self.topics().subscribers(&topic))
    }

    async fn handle(
        &self,
        socket: &Socket,
        user: Option<&User>,
        request: Request<Command>,
        message: &Message,
    ) {
        let id = request.id.as_ref();
        match request.command {
            Command::Subscribe { channel, since } => {
                let subscribed = self.answer_subscribe(socket, user, &channel, since.as_ref(), id);
                match subscribed.await {
                    Ok(()) | Err(SubscribeError::Join(JoinError::Closed)) => {}
                    Err(error) => socket.send(Answer::new(refusal(&channel, &error), id)),
                }
            }
            Command::Unsubscribe { channel } => {
                if let Err(error) = self.unsubscribe(&channel, socket).await {
                    tracing::warn!(%error, channel, "the broker could not be told that a channel is unused");
                }
                let channel = &*channel;
                socket.send(Answer::new(Event::Unsubscribed { channel }, id));
            }
            Command::Publish => self.answer_publish(socket, user, message, id).await,
            Command::Presence { channel } => {
                let answer = self.answer_presence(socket, &channel, id);
                if let Err(refusal) = answer {
                    socket.send(Answer::new(refusal, id));
                }
            }
            Command::PresenceUpdate { channel, data } => {
                match self.update_presence(socket, &channel, data) {
                    Ok(()) if id.is_some() => socket.send(Answer::new(Event::Ack, id)),
                    Ok(()) => {}
                    Err(refusal) => socket.send(Answer::new(refusal, id)),
                }
            }
        }
    }

    async fn answer_subscribe(
        &self,
        socket: &Socket,
        user: Option<&User>,
        channel: &str,
        since: Option<&Since>,
        id: Option<&CommandId>,
    ) -> Result<(), SubscribeError> {
        let topic = self.topic(channel).ok_or(SubscribeError::InvalidName)?;
        if !self.0.channels.may_subscribe(socket, channel) {
            return Err(SubscribeError::Refused);
        }
        if self.0.channels.has_presence(channel) {
            self.take_over(&topic).await;
        }
        let latest_value = self.0.channels.latest_value(channel);
        let query = match (since, latest_value) {
            // Also for who cannot recover.
            (_, Some(Some(_))) => HistoryQuery::Latest(usize::MAX),
            (Some(_), Some(None)) => HistoryQuery::Latest(since::LIMIT),
            (Some(since), None) => since.query(),
            (None, Some(None)) => HistoryQuery::Latest(1),
            (None, None) => HistoryQuery::Latest(0),
        };
        let then = |room: &Room, history: &History, entrance: Entrance| {
            // Whoever is subscribed already misses nothing.
            let since = since.filter(|_| entrance == Entrance::New);
            let missed = since.map(|since| since.missed(history));
            let Position { epoch, offset } = history.position;
            let newest = match (latest_value, &missed) {
                (Some(key), None | Some(Err(_))) if entrance == Entrance::New => {
                    let waiting = socket.connection().buffered();
                    newest(history, key, NEWEST_BYTES.saturating_sub(waiting))
                }
                _ => Vec::new(),
            };
            let subscribed = Event::Subscribed {
                channel,
                epoch: epoch.to_string(),
                // What follows are the updates after this one.
                offset: newest.first().map_or(offset, |first| first.offset - 1),
                recovered: (&missed).into(),
                latest: self.0.channels.is_latest(channel),
            };
            socket.send(Answer::new(subscribed, id));
            let missed = missed.and_then(Result::ok).unwrap_or_default();
            let mut entered = self.enter_with(socket, &topic, epoch, missed);
            let newest = newest.iter();
            let newest = newest.map(|newest| self.0.encoded.update(&topic, epoch, newest));
            entered.missed.extend(newest);
            if let Some(user) = user
                && entrance == Entrance::New
                && self.0.channels.has_presence(channel)
            {
                let joined = self.0.presence.join(&topic, user, socket.id());
                self.announce(room, &topic, joined);
            }
            entered
        };
        self.subscribe_and(&topic, socket, query, then).await
    }

    /// How a client goes on that missed these: it gets the first ones at once and the others as
    /// it takes them. On a slow line with many channels it would be closed for what waits.
    fn enter_with(
        &self,
        socket: &Socket,
        topic: &Topic,
        epoch: Epoch,
        missed: &[Arc<Publication>],
    ) -> Entered {
        let heals =
            self.0.channels.slow_policy(channel_of(topic)).slow_readers == SlowReaders::Heal;
        let waiting = socket.connection().buffered();
        let part = stream::PART.min(socket.connection().backlog().bytes / 2);
        let (at_once, rest) = match part.checked_sub(waiting) {
            _ if !heals => (missed, None),
            Some(place) => {
                let at_once = stream::first_bytes(missed, place);
                let rest = missed.get(at_once.len());
                (at_once, rest)
            }
            None => (&[][..], missed.first()),
        };
        let updates = at_once.iter();
        let updates = updates.map(|publication| self.0.encoded.update(topic, epoch, publication));
        Entered {
            missed: updates.collect(),
            rest: rest.map(|first| first.offset),
        }
    }

    async fn close(&self, socket: &Socket, reason: &CloseReason) {
        let topics = self.0.subscriptions.lock().remove(&socket.id());
        let mut topics: Vec<_> = topics.into_iter().flatten().collect();
        // So that a test runs the same each time.
        topics.sort_unstable();
        for topic in topics {
            let leave = |others: &Room| {
                if is_deliberate(reason) {
                    let left = self.0.presence.leave(&topic, socket.id());
                    self.announce(others, &topic, left);
                } else if self.0.presence.lose(&topic, socket.id(), self.now_ms()) {
                    self.wait_for_lost(topic.clone());
                }
            };
            let feed = self.feed();
            let left = self.topics().unsubscribe(&topic, &feed, socket, leave);
            if let Err(error) = left.await {
                tracing::warn!(%error, %topic, "the broker could not be told that a channel is unused");
            }
            self.hand_over(&topic).await;
        }
    }

    /// Notes a subscription down; `false` if it is there already.
    fn note(&self, topic: &Topic, socket: &Socket) -> Result<bool, SubscribeError> {
        let mut subscriptions = self.0.subscriptions.lock();
        let is_new = !subscriptions.contains_key(&socket.id());
        let topics = subscriptions.entry(socket.id()).or_default();
        if topics.contains(topic) {
            return Ok(false);
        }
        if topics.len() >= CHANNELS_PER_SOCKET {
            return Err(SubscribeError::TooManyChannels {
                limit: CHANNELS_PER_SOCKET,
            });
        }
        topics.insert(topic.clone());
        drop(subscriptions);
        let live = self.clone();
        let on_close = async move |socket: Socket, reason: CloseReason| {
            live.close(&socket, &reason).await;
        };
        if is_new && !socket.try_on_close(on_close) {
            self.0.subscriptions.lock().remove(&socket.id());
            return Err(JoinError::Closed.into());
        }
        Ok(true)
    }

    /// Strikes a subscription off; `false` if it is not there. The socket's entry
    /// stays, as the sign that its close event is being waited for.
    fn strike(&self, topic: &Topic, id: ConnectionId) -> bool {
        let mut subscriptions = self.0.subscriptions.lock();
        let topics = subscriptions.get_mut(&id);
        topics.is_some_and(|topics| topics.remove(topic))
    }

    fn is_noted(&self, topic: &Topic, id: ConnectionId) -> bool {
        let subscriptions = self.0.subscriptions.lock();
        let topics = subscriptions.get(&id);
        topics.is_some_and(|topics| topics.contains(topic))
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::clone(&self.0) as Arc<dyn Feed>
    }

    fn topics(&self) -> &Topics {
        &self.0.topics
    }

    fn topic(&self, channel: &str) -> Option<Topic> {
        // A channel's name obeys the same rules as a room's.
        let channel = RoomName::new(channel).ok()?;
        Topic::try_from(format!("live/{}/{channel}", self.0.owner)).ok()
    }
}

/// A subscription that was noted down. It is struck off unless it comes about: also when
/// whoever waits for it gives up.
struct Noted<'a> {
    live: &'a LiveUpdates,
    topic: &'a Topic,
    socket: &'a Socket,
    is_subscribed: bool,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        if !self.is_subscribed {
            self.live.strike(self.topic, self.socket.id());
        }
    }
}

/// Whether a client has closed its socket because it wanted to.
fn is_deliberate(reason: &CloseReason) -> bool {
    // A browser closes with 1001 when its page is left, and without a code when told so.
    let own = [
        CloseCode::NORMAL,
        CloseCode::GOING_AWAY,
        CloseCode::NO_STATUS,
    ];
    reason.clean && own.contains(&reason.code)
}

/// The channel's name within a topic's name, as `LiveUpdates::topic` made it.
fn channel_of(topic: &Topic) -> &str {
    topic.as_str().splitn(3, '/').last().unwrap_or_default()
}

impl Feed for Inner {
    fn message(&self, topic: &Topic, _: Epoch, publication: &Publication) -> Outgoing {
        update(topic, publication)
    }

    fn slow_readers(&self, topic: &Topic) -> SlowPolicy {
        self.channels.slow_policy(channel_of(topic))
    }

    fn catch_up(&self, topic: &Topic, behind: &Behind<'_>) -> Vec<Outgoing> {
        let channel = channel_of(topic);
        let lost = behind.lost.as_ref().map(|lost| Event::Gap {
            channel,
            from: *lost.start().min(lost.end()),
            to: *lost.end(),
            epoch: behind.epoch.to_string(),
        });
        let updates = behind.publications.iter();
        let updates =
            updates.map(|publication| self.encoded.update(topic, behind.epoch, publication));
        let has_presence = behind.is_last && self.channels.has_presence(channel);
        let presence = has_presence.then(|| Event::Presence {
            channel,
            snapshot: self.presence.snapshot(topic),
        });
        let lost = lost.map(Outgoing::from).into_iter();
        lost.chain(updates)
            .chain(presence.map(Outgoing::from))
            .collect()
    }
}

fn update(topic: &Topic, publication: &Publication) -> Outgoing {
    let channel = channel_of(topic);
    match serde_json::from_slice::<&RawValue>(&publication.data) {
        Ok(data) => Outgoing::from(Event::Update {
            channel,
            data,
            timestamp: Timestamp::from_unix_ms(publication.time_ms),
            offset: publication.offset,
        }),
        Err(error) => {
            tracing::error!(%topic, %error, "a publication is no JSON");
            ErrorMessage::new(ErrorCode::Internal, "An update could not be read").into()
        }
    }
}

/// The newest publication, or of each key that this JSON pointer leads to; no more than so many
/// bytes.
fn newest(history: &History, key: Option<&str>, mut left: usize) -> Vec<Arc<Publication>> {
    let mut keys = HashSet::new();
    let mut newest: Vec<_> = history
        .publications
        .iter()
        .rev()
        .filter(|publication| keys.insert(key.map(|key| stream::key_of(&publication.data, key))))
        .take_while(|publication| {
            let after = left.checked_sub(publication.data.len());
            left = after.unwrap_or_default();
            after.is_some()
        })
        .cloned()
        .collect();
    newest.reverse();
    newest
}
