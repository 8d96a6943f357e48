//! The publications of a node on their way to the store: in groups, and in order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::feed::PushedGroup;
use super::node::{Node, PATIENCE};
use super::store::{Appended, SharedStore, Stored};
use super::topic::{Delivered, Topic};
use crate::error::BrokerError;
use crate::publication::{Publication, Publish, Published};
use crate::retention::Retention;
use crate::topic_name::TopicName;

/// The most publications in a group.
const GROUP: usize = 64;
/// The most bytes of data in a group, unless a single publication has more.
const GROUP_BYTES: usize = 64 * 1024;
/// The most groups of a topic that are under way.
const UNDER_WAY: usize = 4;

/// The approximate cost of a publication in the queue beside its data.
const OVERHEAD: usize = 256;

/// The publications of a node that are not in the store yet.
pub(super) struct Publisher<S> {
    node: Arc<Node<S>>,
    /// The topics that have some, each with a task that sends them.
    queues: Mutex<HashMap<TopicName, Queue>>,
    space: Arc<Semaphore>,
}

struct Queue {
    waiting: VecDeque<Waiting>,
    more: Arc<Notify>,
}

struct Waiting {
    publish: Publish,
    reply: oneshot::Sender<Result<Stored, BrokerError>>,
    /// The room in the queue, which is given back with the reply.
    _space: OwnedSemaphorePermit,
}

impl<S: SharedStore> Publisher<S> {
    pub(super) fn new(node: Arc<Node<S>>) -> Arc<Self> {
        let bytes = node.options.queue_bytes.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            node,
            queues: Mutex::default(),
            space: Arc::new(Semaphore::new(bytes)),
        })
    }

    /// Publishes. Resolves when the store has it and this node's sinks have it, or were told
    /// that they will not.
    pub(super) async fn publish(
        self: &Arc<Self>,
        topic: TopicName,
        publish: Publish,
    ) -> Result<Published, BrokerError> {
        let space = (publish.data.len() + OVERHEAD).min(self.node.options.queue_bytes);
        let space = u32::try_from(space).unwrap_or(u32::MAX);
        let space = Arc::clone(&self.space).acquire_many_owned(space);
        let space = space
            .await
            .map_err(|error| BrokerError::Unavailable(error.into()))?;
        let (reply, stored) = oneshot::channel();
        self.send(
            &topic,
            Waiting {
                publish,
                reply,
                _space: space,
            },
        );
        let stored = stored
            .await
            .map_err(|error| BrokerError::InDoubt(error.into()))??;
        if stored.is_repeat {
            return Ok(Published::repeat(stored.position));
        }
        if stored.is_outdated {
            return Ok(Published::outdated(stored.position));
        }
        if let Some(topic) = self.node.find(&topic) {
            wait_for_sinks(&topic, &stored).await?;
        }
        Ok(Published::new(stored.position))
    }

    /// Resolves when nothing is on its way any more.
    pub(super) async fn flush(&self) {
        let all = self.node.options.queue_bytes.min(Semaphore::MAX_PERMITS);
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        // Fails only when it was closed before, with nothing on its way.
        let _ = self.space.acquire_many(all).await;
        self.space.close();
    }

    fn send(self: &Arc<Self>, topic: &TopicName, waiting: Waiting) {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get_mut(topic) {
            queue.waiting.push_back(waiting);
            queue.more.notify_one();
            return;
        }
        let more = Arc::new(Notify::new());
        let queue = Queue {
            waiting: [waiting].into(),
            more: Arc::clone(&more),
        };
        queues.insert(topic.clone(), queue);
        let publisher = Arc::clone(self);
        let topic = topic.clone();
        self.node
            .runtime
            .spawn(async move { publisher.send_all(topic, &more).await });
    }

    /// Sends what waits for a topic until nothing does.
    async fn send_all(&self, topic: TopicName, more: &Notify) {
        // New ones are polled in the order in which they are pushed.
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < UNDER_WAY
                && let Some(group) = self.take_group(&topic)
            {
                under_way.push(self.send_group(&topic, group));
            }
            if under_way.is_empty() {
                let mut queues = self.queues.lock();
                if queues
                    .get(&topic)
                    .is_some_and(|queue| queue.waiting.is_empty())
                {
                    queues.remove(&topic);
                    return;
                }
                continue;
            }
            tokio::select! {
                biased;
                _ = under_way.next() => {}
                () = more.notified() => {}
            }
        }
    }

    fn take_group(&self, topic: &TopicName) -> Option<Vec<Waiting>> {
        let mut queues = self.queues.lock();
        let waiting = &mut queues.get_mut(topic)?.waiting;
        let retention = waiting.front()?.publish.retention;
        let mut bytes = 0;
        let count = waiting
            .iter()
            .take(GROUP)
            .take_while(|waiting| {
                bytes += waiting.publish.data.len();
                // A node knows the bounds of a group, and not those of each publication.
                bytes <= GROUP_BYTES && waiting.publish.retention == retention
            })
            .count();
        Some(waiting.drain(..count.max(1)).collect())
    }

    async fn send_group(&self, topic: &TopicName, group: Vec<Waiting>) {
        let (publishes, replies): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|waiting| (waiting.publish, (waiting.reply, waiting._space)))
            .unzip();
        let sent = publishes.clone();
        let outcomes = match self.node.store.publish(topic, publishes).await {
            Ok(appended) if appended.outcomes.len() == sent.len() => {
                if let Some(group) = pushed(&appended, sent) {
                    self.node.acknowledged(topic, group);
                }
                appended.outcomes
            }
            Ok(_) => {
                let error = "the store has not said what became of each publication";
                copies(BrokerError::InDoubt(error.into()), sent.len())
            }
            Err(error) => copies(error, sent.len()),
        };
        for ((reply, space), outcome) in replies.into_iter().zip(outcomes) {
            drop(space);
            // A publisher that has stopped waiting does not need the reply.
            let _ = reply.send(outcome);
        }
    }
}

/// The publications of a group that were appended, as the store pushes them.
fn pushed(appended: &Appended, sent: Vec<Publish>) -> Option<PushedGroup> {
    let new = appended
        .outcomes
        .iter()
        .zip(sent)
        .filter_map(|(outcome, publish)| {
            let stored = outcome.as_ref().ok().filter(|stored| stored.is_new())?;
            Some((stored, publish))
        });
    let mut epoch = None;
    let mut retention = Retention::NOTHING;
    let publications = new
        .map(|(stored, publish)| {
            epoch = Some(stored.position.epoch);
            retention = publish.retention;
            let offset = stored.position.offset;
            let publication = Publication::new(offset, stored.time_ms, publish.data);
            Arc::new(publication.by(publish.owner))
        })
        .collect();
    let continues = appended.continues;
    Some(PushedGroup::new(
        epoch?,
        continues,
        publications,
        Some(retention),
    ))
}

async fn wait_for_sinks(topic: &Topic, stored: &Stored) -> Result<(), BrokerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut changed = std::pin::pin!(topic.changed.notified());
        changed.as_mut().enable();
        let delivered = topic.state.lock().has_delivered(stored.position);
        match delivered {
            Delivered::Yes => return Ok(()),
            Delivered::TakenBack => {
                let error = "the store has acknowledged the publication and lost it since";
                return Err(BrokerError::InDoubt(error.into()));
            }
            Delivered::NotYet => {}
        }
        // It is in the store; this node's subscribers will have it when it is in step again.
        if tokio::time::timeout_at(deadline, changed).await.is_err() {
            return Ok(());
        }
    }
}

/// The failure of a group, for each of its publications.
fn copies(error: BrokerError, count: usize) -> Vec<Result<Stored, BrokerError>> {
    let (kind, cause): (fn(Copied) -> BrokerError, _) = match error {
        BrokerError::Unavailable(cause) => (|copy| BrokerError::Unavailable(copy.into()), cause),
        BrokerError::Damaged(cause) => (|copy| BrokerError::Damaged(copy.into()), cause),
        BrokerError::Full(cause) => (|copy| BrokerError::Full(copy.into()), cause),
        BrokerError::InDoubt(cause) => (|copy| BrokerError::InDoubt(copy.into()), cause),
        // It concerns one publication, so a store does not say it of a group.
        error @ BrokerError::Reused => (|copy| BrokerError::InDoubt(copy.into()), error.into()),
    };
    let cause: Arc<dyn std::error::Error + Send + Sync> = cause.into();
    let copy = || Err(kind(Copied(Arc::clone(&cause))));
    std::iter::repeat_with(copy).take(count).collect()
}

/// An error that several callers get.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
struct Copied(Arc<dyn std::error::Error + Send + Sync>);
