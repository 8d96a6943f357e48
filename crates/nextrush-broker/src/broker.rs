//! The traits of a broker and of the receivers of its publications.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::answer::CommandKey;
use crate::history::{History, HistoryQuery};
use crate::position::Epoch;
use crate::publication::{Publication, Publish, Published};
use crate::topic::Topic;

/// Keeps topics: numbers what is published, remembers it, and hands it to the nodes
/// that are interested.
///
/// A broker is shared by everything on a node that publishes or subscribes, usually
/// as `Arc<dyn Broker>`. Nothing happens before a returned future is polled; the
/// futures borrow the broker and not the topic. Dropping a future that was polled
/// leaves open whether its effect took place.
///
/// What every broker promises, and what [`conformance`](crate::conformance::conformance)
/// checks:
///
/// - Offsets of a topic are 1, 2, 3, … without a hole for as long as its epoch lasts,
///   however many publish at once. When the stream is lost, the epoch changes.
/// - What a topic remembers is always an unbroken run that ends at its top, or nothing.
/// - A [`Sink`] is given the publications of the topics this node is subscribed to,
///   each once, in the order of their offsets, and has it before
///   [`publish`](Self::publish) resolves on this node.
/// - Topics don't affect each other.
/// - A publication that is to happen [once](Publish::once) does, and a command has one
///   [remembered](Self::remember) answer, until the window ends.
///
/// # Subscribing without a gap
///
/// [`subscribe`](Self::subscribe) first, then read [`history`](Self::history): what
/// is published from then on reaches the sink, what was published before is in the
/// answer, and what is in both is recognised by its offset.
pub trait Broker: Send + Sync + 'static {
    /// Makes `sink` a receiver of this node's publications, from now on and for as
    /// long as the broker lives. Every attached sink receives everything.
    ///
    /// The broker owns the sink, so a sink that owns the broker keeps both alive for
    /// ever: let one of them hold a [`Weak`](std::sync::Weak).
    fn attach(&self, sink: Arc<dyn Sink>);

    /// Appends to `topic` and resolves with the position once the broker has
    /// acknowledged it, by which time the sinks of this node have it. A topic comes into
    /// being with its first publication.
    ///
    /// With [`Publish::once`] a repeat appends nothing, also while the first one is still
    /// on its way, and resolves with the position of the first.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] when the broker did not acknowledge it. The publication then
    /// may or may not have happened.
    fn publish(
        &self,
        topic: &Topic,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>>;

    /// What `topic` remembers of what `query` asks for, and its current position,
    /// both read at the same moment.
    ///
    /// A topic in which nothing was ever published has offset 0 and an epoch, so that
    /// somebody who is present before the first publication can come back as well.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] when the history could not be read.
    fn history(
        &self,
        topic: &Topic,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>>;

    /// The topics with publications that the broker knows, in the order of their names: the
    /// first `limit` after the topic `after`, or the first of all.
    ///
    /// Known are topics in which something was published, whether or not a publication is
    /// still remembered, until the topic itself is forgotten. Nobody has to know its topics: a
    /// broker that cannot list them keeps the default, which resolves with none.
    ///
    /// ```
    /// # use nextrush_broker::{Broker, BrokerError, Topic};
    /// async fn all(broker: &dyn Broker) -> Result<Vec<Topic>, BrokerError> {
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
    /// [`BrokerError`] when the names could not be read.
    fn topics(
        &self,
        after: Option<&Topic>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Topic>, BrokerError>> {
        let _ = (after, limit);
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Registers an interest of this node in `topic`: what is published after this
    /// resolves is given to the sinks.
    ///
    /// Interests are counted, and each is taken back by one
    /// [`unsubscribe`](Self::unsubscribe). So the last subscriber's leaving and the
    /// next one's coming may overtake each other without harm.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] when the interest could not be registered; it does not count
    /// then.
    fn subscribe(&self, topic: &Topic) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Takes back one interest of this node in `topic`. With the last one the sinks
    /// get nothing more of it once this has resolved.
    ///
    /// Without an interest this does nothing.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] when the broker could not be told. The interest counts as
    /// taken back, though publications may arrive for a while.
    fn unsubscribe(&self, topic: &Topic) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Remembers the answer to a command for `window`, counted in whole milliseconds, and
    /// resolves with the answer that is in force: where one is remembered already, that
    /// one, and this one is dropped.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] when it is uncertain whether the answer is remembered.
    fn remember(
        &self,
        key: &CommandKey,
        answer: Bytes,
        window: Duration,
    ) -> BoxFuture<'_, Result<Bytes, BrokerError>>;

    /// The answer to a command that is remembered.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] when it could not be looked up.
    fn recall(&self, key: &CommandKey) -> BoxFuture<'_, Result<Option<Bytes>, BrokerError>>;
}

/// Receives the publications of the topics that this node is subscribed to.
pub trait Sink: Send + Sync + 'static {
    /// Takes one publication. Per topic the calls come one at a time, in the order of
    /// the offsets; different topics may call at the same time.
    ///
    /// The publisher waits for this and so does everybody else at that topic: return
    /// quickly, and never wait here for the broker (its locks may be held). A sink
    /// that has to publish or read in answer starts a task.
    fn deliver(&self, topic: &Topic, epoch: Epoch, publication: &Arc<Publication>);
}

/// Why a broker could not do what it was asked for.
///
/// The [`MemoryBroker`](crate::MemoryBroker) never fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// What the broker stands on (a disk, a server, a connection) failed or can't be
    /// reached. Trying again later may succeed.
    #[error("the broker is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What the broker reads from its store contradicts itself. It is not served, and
    /// trying again does not help.
    #[error("the store of the broker is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store has no room for it. What was acknowledged before can be read.
    #[error("the store of the broker is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
}
