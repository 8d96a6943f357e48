//! The members of a channel, for its subscribers.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::LiveUpdates;
use super::device::Data;
use super::dialect::{Live, announce};
use super::messages::{Event, refusal};
use crate::message::request::{Answer, CommandId};
use crate::message::{ErrorCode, ErrorMessage, Message};
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
        message: &Message,
    ) -> Result<(), ErrorMessage> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            data: &'a RawValue,
        }

        let invalid = |details: String| {
            ErrorMessage::new(ErrorCode::InvalidFormat, "Invalid message format").details(details)
        };
        let text = message
            .to_utf8()
            .map_err(|error| invalid(error.to_string()))?;
        let Fields { data } =
            serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let topic = self.with_presence(socket, channel)?;
        let data = Data::new(data).map_err(|error| {
            ErrorMessage::new(ErrorCode::TooLarge, "Presence data too large")
                .details(error.to_string())
        })?;
        let updated = topic.locked(|locked| {
            let updated = self.live().presence.update(channel, socket.id(), data);
            updated.map(|updated| announce(locked, updated))
        });
        updated.unwrap_or(Ok(())).map_err(|error| {
            ErrorMessage::new(ErrorCode::OverQuota, "No room for presence data")
                .details(error.to_string())
        })
    }
}
