//! The requests to the store to push topics, and the checks whether its pushes are complete.

use std::sync::Arc;

use tokio::time::{Instant, sleep, sleep_until};

use super::agenda::{BATCH, BATCH_EVERY};
use super::node::Node;
use super::sequence::Need;
use super::store::SharedStore;
use super::topic::Topic;
use crate::position::Position;
use crate::topic_name::TopicName;

/// Watches topics when they are due and gives up those that nobody wants, in batches and one
/// request after the other, so that a topic is not given up after it was watched again.
pub(super) async fn keep_watching<S: SharedStore>(node: Arc<Node<S>>) {
    let mut failures = 0;
    while !node.is_closed() {
        let unused = node.take_unused();
        if let Ok(topics) = &unused {
            let names: Vec<TopicName> = topics
                .iter()
                .filter(|topic| node.forget(topic))
                .map(|topic| topic.name.clone())
                .collect();
            if !names.is_empty() {
                node.store.unwatch(&names).await;
            }
        }
        match node.take_due() {
            Ok(topics) => failures = watch(&node, topics, failures).await,
            Err(next) => {
                let next = match unused {
                    Ok(_) => Some(Instant::now()),
                    Err(unused) => next.into_iter().chain(unused).min(),
                };
                let due = async {
                    match next {
                        Some(next) => sleep_until(next).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    () = due => {}
                    () = node.work.notified() => {}
                }
            }
        }
    }
}

/// Watches a batch. Returns the number of failures in a row.
async fn watch<S: SharedStore>(
    node: &Arc<Node<S>>,
    mut topics: Vec<Arc<Topic>>,
    failures: u32,
) -> u32 {
    topics.retain(|topic| {
        let state = topic.state.lock();
        !state.is_gone && !state.is_watched
    });
    if topics.is_empty() {
        return failures;
    }
    let breaks: Vec<u64> = topics
        .iter()
        .map(|topic| topic.state.lock().breaks)
        .collect();
    let results = node.store.watch(&names(&topics)).await;
    let mut failed = false;
    let mut results = results.into_iter();
    let mut known = Vec::new();
    for (topic, breaks) in topics.into_iter().zip(breaks) {
        let result = results.next();
        if !matches!(result, Some(Ok(()))) {
            failed = true;
            node.watch_at(Instant::now() + node.pause_after(failures), &topic);
            continue;
        }
        // One that was never read is read now.
        let is_watched = node.enter(&topic, |state, _| {
            state.is_watched = state.breaks == breaks;
            state.is_watched
        });
        if !is_watched {
            node.watch_at(Instant::now(), &topic);
        } else if topic.state.lock().sequence.position().is_some() {
            known.push(topic);
        }
    }
    check(node, &known).await;
    if failed { failures + 1 } else { 0 }
}

/// Compares all watched topics with the store, again and again.
pub(super) async fn keep_checking<S: SharedStore>(node: Arc<Node<S>>) {
    let mut begun = Instant::now();
    while !node.is_closed() {
        let spread = 0.8 + 0.4 * node.jitter.fraction();
        sleep_until(begun + node.options.check_every.mul_f64(spread)).await;
        begun = Instant::now();
        for batch in node.topics().chunks(BATCH) {
            check(&node, batch).await;
            sleep(BATCH_EVERY).await;
        }
    }
}

/// Compares topics with the store. Those that differ are read; those that do not are in step.
async fn check<S: SharedStore>(node: &Arc<Node<S>>, topics: &[Arc<Topic>]) {
    let checked: Vec<(Arc<Topic>, Position, u64)> = topics
        .iter()
        .filter_map(|topic| {
            let state = topic.state.lock();
            let position = state.sequence.position()?;
            (state.is_watched && !state.is_gone)
                .then(|| (Arc::clone(topic), position, state.breaks))
        })
        .collect();
    if checked.is_empty() {
        return;
    }
    let topics: Vec<_> = checked
        .iter()
        .map(|(topic, ..)| Arc::clone(topic))
        .collect();
    let begun = Instant::now();
    let tops = node.store.tops(&names(&topics)).await;
    for ((topic, before, breaks), top) in checked.into_iter().zip(tops) {
        // Without an answer nothing is known, and after a while the topic is out of step.
        let Ok(top) = top else {
            continue;
        };
        node.enter(&topic, |state, _| {
            if state.is_gone {
                return;
            }
            let agrees = state.sequence.checked(top.as_ref(), before);
            if agrees && state.breaks == breaks && state.sequence.need() == Need::None {
                state.compared(begun);
            }
        });
    }
}

fn names(topics: &[Arc<Topic>]) -> Vec<TopicName> {
    topics.iter().map(|topic| topic.name.clone()).collect()
}
