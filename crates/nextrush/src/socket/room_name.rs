//! Names of rooms.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::message::invisible::{ROOM_NAME_RULE, has_invisible};

/// The longest room name in bytes.
const NAME_LIMIT: usize = 255;

/// A valid name of a room: 1 to 255 bytes, without characters that nobody sees: controls, joiners,
/// marks of direction, private use.
///
/// Deserialises with that check, so that `Path<RoomName>` refuses anything else
/// with 400 before the upgrade.
///
/// ```
/// use nextrush::RoomName;
///
/// assert_eq!(RoomName::new("lobby")?.as_str(), "lobby");
/// assert!(RoomName::new("").is_err());
/// # Ok::<(), nextrush::room::InvalidRoomName>(())
/// ```
#[derive(Clone, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// Fails when the name is empty, longer than 255 bytes, or holds a character that nobody
    /// sees.
    pub fn new(name: &str) -> Result<Self, InvalidRoomName> {
        if name.is_empty() || name.len() > NAME_LIMIT || has_invisible(name) {
            return Err(InvalidRoomName);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for RoomName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for RoomName {
    type Err = InvalidRoomName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl TryFrom<String> for RoomName {
    type Error = InvalidRoomName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name)
    }
}

impl From<RoomName> for String {
    fn from(name: RoomName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// A room name that is empty, too long, or holds characters that nobody sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{ROOM_NAME_RULE}")]
#[non_exhaustive]
pub struct InvalidRoomName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names_are_short_and_free_of_what_nobody_sees() {
        for name in ["lobby", "a/b", "日本", &"x".repeat(255)] {
            assert!(RoomName::new(name).is_ok(), "{name:?}");
        }
        for name in [
            "",
            "a\nb",
            "\0",
            "a\u{7f}",
            "a\u{85}b",
            "a\u{200b}",
            "\u{202e}a",
            &"x".repeat(256),
        ] {
            assert_eq!(RoomName::new(name), Err(InvalidRoomName), "{name:?}");
        }
    }

    #[test]
    fn a_room_name_is_checked_when_it_is_deserialised() {
        assert!(serde_json::from_str::<RoomName>(r#""lobby""#).is_ok());
        assert!(serde_json::from_str::<RoomName>(r#""\u0000""#).is_err());
    }
}
