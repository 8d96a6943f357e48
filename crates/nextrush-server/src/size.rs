//! Sizes on the command line.

use std::str::FromStr;

/// A number of bytes, written plainly or in powers of 1,024: `65536`, `64K`, `500M`, `2G`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size(usize);

/// A text is no [`Size`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a size is a whole number of bytes, with K, M or G for powers of 1,024, such as 500M")]
#[non_exhaustive]
pub struct InvalidSize;

impl Size {
    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.0
    }
}

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let (number, unit) = match text.strip_suffix(|unit: char| "KMG".contains(unit)) {
            Some(number) => (number, &text[number.len()..]),
            None => (text, ""),
        };
        let shift = match unit {
            "K" => 10,
            "M" => 20,
            "G" => 30,
            _ => 0,
        };
        let is_plain = number.bytes().all(|digit| digit.is_ascii_digit());
        let number: usize = number.parse().map_err(|_| InvalidSize)?;
        let bytes = number.checked_mul(1 << shift).filter(|_| is_plain);
        bytes.map(Self).ok_or(InvalidSize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_power_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64K", 65_536),
            ("3M", 3 << 20),
            ("2G", 2 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in [
            "",
            "G",
            "1.5G",
            "-1",
            "+1",
            "1T",
            "1 G",
            "99999999999999999999",
            "99999999999999999G",
        ] {
            assert_eq!(text.parse::<Size>(), Err(InvalidSize), "{text}");
        }
    }
}
