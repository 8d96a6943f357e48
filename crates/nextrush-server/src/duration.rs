//! Durations with units.

use std::time::Duration;

/// The longest duration that is read.
const LONGEST: f64 = 86_400.0;

/// Reads `10s`, `500ms`, `2m`, `1h`, or seconds without a unit; a day at most.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let number: f64 = number
        .bytes()
        .all(is_plain)
        .then(|| number.parse().ok())??;
    let seconds = number * unit;
    (seconds <= LONGEST).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        for (text, ms) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1.5", 1_500),
            ("0", 0),
            ("24h", 86_400_000),
        ] {
            assert_eq!(read(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1s", "+1", "1 s", "1d", "25h", "inf", "1e3", "."] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
