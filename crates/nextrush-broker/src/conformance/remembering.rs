//! Promises about histories and retention.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ALL, KEEP, fresh, history, offsets, publish, texts};
use crate::broker::Broker;
use crate::history::HistoryQuery;
use crate::retention::Retention;

pub(super) async fn latest_reads_the_newest(broker: &impl Broker) {
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

pub(super) async fn after_reads_what_follows(broker: &impl Broker) {
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

pub(super) async fn retention_bounds_the_count(broker: &impl Broker) {
    let topic = fresh("count");
    let mut epochs = BTreeSet::new();
    // The retention of each publication, and the offsets in the history afterwards.
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

pub(super) async fn retention_bounds_the_age(broker: &impl Broker) {
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

pub(super) async fn retention_bounds_the_bytes(broker: &impl Broker) {
    let topic = fresh("bytes");
    // The text and retention of each publication, and the texts in the history afterwards.
    let steps: [(&str, usize, &[&str]); 8] = [
        ("aaaa", 10, &["aaaa"]),
        ("bbbb", 10, &["aaaa", "bbbb"]),
        ("cc", 10, &["aaaa", "bbbb", "cc"]),
        ("d", 10, &["bbbb", "cc", "d"]),
        ("ee", 5, &["cc", "d", "ee"]),
        ("", 5, &["cc", "d", "ee", ""]),
        ("ffffff", 5, &[]),
        ("g", 5, &["g"]),
    ];
    for (text, bytes, expected) in steps {
        let position = publish(broker, &topic, text, KEEP.max_bytes(bytes)).await;
        let history = history(broker, &topic, ALL).await;
        assert_eq!(
            texts(&history),
            expected,
            "what is kept after {text:?} with {bytes} bytes"
        );
        assert_eq!(
            history.position, position,
            "the position outlives what was too much"
        );
    }
}
