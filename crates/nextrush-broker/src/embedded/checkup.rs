//! A check of all that a store holds.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::census::{self, Census, changed, named};
use super::damage::{self, Verify};
use super::error::OpenError;
use super::format::Format;
use super::journal::Journal;
use super::record::Answer;
use super::store::{Store, guarded};
use super::tree::Tree;
use crate::clock::Clock;
use crate::error::BrokerError;
use crate::exported::ExportCounts;

/// The most topics that are named whose histories cannot be read.
const NAMED: usize = 100;

/// The outcome of [`StoppedStore::check`](crate::StoppedStore::check).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoreCheck {
    /// All damage that was found.
    pub damages: Vec<StoreDamage>,
    /// `true` if a broker opens the store, and serves all that is not damaged.
    pub opens: bool,
    /// The topics and publications that can be read.
    pub counts: ExportCounts,
}

/// Damage of a store.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoreDamage {
    /// The damage, with the name of the file or topic.
    pub what: String,
    /// The part of the contents that cannot be read because of it.
    pub lost: String,
}

impl StoreCheck {
    fn add(&mut self, what: String, lost: impl Into<String>) {
        // One fault may be found on several ways.
        if !self.damages.iter().any(|damage| damage.what == what) {
            let lost = lost.into();
            self.damages.push(StoreDamage { what, lost });
        }
    }
}

/// Checks the store in `directory`, whose files but for the tables are copied to `copy`.
pub(super) fn check(
    directory: &Path,
    copy: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<StoreCheck, OpenError> {
    let mut check = StoreCheck::default();
    let wrong = survey(directory)?;
    let store = match Store::open(copy, clock, None, Verify::New) {
        Ok(store) => {
            check.opens = true;
            Some(store)
        }
        Err(OpenError::Damaged(what) | OpenError::Format(what)) => {
            let what = what.replace(&format!("{}/", copy.display()), "");
            let is_known = wrong.iter().any(|known| what.contains(known.as_str()));
            if !is_known {
                let lost = lost(&what, &HashMap::new());
                check.add(what, lost);
            }
            None
        }
        Err(error) => return Err(error),
    };
    let keyspaces = store.as_ref().map_or_else(HashMap::new, keyspaces);
    for what in wrong {
        let lost = lost(&what, &keyspaces);
        check.add(what, lost);
    }
    if let Some(store) = &store {
        read_topics(store, &mut check);
        read_answers(store, &mut check);
    }
    if let Ok(note) = fs::read_to_string(directory.join(damage::NOTE)) {
        check.opens = false;
        check.add(
            format!("{} says: {note}", damage::NOTE),
            "a broker refuses the store while this file is there: remove it once the files are \
             as they were",
        );
    }
    Ok(check)
}

/// Looks at each file by itself. Returns all that is wrong.
fn survey(directory: &Path) -> Result<Vec<String>, OpenError> {
    let mut wrong = Vec::new();
    let mut note = |error: OpenError| match error {
        OpenError::Damaged(what) => {
            wrong.push(what);
            Ok(())
        }
        error => Err(error),
    };
    let format = match Format::read(directory, &directory.join("data")) {
        Ok(format) => format,
        Err(error) => {
            note(error)?;
            None
        }
    };
    if let Err(error) = Census::read(directory) {
        note(error)?;
    }
    if !directory.join("data").exists() {
        note(census::missing("data"))?;
        return Ok(wrong);
    }
    if let Some(format) = format {
        for id in census::journals(directory)? {
            if let Err(error) = Journal::read(directory, id, format.mark()) {
                note(named(&super::journal::path(id), error))?;
            }
        }
    }
    for name in census::names(directory, Tree::KEYSPACES).unwrap_or_default() {
        let Ok(id) = name.parse() else {
            continue;
        };
        match guarded(|| Tree::take(directory, id, None)) {
            Ok(Some(tree)) => {
                for file in tree.wrong_tables(directory, id) {
                    note(changed(&file))?;
                }
            }
            Ok(None) => {}
            Err(error) => note(error)?,
        }
    }
    Ok(wrong)
}

/// The contents of each keyspace, by their numbers.
fn keyspaces(store: &Store) -> HashMap<u64, &'static str> {
    HashMap::from([
        (store.log.id(), LATEST),
        (
            store.named.topics.id(),
            "positions of rooms and channels, and so their histories",
        ),
        (
            store.named.answers.id(),
            "answers to commands, keys and versions",
        ),
        (store.runs.id(), "histories of rooms and channels"),
        (
            store.state.id(),
            "the numbers by which all is found to be there",
        ),
        (store.filler.id(), "nothing"),
    ])
}

const LATEST: &str = "the latest publications and answers";

/// The contents of a damaged file.
fn lost(what: &str, keyspaces: &HashMap<u64, &'static str>) -> String {
    if what.contains(".jnl") {
        return LATEST.to_owned();
    }
    let id = what
        .split_once(&format!("{}/", Tree::KEYSPACES))
        .and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
    match id {
        Some(id) => match keyspaces.get(&id) {
            Some(contents) => (*contents).to_owned(),
            None => "histories, positions or answers, depending on the table".to_owned(),
        },
        None => "nothing, but it cannot be said any more whether all is there".to_owned(),
    }
}

fn read_topics(store: &Store, check: &mut StoreCheck) {
    let listed = guarded(|| store.topics(None).map(|found| Ok(found?.0)).collect());
    let topics: Vec<_> = match listed {
        Ok(topics) => topics,
        Err(error) => {
            let error: BrokerError = error;
            return check.add(
                format!("the topics cannot be listed: {}", cause(&error)),
                "rooms and channels, at least some of them",
            );
        }
    };
    let mut unreadable = 0;
    for topic in topics {
        match guarded(|| store.load(&topic)) {
            Ok(found) => {
                let kept = found.map_or(0, |found| found.publications.len());
                check.counts.topics += 1;
                check.counts.publications += kept as u64;
            }
            Err(error) => {
                unreadable += 1;
                if unreadable <= NAMED {
                    check.add(cause(&error), format!("the history of {topic}"));
                }
            }
        }
    }
    if unreadable > NAMED {
        let more = unreadable - NAMED;
        check.add(
            format!("{more} further topics cannot be read"),
            "their histories",
        );
    }
}

fn read_answers(store: &Store, check: &mut StoreCheck) {
    let read = guarded(|| -> Result<(), BrokerError> {
        for pair in store.named.answers.iter() {
            let (_, value) = pair.into_inner()?;
            Answer::from_bytes(&value)?;
        }
        Ok(())
    });
    if let Err(error) = read {
        check.add(
            format!("answers cannot be read: {}", cause(&error)),
            "answers to commands, keys and versions: what is sent again may be executed again",
        );
    }
}

/// The innermost words of an error.
fn cause(error: &BrokerError) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
