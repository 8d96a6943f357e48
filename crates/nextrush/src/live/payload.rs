//! The data of publications, JSON or bytes: as it is stored, and as it is on the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextrush_broker::{Bytes, Position, Publication};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::LiveUpdates;
use crate::topic::{PublishError, Terms};

/// The byte in front of stored bytes, with which no JSON begins.
const BYTES: u8 = 0;

/// The data of a publication in a [history](LiveUpdates::history).
///
/// Serde writes it as the field `data` of an update has it: JSON as it is, and bytes as a text in
/// base64, beside which the field `encoding` says so.
///
/// ```
/// use nextrush::live::Payload;
/// # async fn example(live: &nextrush::LiveUpdates) -> Result<(), nextrush::BoxError> {
/// use nextrush::broker::HistoryQuery;
///
/// let history = live.history("canvas", HistoryQuery::Latest(10)).await?;
/// for publication in &history.publications {
///     match Payload::of(publication)? {
///         Payload::Json(json) => println!("{json}"),
///         Payload::Bytes(bytes) => println!("{} bytes", bytes.len()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a message is JSON or carries bytes"
)]
pub enum Payload<'a> {
    /// JSON, as it was published.
    Json(&'a RawValue),
    /// Bytes, from [`LiveUpdates::publish_bytes`] or a client.
    Bytes(&'a [u8]),
}

impl<'a> Payload<'a> {
    /// The data of a publication of live updates.
    ///
    /// # Errors
    ///
    /// Fails where the data is neither, as that of a deleted publication.
    pub fn of(publication: &'a Publication) -> Result<Self, serde_json::Error> {
        match &*publication.data {
            [BYTES, bytes @ ..] => Ok(Self::Bytes(bytes)),
            json => serde_json::from_slice(json).map(Self::Json),
        }
    }

    /// The encoding in which this is on the wire; `None` for JSON.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        match self {
            Self::Json(_) => None,
            Self::Bytes(_) => Some(Encoding::Base64),
        }
    }
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(json) => json.serialize(serializer),
            Self::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
        }
    }
}

/// The encoding of bytes in a message: the field `encoding` beside `data`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Encoding {
    /// Base64 with padding (RFC 4648 §4).
    Base64,
}

/// The reason why the data of a message is none in its encoding.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotEncoded {
    #[error("data in an encoding is a text")]
    NoText,
    #[error("data is no base64: {0}")]
    Base64(#[from] base64::DecodeError),
}

/// The data of a message as it is stored: JSON, or the bytes behind their mark.
pub(super) fn stored(data: &RawValue, encoding: Option<Encoding>) -> Result<Bytes, NotEncoded> {
    match encoding {
        None => Ok(Bytes::copy_from_slice(data.get().as_bytes())),
        Some(Encoding::Base64) => {
            let text: String = serde_json::from_str(data.get()).map_err(|_| NotEncoded::NoText)?;
            let mut stored = vec![BYTES];
            STANDARD.decode_vec(text, &mut stored)?;
            Ok(stored.into())
        }
    }
}

/// Bytes as they are stored.
pub(super) fn to_stored(bytes: &[u8]) -> Vec<u8> {
    [&[BYTES], bytes].concat()
}

/// The bytes of stored data that has been given in an encoding.
pub(super) fn bytes_of(stored: &Bytes) -> Bytes {
    stored.slice(1..)
}

/// Bytes as the data of a message.
pub(super) fn encode(bytes: &[u8]) -> Box<RawValue> {
    to_raw_value(&STANDARD.encode(bytes)).expect("a text is written as JSON")
}

impl LiveUpdates {
    /// Publishes bytes as [`publish`](Self::publish) does JSON. Subscribers get them as
    /// `{"type":"update","channel","data","encoding":"base64","timestamp","offset"}` with a text in
    /// base64 (RFC 4648 §4) as `data`; the JavaScript client gives its listeners a `Uint8Array`.
    ///
    /// The channel remembers the bytes themselves, and its bounds count these and one more. A
    /// client that does not know the field sees the text.
    ///
    /// ```
    /// # async fn example(live: &nextrush::LiveUpdates) -> Result<(), nextrush::topic::PublishError> {
    /// live.publish_bytes("canvas", [0xff, 0x00, 0x7f]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails, and publishes nothing, when the name is invalid or the broker fails.
    pub async fn publish_bytes(
        &self,
        channel: &str,
        bytes: impl AsRef<[u8]>,
    ) -> Result<Position, PublishError> {
        let stored = to_stored(bytes.as_ref());
        let topic = self.topic(channel)?;
        let published = topic.publish_data(stored, Terms::default()).await?;
        Ok(published.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str, encoding: Option<Encoding>) -> Result<Bytes, String> {
        let data = RawValue::from_string(data.to_owned()).unwrap();
        stored(&data, encoding).map_err(|error| error.to_string())
    }

    #[test]
    fn bytes_are_stored_as_they_are_and_told_as_text() {
        for (text, bytes) in [("\"\"", &b""[..]), ("\"AP8x\"", b"\x00\xff1")] {
            let stored = read(text, Some(Encoding::Base64)).unwrap();
            assert_eq!(bytes_of(&stored), bytes);
            let publication = Publication::new(1, 0, stored);
            let payload = Payload::of(&publication).unwrap();
            assert!(matches!(payload, Payload::Bytes(kept) if kept == bytes));
            assert_eq!(payload.encoding(), Some(Encoding::Base64));
            assert_eq!(serde_json::to_string(&payload).unwrap(), text);
            assert_eq!(encode(bytes).get(), text);
        }
    }

    #[test]
    fn json_stays_as_it_was() {
        let stored = read(r#"{"b":1,"a":"AP8x"}"#, None).unwrap();
        assert_eq!(stored, r#"{"b":1,"a":"AP8x"}"#);
        let publication = Publication::new(1, 0, stored);
        let payload = Payload::of(&publication).unwrap();
        assert_eq!(payload.encoding(), None);
        let json = serde_json::to_string(&payload).unwrap();
        assert_eq!(json, r#"{"b":1,"a":"AP8x"}"#);
    }

    #[test]
    fn what_is_no_base64_is_told_so() {
        let cases = [
            ("7", "data in an encoding is a text"),
            ("null", "data in an encoding is a text"),
            ("\"AP8\"", "data is no base64: Invalid padding"),
            (
                "\"A_8=\"",
                "data is no base64: Invalid symbol 95, offset 1.",
            ),
        ];
        for (data, expected) in cases {
            assert_eq!(read(data, Some(Encoding::Base64)).unwrap_err(), expected);
        }
    }
}
