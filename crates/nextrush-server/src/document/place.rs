//! Places of settings, and what is wrong with them.

use std::fmt;
use std::path::PathBuf;

/// The place in which a setting stands.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Place {
    /// A flag of the command line.
    Flag(String),
    /// A variable of the environment.
    Variable(String),
    /// A place in the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// The server's own default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::Default => f.write_str("default"),
        }
    }
}

/// Something that is wrong with a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The place; `None` for what is missing.
    pub place: Option<Place>,
    /// The fault, and what to do about it.
    pub message: String,
}

impl Problem {
    pub(crate) fn at(place: &Place, message: impl Into<String>) -> Self {
        // A default is never wrong by itself: something is missing beside it.
        let place = Some(place.clone()).filter(|place| *place != Place::Default);
        let message = message.into();
        Self { place, message }
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::at(&Place::Default, message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// A configuration with which the server refuses to start: everything that is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConfigError {
    /// At least one problem.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// True if the command line is wrong, perhaps among others.
    #[must_use]
    pub fn is_of_command_line(&self) -> bool {
        let is_flag = |problem: &Problem| matches!(problem.place, Some(Place::Flag(_)));
        self.problems.iter().any(is_flag)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problems[..] {
            [problem] => problem.fmt(f),
            problems => {
                write!(f, "{} faults in the configuration:", problems.len())?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}
