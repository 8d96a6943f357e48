//! The lines that get into the log.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};

/// Directives that say which lines get into the log: a level (`info`), and others for crates or
/// modules (`warn,nextrush=debug`). A module without a level gets all its lines in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter(String);

/// The levels of libraries that say at info what only those want to know who look for a fault in them.
const QUIET: &[&str] = &["fjall=warn", "lsm_tree=warn"];

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
    pub fn to_targets(&self) -> Targets {
        let is_verbose = directives(&self.0).any(|directive| {
            let level = directive.parse::<LevelFilter>();
            level.is_ok_and(|level| level > LevelFilter::WARN)
        });
        let quiet = if is_verbose { QUIET } else { &[] };
        let asked: Vec<_> = directives(&self.0).collect();
        // Whatever comes later in the list wins.
        let all = [quiet, &asked].concat().join(",");
        all.parse().expect("directives that were parsed before")
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        // A word that is no level would be taken for the name of a crate of which everything
        // is logged, and a span or a field for a part of such a name.
        let is_right = |directive: &str| {
            let is_number = directive.bytes().all(|byte| byte.is_ascii_digit());
            let is_level = !is_number && directive.parse::<LevelFilter>().is_ok();
            let is_scoped =
                !directive.ends_with('=') && directive.contains('=') || directive.contains("::");
            (is_level || is_scoped)
                && !directive.contains(['[', '{'])
                && directive.parse::<Targets>().is_ok()
        };
        match directives(text).next().is_some() && directives(text).all(is_right) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidFilter),
        }
    }
}

fn directives(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty())
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_libraries_of_a_store_are_quiet_unless_they_are_named_or_others_are_quieter() {
        let levels = |text: &str| {
            let filter = text.parse::<Filter>().unwrap().to_targets().to_string();
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
            "nextrush::live",
            "info,,",
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
            "[socket]=debug",
            "nextrush[{user}]=debug",
            "nextrush=debug=trace",
        ] {
            assert_eq!(text.parse::<Filter>(), Err(InvalidFilter), "{text}");
        }
    }

    #[test]
    fn a_directive_of_a_module_outranks_that_of_its_crate_and_the_level_of_all() {
        let filter = "warn, nextrush=info,nextrush::live=trace,fjall=off".parse::<Filter>();
        let targets = filter.unwrap().to_targets();
        for (target, level, expected) in [
            ("hyper", Level::WARN, true),
            ("hyper", Level::INFO, false),
            ("nextrush::chat", Level::INFO, true),
            ("nextrush::chat", Level::DEBUG, false),
            ("nextrush::live::hook", Level::TRACE, true),
            ("fjall", Level::ERROR, false),
        ] {
            let found = targets.would_enable(target, &level);
            assert_eq!(found, expected, "{target} {level}");
        }
    }
}
