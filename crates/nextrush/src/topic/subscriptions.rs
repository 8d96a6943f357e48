//! The subscriptions of each socket to the topics of one family.

use std::collections::{HashMap, HashSet};

use nextrush_broker::TopicName;
use nextrush_engine::ConnectionId;
use parking_lot::Mutex;

use super::error::SubscribeError;
use crate::message::UserId;

/// The topics that each socket is subscribed to, or is about to be.
///
/// A socket's entry stays until its close event, as the sign that this is being waited for.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Mutex<HashMap<ConnectionId, OfSocket>>);

/// The subscriptions of one socket.
#[derive(Debug, Default)]
pub(super) struct OfSocket {
    topics: HashSet<TopicName>,
    /// The user that it was seated as.
    user: Option<UserId>,
}

impl OfSocket {
    /// The topics in the order of their names, so that the same happens in each run of a test.
    pub(super) fn into_topics(self) -> Vec<TopicName> {
        let mut topics: Vec<_> = self.topics.into_iter().collect();
        topics.sort_unstable();
        topics
    }
}

/// The effect of noting a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Noted {
    /// The subscription is there already.
    Before,
    /// The subscription is new, and so is the socket: its close event has to be waited for.
    First,
    /// The subscription is new.
    Further,
}

impl Subscriptions {
    /// Notes a subscription. A socket may have `limit` of them.
    pub(super) fn note(
        &self,
        topic: &TopicName,
        socket: ConnectionId,
        limit: usize,
    ) -> Result<Noted, SubscribeError> {
        let mut sockets = self.0.lock();
        let noted = match sockets.contains_key(&socket) {
            true => Noted::Further,
            false => Noted::First,
        };
        let of_socket = sockets.entry(socket).or_default();
        if of_socket.topics.contains(topic) {
            return Ok(Noted::Before);
        }
        if of_socket.topics.len() >= limit {
            return Err(SubscribeError::TooManyChannels { limit });
        }
        of_socket.topics.insert(topic.clone());
        Ok(noted)
    }

    /// Notes the user that a socket was seated as.
    pub(super) fn note_user(&self, socket: ConnectionId, user: &UserId) {
        if let Some(of_socket) = self.0.lock().get_mut(&socket) {
            of_socket.user = Some(user.clone());
        }
    }

    /// Strikes a subscription off; `None` if it is not there. With the last one the socket's
    /// user is given back, if it was seated.
    pub(super) fn strike(&self, topic: &TopicName, socket: ConnectionId) -> Option<Option<UserId>> {
        let mut sockets = self.0.lock();
        let of_socket = sockets.get_mut(&socket)?;
        if !of_socket.topics.remove(topic) {
            return None;
        }
        Some(match of_socket.topics.is_empty() {
            true => of_socket.user.take(),
            false => None,
        })
    }

    pub(super) fn contains(&self, topic: &TopicName, socket: ConnectionId) -> bool {
        let sockets = self.0.lock();
        sockets
            .get(&socket)
            .is_some_and(|of_socket| of_socket.topics.contains(topic))
    }

    /// Takes out all subscriptions of a socket.
    pub(super) fn remove(&self, socket: ConnectionId) -> OfSocket {
        self.0.lock().remove(&socket).unwrap_or_default()
    }
}
