use std::fmt;

use nextrush::message::{CommandError, decode_command};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Any text as a message to an application whose commands have one field, several or
/// none, text, flags, numbers and lists.
///
/// Promises: a command comes out only if its JSON object says exactly that, read as a
/// plain list of names and values; an unknown type and a wrong format are told apart; a
/// command that came out goes in again unchanged; the client is told no word of the
/// message that was refused.
///
/// An input is the text; bytes that are not UTF-8 are replaced.
pub fn command(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let decoded = decode_command::<Command>(&text);
    let refusal = decoded.as_ref().err().map(Refusal::from);

    if let Ok(Object(fields)) = serde_json::from_str(&text) {
        match (expected(&fields), &decoded) {
            (Ok(expected), Ok(command)) => assert_eq!(*command, expected),
            (expected, _) => assert_eq!(refusal, expected.err(), "{text}"),
        }
    } else {
        // Of what the plain reader refuses, such as a number that is too big, the type is
        // read all the same; but of what is JSON and no object, nothing.
        let is_json = serde_json::from_str::<Value>(&text).is_ok();
        assert!(
            decoded.is_err(),
            "{decoded:?} from what is no JSON object: {text}"
        );
        assert!(
            !is_json || refusal == Some(Refusal::InvalidFormat),
            "{text}"
        );
    }

    match decoded {
        Ok(command) => {
            let again = serde_json::to_string(&command).expect("commands have text keys");
            assert_eq!(decode_command(&again), Ok(command));
        }
        Err(error) => {
            let answer = serde_json::to_value(error.to_message()).expect("text keys");
            let (message, code) = match Refusal::from(&error) {
                Refusal::InvalidFormat => ("Invalid message format", "invalid-format"),
                Refusal::UnknownType => ("Unknown message type", "unknown-type"),
            };
            let expected = serde_json::json!({ "type": "error", "message": message, "code": code });
            assert_eq!(answer, expected);
        }
    }
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Command {
    Chat { text: String },
    Typing { is_typing: bool },
    Move { x: i64, y: i64 },
    Choose { options: Vec<String> },
    Ping,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Refusal {
    InvalidFormat,
    UnknownType,
}

impl From<&CommandError> for Refusal {
    fn from(error: &CommandError) -> Self {
        match error {
            CommandError::UnknownType => Self::UnknownType,
            _ => Self::InvalidFormat,
        }
    }
}

/// The command that an object with these fields is, told without serde's enums.
fn expected(fields: &[(String, Value)]) -> Result<Command, Refusal> {
    let all = |name: &str| -> Vec<&Value> {
        let fields = fields.iter().filter(|(it, _)| it == name);
        fields.map(|(_, value)| value).collect()
    };
    let one = |name| match all(name)[..] {
        [value] => Ok(value),
        _ => Err(Refusal::InvalidFormat),
    };
    let tag = match all("type")[..] {
        [] => return Err(Refusal::UnknownType),
        [tag] => tag,
        _ => return Err(Refusal::InvalidFormat),
    };
    let command = match tag.as_str().ok_or(Refusal::UnknownType)? {
        "chat" => text(one("text")?).map(|text| Command::Chat { text }),
        "typing" => one("isTyping")?
            .as_bool()
            .map(|is_typing| Command::Typing { is_typing }),
        "move" => match (one("x")?.as_i64(), one("y")?.as_i64()) {
            (Some(x), Some(y)) => Some(Command::Move { x, y }),
            _ => None,
        },
        "choose" => one("options")?
            .as_array()
            .and_then(|options| options.iter().map(text).collect())
            .map(|options| Command::Choose { options }),
        "ping" => Some(Command::Ping),
        _ => return Err(Refusal::UnknownType),
    };
    command.ok_or(Refusal::InvalidFormat)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A JSON object as it is written, with fields that are there twice.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
