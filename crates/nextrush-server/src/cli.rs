//! The command line.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command as Program, FromArgMatches, Parser, Subcommand,
};

use crate::commands::{Bench, ConfigCommand, Publish, Tail};
use crate::settings::{self, Given, Kind, Place, SETTINGS, Setting};

/// NextRush: chat and live updates over WebSockets.
#[derive(Clone, Debug, Parser)]
#[non_exhaustive]
#[command(name = "nextrush", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The command to run; to serve if there is none.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The settings of the server.
    #[command(flatten)]
    pub flags: Flags,
}

/// A command of the program.
#[derive(Clone, Debug, Subcommand)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the program has to run every command"
)]
pub enum Command {
    /// Serves, as without a command.
    Serve(Flags),
    /// Shows, checks or writes a configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Bench(Bench),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Publish(Publish),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Tail(Tail),
}

impl Cli {
    /// Reads the command line of this process; ends it with a message if that is wrong, or asks
    /// for help or the version.
    #[must_use]
    pub fn of_process() -> Self {
        Self::try_parse().unwrap_or_else(|error| suggested(error).exit())
    }
}

/// The error with a suggestion where clap has none: `--port` is like no flag.
fn suggested(mut error: clap::Error) -> clap::Error {
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag))
            if error.kind() == ErrorKind::UnknownArgument
                && error.get(ContextKind::SuggestedArg).is_none() =>
        {
            flag.strip_prefix("--")
        }
        _ => None,
    };
    if let Some(meant) = unknown.and_then(settings::flag_for) {
        let meant = ContextValue::String(format!("--{meant}"));
        error.insert(ContextKind::SuggestedArg, meant);
    }
    error
}

/// The settings that a command line gives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Flags {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The words of flags.
    given: Vec<(String, Vec<String>)>,
    /// The places of a configuration file that nobody has named, in place of the usual ones.
    pub(crate) places: Option<Vec<PathBuf>>,
}

impl Flags {
    /// No flags, but perhaps a configuration file.
    pub(crate) fn of_file(config: Option<PathBuf>) -> Self {
        Self {
            config,
            given: Vec::new(),
            places: None,
        }
    }

    /// The values that the flags of a setting have.
    pub(crate) fn given(&self, setting: &Setting) -> Vec<Given> {
        let name = setting.name();
        let of_file = format!("{name}-file");
        let mut all = Vec::new();
        for (flag, words) in &self.given {
            let is_file = setting.kind == Kind::Secret && *flag == of_file;
            if *flag != name && !is_file {
                continue;
            }
            let place = Place::Flag(flag.clone());
            let words: Vec<_> = match setting.kind {
                Kind::List => words
                    .iter()
                    .flat_map(|word| settings::split(word))
                    .collect(),
                Kind::Switch | Kind::Number | Kind::Text | Kind::Secret => words.clone(),
            };
            all.push(Given {
                words: words
                    .into_iter()
                    .map(|word| (word, place.clone()))
                    .collect(),
                place,
                is_file,
            });
        }
        all
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::of_file(None);
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(config) = matches.get_one::<PathBuf>("config") {
            self.config = Some(config.clone());
        }
        for flag in SETTINGS.iter().flat_map(flags_of) {
            if matches.value_source(&flag) == Some(ValueSource::CommandLine) {
                let words = matches.get_many::<String>(&flag).unwrap_or_default();
                let words = words.cloned().collect();
                self.given.retain(|(given, _)| *given != flag);
                self.given.push((flag, words));
            }
        }
        Ok(())
    }
}

/// The flags of a setting: of a secret a second one that names a file.
fn flags_of(setting: &Setting) -> impl Iterator<Item = String> + use<> {
    let name = setting.name();
    let of_file = (setting.kind == Kind::Secret).then(|| format!("{name}-file"));
    std::iter::once(name).chain(of_file)
}

impl Args for Flags {
    fn augment_args(program: Program) -> Program {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The configuration file [env: NEXTRUSH_CONFIG] [default: ./nextrush.toml or /etc/nextrush/nextrush.toml]");
        let mut program = program.arg(config);
        for setting in SETTINGS {
            program = program.arg(arg(setting));
            if setting.kind == Kind::Secret {
                program = program.arg(arg_of_file(setting));
            }
        }
        program
    }

    fn augment_args_for_update(program: Program) -> Program {
        Self::augment_args(program)
    }
}

fn arg(setting: &Setting) -> Arg {
    let name = setting.name();
    let variable = setting.variables().swap_remove(0);
    let default = match setting.default {
        settings::Default::Value(default) => format!(" [default: {default}]"),
        settings::Default::Absent(_) => String::new(),
    };
    let help = format!("{} [env: {variable}]{default}", setting.summary());
    let mut long = format!("{}\n\n", setting.summary());
    for paragraph in setting.more() {
        long = format!("{long}{paragraph}\n\n");
    }
    if let settings::Default::Absent(absent) = setting.default {
        long = format!("{long}Default: {absent}.\n\n");
    }
    let long = format!("{long}[env: {variable}]{default}");
    let arg = Arg::new(name.clone())
        .long(name)
        .value_name(setting.value)
        .help(help)
        .long_help(long);
    match setting.kind {
        Kind::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::List => arg.action(ArgAction::Append),
        Kind::Number | Kind::Text | Kind::Secret => arg,
    }
}

/// The flag for a file that holds a secret.
fn arg_of_file(setting: &Setting) -> Arg {
    let name = setting.name();
    let variable = setting.variables().swap_remove(0);
    let of_file = format!("{name}-file");
    Arg::new(of_file.clone())
        .long(of_file)
        .value_name("FILE")
        .hide_short_help(true)
        .help(format!(
            "A file that holds the value of --{name} [env: {variable}_FILE]"
        ))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_misspelt_flag_or_command_is_answered_with_the_one_that_was_meant() {
        for (wrong, meant) in [
            (&["--prot", "80"][..], "--listen"),
            (&["--port", "80"], "--listen"),
            (&["--lisen", "80"], "--listen"),
            (&["serve", "--cors", "x"], "--allow-origin"),
            (&["serv"], "serve"),
            (&["serv", "--listen", "80"], "serve"),
            (&["confg", "check"], "config"),
            (&["config", "chek"], "check"),
            (&["publsh"], "publish"),
        ] {
            let line = ["nextrush"].iter().chain(wrong);
            let error = suggested(Cli::try_parse_from(line).unwrap_err()).to_string();
            let tip = error.lines().find(|line| line.contains("tip:"));
            let tip = tip.unwrap_or_else(|| panic!("{wrong:?}: {error}"));
            assert!(tip.contains(&format!("'{meant}'")), "{wrong:?}: {tip}");
        }
    }
}
