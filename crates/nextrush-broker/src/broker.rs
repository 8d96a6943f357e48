//! The traits of a broker and of the receivers of its publications.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::answer::{CommandKey, Reused};
use crate::deletion::Deletion;
use crate::history::{History, HistoryQuery};
use crate::position::Epoch;
use crate::publication::{Publication, Publish, Published};
use crate::topic_name::TopicName;

/// Numbers, remembers and delivers the publications of topics.
///
/// All publishers and subscribers of a node share one broker, usually as `Arc<dyn Broker>`. A
/// returned future does nothing before it is polled; it borrows the broker and not the topic.
/// If a future is dropped after it was polled, its effect may or may not have taken place.
///
/// Every broker keeps these promises, and [`conformance`](crate::conformance::conformance)
/// checks them:
///
/// - The offsets of a topic are 1, 2, 3, … without a gap for as long as its epoch lasts,
///   however many publish at once. When publications are lost, a new epoch begins.
/// - The history of a topic is an unbroken run of publications up to the newest, or empty.
/// - A [`Sink`] gets each publication of the topics that this node is subscribed to, once, in
///   the order of the offsets, before [`publish`](Self::publish) resolves on this node.
/// - Topics don't affect each other.
/// - Until its window ends, a publication that is to happen [once](Publish::once) does, and a
///   command has one [remembered](Self::remember) answer.
/// - A key whose [fingerprint](crate::Once::fingerprint) is another one publishes nothing.
///
/// # Subscribing without a gap
///
/// [`subscribe`](Self::subscribe) first, then read [`history`](Self::history): later
/// publications reach the sink, earlier ones are in the history, and those that are in both
/// have the same offset.
pub trait Broker: Send + Sync + 'static {
    /// Delivers this node's publications to `sink` as well, from now on and for as long as
    /// the broker lives.
    ///
    /// The broker owns the sink. If the sink owns the broker too, neither is ever dropped:
    /// let one of them hold a [`Weak`](std::sync::Weak).
    fn attach(&self, sink: Arc<dyn Sink>);

    /// Appends to `topic`. Resolves with the position once the broker has acknowledged the
    /// publication and the sinks of this node have it. A topic comes into being with its
    /// first publication.
    ///
    /// A repeat of a publication with [`Publish::once`] appends nothing, even while the first
    /// is still on its way, and resolves with the position of the first.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Reused`] if the key belongs to a publication with another fingerprint:
    /// nothing was published. Another [`BrokerError`] if the broker did not acknowledge the publication, which may or may
    /// not have happened.
    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>>;

    /// Reads a part of the history of `topic` and, at the same moment, its position.
    ///
    /// A topic without publications has offset 0 and an epoch too, so that a reader who came
    /// before the first publication can come back.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the history could not be read.
    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>>;

    /// Lists the topics with publications by name: the first `limit` after the topic `after`,
    /// or the first of all.
    ///
    /// A topic is listed from its first publication until the topic is forgotten, even if
    /// none of its publications is remembered. Brokers that cannot list their topics keep the
    /// default, which resolves with none.
    ///
    /// ```
    /// # use nextrush_broker::{Broker, BrokerError, TopicName};
    /// async fn all(broker: &dyn Broker) -> Result<Vec<TopicName>, BrokerError> {
    ///     let mut all = Vec::new();
    ///     loop {
    ///         let page = broker.topics(all.last(), 1000).await?;
    ///         if page.is_empty() {
    ///             return Ok(all);
    ///         }
    ///         all.extend(page);
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the names could not be read.
    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        let _ = (after, limit);
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Resolves when the broker has failed for good, with the name of the part that has ended:
    /// the process has to be ended then. By default it never does.
    fn failed(&self) -> BoxFuture<'_, &'static str> {
        Box::pin(std::future::pending())
    }

    /// Subscribes this node to `topic`: the sinks get the publications that are published
    /// after this resolves.
    ///
    /// Subscriptions are counted, and [`unsubscribe`](Self::unsubscribe) takes back one. So
    /// the last subscriber of a topic may leave while the next one comes.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the subscription failed; it does not count then.
    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Takes back one subscription of this node to `topic`. With the last one, the sinks get
    /// no more publications of the topic once this has resolved.
    ///
    /// Without a subscription this does nothing.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the broker could not be told. The subscription counts as taken
    /// back, though publications may arrive for a while.
    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Remembers the answer to a command for `window`, in whole milliseconds. Resolves with
    /// the answer in force: if the command has one already, that one stays.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is uncertain whether the answer is remembered.
    fn remember(
        &self,
        key: &CommandKey,
        answer: Bytes,
        window: Duration,
    ) -> BoxFuture<'_, Result<Bytes, BrokerError>>;

    /// Returns `true` if an answer of so many bytes would be remembered now, which is asked before
    /// a command is executed. Brokers that remember on a disk keep the default.
    fn has_room_for(&self, key: &CommandKey, bytes: usize) -> bool {
        let _ = (key, bytes);
        true
    }

    /// Looks up the remembered answer to a command.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the lookup failed.
    fn recall(&self, key: &CommandKey) -> BoxFuture<'_, Result<Option<Bytes>, BrokerError>>;

    /// Deletes remembered publications of a topic. Resolves with their number when their messages
    /// are given to nobody any more and the sinks of this node have been
    /// [told](Sink::deleted). In histories a publication without a message stands in the
    /// place of each, so no offset is missing; position and epoch stay.
    ///
    /// Each broker says for how long the bytes stay on its disk. Brokers that cannot delete keep
    /// the default, which fails.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is uncertain whether everything was deleted; a repeat deletes the
    /// rest.
    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<usize, BrokerError>> {
        let what = format!("this broker cannot delete {which:?} of {topic}");
        Box::pin(std::future::ready(Err(BrokerError::Unavailable(
            what.into(),
        ))))
    }
}

impl From<Reused> for BrokerError {
    fn from(Reused: Reused) -> Self {
        Self::Reused
    }
}

/// A receiver of the publications of the topics that this node is subscribed to.
pub trait Sink: Send + Sync + 'static {
    /// Takes a publication. The calls for a topic come one at a time in the order of the
    /// offsets, those for different topics may come at once.
    ///
    /// The publisher and all others at the topic wait for this: return quickly, and never
    /// wait for the broker, whose locks may be held. A sink that has to publish or read in
    /// response starts a task.
    fn deliver(&self, topic: &TopicName, epoch: Epoch, publication: &Arc<Publication>);

    /// Takes the offsets of publications that were [deleted](Broker::delete), in rising order.
    /// Called under the same terms as [`deliver`](Self::deliver). By default nothing happens.
    fn deleted(&self, topic: &TopicName, epoch: Epoch, offsets: &[u64]) {
        let _ = (topic, epoch, offsets);
    }
}

/// The error of a broker.
///
/// The [`MemoryBroker`](crate::MemoryBroker) refuses [reused](Self::Reused) keys and, with
/// [`Unavailable`](Self::Unavailable), to remember more answers than it may; it fails in no other
/// way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The broker's disk, server or connection failed or cannot be reached. A later attempt
    /// may succeed.
    ///
    /// Of a broker that other nodes share it says that the request was not sent, so nothing has
    /// happened.
    #[error("the broker is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The request was sent, and the broker did not say what became of it: it may have happened,
    /// or may happen yet. A repeat with the same key is safe.
    #[error("the broker did not answer")]
    InDoubt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The data in the broker's store contradicts itself and is not served. A later attempt
    /// fails too.
    #[error("the store of the broker is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store is full. Everything acknowledged before can be read.
    #[error("the store of the broker is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key belongs to another publication or command, of which nothing has changed.
    #[error("the key belongs to another command")]
    Reused,
}
