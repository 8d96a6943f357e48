//! Topics on this node: from the broker's publications to the sockets that
//! subscribed.
//!
//! A subscriber first gets what its topic remembers and then what is published,
//! without gap or duplicate: while the history is being read, publications are
//! held for it, and those that the history already contains are left out.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use nextrush_broker::{
    Broker, BrokerError, Epoch, History, HistoryQuery, Position, Publication, Publish, Published,
    Sink, Topic,
};
use nextrush_engine::{Engine, Room};
use nextrush_protocol::Frame;
use parking_lot::Mutex;

use super::feed::{Behind, Feed, SlowPolicy};
use super::stream::{Newest, PART, Stream, key_of};
use crate::message::Outgoing;
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::socket::join::{self, JoinError};
use crate::socket::room_key;
use crate::topic::slow_readers::SlowReaders;

/// Why a socket could not subscribe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The name is empty, longer than 255 bytes, or holds control characters.
    #[error("invalid channel name")]
    InvalidName,
    /// The channel's policy does not let the socket subscribe.
    #[error("the channel is not open to this client")]
    Refused,
    /// The socket has as many subscriptions as it may have.
    #[error("a socket can subscribe to {limit} channels at most")]
    TooManyChannels {
        /// The limit that was reached.
        limit: usize,
    },
    /// The socket was unsubscribed while it was being subscribed.
    #[error("the subscription was given up meanwhile")]
    GivenUp,
    /// The socket cannot be a member: it is closed, or it belongs to another
    /// application.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Whether a socket was a member already when it subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    New,
    Again,
}

/// How a socket goes on that has become a member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entered {
    /// With these messages of what it lacks.
    pub(crate) missed: Vec<Outgoing>,
    /// Then with the publications from this one on, which the topic remembers; else with what
    /// is published after the history's position.
    pub(crate) rest: Option<u64>,
}

/// The topics that this node's sockets are subscribed to.
pub(crate) struct Topics {
    broker: Arc<dyn Broker>,
    engine: Engine,
    own: Weak<Self>,
    local: Mutex<HashMap<Topic, Arc<LocalTopic>>>,
    published: AtomicU64,
}

impl Handle {
    /// The topics of the application.
    pub(crate) fn topics(&self) -> Arc<Topics> {
        self.part(|| Topics::new(Arc::clone(self.broker()), self.engine().clone()))
    }
}

impl Topics {
    fn new(broker: Arc<dyn Broker>, engine: Engine) -> Arc<Self> {
        let topics = Arc::new_cyclic(|own| Self {
            broker,
            engine,
            own: Weak::clone(own),
            local: Mutex::default(),
            published: AtomicU64::new(0),
        });
        topics
            .broker
            .attach(Arc::new(Delivery(Arc::downgrade(&topics))));
        topics
    }

    pub(crate) fn broker(&self) -> &dyn Broker {
        &*self.broker
    }

    /// Appends to a topic; resolves when the broker has acknowledged it. By then
    /// this node's subscribers have been sent the publication.
    pub(crate) async fn publish(
        &self,
        topic: &Topic,
        publish: Publish,
    ) -> Result<Published, BrokerError> {
        let published = self.broker.publish(topic, publish).await?;
        if !published.is_repeat {
            self.published.fetch_add(1, Ordering::Relaxed);
        }
        Ok(published)
    }

    /// How often something was published from this node.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Subscribes a socket. `enter` is called once the socket is a member, while
    /// nothing else happens in the topic: what it sends comes before everything
    /// that is published after `History::position`. It is told whether the socket is
    /// new there; for one that is not, the position is that of what it was sent last. It
    /// says how the socket goes on.
    pub(crate) async fn subscribe(
        &self,
        topic: &Topic,
        feed: &Arc<dyn Feed>,
        socket: &Socket,
        query: HistoryQuery,
        enter: impl FnOnce(&Room, &History, Entrance) -> Entered,
    ) -> Result<(), SubscribeError> {
        let entering = self.interested(topic, feed).await?;
        let entered = match self.broker.history(topic, query).await {
            Ok(history) => entering.complete(socket, history, enter),
            Err(error) => Err(error.into()),
        };
        let local = Arc::clone(&entering.local);
        drop(entering);
        // It may have left again at once.
        if !local.room.contains(socket.id()) {
            let mut interest = local.interest.lock().await;
            if let Err(error) = self.retire_if_unused(topic, &local, &mut interest).await {
                tracing::warn!(%error, %topic, "the broker could not be told that a topic is unused");
            }
        }
        entered
    }

    /// Takes a socket out of a topic. `leave` is called while nothing else
    /// happens in the topic, also when the socket has left by itself because it closed,
    /// and even when it was the last one.
    pub(crate) async fn unsubscribe(
        &self,
        topic: &Topic,
        feed: &Arc<dyn Feed>,
        socket: &Socket,
        leave: impl FnOnce(&Room),
    ) -> Result<(), BrokerError> {
        loop {
            // A closed socket is in no room any more, so the topic may have been given up
            // already; what has to be told is told in a fresh entry then.
            let local = self.entry(topic, feed);
            let mut interest = local.interest.lock().await;
            if *interest == Interest::Retired {
                continue;
            }
            {
                let _state = local.state.lock();
                socket.connection().leave(&local.room);
                leave(&local.room);
            }
            return self.retire_if_unused(topic, &local, &mut interest).await;
        }
    }

    /// Sends a volatile message to a topic's subscribers but one. It comes after what a
    /// subscriber gets when it enters.
    pub(crate) fn send_except(&self, topic: &Topic, message: Outgoing, except: &Socket) {
        self.enter(topic, |room| {
            room.publish_except(message.into_frame(), &[except.id()]);
        });
    }

    /// Runs `act` while nothing else happens in a topic, if anybody is subscribed to it.
    pub(crate) fn enter(&self, topic: &Topic, act: impl FnOnce(&Room)) {
        let Some(local) = self.local.lock().get(topic).cloned() else {
            return;
        };
        let _state = local.state.lock();
        act(&local.room);
    }

    /// The topics with such names that have subscribers on this node, and how many.
    pub(crate) fn with_prefix(&self, prefix: &str) -> Vec<(Topic, usize)> {
        let local = self.local.lock();
        let all = local.iter().map(|(topic, local)| (topic, local.room.len()));
        all.filter(|(topic, subscribers)| *subscribers > 0 && topic.as_str().starts_with(prefix))
            .map(|(topic, subscribers)| (topic.clone(), subscribers))
            .collect()
    }

    /// The number of topics with such names that are in use on this node.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        let local = self.local.lock();
        let names = local
            .keys()
            .filter(|topic| topic.as_str().starts_with(prefix));
        names.count()
    }

    /// The number of sockets subscribed on this node.
    pub(crate) fn subscribers(&self, topic: &Topic) -> usize {
        let local = self.local.lock().get(topic).cloned();
        local.map_or(0, |local| local.room.len())
    }

    /// The topic's entry, with the broker told that publications are wanted.
    async fn interested(
        &self,
        topic: &Topic,
        feed: &Arc<dyn Feed>,
    ) -> Result<Entering, BrokerError> {
        loop {
            let local = self.entry(topic, feed);
            let mut interest = local.interest.lock().await;
            match *interest {
                // Given up between the look-up and the lock: take a fresh one.
                Interest::Retired => continue,
                Interest::Subscribed => {}
                Interest::New => {
                    if let Err(error) = self.broker.subscribe(topic).await {
                        *interest = Interest::Retired;
                        self.remove(topic, &local);
                        return Err(error);
                    }
                    *interest = Interest::Subscribed;
                }
            }
            // Waits in it before the lock is given back, so that the entry cannot be
            // retired in between.
            return Ok(Entering::new(&local));
        }
    }

    /// Gives a topic up that nobody is in. `interest` is that of `local`.
    async fn retire_if_unused(
        &self,
        topic: &Topic,
        local: &Arc<LocalTopic>,
        interest: &mut Interest,
    ) -> Result<(), BrokerError> {
        if *interest == Interest::Retired || local.is_used() {
            return Ok(());
        }
        let before = mem::replace(interest, Interest::Retired);
        self.remove(topic, local);
        if before == Interest::Subscribed {
            self.broker.unsubscribe(topic).await?;
        }
        Ok(())
    }

    fn entry(&self, topic: &Topic, feed: &Arc<dyn Feed>) -> Arc<LocalTopic> {
        let mut local = self.local.lock();
        let entry = local.entry(topic.clone()).or_insert_with(|| {
            Arc::new(LocalTopic {
                topics: Weak::clone(&self.own),
                topic: topic.clone(),
                room: self.engine.room(&room_key::of_topic(topic)),
                feed: Arc::downgrade(feed),
                policy: feed.slow_readers(topic),
                interest: tokio::sync::Mutex::new(Interest::New),
                state: Mutex::default(),
            })
        });
        Arc::clone(entry)
    }

    fn remove(&self, topic: &Topic, retired: &Arc<LocalTopic>) {
        let mut local = self.local.lock();
        if local
            .get(topic)
            .is_some_and(|entry| Arc::ptr_eq(entry, retired))
        {
            local.remove(topic);
        }
    }

    fn deliver(&self, topic: &Topic, epoch: Epoch, publication: &Publication) {
        let Some(local) = self.local.lock().get(topic).cloned() else {
            return;
        };
        let Some(feed) = local.feed.upgrade() else {
            return;
        };
        let offset = publication.offset;
        let frame = feed.message(topic, epoch, publication).into_frame();
        let mut state = local.state.lock();
        if state.begins_anew(epoch) {
            // Else nobody would know what the offsets mean from now on.
            for message in feed.catch_up(topic, &Behind::lost(epoch, 1..=offset - 1)) {
                local.room.publish(message.into_frame());
            }
        }
        let stream = state.stream(&local, epoch);
        state.delivered = offset;
        for waiting in state.waiting.values_mut() {
            waiting.held.push((offset, frame.clone()));
        }
        if local.policy.slow_readers == SlowReaders::Latest {
            let pointer = local.policy.key.as_deref();
            let key = pointer.and_then(|pointer| key_of(&publication.data, pointer));
            state.newest.add(key, offset, frame.clone());
        }
        match local.over() {
            Some(over) => {
                let skippable = stream.skippable(offset, over);
                local.room.publish_skippable(frame, skippable);
            }
            None => local.room.publish(frame),
        }
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics")
            .field("local", &self.local.lock().len())
            .finish_non_exhaustive()
    }
}

/// What the broker knows of this node. It owns nothing, so that broker and topics
/// do not keep each other alive.
struct Delivery(Weak<Topics>);

impl Sink for Delivery {
    fn deliver(&self, topic: &Topic, epoch: Epoch, publication: &Arc<Publication>) {
        if let Some(topics) = self.0.upgrade() {
            topics.deliver(topic, epoch, publication);
        }
    }
}

/// A topic that sockets of this node are subscribed to.
///
/// `interest` is what the broker was told, changed by one task at a time; `state`
/// makes subscribing, leaving and delivering follow one another.
pub(super) struct LocalTopic {
    pub(super) topics: Weak<Topics>,
    pub(super) topic: Topic,
    pub(super) room: Room,
    /// Lives as long as somebody is subscribed.
    pub(super) feed: Weak<dyn Feed>,
    pub(super) policy: SlowPolicy,
    interest: tokio::sync::Mutex<Interest>,
    pub(super) state: Mutex<State>,
}

impl LocalTopic {
    /// How much may wait for a subscriber that is sent a publication all the same; `None`:
    /// whatever waits.
    fn over(&self) -> Option<usize> {
        match self.policy.slow_readers {
            SlowReaders::Heal | SlowReaders::Drop => Some(PART),
            SlowReaders::Latest => Some(0),
            SlowReaders::Close => None,
        }
    }

    fn is_used(&self) -> bool {
        let state = self.state.lock();
        state.waiting.values().any(|waiting| !waiting.is_member) || !self.room.is_empty()
    }
}

#[derive(PartialEq, Eq)]
enum Interest {
    New,
    Subscribed,
    Retired,
}

#[derive(Default)]
pub(super) struct State {
    /// By ticket.
    waiting: HashMap<u64, Waiting>,
    next_ticket: u64,
    /// The present one, once anything is known of it.
    pub(super) stream: Option<Arc<Stream>>,
    /// The last publication that was delivered.
    pub(super) delivered: u64,
    /// Of topics whose slow readers get no other.
    pub(super) newest: Newest,
}

impl State {
    /// What was published while this one was waiting, which it does no more.
    pub(super) fn take_held(&mut self, ticket: u64) -> Vec<(u64, Frame)> {
        let waiting = self.waiting.remove(&ticket);
        waiting.map_or_else(Vec::new, |waiting| waiting.held)
    }

    /// Whether a stream is at its end, as there is something of another epoch.
    pub(super) fn begins_anew(&self, epoch: Epoch) -> bool {
        let is_other = |stream: &Arc<Stream>| stream.epoch() != epoch;
        self.stream.as_ref().is_some_and(is_other)
    }

    /// The stream of this epoch, which is the present one.
    fn stream(&mut self, local: &Arc<LocalTopic>, epoch: Epoch) -> Arc<Stream> {
        match &self.stream {
            Some(stream) if stream.epoch() == epoch => Arc::clone(stream),
            _ => {
                let stream = Arc::new(Stream::new(local, epoch));
                self.newest = Newest::default();
                self.stream = Some(Arc::clone(&stream));
                stream
            }
        }
    }

    /// The last publication of this epoch that was delivered, or 0.
    pub(super) fn delivered_in(&self, epoch: Epoch) -> u64 {
        let is_of_it = |stream: &Arc<Stream>| stream.epoch() == epoch;
        if self.stream.as_ref().is_some_and(is_of_it) {
            self.delivered
        } else {
            0
        }
    }
}

/// One whose history is being read.
#[derive(Default)]
pub(super) struct Waiting {
    /// What was published meanwhile.
    held: Vec<(u64, Frame)>,
    /// It is a member that has fallen behind. If it leaves, nobody waits any more.
    is_member: bool,
}

/// A subscriber whose history is being read. Dropping it gives the wish up.
pub(super) struct Entering {
    local: Arc<LocalTopic>,
    pub(super) ticket: u64,
}

impl Entering {
    /// One that is no member yet.
    fn new(local: &Arc<LocalTopic>) -> Self {
        Self::with(local, Waiting::default())
    }

    /// One that is a member, and has fallen behind.
    pub(super) fn again(local: &Arc<LocalTopic>) -> Self {
        let is_member = true;
        Self::with(
            local,
            Waiting {
                is_member,
                ..Waiting::default()
            },
        )
    }

    fn with(local: &Arc<LocalTopic>, waiting: Waiting) -> Self {
        let mut state = local.state.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(ticket, waiting);
        Self {
            local: Arc::clone(local),
            ticket,
        }
    }

    fn complete(
        &self,
        socket: &Socket,
        mut history: History,
        enter: impl FnOnce(&Room, &History, Entrance) -> Entered,
    ) -> Result<(), SubscribeError> {
        let mut state = self.local.state.lock();
        let held = state.take_held(self.ticket);
        let room = &self.local.room;
        if !join::join(socket, room)? {
            // It has got what was held.
            if let Some((offset, _)) = held.last() {
                history.position.offset = history.position.offset.max(*offset);
            }
            enter(room, &history, Entrance::Again);
            return Ok(());
        }
        let Position { epoch, offset: top } = history.position;
        let connection = socket.connection();
        let Entered { missed, rest } = enter(room, &history, Entrance::New);
        let mut frames: Vec<Frame> = missed.into_iter().map(Outgoing::into_frame).collect();
        // Of a stream that has ended meanwhile there is nothing to be had later.
        let rest = rest.filter(|_| !state.begins_anew(epoch)).map(|first| {
            let stream = state.stream(&self.local, epoch);
            stream.skippable(first, PART)
        });
        if rest.is_none() {
            let held = held.into_iter();
            frames.extend(held.filter_map(|(offset, frame)| (offset > top).then_some(frame)));
        }
        if rest.is_some() || !frames.is_empty() {
            room.give(connection, frames, rest);
        }
        Ok(())
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        self.local.state.lock().waiting.remove(&self.ticket);
    }
}
