//! The members of a channel, for its subscribers.

use serde_json::Value;

use super::LiveUpdates;
use super::dialect::{Live, announce};
use super::messages::{Event, refusal};
use super::roster::DATA_BYTES;
use crate::message::request::{Answer, CommandId};
use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;
use crate::topic::{SubscribeError, Topic};

impl LiveUpdates {
    /// The topic of a channel with presence that the socket is subscribed to.
    fn with_presence(&self, socket: &Socket, channel: &str) -> Result<Topic<Live>, ErrorMessage> {
        let topic = self
            .0
            .topic(channel)
            .map_err(|error| refusal(channel, SubscribeError::from(error)))?;
        if !topic.is_subscribed(socket) {
            return Err(ErrorMessage::new(
                ErrorCode::NotSubscribed,
                "Not subscribed",
            ));
        }
        if !self.live().policies.has_presence(channel) {
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
        // While nothing else happens in the topic, so that the diffs that follow are those
        // after it.
        topic.locked(|_| {
            let snapshot = self.live().presence.snapshot(channel);
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
            let error = ErrorMessage::new(ErrorCode::TooLarge, "Presence data too large");
            return Err(error.details(details));
        }
        topic.locked(|locked| {
            let updated = self.live().presence.update(channel, socket.id(), data);
            announce(locked, updated);
        });
        Ok(())
    }
}
