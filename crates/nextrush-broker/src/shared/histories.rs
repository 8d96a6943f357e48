//! The histories of topics, from a node's memory or from the store.

use std::sync::Arc;

use tokio::time::Instant;

use super::node::{Node, breathe, patient};
use super::store::SharedStore;
use super::topic::Topic;
use crate::error::BrokerError;
use crate::history::{History, HistoryQuery};
use crate::position::Position;
use crate::topic_name::TopicName;

/// Answers a query. A topic that the node watches is answered from its memory as far as that
/// reaches; its sinks know the life of the topic before the caller does.
pub(super) async fn read<S: SharedStore>(
    node: &Arc<Node<S>>,
    name: &TopicName,
    query: HistoryQuery,
) -> Result<History, BrokerError> {
    let begun = Instant::now();
    let deadline = node.deadline(name);
    loop {
        let Some(topic) = node.find(name) else {
            return Ok(node.read(name, query).await?.history);
        };
        if let Some(history) = answer(node, &topic, query, begun, deadline).await? {
            return Ok(history);
        }
        // One at a time, so that the others find in the tail what this one reads.
        let _alone = patient(deadline, topic.reading.lock()).await?;
        if let Some(history) = answer(node, &topic, query, begun, deadline).await? {
            return Ok(history);
        }
        let asked = Instant::now();
        let found = node.read(name, query).await?;
        let is_known = node.enter(&topic, |state, _| {
            let is_known = state.is_gone || state.sequence.observe(query, &found);
            if is_known && state.sequence.position() == Some(found.history.position) {
                state.compared(asked);
            }
            is_known
        });
        if is_known {
            catch_up(&topic, found.history.position, deadline).await?;
            return Ok(found.history);
        }
        patient(deadline, breathe()).await?;
    }
}

/// Waits until the sinks have everything up to a position: a subscriber that is given it in a
/// history is not delivered it again later.
async fn catch_up(topic: &Topic, position: Position, deadline: Instant) -> Result<(), BrokerError> {
    loop {
        let mut changed = std::pin::pin!(topic.changed.notified());
        changed.as_mut().enable();
        let is_behind = {
            let state = topic.state.lock();
            let here = state.sequence.position();
            !state.is_gone
                && here.is_some_and(|here| {
                    here.epoch == position.epoch && here.offset < position.offset
                })
        };
        if !is_behind {
            return Ok(());
        }
        patient(deadline, changed).await?;
    }
}

/// The answer from memory, once the topic is in step; `None` if the store has more.
async fn answer<S: SharedStore>(
    node: &Arc<Node<S>>,
    topic: &Arc<Topic>,
    query: HistoryQuery,
    begun: Instant,
    deadline: Instant,
) -> Result<Option<History>, BrokerError> {
    if !in_step(node, topic, deadline).await? {
        return Ok(None);
    }
    let now_ms = node.now_ms();
    Ok(topic.state.lock().answer(query, begun, now_ms))
}

/// Waits until a topic is in step with the store. Returns `false` if it has left the table.
pub(super) async fn in_step<S: SharedStore>(
    node: &Arc<Node<S>>,
    topic: &Arc<Topic>,
    deadline: Instant,
) -> Result<bool, BrokerError> {
    let mut is_asked = false;
    loop {
        let mut changed = std::pin::pin!(topic.changed.notified());
        changed.as_mut().enable();
        let is_watched = {
            let state = topic.state.lock();
            if state.is_gone {
                return Ok(false);
            }
            if state.is_in_step() {
                return Ok(true);
            }
            state.is_watched
        };
        // It was not compared with the store for too long.
        if is_watched && !is_asked {
            is_asked = true;
            node.enter(topic, |state, _| state.sequence.doubt());
            continue;
        }
        patient(deadline, changed).await?;
    }
}
