//! Positions in a channel, as the commands take and print them.

use std::fmt;
use std::str::FromStr;

use nextrush::broker::Epoch;
use serde::{Deserialize, Serialize};

/// A position in a channel, written as `epoch:offset`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Position {
    /// The life of the channel.
    pub epoch: String,
    /// The offset of the last publication before it.
    pub offset: u64,
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a position looks like 018bcfe5-6800-7abc-8def-0123456789ab:7")]
#[non_exhaustive]
pub struct InvalidPosition;

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (epoch, offset) = text.split_once(':').ok_or(InvalidPosition)?;
        let epoch: Epoch = epoch.parse().map_err(|_| InvalidPosition)?;
        Ok(Self {
            epoch: epoch.to_string(),
            offset: offset.parse().map_err(|_| InvalidPosition)?,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_has_an_epoch_and_an_offset() {
        let epoch = "018bcfe5-6800-7abc-8def-0123456789ab";
        let position: Position = format!("{epoch}:7").parse().unwrap();
        assert_eq!((&*position.epoch, position.offset), (epoch, 7));
        assert_eq!(position.to_string(), format!("{epoch}:7"));
        for text in [
            "",
            "7",
            ":7",
            &format!("{epoch}:"),
            &format!("{epoch}:-1"),
            "x:1",
        ] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
        }
    }
}
