//! A topic while nothing else happens in it.

use std::fmt;
use std::sync::Weak;
use std::time::Duration;

use nextrush_broker::{Epoch, Position, Publication, TopicName};
use nextrush_protocol::Frame;

use super::dialect::Newcomer;
use super::local::{LocalTopic, State};
use super::members::{Profile, UsersPage};
use crate::message::Outgoing;
use crate::socket::Socket;

/// A topic while nothing else happens in it.
pub struct Locked<'a> {
    local: &'a LocalTopic,
    state: &'a State,
}

impl<'a> Locked<'a> {
    pub(super) fn new(local: &'a LocalTopic, state: &'a State) -> Self {
        Self { local, state }
    }

    /// The topic's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.local.name()
    }

    /// The name under which the topic is stored.
    pub(crate) fn stored_name(&self) -> &TopicName {
        &self.local.topic
    }

    /// Sends a volatile message to all subscribers on this node. It comes after everything that was
    /// published before, and after all that a new subscriber is sent.
    pub fn announce(&self, message: impl Into<Outgoing>) {
        self.local.room.publish(message.into().into_frame());
    }

    /// Sends a volatile message to all subscribers on this node but one.
    pub fn announce_except(&self, message: impl Into<Outgoing>, except: &Socket) {
        self.announce_frame(&message.into().into_frame(), Some(except));
    }

    pub(super) fn announce_frame(&self, frame: &Frame, except: Option<&Socket>) {
        let except = except.map(Socket::id);
        self.local
            .room
            .publish_except(frame.clone(), except.as_slice());
    }

    /// Sends a volatile message to all subscribers but a newcomer.
    pub fn announce_to_others(&self, message: impl Into<Outgoing>, newcomer: &Newcomer<'_>) {
        let frame = message.into().into_frame();
        self.local
            .room
            .publish_except(frame, newcomer.socket.as_slice());
    }

    /// Sends one subscriber a message behind all that was announced and published before.
    pub fn tell(&self, socket: &Socket, message: impl Into<Outgoing>) {
        let frames = vec![message.into().into_frame()];
        self.local.room.give(socket.connection(), frames, None);
    }

    /// The [members](super::Topic::members), in the order in which they came.
    #[must_use]
    pub fn members(&self) -> Vec<Profile> {
        self.first_members(usize::MAX)
    }

    /// The first of the [members](Self::members), so many at most.
    #[must_use]
    pub fn first_members(&self, count: usize) -> Vec<Profile> {
        self.state
            .members()
            .profiles()
            .take(count)
            .cloned()
            .collect()
    }

    /// A page of the users among the members, each once: the first one with `after` 0, then
    /// with the page's [`next`](UsersPage::next). At most `count` users whose profiles have so
    /// many bytes together, but at least one.
    ///
    /// Users have the same `id` in their profile; where there is none, the same profile. Whoever
    /// reads page by page, and takes each page for what is true of its users, misses nobody:
    /// a user who comes gets a place behind all others.
    #[must_use]
    pub fn users(&self, after: u64, count: usize, bytes: usize) -> UsersPage {
        self.state.members().page(after, count, bytes)
    }

    /// The number of members that have come and gone so far.
    #[must_use]
    pub fn members_version(&self) -> u64 {
        self.state.members().version()
    }

    /// The number of members.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.state.members().len()
    }

    /// Runs `act` after a while, when nothing else happens in the topic; it is given `None` if
    /// nobody is subscribed to it on this node then. Needs a tokio runtime, as the threads of
    /// sockets have.
    pub fn later(&self, after: Duration, act: impl FnOnce(Option<&Locked<'_>>) + Send + 'static) {
        let topics = Weak::clone(&self.local.topics);
        let topic = self.local.topic.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let local = topics.upgrade().and_then(|topics| topics.find(&topic));
            match local {
                Some(local) => act(Some(&local.locked(&local.state.lock()))),
                None => act(None),
            }
        });
    }

    /// The message that tells of a publication of this epoch, encoded once for all who missed
    /// it; `None` for a deleted one of which the dialect tells nothing.
    #[must_use]
    pub fn encoded(&self, epoch: Epoch, publication: &Publication) -> Option<Outgoing> {
        let dialect = || {
            let dialect = self.local.dialect.upgrade();
            dialect.expect("the dialect is asked, or has a subscriber")
        };
        if publication.is_deleted {
            return dialect().deleted(self.name(), publication.offset);
        }
        let encode = || {
            let offset = publication.offset;
            dialect().publication(self.name(), Position { epoch, offset }, publication)
        };
        Some(match self.local.topics.upgrade() {
            Some(topics) => {
                let topic = &self.local.topic;
                topics
                    .encoded
                    .get_or(topic, epoch, publication.offset, encode)
            }
            None => encode(),
        })
    }
}

impl fmt::Debug for Locked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked")
            .field("topic", &self.local.topic)
            .finish_non_exhaustive()
    }
}
