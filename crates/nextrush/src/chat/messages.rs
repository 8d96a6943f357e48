//! The messages of a chat on the wire, and its publications as they are kept.

use std::borrow::Cow;
use std::sync::Arc;

use nextrush_broker::{Epoch, Position, Publication};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::history::Older;
use super::users::{After, Users};
use crate::message::request::CommandId;
use crate::message::{GivenUserId, Message, Outgoing, Timestamp, UserId};
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

/// A command to say something that has nothing else in it, read without a copy.
pub(super) struct Saying<'a> {
    pub(super) text: Text<'a>,
    pub(super) id: Option<CommandId>,
}

impl<'a> Saying<'a> {
    /// The beginning as clients write it.
    const BEGINNING: &'static str = r#"{"type":"chat","#;

    /// Reads a message of the usual form: `None` of others, which may be commands, too.
    pub(super) fn read(message: &'a Message) -> Option<Self> {
        /// The fields that such a message may have, so that there is none that would be judged
        /// otherwise as a [`Command`].
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields<'a> {
            #[serde(borrow)]
            r#type: &'a str,
            #[serde(borrow)]
            text: &'a RawValue,
            #[serde(borrow)]
            id: Option<&'a RawValue>,
        }

        let text = message.to_utf8().ok()?;
        if !text.starts_with(Self::BEGINNING) {
            return None;
        }
        let Fields { r#type, text, id } = serde_json::from_str(text).ok()?;
        debug_assert_eq!(r#type, "chat", "it begins so, and has no other");
        let text = Text::of_json(text).ok()?;
        let id = match id {
            Some(id) => Some(CommandId::of_json(id)?),
            None => None,
        };
        Some(Self { text, id })
    }
}

/// A text and its JSON, spelled as it is here.
pub(super) struct Text<'a> {
    text: Cow<'a, str>,
    json: Cow<'a, RawValue>,
}

impl<'a> Text<'a> {
    /// Reads the JSON of a text.
    pub(super) fn of_json(json: &'a RawValue) -> Result<Self, serde_json::Error> {
        let unquoted = json.get().strip_prefix('"');
        match unquoted.and_then(|text| text.strip_suffix('"')) {
            // Without escapes it has this one spelling, and is what it stands for.
            Some(text) if !text.as_bytes().contains(&b'\\') => Ok(Self {
                text: Cow::Borrowed(text),
                json: Cow::Borrowed(json),
            }),
            _ => Self::new(serde_json::from_str::<String>(json.get())?),
        }
    }

    /// Writes a text as JSON.
    pub(super) fn new(text: impl Into<Cow<'a, str>>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        let json = serde_json::value::to_raw_value(&text)?;
        Ok(Self {
            text,
            json: Cow::Owned(json),
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
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
    text: Cow<'a, RawValue>,
    user: &'a RawValue,
    timestamp: Timestamp,
    offset: u64,
}

/// A message of a room, as it is kept.
#[derive(Deserialize, Serialize)]
pub(super) struct Post<'a> {
    #[serde(borrow)]
    text: &'a RawValue,
    #[serde(borrow)]
    user: &'a RawValue,
}

impl<'a> Post<'a> {
    pub(super) fn new(text: &'a Text<'a>, user: &'a Profile) -> Self {
        Self {
            text: &text.json,
            user: user.as_raw(),
        }
    }

    /// The post as it is kept.
    pub(super) fn to_data(&self) -> Result<Vec<u8>, serde_json::Error> {
        const AROUND: usize = r#"{"text":,"user":}"#.len();
        let length = self.text.get().len() + self.user.get().len() + AROUND;
        let mut data = Vec::with_capacity(length);
        serde_json::to_writer(&mut data, self)?;
        Ok(data)
    }
}

impl<'a> ChatMessage<'a> {
    pub(super) fn new(
        position: Position,
        publication: &'a Publication,
    ) -> Result<Self, serde_json::Error> {
        // What clients and profiles have said is passed on as it is spelled.
        let data = str::from_utf8(&publication.data).map_err(serde_json::Error::custom)?;
        let Post { text, user } = serde_json::from_str(data)?;
        Ok(Self {
            id: position.serial(),
            r#type: "chat-message",
            text: Text::of_json(text)?.json,
            user,
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

#[cfg(test)]
mod tests {
    use nextrush_broker::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::message::request::Request;

    /// The text and the id of a message, read in the usual way; `None` of any other command.
    fn read(message: &Message) -> Option<(String, Option<CommandId>)> {
        match Request::<Command>::read(message) {
            Ok(Request {
                command: Command::Chat { text },
                id,
            }) => Some((text, id)),
            _ => None,
        }
    }

    /// The same, read without a copy.
    fn read_at_once(message: &Message) -> Option<(String, Option<CommandId>)> {
        let saying = Saying::read(message)?;
        let json = serde_json::to_string(saying.text.as_str()).unwrap();
        assert_eq!(saying.text.json.get(), json, "it is spelled as here");
        Some((saying.text.as_str().to_owned(), saying.id))
    }

    #[test]
    fn a_message_that_is_read_at_once_is_the_same_command() {
        for (text, is_at_once) in [
            (r#"{"type":"chat","text":"hi"}"#, true),
            (r#"{"type":"chat","text":""}"#, true),
            (r#"{"type":"chat","text":"hi","id":"7"}"#, true),
            (r#"{"type":"chat","id":null,"text":"hi"}"#, true),
            (
                r#"{"type":"chat","id":"a\"b","text":"a\u0041\n\ud83e\udd80"}"#,
                true,
            ),
            ("{\"type\":\"chat\",\"text\":\"z\u{7f}\u{2028}ü🦀\"} ", true),
            // Read in the usual way, which has more to say about them.
            (r#"{"text":"hi","type":"chat"}"#, false),
            (r#" {"type":"chat","text":"hi"}"#, false),
            (r#"{"type":"chat","text":"hi","more":1}"#, false),
        ] {
            let message = Message::Text(text.to_owned());
            assert_eq!(read_at_once(&message).is_some(), is_at_once, "{text}");
            if is_at_once {
                assert_eq!(read_at_once(&message), read(&message), "{text}");
            }
        }
        for text in [
            r#"{"type":"chat","text":"hi""#,
            r#"{"type":"chat","text":"hi"}}"#,
            r#"{"type":"chat","text":7}"#,
            r#"{"type":"chat","text":null}"#,
            r#"{"type":"chat"}"#,
            r#"{"type":"chat","text":"\ud800"}"#,
            r#"{"type":"chat","text":"a","text":"b"}"#,
            r#"{"type":"chat","type":"chat","text":"a"}"#,
            r#"{"type":"chat","type":"typing","text":"a"}"#,
            r#"{"type":"chat","text":"a","id":7}"#,
            r#"{"type":"chat","text":"a","id":""}"#,
            r#"{"type":"chat","text":"a","id":"a","id":"a"}"#,
            "{\"type\":\"chat\",\"text\":\"a\nb\"}",
        ] {
            let message = Message::Text(text.to_owned());
            assert_eq!(read(&message), None, "{text}");
            assert_eq!(read_at_once(&message), None, "{text}");
        }
        let broken = Bytes::from_static(b"{\"type\":\"chat\",\"text\":\"\xff\"}");
        assert!(Saying::read(&Message::Binary(broken)).is_none());
    }

    #[test]
    fn a_kept_message_is_sent_as_it_would_be_written_here() {
        let position = Position::new(Epoch::begin(1_700_000_000_000), 3);
        let send = |data: &'static str| {
            let publication = Publication::new(3, 1_769_850_307_123, Bytes::from(data));
            let message = ChatMessage::new(position, &publication)?;
            serde_json::to_string(&message)
        };
        let around = |text: &str, user: &str| {
            format!(
                r#"{{"id":{},"type":"chat-message","text":{text},"user":{user},"timestamp":"2026-01-31T09:05:07.123Z","offset":3}}"#,
                position.serial()
            )
        };
        for (data, text, user) in [
            (r#"{"text":"hi","user":{"id":7}}"#, r#""hi""#, r#"{"id":7}"#),
            (
                r#"{"user":{ "id": 7 }, "more":1, "text":"\u0041\/\n"}"#,
                r#""A/\n""#,
                r#"{ "id": 7 }"#,
            ),
        ] {
            assert_eq!(send(data).unwrap(), around(text, user));
        }
        for broken in [
            "",
            r#"{"text":7,"user":null}"#,
            r#"{"text":"\ud800","user":null}"#,
            r#"{"text":"hi"}"#,
        ] {
            assert!(send(broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_read_at_once(text in ".{0,100}", id in proptest::option::of("[a-z]{1,9}")) {
            let mut message = serde_json::json!({ "text": text });
            if let Some(id) = &id {
                message["id"] = id.as_str().into();
            }
            let rest = message.to_string();
            let message = Message::Text(format!(r#"{{"type":"chat",{}"#, &rest[1..]));
            let read = read(&message).unwrap();
            prop_assert_eq!(&read.0, &text);
            prop_assert_eq!(read_at_once(&message), Some(read));
        }
    }
}
