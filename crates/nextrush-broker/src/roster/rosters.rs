//! The store of rosters, and what it says of them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::BrokerError;
use crate::topic_name::TopicName;

/// The store of rosters: a numbered list of members for each topic, which all nodes change and
/// follow.
///
/// What a member is, and who may join, is the business of the nodes. Each of them keeps a copy of
/// the rosters that it watches, works out a [change](RosterChange) of its copy, and
/// [commits](Self::commit) it: a change is made if the roster is still the one from which it was
/// worked out, and otherwise the node reads what is new and tries again. So there is one order of
/// changes, the same on all nodes.
///
/// A store that loses what it has acknowledged, as after a failover, is told by the
/// [revision](RosterRevision), which is then not one that a node knows. Nodes put back what they
/// have.
///
/// A returned future does nothing before it is polled. If it is dropped after that, its effect
/// may or may not have taken place.
pub trait Rosters: Send + Sync + 'static {
    /// Sets the receiver of changes. Called once, before anything else. The store owns it: let
    /// the receiver hold no more than a [`Weak`](std::sync::Weak) of the store.
    fn attach(&self, sink: Arc<dyn RosterSink>);

    /// Tells the sink of the changes of a roster that are committed after this resolves. Counted
    /// as [`Broker::subscribe`](crate::Broker::subscribe) is.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is not certain; it does not count then.
    fn watch(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Takes back one [`watch`](Self::watch).
    fn unwatch(&self, topic: &TopicName) -> BoxFuture<'_, ()>;

    /// Reads a roster. One that was never changed, or that the store has forgotten, is
    /// [empty](Roster::default) but for the time.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it could not be read.
    fn read(&self, topic: &TopicName) -> BoxFuture<'_, Result<Roster, BrokerError>>;

    /// Makes a change if the roster is at the revision from which it goes out.
    ///
    /// # Errors
    ///
    /// [`BrokerError::InDoubt`] if the change may or may not have been made: the revision of the
    /// roster tells. Another [`BrokerError`] if it was not.
    fn commit(
        &self,
        topic: &TopicName,
        change: Arc<RosterChange>,
    ) -> BoxFuture<'_, Result<Committed, BrokerError>>;

    /// Reads the revisions of rosters, in the order of the topics.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if they could not be read.
    fn revisions(
        &self,
        topics: &[TopicName],
    ) -> BoxFuture<'_, Result<Vec<RosterRevision>, BrokerError>>;
}

/// The receiver of changes of rosters.
pub trait RosterSink: Send + Sync + 'static {
    /// Takes a change of a roster that this node watches, also one of this node itself. The
    /// changes of a roster come one at a time and in their order; some may be lost, which is
    /// seen by their revisions. Return quickly.
    fn changed(&self, topic: &TopicName, change: &Arc<RosterChange>);

    /// Changes may have been lost, of all rosters that this node watches: their
    /// [revisions](Rosters::revisions) tell.
    fn interrupted(&self);
}

/// The state of a roster by which a node knows whether it has the same.
///
/// Two states of one number differ in their tag: after a store has lost changes, others may take
/// their numbers.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct RosterRevision {
    /// Rises with each change. 0 of a roster that is not there.
    pub number: u64,
    /// A random number that the writer has chosen. 0 of a roster that is not there.
    pub tag: u64,
}

impl RosterRevision {
    /// A revision with this number and tag.
    #[must_use]
    pub const fn new(number: u64, tag: u64) -> Self {
        Self { number, tag }
    }
}

/// A roster as it was read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Roster {
    /// The revision.
    pub revision: RosterRevision,
    /// The bytes that writers keep beside the members.
    pub head: Bytes,
    /// The members by their numbers, rising.
    pub members: Vec<(u64, Bytes)>,
    /// The time of the store's clock in milliseconds, which is the same for all nodes and counts
    /// from any moment. It falls only when the store's clock is set back.
    pub time_ms: u64,
}

/// A change of a roster.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RosterChange {
    /// The revision of the roster before it.
    pub from: RosterRevision,
    /// The revision after it: with a higher number than `from`, by one or more, and a new tag.
    pub to: RosterRevision,
    /// The bytes beside the members, in place of those before.
    pub head: Bytes,
    /// The members that leave. They leave before those in `put` come.
    pub removed: Vec<u64>,
    /// The members that come or change, by their numbers.
    pub put: Vec<(u64, Bytes)>,
}

impl RosterChange {
    /// A change of nothing but the revision.
    #[must_use]
    pub fn new(from: RosterRevision, to: RosterRevision) -> Self {
        Self {
            from,
            to,
            ..Self::default()
        }
    }
}

/// The outcome of a [commit](Rosters::commit).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Committed {
    /// The change was made, at this time of the store's clock in milliseconds.
    Done {
        /// The time.
        time_ms: u64,
    },
    /// The roster is at another revision, and nothing was changed.
    Conflict {
        /// The revision of the roster.
        revision: RosterRevision,
    },
}
