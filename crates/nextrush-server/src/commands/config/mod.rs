//! `nextrush config`: shows, checks and writes configurations.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::Reading;
use crate::document::{ConfigError, Place, Problem};
use crate::settings::{
    Default, Environment, Flags, Found, Given, Kind, Layers, Reload, SETTINGS, Setting, usual_file,
};

/// A command about configurations.
#[derive(Clone, Debug, Subcommand)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the program has to run every command"
)]
pub enum ConfigCommand {
    /// Prints the value of each setting, where it comes from, and what it overrides.
    ///
    /// Takes the flags of the server. Secrets are not shown.
    Print(Flags),
    /// Checks the configuration as the server would at its start, and says all that is wrong.
    ///
    /// Takes the flags of the server, or the file alone. A missing JWT_SECRET is no fault here: the
    /// server's environment may have it.
    Check(Check),
    /// Writes a configuration file with all settings and their defaults, as comments.
    Init(Init),
}

/// The arguments of `nextrush config check`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Check {
    /// The configuration file, as with --config.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub file: Option<PathBuf>,

    /// The flags of the server.
    #[command(flatten)]
    pub flags: Flags,
}

/// The arguments of `nextrush config init`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Init {
    /// The file to write, which must not exist; `-` is standard output.
    #[arg(value_name = "FILE", default_value = usual_file().as_os_str())]
    pub file: PathBuf,
}

/// The reason why a command about configurations failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigCommandError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file cannot be written.
    #[error("cannot write {}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl ConfigCommand {
    /// Runs the command, which writes to `output`, and odd things to `notes`.
    ///
    /// # Errors
    ///
    /// The configuration is wrong, or something cannot be written.
    pub fn run(
        self,
        mut output: impl Write,
        mut notes: impl Write,
    ) -> Result<(), ConfigCommandError> {
        let environment = Environment::of_process();
        match self {
            Self::Print(flags) => {
                let reading = Reading::of(&flags, &environment);
                output.write_all(printed(&reading.layers).as_bytes())?;
                note(&mut notes, &reading.layers.warnings)?;
                check(reading)
            }
            Self::Check(Check { file, mut flags }) => {
                if let Some(file) = file {
                    flags.config = Some(file);
                }
                let reading = Reading::of(&flags, &environment);
                note(&mut notes, &reading.layers.warnings)?;
                let place = match &reading.layers.file {
                    Some(file) => file.display().to_string(),
                    None => "the configuration (no file)".to_owned(),
                };
                if reading.lacks_secret {
                    note(&mut notes, &reading.problems)?;
                }
                check(reading)?;
                writeln!(output, "{place} is right")?;
                Ok(())
            }
            Self::Init(Init { file }) => {
                let text = commented();
                if file.as_os_str() == "-" {
                    output.write_all(text.as_bytes())?;
                    return Ok(());
                }
                let written = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&file)
                    .and_then(|mut new| new.write_all(text.as_bytes()))
                    // It may hold secrets one day.
                    .and_then(|()| close_to_others(&file));
                match written {
                    Ok(()) => Ok(writeln!(output, "wrote {}", file.display())?),
                    Err(source) => Err(ConfigCommandError::File { file, source }),
                }
            }
        }
    }
}

#[cfg(unix)]
fn close_to_others(file: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn close_to_others(file: &std::path::Path) -> io::Result<()> {
    fs::metadata(file).map(drop)
}

fn check(reading: Reading) -> Result<(), ConfigCommandError> {
    if reading.lacks_secret {
        return Ok(());
    }
    reading.into_config()?;
    Ok(())
}

fn note(notes: &mut impl Write, problems: &[Problem]) -> io::Result<()> {
    problems
        .iter()
        .try_for_each(|problem| writeln!(notes, "nextrush: warning: {problem}"))
}

/// The values of all settings, as TOML.
fn printed(layers: &Layers) -> String {
    let mut text = String::new();
    if let Some(file) = &layers.file {
        text = format!("# {}\n", file.display());
    }
    for Found { setting, given } in &layers.found {
        let name = setting.name();
        let (value, place) = match given.first() {
            Some(given) => (shown(setting, given), source(&given.place)),
            None => match setting.default {
                Default::Value(word) => {
                    (toml(setting.kind, &[word.to_owned()]), "default".to_owned())
                }
                Default::Absent(absent) => (format!("({absent})"), "default".to_owned()),
            },
        };
        // What is no value is a comment.
        let mark = if value.starts_with('(') { "# " } else { "" };
        let name = match given.first() {
            Some(given) if given.is_file => format!("{name}-file"),
            _ => name,
        };
        let _ = write!(text, "{mark}{name} = {value}  # {place}");
        for (number, given) in given.iter().skip(1).enumerate() {
            let overrides = if number == 0 { "; overrides" } else { "," };
            let _ = write!(
                text,
                "{overrides} {} ({})",
                shown(setting, given),
                source(&given.place)
            );
        }
        text.push('\n');
    }
    for channel in &layers.channels {
        let _ = write!(text, "\n{channel}");
    }
    text
}

/// A place without the column, which nobody needs to find a line.
fn source(place: &Place) -> String {
    match place {
        Place::File { path, line, .. } => format!("{}:{line}", path.display()),
        place => place.to_string(),
    }
}

fn shown(setting: &Setting, given: &Given) -> String {
    let words: Vec<_> = given.words.iter().map(|(word, _)| word.clone()).collect();
    match setting.kind {
        Kind::Secret if given.is_file => toml(Kind::Text, &words),
        Kind::Secret => "(hidden)".to_owned(),
        kind => toml(kind, &words),
    }
}

/// A value in the syntax of TOML.
fn toml(kind: Kind, words: &[String]) -> String {
    // A text of JSON is one of TOML.
    let quoted = |word: &String| serde_json::Value::from(word.as_str()).to_string();
    match (kind, words) {
        (Kind::List, words) => format!(
            "[{}]",
            words.iter().map(quoted).collect::<Vec<_>>().join(", ")
        ),
        (Kind::Switch, [word]) => {
            let is_on = matches!(&*word.to_lowercase(), "true" | "1" | "yes" | "on");
            is_on.to_string()
        }
        (Kind::Number, [word]) if word.bytes().all(|byte| byte.is_ascii_digit()) => word.clone(),
        (_, words) => words.iter().map(quoted).collect(),
    }
}

/// A configuration file with all settings as comments.
pub(crate) fn commented() -> String {
    let mut text = String::from(
        "# The configuration of NextRush, in TOML. Each setting is a flag and a variable as well:\n\
         # listen is --listen and NEXTRUSH_LISTEN. Flags count before variables, variables before\n\
         # this file. `nextrush config check` checks it, `nextrush config print` shows what holds.\n\
         # SIGHUP makes the server read it again.\n",
    );
    for setting in SETTINGS {
        text.push('\n');
        for paragraph in std::iter::once(setting.summary()).chain(setting.more()) {
            wrap(&mut text, &paragraph);
        }
        let reload = match setting.reload {
            Reload::Start => "",
            Reload::Hangup => " SIGHUP reloads it.",
        };
        let value = match setting.default {
            Default::Value(word) => {
                if !reload.is_empty() {
                    wrap(&mut text, reload.trim());
                }
                toml(setting.kind, &[word.to_owned()])
            }
            Default::Absent(absent) => {
                wrap(&mut text, &format!("Default: {absent}.{reload}"));
                let word = match setting.kind {
                    Kind::Switch => "true".to_owned(),
                    Kind::Number => "1".to_owned(),
                    Kind::List | Kind::Text | Kind::Secret => format!("<{}>", setting.value),
                };
                toml(setting.kind, &[word])
            }
        };
        let _ = writeln!(text, "#{} = {value}", setting.name());
        if setting.kind == Kind::Secret {
            let _ = writeln!(text, "#{}-file = \"<FILE>\"", setting.name());
        }
    }
    text.push_str(CHANNELS);
    text
}

/// Appends a comment, wrapped.
fn wrap(text: &mut String, paragraph: &str) {
    let mut line = String::from("#");
    for word in paragraph.split(' ') {
        if line.len() + word.len() > 95 {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(text, "{line}");
}

/// The end of a commented file.
const CHANNELS: &str = "
# Kinds of live channels, by pattern; of those that fit a name the first holds. Once there is
# one, clients may subscribe to no channels that none fits. SIGHUP reloads subscribe and publish.
# Rules: \"any\", \"signed-in\", \"nobody\", or what a client's token has to say, of a list one of it.
#[[channel]]
#pattern = \"board-:id\"
#subscribe = { claim = \"boards\", contains = \":id\" }   # default: \"signed-in\"
#publish = [{ user = \":id\" }, { claim = \"role\", is = [\"admin\", \"editor\"] }]   # default: \"nobody\"
#history = 100            # publications; default: none
#history-age = \"1h\"       # default: 1h
#history-bytes = \"1M\"     # of each channel; default: no bound
#presence = true          # default: false
#slow-readers = \"heal\"    # heal, latest, drop, close; default: heal with a history, else close
#latest-value = true      # default: false
#key = \"/symbol\"          # a JSON pointer: the newest update of each key; default: none
";

#[cfg(test)]
mod tests;
