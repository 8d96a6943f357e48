//! The lines that get into the log.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Directives that say which lines get into the log, in the syntax of `tracing_subscriber`:
/// `info`, or `warn,nextrush=debug`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter(String);

/// The levels of libraries that say at info what only those want to know who look for a fault in them.
const QUIET: &str = "fjall=warn,lsm_tree=warn";

/// A text is no [`Filter`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected a level (error, warn, info, debug, trace or off), or directives such as \
     info,nextrush=debug"
)]
#[non_exhaustive]
pub struct InvalidFilter;

impl Filter {
    /// The filter of a log.
    #[must_use]
    pub fn to_env_filter(&self) -> EnvFilter {
        let is_verbose = self.directives().any(|directive| {
            let level = directive.parse::<LevelFilter>();
            level.is_ok_and(|level| level > LevelFilter::WARN)
        });
        // Whatever comes later in the list wins.
        match is_verbose {
            true => EnvFilter::new(format!("{QUIET},{}", self.0)),
            false => EnvFilter::new(&self.0),
        }
    }

    fn directives(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').map(str::trim)
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let directives = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        // A word that is no level would be taken for the name of a crate of which everything
        // is logged.
        let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
        let is_right = |directive: &str| {
            let is_scoped = !directive.ends_with('=') && directive.contains(['=', '['])
                || directive.contains("::");
            (is_level(directive) && !directive.bytes().all(|byte| byte.is_ascii_digit()))
                || (is_scoped && EnvFilter::builder().parse(directive).is_ok())
        };
        let all: Vec<_> = directives.collect();
        match !all.is_empty() && all.into_iter().all(is_right) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidFilter),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_of_a_store_are_quiet_unless_they_are_named_or_others_are_quieter() {
        let levels = |text: &str| {
            let filter = text.parse::<Filter>().unwrap().to_env_filter().to_string();
            let mut all: Vec<_> = filter.split(',').map(str::to_owned).collect();
            all.sort();
            all.join(",")
        };
        assert_eq!(levels("info"), "fjall=warn,info,lsm_tree=warn");
        assert_eq!(
            levels("trace,lsm_tree=debug"),
            "fjall=warn,lsm_tree=debug,trace"
        );
        assert_eq!(levels("error"), "error");
        assert_eq!(levels("off"), "off");
        assert_eq!(levels("nextrush=debug"), "nextrush=debug");
    }

    #[test]
    fn levels_and_directives_are_filters_and_misspelt_ones_are_not() {
        for text in [
            "info",
            "OFF",
            "warn,nextrush=debug",
            "info, nextrush::live=trace",
            "[socket]=debug",
            "nextrush::live",
        ] {
            assert!(text.parse::<Filter>().is_ok(), "{text}");
        }
        for text in [
            "",
            ",",
            "bogus",
            "nextrush=bogus",
            "info,nextrush=",
            "7",
            "inof",
        ] {
            assert_eq!(text.parse::<Filter>(), Err(InvalidFilter), "{text}");
        }
    }
}
