//! The values of settings, in layers: flags over the environment over the file over defaults.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nextrush_admin::ApiKey;

use super::file::{ConfigFile, Entry};
use super::flags::Flags;
use super::value::{Kind, Value};
use super::{Default, SETTINGS, Setting};
use crate::channels::Channel;
use crate::document::{Place, Problem, did_you_mean};

/// The variable that names the configuration file.
const CONFIG: &str = "NEXTRUSH_CONFIG";
/// The variables of other commands.
const OTHERS: [&str; 3] = [CONFIG, "NEXTRUSH_URL", "NEXTRUSH_TOKEN"];
/// The places of a configuration file that nobody has named.
const PLACES: [&str; 2] = ["nextrush.toml", "/etc/nextrush/nextrush.toml"];

/// The variables of the process.
#[derive(Clone, Debug, std::default::Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process, of which those that are no UTF-8 are left out.
    pub(crate) fn of_process() -> Self {
        let texts = env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self(texts.collect())
    }

    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let texts = variables.iter();
        Self(
            texts
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    /// The value of a variable. An empty one counts as one that is not set, as it comes from files
    /// of Compose and units of systemd.
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}

/// A value that somebody has given to a setting.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) place: Place,
    pub(crate) words: Vec<(String, Place)>,
    /// True if the word is the name of a file that holds the value.
    pub(crate) is_file: bool,
}

/// All values of a setting.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) setting: &'static Setting,
    /// The given values, the one that holds first.
    pub(crate) given: Vec<Given>,
}

/// All values of all settings.
#[derive(Debug)]
pub(crate) struct Layers {
    /// In the order of [`SETTINGS`].
    pub(crate) found: Vec<Found>,
    /// The configuration file.
    pub(crate) file: Option<PathBuf>,
    pub(crate) channels: Vec<Channel>,
    /// The keys of the API that are tables of the file.
    pub(crate) api_keys: Vec<ApiKey>,
    /// Oddities that are no faults.
    pub(crate) warnings: Vec<Problem>,
}

impl Layers {
    /// Gathers the values, and notes what is wrong with where they stand.
    pub(crate) fn gather(
        flags: &Flags,
        environment: &Environment,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let (file, contents) = read_file(flags, environment, problems);
        let mut found = Vec::new();
        for setting in SETTINGS {
            let mut given = Vec::new();
            given.extend(one_of(flags.given(setting), setting, problems));
            given.extend(one_of(
                in_environment(setting, environment),
                setting,
                problems,
            ));
            given.extend(one_of(in_file(setting, &contents), setting, problems));
            found.push(Found { setting, given });
        }
        let mut warnings = unknown_variables(environment);
        warnings.extend(
            file.as_deref()
                .and_then(|file| open_to_others(file, &contents)),
        );
        Self {
            found,
            file,
            channels: contents.channels,
            api_keys: contents.api_keys,
            warnings,
        }
    }

    /// The values of a file's text alone, without those that other files hold.
    pub(crate) fn of_text(path: &Path, text: &str, problems: &mut Vec<Problem>) -> Self {
        let contents = ConfigFile::parse_alone(path, text, problems);
        let found = SETTINGS.iter().map(|setting| {
            let given = in_file(setting, &contents).into_iter();
            let given = given.filter(|given| !given.is_file).collect();
            Found { setting, given }
        });
        Self {
            found: found.collect(),
            file: Some(path.to_owned()),
            channels: contents.channels,
            api_keys: contents.api_keys,
            warnings: Vec::new(),
        }
    }

    /// The values of a setting.
    pub(crate) fn of(&self, name: &str) -> &Found {
        let found = self.found.iter().find(|found| found.setting.name() == name);
        found.expect("the settings are known by name")
    }

    /// The words of the values that hold.
    pub(crate) fn words(&self) -> Vec<(&'static Setting, Vec<String>)> {
        let words = |found: &Found| {
            found
                .words(&mut Vec::new())
                .into_iter()
                .map(|(word, _)| word)
                .collect()
        };
        self.found
            .iter()
            .map(|found| (found.setting, words(found)))
            .collect()
    }

    /// The place from which a setting has its value.
    pub(crate) fn place(&self, name: &str) -> &Place {
        self.of(name).place()
    }
}

impl Found {
    pub(crate) fn place(&self) -> &Place {
        self.given
            .first()
            .map_or(&Place::Default, |given| &given.place)
    }

    /// Reads the value that holds; `None` if it is wrong, which is noted.
    pub(crate) fn read<T: Value>(&self, problems: &mut Vec<Problem>) -> Option<T> {
        let before = problems.len();
        let words = self.words(problems);
        let texts: Vec<_> = words.iter().map(|(word, _)| word.clone()).collect();
        match T::read(&texts) {
            Ok(value) => Some(value).filter(|_| problems.len() == before),
            Err(message) => {
                let mut is_told = false;
                for (word, place) in &words {
                    if let Err(message) = T::read(std::slice::from_ref(word)) {
                        problems.push(Problem::at(place, message));
                        is_told = true;
                    }
                }
                if !is_told {
                    problems.push(Problem::at(self.place(), message));
                }
                None
            }
        }
    }

    /// The words of the value that holds.
    fn words(&self, problems: &mut Vec<Problem>) -> Vec<(String, Place)> {
        match (self.given.first(), self.setting.default) {
            (Some(given), _) if given.is_file => {
                let mut words = given.words.clone();
                for (word, place) in &mut words {
                    match read_secret(word) {
                        Ok(secret) => *word = secret,
                        Err(error) => {
                            problems
                                .push(Problem::at(place, format!("cannot read {word}: {error}")));
                        }
                    }
                }
                words
            }
            (Some(given), _) => given.words.clone(),
            (None, Default::Value(word)) => vec![(word.to_owned(), Place::Default)],
            (None, Default::Absent(_)) => Vec::new(),
        }
    }
}

/// The value in a file, without the end of its line.
fn read_secret(path: &str) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    match secret.is_empty() {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is empty",
        )),
        false => Ok(secret.to_owned()),
    }
}

/// The configuration file and its contents.
fn read_file(
    flags: &Flags,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> (Option<PathBuf>, ConfigFile) {
    let named = match (&flags.config, environment.get(CONFIG)) {
        (Some(path), _) => Some((path.clone(), Place::Flag("config".to_owned()))),
        (None, Some(path)) => Some((path.into(), Place::Variable(CONFIG.to_owned()))),
        (None, None) => None,
    };
    let places = match &flags.places {
        Some(places) => places.clone(),
        None => PLACES.map(PathBuf::from).to_vec(),
    };
    let (path, place) = match named {
        Some((path, place)) => (path, place),
        None => match places.into_iter().find(|place| place.exists()) {
            Some(path) => (path, Place::Default),
            None => return (None, ConfigFile::default()),
        },
    };
    let contents = match fs::read_to_string(&path) {
        Ok(text) => ConfigFile::parse(&path, &text, problems),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            problems.push(Problem::at(&place, message));
            ConfigFile::default()
        }
    };
    (Some(path), contents)
}

/// The one value of a layer; two are noted as a fault.
fn one_of(given: Vec<Given>, setting: &Setting, problems: &mut Vec<Problem>) -> Option<Given> {
    let mut given = given.into_iter();
    let first = given.next()?;
    for other in given {
        let name = setting.name();
        let message = format!("{name} is given by {} as well: leave one out", first.place);
        problems.push(Problem::at(&other.place, message));
    }
    Some(first)
}

fn in_environment(setting: &Setting, environment: &Environment) -> Vec<Given> {
    let mut given = Vec::new();
    for name in setting.variables() {
        let place = |name: &str| Place::Variable(name.to_owned());
        if let Some(value) = environment.get(&name) {
            let words: Vec<_> = match setting.kind {
                Kind::List => split(value).collect(),
                Kind::Switch | Kind::Number | Kind::Text | Kind::Secret => vec![value.to_owned()],
            };
            let place = place(&name);
            given.push(Given {
                words: words
                    .into_iter()
                    .map(|word| (word, place.clone()))
                    .collect(),
                place,
                is_file: false,
            });
        }
        let of_file = format!("{name}_FILE");
        if let (Kind::Secret, Some(path)) = (setting.kind, environment.get(&of_file)) {
            let place = place(&of_file);
            given.push(Given {
                words: vec![(path.to_owned(), place.clone())],
                place,
                is_file: true,
            });
        }
    }
    given
}

/// The elements of a list in a variable.
pub(crate) fn split(list: &str) -> impl Iterator<Item = String> {
    list.split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
}

fn in_file(setting: &Setting, contents: &ConfigFile) -> Vec<Given> {
    let is_of = |entry: &&Entry| entry.setting.field == setting.field;
    let entries = contents.entries.iter().filter(is_of);
    let given = entries.map(|entry| Given {
        place: entry.place.clone(),
        words: entry.words.clone(),
        is_file: entry.is_file,
    });
    given.collect()
}

/// Warns of a secret in a file that every user of the machine can read.
#[cfg(unix)]
fn open_to_others(file: &Path, contents: &ConfigFile) -> Option<Problem> {
    use std::os::unix::fs::PermissionsExt as _;

    let is_secret = |entry: &&Entry| entry.setting.kind == Kind::Secret && !entry.is_file;
    let secret = contents.entries.iter().find(is_secret);
    let place = match secret {
        Some(entry) => entry.place.clone(),
        None if contents.has_key_values => Place::Flag("config".to_owned()),
        None => return None,
    };
    let mode = fs::metadata(file).ok()?.permissions().mode();
    let message = format!(
        "every user of this machine can read the secret in {0}: chmod o-r {0}",
        file.display()
    );
    (mode & 0o004 != 0).then(|| Problem::at(&place, message))
}

#[cfg(not(unix))]
fn open_to_others(_: &Path, _: &ConfigFile) -> Option<Problem> {
    None
}

/// Warns of variables that look like those of a setting. Others may be of whoever starts the
/// server: Kubernetes sets `NEXTRUSH_PORT` for a service of that name.
fn unknown_variables(environment: &Environment) -> Vec<Problem> {
    let mut known: Vec<String> = OTHERS.map(str::to_owned).to_vec();
    for setting in SETTINGS {
        for name in setting.variables() {
            if setting.kind == Kind::Secret {
                known.push(format!("{name}_FILE"));
            }
            known.push(name);
        }
    }
    let suffix = |name: &str| name.strip_prefix("NEXTRUSH_").map(str::to_lowercase);
    let suffixes: Vec<_> = known.iter().filter_map(|name| suffix(name)).collect();
    let mut warnings = Vec::new();
    for name in environment.0.keys() {
        let Some(wrong) = suffix(name).filter(|_| !known.contains(name)) else {
            continue;
        };
        let wrong = wrong.replace('_', "-");
        let dashed: Vec<_> = suffixes.iter().map(|it| it.replace('_', "-")).collect();
        if let Some(meant) = did_you_mean(&wrong, dashed.iter().map(String::as_str)) {
            let meant = meant.replace('-', "_").to_uppercase();
            let message = format!("there is no such setting: did you mean NEXTRUSH_{meant}?");
            warnings.push(Problem::at(&Place::Variable(name.clone()), message));
        }
    }
    warnings
}

/// The first of the places at which the server looks for its file.
pub(crate) fn usual_file() -> &'static Path {
    Path::new(PLACES[0])
}
