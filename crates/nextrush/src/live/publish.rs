//! Publishing by clients, where the channel's policy lets them.

use nextrush_broker::{BrokerError, Position};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::LiveUpdates;
use super::messages::Event;
use crate::message::request::{Answer, CommandId};
use crate::message::{CommandError, ErrorCode, ErrorMessage, Message, User};
use crate::seldom::Seldom;
use crate::socket::Socket;
use crate::topic::PublishError;

impl LiveUpdates {
    /// Publishes the data of `message`, if the socket may; once, where the client has a user
    /// and gives an id.
    pub(super) async fn answer_publish(
        &self,
        socket: &Socket,
        user: Option<&User>,
        message: &Message,
        id: Option<&CommandId>,
    ) {
        match self.publish_for(socket, user, message, id).await {
            Ok(position) if id.is_some() => {
                let published = Some(position);
                socket.send(Answer::new(Event::Ack { published }, id));
            }
            Ok(_) => {}
            Err(refusal) => socket.send(Answer::new(refusal, id)),
        }
    }

    async fn publish_for(
        &self,
        socket: &Socket,
        user: Option<&User>,
        message: &Message,
        id: Option<&CommandId>,
    ) -> Result<Position, ErrorMessage> {
        let policies = &self.live().policies;
        if !policies.have_publishing_clients() {
            return Err(CommandError::UnknownType.to_message());
        }
        let invalid = || ErrorMessage::new(ErrorCode::InvalidFormat, "Invalid message format");
        // From the text: what is only passed on is not read into values and written anew.
        let text = message.to_utf8().map_err(|_| invalid())?;
        let Fields { channel, data } = serde_json::from_str(text).map_err(|_| invalid())?;
        let channel = &*channel;
        let mut topic = self
            .0
            .topic(channel)
            .map_err(|error| refusal(channel, &error.into()))?;
        if let Some(user) = user {
            topic = topic.by(&user.id);
        }
        policies
            .ask_to_publish(socket, user, channel, data)
            .await
            .map_err(|refusal| {
                refusal.unwrap_or_else(|| {
                    ErrorMessage::new(ErrorCode::PublishRefused, "Publishing refused")
                })
            })?;
        let key = match (user, id) {
            (Some(user), Some(id)) => Some(
                self.0
                    .command_key(&user.id, id)
                    .map_err(|_| invalid().details("id and user are too long"))?,
            ),
            (None, _) | (_, None) => None,
        };
        let published = match key {
            Some(key) => {
                let command = serde_json::json!([channel, data]).to_string();
                match self.0.note_id(&key, command.as_bytes()) {
                    Ok(()) => topic.publish_once(data, key).await,
                    Err(reused) => Err(reused.into()),
                }
                .map(|once| once.position)
            }
            None => topic.publish(data).await,
        };
        published.map_err(|error| refusal(channel, &error))
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    channel: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

static NOT_PUBLISHED: Seldom = Seldom::new();

fn refusal(channel: &str, error: &PublishError) -> ErrorMessage {
    let (code, message) = match error {
        PublishError::InvalidName => (ErrorCode::InvalidName, "Invalid channel name"),
        PublishError::Broker(BrokerError::Reused) => {
            (ErrorCode::IdReused, "Id used for another message")
        }
        PublishError::Broker(error @ BrokerError::InDoubt(_)) => {
            return ErrorMessage::in_doubt(error).details(error.to_string());
        }
        PublishError::Data(_) | PublishError::Broker(_) => {
            if NOT_PUBLISHED.is_due() {
                tracing::error!(%error, channel, "a client's publication failed");
            }
            let message = "Channel unavailable";
            if let PublishError::Broker(failed) = error {
                return ErrorMessage::of_broker(message, failed).details(error.to_string());
            }
            (ErrorCode::Unavailable, message)
        }
    };
    ErrorMessage::new(code, message).details(error.to_string())
}
