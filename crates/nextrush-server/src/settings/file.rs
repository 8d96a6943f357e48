//! The configuration file: TOML, read with the place of everything in it.

use std::collections::HashMap;
use std::path::Path;

use nextrush_admin::ApiKey;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggestion::flag_for;
use super::value::Kind;
use super::{SETTINGS, Setting};
use crate::api_keys;
use crate::channels::Channel;
use crate::document::{Place, Problem, Reader, did_you_mean, in_order, kind_of};

/// The key of the tables of channels.
const CHANNEL: &str = "channel";
/// The key of the tables of API keys, and of the only API key.
const API_KEY: &str = "api-key";
/// The end of the key of a file that holds a secret.
const FILE: &str = "-file";

/// A value of the file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) setting: &'static Setting,
    /// True if this is the name of a file that holds the value.
    pub(super) is_file: bool,
    pub(super) place: Place,
    pub(super) words: Vec<(String, Place)>,
}

/// The contents of a configuration file.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    pub(super) entries: Vec<Entry>,
    pub(super) channels: Vec<Channel>,
    pub(super) api_keys: Vec<ApiKey>,
    /// True if a key of the API stands in the file itself.
    pub(super) has_key_values: bool,
}

impl ConfigFile {
    /// Reads a file's text, and notes all that is wrong with it.
    pub(super) fn parse(path: &Path, text: &str, problems: &mut Vec<Problem>) -> Self {
        Self::read(Reader::new(path, text, problems), text)
    }

    /// The same, without the files of secrets that the text names.
    pub(super) fn parse_alone(path: &Path, text: &str, problems: &mut Vec<Problem>) -> Self {
        let mut reader = Reader::new(path, text, problems);
        reader.reads_files = false;
        Self::read(reader, text)
    }

    fn read(mut reader: Reader<'_>, text: &str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                let span = error.span().unwrap_or_default();
                reader.wrong(span, error.message());
            }
            // What follows would be guesses about the rest.
            return Self::default();
        }
        reader.read(table.get_ref())
    }
}

impl Reader<'_> {
    fn read(&mut self, table: &DeTable<'_>) -> ConfigFile {
        let mut file = ConfigFile::default();
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            if name == CHANNEL {
                file.channels = self.channels(value);
                continue;
            }
            if name == API_KEY && value.get_ref().is_array() {
                (file.api_keys, file.has_key_values) = self.api_keys(value);
                continue;
            }
            let named = |setting: &&Setting| setting.name() == name;
            let of_file = |setting: &&Setting| {
                setting.kind == Kind::Secret
                    && name
                        .strip_suffix(FILE)
                        .is_some_and(|name| setting.name() == name)
            };
            let (setting, is_file) = match SETTINGS.iter().find(named) {
                Some(setting) => (setting, false),
                None => match SETTINGS.iter().find(of_file) {
                    Some(setting) => (setting, true),
                    None => {
                        let meant = did_you_mean(name, [CHANNEL, "channels"]);
                        let meant =
                            meant.map_or_else(|| flag_for(name), |_| Some(format!("[{CHANNEL}]")));
                        self.unknown(key.span(), "setting", name, meant.as_deref());
                        continue;
                    }
                },
            };
            let kind = if is_file { Kind::Text } else { setting.kind };
            if let Some(words) = self.words(kind, value) {
                file.entries.push(Entry {
                    setting,
                    is_file,
                    place: self.place(key.span()),
                    words,
                });
            }
        }
        file
    }

    fn channels(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Channel> {
        let Some(tables) = value.get_ref().as_array() else {
            self.wrong(
                value.span(),
                "channels are tables that begin with [[channel]]",
            );
            return Vec::new();
        };
        let mut channels: Vec<Channel> = Vec::new();
        let mut places: HashMap<String, Place> = HashMap::new();
        for table in tables.iter() {
            let Some(fields) = table.get_ref().as_table() else {
                self.wrong(
                    table.span(),
                    "a channel is a table that begins with [[channel]]",
                );
                continue;
            };
            let Some(channel) = Channel::read(self, table.span(), fields) else {
                continue;
            };
            if let Some(first) = places.get(&channel.pattern) {
                let message = format!("the pattern {:?} is at {first} already", channel.pattern);
                self.wrong_at(&channel.place, message);
            }
            places.insert(channel.pattern.clone(), channel.place.clone());
            channels.push(channel);
        }
        channels
    }

    /// The keys, and whether one of them stands in the file itself.
    fn api_keys(&mut self, value: &Spanned<DeValue<'_>>) -> (Vec<ApiKey>, bool) {
        let mut has_values = false;
        let mut keys: Vec<ApiKey> = Vec::new();
        for table in value.get_ref().as_array().into_iter().flatten() {
            let Some(fields) = table.get_ref().as_table() else {
                self.wrong(
                    table.span(),
                    "an API key is a text, or a table that begins with [[api-key]]",
                );
                continue;
            };
            has_values |= fields.contains_key("value");
            let Some(key) = api_keys::read(self, table.span(), fields) else {
                continue;
            };
            if keys.iter().any(|other| other.name() == key.name()) {
                let message = format!("there is an API key {:?} already", key.name());
                self.wrong(table.span(), message);
            }
            keys.push(key);
        }
        (keys, has_values)
    }

    /// The words of a value of this kind.
    fn words(&mut self, kind: Kind, value: &Spanned<DeValue<'_>>) -> Option<Vec<(String, Place)>> {
        if let (Kind::List, DeValue::Array(values)) = (kind, value.get_ref()) {
            let words = values.iter().map(|value| self.word(Kind::Text, value));
            // All of them are looked at.
            let words: Vec<_> = words.collect();
            return words.into_iter().collect();
        }
        self.word(kind, value).map(|word| vec![word])
    }

    fn word(&mut self, kind: Kind, value: &Spanned<DeValue<'_>>) -> Option<(String, Place)> {
        let word = match (kind, value.get_ref()) {
            (Kind::Switch, DeValue::Boolean(is_on)) => is_on.to_string(),
            (Kind::Number | Kind::Text | Kind::List, DeValue::Integer(number)) => {
                number.to_string()
            }
            (Kind::Text | Kind::List | Kind::Secret, DeValue::String(text)) => text.to_string(),
            (kind, other) => {
                let expected = match kind {
                    Kind::Switch => "true or false",
                    Kind::Number => "a whole number",
                    Kind::Text | Kind::Secret => "a text in quotes",
                    Kind::List => "a list of texts, as [\"…\", \"…\"]",
                };
                let found = kind_of(other);
                self.wrong(value.span(), format!("expected {expected}, not {found}"));
                return None;
            }
        };
        Some((word, self.place(value.span())))
    }
}
