//! Promises about publishing from many tasks at once.

use std::sync::Arc;

use super::recorder::Recorder;
use super::{ALL, KEEP, LONG, fresh, fresh_key, history, publish, publish_once, subscribe};
use crate::broker::Broker;
use crate::topic_name::TopicName;

const TASKS: u64 = 16;
const EACH: u64 = 100;

pub(super) async fn concurrent_publishers_share_one_order(broker: Arc<impl Broker>) {
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

pub(super) async fn concurrent_repeats_publish_once(broker: Arc<impl Broker>) {
    let topic = fresh("repeats");
    for round in 1..=EACH {
        let key = fresh_key("concurrent");
        let publishers: Vec<_> = (0..TASKS)
            .map(|_| {
                let (broker, topic, key) = (broker.clone(), topic.clone(), key.clone());
                tokio::spawn(async move { publish_once(&*broker, &topic, "x", &key, LONG).await })
            })
            .collect();
        let mut firsts = 0;
        for publisher in publishers {
            let published = joined(publisher.await);
            firsts += usize::from(!published.is_repeat);
            assert_eq!(
                published.position.offset, round,
                "repeats at the same time share one position"
            );
        }
        assert_eq!(firsts, 1, "one of several at the same time is the first");
    }
}

pub(super) async fn concurrent_topics_keep_their_order(broker: Arc<impl Broker>) {
    let topics: Vec<TopicName> = (0..TASKS).map(|_| fresh("parallel")).collect();
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

/// The result of a task; if the task panicked, so does the caller.
fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("a publisher was cancelled: {error}"),
        },
    }
}
