//! What every [`Broker`] must do, as a test that each broker's crate runs.
//!
//! ```
//! use nextrush_broker::{MemoryBroker, conformance::conformance};
//!
//! # // In a test: #[tokio::test(flavor = "multi_thread")]
//! #[tokio::main]
//! async fn main() {
//!     conformance(async || MemoryBroker::new()).await;
//! }
//! ```

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{Broker, Epoch, History, HistoryQuery, Position, Publication, Retention, Sink, Topic};

/// Checks the promises of [`Broker`] on brokers made by `make`, one for each promise.
///
/// The brokers may share a store: topics have names that were never used before. The
/// futures of concurrent publishers run as tasks on tokio's current runtime, so use a
/// multi-threaded one to see them truly at once. No check waits for time to pass.
///
/// # Panics
///
/// When a promise is broken, with a text that says which and how. Also when the broker
/// returns an error, or outside a tokio runtime.
pub async fn conformance<B: Broker>(make: impl AsyncFn() -> B) {
    offsets_count_from_one(&make().await).await;
    a_topic_has_a_position_before_its_first_publication(&make().await).await;
    topics_are_independent(&make().await).await;
    latest_reads_the_newest(&make().await).await;
    after_reads_what_follows(&make().await).await;
    retention_bounds_the_count(&make().await).await;
    retention_bounds_the_age(&make().await).await;
    sinks_get_subscribed_topics_only(&make().await).await;
    interests_are_counted(&make().await).await;
    every_sink_gets_what_history_has(&make().await).await;
    concurrent_publishers_share_one_order(Arc::new(make().await)).await;
    concurrent_topics_keep_their_order(Arc::new(make().await)).await;
}

const KEEP: Retention = Retention::count(10_000);
const ALL: HistoryQuery = HistoryQuery::Latest(usize::MAX);

async fn offsets_count_from_one(broker: &impl Broker) {
    let topic = fresh("offsets");
    let first = publish(broker, &topic, "1", KEEP).await;
    assert_eq!(
        first.offset, 1,
        "the first publication of a topic has offset 1"
    );
    for offset in 2..=50 {
        let position = publish(broker, &topic, "n", KEEP).await;
        assert_eq!(
            position,
            Position {
                epoch: first.epoch,
                offset
            },
            "each publication's offset is one more, in the same epoch"
        );
        let history = history(broker, &topic, HistoryQuery::Latest(0)).await;
        assert_eq!(
            history.position, position,
            "history's position is that of the newest"
        );
    }
}

async fn a_topic_has_a_position_before_its_first_publication(broker: &impl Broker) {
    let topic = fresh("unpublished");
    subscribe(broker, &topic).await;
    let before = history(broker, &topic, ALL).await;
    assert_eq!(
        before.position.offset, 0,
        "a topic without publications is at offset 0"
    );
    assert_eq!(
        before.publications,
        [],
        "a topic without publications has no history"
    );
    let again = history(broker, &topic, ALL).await;
    assert_eq!(again, before, "reading a topic does not change it");
    let first = publish(broker, &topic, "1", KEEP).await;
    assert_eq!(
        first,
        Position {
            epoch: before.position.epoch,
            offset: 1
        },
        "the first publication belongs to the epoch that was read before it"
    );
}

async fn topics_are_independent(broker: &impl Broker) {
    let [one, other] = [fresh("one"), fresh("other")];
    publish(broker, &one, "a", KEEP).await;
    publish(broker, &one, "b", KEEP).await;
    let position = publish(broker, &other, "c", Retention::NOTHING).await;
    assert_eq!(
        position.offset, 1,
        "a topic's offsets don't count another topic's publications"
    );
    let history = history(broker, &one, ALL).await;
    assert_eq!(
        texts(&history),
        ["a", "b"],
        "a topic's history holds its own publications only"
    );
}

async fn latest_reads_the_newest(broker: &impl Broker) {
    let topic = fresh("latest");
    for text in ["a", "b", "", "d"] {
        publish(broker, &topic, text, KEEP).await;
    }
    let cases: [(usize, &[&str]); 5] = [
        (0, &[]),
        (1, &["d"]),
        (3, &["b", "", "d"]),
        (4, &["a", "b", "", "d"]),
        (usize::MAX, &["a", "b", "", "d"]),
    ];
    for (limit, expected) in cases {
        let history = history(broker, &topic, HistoryQuery::Latest(limit)).await;
        assert_eq!(
            texts(&history),
            expected,
            "Latest({limit}) of four, oldest first"
        );
        assert_eq!(
            history.position.offset, 4,
            "Latest({limit}) comes with the top position"
        );
    }
    let history = history(broker, &topic, ALL).await;
    assert_eq!(
        offsets(&history),
        [1, 2, 3, 4],
        "publications carry their offsets"
    );
    assert!(
        history
            .publications
            .is_sorted_by_key(|publication| publication.time_ms),
        "times never fall within a topic: {history:?}"
    );
}

async fn after_reads_what_follows(broker: &impl Broker) {
    let topic = fresh("after");
    for _ in 0..5 {
        publish(broker, &topic, "x", KEEP).await;
    }
    let cases: [(u64, usize, &[u64]); 9] = [
        (0, usize::MAX, &[1, 2, 3, 4, 5]),
        (0, 2, &[1, 2]),
        (2, 2, &[3, 4]),
        (3, 300, &[4, 5]),
        (4, 0, &[]),
        (4, 1, &[5]),
        (5, 300, &[]),
        (6, 300, &[]),
        (u64::MAX, usize::MAX, &[]),
    ];
    for (offset, limit, expected) in cases {
        let query = HistoryQuery::After { offset, limit };
        let history = history(broker, &topic, query).await;
        assert_eq!(
            offsets(&history),
            expected,
            "{query:?} of five, oldest first"
        );
        assert_eq!(
            history.position.offset, 5,
            "{query:?} comes with the top position"
        );
    }
}

async fn retention_bounds_the_count(broker: &impl Broker) {
    let topic = fresh("count");
    let mut epochs = BTreeSet::new();
    // How many are kept by each publication, and which are there afterwards.
    let steps: [(usize, &[u64]); 9] = [
        (3, &[1]),
        (3, &[1, 2]),
        (3, &[1, 2, 3]),
        (3, &[2, 3, 4]),
        (1, &[5]),
        (2, &[5, 6]),
        (0, &[]),
        (2, &[8]),
        (2, &[8, 9]),
    ];
    for (count, expected) in steps {
        let position = publish(broker, &topic, "x", Retention::count(count)).await;
        epochs.insert(position.epoch);
        for query in [
            ALL,
            HistoryQuery::After {
                offset: 0,
                limit: usize::MAX,
            },
        ] {
            let history = history(broker, &topic, query).await;
            assert_eq!(
                history.position, position,
                "the position does not depend on retention"
            );
            assert_eq!(
                offsets(&history),
                expected,
                "what is kept of {} publications after one with count {count}",
                position.offset
            );
        }
    }
    assert_eq!(
        epochs.len(),
        1,
        "the epoch lasts while the topic is in use: {epochs:?}"
    );
}

async fn retention_bounds_the_age(broker: &impl Broker) {
    let topic = fresh("age");
    let kept = KEEP.max_age(Duration::MAX);
    publish(broker, &topic, "a", kept).await;
    publish(broker, &topic, "b", KEEP.max_age(Duration::from_secs(3600))).await;
    let before = history(broker, &topic, ALL).await;
    assert_eq!(
        texts(&before),
        ["a", "b"],
        "what has not reached the age is kept"
    );
    let position = publish(broker, &topic, "c", KEEP.max_age(Duration::ZERO)).await;
    let after = history(broker, &topic, ALL).await;
    assert_eq!(
        texts(&after),
        Vec::<&str>::new(),
        "with age 0 nothing is kept"
    );
    assert_eq!(
        after.position, position,
        "the position outlives what has expired"
    );
}

async fn sinks_get_subscribed_topics_only(broker: &impl Broker) {
    let [topic, other] = [fresh("subscribed"), fresh("unsubscribed")];
    let recorder = Recorder::attach(broker);
    publish(broker, &topic, "1", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        [],
        "a sink gets nothing before the subscription"
    );

    subscribe(broker, &topic).await;
    for (text, expected) in [("2", [2].as_slice()), ("3", &[2, 3])] {
        publish(broker, &topic, text, KEEP).await;
        assert_eq!(
            recorder.offsets(&topic),
            expected,
            "a sink has the publication once, by the time publish resolves"
        );
    }
    publish(broker, &topic, "4", Retention::NOTHING).await;
    assert_eq!(
        recorder.offsets(&topic),
        [2, 3, 4],
        "what is not kept is delivered as well"
    );
    publish(broker, &other, "1", KEEP).await;
    assert_eq!(
        recorder.offsets(&other),
        [],
        "a sink gets nothing of other topics"
    );

    unsubscribe(broker, &topic).await;
    publish(broker, &topic, "5", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        [2, 3, 4],
        "a sink gets nothing once unsubscribed"
    );
    subscribe(broker, &topic).await;
    publish(broker, &topic, "6", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        [2, 3, 4, 6],
        "a new subscription starts with the next publication"
    );
}

async fn interests_are_counted(broker: &impl Broker) {
    let topic = fresh("counted");
    let recorder = Recorder::attach(broker);
    unsubscribe(broker, &topic).await;
    subscribe(broker, &topic).await;
    subscribe(broker, &topic).await;
    publish(broker, &topic, "1", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        [1],
        "unsubscribing without an interest does nothing, and two interests deliver once"
    );
    unsubscribe(broker, &topic).await;
    publish(broker, &topic, "2", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        [1, 2],
        "one of two interests is left"
    );
    unsubscribe(broker, &topic).await;
    publish(broker, &topic, "3", KEEP).await;
    assert_eq!(recorder.offsets(&topic), [1, 2], "no interest is left");
}

async fn every_sink_gets_what_history_has(broker: &impl Broker) {
    let topic = fresh("content");
    let sinks = [Recorder::attach(broker), Recorder::attach(broker)];
    subscribe(broker, &topic).await;
    let payloads = [
        Bytes::new(),
        Bytes::from_static(b"\0\xff\xfe"),
        Bytes::from("text"),
        Bytes::from(vec![b'x'; 64 * 1024]),
    ];
    for payload in &payloads {
        broker
            .publish(&topic, payload.clone(), KEEP)
            .await
            .expect("publish resolves without an error");
    }
    let history = history(broker, &topic, ALL).await;
    let kept: Vec<&Bytes> = history.publications.iter().map(|kept| &kept.data).collect();
    assert_eq!(
        kept,
        payloads.iter().collect::<Vec<_>>(),
        "history has the bytes as published"
    );
    for sink in sinks {
        let delivered = sink.of(&topic);
        assert!(
            delivered
                .iter()
                .all(|(epoch, _)| *epoch == history.position.epoch),
            "deliveries carry the topic's epoch"
        );
        let delivered: Vec<_> = delivered
            .into_iter()
            .map(|(_, publication)| publication)
            .collect();
        assert_eq!(
            delivered, history.publications,
            "each sink gets what history has"
        );
    }
}

const TASKS: u64 = 16;
const EACH: u64 = 100;

async fn concurrent_publishers_share_one_order(broker: Arc<impl Broker>) {
    let topic = fresh("concurrent");
    let recorder = Recorder::attach(&*broker);
    subscribe(&*broker, &topic).await;

    let publishers: Vec<_> = (0..TASKS)
        .map(|task| {
            let (broker, topic, recorder) = (broker.clone(), topic.clone(), recorder.clone());
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for number in 0..EACH {
                    let text = format!("{task}/{number}");
                    let position = publish(&*broker, &topic, &text, KEEP).await;
                    assert!(
                        recorder.has(&topic, position, &text),
                        "the sink has {text:?} at {position:?} by the time publish resolves"
                    );
                    mine.push((position.offset, text));
                    tokio::task::yield_now().await;
                }
                assert!(
                    mine.is_sorted(),
                    "one publisher's offsets rise in its own order"
                );
                mine
            })
        })
        .collect();
    let mut published = Vec::new();
    for publisher in publishers {
        published.extend(joined(publisher.await));
    }
    published.sort();

    let total = TASKS * EACH;
    let expected: Vec<u64> = (1..=total).collect();
    let returned: Vec<u64> = published.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(
        returned, expected,
        "concurrent publishers get each offset once"
    );
    assert_eq!(
        recorder.offsets(&topic),
        expected,
        "a sink gets concurrent publications in the order of their offsets"
    );
    let history = history(&*broker, &topic, ALL).await;
    assert_eq!(
        history.position.offset, total,
        "the top is the number of publications"
    );
    let kept: Vec<(u64, String)> = history
        .publications
        .iter()
        .map(|kept| {
            (
                kept.offset,
                String::from_utf8_lossy(&kept.data).into_owned(),
            )
        })
        .collect();
    assert_eq!(
        kept, published,
        "history has at each offset what its publisher published"
    );
}

async fn concurrent_topics_keep_their_order(broker: Arc<impl Broker>) {
    let topics: Vec<Topic> = (0..TASKS).map(|_| fresh("parallel")).collect();
    let recorder = Recorder::attach(&*broker);
    let tasks: Vec<_> = topics
        .iter()
        .map(|topic| {
            let (broker, topic) = (broker.clone(), topic.clone());
            tokio::spawn(async move {
                subscribe(&*broker, &topic).await;
                for offset in 1..=EACH {
                    let position = publish(&*broker, &topic, "x", KEEP).await;
                    assert_eq!(
                        position.offset, offset,
                        "topics count apart from each other"
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        joined(task.await);
    }
    let expected: Vec<u64> = (1..=EACH).collect();
    for topic in &topics {
        assert_eq!(
            recorder.offsets(topic),
            expected,
            "each topic is delivered in its order"
        );
    }
}

/// A sink that writes down what it gets.
#[derive(Default)]
struct Recorder(Mutex<Vec<(Topic, Epoch, Arc<Publication>)>>);

impl Recorder {
    fn attach(broker: &impl Broker) -> Arc<Self> {
        let recorder = Arc::new(Self::default());
        broker.attach(recorder.clone());
        recorder
    }

    fn of(&self, wanted: &Topic) -> Vec<(Epoch, Arc<Publication>)> {
        let all = self.0.lock();
        all.iter()
            .filter(|(topic, ..)| topic == wanted)
            .map(|(_, epoch, publication)| (*epoch, publication.clone()))
            .collect()
    }

    fn offsets(&self, topic: &Topic) -> Vec<u64> {
        self.of(topic)
            .iter()
            .map(|(_, publication)| publication.offset)
            .collect()
    }

    fn has(&self, topic: &Topic, position: Position, text: &str) -> bool {
        self.0.lock().iter().rev().any(|(of, epoch, publication)| {
            of == topic
                && *epoch == position.epoch
                && publication.offset == position.offset
                && publication.data == text
        })
    }
}

impl Sink for Recorder {
    fn deliver(&self, topic: &Topic, epoch: Epoch, publication: &Arc<Publication>) {
        self.0
            .lock()
            .push((topic.clone(), epoch, publication.clone()));
    }
}

/// A topic that no broker has seen, be its store as old as it may.
fn fresh(name: &str) -> Topic {
    let unique = Epoch::begin(0);
    Topic::try_from(format!("conformance/{name}/{unique}")).expect("the name is short and plain")
}

async fn publish(
    broker: &impl Broker,
    topic: &Topic,
    text: &str,
    retention: Retention,
) -> Position {
    broker
        .publish(topic, Bytes::copy_from_slice(text.as_bytes()), retention)
        .await
        .expect("publish resolves without an error")
}

async fn history(broker: &impl Broker, topic: &Topic, query: HistoryQuery) -> History {
    broker
        .history(topic, query)
        .await
        .expect("history resolves without an error")
}

async fn subscribe(broker: &impl Broker, topic: &Topic) {
    broker
        .subscribe(topic)
        .await
        .expect("subscribe resolves without an error");
}

async fn unsubscribe(broker: &impl Broker, topic: &Topic) {
    broker
        .unsubscribe(topic)
        .await
        .expect("unsubscribe resolves without an error");
}

fn texts(history: &History) -> Vec<String> {
    let text = |kept: &Arc<Publication>| String::from_utf8_lossy(&kept.data).into_owned();
    history.publications.iter().map(text).collect()
}

fn offsets(history: &History) -> Vec<u64> {
    history
        .publications
        .iter()
        .map(|publication| publication.offset)
        .collect()
}

/// What a task returned; a panic of its goes on in the caller.
fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("a publisher was cancelled: {error}"),
        },
    }
}
