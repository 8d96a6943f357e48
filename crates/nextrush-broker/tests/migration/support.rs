//! The store of an older format, and the names that it is given.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{
    Attempt, Broker, Claim, CommandKey, EmbeddedBroker, EmbeddedBuilder, HistoryQuery, ManualClock,
    Migration, Publish, TopicName,
};
use tempfile::TempDir;

pub(crate) const START_MS: u64 = 1_700_000_000_000;
pub(crate) const WINDOW: Duration = Duration::from_secs(120);

pub(crate) fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-2")
}

/// A writable copy of the fixture.
pub(crate) fn old_store() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(&fixture(), directory.path());
    directory
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// A builder with a clock that shows the time of the fixture.
pub(crate) fn builder(directory: &Path) -> EmbeddedBuilder {
    EmbeddedBroker::builder(directory).clock(Arc::new(ManualClock::new(START_MS + 7)))
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).unwrap()
}

pub(crate) fn key(text: &str) -> CommandKey {
    CommandKey::try_from(text).unwrap()
}

pub(crate) fn format(directory: &Path) -> String {
    let text = fs::read_to_string(directory.join("FORMAT")).unwrap();
    text.lines().next().unwrap().to_owned()
}

/// Renames `chat/0/` to `chat/chat/`, and `live/1/` to `chat/0/`, so that a new name is also
/// the old name of something else.
pub(crate) fn renamed(name: &str) -> Option<String> {
    let of_chat = || Some(format!("chat/chat/{}", name.strip_prefix("chat/0/")?));
    let of_live = || Some(format!("chat/0/{}", name.strip_prefix("live/1/")?));
    of_chat().or_else(of_live)
}

pub(crate) struct Names;

impl Migration for Names {
    fn topic(&self, from: u32, name: &TopicName) -> Option<TopicName> {
        assert_eq!(from, 2);
        renamed(name.as_str()).map(|name| topic(&name))
    }

    fn command(&self, from: u32, command: &CommandKey) -> Option<CommandKey> {
        assert_eq!(from, 2);
        renamed(command.as_str()).map(|name| key(&name))
    }
}

/// Checks that everything is in its new place, as it was before.
pub(crate) async fn check(broker: &EmbeddedBroker) {
    let expected = [
        (
            "chat/0/late",
            "787b-8718-87654e4b627e",
            1,
            &[(1, 6, "late")][..],
        ),
        (
            "chat/0/news",
            "7cc4-adb6-15f38ad1db31",
            2,
            &[(1, 5, "n1"), (2, 5, "n2")],
        ),
        ("chat/chat/bare", "7535-b02e-4a4ec629e1d1", 2, &[]),
        (
            "chat/chat/lobby",
            "7bd2-b9ac-9c479a61325a",
            6,
            &[(4, 4, "l4"), (5, 5, "l5"), (6, 6, "l6")],
        ),
        ("plain", "7fff-8483-7c16aee9027f", 1, &[(1, 5, "p1")]),
    ];
    let names = expected.map(|(name, ..)| topic(name));
    assert_eq!(broker.topics(None, 100).await.unwrap(), names);
    for (name, epoch, offset, publications) in expected {
        let all = HistoryQuery::Latest(usize::MAX);
        let history = broker.history(&topic(name), all).await.unwrap();
        let epoch = format!("018bcfe5-6800-{epoch}");
        assert_eq!(history.position.epoch.to_string(), epoch, "{name}");
        assert_eq!(history.position.offset, offset, "{name}");
        let kept = history.publications.iter().map(|kept| {
            let text = str::from_utf8(&kept.data).unwrap();
            (kept.offset, kept.time_ms - START_MS, text)
        });
        assert_eq!(kept.collect::<Vec<_>>(), publications, "{name}");
    }
    let answers = [
        ("chat/chat/\"ada\"/7", Some("done")),
        ("chat/0/\"ada\"/9", Some("said")),
        ("plain/9", Some("nine")),
        ("chat/0/\"ada\"/7", None),
        ("live/1/\"ada\"/9", None),
    ];
    for (command, expected) in answers {
        let claim = broker.claim(Attempt::new(key(command))).await.unwrap();
        match expected {
            Some(answer) => assert_eq!(claim, Claim::Answered(answer.into()), "{command}"),
            None => assert!(matches!(claim, Claim::Mine(_)), "{command}: {claim:?}"),
        }
    }
    let repeats = [
        ("chat/chat/lobby", "chat/chat/\"ada\"/8", 6),
        ("chat/0/news", "chat/0/\"ada\"/1", 1),
    ];
    for (name, once, offset) in repeats {
        let repeat = Publish::new("again").once(key(once), WINDOW);
        let published = broker.publish(&topic(name), repeat).await.unwrap();
        assert!(published.is_repeat, "{once}");
        assert_eq!(published.position.offset, offset, "{once}");
    }
}
