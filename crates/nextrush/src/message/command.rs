//! Messages as typed commands: a serde enum tagged by `type`.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use crate::message::{ErrorCode, ErrorMessage, Message};

/// Reads a message as one of the variants of `T`, an enum with
/// `#[serde(tag = "type")]`.
///
/// ```
/// use nextrush::message::{CommandError, decode_command};
///
/// #[derive(Debug, PartialEq, serde::Deserialize)]
/// #[serde(tag = "type", rename_all = "kebab-case")]
/// enum Command {
///     Chat { text: String },
/// }
///
/// let chat = decode_command(r#"{"type":"chat","text":"hello"}"#);
/// assert_eq!(chat, Ok(Command::Chat { text: "hello".into() }));
///
/// let unknown = decode_command::<Command>(r#"{"type":"dance"}"#);
/// assert_eq!(unknown, Err(CommandError::UnknownType));
/// ```
///
/// # Errors
///
/// [`CommandError::UnknownType`] for an object whose `type` is absent, no text, or
/// none of `T`'s; [`CommandError::InvalidFormat`] for whatever else does not fit: no
/// JSON, no object, a known `type` with other fields than it needs. Nesting deeper
/// than 128 does not fit either.
pub fn decode<T: DeserializeOwned>(text: &str) -> Result<T, CommandError> {
    // serde would read an enum from an array as well.
    if !text
        .trim_start_matches([' ', '\t', '\n', '\r'])
        .starts_with('{')
    {
        let details = match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => "expected an object".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(CommandError::InvalidFormat { details });
    }
    serde_json::from_str(text).map_err(|error| explain::<T>(text, &error))
}

/// The text of a message that may be a command.
pub(crate) fn text_of(message: &Message) -> Result<&str, CommandError> {
    message
        .to_utf8()
        .map_err(|error| CommandError::InvalidFormat {
            details: error.to_string(),
        })
}

/// The reason why a message is no command.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No JSON object, or not the fields that its `type` needs.
    #[error("Invalid message format")]
    InvalidFormat {
        /// The parser's error, which may quote the message.
        details: String,
    },
    /// An object whose `type` is none of those that are understood.
    #[error("Unknown message type")]
    UnknownType,
}

impl CommandError {
    /// The code that the client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidFormat { .. } => ErrorCode::InvalidFormat,
            Self::UnknownType => ErrorCode::UnknownType,
        }
    }

    /// The answer to the client: `{"type":"error","message":…,"code":…}`.
    #[must_use]
    pub fn to_message(&self) -> ErrorMessage {
        ErrorMessage::new(self.code(), self.to_string())
    }
}

/// Tells the two errors apart. Only a message that failed pays for the second look.
fn explain<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> CommandError {
    let invalid_format = || CommandError::InvalidFormat {
        details: error.to_string(),
    };
    // Also fails for two fields `type`.
    let Ok(Tagged { tag }) = serde_json::from_str(text) else {
        return invalid_format();
    };
    match tag.map(|tag| serde_json::from_str::<String>(tag.get())) {
        Some(Ok(tag)) if is_variant::<T>(&tag) => invalid_format(),
        _ => CommandError::UnknownType,
    }
}

#[derive(Deserialize)]
struct Tagged<'a> {
    #[serde(borrow, rename = "type")]
    tag: Option<&'a RawValue>,
}

/// Tries `{"type": tag}` on `T` and sees whether it is the tag that it objects to.
fn is_variant<T: DeserializeOwned>(tag: &str) -> bool {
    let only_the_tag = MapDeserializer::<_, Objection>::new([("type", tag)].into_iter());
    !matches!(T::deserialize(only_the_tag), Err(Objection::Variant))
}

/// An error that knows what a text would have to be searched for.
#[derive(Debug)]
enum Objection {
    Variant,
    Other,
}

impl serde::de::Error for Objection {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self::Other
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::Variant
    }
}

impl std::error::Error for Objection {}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variant => "unknown variant",
            Self::Other => "other error",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::UserId;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(
        tag = "type",
        rename_all = "kebab-case",
        rename_all_fields = "camelCase"
    )]
    enum Command {
        Chat {
            text: String,
        },
        Typing {
            is_typing: bool,
        },
        Private {
            target_user_id: UserId,
            text: String,
        },
        Mood {
            mood: Mood,
        },
        Ping,
        #[serde(alias = "exit")]
        Leave(Leave),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Mood {
        Good,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Leave {
        #[serde(default)]
        reason: String,
    }

    fn refused(text: &str) -> CommandError {
        decode::<Command>(text).unwrap_err()
    }

    fn assert_invalid(text: &str) {
        let error = refused(text);
        let start: String = text.chars().take(80).collect();
        assert!(
            matches!(error, CommandError::InvalidFormat { .. }),
            "{start}: {error:?}"
        );
    }

    #[test]
    fn every_kind_of_variant_is_read() {
        for (text, expected) in [
            (
                r#"{"type":"chat","text":"hi"}"#,
                Command::Chat { text: "hi".into() },
            ),
            (
                r#"{"text":"hi","type":"chat"}"#,
                Command::Chat { text: "hi".into() },
            ),
            (
                r#"{"type":"chat","text":"hi","more":[{}]}"#,
                Command::Chat { text: "hi".into() },
            ),
            (
                r#"{"typ\u0065":"ch\u0061t","text":"hi"}"#,
                Command::Chat { text: "hi".into() },
            ),
            (
                r#"{"type":"typing","isTyping":true}"#,
                Command::Typing { is_typing: true },
            ),
            (
                r#"{"type":"private","targetUserId":7,"text":"t"}"#,
                Command::Private {
                    target_user_id: 7.into(),
                    text: "t".into(),
                },
            ),
            (
                r#"{"type":"mood","mood":"good"}"#,
                Command::Mood { mood: Mood::Good },
            ),
            ("\t\r\n {\"type\":\"ping\"} \n", Command::Ping),
            (
                r#"{"type":"exit"}"#,
                Command::Leave(Leave {
                    reason: String::new(),
                }),
            ),
        ] {
            assert_eq!(decode(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_object_is_an_invalid_format() {
        for text in [
            "",
            " ",
            "hello",
            "{",
            "}",
            "{}{}",
            "{'type':'chat'}",
            r#"{"type":"chat","text":"hi"} x"#,
            r#"{"type":"nonsense""#,
            r#"{"type":"chat","text":"hi",}"#,
            "\u{feff}{\"type\":\"ping\"}",
            "\u{a0}{\"type\":\"ping\"}",
            "null",
            "1",
            "true",
            r#""chat""#,
            r#"["chat"]"#,
            r#"["chat",{"text":"hi"}]"#,
            r#"["chat","hi"]"#,
            r#"["ping"]"#,
            "[]",
        ] {
            assert_invalid(text);
        }
    }

    #[test]
    fn an_object_of_no_known_type_is_an_unknown_type() {
        for text in [
            "{}",
            r#"{"text":"hi"}"#,
            r#"{"type":null,"text":"hi"}"#,
            r#"{"type":1}"#,
            r#"{"type":true}"#,
            r#"{"type":["chat"],"text":"hi"}"#,
            r#"{"type":{"type":"chat"},"text":"hi"}"#,
            r#"{"type":"","text":"hi"}"#,
            r#"{"type":"dance"}"#,
            r#"{"type":"Chat","text":"hi"}"#,
            r#"{"type":"chat ","text":"hi"}"#,
            r#"{"type":"0","text":"hi"}"#,
            r#"{"type":"chat\u0000","text":"hi"}"#,
            r#"{"Type":"chat","text":"hi"}"#,
            r#"{"type":"__proto__"}"#,
        ] {
            assert_eq!(refused(text), CommandError::UnknownType, "{text}");
        }
    }

    #[test]
    fn a_known_type_with_wrong_fields_is_an_invalid_format() {
        for text in [
            r#"{"type":"chat"}"#,
            r#"{"type":"chat","text":1}"#,
            r#"{"type":"chat","text":null}"#,
            r#"{"type":"chat","Text":"hi"}"#,
            r#"{"type":"typing","isTyping":"yes"}"#,
            r#"{"type":"private","targetUserId":{},"text":"t"}"#,
            // The unknown variant of a field is not that of the message.
            r#"{"type":"mood","mood":"dance"}"#,
            r#"{"type":"leave","reason":1}"#,
        ] {
            assert_invalid(text);
        }
    }

    #[test]
    fn a_field_given_twice_is_an_invalid_format() {
        for text in [
            r#"{"type":"chat","type":"chat","text":"hi"}"#,
            r#"{"type":"chat","type":"dance","text":"hi"}"#,
            r#"{"type":"dance","type":"chat","text":"hi"}"#,
            r#"{"type":"chat","text":"hi","text":"ho"}"#,
        ] {
            assert_invalid(text);
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_overflowing_the_stack() {
        const DEPTH: usize = 100_000;
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            for closed in [0, DEPTH] {
                let deep = format!("{}1{}", open.repeat(DEPTH), close.repeat(closed));
                assert_invalid(&deep.replacen('{', "[", 1));
                assert_invalid(&format!(r#"{{"type":"chat","text":{deep}}}"#));
                assert_invalid(&format!(r#"{{"type":"chat","text":"hi","x":{deep}}}"#));
                let error = refused(&format!(r#"{{"type":{deep}}}"#));
                let expected = closed != 0;
                assert_eq!(error == CommandError::UnknownType, expected, "{closed}");
            }
        }
    }

    #[test]
    fn numbers_out_of_range_and_lone_surrogates_are_refused() {
        for value in [
            "1e400",
            "-1e400",
            "1e99999999999999999999",
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\ud800x""#,
            r#""\u12""#,
            "\"\u{1}\"",
            "NaN",
            "01",
            "+1",
        ] {
            assert_invalid(&format!(r#"{{"type":"chat","text":{value}}}"#));
        }
        let digits = "9".repeat(60_000);
        assert_invalid(&format!(r#"{{"type":"chat","text":{digits}}}"#));
        let tag = refused(r#"{"type":"\ud800","text":"hi"}"#);
        assert_eq!(tag, CommandError::UnknownType);
    }

    #[test]
    fn the_answers_are_those_of_the_guide() {
        assert_eq!(
            serde_json::to_string(&refused("hello").to_message()).unwrap(),
            r#"{"type":"error","message":"Invalid message format","code":"invalid-format"}"#
        );
        assert_eq!(
            serde_json::to_string(&refused(r#"{"type":"dance"}"#).to_message()).unwrap(),
            r#"{"type":"error","message":"Unknown message type","code":"unknown-type"}"#
        );
    }

    #[test]
    fn an_error_displays_as_the_guide_has_it_and_keeps_the_details() {
        let error = refused(r#"{"type":"chat"}"#);
        assert_eq!(error.to_string(), "Invalid message format");
        let CommandError::InvalidFormat { details } = error else {
            panic!("{error:?}");
        };
        assert_eq!(details, "missing field `text`");
        assert_eq!(refused("{}").to_string(), "Unknown message type");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = decode::<Command>(&text);
        }

        #[test]
        fn any_text_survives_the_way_in(text in ".{0,200}") {
            let message = serde_json::json!({ "type": "chat", "text": text }).to_string();
            prop_assert_eq!(decode(&message), Ok(Command::Chat { text }));
        }

        #[test]
        fn any_other_type_is_unknown(tag in ".{0,20}") {
            prop_assume!(!["chat", "typing", "private", "mood", "ping", "leave", "exit"]
                .contains(&tag.as_str()));
            let message = serde_json::json!({ "type": tag, "text": "hi" }).to_string();
            prop_assert_eq!(decode::<Command>(&message), Err(CommandError::UnknownType));
        }
    }
}
