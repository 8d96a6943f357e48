//! A whole message that came in.

use std::fmt;

use bytes::Bytes;
use nextrush_engine::Incoming;
use serde::de::DeserializeOwned;

/// A whole text or binary message from a client; fragments are already joined.
///
/// Its size is bounded by the endpoint's `limits.message` (64 KiB by default).
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "RFC 6455 has two kinds of messages"
)]
pub enum Message {
    /// A text message; the protocol guarantees UTF-8 (RFC 6455 §5.6).
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// The text of a text message; `None` for a binary one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload as text, whichever kind the message is: JSON is UTF-8 (RFC 8259 §8.1) in a
    /// binary message too.
    ///
    /// # Errors
    ///
    /// Fails when a binary message is not UTF-8.
    pub fn to_utf8(&self) -> Result<&str, std::str::Utf8Error> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(data) => std::str::from_utf8(data),
        }
    }

    /// The payload, whichever kind the message is.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(data) => data,
        }
    }

    /// The length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parses the payload as JSON. For messages tagged by `type`, see
    /// [`Socket::on_command`](crate::Socket::on_command).
    ///
    /// # Errors
    ///
    /// Fails when the payload is no JSON, which is UTF-8, or does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.to_utf8().map_err(serde::de::Error::custom)?)
    }
}

/// The text; a binary payload is shown as UTF-8 with replacement characters.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Binary(data) => f.write_str(&String::from_utf8_lossy(data)),
        }
    }
}

impl From<Incoming<'_>> for Message {
    fn from(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Text(text) => Self::Text(text.into_owned()),
            Incoming::Binary(data) => Self::Binary(Bytes::from(data.into_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_displays_as_its_text() {
        assert_eq!(Message::Text("héllo".into()).to_string(), "héllo");
        assert_eq!(
            Message::Binary(Bytes::from_static(b"a\xffb")).to_string(),
            "a\u{fffd}b"
        );
    }

    #[test]
    fn json_is_read_from_text_and_from_binary() {
        let text = Message::Text(r#"{"n":1}"#.into());
        let binary = Message::Binary(Bytes::from_static(br#"{"n":1}"#));
        for message in [text, binary] {
            assert_eq!(message.json::<serde_json::Value>().unwrap()["n"], 1);
        }
        // Also in what is passed over.
        let broken = Message::Binary(Bytes::from_static(b"{\"n\":1,\"more\":\"\xff\"}"));
        let ignored = broken.json::<serde::de::IgnoredAny>();
        assert!(ignored.is_err());
    }
}
