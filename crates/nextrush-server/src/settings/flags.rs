//! The flags of settings.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::given::{Given, split};
use super::value::Kind;
use super::{Default, SETTINGS, Setting};
use crate::document::Place;

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
                Kind::List => words.iter().flat_map(|word| split(word)).collect(),
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
    fn augment_args(program: Command) -> Command {
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

    fn augment_args_for_update(program: Command) -> Command {
        Self::augment_args(program)
    }
}

fn arg(setting: &Setting) -> Arg {
    let name = setting.name();
    let variable = setting.variables().swap_remove(0);
    let default = match setting.default {
        Default::Value(default) => format!(" [default: {default}]"),
        Default::Absent(_) => String::new(),
    };
    let help = format!("{} [env: {variable}]{default}", setting.summary());
    let mut long = format!("{}\n\n", setting.summary());
    for paragraph in setting.more() {
        long = format!("{long}{paragraph}\n\n");
    }
    if let Default::Absent(absent) = setting.default {
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
