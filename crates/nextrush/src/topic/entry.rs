//! The way of a socket into a topic, step by step.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::sync::Arc;

use nextrush_broker::{History, Position, Publication};
use nextrush_engine::Skippable;
use nextrush_protocol::Frame;
use parking_lot::MutexGuard;
use tokio::runtime::Handle as Runtime;

use super::bounds::first_bytes;
use super::dialect::{Dialect, Newcomer};
use super::error::SubscribeError;
use super::handle::Topic;
use super::heal::PART;
use super::local::{Held, LocalTopic, State, Ticket};
use super::locked::Locked;
use super::members::Profile;
use super::since::{Since, Unrecovered};
use super::slow_readers::SlowReaders;
use crate::message::{Outgoing, UserId};
use crate::socket::Socket;
use crate::socket::join::JoinError;
use crate::trace::{Given, Joined, LeftOut, What};

/// A socket that is about to subscribe: what is published meanwhile is held for it.
///
/// Made by [`Topic::wish`]. A wish that is dropped without an [entry](Self::admit) gives the
/// subscription up.
pub struct Wish<D: Dialect> {
    topic: Topic<D>,
    socket: Socket,
    /// `true` if the subscription is struck off when the wish is given up. A subscription that
    /// was there before stays, whatever comes of the wish.
    is_new: bool,
    is_admitted: Cell<bool>,
    waiting: Option<(Arc<LocalTopic>, Ticket)>,
    /// The user as whom the socket is seated when it is admitted.
    seat: Option<(UserId, Profile)>,
    /// `true` if other nodes may know the member.
    is_known: bool,
}

impl<D: Dialect> Wish<D> {
    pub(super) fn new(topic: &Topic<D>, socket: &Socket, is_new: bool) -> Self {
        Self {
            topic: topic.clone(),
            socket: socket.clone(),
            is_new,
            is_admitted: Cell::new(false),
            waiting: None,
            seat: None,
            is_known: false,
        }
    }

    pub(super) fn begin(&mut self, local: Arc<LocalTopic>, ticket: Ticket) {
        self.waiting = Some((local, ticket));
    }

    /// The topic.
    pub(crate) fn topic(&self) -> &Topic<D> {
        &self.topic
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Takes a seat: with its [entry](Self::admit) the socket is a
    /// [member](super::Topic::members) whom others see, and from when it goes live a socket of this
    /// [user](super::Topics::user) in the topic's family, until it leaves.
    ///
    /// The dialect tells the others that the member has [come](Dialect::came). With a broker that
    /// nodes share, members are those of all nodes, and a seat is one round trip to its store.
    ///
    /// # Errors
    ///
    /// Refused when the socket was unsubscribed meanwhile, or when the broker fails.
    pub async fn seat(&mut self, user: &UserId, profile: Profile) -> Result<(), SubscribeError> {
        let topic = &self.topic;
        if let Some(seating) = &topic.topics().0.seating {
            if !topic.is_subscribed(&self.socket) {
                return Err(SubscribeError::GivenUp);
            }
            self.is_known = true;
            let (name, socket) = (topic.stored_name(), self.socket.id());
            seating.join(name, socket, profile.clone()).await?;
        }
        self.seat = Some((user.clone(), profile));
        Ok(())
    }

    /// Makes the socket a subscriber, with a history that was read after the wish began. Nothing
    /// else happens in the topic until the entry goes live or is dropped, so it must not be
    /// kept across an `await`.
    ///
    /// # Errors
    ///
    /// Refused when the socket is closed, or was unsubscribed meanwhile.
    pub fn admit(&self, history: &History) -> Result<Entry<'_, D>, SubscribeError> {
        let Self { topic, socket, .. } = self;
        let (local, ticket) = self
            .waiting
            .as_ref()
            .expect("a wish begins before anybody else has it");
        let mut state = local.state.lock();
        let held = state.take_held(ticket);
        let connection = socket.connection();
        if local.record.is_on() && !local.room.contains(socket.id()) {
            // Before it is a member, so that its leaving comes later whatever happens.
            self.note_joined(local, history.position);
        }
        let joined = connection.join(&local.room).map_err(JoinError::from);
        if joined.is_err() {
            local.note(socket.id(), What::Left { last: 0 });
        }
        let is_new = joined?;
        if !topic.is_subscribed(socket) {
            connection.leave(&local.room);
            return Err(SubscribeError::GivenUp);
        }
        self.is_admitted.set(true);
        let mut position = history.position;
        let last = held.iter().rev().find_map(Held::position);
        if !is_new && let Some(last) = last {
            // It has been sent what was held.
            if last.epoch != position.epoch || last.offset > position.offset {
                position = last;
            }
        }
        let mut entry = Entry {
            topic,
            socket,
            local,
            state,
            held,
            position,
            is_new,
            is_live: false,
            user: None,
            given: Given::default(),
        };
        if let Some((user, profile)) = &self.seat {
            entry.seat(user, profile.clone());
        }
        Ok(entry)
    }
}

impl<D: Dialect> Wish<D> {
    fn note_joined(&self, local: &LocalTopic, position: Position) {
        let user = match &self.seat {
            Some((user, _)) => Some(user.clone()),
            None => self.socket.user().map(|user| user.id),
        };
        let joined = Joined {
            user,
            room: local.room.number(),
            position,
        };
        local.note(self.socket.id(), What::Joined(Box::new(joined)));
    }
}

impl<D: Dialect> Drop for Wish<D> {
    fn drop(&mut self) {
        let (topics, name) = (self.topic.topics(), self.topic.stored_name());
        if self.is_new && !self.is_admitted.get() {
            if self.is_known {
                topics.unseat(name, &self.socket);
            }
            topics.0.subscriptions.strike(name, self.socket.id());
        }
        let Some((local, ticket)) = self.waiting.take() else {
            return;
        };
        drop(ticket);
        // Also where the socket has left again at once.
        if !local.is_used()
            && let Ok(runtime) = Runtime::try_current()
            && let Some(topics) = local.topics.upgrade()
        {
            runtime.spawn(async move { topics.tidy(&local).await });
        }
    }
}

impl<D: Dialect> fmt::Debug for Wish<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wish")
            .field("topic", &self.topic)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// A socket that has become a member, while nothing else happens in the topic.
///
/// All that it is sent here comes before what is published from then on. Made by
/// [`Wish::admit`]; dropping it is the same as [`go_live`](Self::go_live) with nothing missed.
pub struct Entry<'a, D: Dialect> {
    topic: &'a Topic<D>,
    socket: &'a Socket,
    local: &'a Arc<LocalTopic>,
    state: MutexGuard<'a, State>,
    held: Vec<Held>,
    position: Position,
    is_new: bool,
    is_live: bool,
    /// The user that the socket is seated as.
    user: Option<UserId>,
    /// The part of the history that it is given, for the record.
    given: Given,
}

impl<D: Dialect> Entry<'_, D> {
    /// `true` if the socket was no member before. A member misses nothing.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The position up to which the socket is told of publications: that of the history, or
    /// for a socket that was a member already that of the last publication it was sent.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The topic while nothing else happens in it.
    #[must_use]
    pub fn topic(&self) -> Locked<'_> {
        self.local.locked(&self.state)
    }

    /// Sends the socket a message.
    pub fn send(&self, message: impl Into<Outgoing>) {
        self.socket.send(message);
    }

    /// Sends a volatile message to all other subscribers.
    pub fn announce(&self, message: impl Into<Outgoing>) {
        self.topic().announce_except(message, self.socket);
    }

    /// Notes the position that the client has given, and whether it gets what it missed since.
    pub(crate) fn note_since(
        &mut self,
        since: Option<&Since>,
        missed: Option<Result<(), Unrecovered>>,
    ) {
        self.given.since = since.map(|since| since.offset);
        let left_out = |unrecovered| match unrecovered {
            Unrecovered::Epoch => LeftOut::Epoch,
            Unrecovered::History => LeftOut::History,
            Unrecovered::Ahead => LeftOut::Ahead,
        };
        self.given.unrecovered = missed.and_then(Result::err).map(left_out);
    }

    /// Notes the publications that it is sent in a message of the dialect.
    pub(crate) fn note_given(&mut self, publications: &[Arc<Publication>]) {
        let (first, last) = (publications.first(), publications.last());
        self.given.publications = first
            .zip(last)
            .map(|(first, last)| (first.offset, last.offset));
    }

    fn seat(&mut self, user: &UserId, profile: Profile) {
        let socket = self.socket.id();
        self.state.members.seat(socket, profile.clone());
        self.user = Some(user.clone());
        if !self.topic.topics().0.local.is_alone {
            // The others heard of it when the store did.
            return;
        }
        let newcomer = Newcomer {
            profile: &profile,
            socket: Some(socket),
        };
        self.topic.topics().dialect().came(&self.topic(), &newcomer);
    }

    /// Sends a socket that was a member already what it has been sent since this position again.
    pub(crate) fn send_held_again(&mut self, at: Position) {
        let held = mem::take(&mut self.held);
        for frame in self.state.news(held, at) {
            self.socket.connection().send(frame);
        }
    }

    /// Sends the publications that the socket missed, and from then on what is published.
    ///
    /// They have to end at the [position](Self::position). Where the topic's slow readers
    /// heal, the first 64 KiB are sent at once and the others as the socket takes them: a
    /// client on a slow line that comes back to many topics is not closed for what waits.
    pub fn go_live(mut self, missed: &[Arc<Publication>]) {
        let connection = self.socket.connection();
        let heals = self.local.policy.slow_readers == SlowReaders::Heal;
        let part = PART.min(connection.backlog().bytes / 2);
        let (at_once, rest) = match part.checked_sub(connection.buffered()) {
            _ if !heals => (missed, None),
            Some(room) => {
                let at_once = first_bytes(missed, room);
                (at_once, missed.get(at_once.len()))
            }
            None => (&[][..], missed.first()),
        };
        let epoch = self.position.epoch;
        if !at_once.is_empty() {
            self.note_given(at_once);
        }
        let topic = self.topic();
        let frames = at_once
            .iter()
            .filter_map(|publication| topic.encoded(epoch, publication))
            .map(Outgoing::into_frame)
            .collect();
        let rest = rest.map(|first| first.offset);
        self.finish(frames, rest);
    }

    /// Sends these messages in place of what the socket missed, and from then on what is
    /// published.
    pub fn go_live_after(mut self, messages: impl IntoIterator<Item = Outgoing>) {
        let frames = messages.into_iter().map(Outgoing::into_frame).collect();
        self.finish(frames, None);
    }

    /// Gives the socket these frames, then what the topic remembers from `rest` on, or what was
    /// held.
    fn finish(&mut self, mut frames: Vec<Frame>, rest: Option<u64>) {
        self.is_live = true;
        if let Some(user) = self.user.take() {
            let topics = self.topic.topics();
            topics.0.subscriptions.note_user(self.socket.id(), &user);
            // Refused only when the socket is closed, and then it leaves right away.
            let _ = topics.user(&user).admit(self.socket);
        }
        let given = mem::take(&mut self.given);
        if given.publications.is_some() || given.since.is_some() || rest.is_some() {
            let given = Box::new(Given { rest, ..given });
            self.local.note(self.socket.id(), What::Given(given));
        }
        if !self.is_new {
            return;
        }
        let epoch = self.position.epoch;
        let first = given
            .publications
            .map_or(self.position.offset + 1, |given| given.0);
        let rest = rest.or_else(|| self.first_to_give_later());
        // Of a stream that has ended meanwhile there is nothing to be had later.
        let rest = rest.filter(|_| !self.state.is_of_another(epoch));
        let held = mem::take(&mut self.held);
        if let Some(anew) = self.state.anew(&held, self.position) {
            // There was a loss meanwhile, and it is given what there is now as the others are.
            let connection = self.socket.connection();
            return self
                .local
                .room
                .give_from(first, connection, frames, Some(anew));
        }
        if let Some(first) = rest {
            // Those of what is given later are in its place.
            let before = |held: Held| held.into_deletion_before(first);
            frames.extend(held.into_iter().filter_map(before));
            self.state.deletions.told(self.socket.id());
        } else {
            frames.extend(self.state.news(held, self.position));
        }
        let rest: Option<Skippable> =
            rest.map(|first| self.state.stream(self.local, epoch).skippable(first, PART));
        if rest.is_some() || !frames.is_empty() {
            let connection = self.socket.connection();
            self.local.room.give_from(first, connection, frames, rest);
        }
    }
}

impl<D: Dialect> Entry<'_, D> {
    /// The first of the publications that were held, where they have more than half of the bytes over
    /// which the socket is closed. Much can have come while an application loaded a state.
    fn first_to_give_later(&self) -> Option<u64> {
        if !matches!(
            self.local.policy.slow_readers,
            SlowReaders::Heal | SlowReaders::Latest
        ) {
            return None;
        }
        let at = self.position;
        let is_news = |held: &&Held| {
            held.position()
                .is_some_and(|held| held.epoch == at.epoch && held.offset > at.offset)
        };
        let bytes: usize = self.held.iter().filter(is_news).map(Held::bytes).sum();
        let first = self.held.iter().find(is_news)?.position()?;
        (bytes > self.socket.connection().backlog().bytes / 2).then_some(first.offset)
    }
}

impl<D: Dialect> Drop for Entry<'_, D> {
    fn drop(&mut self) {
        if !self.is_live {
            self.finish(Vec::new(), None);
        }
    }
}

impl<D: Dialect> fmt::Debug for Entry<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("topic", self.topic)
            .field("socket", self.socket)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
