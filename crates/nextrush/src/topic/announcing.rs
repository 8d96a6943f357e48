//! Volatile messages to the subscribers of a topic on all nodes.

use std::sync::Arc;

use nextrush_broker::TopicName;
use nextrush_protocol::Frame;

use super::dialect::Dialect;
use super::handle::Topic;
use super::local::LocalTopics;
use crate::message::Outgoing;
use crate::node::interest::bus_room;
use crate::node::line::Line;
use crate::node::wire::{read_cast, write_cast};
use crate::socket::Socket;
use crate::socket::room_key;

/// The kind of the casts.
const TOPIC: &str = "nr.topic";

impl<D: Dialect> Topic<D> {
    /// Sends a volatile message to all subscribers, on all nodes. On this node it comes after
    /// everything that was published before, as [`Locked::announce`](super::Locked::announce).
    ///
    /// Other nodes hear it if the dialect [says](Dialect::announces) that there are such messages,
    /// and may lose it.
    pub fn announce(&self, message: impl Into<Outgoing>) {
        self.announce_frame(&message.into().into_frame(), None);
    }

    /// Sends a volatile message to all subscribers but one, as [`announce`](Self::announce).
    pub fn announce_except(&self, message: impl Into<Outgoing>, except: &Socket) {
        self.announce_frame(&message.into().into_frame(), Some(except));
    }

    fn announce_frame(&self, frame: &Frame, except: Option<&Socket>) {
        let topic = self.stored_name();
        self.locked(|room| room.announce_frame(frame, except));
        let line = self.topics().app().line();
        if line.is_shared() && self.topics().dialect().announces() {
            let cast = write_cast([topic.as_str()].into_iter(), frame);
            line.cast(&bus_room(&room_key::of_topic(topic)), TOPIC, &cast);
        }
    }
}

impl LocalTopics {
    /// Sends this node's subscribers what other nodes announce.
    pub(super) fn hear_announcements(self: &Arc<Self>, line: &Line) {
        let topics = Arc::downgrade(self);
        line.hear(TOPIC, move |_, message| {
            let (Some(topics), Some(cast)) = (topics.upgrade(), read_cast(message)) else {
                return;
            };
            for topic in &cast.rooms {
                if let Ok(topic) = TopicName::try_from(&**topic) {
                    topics.locked(&topic, |room| room.announce_frame(&cast.frame, None));
                }
            }
        });
    }
}
