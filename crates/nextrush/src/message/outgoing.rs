//! A message on its way out, encoded once.

use std::cell::Cell;

use bytes::Bytes;
use nextrush_protocol::Frame;
use serde::Serialize;

use crate::message::{Message, Refused};

/// A message in its wire form, encoded once and ready for any number of sockets.
///
/// Everything that sends takes `impl Into<Outgoing>`, so strings, bytes, JSON values and
/// [`Message`]s can be given directly. Make an `Outgoing` yourself to send one
/// message to several rooms: cloning it copies a reference count, not the bytes.
///
/// ```
/// use nextrush::Outgoing;
///
/// let text: Outgoing = "hello".into();
/// let json: Outgoing = serde_json::json!({ "type": "tick", "n": 1 }).into();
/// # drop((text, json));
/// ```
#[derive(Clone, Debug)]
pub struct Outgoing {
    frame: Frame,
    /// The code of a refusal, to be counted when it is sent to its client.
    refused: Option<Refused>,
}

thread_local! {
    /// The place where JSON is written before it is copied into its frame, whose header has its
    /// length.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The bytes that a thread keeps for the next message. A longer message takes its buffer along, and is not
/// copied if it is long enough for its frame to have it as it is.
const BUFFER_KEPT: usize = 8 * 1024;

impl Outgoing {
    /// A text message that holds `value` as JSON.
    ///
    /// # Errors
    ///
    /// Fails when `value` cannot be written as JSON (a map with keys that are no
    /// strings, or a `Serialize` implementation that fails).
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        // Taken out and put back, so that a value's own `Serialize` may write another one.
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        serde_json::to_writer(&mut buffer, value)?;
        if buffer.capacity() > BUFFER_KEPT {
            let text = String::from_utf8(buffer).expect("JSON is UTF-8");
            return Ok(Self::from(text));
        }
        let text = str::from_utf8(&buffer).expect("JSON is UTF-8");
        let message = Self::from(text);
        // Where the thread ends there is none any more.
        let _ = BUFFER.try_with(|kept| kept.set(buffer));
        Ok(message)
    }

    /// The same message, never to be compressed: for what holds a secret beside what
    /// somebody else has a say in. By the length of the compressed form the one could
    /// guess the other.
    #[must_use]
    pub fn uncompressed(self) -> Self {
        let frame = self.frame.uncompressed();
        Self { frame, ..self }
    }

    fn of(frame: Frame) -> Self {
        let refused = None;
        Self { frame, refused }
    }

    /// The same message, as the refusal with a code.
    pub(crate) fn refusing(self, code: &str) -> Self {
        let refused = Some(Refused::of(code));
        Self { refused, ..self }
    }

    /// The code that it refuses something with.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// The length on the wire in bytes.
    pub(crate) fn len(&self) -> usize {
        self.frame.len()
    }

    pub(crate) fn into_frame(self) -> Frame {
        self.frame
    }
}

impl From<&str> for Outgoing {
    fn from(text: &str) -> Self {
        Self::of(Frame::text(text))
    }
}

impl From<String> for Outgoing {
    fn from(text: String) -> Self {
        Self::of(Frame::from_text(text))
    }
}

impl From<&String> for Outgoing {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&[u8]> for Outgoing {
    fn from(data: &[u8]) -> Self {
        Self::of(Frame::binary(data))
    }
}

impl From<Vec<u8>> for Outgoing {
    fn from(data: Vec<u8>) -> Self {
        Self::from(Bytes::from(data))
    }
}

impl From<Bytes> for Outgoing {
    fn from(data: Bytes) -> Self {
        Self::of(Frame::from_binary(data))
    }
}

/// A text message with the JSON form of the value.
impl From<serde_json::Value> for Outgoing {
    fn from(value: serde_json::Value) -> Self {
        Self::from(value.to_string())
    }
}

impl From<&Message> for Outgoing {
    fn from(message: &Message) -> Self {
        match message {
            Message::Text(text) => Self::from(text),
            Message::Binary(data) => Self::from(data.clone()),
        }
    }
}

impl From<Message> for Outgoing {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::from(text),
            Message::Binary(data) => Self::from(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Serialize, Serializer};

    use super::*;

    /// Writes another message while it is written.
    struct Nested;

    impl Serialize for Nested {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = Outgoing::json(&["inner"]).unwrap();
            assert_eq!(inner.frame.payload(), br#"["inner"]"#);
            serializer.serialize_str("nested")
        }
    }

    #[test]
    fn a_message_may_be_written_while_another_one_is() {
        let long = "long ".repeat(50_000);
        for _ in 0..2 {
            let outer = Outgoing::json(&("before", Nested, "behind")).unwrap();
            assert_eq!(outer.frame.payload(), br#"["before","nested","behind"]"#);
            let json = Outgoing::json(&long).unwrap();
            assert_eq!(json.frame.payload(), format!("\"{long}\"").as_bytes());
        }
    }

    #[test]
    fn a_value_that_is_no_json_leaves_nothing_to_the_next_message() {
        let no_json = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(Outgoing::json(&("begun", no_json)).is_err());
        let next = Outgoing::json(&1).unwrap();
        assert_eq!(next.frame.payload(), b"1");
    }
}
