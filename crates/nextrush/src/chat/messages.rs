//! The messages of a chat on the wire, and its publications as they are kept.

use std::borrow::Cow;
use std::sync::Arc;

use nextrush_broker::{Epoch, Position, Publication};
use serde::{Deserialize, Serialize};

use super::history::Older;
use super::users::{After, Users};
use crate::message::{GivenUserId, Outgoing, Timestamp, UserId};
use crate::topic::{Profile, Recovered};

/// A message from a client.
#[derive(Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(super) enum Command {
    Chat {
        text: String,
    },
    Typing {
        is_typing: bool,
    },
    Private {
        target_user_id: GivenUserId,
        text: String,
    },
    History(Older),
    Members(After),
    Hello(Hello),
}

/// A question about the connection, by a client that may keep the list of members itself.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hello {
    /// The client follows who joins and leaves, and needs no list with what it missed.
    #[serde(default)]
    pub(super) keeps_users: bool,
}

/// A message to a client.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(super) enum Event<'a> {
    RoomHistory {
        messages: Vec<Item<'a>>,
        #[serde(flatten)]
        users: Users,
        /// Its offset is the top: the next message has one more.
        #[serde(flatten)]
        position: Position,
        #[serde(flatten)]
        recovered: Recovered,
    },
    /// The room goes on under another epoch, in which positions of the one before count up to
    /// this offset.
    Renewed {
        #[serde(flatten)]
        position: Position,
    },
    UserJoined {
        user: &'a Profile,
        user_count: usize,
    },
    UserLeft {
        user: &'a Profile,
        user_count: usize,
    },
    Typing {
        user: &'a Profile,
        is_typing: bool,
    },
    PrivateMessage {
        text: &'a str,
        from: &'a Profile,
        timestamp: Timestamp,
    },
    PrivateMessageSent {
        to: &'a UserId,
        text: &'a str,
    },
    /// A message of the room that was deleted.
    Deleted {
        offset: u64,
    },
    /// The answer to a command with an id that has no other.
    Ack {
        #[serde(flatten)]
        said: Option<Said>,
    },
}

/// The place of a message in its room.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said {
    #[serde(flatten)]
    position: Position,
    message_id: u64,
}

impl From<Position> for Said {
    fn from(position: Position) -> Self {
        Self {
            position,
            message_id: position.serial(),
        }
    }
}

impl From<Event<'_>> for Outgoing {
    fn from(event: Event<'_>) -> Self {
        Self::json(&event).expect("the chat's events have string keys only")
    }
}

/// A message of a room, as it is sent.
#[derive(Serialize)]
pub(super) struct ChatMessage<'a> {
    id: u64,
    r#type: &'static str,
    #[serde(flatten)]
    post: Post<'a>,
    timestamp: Timestamp,
    offset: u64,
}

/// A message of a room, as it is kept.
#[derive(Deserialize, Serialize)]
pub(super) struct Post<'a> {
    #[serde(borrow)]
    pub(super) text: Cow<'a, str>,
    pub(super) user: Profile,
}

impl<'a> ChatMessage<'a> {
    pub(super) fn new(
        position: Position,
        publication: &'a Publication,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: position.serial(),
            r#type: "chat-message",
            post: serde_json::from_slice(&publication.data)?,
            timestamp: Timestamp::from_unix_ms(publication.time_ms),
            offset: publication.offset,
        })
    }
}

/// A message as it is sent, or its place.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Message(ChatMessage<'a>),
    Deleted(Event<'a>),
}

/// Publications as they are sent, without those that cannot be read.
pub(super) fn messages(epoch: Epoch, publications: &[Arc<Publication>]) -> Vec<Item<'_>> {
    publications
        .iter()
        .filter_map(|publication| {
            let offset = publication.offset;
            if publication.is_deleted {
                return Some(Item::Deleted(Event::Deleted { offset }));
            }
            ChatMessage::new(Position { epoch, offset }, publication)
                .map(Item::Message)
                .inspect_err(|error| tracing::error!(%error, "a kept chat message cannot be read"))
                .ok()
        })
        .collect()
}

/// The publications without those that were deleted, for who does not count offsets: earlier
/// clients take every item for a message.
pub(super) fn present(publications: &[Arc<Publication>]) -> Vec<Arc<Publication>> {
    publications
        .iter()
        .filter(|kept| !kept.is_deleted)
        .cloned()
        .collect()
}
