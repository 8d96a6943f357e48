//! Tables `[[channel]]` of the configuration file.

use std::ops::Range;
use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::topic::SlowReaders;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::access::{Access, ClaimDemand, Demand, Term, Test};
use super::{Channel, ChannelSettings};
use crate::document::{Reader, did_you_mean, in_order, kind_of};
use crate::hooks::HookedChannels;
use crate::size::Size;

/// The keys of a channel.
const KEYS: [&str; 11] = [
    "pattern",
    "subscribe",
    "publish",
    "history",
    "history-age",
    "history-bytes",
    "presence",
    "slow-readers",
    "latest-value",
    "key",
    "hooks",
];
/// The hooks of a channel.
const HOOKS: [&str; 3] = ["subscribe", "state", "publish"];
/// The keys of a rule.
const DEMANDS: [&str; 4] = ["user", "claim", "is", "contains"];
/// The rules that are a word.
const WORDS: [(&str, Access); 3] = [
    ("any", Access::Any),
    ("signed-in", Access::SignedIn),
    ("nobody", Access::Nobody),
];
const SLOW_READERS: [(&str, SlowReaders); 4] = [
    ("heal", SlowReaders::Heal),
    ("latest", SlowReaders::Latest),
    ("drop", SlowReaders::Drop),
    ("close", SlowReaders::Close),
];
/// The age of a history that has none.
const AGE: Duration = Duration::from_secs(60 * 60);

type Entry<'t, 'i> = &'t Spanned<DeValue<'i>>;

impl Channel {
    /// Reads a table, and notes all that is wrong with it; `None` if anything is.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        span: Range<usize>,
        table: &DeTable<'_>,
    ) -> Option<Self> {
        let mut is_right = true;
        for (key, _) in in_order(table) {
            let name = key.get_ref().as_ref();
            if !KEYS.contains(&name) {
                let meant = did_you_mean(name, KEYS);
                reader.unknown(key.span(), "key of a channel", name, meant);
                is_right = false;
            }
        }
        let pattern = match table.get("pattern") {
            Some(value) => pattern(reader, value),
            None => {
                reader.wrong(
                    span.clone(),
                    "a channel has a pattern, as in pattern = \"board-:id\"",
                );
                None
            }
        };
        let settings = settings(reader, table);
        let is_hooked = settings.as_ref().is_some_and(|it| it.hooks.publish);
        let publish = match is_hooked {
            // The hook says who may.
            true => Access::SignedIn,
            false => Access::Nobody,
        };
        let mut rules = Vec::new();
        for (name, default) in [("subscribe", Access::SignedIn), ("publish", publish)] {
            let pattern = pattern.as_deref().unwrap_or_default();
            rules.push(match table.get(name) {
                Some(value) => access(reader, pattern, value),
                None => Some(default),
            });
        }
        let publish = rules.pop().flatten();
        let subscribe = rules.pop().flatten();
        let channel = Self {
            place: reader.place(span),
            pattern: pattern?,
            subscribe: subscribe?,
            publish: publish?,
            settings: settings?,
        };
        Some(channel).filter(|_| is_right)
    }
}

fn pattern(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<String> {
    let pattern = text(reader, value)?;
    match ChannelPolicies::new().try_policy(&pattern, ChannelPolicy::new()) {
        Ok(_) => Some(pattern),
        Err(error) => {
            reader.wrong(value.span(), error.to_string());
            None
        }
    }
}

/// The parameters of a pattern, without their marks.
fn parameters(pattern: &str) -> Vec<&str> {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let has_braces = pattern.contains('{');
    let pieces = pattern.split(if has_braces { '{' } else { ':' }).skip(1);
    let name = |piece: &'_ str| piece.find(|char| !is_name(char)).unwrap_or(piece.len());
    pieces.map(|piece| &piece[..name(piece)]).collect()
}

fn settings(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<ChannelSettings> {
    let mut is_right = true;
    let mut note = |is_read: bool| is_right &= is_read;
    // A value that is there is read; one that is wrong has been noted.
    macro_rules! read {
        ($name:literal, $read:expr) => {
            match table.get($name) {
                Some(value) => {
                    let read = $read(&mut *reader, value);
                    note(read.is_some());
                    read
                }
                None => None,
            }
        };
    }
    let count = read!("history", number);
    let age = read!("history-age", duration);
    let history_bytes = read!("history-bytes", size);
    let presence = read!("presence", truth).unwrap_or_default();
    let latest_value = read!("latest-value", truth).unwrap_or_default();
    let slow_readers = read!("slow-readers", slow_readers);
    let key = read!("key", pointer);
    let hooks = read!("hooks", hooks).unwrap_or_default();
    for name in ["history-age", "history-bytes"] {
        if let (Some(value), None) = (table.get(name), table.get("history")) {
            reader.wrong(
                value.span(),
                format!("{name} needs history, the number of publications"),
            );
            note(false);
        }
    }
    if let (Some(SlowReaders::Heal), None, Some(value)) = (
        slow_readers,
        table.get("history"),
        table.get("slow-readers"),
    ) {
        reader.wrong(value.span(), "\"heal\" needs a history from which to heal");
        note(false);
    }
    is_right.then_some(ChannelSettings {
        history: count.map(|count| (count, age.unwrap_or(AGE))),
        history_bytes,
        presence,
        slow_readers,
        latest_value,
        key,
        hooks,
    })
}

/// Reads a rule.
fn access(reader: &mut Reader<'_>, pattern: &str, value: Entry<'_, '_>) -> Option<Access> {
    match value.get_ref() {
        DeValue::String(word) => {
            let known = WORDS.iter().find(|(name, _)| name == word);
            if let Some((_, access)) = known {
                return Some(access.clone());
            }
            let names = WORDS.map(|(name, _)| name);
            let meant = did_you_mean(word, names);
            reader.unknown(value.span(), "rule", word, meant.or(Some("signed-in")));
            None
        }
        DeValue::Table(table) => {
            let demand = demand(reader, pattern, value.span(), table)?;
            Some(Access::One(vec![demand]))
        }
        DeValue::Array(values) if !values.is_empty() => {
            let mut demands = Vec::new();
            for value in values.iter() {
                match value.get_ref() {
                    DeValue::Table(table) => {
                        demands.push(demand(reader, pattern, value.span(), table));
                    }
                    other => {
                        let found = kind_of(other);
                        let message = format!(
                            "a list of rules has tables, as [{{ user = \":id\" }}], not {found}"
                        );
                        reader.wrong(value.span(), message);
                        demands.push(None);
                    }
                }
            }
            demands.into_iter().collect::<Option<_>>().map(Access::One)
        }
        _ => {
            reader.wrong(
                value.span(),
                "a rule is \"any\", \"signed-in\", \"nobody\", { user = \":id\" }, \
                 { claim = \"role\", is = [\"admin\"] }, { claim = \"boards\", contains = \":id\" }, \
                 or a list of such tables of which one has to fit",
            );
            None
        }
    }
}

fn demand(
    reader: &mut Reader<'_>,
    pattern: &str,
    span: Range<usize>,
    table: &DeTable<'_>,
) -> Option<Demand> {
    let mut is_right = true;
    for (key, _) in in_order(table) {
        let name = key.get_ref().as_ref();
        if !DEMANDS.contains(&name) {
            reader.unknown(
                key.span(),
                "key of a rule",
                name,
                did_you_mean(name, DEMANDS),
            );
            is_right = false;
        }
    }
    let mut terms_of = |reader: &mut Reader<'_>, name: &str| match table.get(name) {
        Some(value) => {
            let terms = terms(reader, pattern, value);
            is_right &= terms.is_some();
            terms
        }
        None => None,
    };
    let user = terms_of(reader, "user");
    let is = terms_of(reader, "is");
    let contains = terms_of(reader, "contains");
    let claim = match table.get("claim") {
        Some(value) => {
            let name = text(reader, value);
            is_right &= name.is_some();
            name
        }
        None => None,
    };
    if !is_right {
        return None;
    }
    let claim = match (claim, is, contains) {
        (None, None, None) if user.is_some() => None,
        (Some(name), Some(values), None) => Some(ClaimDemand {
            name,
            test: Test::Is,
            values,
        }),
        (Some(name), None, Some(values)) => Some(ClaimDemand {
            name,
            test: Test::Contains,
            values,
        }),
        (Some(_), _, _) => {
            reader.wrong(span, "a rule about a claim has one of `is` and `contains`");
            return None;
        }
        (None, _, _) => {
            reader.wrong(span, "a rule is about a `user` or a `claim`");
            return None;
        }
    };
    Some(Demand { user, claim })
}

/// Reads values of a rule, one or a list of them.
fn terms(reader: &mut Reader<'_>, pattern: &str, value: Entry<'_, '_>) -> Option<Vec<Term>> {
    let DeValue::Array(values) = value.get_ref() else {
        return term(reader, pattern, value).map(|term| vec![term]);
    };
    if values.is_empty() {
        reader.wrong(
            value.span(),
            "an empty list fits nobody: the rule for that is \"nobody\"",
        );
        return None;
    }
    let terms: Vec<_> = values
        .iter()
        .map(|value| term(reader, pattern, value))
        .collect();
    terms.into_iter().collect()
}

fn term(reader: &mut Reader<'_>, pattern: &str, value: Entry<'_, '_>) -> Option<Term> {
    let text = match value.get_ref() {
        DeValue::String(text) => text,
        DeValue::Integer(number) => return Some(Term::Text(number.to_string())),
        DeValue::Boolean(truth) => return Some(Term::Text(truth.to_string())),
        other => {
            let found = kind_of(other);
            reader.wrong(
                value.span(),
                format!("expected a text, a number, true or false, not {found}"),
            );
            return None;
        }
    };
    let name = text
        .strip_prefix(':')
        .or_else(|| text.strip_prefix('{')?.strip_suffix('}'));
    let Some(name) = name else {
        return Some(Term::Text(text.to_string()));
    };
    let known = parameters(pattern);
    if known.contains(&name) {
        return Some(Term::Parameter(name.to_owned()));
    }
    // Of a pattern that is wrong nothing is known.
    if !pattern.is_empty() {
        let meant = did_you_mean(name, known).map(|name| format!(":{name}"));
        let what = format!("parameter in the pattern {pattern:?}");
        reader.unknown(value.span(), &what, text, meant.as_deref());
    }
    None
}

fn expected<T>(reader: &mut Reader<'_>, value: Entry<'_, '_>, expected: &str) -> Option<T> {
    let found = kind_of(value.get_ref());
    reader.wrong(value.span(), format!("expected {expected}, not {found}"));
    None
}

fn text(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<String> {
    match value.get_ref().as_str() {
        Some(text) => Some(text.to_owned()),
        None => expected(reader, value, "a text in quotes"),
    }
}

fn truth(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<bool> {
    match value.get_ref().as_bool() {
        Some(truth) => Some(truth),
        None => expected(reader, value, "true or false"),
    }
}

fn number(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<usize> {
    let Some(number) = value.get_ref().as_integer() else {
        return expected(reader, value, "a whole number");
    };
    let number = usize::from_str_radix(number.as_str(), number.radix());
    match number {
        Ok(number) if number > 0 => Some(number),
        _ => {
            reader.wrong(value.span(), "expected a whole number of 1 or more");
            None
        }
    }
}

fn size(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<usize> {
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        _ => return expected(reader, value, "a size, as \"1M\""),
    };
    match text.parse::<Size>() {
        Ok(size) => Some(size.bytes()),
        Err(error) => {
            reader.wrong(value.span(), error.to_string());
            None
        }
    }
}

fn duration(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<Duration> {
    let text = text(reader, value)?;
    let number = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let seconds = match &text[number.len()..] {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number
        .parse::<u64>()
        .ok()
        .filter(|number| is_plain && *number > 0);
    let seconds = number
        .zip(seconds)
        .and_then(|(number, unit)| number.checked_mul(unit));
    if seconds.is_none() {
        let message = "an age is a whole number with s, m, h or d, such as \"90s\" or \"1h\"";
        reader.wrong(value.span(), message);
    }
    seconds.map(Duration::from_secs)
}

fn slow_readers(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<SlowReaders> {
    let word = text(reader, value)?;
    let known = SLOW_READERS.iter().find(|(name, _)| *name == word);
    if known.is_none() {
        let names = SLOW_READERS.map(|(name, _)| name);
        let meant = did_you_mean(&word, names);
        reader.unknown(
            value.span(),
            "policy for slow readers",
            &word,
            meant.or(Some("heal")),
        );
    }
    known.map(|(_, policy)| *policy)
}

fn pointer(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<String> {
    let pointer = text(reader, value)?;
    if !pointer.starts_with('/') {
        let message = "a key is a JSON pointer into the data, such as \"/symbol\"";
        reader.wrong(value.span(), message);
        return None;
    }
    Some(pointer)
}

fn hooks(reader: &mut Reader<'_>, value: Entry<'_, '_>) -> Option<HookedChannels> {
    let Some(words) = value.get_ref().as_array() else {
        return expected(reader, value, "a list, as [\"subscribe\"]");
    };
    let mut hooked = HookedChannels::default();
    let mut is_right = true;
    for word in words.iter() {
        let Some(name) = text(reader, word) else {
            is_right = false;
            continue;
        };
        match &*name {
            "subscribe" => hooked.subscribe = true,
            "state" => hooked.state = true,
            "publish" => hooked.publish = true,
            _ => {
                let meant = did_you_mean(&name, HOOKS);
                reader.unknown(word.span(), "hook of a channel", &name, meant);
                is_right = false;
            }
        }
    }
    is_right.then_some(hooked)
}

/// The words for the hooks of a channel.
pub(super) fn names_of(hooked: HookedChannels) -> Vec<&'static str> {
    let are_there = [hooked.subscribe, hooked.state, hooked.publish];
    HOOKS
        .into_iter()
        .zip(are_there)
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect()
}

/// The word for a policy.
pub(super) fn name_of(policy: SlowReaders) -> &'static str {
    let known = SLOW_READERS.iter().find(|(_, known)| *known == policy);
    known.map_or("heal", |(name, _)| name)
}
