//! The broker of a node over a store that several nodes share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::feeding::FeedOf;
use super::histories;
use super::node::Node;
use super::options::SequencerOptions;
use super::publishing::Publisher;
use super::store::SharedStore;
use super::topic::Topic;
use super::watching::{keep_checking, keep_watching};
use crate::broker::{Broker, Sink};
use crate::claim::{Attempt, Claim, Claimed};
use crate::clock::{Clock, SystemClock};
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::{History, HistoryQuery};
use crate::publication::{Publish, Published};
use crate::topic_name::TopicName;

/// The broker of a node over a [`SharedStore`]: all nodes on the store share topics.
///
/// A store's pushes may be lost, late, doubled and out of order. This puts them in order, reads
/// what is missing, and tells the sinks of what cannot be had ([`Interrupt`]). It compares
/// each topic with the store when the store has lost a connection and every 10 s, so it also
/// finds out that a store has lost publications after it acknowledged them.
///
/// # Histories
///
/// The newest publications of the topics with subscribers are kept in memory, up to
/// [`SequencerOptions::tail_bytes`], and histories are answered from there while the topic is
/// in step: however many clients come back to a topic, the store is asked once.
///
/// # Without the store
///
/// Publishing fails with [`Unavailable`](BrokerError::Unavailable) or, where the request was
/// sent, [`InDoubt`](BrokerError::InDoubt); a repeat with the same [key](Publish::once) is safe.
/// Subscribing and reading fail with [`Unavailable`](BrokerError::Unavailable) 5 s after the
/// store was lost, and from then on at once. When the store is back, everything goes on by itself.
///
/// [`Interrupt`]: crate::Interrupt
pub struct SequencedBroker<S: SharedStore> {
    node: Arc<Node<S>>,
    publisher: Arc<Publisher<S>>,
    tasks: [AbortHandle; 2],
}

/// The number of times that a [`SequencedBroker`] had to do something about the store's pushes,
/// since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SequencerCounts {
    /// Histories that were read from the store.
    pub reads: u64,
    /// Times that sinks were told of [lost](crate::Interrupt::Lost) publications.
    pub lost: u64,
    /// Times that they were told of publications that were
    /// [taken back](crate::Interrupt::TakenBack).
    pub taken_back: u64,
    /// Lives of topics that [continued](crate::Interrupt::Continued) the one before.
    pub continued: u64,
    /// Lives of topics that [began anew](crate::Interrupt::Began).
    pub began: u64,
    /// Topics that the store ceased to push.
    pub unwatched: u64,
    /// Topics that are in memory now.
    pub topics: usize,
    /// Bytes of publications that are in memory now.
    pub tail_bytes: usize,
}

impl<S: SharedStore> SequencedBroker<S> {
    /// A broker over a store, with the system's clock. The store belongs to this broker alone.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime, in which its tasks run until it is dropped.
    #[must_use]
    pub fn new(store: Arc<S>, options: SequencerOptions) -> Self {
        Self::with_clock(store, options, SystemClock)
    }

    /// A broker with another clock for the time of day. Durations are those of the tokio
    /// runtime.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[must_use]
    pub fn with_clock(store: Arc<S>, options: SequencerOptions, clock: impl Clock) -> Self {
        let node = Node::new(store, options, Arc::new(clock));
        node.store.connect(Arc::new(FeedOf(Arc::downgrade(&node))));
        let watching = node.runtime.spawn(keep_watching(Arc::clone(&node)));
        let checking = node.runtime.spawn(keep_checking(Arc::clone(&node)));
        Self {
            publisher: Publisher::new(Arc::clone(&node)),
            node,
            tasks: [watching.abort_handle(), checking.abort_handle()],
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<S> {
        &self.node.store
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> SequencerCounts {
        let counts = &self.node.counts;
        SequencerCounts {
            reads: counts.reads.load(Ordering::Relaxed),
            lost: counts.lost.load(Ordering::Relaxed),
            taken_back: counts.taken_back.load(Ordering::Relaxed),
            continued: counts.continued.load(Ordering::Relaxed),
            began: counts.began.load(Ordering::Relaxed),
            unwatched: counts.unwatched.load(Ordering::Relaxed),
            topics: self.node.topic_count(),
            tail_bytes: self.node.bytes(),
        }
    }

    fn stop(&self) {
        self.node.close();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// An interest in a topic that is taken back if nothing comes of it.
struct Interested<'a, S: SharedStore> {
    node: &'a Arc<Node<S>>,
    topic: &'a Arc<Topic>,
    is_kept: bool,
}

impl<S: SharedStore> Drop for Interested<'_, S> {
    fn drop(&mut self) {
        if !self.is_kept {
            give_back(self.node, self.topic);
        }
    }
}

fn give_back<S: SharedStore>(node: &Node<S>, topic: &Arc<Topic>) {
    let is_unused = {
        let mut state = topic.state.lock();
        let is_last = state.interests == 1;
        state.interests = state.interests.saturating_sub(1);
        state.left = Some(Instant::now());
        is_last
    };
    if is_unused {
        topic.changed.notify_waiters();
        node.give_up_at(Instant::now() + node.options.linger, topic);
    }
}

impl<S: SharedStore> Broker for SequencedBroker<S> {
    fn attach(&self, sink: Arc<dyn Sink>) {
        self.node.attach(sink);
    }

    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { self.publisher.publish(topic, publish).await })
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { histories::read(&self.node, &topic, query).await })
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        self.node.store.topics(after, limit)
    }

    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let name = topic.clone();
        Box::pin(async move {
            let deadline = self.node.deadline(&name);
            loop {
                let topic = self.node.find_or_begin(&name);
                {
                    let mut state = topic.state.lock();
                    if state.is_gone {
                        continue;
                    }
                    state.interests += 1;
                }
                let mut interested = Interested {
                    node: &self.node,
                    topic: &topic,
                    is_kept: false,
                };
                histories::in_step(&self.node, &topic, deadline).await?;
                interested.is_kept = true;
                return Ok(());
            }
        })
    }

    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            if let Some(topic) = self.node.find(&topic) {
                give_back(&self.node, &topic);
            }
            Ok(())
        })
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        self.node.store.claim(attempt)
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        self.node.store.answer(claimed, answer)
    }

    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<usize, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let deleted = self.node.store.delete(&topic, which).await?;
            if let Some(topic) = self.node.find(&topic) {
                self.node.delete(&topic, &deleted);
            }
            Ok(deleted.offsets.len())
        })
    }

    fn away(&self) -> Option<Duration> {
        self.node.store.away()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.publisher.flush().await;
            self.stop();
            self.node.store.shutdown().await;
        })
    }
}

impl<S: SharedStore> Drop for SequencedBroker<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<S: SharedStore> fmt::Debug for SequencedBroker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SequencedBroker")
            .field("counts", &self.counts())
            .field("sinks", &self.node.sink_count())
            .finish_non_exhaustive()
    }
}
