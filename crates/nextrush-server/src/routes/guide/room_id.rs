//! The ids of rooms in paths.

use nextrush::RoomName;
use serde::Deserialize;

/// The id of a room of an endpoint.
///
/// Sockets join the room `<endpoint>/<id>`, so that endpoints do not share their rooms. The id
/// is short enough for that name to be valid: `Path<RoomId>` refuses a longer one before the
/// upgrade, where joining would fail after it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RoomName")]
pub(super) struct RoomId(RoomName);

#[derive(Debug, thiserror::Error)]
#[error("a room's id has at most {} bytes", RoomId::MAX)]
pub(super) struct TooLong;

impl RoomId {
    /// The longest id in bytes; 15 of a name's 255 are left for the endpoint.
    const MAX: usize = 240;

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name of this room of an endpoint.
    pub(super) fn of(&self, endpoint: &str) -> String {
        format!("{endpoint}/{}", self.as_str())
    }
}

impl TryFrom<RoomName> for RoomId {
    type Error = TooLong;

    fn try_from(name: RoomName) -> Result<Self, TooLong> {
        if name.as_str().len() > Self::MAX {
            return Err(TooLong);
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(length: usize) -> Result<RoomId, serde_json::Error> {
        serde_json::from_value("x".repeat(length).into())
    }

    #[test]
    fn the_longest_id_makes_a_valid_name_at_every_endpoint() {
        let longest = id(RoomId::MAX).unwrap();
        for endpoint in ["rooms", "robust"] {
            assert!(RoomName::new(&longest.of(endpoint)).is_ok(), "{endpoint}");
        }
        for length in [0, RoomId::MAX + 1, 255, 256] {
            assert!(id(length).is_err(), "{length}");
        }
    }
}
