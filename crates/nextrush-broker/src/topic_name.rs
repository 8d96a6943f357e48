//! Names of topics.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a topic: 1 to 512 bytes of UTF-8 without control characters.
///
/// A clone counts a reference and copies nothing.
///
/// ```
/// use nextrush_broker::{TopicName, TopicNameError};
///
/// let topic = TopicName::try_from("post-42")?;
/// assert_eq!(topic.as_str(), "post-42");
/// assert_eq!(TopicName::try_from("a\nb"), Err(TopicNameError::ControlCharacter { at: 1 }));
/// # Ok::<(), TopicNameError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// The longest name in bytes: 255 for a channel, and as many again for prefixes of the
    /// layers above.
    pub const MAX_BYTES: usize = 512;

    /// Returns whether the topic is one of the framework's own, whose names begin with `nr.`. Access
    /// depends on what these remember: no broker forgets it for want of room, whatever its other limits
    /// are, and none refuses them because its files are full. Who publishes to one bounds it.
    ///
    /// ```
    /// use nextrush_broker::TopicName;
    ///
    /// assert!(TopicName::try_from("nr.auth/tokens/revoked")?.is_internal());
    /// assert!(!TopicName::try_from("live/nr.news")?.is_internal());
    /// # Ok::<(), nextrush_broker::TopicNameError>(())
    /// ```
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.0.starts_with("nr.")
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The reason why a text is not the name of a topic.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicNameError {
    /// The name is empty.
    #[error("a topic name must not be empty")]
    Empty,
    /// The name is longer than [`TopicName::MAX_BYTES`].
    #[error("a topic name has at most {max} bytes, this one has {bytes}", max = TopicName::MAX_BYTES)]
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

fn check(name: &str) -> Result<(), TopicNameError> {
    if name.is_empty() {
        return Err(TopicNameError::Empty);
    }
    if name.len() > TopicName::MAX_BYTES {
        return Err(TopicNameError::TooLong { bytes: name.len() });
    }
    match name.char_indices().find(|(_, char)| char.is_control()) {
        Some((at, _)) => Err(TopicNameError::ControlCharacter { at }),
        None => Ok(()),
    }
}

impl TryFrom<&str> for TopicName {
    type Error = TopicNameError;

    fn try_from(name: &str) -> Result<Self, TopicNameError> {
        check(name)?;
        Ok(Self(name.into()))
    }
}

impl TryFrom<String> for TopicName {
    type Error = TopicNameError;

    fn try_from(name: String) -> Result<Self, TopicNameError> {
        check(&name)?;
        Ok(Self(name.into()))
    }
}

impl FromStr for TopicName {
    type Err = TopicNameError;

    fn from_str(name: &str) -> Result<Self, TopicNameError> {
        Self::try_from(name)
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicName({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_to_512_bytes_without_control_characters() {
        let cases: [(&str, Result<(), TopicNameError>); 9] = [
            ("a", Ok(())),
            ("post-:id", Ok(())),
            ("Zürich 🦀", Ok(())),
            (&"x".repeat(512), Ok(())),
            ("", Err(TopicNameError::Empty)),
            (
                &"x".repeat(513),
                Err(TopicNameError::TooLong { bytes: 513 }),
            ),
            // There are 128 characters, but bytes count.
            (
                &"é".repeat(257),
                Err(TopicNameError::TooLong { bytes: 514 }),
            ),
            ("ä\0b", Err(TopicNameError::ControlCharacter { at: 2 })),
            ("a\u{85}", Err(TopicNameError::ControlCharacter { at: 1 })),
        ];
        for (name, expected) in cases {
            let borrowed = TopicName::try_from(name);
            assert_eq!(borrowed.clone().map(drop), expected, "{name:?}");
            assert_eq!(TopicName::try_from(name.to_owned()), borrowed, "{name:?}");
            assert_eq!(name.parse(), borrowed, "{name:?}");
        }
    }

    #[test]
    fn a_topic_shows_its_name() {
        let topic = TopicName::try_from("lobby").unwrap();
        assert_eq!(topic.to_string(), "lobby");
        assert_eq!(topic.as_ref(), "lobby");
        assert_eq!(format!("{topic:?}"), r#"TopicName("lobby")"#);
    }
}
