//! Places in a topic, and their forms on disk and on the wire.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Builder, NoContext, Timestamp, Uuid};

/// A place in a topic: a reader at this position has seen everything up to and including
/// `offset`.
///
/// Positions have no order, as offsets of different epochs cannot be compared.
///
/// As JSON it is an object of two fields, which `#[serde(flatten)]` makes fields of a
/// message; as text it is `epoch:offset`:
///
/// ```
/// use nextrush_broker::Position;
///
/// let text = "018bcfe5-6800-7abc-8def-0123456789ab:7";
/// let position: Position = text.parse()?;
/// assert_eq!(position.to_string(), text);
/// let json = r#"{"epoch":"018bcfe5-6800-7abc-8def-0123456789ab","offset":7}"#;
/// assert_eq!(serde_json::to_string(&position)?, json);
/// assert_eq!(serde_json::from_str::<Position>(json)?, position);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[allow(
    clippy::exhaustive_structs,
    reason = "its two fields are its form on the wire"
)]
pub struct Position {
    /// The life of the topic to which the offset belongs.
    pub epoch: Epoch,
    /// The number of the last publication seen: from 1, or 0 before the first.
    pub offset: u64,
}

impl Position {
    /// Combines an epoch and an offset.
    #[must_use]
    pub const fn new(epoch: Epoch, offset: u64) -> Self {
        Self { epoch, offset }
    }

    /// A number for the publication at this place, below 2^53, that is unique in its topic and
    /// rises, also from one life to the next.
    ///
    /// It is the offset, counted from the microsecond in which the life began: the next life
    /// begins higher up, unless the topic took more than a million publications a second on
    /// average or the clock was set back in between. Epochs of earlier builds, UUIDs of version 7,
    /// count from the millisecond, so that what they number keeps its numbers.
    ///
    /// ```
    /// use nextrush_broker::{Epoch, Position};
    ///
    /// let last = Position::new(Epoch::begin(1_700_000_000_000), 6001);
    /// let first = Position::new(Epoch::begin(1_700_000_000_700), 1);
    /// assert!(last.serial() < first.serial());
    /// let kept = "018bcfe5-6800-7abc-8def-0123456789ab:7".parse::<Position>()?;
    /// assert_eq!(kept.serial(), 1_700_000_000_007);
    /// # Ok::<(), nextrush_broker::PositionError>(())
    /// ```
    #[must_use]
    pub fn serial(&self) -> u64 {
        let Self { epoch, offset } = *self;
        let began_ms = epoch.created_ms();
        match epoch.0.get_version_num() {
            TIME_SORTED => began_ms.saturating_add(offset),
            // From the year 2255 on they would not be exact in JavaScript any more.
            _ => (began_ms * 1000).min(LAST_BEGIN).saturating_add(offset),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

/// The error of a text that is no [`Position`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a position is an epoch and an offset with a colon between them")]
#[non_exhaustive]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, offset) = text.split_once(':').ok_or(PositionError)?;
        // The parser would also take a plus sign, but each position has one spelling.
        let is_decimal = offset.bytes().all(|byte| byte.is_ascii_digit());
        let offset = offset.parse().ok().filter(|_| is_decimal);
        Ok(Self {
            epoch: epoch.parse().map_err(|_| PositionError)?,
            offset: offset.ok_or(PositionError)?,
        })
    }
}

/// A life of a topic. A new one begins when the topic's publications were lost (a restart
/// without a durable store, a topic that was forgotten); offsets then restart at 1.
///
/// A UUID of version 8 (RFC 9562 §5.8) with the fields of version 7: the time at which the life
/// began, so that epochs sort by age, and 74 random bits, so that no two lives share an epoch. As
/// text it has the hyphenated form of 36 characters. Those of earlier builds are of version 7; see
/// [`Position::serial`].
///
/// ```
/// use nextrush_broker::Epoch;
///
/// let epoch = Epoch::begin(1_700_000_000_000);
/// assert_eq!(epoch.created_ms(), 1_700_000_000_000);
/// assert_eq!(epoch.to_string().parse(), Ok(epoch));
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(Uuid);

impl Epoch {
    /// Begins a life at `unix_ms`, in milliseconds since 1970. Two calls never return the
    /// same epoch.
    ///
    /// Times beyond the year 10889 do not fit into 48 bits and wrap.
    #[must_use]
    pub fn begin(unix_ms: u64) -> Self {
        let nanos = u32::try_from(unix_ms % 1000).unwrap_or_default() * 1_000_000;
        let time = Timestamp::from_unix(NoContext, unix_ms / 1000, nanos);
        let time_sorted = Uuid::new_v7(time);
        Self(Builder::from_custom_bytes(time_sorted.into_bytes()).into_uuid())
    }

    /// Derives an epoch of the same time. Different keys give different epochs.
    #[cfg(feature = "embedded")]
    pub(crate) fn with_key(self, key: u128) -> Self {
        // The random bits of RFC 9562 §5.7, `rand_a` and `rand_b`.
        const RANDOM: u128 = (0xfff << 64) | (u128::MAX >> 66);
        Self(Uuid::from_u128(self.0.as_u128() ^ (key & RANDOM)))
    }

    /// Reads the bytes of [`as_bytes`](Self::as_bytes). For implementers of brokers; `None` if
    /// they are not 16.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Uuid::from_slice(bytes).ok()?))
    }

    /// The bytes of the UUID.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The time at which this life began, in milliseconds since 1970.
    #[must_use]
    pub fn created_ms(&self) -> u64 {
        // The first 48 bits, RFC 9562 §5.7.
        self.0.as_u64_pair().0 >> 16
    }
}

/// The UUID version of epochs of earlier builds.
const TIME_SORTED: usize = 7;
/// The UUID version of epochs.
const CUSTOM: usize = 8;

/// The last number from which a life counts. It leaves room for a million million publications.
const LAST_BEGIN: u64 = (1 << 53) - (1 << 40);

/// The length of a position on disk.
pub(crate) const BYTES: usize = 24;

/// The bytes of a position on disk: the epoch, then the offset.
pub(crate) fn to_array(position: Position) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..16].copy_from_slice(position.epoch.0.as_bytes());
    bytes[16..].copy_from_slice(&position.offset.to_be_bytes());
    bytes
}

/// Reads the bytes of [`to_array`].
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Position> {
    let (epoch, offset) = bytes.split_at_checked(16)?;
    Some(Position::new(
        Epoch(Uuid::from_slice(epoch).ok()?),
        u64::from_be_bytes(offset.try_into().ok()?),
    ))
}

/// The error of a text that is no [`Epoch`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an epoch is a hyphenated UUID of version 7 or 8")]
#[non_exhaustive]
pub struct EpochError;

impl FromStr for Epoch {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Self, EpochError> {
        // The parser would also take braces, URNs and bare digits, but each epoch has one
        // spelling.
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(EpochError);
        }
        let uuid = Uuid::try_parse(text).map_err(|_| EpochError)?;
        match uuid.get_version_num() {
            TIME_SORTED | CUSTOM => Ok(Self(uuid)),
            _ => Err(EpochError),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Epoch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an epoch")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Epoch, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "018bcfe5-6800-7abc-8def-0123456789ab";

    #[cfg(feature = "embedded")]
    #[test]
    fn an_epoch_with_a_key_is_one_of_the_same_time() {
        let epoch = Epoch::begin(1_700_000_000_000);
        let keys = [0, 1, u128::MAX];
        let epochs = keys.map(|key| epoch.with_key(key));
        assert_eq!(epochs[0], epoch);
        for (n, epoch) in epochs.iter().enumerate() {
            assert_eq!(epoch.created_ms(), 1_700_000_000_000);
            assert_eq!(epoch.to_string().parse(), Ok(*epoch));
            assert_eq!(Epoch::from_bytes(epoch.as_bytes()), Some(*epoch));
            assert!(!epochs[..n].contains(epoch));
        }
    }

    #[test]
    fn a_position_survives_being_kept() {
        let position = Position::new(Epoch::begin(1_700_000_000_000), u64::MAX - 1);
        let bytes = to_array(position);
        assert_eq!(from_bytes(&bytes), Some(position));
        for wrong in [&bytes[..0], &bytes[..16], &bytes[..23], &[0; 25]] {
            assert_eq!(from_bytes(wrong), None);
        }
    }

    #[test]
    fn a_position_is_two_fields_of_a_message() {
        #[derive(Debug, Deserialize, PartialEq, Serialize)]
        struct Message {
            text: String,
            #[serde(flatten)]
            position: Position,
            #[serde(flatten)]
            none: Option<Position>,
        }

        let message = Message {
            text: "hi".to_owned(),
            position: Position::new(GOOD.parse().unwrap(), u64::MAX),
            none: None,
        };
        let json = format!(r#"{{"text":"hi","epoch":"{GOOD}","offset":18446744073709551615}}"#);
        assert_eq!(serde_json::to_string(&message).unwrap(), json);
        let read: Message = serde_json::from_str(&json).unwrap();
        assert_eq!(read.position, message.position);
        for wrong in [
            r#"{"text":"","epoch":"","offset":1}"#,
            r#"{"text":"","epoch":7,"offset":1}"#,
            r#"{"text":"","offset":1}"#,
        ] {
            assert!(serde_json::from_str::<Message>(wrong).is_err(), "{wrong}");
        }
        let negative = json.replace("18446744073709551615", "-1");
        assert!(serde_json::from_str::<Message>(&negative).is_err());
    }

    #[test]
    fn a_position_has_one_spelling() {
        let position = Position::new(GOOD.parse().unwrap(), 0);
        assert_eq!(position.to_string(), format!("{GOOD}:0"));
        assert_eq!(format!("{GOOD}:0").parse(), Ok(position));
        for wrong in ["", ":", GOOD, "x:1"] {
            assert_eq!(wrong.parse::<Position>(), Err(PositionError), "{wrong:?}");
        }
        for offset in ["", "+1", "-1", "1 ", "18446744073709551616", "1:2"] {
            let wrong = format!("{GOOD}:{offset}");
            assert_eq!(wrong.parse::<Position>(), Err(PositionError), "{wrong:?}");
        }
    }

    #[test]
    fn epochs_of_one_millisecond_differ() {
        let epochs: std::collections::HashSet<Epoch> =
            (0..1000).map(|_| Epoch::begin(1_700_000_000_000)).collect();
        assert_eq!(epochs.len(), 1000);
    }

    #[test]
    fn epochs_sort_by_the_time_they_began() {
        let times = [
            0,
            1,
            999,
            1000,
            1_700_000_000_000,
            1_700_000_000_001,
            (1 << 48) - 1,
        ];
        let epochs = times.map(Epoch::begin);
        assert_eq!(epochs.map(|epoch| epoch.created_ms()), times);
        assert!(epochs.is_sorted());
    }

    #[test]
    fn serials_rise_over_a_quick_restart_of_a_busy_topic() {
        let serial = |began_ms, offset| Position::new(Epoch::begin(began_ms), offset).serial();
        let began_ms = 1_795_876_000_000;
        assert!(serial(began_ms, 6001) < serial(began_ms + 700, 1));
        assert!(serial(began_ms, 999_000) < serial(began_ms + 1000, 1));
        // Above all that earlier builds have given out.
        let earlier: Epoch = "018bcfe5-6800-7abc-8def-0123456789ab".parse().unwrap();
        assert!(Position::new(earlier, 1 << 40).serial() < serial(1_700_000_000_001, 1));
        for began_ms in [0, began_ms, 9_007_199_254_740, (1 << 48) - 1] {
            assert!(serial(began_ms, 1 << 32) < 1 << 53, "{began_ms}");
        }
    }

    #[test]
    fn what_an_earlier_build_has_numbered_keeps_its_numbers() {
        let position = Position::new(GOOD.parse().unwrap(), 6001);
        assert_eq!(position.serial(), 1_700_000_006_001);
        let read = from_bytes(&to_array(position)).unwrap();
        assert_eq!(read.serial(), 1_700_000_006_001);
    }

    #[test]
    fn only_the_hyphenated_form_of_versions_7_and_8_is_an_epoch() {
        assert_eq!(GOOD.parse::<Epoch>().unwrap().to_string(), GOOD);
        assert_eq!(
            GOOD.parse::<Epoch>().unwrap().created_ms(),
            1_700_000_000_000
        );
        let newer = GOOD.replace("-7abc-", "-8abc-");
        assert_eq!(newer.parse::<Epoch>().unwrap().to_string(), newer);
        for bad in [
            "",
            "018bcfe568007abc8def0123456789ab",
            "{018bcfe5-6800-7abc-8def-0123456789ab}",
            "urn:uuid:018bcfe5-6800-7abc-8def-0123456789ab",
            "018bcfe5-6800-4abc-8def-0123456789ab",
            "00000000-0000-0000-0000-000000000000",
            "018bcfe5-6800-7abc-8def-0123456789ag",
            "018bcfe5-6800-7abc-8def-0123456789é",
        ] {
            assert_eq!(bad.parse::<Epoch>(), Err(EpochError), "{bad:?}");
        }
    }
}
