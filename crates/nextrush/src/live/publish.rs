//! Publishing by clients, where the channel's policy lets them.

use nextrush_broker::Position;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{LiveUpdates, PublishError};
use crate::message::Message;
use crate::message::User;
use crate::message::command::CommandError;
use crate::message::request::{Answer, CommandId};
use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;

/// To a publication with an id.
#[derive(Serialize)]
#[serde(tag = "type", rename = "ack")]
struct Done {
    epoch: String,
    offset: u64,
}

impl LiveUpdates {
    /// Publishes what `message` holds as its data, if the socket may; once, where the client
    /// has a user and gives an id.
    pub(super) async fn answer_publish(
        &self,
        socket: &Socket,
        user: Option<&User>,
        message: &Message,
        id: Option<&CommandId>,
    ) {
        match self.publish_for(socket, user, message, id).await {
            Ok(Position { epoch, offset }) if id.is_some() => {
                let epoch = epoch.to_string();
                socket.send(Answer::new(Done { epoch, offset }, id));
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
        if !self.0.channels.have_publishing_clients() {
            return Err(CommandError::UnknownType.to_message());
        }
        let invalid = || ErrorMessage::new(ErrorCode::InvalidFormat, "Invalid message format");
        // From the text: what is only passed on is not read into values and written anew.
        let text = String::from_utf8_lossy(message.as_bytes());
        let Fields { channel, data } = serde_json::from_str(&text).map_err(|_| invalid())?;
        let channel = &*channel;
        if self.topic(channel).is_none() {
            return Err(refusal(channel, &PublishError::InvalidName));
        }
        if !self.0.channels.may_publish(socket, channel) {
            return Err(ErrorMessage::new(
                ErrorCode::PublishRefused,
                "Publishing refused",
            ));
        }
        let key = match (user, id) {
            (Some(user), Some(id)) => {
                let scope = format!("live/{}", self.0.owner);
                let key = id.key(&scope, &user.id);
                Some(key.ok_or_else(|| invalid().details("id and user are too long"))?)
            }
            (None, _) | (_, None) => None,
        };
        let published = self.append(channel, data, key).await;
        published
            .map(|published| published.position)
            .map_err(|error| refusal(channel, &error))
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    channel: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

fn refusal(channel: &str, error: &PublishError) -> ErrorMessage {
    let (code, message) = match error {
        PublishError::InvalidName => (ErrorCode::InvalidName, "Invalid channel name"),
        PublishError::Data(_) | PublishError::Broker(_) => {
            tracing::error!(%error, channel, "a client's publication failed");
            (ErrorCode::Unavailable, "Channel unavailable")
        }
    };
    ErrorMessage::new(code, message).details(error.to_string())
}
