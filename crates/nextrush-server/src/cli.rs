//! The command line.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::commands::{
    Bench, Completions, ConfigCommand, Doctor, Health, Man, Publish, StoreCommand, Tail, Token,
    Trace,
};
use crate::settings::{self, Flags};

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
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Token(Token),
    /// Checks, measures, backs up and moves what a server keeps.
    #[command(subcommand)]
    Store(StoreCommand),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Trace(Trace),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Doctor(Doctor),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Health(Health),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Completions(Completions),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Man(Man),
}

impl Cli {
    /// Reads the command line of this process; ends it with a message if that is wrong, or asks
    /// for help or the version.
    #[must_use]
    pub fn of_process() -> Self {
        Self::try_parse().unwrap_or_else(|error| suggested(error).exit())
    }
}

/// The error with the suggestion of the settings where clap has none, or a setting: `--port` is like no
/// flag, and `--prot` is nearer to it than to `--proxy-protocol`.
fn suggested(mut error: clap::Error) -> clap::Error {
    let by_clap = match error.get(ContextKind::SuggestedArg) {
        None => None,
        Some(ContextValue::String(flag)) => Some(flag.trim_start_matches("--")),
        Some(_) => return error,
    };
    let is_setting = |flag: &str| settings::flag_for(flag).as_deref() == Some(flag);
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag))
            if error.kind() == ErrorKind::UnknownArgument && by_clap.is_none_or(is_setting) =>
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

impl From<Cli> for Flags {
    /// The settings of the server, whether the command to serve is there or not.
    fn from(cli: Cli) -> Self {
        match cli.command {
            Some(Command::Serve(flags)) => flags,
            _ => cli.flags,
        }
    }
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
            (&["store", "chek"], "check"),
            (&["docter"], "doctor"),
            (&["helth"], "health"),
            (&["doctor", "--prot", "80"], "--listen"),
            (&["store", "stats", "--larges", "3"], "--largest"),
        ] {
            let line = ["nextrush"].iter().chain(wrong);
            let error = suggested(Cli::try_parse_from(line).unwrap_err()).to_string();
            let tip = error.lines().find(|line| line.contains("tip:"));
            let tip = tip.unwrap_or_else(|| panic!("{wrong:?}: {error}"));
            assert!(tip.contains(&format!("'{meant}'")), "{wrong:?}: {tip}");
        }
    }
}
