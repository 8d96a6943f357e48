//! Stores of other formats: refused, or migrated to new names.
//!
//! `fixtures/format-2` was written by the last program of that format, at `START_MS` by its
//! clock: half of it is in tables, the rest in the log. So was `fixtures/format-3`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{
    Attempt, Broker, Claim, CommandKey, Deletion, EmbeddedBroker, HistoryQuery, ManualClock,
    Migration, OpenError, Position, Publish, Retention, TopicName,
};
use parking_lot::Mutex;

use support::{Names, START_MS, builder, check, copy, format, key, old_store, topic};

fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// A migration that must not be asked for anything.
struct Never;

impl Migration for Never {
    fn topic(&self, _: u32, topic: &TopicName) -> Option<TopicName> {
        panic!("asked for {topic}");
    }
}

#[tokio::test]
async fn an_older_store_is_migrated_once() {
    let directory = old_store();
    let broker = builder(directory.path()).migration(Names).open().unwrap();
    check(&broker).await;
    drop(broker);
    assert_eq!(format(directory.path()), "nextrush store 4");
    let broker = builder(directory.path()).migration(Never).open().unwrap();
    check(&broker).await;
    drop(broker);
    let broker = builder(directory.path()).open().unwrap();
    check(&broker).await;
    // Publishing continues with the next offset.
    let publish = Publish::new("l7").retain(Retention::count(3));
    let lobby = topic("chat/chat/lobby");
    let published = broker.publish(&lobby, publish).await.unwrap();
    assert_eq!(published.position.offset, 7);
}

#[tokio::test]
async fn a_migration_keeps_how_long_publications_are_remembered() {
    let directory = old_store();
    let clock = Arc::new(ManualClock::new(START_MS + 3_600_004));
    let builder = EmbeddedBroker::builder(directory.path()).clock(Arc::clone(&clock));
    let broker = builder.migration(Names).open().unwrap();
    let news = topic("chat/0/news");
    for (expected, advance) in [(2, 1), (0, 0)] {
        let history = broker.history(&news, HistoryQuery::Latest(9)).await;
        assert_eq!(history.unwrap().publications.len(), expected);
        clock.advance(Duration::from_millis(advance));
    }
}

/// Removes what the current format has and format 3 has not.
fn make_format_3(directory: &Path) {
    let path = directory.join("FORMAT");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("store 4", "store 3")).unwrap();
    for name in ["EXTENT", "FILES"] {
        fs::remove_file(directory.join(name)).unwrap();
    }
}

#[tokio::test]
async fn tables_that_a_migration_leaves_behind_are_removed() {
    let directory = old_store();
    drop(builder(directory.path()).migration(Names).open().unwrap());
    let data = directory.path().join("data");
    let keyspaces = || {
        let db = fjall::Database::builder(&data).open().unwrap();
        let names = db.list_keyspace_names();
        names.iter().map(ToString::to_string).collect()
    };
    let expected = ["answers-3", "filler", "log", "runs", "state", "topics-3"];
    let expected: BTreeSet<String> = expected.map(str::to_owned).into();
    assert_eq!(BTreeSet::from_iter(keyspaces()), expected);
    {
        // The same as after a crash before they were removed, of a program of format 3.
        make_format_3(directory.path());
        let db = fjall::Database::builder(&data).open().unwrap();
        let topics = db.keyspace("topics", fjall::KeyspaceCreateOptions::default);
        topics.unwrap().insert("chat/0/lobby", "old").unwrap();
    }
    let broker = builder(directory.path()).open().unwrap();
    check(&broker).await;
    drop(broker);
    let left: Vec<String> = keyspaces();
    assert_eq!(BTreeSet::from_iter(left), expected);
}

#[test]
fn an_older_store_is_refused_where_there_is_no_migration() {
    let directory = old_store();
    let before = contents(directory.path());
    let error = builder(directory.path()).open().unwrap_err();
    assert!(matches!(
        error,
        OpenError::OlderFormat {
            found: 2,
            current: 4,
            ..
        }
    ));
    let shown = format!(
        "the store in {} has format 2: its topics need the names that they have in format 4, \
         and no migration was given",
        directory.path().display()
    );
    assert_eq!(error.to_string(), shown);
    assert_eq!(contents(directory.path()), before);
}

#[tokio::test]
async fn a_store_without_owners_opens_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-3");
    copy(&fixture, directory.path());
    let broker = builder(directory.path()).open().unwrap();
    assert_eq!(format(directory.path()), "nextrush store 4");
    let lobby = topic("chat/chat/lobby");
    let all = HistoryQuery::Latest(usize::MAX);
    let history = broker.history(&lobby, all).await.unwrap();
    let epoch = "018bcfe5-6800-7cf3-989c-128b26948171".parse().unwrap();
    assert_eq!(history.position, Position::new(epoch, 3));
    let texts = history.publications.iter().map(|kept| kept.data.clone());
    assert!(texts.eq(["one", "two", "three"]));
    assert!(history.publications.iter().all(|kept| kept.owner.is_none()));
    let claim = broker.claim(Attempt::new(key("k"))).await.unwrap();
    assert_eq!(claim, Claim::Answered("done".into()));
    assert_eq!(broker.delete(&lobby, Deletion::All).await.unwrap(), 3);
}

#[test]
fn a_newer_store_is_refused_by_name() {
    let directory = old_store();
    let format = directory.path().join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replace("store 2", "store 5")).unwrap();
    let before = contents(directory.path());
    let error = builder(directory.path()).migration(Never).open();
    let error = error.unwrap_err();
    assert!(matches!(
        error,
        OpenError::NewerFormat {
            found: 5,
            known: 4,
            ..
        }
    ));
    let shown = format!(
        "the store in {} has format 5, this program knows formats up to 4: it was written by a \
         newer program",
        directory.path().display()
    );
    assert_eq!(error.to_string(), shown);
    assert_eq!(contents(directory.path()), before);
}

#[test]
fn a_directory_with_another_mark_is_refused() {
    for text in [
        "nextrush store 1\n",
        "nextrush store 03\n",
        "nextrush store\n",
        "3\n",
        "",
    ] {
        let directory = old_store();
        let id = "01a22256-b352-7590-8a4b-e2584a386c7d";
        fs::write(directory.path().join("FORMAT"), format!("{text}{id}\n")).unwrap();
        let error = builder(directory.path()).migration(Never).open();
        let error = error.unwrap_err();
        assert!(matches!(error, OpenError::Format(_)), "{text:?}: {error}");
    }
}

/// A migration that gives every topic, or every command, the same name.
struct Same {
    topics: bool,
}

impl Migration for Same {
    fn topic(&self, from: u32, name: &TopicName) -> Option<TopicName> {
        if self.topics {
            Some(topic("same"))
        } else {
            Names.topic(from, name)
        }
    }

    fn command(&self, _: u32, _: &CommandKey) -> Option<CommandKey> {
        Some(key("same"))
    }
}

#[tokio::test]
async fn a_migration_to_one_name_is_refused_and_changes_nothing() {
    for topics in [true, false] {
        let directory = old_store();
        let same = builder(directory.path()).migration(Same { topics });
        let error = same.open().unwrap_err();
        assert!(matches!(&error, OpenError::AmbiguousMigration(name) if name == "same"));
        let broker = builder(directory.path()).migration(Names).open().unwrap();
        check(&broker).await;
    }
}

/// A migration that notes the names and keeps them.
#[derive(Default)]
struct Noted(Arc<Mutex<Vec<String>>>);

impl Migration for Noted {
    fn topic(&self, _: u32, topic: &TopicName) -> Option<TopicName> {
        self.0.lock().push(topic.to_string());
        None
    }

    fn command(&self, _: u32, key: &CommandKey) -> Option<CommandKey> {
        self.0.lock().push(key.as_str().to_owned());
        None
    }
}

#[tokio::test]
async fn a_migration_is_asked_for_each_name_once_and_may_keep_it() {
    let directory = old_store();
    let asked = Arc::default();
    let noted = Noted(Arc::clone(&asked));
    let broker = builder(directory.path()).migration(noted).open().unwrap();
    let mut asked = asked.lock().clone();
    asked.sort();
    let expected = [
        "chat/0/\"ada\"/7",
        "chat/0/\"ada\"/8",
        "chat/0/bare",
        "chat/0/lobby",
        "live/1/\"ada\"/1",
        "live/1/\"ada\"/9",
        "live/1/late",
        "live/1/news",
        "plain",
        "plain/9",
    ];
    assert_eq!(asked, expected);
    let lobby = topic("chat/0/lobby");
    let history = broker.history(&lobby, HistoryQuery::Latest(9)).await;
    assert_eq!(history.unwrap().publications.len(), 3);
}

#[tokio::test]
async fn answers_that_have_ended_are_not_migrated() {
    let directory = old_store();
    let asked = Arc::default();
    let noted = Noted(Arc::clone(&asked));
    let later = ManualClock::new(START_MS + 200_000);
    let builder = EmbeddedBroker::builder(directory.path()).clock(later);
    drop(builder.migration(noted).open().unwrap());
    assert_eq!(asked.lock().len(), 5, "the topics");
}

#[tokio::test]
async fn topics_are_listed_page_by_page_wherever_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..2 {
        let broker = builder(directory.path()).open().unwrap();
        for number in 0..25 {
            let name = topic(&format!("{number:02}/{round}"));
            let publish = Publish::new("x");
            broker.publish(&name, publish).await.unwrap();
            expected.push(name);
        }
        expected.sort();
        // Neither of these topics has a publication.
        let silent = topic("00/silent");
        broker.subscribe(&silent).await.unwrap();
        broker
            .history(&topic("01/silent"), HistoryQuery::Latest(1))
            .await
            .unwrap();
        let mut listed: Vec<TopicName> = Vec::new();
        loop {
            let page = broker.topics(listed.last(), 7).await.unwrap();
            assert!(page.len() <= 7);
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, expected);
    }
}

#[tokio::test]
async fn a_store_of_the_format_before_gets_the_current_one_and_keeps_everything() {
    let directory = tempfile::tempdir().unwrap();
    let publish = || Publish::new("x").retain(Retention::count(9));
    {
        let broker = builder(directory.path()).open().unwrap();
        broker.publish(&topic("a"), publish()).await.unwrap();
    }
    make_format_3(directory.path());
    let broker = builder(directory.path()).open().unwrap();
    assert_eq!(format(directory.path()), "nextrush store 4");
    let published = broker.publish(&topic("a"), publish()).await.unwrap();
    assert_eq!(published.position.offset, 2);
    drop(broker);
    fs::remove_file(directory.path().join("FILES")).unwrap();
    let refused = builder(directory.path()).open();
    assert!(matches!(refused, Err(OpenError::Damaged(what)) if what == "FILES is missing"));
}
