//! The members of a channel, for its subscribers.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::LiveUpdates;
use super::device::Data;
use super::dialect::Live;
use super::messages::refusal;
use super::presence::Unsaid;
use super::snapshot::Part;
use crate::message::request::CommandId;
use crate::message::{ErrorCode, ErrorMessage, Message};
use crate::socket::Socket;
use crate::socket::rate_limit::Exceeded;
use crate::socket::work::{Maker, deliveries};
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

    /// Sends the members, or a page of them.
    pub(super) fn answer_presence(
        &self,
        socket: &Socket,
        maker: &Maker,
        channel: &str,
        after: Option<u64>,
        id: Option<&CommandId>,
    ) -> Result<(), ErrorMessage> {
        let topic = self.with_presence(socket, channel)?;
        let part = after.map_or(Part::First, Part::After);
        let Live { presence, work, .. } = self.live();
        let roster = topic.stored_name();
        // While nothing else happens in the topic, so that the diffs that follow are those
        // after it.
        let answered = topic.locked(|_| {
            work.allow(maker, deliveries(presence.bytes(roster, part), 1))?;
            socket.send(presence.snapshot(roster, part).message(channel, id));
            Ok(())
        });
        answered.unwrap_or(Ok(())).map_err(Exceeded::to_message)
    }

    pub(super) async fn update_presence(
        &self,
        socket: &Socket,
        maker: &Maker,
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
        let work = deliveries(data.len(), topic.local_subscribers());
        self.live()
            .work
            .allow(maker, work)
            .map_err(Exceeded::to_message)?;
        let updated = self
            .live()
            .presence
            .update(topic.stored_name(), socket.id(), data);
        updated.await.map_err(|error| {
            let details = error.to_string();
            match error {
                Unsaid::OverQuota(_) => {
                    ErrorMessage::new(ErrorCode::OverQuota, "No room for presence data")
                }
                Unsaid::Store(error) => ErrorMessage::of_broker("Channel unavailable", &error),
            }
            .details(details)
        })
    }
}
