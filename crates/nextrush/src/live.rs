//! The guide's live updates: clients subscribe to channels, anybody publishes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use nextrush_broker::{
    BrokerError, Epoch, History, HistoryQuery, Position, Publication, Publish, Topic,
};
use nextrush_engine::{CloseReason, ConnectionId, Room};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error_message::ErrorMessage;
use crate::handle::Handle;
use crate::outgoing::Outgoing;
use crate::room::{JoinError, RoomName};
use crate::socket::Socket;
use crate::timestamp::Timestamp;
use crate::topics::{SubscribeError, Topics};

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
    /// Tells the channels of several `LiveUpdates` of one application apart.
    owner: u64,
    subscriptions: Mutex<HashMap<ConnectionId, HashSet<Topic>>>,
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

/// What a client may send.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Command {
    Subscribe { channel: String },
    Unsubscribe { channel: String },
}

/// What a client gets.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Event<'a> {
    Subscribed {
        channel: &'a str,
    },
    Unsubscribed {
        channel: &'a str,
    },
    Update {
        channel: &'a str,
        data: &'a RawValue,
        timestamp: Timestamp,
    },
}

impl From<Event<'_>> for Outgoing {
    fn from(event: Event<'_>) -> Self {
        Self::json(&event).expect("the events of live updates have string keys only")
    }
}

impl LiveUpdates {
    /// Channels of their own, apart from those of every other `LiveUpdates`.
    #[must_use]
    pub fn new(app: &Handle) -> Self {
        Self(Arc::new(Inner {
            app: app.clone(),
            owner: app.next_owner(),
            subscriptions: Mutex::default(),
        }))
    }

    /// Handles a client's `subscribe` and `unsubscribe` messages from now on.
    pub fn connect(&self, socket: &Socket) {
        let live = self.clone();
        socket.on_command(
            async move |socket: Socket, command: Command| match command {
                Command::Subscribe { channel } => live.answer_subscribe(&socket, &channel).await,
                Command::Unsubscribe { channel } => {
                    live.answer_unsubscribe(&socket, &channel).await
                }
            },
        );
    }

    /// Subscribes a socket, and unsubscribes it when it closes; `false` if it was
    /// subscribed already.
    ///
    /// # Errors
    ///
    /// Refused when the name is empty, longer than 255 bytes or holds control
    /// characters, when the socket has 100 subscriptions already or is closed, or
    /// when the broker fails.
    pub async fn subscribe(&self, channel: &str, socket: &Socket) -> Result<bool, SubscribeError> {
        self.subscribe_and(channel, socket, || {}).await
    }

    /// Subscribes a socket; what `then` sends to it comes before the first update.
    async fn subscribe_and(
        &self,
        channel: &str,
        socket: &Socket,
        then: impl FnOnce(),
    ) -> Result<bool, SubscribeError> {
        let topic = self.topic(channel).ok_or(SubscribeError::InvalidName)?;
        if !self.note(&topic, socket)? {
            return Ok(false);
        }
        let mut noted = Noted {
            live: self,
            topic: &topic,
            socket,
            is_subscribed: false,
        };
        let enter = |room: &Room, _: &History| {
            // Unsubscribed again meanwhile, by another task.
            if !self.is_noted(&topic, socket.id()) {
                socket.connection().leave(room);
            }
            noted.is_subscribed = true;
            then();
        };
        self.topics()
            .subscribe(&topic, encode, socket, HistoryQuery::Latest(0), enter)
            .await?;
        Ok(true)
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
        let leave = |_: &Room| was_noted = self.strike(&topic, socket.id());
        self.topics()
            .unsubscribe(&topic, encode, socket, leave)
            .await?;
        Ok(was_noted)
    }

    /// Publishes `data` to a channel's subscribers, each of whom gets it once, as
    /// `{"type":"update","channel","data","timestamp"}`. Resolves with its
    /// position when the broker has acknowledged it.
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
        let topic = self.topic(channel).ok_or(PublishError::InvalidName)?;
        let data = Bytes::from(serde_json::to_vec(data)?);
        let published = self.topics().publish(&topic, Publish::new(data)).await?;
        Ok(published.position)
    }

    /// The number of sockets subscribed to a channel.
    #[must_use]
    pub fn subscribers(&self, channel: &str) -> usize {
        let topic = self.topic(channel);
        topic.map_or(0, |topic| self.topics().subscribers(&topic))
    }

    async fn answer_subscribe(&self, socket: &Socket, channel: &str) {
        let acknowledge = || socket.send(Event::Subscribed { channel });
        match self.subscribe_and(channel, socket, acknowledge).await {
            Ok(true) => {}
            Ok(false) => acknowledge(),
            Err(SubscribeError::Join(JoinError::Closed)) => {}
            Err(error) => {
                let message = match &error {
                    SubscribeError::InvalidName => "Invalid channel name",
                    SubscribeError::TooManyChannels { .. } => "Too many channels",
                    SubscribeError::Join(_) | SubscribeError::Broker(_) => {
                        tracing::error!(%error, channel, "cannot subscribe");
                        "Channel unavailable"
                    }
                };
                socket.send(ErrorMessage::new(message).details(error.to_string()));
            }
        }
    }

    async fn answer_unsubscribe(&self, socket: &Socket, channel: &str) {
        if let Err(error) = self.unsubscribe(channel, socket).await {
            tracing::warn!(%error, channel, "the broker could not be told that a channel is unused");
        }
        socket.send(Event::Unsubscribed { channel });
    }

    async fn close(&self, socket: &Socket) {
        let topics = self.0.subscriptions.lock().remove(&socket.id());
        for topic in topics.into_iter().flatten() {
            let left = self.topics().unsubscribe(&topic, encode, socket, |_| {});
            if let Err(error) = left.await {
                tracing::warn!(%error, %topic, "the broker could not be told that a channel is unused");
            }
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
        let on_close = async move |socket: Socket, _: CloseReason| live.close(&socket).await;
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

    fn topics(&self) -> &Topics {
        self.0.app.topics()
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

/// The channel's name within a topic's name, as `LiveUpdates::topic` made it.
fn channel_of(topic: &Topic) -> &str {
    topic.as_str().splitn(3, '/').last().unwrap_or_default()
}

fn encode(topic: &Topic, _: Epoch, publication: &Publication) -> Outgoing {
    let channel = channel_of(topic);
    match serde_json::from_slice::<&RawValue>(&publication.data) {
        Ok(data) => Outgoing::from(Event::Update {
            channel,
            data,
            timestamp: Timestamp::from_unix_ms(publication.time_ms),
        }),
        Err(error) => {
            tracing::error!(%topic, %error, "a publication is no JSON");
            ErrorMessage::new("An update could not be read").into()
        }
    }
}
