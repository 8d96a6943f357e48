//! The promises of every broker, and those of the embedded broker about its disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use nextrush_broker::conformance::{conformance, deletion};
use nextrush_broker::{
    Attempt, Broker, BrokerError, Bytes, Claim, CommandKey, Deletion, EmbeddedBroker,
    EmbeddedOptions, Epoch, History, HistoryQuery, ManualClock, OpenError, Owner, Position,
    Publication, Publish, Published, Retention, Sink, TopicName,
};
use parking_lot::Mutex;
use tempfile::TempDir;

const START_MS: u64 = 1_700_000_000_000;
const ALL: HistoryQuery = HistoryQuery::Latest(usize::MAX);
const WINDOW: Duration = Duration::from_secs(120);

/// A directory that outlives the brokers on it.
struct Fixture {
    directory: TempDir,
    clock: Arc<ManualClock>,
    options: EmbeddedOptions,
}

impl Fixture {
    fn new() -> Self {
        Self::with(EmbeddedOptions::default())
    }

    fn with(options: EmbeddedOptions) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(START_MS)),
            options,
        }
    }

    fn try_open(&self) -> Result<EmbeddedBroker, OpenError> {
        let clock = Arc::clone(&self.clock);
        EmbeddedBroker::builder(&self.directory)
            .options(self.options)
            .clock(clock)
            .open()
    }

    fn open(&self) -> EmbeddedBroker {
        self.try_open().unwrap()
    }

    /// The journal that is being written.
    fn journal(&self) -> PathBuf {
        let files = files(&self.directory.path().join("data"));
        let journals = files
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"));
        journals.max().unwrap()
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).unwrap()
}

fn key(text: &str) -> CommandKey {
    CommandKey::try_from(text).unwrap()
}

fn attempt(text: &str) -> Attempt {
    Attempt::new(key(text)).window(WINDOW)
}

async fn remember(broker: &EmbeddedBroker, command: &str, answer: Bytes) {
    match broker.claim(attempt(command)).await.unwrap() {
        Claim::Mine(claimed) => drop(broker.answer(claimed, answer).await.unwrap()),
        other => panic!("{command}: {other:?}"),
    }
}

async fn publish(
    broker: &EmbeddedBroker,
    name: &str,
    data: &str,
    retention: Retention,
) -> Position {
    let publish = Publish::new(data.to_owned()).retain(retention);
    broker
        .publish(&topic(name), publish)
        .await
        .unwrap()
        .position
}

async fn history(broker: &EmbeddedBroker, name: &str) -> History {
    broker.history(&topic(name), ALL).await.unwrap()
}

fn texts(history: &History) -> Vec<String> {
    let text = |kept: &Arc<Publication>| String::from_utf8(kept.data.to_vec()).unwrap();
    history.publications.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_broker_keeps_every_promise() {
    let directories = Mutex::new(Vec::new());
    let make = async || {
        let directory = tempfile::tempdir().unwrap();
        let broker = EmbeddedBroker::open(directory.path()).unwrap();
        directories.lock().push(directory);
        broker
    };
    conformance(make).await;
    deletion(make).await;
}

#[tokio::test]
async fn a_restarted_broker_goes_on_where_it_was() {
    let fixture = Fixture::new();
    let kept = Retention::count(3).max_age(Duration::from_secs(3600));
    let mut last = Vec::new();
    for round in 0..5 {
        let broker = fixture.open();
        for name in ["a", "b"] {
            for number in 0..4 {
                fixture.clock.advance(Duration::from_millis(1));
                last.push(publish(&broker, name, &format!("{round}/{number}"), kept).await);
            }
            let history = history(&broker, name).await;
            assert_eq!(history.position.offset, 4 * (round + 1));
            assert_eq!(texts(&history), [1, 2, 3].map(|n| format!("{round}/{n}")));
        }
        let before = [history(&broker, "a").await, history(&broker, "b").await];
        drop(broker);
        let broker = fixture.open();
        let after = [history(&broker, "a").await, history(&broker, "b").await];
        assert_eq!(after, before);
    }
    let epochs: std::collections::HashSet<Epoch> = last.iter().map(|at| at.epoch).collect();
    assert_eq!(epochs.len(), 2, "one for each topic");
}

#[tokio::test]
async fn a_topic_without_a_publication_has_its_epoch_again_after_a_restart() {
    let fixture = Fixture::new();
    let broker = fixture.open();
    let before = [history(&broker, "a").await, history(&broker, "b").await];
    assert_eq!(before[0].position.offset, 0);
    assert_ne!(before[0].position.epoch, before[1].position.epoch);
    drop(broker);

    fixture.clock.advance(Duration::from_secs(3600));
    let broker = fixture.open();
    let after = [history(&broker, "a").await, history(&broker, "b").await];
    assert_eq!(after, before);
    let first = publish(&broker, "a", "first", Retention::count(1)).await;
    assert_eq!((first.epoch, first.offset), (before[0].position.epoch, 1));
}

#[tokio::test]
async fn a_topic_that_was_forgotten_begins_another_life_which_outlives_restarts() {
    let idle = Duration::from_secs(3600);
    let fixture = Fixture::with(EmbeddedOptions::default().idle(idle));
    let broker = fixture.open();
    let unborn = history(&broker, "b").await.position;
    let first = publish(&broker, "a", "first", Retention::NOTHING).await;
    // Topics that are only in the log are not forgotten; opening moves them to the tables.
    drop(broker);
    let broker = fixture.open();
    fixture.clock.advance(idle);
    let second = loop {
        let position = history(&broker, "a").await.position;
        if position.epoch != first.epoch {
            break position;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(second.offset, 0);
    assert!(second.epoch > first.epoch, "epochs sort by age");
    // It reaches the disk with the next write.
    publish(&broker, "c", "something", Retention::NOTHING).await;
    drop(broker);
    let broker = fixture.open();
    assert_eq!(history(&broker, "a").await.position, second);
    assert_ne!(history(&broker, "b").await.position.epoch, unborn.epoch);
}

#[tokio::test]
async fn a_claim_that_is_executed_at_most_once_is_known_after_a_restart() {
    let fixture = Fixture::new();
    let attempt = |text: &str| attempt(text).at_most_once();
    let broker = fixture.open();
    let claimed = broker.claim(attempt("died")).await.unwrap();
    assert!(matches!(claimed, Claim::Mine(_)), "{claimed:?}");
    let claimed = broker.claim(attempt("answered")).await.unwrap();
    let Claim::Mine(claimed) = claimed else {
        panic!("{claimed:?}");
    };
    broker.answer(claimed, "done".into()).await.unwrap();
    drop(broker);

    for _ in 0..2 {
        let broker = fixture.open();
        let died = broker.claim(attempt("died")).await.unwrap();
        assert_eq!(died, Claim::InDoubt);
        let answered = broker.claim(attempt("answered")).await.unwrap();
        assert_eq!(answered, Claim::Answered("done".into()));
    }
    // For the lease and the window of the claim, and a millisecond for the answer in its place.
    fixture
        .clock
        .advance(WINDOW + Duration::from_secs(10) + Duration::from_millis(1));
    let broker = fixture.open();
    for command in ["died", "answered"] {
        let claim = broker.claim(attempt(command)).await.unwrap();
        assert!(matches!(claim, Claim::Mine(_)), "{claim:?}");
    }
}

#[tokio::test]
async fn a_claim_whose_answer_is_not_to_be_remembered_is_gone_also_after_a_restart() {
    let fixture = Fixture::new();
    let claim = async |broker: &EmbeddedBroker| {
        let attempt = attempt("later").at_most_once();
        match broker.claim(attempt).await.unwrap() {
            Claim::Mine(claimed) => claimed,
            other => panic!("{other:?}"),
        }
    };
    let broker = fixture.open();
    let begun = claim(&broker).await;
    drop(broker);
    // The claim is in the tables now.
    let broker = fixture.open();
    for _ in 0..2 {
        let mut claimed = begun.clone();
        claimed.attempt.window = Duration::ZERO;
        let answer = broker.answer(claimed, "not yet".into()).await.unwrap();
        assert_eq!(answer, "not yet");
    }
    drop(broker);
    for _ in 0..2 {
        let broker = fixture.open();
        let mut claimed = claim(&broker).await;
        claimed.attempt.window = Duration::ZERO;
        broker.answer(claimed, "not yet".into()).await.unwrap();
    }
    let broker = fixture.open();
    let claimed = claim(&broker).await;
    broker.answer(claimed, "done".into()).await.unwrap();
    drop(broker);
    let again = fixture.open().claim(attempt("later").at_most_once()).await;
    assert_eq!(again.unwrap(), Claim::Answered("done".into()));
}

#[tokio::test]
async fn what_a_command_was_answered_is_remembered_across_a_restart() {
    let fixture = Fixture::new();
    let again = || Publish::new("x").once(key("ada/1"), WINDOW);
    let broker = fixture.open();
    let first = broker.publish(&topic("a"), again()).await.unwrap();
    let answer = Bytes::from_static(b"done");
    remember(&broker, "k", answer).await;
    drop(broker);

    let broker = fixture.open();
    fixture.clock.advance(WINDOW - Duration::from_millis(1));
    let repeat = broker.publish(&topic("a"), again()).await.unwrap();
    assert_eq!(repeat, Published::repeat(first.position));
    let claim = broker.claim(attempt("k")).await.unwrap();
    assert_eq!(claim, Claim::Answered("done".into()));

    fixture.clock.advance(Duration::from_millis(1));
    let next = broker.publish(&topic("a"), again()).await.unwrap();
    assert!(!next.is_repeat);
    assert_eq!(next.position.offset, 2);
    let claim = broker.claim(attempt("k")).await.unwrap();
    assert!(matches!(claim, Claim::Mine(_)), "{claim:?}");
}

#[tokio::test]
async fn the_last_version_is_remembered_across_restarts_for_a_day() {
    let fixture = Fixture::new();
    let (posts, card) = (topic("posts"), key("card 1"));
    let kept = Publish::new("x").retain(Retention::count(100));
    let versions = [
        |publish: Publish, _: &CommandKey, number| publish.version(number),
        |publish: Publish, card: &CommandKey, number| publish.version_of(card.clone(), number),
    ];
    for versioned in versions {
        let mut last = None;
        for round in 0..3 {
            let broker = fixture.open();
            for number in 1..=5 {
                let publish = versioned(kept.clone(), &card, round * 5 + number);
                let published = broker.publish(&posts, publish).await.unwrap();
                assert!(!published.is_outdated, "{round} {number}");
                last = Some(published.position);
            }
            drop(broker);
            let broker = fixture.open();
            let late = versioned(kept.clone(), &card, round * 5 + 5);
            let late = broker.publish(&posts, late).await.unwrap();
            assert_eq!(Some(late), last.map(Published::outdated));
        }
    }
    fixture.clock.advance(Duration::from_secs(24 * 3600 + 1));
    let broker = fixture.open();
    for versioned in versions {
        let publish = versioned(kept.clone(), &card, 1);
        let published = broker.publish(&posts, publish).await.unwrap();
        assert!(!published.is_outdated);
    }
}

#[tokio::test]
async fn times_fall_only_where_the_clock_was_wrong_by_more_than_a_minute() {
    const DAY_MS: u64 = 86_400_000;
    let fixture = Fixture::new();
    // It is a day ahead when it is set right.
    for ms in [START_MS + DAY_MS, START_MS, START_MS - 60_000, START_MS + 5] {
        fixture.clock.set(ms);
        let broker = fixture.open();
        publish(&broker, "a", "x", Retention::count(9)).await;
        publish(&broker, "a", "x", Retention::count(9)).await;
    }
    let history = history(&fixture.open(), "a").await;
    let times: Vec<u64> = history
        .publications
        .iter()
        .map(|kept| kept.time_ms)
        .collect();
    let [ahead, right, later] = [START_MS + DAY_MS, START_MS, START_MS + 5];
    assert_eq!(
        times,
        [ahead, ahead, right, right, right, right, later, later]
    );
}

#[tokio::test]
async fn a_clock_that_is_set_changes_no_window_and_no_age_of_a_topic_in_use() {
    for set_ms in [START_MS + 3_600_000, START_MS - 3_600_000] {
        let fixture = Fixture::new();
        let broker = fixture.open();
        let retention = Retention::count(9).max_age(Duration::from_secs(5));
        let again = || Publish::new("x").once(key("k"), WINDOW);
        publish(&broker, "a", "1", retention).await;
        broker.publish(&topic("once"), again()).await.unwrap();
        let answer = Bytes::from("done");
        remember(&broker, "r", answer).await;
        fixture.clock.set(set_ms);
        publish(&broker, "a", "2", retention).await;
        fixture.clock.advance(Duration::from_millis(4_999));
        assert_eq!(history(&broker, "a").await.publications.len(), 2);
        fixture.clock.advance(Duration::from_millis(1));
        assert_eq!(history(&broker, "a").await.publications.len(), 0);
        fixture.clock.advance(WINDOW - Duration::from_millis(5_001));
        let repeat = broker.publish(&topic("once"), again()).await.unwrap();
        assert!(repeat.is_repeat, "{set_ms}");
        let claim = broker.claim(attempt("r")).await.unwrap();
        assert!(matches!(claim, Claim::Answered(_)), "{set_ms}");
        fixture.clock.advance(Duration::from_millis(1));
        let next = broker.publish(&topic("once"), again()).await.unwrap();
        assert!(!next.is_repeat, "{set_ms}");
        let claim = broker.claim(attempt("r")).await.unwrap();
        assert!(matches!(claim, Claim::Mine(_)), "{set_ms}");
    }
}

#[tokio::test]
async fn a_history_from_before_the_clock_was_set_right_ends_in_its_time() {
    let fixture = Fixture::new();
    let retention = Retention::count(9).max_age(Duration::from_secs(5));
    fixture.clock.set(START_MS + 86_400_000);
    publish(&fixture.open(), "a", "ahead", retention).await;
    fixture.clock.set(START_MS);
    publish(&fixture.open(), "a", "right", retention).await;
    let broker = fixture.open();
    assert_eq!(history(&broker, "a").await.publications.len(), 2);
    fixture.clock.advance(Duration::from_secs(5));
    assert_eq!(history(&broker, "a").await.publications.len(), 0);
}

#[tokio::test]
async fn histories_in_memory_stay_within_the_cache_and_are_read_again() {
    let fixture = Fixture::with(EmbeddedOptions::default().cache_bytes(50_000));
    let broker = fixture.open();
    let large = "x".repeat(1000);
    for number in 0..200 {
        let name = format!("topic-{}", number % 20);
        publish(&broker, &name, &large, Retention::count(8)).await;
        assert!(broker.cached_bytes() <= 50_000, "{}", broker.cached_bytes());
    }
    for number in 0..20 {
        let history = history(&broker, &format!("topic-{number}")).await;
        let offsets: Vec<u64> = history
            .publications
            .iter()
            .map(|kept| kept.offset)
            .collect();
        assert_eq!(offsets, [3, 4, 5, 6, 7, 8, 9, 10]);
        assert!(broker.cached_bytes() <= 50_000, "{}", broker.cached_bytes());
    }
}

#[tokio::test]
async fn no_topic_remembers_more_than_the_store_allows() {
    let fixture = Fixture::with(EmbeddedOptions::default().topic_bytes(100));
    let broker = fixture.open();
    for _ in 0..5 {
        publish(&broker, "a", &"x".repeat(40), Retention::count(9)).await;
    }
    assert_eq!(history(&broker, "a").await.publications.len(), 2);
}

/// Returns `true` if a text is in any file below a directory.
fn is_in_files(directory: &Path, text: &str) -> bool {
    files(directory).iter().any(|path| {
        let bytes = fs::read(path).unwrap();
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}

#[tokio::test]
async fn what_was_deleted_leaves_its_offset_and_no_bytes() {
    let fixture = Fixture::new();
    let directory = fixture.directory.path();
    let broker = fixture.open();
    for (text, owner) in [
        ("first secret", "ada"),
        ("kept text", "bob"),
        ("last secret", "ada"),
    ] {
        let publish = Publish::new(text).retain(Retention::count(10));
        let publish = publish.by(Owner::new(owner));
        broker.publish(&topic("a"), publish).await.unwrap();
    }
    assert!(is_in_files(directory, "first secret"));
    let before = history(&broker, "a").await;
    let by_ada = Deletion::By(Owner::new("ada"));
    assert_eq!(broker.delete(&topic("a"), by_ada.clone()).await.unwrap(), 2);
    let deleted = history(&broker, "a").await;
    assert_eq!(texts(&deleted), ["", "kept text", ""]);
    assert_eq!(deleted.position, before.position);
    drop(broker);
    for secret in ["first secret", "last secret"] {
        assert!(!is_in_files(directory, secret), "{secret}");
    }
    assert!(is_in_files(directory, "kept text"));
    let broker = fixture.open();
    assert_eq!(history(&broker, "a").await, deleted);
    assert_eq!(broker.delete(&topic("a"), by_ada).await.unwrap(), 0);
    let next = publish(&broker, "a", "next", Retention::count(10)).await;
    assert_eq!(next, Position::new(before.position.epoch, 4));
}

#[tokio::test]
async fn what_a_topic_no_longer_remembers_leaves_the_files_with_a_deletion_too() {
    let fixture = Fixture::new();
    let directory = fixture.directory.path();
    let broker = fixture.open();
    let by_ada = Owner::new("ada");
    let publish_secret = Publish::new("a secret").retain(Retention::count(1));
    let published = broker.publish(&topic("a"), publish_secret.by(by_ada.clone()));
    published.await.unwrap();
    publish(&broker, "a", "kept text", Retention::count(1)).await;
    let deletion = Deletion::By(by_ada);
    assert_eq!(broker.delete(&topic("a"), deletion).await.unwrap(), 0);
    drop(broker);
    assert!(!is_in_files(directory, "a secret"));
    assert!(is_in_files(directory, "kept text"));
}

#[tokio::test]
async fn what_was_published_just_before_is_deleted_too() {
    let fixture = Fixture::new();
    let broker = fixture.open();
    let topic = topic("a");
    let said = (0..50).map(|number| {
        let publish = Publish::new(format!("{number}")).retain(Retention::count(100));
        broker.publish(&topic, publish)
    });
    let said = futures_util::future::join_all(said);
    // The deletion is asked for after the publications, and waits for no reply of theirs.
    let (said, deleted) = tokio::join!(said, broker.delete(&topic, Deletion::All));
    assert!(said.iter().all(Result::is_ok));
    let left = history(&broker, "a").await;
    let kept = left.publications.iter().filter(|kept| !kept.is_deleted);
    assert_eq!(deleted.unwrap() + kept.count(), 50);
    assert_eq!(left.publications.len(), 50);
}

#[tokio::test]
async fn a_store_is_opened_once_at_a_time() {
    let fixture = Fixture::new();
    let broker = fixture.open();
    assert!(matches!(fixture.try_open(), Err(OpenError::InUse)));
    drop(broker);
    fixture.open();
}

#[tokio::test]
async fn a_directory_of_something_else_is_refused() {
    let fixture = Fixture::new();
    let format = fixture.directory.path().join("FORMAT");
    for text in ["", "nextrush store 1\n", "nextrush store 4\nno mark\n"] {
        fs::write(&format, text).unwrap();
        let refused = fixture.try_open();
        assert!(matches!(refused, Err(OpenError::Format(_))), "{text:?}");
    }
    fs::remove_file(&format).unwrap();
    drop(fixture.open());
    fs::remove_file(&format).unwrap();
    assert!(matches!(fixture.try_open(), Err(OpenError::Damaged(_))));
}

/// Publishes one at a time, so that each publication is a group of its own.
async fn fill(fixture: &Fixture, count: usize) -> History {
    let broker = fixture.open();
    for number in 0..count {
        let data = format!("{number}-{}", "x".repeat(50));
        publish(&broker, "a", &data, Retention::count(1000)).await;
    }
    history(&broker, "a").await
}

#[tokio::test]
async fn a_last_group_that_was_half_written_is_dropped() {
    let fixture = Fixture::new();
    let broker = fixture.open();
    for number in 0..10 {
        let data = format!("{number}-{}", "x".repeat(50));
        publish(&broker, "a", &data, Retention::count(1000)).await;
    }
    // The files as a crash would leave them.
    let crashed = tempfile::tempdir().unwrap();
    copy_all(fixture.directory.path(), crashed.path());
    let before = fs::read(fixture.journal()).unwrap();
    publish(&broker, "a", "half-written", Retention::count(1000)).await;
    let after = fs::read(fixture.journal()).unwrap();
    drop(broker);
    let begin = before.iter().zip(&after).position(|(a, b)| a != b).unwrap();
    let end = after.iter().rposition(|byte| *byte != 0).unwrap();
    assert!(end - begin > 100);
    let journal = fixture.journal();
    let journal = journal.strip_prefix(fixture.directory.path()).unwrap();
    for cut in [1, (end - begin) / 2, end - begin - 8] {
        let directory = tempfile::tempdir().unwrap();
        copy_all(crashed.path(), directory.path());
        let mut torn = after.clone();
        torn[begin + cut..].fill(0);
        fs::write(directory.path().join(journal), &torn).unwrap();
        for offset in [10, 11] {
            let clock = Arc::clone(&fixture.clock);
            let builder = EmbeddedBroker::builder(&directory).clock(clock);
            let broker = builder.open().unwrap();
            let history = history(&broker, "a").await;
            assert_eq!(history.position.offset, offset, "{cut} bytes were written");
            assert_eq!(history.publications.len() as u64, offset);
            publish(&broker, "a", "next", Retention::count(1000)).await;
        }
    }
}

#[tokio::test]
async fn a_byte_that_fell_over_in_the_journal_is_reported_until_it_is_restored() {
    let fixture = Fixture::new();
    fill(&fixture, 20).await;
    let path = fixture.journal();
    let good = fs::read(&path).unwrap();
    let end = good.iter().rposition(|byte| *byte != 0).unwrap();
    let mut reported = 0;
    for at in (0..=end).step_by(163) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        fs::write(&path, &bad).unwrap();
        for _ in 0..2 {
            let refused = fixture.try_open();
            assert!(
                matches!(refused, Err(OpenError::Damaged(_))),
                "byte {at}: {refused:?}"
            );
        }
        reported += 1;
        fs::write(&path, &good).unwrap();
    }
    assert!(reported > 20, "{reported}");
    // With the byte restored, everything is there.
    let broker = fixture.open();
    assert_eq!(history(&broker, "a").await.publications.len(), 20);
}

/// A sink that keeps all its publications.
#[derive(Default)]
struct Recorder(Mutex<Vec<u64>>);

impl Sink for Recorder {
    fn deliver(&self, _: &TopicName, _: Epoch, publication: &Arc<Publication>) {
        self.0.lock().push(publication.offset);
    }
}

/// A sink that panics at every publication.
struct Moody;

impl Sink for Moody {
    fn deliver(&self, _: &TopicName, _: Epoch, _: &Arc<Publication>) {
        panic!("not in the mood");
    }
}

#[tokio::test]
async fn a_sink_that_panics_stops_neither_the_writer_nor_the_others() {
    let fixture = Fixture::new();
    let broker = fixture.open();
    let recorder = Arc::new(Recorder::default());
    broker.attach(Arc::new(Moody));
    broker.attach(recorder.clone());
    broker.subscribe(&topic("a")).await.unwrap();
    for offset in 1..=3 {
        let position = publish(&broker, "a", "x", Retention::count(9)).await;
        assert_eq!(position.offset, offset);
    }
    assert_eq!(*recorder.0.lock(), [1, 2, 3]);
}

#[tokio::test]
async fn what_was_asked_for_when_the_broker_is_dropped_is_written() {
    let fixture = Fixture::new();
    let broker = fixture.open();
    let name = topic("a");
    let mut published = broker.publish(&name, Publish::new("x").retain(Retention::count(9)));
    // After the first poll the request is in the queue.
    assert!((&mut published).now_or_never().is_none());
    drop(published);
    drop(broker);
    let broker = fixture.open();
    assert_eq!(texts(&history(&broker, "a").await), ["x"]);
}

#[tokio::test]
async fn a_queue_of_any_size_takes_what_is_larger_than_itself() {
    let fixture = Fixture::with(EmbeddedOptions::default().queue_bytes(100));
    let broker = Arc::new(fixture.open());
    let publishers: Vec<_> = (0..50)
        .map(|_| {
            let broker = Arc::clone(&broker);
            tokio::spawn(async move {
                publish(&broker, "a", &"x".repeat(1000), Retention::count(99)).await
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert_eq!(history(&broker, "a").await.publications.len(), 50);
}

/// The bytes of all files that are allocated on the disk.
#[cfg(unix)]
fn disk_bytes(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let blocks = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.blocks());
    files(directory).iter().map(blocks).sum::<u64>() * 512
}

/// Publishes `count` publications from many tasks, each with a key, to topics that keep the
/// last 20.
async fn publish_many(broker: &Arc<EmbeddedBroker>, round: usize, count: usize) {
    let tasks = 64;
    let publishers: Vec<_> = (0..tasks)
        .map(|task| {
            let broker = Arc::clone(broker);
            tokio::spawn(async move {
                for number in (task..count).step_by(tasks) {
                    let name = topic(&format!("room-{}", number % 50));
                    let publish = Publish::new(vec![b'x'; 2000])
                        .retain(Retention::count(20))
                        .once(key(&format!("{round}/{number}")), WINDOW);
                    broker.publish(&name, publish).await.unwrap();
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_stay_small_however_much_is_published() {
    let fixture = Fixture::new();
    let broker = Arc::new(fixture.open());
    let mut largest = 0;
    // 240 MB in all, of which 2 MB are remembered at a time.
    for round in 0..6 {
        publish_many(&broker, round, 20_000).await;
        fixture.clock.advance(WINDOW);
        largest = largest.max(disk_bytes(fixture.directory.path()));
    }
    println!("{} MiB at most", largest >> 20);
    // Two journals, and the data on its way through them.
    assert!(largest < 200 << 20, "{} MiB", largest >> 20);
    drop(broker);
    let broker = fixture.open();
    for room in 0..50 {
        let history = history(&broker, &format!("room-{room}")).await;
        assert_eq!(history.position.offset, 6 * 400);
        assert_eq!(history.publications.len(), 20);
    }
}

#[tokio::test]
async fn publishing_reads_nothing_though_no_history_fits_into_memory() {
    let fixture = Fixture::with(EmbeddedOptions::default().cache_bytes(0));
    let broker = fixture.open();
    let kept = Retention::count(1000).max_bytes(5_000);
    for number in 0..200 {
        publish(
            &broker,
            &format!("topic-{}", number % 4),
            "0123456789".repeat(20).as_str(),
            kept,
        )
        .await;
    }
    for name in 0..4 {
        let history = history(&broker, &format!("topic-{name}")).await;
        let offsets: Vec<u64> = history
            .publications
            .iter()
            .map(|kept| kept.offset)
            .collect();
        assert_eq!(offsets, Vec::from_iter(26..=50));
    }
    drop(broker);
    let broker = fixture.open();
    let history = history(&broker, "topic-0").await;
    assert_eq!(
        (history.position.offset, history.publications.len()),
        (50, 25)
    );
}

/// A store with files of all kinds.
async fn with_tables() -> Fixture {
    let fixture = Fixture::new();
    let broker = Arc::new(fixture.open());
    for round in 0..3 {
        publish_many(&broker, round, 20_000).await;
    }
    drop(broker);
    fixture
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_of_any_kind_is_never_served() {
    let fixture = with_tables().await;
    let all = files(fixture.directory.path());
    let is_table = |path: &PathBuf| {
        path.parent()
            .is_some_and(|parent| parent.ends_with("tables"))
    };
    assert!(all.iter().any(is_table), "{all:?}");
    let mut refused = 0;
    for path in all {
        let good = fs::read(&path).unwrap();
        // Journals have a test of their own, which takes less time.
        if good.is_empty() || path.extension().is_some_and(|extension| extension == "jnl") {
            continue;
        }
        let name = path.strip_prefix(fixture.directory.path()).unwrap();
        let copy = tempfile::tempdir().unwrap();
        copy_all(fixture.directory.path(), copy.path());
        let mut bad = good;
        let at = bad.len() / 2;
        bad[at] ^= 0x55;
        fs::write(copy.path().join(name), bad).unwrap();
        println!("byte {at} of {}", name.display());
        refused += usize::from(!is_right_or_refused(&fixture, copy.path()).await);
    }
    assert!(refused > 0);
}

/// Returns `true` if the store opens. It must serve only correct data or errors.
async fn is_right_or_refused(fixture: &Fixture, directory: &Path) -> bool {
    let clock = Arc::clone(&fixture.clock);
    let broker = match EmbeddedBroker::builder(directory)
        .options(fixture.options)
        .clock(clock)
        .open()
    {
        Ok(broker) => broker,
        Err(OpenError::InUse) => panic!("{}", directory.display()),
        Err(_) => return false,
    };
    for room in 0..50 {
        if let Ok(history) = broker.history(&topic(&format!("room-{room}")), ALL).await {
            assert_eq!(history.position.offset, 3 * 400);
            assert_eq!(history.publications.len(), 20);
            let is_whole = |kept: &Arc<Publication>| kept.data == vec![b'x'; 2000];
            assert!(history.publications.iter().all(is_whole));
        }
    }
    true
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&copy).unwrap();
            copy_all(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
}

#[cfg(feature = "testing")]
#[tokio::test]
async fn a_writer_that_ends_is_told_and_the_store_opens_again_as_after_a_crash() {
    let fixture = Fixture::new();
    let broker = fixture.open();
    assert_eq!(broker.failed().now_or_never(), None);
    publish(&broker, "a", "1", Retention::count(9)).await;
    broker.end_writer().await;
    assert_eq!(broker.failed().await, "the store's writer");
    let next = broker.publish(&topic("a"), Publish::new("2")).await;
    assert!(matches!(next, Err(BrokerError::Unavailable(_))), "{next:?}");
    assert_eq!(texts(&history(&broker, "a").await), ["1"]);
    drop(broker);
    let broker = fixture.open();
    assert_eq!(texts(&history(&broker, "a").await), ["1"]);
}
