//! Who is in a channel, as its subscribers see it.

use std::sync::Arc;

use nextrush_broker::Topic;
use nextrush_engine::Room;
use serde_json::Value;

use super::messages::{Event, refusal};
use super::{LiveUpdates, channel_of};
use crate::message::Outgoing;
use crate::message::request::{Answer, CommandId};
use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;
use crate::topic::presence::{DATA_BYTES, Diff, GRACE};
use crate::topic::topics::SubscribeError;

impl LiveUpdates {
    /// The topic of a channel with presence that the socket is subscribed to.
    fn with_presence(&self, socket: &Socket, channel: &str) -> Result<Topic, ErrorMessage> {
        let topic = self.topic(channel);
        let topic = topic.ok_or_else(|| refusal(channel, &SubscribeError::InvalidName))?;
        if !self.is_noted(&topic, socket.id()) {
            return Err(ErrorMessage::new(
                ErrorCode::NotSubscribed,
                "Not subscribed",
            ));
        }
        if !self.0.channels.has_presence(channel) {
            return Err(ErrorMessage::new(
                ErrorCode::NoPresence,
                "No presence in this channel",
            ));
        }
        Ok(topic)
    }

    pub(super) fn answer_presence(
        &self,
        socket: &Socket,
        channel: &str,
        id: Option<&CommandId>,
    ) -> Result<(), ErrorMessage> {
        let topic = self.with_presence(socket, channel)?;
        // Under the topic's lock, so that the diffs that follow are those after it.
        self.topics().enter(&topic, |_| {
            let snapshot = self.0.presence.snapshot(&topic);
            socket.send(Answer::new(Event::Presence { channel, snapshot }, id));
        });
        Ok(())
    }

    pub(super) fn update_presence(
        &self,
        socket: &Socket,
        channel: &str,
        data: Value,
    ) -> Result<(), ErrorMessage> {
        let topic = self.with_presence(socket, channel)?;
        if data.to_string().len() > DATA_BYTES {
            let details = format!("at most {DATA_BYTES} bytes of JSON");
            return Err(
                ErrorMessage::new(ErrorCode::TooLarge, "Presence data too large").details(details),
            );
        }
        self.topics().enter(&topic, |room| {
            let updated = self.0.presence.update(&topic, socket.id(), data);
            self.announce(room, &topic, updated);
        });
        Ok(())
    }

    /// Tells everybody in the room what has changed, if anything has. Called under the
    /// topic's lock, so that everybody gets the versions in their order.
    pub(super) fn announce(&self, room: &Room, topic: &Topic, diff: Option<Diff>) {
        if let Some(diff) = diff {
            let channel = channel_of(topic);
            room.publish(Outgoing::from(Event::PresenceDiff { channel, diff }).into_frame());
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for a lost socket's user, and tells the others when that is in vain.
    pub(super) fn wait_for_lost(&self, topic: Topic) {
        let live = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            let Some(live) = live.upgrade().map(Self) else {
                return;
            };
            let expire = || live.0.presence.expire(&topic, live.now_ms());
            let mut is_told = false;
            live.topics().enter(&topic, |room| {
                live.announce(room, &topic, expire());
                is_told = true;
            });
            if !is_told {
                // Nobody is there to be told.
                expire();
            }
        });
    }
}
