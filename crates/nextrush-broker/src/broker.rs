use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{Epoch, History, HistoryQuery, Position, Publication, Retention, Topic};

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

    /// Appends `data` to `topic` and resolves with its position once the broker has
    /// acknowledged it, by which time the sinks of this node have it.
    ///
    /// `retention` says what the topic remembers from now on: the one of the newest
    /// publication is in force for the whole topic. A topic comes into being with its
    /// first publication.
    ///
    /// The bytes are kept without copying. A slice of a larger buffer keeps the whole
    /// buffer in memory, so copy it first where that matters.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] when the broker did not acknowledge it. The publication then
    /// may or may not have happened.
    fn publish(
        &self,
        topic: &Topic,
        data: Bytes,
        retention: Retention,
    ) -> BoxFuture<'_, Result<Position, BrokerError>>;

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
}
