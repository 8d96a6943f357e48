//! Commands with an id, and answers that carry it.

use std::time::Duration;

use nextrush_broker::{CommandKey, CommandKeyError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::code::ErrorCode;
use super::command;
use super::error::ErrorMessage;
use super::incoming::Message;
use super::invisible::has_invisible;
use super::outgoing::Outgoing;
use super::user::UserId;

/// The time for which the repeat of a command is recognised.
pub(crate) const REPEAT_WINDOW: Duration = Duration::from_secs(120);
/// The longest id in bytes.
const ID_BYTES: usize = 64;

/// A command of a client, with the id of the message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request<T> {
    /// The command.
    pub command: T,
    /// The id that its answer carries.
    pub id: Option<CommandId>,
}

/// The name that a client gives one of its commands: a text of 1 to 64 bytes, without invisible
/// characters.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct CommandId(String);

/// An answer with the id of the command that it answers.
#[derive(Clone, Debug, Serialize)]
pub struct Answer<'a, E> {
    #[serde(flatten)]
    event: E,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a CommandId>,
}

impl<'a, E: Serialize> Answer<'a, E> {
    /// An event as an answer.
    #[must_use]
    pub fn new(event: E, id: Option<&'a CommandId>) -> Self {
        Self { event, id }
    }

    /// The answer as JSON.
    ///
    /// # Panics
    ///
    /// Panics if the event is not written as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an answer has string keys only")
    }
}

impl<E: Serialize> From<Answer<'_, E>> for Outgoing {
    fn from(answer: Answer<'_, E>) -> Self {
        Self::json(&answer).expect("an answer has string keys only")
    }
}

impl<T: DeserializeOwned> Request<T> {
    /// Reads a message; what cannot be read comes as the answer to the client.
    ///
    /// # Errors
    ///
    /// The answer to a client whose message is no such command.
    pub fn read(message: &Message) -> Result<Self, Outgoing> {
        let text = command::text_of(message).map_err(|error| error.refuse())?;
        let command = command::decode::<T>(text).map_err(|error| error.refuse());
        let id = match CommandId::find(text) {
            Ok(id) => id,
            // What is no command at all is said first.
            Err(error) => return Err(command.err().unwrap_or(error).into()),
        };
        match command {
            Ok(command) => Ok(Self { command, id }),
            Err(error) => Err(refused(error, id.as_ref())),
        }
    }
}

/// The answer to a message that cannot be read, with the message's id where it has one.
pub(crate) fn refusal(message: &Message, error: ErrorMessage) -> Outgoing {
    // An id of another form is the application's own field, and no id to answer by.
    let id = message
        .to_utf8()
        .ok()
        .and_then(|text| CommandId::find(text).ok().flatten());
    refused(error, id.as_ref())
}

/// The refusal of a command.
pub(crate) fn refused(error: ErrorMessage, id: Option<&CommandId>) -> Outgoing {
    Outgoing::from(Answer::new(&error, id)).refusing(error.code())
}

/// Returns whether a message has an id by which it can be answered.
pub(crate) fn has_id(message: &Message) -> bool {
    let text = message.to_utf8().ok();
    text.is_some_and(|text| CommandId::find(text).is_ok_and(|id| id.is_some()))
}

impl CommandId {
    fn find(text: &str) -> Result<Option<Self>, ErrorMessage> {
        #[derive(Deserialize)]
        struct WithId<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
        }

        // Most messages have none, and are read once. An escaped key is one that no client
        // writes, and has no effect.
        if !text.contains("\"id\"") {
            return Ok(None);
        }
        let invalid = |details| {
            ErrorMessage::new(ErrorCode::InvalidFormat, "Invalid message format").details(details)
        };
        match serde_json::from_str(text) {
            Ok(WithId { id: Some(id) }) => Self::of_json(id).map(Some).ok_or_else(|| {
                invalid(format!(
                    "an id is a text of 1 to {ID_BYTES} bytes without invisible characters"
                ))
            }),
            Ok(WithId { id: None }) => Ok(None),
            // No object, or one with two ids, of which an answer could have one only.
            Err(error) => Err(invalid(error.to_string())),
        }
    }

    /// Reads an id; `None` of what is none.
    pub(crate) fn of_json(json: &RawValue) -> Option<Self> {
        let id: String = serde_json::from_str(json.get()).ok()?;
        let is_valid = (1..=ID_BYTES).contains(&id.len()) && !has_invisible(&id);
        is_valid.then_some(Self(id))
    }

    #[cfg(test)]
    pub(crate) fn numbered(number: usize) -> Self {
        Self(number.to_string())
    }

    /// The key under which the broker remembers the command of a user.
    pub(crate) fn key(&self, scope: &str, user: &UserId) -> Result<CommandKey, CommandKeyError> {
        // The end of the user's JSON can be told, so no two pairs share a key.
        let user = serde_json::json!(user);
        CommandKey::owned(&format!("{scope}/{user}"), &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Result<Option<String>, ErrorMessage> {
        CommandId::find(text).map(|id| id.map(|id| id.0))
    }

    #[test]
    fn an_id_is_a_text_of_up_to_64_bytes() {
        assert_eq!(id(r#"{"type":"chat","text":"\"id\""}"#), Ok(None));
        assert_eq!(id(r#"{"type":"chat","id":null}"#), Ok(None));
        assert_eq!(id(r#"{"id":"a\"b"}"#), Ok(Some("a\"b".to_owned())));
        let longest = "x".repeat(64);
        let text = format!(r#"{{"id":"{longest}"}}"#);
        assert_eq!(id(&text), Ok(Some(longest)));
        for twice in [r#"{"id":"a","id":"a"}"#, r#"{"id":"a","\u0069d":"b"}"#] {
            assert!(id(twice).is_err(), "{twice}");
        }
        for wrong in [
            "7",
            "\"\"",
            "{}",
            "[\"a\"]",
            "true",
            r#""a\u0000""#,
            "\"\u{202e}\"",
        ] {
            assert!(id(&format!(r#"{{"id":{wrong}}}"#)).is_err(), "{wrong}");
        }
        assert!(id(&format!(r#"{{"id":"{}"}}"#, "x".repeat(65))).is_err());
    }

    #[test]
    fn users_and_their_commands_do_not_share_keys() {
        let key = |user: UserId, id: &str| CommandId(id.to_owned()).key("chat/0", &user);
        assert_ne!(key(1.into(), "23"), key("1".into(), "23"));
        assert_ne!(key(1.into(), "23"), key(12.into(), "3"));
        assert_ne!(key("a".into(), "b"), key("ab".into(), "b"));
        assert_ne!(key("a\"b".into(), "c"), key("a".into(), "b\"c"));
        assert!(key("x".repeat(2000).into(), "c").is_err());
    }
}
