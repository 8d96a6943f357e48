//! The devices of a user, and what they say of themselves.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::message::invisible::has_invisible;

/// The name that a client keeps for itself, by which a lost device is known again: 1 to 64 bytes.
///
/// It counts among the devices of one user, and nobody else sees it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String")]
pub(super) struct DeviceName(Box<str>);

/// A device's name that is empty, too long, or holds invisible characters.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "a device has 1 to {} bytes and no invisible characters",
    DeviceName::MAX_BYTES
)]
pub(super) struct InvalidDeviceName;

impl DeviceName {
    const MAX_BYTES: usize = 64;
}

impl TryFrom<String> for DeviceName {
    type Error = InvalidDeviceName;

    fn try_from(name: String) -> Result<Self, InvalidDeviceName> {
        match name.len() {
            1..=Self::MAX_BYTES if !has_invisible(&name) => Ok(Self(name.into())),
            _ => Err(InvalidDeviceName),
        }
    }
}

/// The data of a device: JSON, kept as the text that came. As values it would take a hundred
/// times as much.
#[derive(Clone, Debug)]
pub(super) struct Data(Arc<RawValue>);

/// Data that is longer or deeper than it may be.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "at most {} bytes of JSON and {} levels",
    Data::MAX_BYTES,
    Data::MAX_DEPTH
)]
pub(super) struct DataTooLarge;

impl Data {
    /// The longest data in bytes.
    const MAX_BYTES: usize = 4096;
    /// The deepest data: with a snapshot around it, usual parsers read it (128 levels).
    const MAX_DEPTH: usize = 64;
    const OVERHEAD: usize = 64;

    pub(super) fn new(json: &RawValue) -> Result<Self, DataTooLarge> {
        let text = json.get();
        if text.len() > Self::MAX_BYTES || depth(text) > Self::MAX_DEPTH {
            return Err(DataTooLarge);
        }
        Ok(Self(json.to_owned().into()))
    }

    /// The bytes of its text.
    pub(super) fn len(&self) -> usize {
        self.0.get().len()
    }

    /// The bytes that it counts: its text, and about as much as keeping any text takes.
    pub(super) fn weight(&self) -> usize {
        self.len() + Self::OVERHEAD
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.into()))
    }
}

/// The number of arrays and objects that are open at the deepest place.
fn depth(json: &str) -> usize {
    let (mut open, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_that_of_arrays_and_objects_outside_of_texts() {
        for (json, expected) in [
            ("1", 0),
            (r#""[[[""#, 0),
            (r#"["\"[[",{"[":[]}]"#, 3),
            ("[[],[],[[]]]", 3),
            (r#"["\\",[]]"#, 2),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
    }

    #[test]
    fn a_device_has_a_short_name_that_can_be_seen() {
        for (name, is_taken) in [
            ("tab-1".to_owned(), true),
            ("x".repeat(64), true),
            ("x".repeat(65), false),
            (String::new(), false),
            ("tab\0".to_owned(), false),
            ("tab\u{200b}".to_owned(), false),
        ] {
            assert_eq!(
                DeviceName::try_from(name.clone()).is_ok(),
                is_taken,
                "{name:?}"
            );
        }
    }

    #[test]
    fn data_has_so_many_bytes_and_levels() {
        let is_taken = |json: String| Data::new(&RawValue::from_string(json).unwrap()).is_ok();
        assert!(is_taken("[".repeat(64) + &"]".repeat(64)));
        assert!(!is_taken("[".repeat(65) + &"]".repeat(65)));
        assert!(is_taken(format!("\"{}\"", "x".repeat(4094))));
        assert!(!is_taken(format!("\"{}\"", "x".repeat(4095))));
    }
}
