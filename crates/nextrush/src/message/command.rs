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
    if !is_object(text) {
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

    /// The answer to the client, for a message that is refused; the log has at level debug why it does
    /// not fit.
    pub(crate) fn refuse(&self) -> ErrorMessage {
        if let Self::InvalidFormat { details } = self {
            tracing::debug!(details, "a client's message is no command");
        }
        self.to_message()
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

/// The `type` of a message; `None` of an object that has none, or one that is no text.
///
/// # Errors
///
/// [`CommandError::InvalidFormat`] for what is no JSON object, or has two.
pub(crate) fn type_of(text: &str) -> Result<Option<String>, CommandError> {
    match serde_json::from_str(text) {
        Ok(Tagged { tag: Some(tag) }) if is_object(text) => {
            Ok(serde_json::from_str(tag.get()).ok())
        }
        Ok(_) if is_object(text) => Ok(None),
        Ok(_) => Err(CommandError::InvalidFormat {
            details: "expected an object".to_owned(),
        }),
        Err(error) => Err(CommandError::InvalidFormat {
            details: error.to_string(),
        }),
    }
}

/// Returns whether the text begins as an object; serde reads structures from arrays as well.
fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
        .starts_with('{')
}

/// Tries `{"type": tag}` on `T` and sees whether it is the tag that it objects to.
fn is_variant<T: DeserializeOwned>(tag: &str) -> bool {
    !matches!(try_type::<T>(tag), Some(Objection::Variant(_)))
}

/// The types that `T` knows; `None` if it takes any, as what is no enum tagged by `type` does.
pub(crate) fn variants_of<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    // No program calls a type so.
    match try_type::<T>("\0")? {
        Objection::Variant(variants) => Some(variants),
        Objection::Other => None,
    }
}

fn try_type<T: DeserializeOwned>(tag: &str) -> Option<Objection> {
    let only_the_tag = MapDeserializer::<_, Objection>::new([("type", tag)].into_iter());
    T::deserialize(only_the_tag).err()
}

/// An error that knows what a text would have to be searched for.
#[derive(Debug)]
enum Objection {
    /// No such variant; there are these.
    Variant(&'static [&'static str]),
    Other,
}

impl serde::de::Error for Objection {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self::Other
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Self::Variant(variants)
    }
}

impl std::error::Error for Objection {}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variant(_) => "unknown variant",
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
    fn an_enum_tagged_by_type_knows_its_types_and_others_take_any() {
        let mut types = variants_of::<Command>().unwrap().to_vec();
        types.sort_unstable();
        let expected = ["chat", "exit", "leave", "mood", "ping", "private", "typing"];
        assert_eq!(types, expected);

        #[derive(Deserialize)]
        #[serde(tag = "type")]
        enum Open {
            #[serde(other)]
            Other,
        }
        assert_eq!(variants_of::<Open>(), None);
        assert_eq!(variants_of::<Leave>(), None);
        assert_eq!(variants_of::<Mood>(), None);
        assert_eq!(variants_of::<serde_json::Value>(), None);
    }

    #[test]
    fn the_type_of_a_message_is_read_without_the_rest() {
        for (text, expected) in [
            (r#"{"type":"ch\u0061t","text":1}"#, Some("chat")),
            (r#"{"text":1}"#, None),
            (r#"{"type":7}"#, None),
            (r#"{"type":null}"#, None),
        ] {
            assert_eq!(type_of(text).unwrap().as_deref(), expected, "{text}");
        }
        for text in [
            "",
            "hello",
            "[]",
            r#"["chat"]"#,
            r#"{"type":"a","type":"b"}"#,
            "{",
        ] {
            assert!(type_of(text).is_err(), "{text}");
        }
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
