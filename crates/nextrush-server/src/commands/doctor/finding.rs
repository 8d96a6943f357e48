//! Findings of the doctor.

use std::fmt;

/// The weight of a finding.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Level {
    Ok,
    Warn,
    Fail,
}

/// A finding, with what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Finding {
    pub(super) level: Level,
    what: String,
    /// Empty where there is nothing to do.
    to_do: String,
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            what: what.into(),
            to_do: String::new(),
        }
    }

    pub(super) fn warn(what: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            what: what.into(),
            to_do: to_do.into(),
        }
    }

    pub(super) fn fail(what: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self {
            level: Level::Fail,
            ..Self::warn(what, to_do)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        writeln!(f, "{level:<4}  {}", self.what)?;
        if !self.to_do.is_empty() {
            writeln!(f, "      -> {}", self.to_do)?;
        }
        Ok(())
    }
}
