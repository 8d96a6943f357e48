//! The ids of rooms in paths.

use nextrush::RoomName;
use nextrush::room::InvalidRoomName;
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
#[error("{0}, and here at most {max}", max = RoomId::MAX)]
pub(super) struct TooLong(InvalidRoomName);

impl RoomId {
    /// The bytes of a name that are left for the endpoint.
    const ENDPOINT: usize = 15;

    /// The longest id in bytes.
    const MAX: usize = 255 - Self::ENDPOINT;

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
        let longest = format!("{}{name}", "-".repeat(Self::ENDPOINT));
        RoomName::new(&longest).map_err(TooLong)?;
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
