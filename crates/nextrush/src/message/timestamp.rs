//! Points in time, as they go over the wire.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time to the millisecond, written in UTC with three decimals, as
/// `Date.prototype.toISOString` does.
///
/// ```
/// use nextrush::message::Timestamp;
///
/// let time = Timestamp::from_unix_ms(1_769_850_307_123);
/// assert_eq!(time.to_string(), "2026-01-31T09:05:07.123Z");
/// assert_eq!(serde_json::to_string(&time)?, r#""2026-01-31T09:05:07.123Z""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The time of the system's clock; one set to before 1970 counts as 1970.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since.unwrap_or_default().as_millis();
        Self::from_unix_ms(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// The time so many milliseconds after the beginning of 1970 (UTC). What lies
    /// beyond the last day of the year 9999 becomes the last moment that can be
    /// written with a year of four digits.
    #[must_use]
    pub fn from_unix_ms(ms: u64) -> Self {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        Self(jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX))
    }

    /// The milliseconds since the beginning of 1970 (UTC); 0 for times before.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        u64::try_from(self.0.as_millisecond()).unwrap_or(0)
    }

    /// The text, where it has the usual length. Messages come many in a second, so all but the
    /// milliseconds is kept from one to the next: 50 instructions instead of 800.
    fn to_text(self) -> Option<[u8; LENGTH]> {
        let ms = self.0.as_millisecond();
        let second = ms.div_euclid(1000);
        let mut text = match LAST.get() {
            (last, text) if last == second => text,
            _ => {
                let text = <[u8; LENGTH]>::try_from(self.to_string().as_bytes()).ok()?;
                LAST.set((second, text));
                text
            }
        };
        let ms = ms.rem_euclid(1000) as u16;
        for (place, digit) in [(20, ms / 100), (21, ms / 10 % 10), (22, ms % 10)] {
            text[place] = b'0' + digit as u8;
        }
        Some(text)
    }
}

/// The length of a time's text, of years with four digits.
const LENGTH: usize = "2026-01-31T09:05:07.123Z".len();

thread_local! {
    /// The second that was written last, and the text of a time in it.
    static LAST: Cell<(i64, [u8; LENGTH])> = const { Cell::new((i64::MIN, [0; LENGTH])) };
}

/// `2026-01-31T09:05:07.123Z`
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

/// The same as `Display`.
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is no time of RFC 3339.
#[derive(Clone, Debug, thiserror::Error)]
#[error("expected a time such as 2026-01-31T09:05:07.123Z")]
pub struct InvalidTimestamp(#[source] jiff::Error);

/// Reads any time of RFC 3339, in whichever zone; what is finer than a
/// millisecond is cut off.
impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let time: jiff::Timestamp = text.parse().map_err(InvalidTimestamp)?;
        jiff::Timestamp::from_millisecond(time.as_millisecond())
            .map(Self)
            .map_err(InvalidTimestamp)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_text();
        match text.as_ref().map(|text| str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_exactly_three_decimals() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1, "1970-01-01T00:00:00.001Z"),
            (1_769_850_307_000, "2026-01-31T09:05:07.000Z"),
            (1_769_850_307_120, "2026-01-31T09:05:07.120Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_unix_ms(ms).to_string(), expected);
        }
    }

    #[test]
    fn a_time_is_written_the_same_whichever_was_written_before() {
        let near = 1_769_850_307_000;
        let times = [near, near + 7, near + 999, near + 1000, near - 1, near + 40];
        let far = [0, 951_782_399_999, u64::MAX, near + 123];
        for before in times.into_iter().chain(far) {
            for ms in times.into_iter().chain(far) {
                serde_json::to_string(&Timestamp::from_unix_ms(before)).unwrap();
                let time = Timestamp::from_unix_ms(ms);
                let written = serde_json::to_string(&time).unwrap();
                assert_eq!(written, format!("\"{time}\""), "{before} {ms}");
            }
        }
        for long in ["-000044-03-15T12:00:00Z", "1969-12-31T23:59:59.999Z"] {
            let time: Timestamp = long.parse().unwrap();
            let written = serde_json::to_string(&time).unwrap();
            assert_eq!(written, format!("\"{time}\""));
        }
    }

    #[test]
    fn times_beyond_the_year_9999_are_written_as_its_end() {
        for ms in [253_402_300_800_000, u64::MAX] {
            let text = Timestamp::from_unix_ms(ms).to_string();
            assert!(text.starts_with("9999-12-3"), "{text}");
            assert_eq!(text.len(), "2026-01-31T09:05:07.123Z".len());
        }
    }

    #[test]
    fn the_milliseconds_come_back() {
        for ms in [0, 1, 1_769_850_307_123, 253_000_000_000_000] {
            assert_eq!(Timestamp::from_unix_ms(ms).unix_ms(), ms);
        }
    }

    #[test]
    fn now_is_between_the_clock_before_and_after() {
        let clock = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_millis()
        };
        let before = clock();
        let now = u128::from(Timestamp::now().unix_ms());
        assert!((before..=clock()).contains(&now));
    }

    #[test]
    fn a_written_time_is_read_again() {
        let time = Timestamp::from_unix_ms(1_769_850_307_123);
        for json in [
            r#""2026-01-31T09:05:07.123Z""#,
            r#""2026-01-31T10:05:07.123999+01:00""#,
            r#""2026-01-31T09:05:07.123\u005a""#,
        ] {
            assert_eq!(
                serde_json::from_str::<Timestamp>(json).unwrap(),
                time,
                "{json}"
            );
        }
        for json in [
            "1769850307123",
            r#""""#,
            r#""yesterday""#,
            r#""2026-01-31""#,
            "null",
        ] {
            assert!(serde_json::from_str::<Timestamp>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn times_are_ordered() {
        assert!(Timestamp::from_unix_ms(1) < Timestamp::from_unix_ms(2));
    }
}
