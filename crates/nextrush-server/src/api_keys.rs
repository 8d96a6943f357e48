//! Tables `[[api-key]]` of the configuration file.

use std::fs;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nextrush_admin::{Action, ApiKey};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::{Reader, did_you_mean, in_order, kind_of};

/// The keys of a table.
const KEYS: [&str; 6] = ["name", "value", "value-file", "channels", "may", "expires"];

type Entry<'t, 'i> = &'t Spanned<DeValue<'i>>;

/// Reads a table, and notes all that is wrong with it; `None` if anything is.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    span: Range<usize>,
    table: &DeTable<'_>,
) -> Option<ApiKey> {
    let mut is_right = true;
    for (key, _) in in_order(table) {
        let name = key.get_ref().as_ref();
        if !KEYS.contains(&name) {
            reader.unknown(
                key.span(),
                "key of an API key",
                name,
                did_you_mean(name, KEYS),
            );
            is_right = false;
        }
    }
    let name = match table.get("name") {
        Some(value) => text(reader, value),
        None => {
            reader.wrong(
                span.clone(),
                "an API key has a name, as in name = \"billing\"",
            );
            None
        }
    };
    let secret = secret(reader, span, table);
    let mut key = name
        .zip(secret)
        .map(|(name, secret)| ApiKey::new(name, secret));
    if let Some(value) = table.get("channels") {
        key = channels(reader, value, key);
        is_right &= key.is_some();
    }
    if let Some(value) = table.get("may") {
        match actions(reader, value) {
            Some(actions) => key = key.map(|key| key.only(actions)),
            None => is_right = false,
        }
    }
    if let Some(value) = table.get("expires") {
        match expires(reader, value) {
            Some(time) => key = key.map(|key| key.expires(time)),
            None => is_right = false,
        }
    }
    key.filter(|_| is_right)
}

/// The key itself, of the table or of a file of its own.
fn secret(reader: &mut Reader<'_>, span: Range<usize>, table: &DeTable<'_>) -> Option<String> {
    let (secret, span) = match (table.get("value"), table.get("value-file")) {
        (Some(value), None) => (text(reader, value)?, value.span()),
        (None, Some(value)) => {
            let path = text(reader, value)?;
            if !reader.reads_files {
                return Some("-".repeat(ApiKey::MIN_BYTES));
            }
            match fs::read_to_string(&path) {
                Ok(text) => (text.trim_end_matches(['\r', '\n']).to_owned(), value.span()),
                Err(error) => {
                    reader.wrong(value.span(), format!("cannot read {path}: {error}"));
                    return None;
                }
            }
        }
        (None, None) => {
            reader.wrong(
                span,
                "an API key has a value, or a value-file that holds it",
            );
            return None;
        }
        (Some(_), Some(file)) => {
            reader.wrong(file.span(), "the key has a value as well: leave one out");
            return None;
        }
    };
    if secret.len() < ApiKey::MIN_BYTES {
        let message = format!("the key is shorter than {} bytes", ApiKey::MIN_BYTES);
        reader.wrong(span, message);
        return None;
    }
    Some(secret)
}

fn channels(reader: &mut Reader<'_>, value: Entry<'_, '_>, key: Option<ApiKey>) -> Option<ApiKey> {
    let patterns = texts(reader, value)?;
    match key?.channels(patterns.iter().map(|(text, _)| &**text)) {
        Ok(key) => Some(key),
        Err(error) => {
            reader.wrong(value.span(), error.to_string());
            None
        }
    }
}

fn actions(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<Vec<Action>> {
    let names = texts(reader, value)?;
    let mut actions = Vec::new();
    for (name, span) in &names {
        match name.parse() {
            Ok(action) => actions.push(action),
            Err(_) => {
                let meant = did_you_mean(name, Action::ALL.map(Action::name));
                reader.unknown(span.clone(), "action", name, meant);
            }
        }
    }
    (actions.len() == names.len()).then_some(actions)
}

/// A moment, or the beginning of a day in UTC.
fn expires(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<SystemTime> {
    let time = match value.get_ref() {
        DeValue::Datetime(given) => {
            let given = given.to_string();
            let moment: Option<Timestamp> = given.parse().ok();
            moment.or_else(|| format!("{given}T00:00:00Z").parse().ok())
        }
        _ => None,
    };
    let seconds = time.map(|time| Duration::from_secs(time.as_second().max(0).unsigned_abs()));
    let time = seconds.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(seconds));
    if time.is_none() {
        let message = "a time is 2027-01-31T12:00:00Z, or 2027-01-31 for the beginning of that day \
                       in UTC, without quotes";
        reader.wrong(value.span(), message);
    }
    time
}

fn text(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
        DeValue::String(_) => {
            reader.wrong(value.span(), "the text is empty");
            None
        }
        other => {
            let found = kind_of(other);
            reader.wrong(
                value.span(),
                format!("expected a text in quotes, not {found}"),
            );
            None
        }
    }
}

fn texts(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<Vec<(String, Range<usize>)>> {
    let Some(values) = value.get_ref().as_array() else {
        let found = kind_of(value.get_ref());
        let message = format!("expected a list of texts, as [\"…\", \"…\"], not {found}");
        reader.wrong(value.span(), message);
        return None;
    };
    let read = values
        .iter()
        .map(|value| Some((text(reader, value)?, value.span())));
    let read: Vec<_> = read.collect();
    read.into_iter().collect()
}
