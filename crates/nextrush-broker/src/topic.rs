//! Names of topics.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a topic: 1 to 512 bytes of UTF-8 without control characters.
///
/// A clone counts a reference and copies nothing.
///
/// ```
/// use nextrush_broker::{Topic, TopicError};
///
/// let topic = Topic::try_from("post-42")?;
/// assert_eq!(topic.as_str(), "post-42");
/// assert_eq!(Topic::try_from("a\nb"), Err(TopicError::ControlCharacter { at: 1 }));
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Topic(Arc<str>);

impl Topic {
    /// The longest name in bytes: 255 for a channel, and as many again for prefixes of the
    /// layers above.
    pub const MAX_BYTES: usize = 512;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The reason why a text is not the name of a topic.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The name is empty.
    #[error("a topic name must not be empty")]
    Empty,
    /// The name is longer than [`Topic::MAX_BYTES`].
    #[error("a topic name has at most {max} bytes, this one has {bytes}", max = Topic::MAX_BYTES)]
    TooLong {
        /// The length of the name in bytes.
        bytes: usize,
    },
    /// The name holds a control character (Unicode category Cc).
    #[error("a topic name must not hold control characters, this one does at byte {at}")]
    ControlCharacter {
        /// The byte at which the first control character starts.
        at: usize,
    },
}

fn check(name: &str) -> Result<(), TopicError> {
    if name.is_empty() {
        return Err(TopicError::Empty);
    }
    if name.len() > Topic::MAX_BYTES {
        return Err(TopicError::TooLong { bytes: name.len() });
    }
    match name.char_indices().find(|(_, char)| char.is_control()) {
        Some((at, _)) => Err(TopicError::ControlCharacter { at }),
        None => Ok(()),
    }
}

impl TryFrom<&str> for Topic {
    type Error = TopicError;

    fn try_from(name: &str) -> Result<Self, TopicError> {
        check(name)?;
        Ok(Self(name.into()))
    }
}

impl TryFrom<String> for Topic {
    type Error = TopicError;

    fn try_from(name: String) -> Result<Self, TopicError> {
        check(&name)?;
        Ok(Self(name.into()))
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(name: &str) -> Result<Self, TopicError> {
        Self::try_from(name)
    }
}

impl AsRef<str> for Topic {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_to_512_bytes_without_control_characters() {
        let cases: [(&str, Result<(), TopicError>); 9] = [
            ("a", Ok(())),
            ("post-:id", Ok(())),
            ("Zürich 🦀", Ok(())),
            (&"x".repeat(512), Ok(())),
            ("", Err(TopicError::Empty)),
            (&"x".repeat(513), Err(TopicError::TooLong { bytes: 513 })),
            // There are 128 characters, but bytes count.
            (&"é".repeat(257), Err(TopicError::TooLong { bytes: 514 })),
            ("ä\0b", Err(TopicError::ControlCharacter { at: 2 })),
            ("a\u{85}", Err(TopicError::ControlCharacter { at: 1 })),
        ];
        for (name, expected) in cases {
            let borrowed = Topic::try_from(name);
            assert_eq!(borrowed.clone().map(drop), expected, "{name:?}");
            assert_eq!(Topic::try_from(name.to_owned()), borrowed, "{name:?}");
            assert_eq!(name.parse(), borrowed, "{name:?}");
        }
    }

    #[test]
    fn a_topic_shows_its_name() {
        let topic = Topic::try_from("lobby").unwrap();
        assert_eq!(topic.to_string(), "lobby");
        assert_eq!(topic.as_ref(), "lobby");
        assert_eq!(format!("{topic:?}"), r#"Topic("lobby")"#);
    }
}
