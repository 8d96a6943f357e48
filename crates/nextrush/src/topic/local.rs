//! The topics that this node's sockets are subscribed to: from the broker's publications to
//! their subscribers.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;

use futures_util::FutureExt as _;
use nextrush_broker::{
    Broker, BrokerError, Epoch, Immediate, Interrupt, Position, Publication, Publish, Published,
    Sink, TopicName,
};
use nextrush_engine::{CloseReason, ConnectionId, Engine, Room, Skippable};
use nextrush_protocol::Frame;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::anew::Owed;
use super::deletions::Deletions;
use super::dialect::{CatchUp, Dialect, Leaver};
use super::encoded::Encoded;
use super::heal::{PART, Stream};
use super::locked::Locked;
use super::name::own_name;
use super::newest::{Newest, key_of};
use super::seats::{LocalSeats, Seats};
use super::slow_readers::{SlowReaderPolicy, SlowReaders};
use super::traces::{Traced, answer_traces};
use crate::message::Outgoing;
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::socket::room_key;
use crate::tally::Durations;
use crate::trace::{Leaving, Lost, Record, Times, What};

/// The target of the line that the log has for each publication that goes to subscribers of this
/// node, at debug.
const DELIVERIES: &str = "nextrush::deliveries";

/// The topics that this node's sockets are subscribed to.
pub(crate) struct LocalTopics {
    broker: Arc<dyn Broker>,
    engine: Engine,
    /// The record of what happens to subscriptions.
    pub(super) record: Arc<Record>,
    /// `true` if members are those of this node.
    pub(super) is_alone: bool,
    own: Weak<Self>,
    topics: Mutex<HashMap<TopicName, Arc<LocalTopic>>>,
    pub(super) encoded: Encoded,
    published: AtomicU64,
    publishing: Mutex<Durations>,
}

impl Handle {
    /// The topics of the application on this node.
    pub(crate) fn local_topics(&self) -> Arc<LocalTopics> {
        self.part(|| {
            let (broker, record) = (Arc::clone(self.broker()), Arc::clone(self.record()));
            let topics = LocalTopics::new(broker, self.engine().clone(), record);
            topics.hear_announcements(self.line());
            answer_traces(self);
            topics
        })
    }
}

impl LocalTopics {
    fn new(broker: Arc<dyn Broker>, engine: Engine, record: Arc<Record>) -> Arc<Self> {
        let topics = Arc::new_cyclic(|own| Self {
            is_alone: broker.rosters().is_none(),
            broker,
            engine,
            record,
            own: Weak::clone(own),
            topics: Mutex::default(),
            encoded: Encoded::default(),
            published: AtomicU64::new(0),
            publishing: Mutex::default(),
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
    pub(super) async fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> Result<Published, BrokerError> {
        if let Some(immediate) = self.broker.immediate() {
            return self.publish_now(immediate, topic, publish);
        }
        let mut publishing = self.broker.publish(topic, publish);
        // What is done at once needs no clock.
        let published = match poll_fn(|context| Poll::Ready(publishing.poll_unpin(context))).await {
            Poll::Ready(published) => published,
            Poll::Pending => {
                let began = Instant::now();
                let published = publishing.await;
                self.publishing.lock().add(began.elapsed());
                published
            }
        }?;
        self.note_published(&published);
        Ok(published)
    }

    /// Appends to a topic as [`publish`](Self::publish) does, without waiting.
    pub(super) fn publish_now(
        &self,
        immediate: &dyn Immediate,
        topic: &TopicName,
        publish: Publish,
    ) -> Result<Published, BrokerError> {
        let published = immediate.publish_now(topic, publish)?;
        self.note_published(&published);
        Ok(published)
    }

    fn note_published(&self, published: &Published) {
        if !published.is_repeat && !published.is_outdated {
            self.published.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The times of publications that had to wait.
    pub(crate) fn publishing(&self) -> Durations {
        self.publishing.lock().clone()
    }

    /// The number of publications from this node.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Takes a socket out of a topic and tells the dialect, while nothing else happens there.
    /// The dialect is told even if the socket has left its rooms already because it closed.
    /// `unseat` is called when it is out, before the broker is told of anything.
    pub(super) async fn leave(
        &self,
        topic: &TopicName,
        dialect: &Arc<dyn Dialect>,
        socket: &Socket,
        parting: Parting<'_>,
        unseat: impl FnOnce(),
    ) -> Result<(), BrokerError> {
        loop {
            // A closed socket is in no room any more, so the topic may have been retired
            // already; the dialect is told of a fresh entry then.
            let local = self.entry(topic, dialect);
            let interest = local.interest.lock().await;
            if *interest == Interest::Retired {
                continue;
            }
            {
                let mut state = local.state.lock();
                let was_member = socket.connection().leave(&local.room);
                if was_member && let Some(farewell) = parting.farewell {
                    // Behind all that it has got, and before anything of a later subscription.
                    socket.send(farewell);
                }
                state.deletions.forget(socket.id());
                state.owed.forget(socket.id());
                let leaver = Leaver {
                    socket,
                    profile: state.members.unseat(socket.id()),
                    closed: parting.closed,
                };
                let locked = local.locked(&state);
                dialect.left(&locked, &leaver);
                if let Some(profile) = &leaver.profile
                    && self.is_alone
                {
                    dialect.gone(&locked, profile);
                }
            }
            dialect.settle(topic);
            unseat();
            return self.retire_if_unused(topic, &local, interest).await;
        }
    }

    /// Runs `act` while nothing else happens in a topic; `None` if nobody is subscribed to it.
    pub(crate) fn locked<R>(
        &self,
        topic: &TopicName,
        act: impl FnOnce(&Locked<'_>) -> R,
    ) -> Option<R> {
        let local = self.find(topic)?;
        let state = local.state.lock();
        Some(act(&local.locked(&state)))
    }

    /// The topics with such names that have subscribers on this node, and how many.
    pub(super) fn with_prefix(&self, prefix: &str) -> Vec<(TopicName, usize)> {
        let topics = self.topics.lock();
        topics
            .iter()
            .map(|(topic, local)| (topic, local.room.len()))
            .filter(|(topic, subscribers)| *subscribers > 0 && topic.as_str().starts_with(prefix))
            .map(|(topic, subscribers)| (topic.clone(), subscribers))
            .collect()
    }

    /// The number of topics with such names that are in use on this node.
    pub(super) fn count(&self, prefix: &str) -> usize {
        let topics = self.topics.lock();
        topics
            .keys()
            .filter(|topic| topic.as_str().starts_with(prefix))
            .count()
    }

    /// The number of sockets subscribed on this node.
    pub(crate) fn subscribers(&self, topic: &TopicName) -> usize {
        self.find(topic).map_or(0, |local| local.room.len())
    }

    /// The sockets that are subscribed on this node.
    pub(super) fn sockets(&self, topic: &TopicName) -> Vec<Socket> {
        self.find(topic)
            .map_or_else(Vec::new, |local| local.room.members())
            .into_iter()
            .map(Socket::new)
            .collect()
    }

    pub(super) fn find(&self, topic: &TopicName) -> Option<Arc<LocalTopic>> {
        self.topics.lock().get(topic).cloned()
    }

    /// The topic's entry, with the broker told that publications are wanted, which are held
    /// under the ticket from then on.
    pub(super) async fn wanted(
        &self,
        topic: &TopicName,
        dialect: &Arc<dyn Dialect>,
    ) -> Result<(Arc<LocalTopic>, Ticket), BrokerError> {
        loop {
            let local = self.entry(topic, dialect);
            let mut interest = local.interest.lock().await;
            match *interest {
                // Retired between the look-up and the lock: take a fresh one.
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
            // Waits in it before the lock is released, so that the entry cannot be retired
            // in between.
            let ticket = local.wait(Waiting::default());
            drop(interest);
            return Ok((local, ticket));
        }
    }

    /// Retires a topic that nobody uses.
    pub(super) async fn tidy(&self, local: &Arc<LocalTopic>) {
        let interest = local.interest.lock().await;
        let topic = &local.topic;
        if let Err(error) = self.retire_if_unused(topic, local, interest).await {
            tracing::warn!(%error, %topic, "the broker could not be told that a topic is unused");
        }
    }

    /// Retires a topic that nobody uses. `interest` is that of `local`.
    async fn retire_if_unused(
        &self,
        topic: &TopicName,
        local: &Arc<LocalTopic>,
        mut interest: tokio::sync::MutexGuard<'_, Interest>,
    ) -> Result<(), BrokerError> {
        if *interest == Interest::Retired || local.is_used() {
            return Ok(());
        }
        let before = mem::replace(&mut *interest, Interest::Retired);
        self.remove(topic, local);
        // Others that leave do not wait for the broker: at the end of the process nobody would
        // hear of them.
        drop(interest);
        if before == Interest::Subscribed {
            self.broker.unsubscribe(topic).await?;
        }
        Ok(())
    }

    /// The state of a topic for a trace of the publication at this offset; `None` if it has no
    /// subscribers.
    pub(super) fn traced(&self, topic: &TopicName, offset: u64) -> Option<Traced> {
        let local = self.find(topic)?;
        let state = local.state.lock();
        Some(Traced {
            room: local.room.clone(),
            epoch: state.stream.as_ref().map(|stream| stream.epoch()),
            delivered: state.delivered,
            sent: state.times.of(offset),
        })
    }

    fn entry(&self, topic: &TopicName, dialect: &Arc<dyn Dialect>) -> Arc<LocalTopic> {
        let mut topics = self.topics.lock();
        let entry = topics.entry(topic.clone()).or_insert_with(|| {
            Arc::new(LocalTopic {
                topics: Weak::clone(&self.own),
                topic: topic.clone(),
                record: Arc::clone(&self.record),
                room: self.room(topic),
                dialect: Arc::downgrade(dialect),
                policy: dialect.slow_readers(own_name(topic)),
                interest: tokio::sync::Mutex::new(Interest::New),
                state: Mutex::default(),
            })
        });
        Arc::clone(entry)
    }

    /// The room of a topic's subscribers.
    fn room(&self, topic: &TopicName) -> Room {
        let room = self.engine.room(&room_key::of_topic(topic));
        if self.record.is_on() {
            room.watch(|| {
                let (record, topic) = (Arc::clone(&self.record), topic.clone());
                Arc::new(Leaving { record, topic })
            });
        }
        room
    }

    fn remove(&self, topic: &TopicName, retired: &Arc<LocalTopic>) {
        let mut topics = self.topics.lock();
        if topics
            .get(topic)
            .is_some_and(|entry| Arc::ptr_eq(entry, retired))
        {
            topics.remove(topic);
        }
    }

    fn deliver(&self, topic: &TopicName, epoch: Epoch, publication: &Publication) {
        let Some(local) = self.find(topic) else {
            return;
        };
        let Some(dialect) = local.dialect.upgrade() else {
            return;
        };
        let offset = publication.offset;
        let position = Position { epoch, offset };
        let frame = dialect
            .publication(local.name(), position, publication)
            .into_frame();
        let mut state = local.state.lock();
        if state.is_of_another(epoch) {
            // Without a word nobody would know what the offsets mean from now on.
            let lost = CatchUp::lost(epoch, &(1..=offset - 1));
            local.tell_of_loss(&mut state, &*dialect, &lost);
        }
        let stream = state.stream(&local, epoch);
        state.delivered = offset;
        state.times.note(&self.record, offset);
        state.hold(News::Publication(position), || Word::Message(frame.clone()));
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
            None => local.room.publish_numbered(frame, offset),
        }
        drop(state);
        // Joined with who has published it by topic and position, on whatever node.
        tracing::debug!(
            target: DELIVERIES,
            topic = topic.as_str(),
            %position,
            subscribers = local.room.len(),
            "on the way to subscribers"
        );
    }

    /// Tells all subscribers that the order of publications was interrupted.
    fn interrupt(&self, topic: &TopicName, interrupt: &Interrupt) {
        let Some(local) = self.find(topic) else {
            return;
        };
        let Some(dialect) = local.dialect.upgrade() else {
            return;
        };
        let mut state = local.state.lock();
        let position = interrupt.position();
        let first = match interrupt {
            Interrupt::Continued {
                epoch, continues, ..
            } => {
                // Those who lag go on in it, as offsets stay what they are.
                match &state.stream {
                    Some(stream) => {
                        let lives = Box::new((stream.epoch(), *epoch));
                        self.record.note_topic(topic, What::Renewed(lives));
                        stream.renew(*epoch);
                    }
                    None => drop(state.stream(&local, *epoch)),
                }
                state.delivered = position.offset;
                local.room.renumber(position.offset);
                let until = Position::new(*epoch, continues.offset);
                if let Some(renewed) = dialect.renewed(local.name(), until) {
                    local.tell_all(&mut state, position, renewed);
                }
                return;
            }
            Interrupt::Lost { offsets, .. } => *offsets.start(),
            Interrupt::Began { .. } => 1,
            // What was taken back is not missing in the new life.
            _ => position.offset + 1,
        };
        let lost = CatchUp::lost(position.epoch, &(first..=position.offset));
        local.tell_of_loss(&mut state, &*dialect, &lost);
    }
}

impl LocalTopics {
    /// Tells this node's subscribers of deleted publications.
    fn tell_deleted(&self, topic: &TopicName, epoch: Epoch, offsets: &[u64]) {
        for offset in offsets {
            self.encoded.forget(topic, epoch, *offset);
        }
        let Some(local) = self.find(topic) else {
            return;
        };
        let Some(dialect) = local.dialect.upgrade() else {
            return;
        };
        let mut state = local.state.lock();
        if state.is_of_another(epoch) {
            return;
        }
        for &offset in offsets {
            state.newest.forget(offset);
            let frame = dialect.deleted(local.name(), offset);
            let frame = frame.map(Outgoing::into_frame);
            for waiting in state.waiting.values_mut() {
                waiting.delete(offset, frame.as_ref());
            }
            if let Some(frame) = frame {
                let after = state.delivered;
                state.deletions.note(after, offset, frame.clone());
                local.room.publish(frame);
            }
        }
    }
}

impl fmt::Debug for LocalTopics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTopics")
            .field("topics", &self.topics.lock().len())
            .finish_non_exhaustive()
    }
}

/// The parting of a socket from a topic.
#[derive(Default)]
pub(super) struct Parting<'a> {
    /// The reason why it closed, if it did.
    pub(super) closed: Option<&'a CloseReason>,
    /// The last message of the topic to it, if it has become a subscriber.
    pub(super) farewell: Option<Outgoing>,
}

/// The broker's way to this node's subscribers. It owns nothing, so that broker and topics
/// do not keep each other alive.
struct Delivery(Weak<LocalTopics>);

impl Sink for Delivery {
    fn deliver(&self, topic: &TopicName, epoch: Epoch, publication: &Arc<Publication>) {
        if let Some(topics) = self.0.upgrade() {
            topics.deliver(topic, epoch, publication);
        }
    }

    fn deleted(&self, topic: &TopicName, epoch: Epoch, offsets: &[u64]) {
        if let Some(topics) = self.0.upgrade() {
            topics.tell_deleted(topic, epoch, offsets);
        }
    }

    fn interrupt(&self, topic: &TopicName, interrupt: &Interrupt) {
        if let Some(topics) = self.0.upgrade() {
            topics.interrupt(topic, interrupt);
        }
    }
}

/// A topic that sockets of this node are subscribed to.
///
/// `interest` is what the broker was told, changed by one task at a time; `state`
/// makes subscribing, leaving and delivering follow one another.
pub(super) struct LocalTopic {
    pub(super) topics: Weak<LocalTopics>,
    pub(super) topic: TopicName,
    pub(super) record: Arc<Record>,
    pub(super) room: Room,
    /// Lives as long as somebody is subscribed.
    pub(super) dialect: Weak<dyn Dialect>,
    pub(super) policy: SlowReaderPolicy,
    interest: tokio::sync::Mutex<Interest>,
    pub(super) state: Mutex<State>,
}

impl LocalTopic {
    /// The topic's own name.
    pub(super) fn name(&self) -> &str {
        own_name(&self.topic)
    }

    /// The most bytes that may wait for a subscriber that is sent a publication all the same;
    /// `None` where it is sent whatever waits.
    fn over(&self) -> Option<usize> {
        match self.policy.slow_readers {
            SlowReaders::Heal | SlowReaders::Drop => Some(PART),
            SlowReaders::Latest => Some(0),
            SlowReaders::Close => None,
        }
    }

    pub(super) fn is_used(&self) -> bool {
        let state = self.state.lock();
        state.waiting.values().any(|waiting| !waiting.is_member) || !self.room.is_empty()
    }

    /// Tells all subscribers of a loss that concerns all of them.
    fn tell_of_loss(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        dialect: &dyn Dialect,
        lost: &CatchUp<'_>,
    ) {
        let position = lost.position;
        let before = state.stream.as_ref().map(|stream| stream.epoch());
        let lives = before.filter(|before| *before != position.epoch);
        self.record.note_topic(
            &self.topic,
            What::Lost(Lost {
                lives: lives.map(|before| Box::new((before, position.epoch))),
                ended: state.delivered,
                first: lost.gap.as_ref().map_or(1, |gap| gap.from),
                told: position.offset,
            }),
        );
        let stream = state.stream(self, position.epoch);
        state.delivered = position.offset;
        self.room.renumber(position.offset);
        if dialect.newest_after_loss(self.name()) > 0 {
            let anew = stream.anew(position.offset + 1);
            state.hold(News::Interruption(position), || Word::Anew(anew.clone()));
            for member in self.room.members() {
                self.room.give(&member, Vec::new(), Some(anew.clone()));
            }
            return;
        }
        let messages = dialect.catch_up(&self.locked(state), lost);
        for message in messages {
            self.tell_all(state, position, message);
        }
    }

    /// Sends all subscribers a message, after which they are at this position.
    fn tell_all(&self, state: &mut MutexGuard<'_, State>, position: Position, message: Outgoing) {
        let frame = message.into_frame();
        state.hold(News::Interruption(position), || {
            Word::Message(frame.clone())
        });
        self.room.publish_numbered(frame, position.offset);
    }

    /// Notes what happens to a subscriber.
    pub(super) fn note(&self, subscriber: ConnectionId, what: What) {
        self.record.note(subscriber, &self.topic, what);
    }

    /// Holds what is published from now on, until the ticket is given back.
    pub(super) fn wait(self: &Arc<Self>, waiting: Waiting) -> Ticket {
        let mut state = self.state.lock();
        let number = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(number, waiting);
        Ticket {
            local: Arc::clone(self),
            number,
        }
    }

    pub(super) fn locked<'a>(&'a self, state: &'a MutexGuard<'_, State>) -> Locked<'a> {
        Locked::new(self, state)
    }
}

#[derive(Eq, PartialEq)]
enum Interest {
    New,
    Subscribed,
    Retired,
}

/// The state of a topic that changes as sockets come and go and as something is published.
#[derive(Default)]
pub(super) struct State {
    /// The subscribers whose history is being read, by ticket.
    waiting: HashMap<u64, Waiting>,
    next_ticket: u64,
    /// The present one, once anything is known of it.
    pub(super) stream: Option<Arc<Stream>>,
    /// The last publication that was delivered.
    pub(super) delivered: u64,
    /// The times at which the newest publications were delivered.
    times: Times,
    pub(super) deletions: Deletions,
    pub(super) owed: Owed,
    /// The newest publications, of topics whose slow readers get no other.
    pub(super) newest: Newest,
    /// The subscribers that were seated.
    pub(super) members: LocalSeats,
    /// The members on all nodes, where nodes share them and this one follows them.
    pub(super) everyone: Option<Seats>,
}

impl State {
    /// The members, as the subscribers know them.
    pub(super) fn members(&self) -> &Seats {
        self.everyone.as_ref().unwrap_or(self.members.seats())
    }

    pub(super) fn everyone(&mut self) -> &mut Seats {
        self.everyone.get_or_insert_default()
    }

    /// Stops waiting; returns what was published meanwhile.
    pub(super) fn take_held(&mut self, ticket: &Ticket) -> Vec<Held> {
        let waiting = self.waiting.remove(&ticket.number);
        waiting.map_or_else(Vec::new, |waiting| waiting.held)
    }

    /// Holds news for those who wait.
    fn hold(&mut self, news: News, word: impl Fn() -> Word) {
        for waiting in self.waiting.values_mut() {
            let word = word();
            waiting.held.push(Held { news, word });
        }
    }

    /// The messages that are news to a subscriber at this position.
    pub(super) fn news(&self, held: Vec<Held>, at: Position) -> impl Iterator<Item = Frame> {
        let is_of_another = self.is_of_another(at.epoch);
        held.into_iter()
            .filter(move |held| held.is_news(at, is_of_another))
            .filter_map(Held::into_message)
    }

    /// The way to begin anew, if a subscriber at this position has to.
    pub(super) fn anew(&self, held: &[Held], at: Position) -> Option<Skippable> {
        let is_of_another = self.is_of_another(at.epoch);
        held.iter()
            .rev()
            .filter(|held| held.is_news(at, is_of_another))
            .find_map(|held| match &held.word {
                Word::Anew(anew) => Some(anew.clone()),
                Word::Message(_) => None,
            })
    }

    /// `true` if the present stream has another epoch.
    pub(super) fn is_of_another(&self, epoch: Epoch) -> bool {
        let is_other = |stream: &Arc<Stream>| stream.epoch() != epoch;
        self.stream.as_ref().is_some_and(is_other)
    }

    /// The stream of this epoch, which is the present one.
    pub(super) fn stream(&mut self, local: &Arc<LocalTopic>, epoch: Epoch) -> Arc<Stream> {
        match &self.stream {
            Some(stream) if stream.epoch() == epoch => Arc::clone(stream),
            _ => {
                let stream = Arc::new(Stream::new(local, epoch));
                self.newest = Newest::default();
                self.times.clear();
                self.deletions.clear();
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

/// A subscriber whose history is being read.
#[derive(Default)]
pub(super) struct Waiting {
    /// The publications since it began to wait.
    held: Vec<Held>,
    /// `true` for a member that lags. If it leaves, nobody waits any more.
    is_member: bool,
}

impl Waiting {
    /// A member that lags.
    pub(super) fn lagging() -> Self {
        Self {
            is_member: true,
            ..Self::default()
        }
    }

    /// Puts the word of a deletion in the place of the publication, if that is held, or adds it.
    fn delete(&mut self, offset: u64, frame: Option<&Frame>) {
        let is_of = |held: &Held| match held.news {
            News::Publication(position) => position.offset == offset,
            News::Interruption(_) | News::Deleted(_) => false,
        };
        let word = frame.map(|frame| Word::Message(frame.clone()));
        match (self.held.iter().position(is_of), word) {
            (Some(place), Some(word)) => self.held[place].word = word,
            (Some(place), None) => drop(self.held.remove(place)),
            (None, Some(word)) => self.held.push(Held {
                news: News::Deleted(offset),
                word,
            }),
            (None, None) => {}
        }
    }
}

/// News that were held for a subscriber.
pub(super) struct Held {
    news: News,
    word: Word,
}

/// The place of held news among the others.
#[derive(Clone, Copy)]
enum News {
    /// A publication.
    Publication(Position),
    /// The end of a life, or a loss: a subscriber is at this position after it.
    Interruption(Position),
    /// The deletion of a publication that is not held.
    Deleted(u64),
}

/// The form in which a subscriber is told.
#[derive(Clone)]
enum Word {
    Message(Frame),
    /// The way to begin anew.
    Anew(Skippable),
}

impl Held {
    /// The position of a subscriber after the news; `None` for those of a deletion.
    pub(super) fn position(&self) -> Option<Position> {
        match self.news {
            News::Publication(position) | News::Interruption(position) => Some(position),
            News::Deleted(_) => None,
        }
    }

    /// Returns whether it is news to a subscriber at this position.
    fn is_news(&self, at: Position, is_of_another: bool) -> bool {
        match self.position() {
            Some(Position { epoch, offset }) if epoch == at.epoch => offset > at.offset,
            // A position of another life is of one before, and everything of later ones is news.
            Some(_) => is_of_another,
            None => true,
        }
    }

    fn into_message(self) -> Option<Frame> {
        match self.word {
            Word::Message(frame) => Some(frame),
            Word::Anew(_) => None,
        }
    }

    /// The bytes of the message.
    pub(super) fn bytes(&self) -> usize {
        match &self.word {
            Word::Message(frame) => frame.len(),
            Word::Anew(_) => 0,
        }
    }

    /// The message, if it tells that one of the publications before `first` was deleted.
    pub(super) fn into_deletion_before(self, first: u64) -> Option<Frame> {
        match self.news {
            News::Deleted(offset) if offset < first => self.into_message(),
            _ => None,
        }
    }
}

/// The claim of a waiting subscriber to what is published meanwhile. Dropping it gives the
/// claim up.
pub(super) struct Ticket {
    local: Arc<LocalTopic>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.local.state.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_loss_is_held_also_if_the_publication_before_it_is_deleted() {
        let position = Position::new(Epoch::begin(0), 5);
        let [publication, loss, deletion] = ["said", "lost", "deleted"].map(Frame::text);
        let held = |news, frame: &Frame| Held {
            news,
            word: Word::Message(frame.clone()),
        };
        let mut waiting = Waiting {
            held: vec![
                held(News::Interruption(position), &loss),
                held(News::Publication(position), &publication),
            ],
            is_member: false,
        };
        waiting.delete(5, Some(&deletion));
        let frames = waiting.held.into_iter().filter_map(Held::into_message);
        let frames: Vec<_> = frames.map(|frame| frame.as_bytes().to_vec()).collect();
        assert_eq!(
            frames,
            [loss, deletion].map(|frame| frame.as_bytes().to_vec())
        );
    }
}
