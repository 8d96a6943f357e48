//! The question for what became of a publication, over HTTP.

use axum::Json;
use axum::http::StatusCode;
use nextrush::broker::BrokerError;
use nextrush::room::{InvalidRoomName, RoomName};
use nextrush::topic::PublishError;
use nextrush::trace::{Question, Trace};
use nextrush::{ErrorCode, Position, UserId};
use serde::Deserialize;

use crate::parts::Parts;
use crate::refusal::Refusal;

/// A publication in a channel or a room, and the user whose sockets are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceOf {
    live: Option<String>,
    pub(crate) channel: Option<String>,
    chat: Option<String>,
    room: Option<String>,
    position: String,
    user: Option<String>,
    limit: Option<usize>,
}

impl Parts {
    /// Says what became of a publication for the sockets of all nodes.
    pub(crate) async fn trace(&self, of: TraceOf) -> Result<Json<Trace>, Refusal> {
        let question = of.question()?;
        let traced = match of {
            TraceOf {
                chat,
                room: Some(room),
                live: None,
                channel: None,
                ..
            } => {
                let room = RoomName::new(&room)?;
                self.chat(chat.as_deref())?
                    .trace(&room, &question)
                    .await
                    .map_err(Into::into)
            }
            TraceOf {
                live,
                channel: Some(channel),
                chat: None,
                room: None,
                ..
            } => self.live(live.as_deref())?.trace(&channel, &question).await,
            _ => return Err(Refusal::invalid("give either channel or room")),
        };
        traced.map(Json).map_err(|error| match error {
            PublishError::Broker(error) => unread(error),
            error => error.into(),
        })
    }
}

impl TraceOf {
    /// The object, for the audit log.
    pub(crate) fn on(&self) -> String {
        match (&self.room, &self.channel) {
            (Some(room), None) => format!("room {room}"),
            (None, Some(channel)) => channel.clone(),
            _ => String::new(),
        }
    }

    fn question(&self) -> Result<Question, Refusal> {
        let position: Position = self.position.parse().map_err(|_| invalid_position())?;
        if position.offset == 0 {
            return Err(invalid_position());
        }
        let mut question = Question::new(position);
        if let Some(user) = &self.user {
            question = question.user(&user.as_str().into());
            // An id in a query may be a number or a text.
            if let Ok(number) = serde_json::from_str::<UserId>(user) {
                question = question.user(&number);
            }
        }
        Ok(match self.limit {
            Some(limit) => question.limit(limit),
            None => question,
        })
    }
}

fn unread(error: BrokerError) -> Refusal {
    Refusal::unavailable("the history cannot be read").because_of_broker(error)
}

fn invalid_position() -> Refusal {
    let status = StatusCode::BAD_REQUEST;
    let message =
        "the position of a publication is its epoch and its offset from 1, as epoch:offset";
    Refusal::new(status, ErrorCode::InvalidPosition, message)
}

impl From<InvalidRoomName> for Refusal {
    fn from(error: InvalidRoomName) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self::new(status, ErrorCode::InvalidName, error.to_string())
    }
}
