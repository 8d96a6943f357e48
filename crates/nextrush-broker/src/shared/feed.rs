//! The receiver of a shared store's pushes.

use std::sync::Arc;

use crate::position::{Epoch, Position};
use crate::publication::Publication;
use crate::retention::Retention;
use crate::topic_name::TopicName;

/// The receiver of what a [`SharedStore`](super::SharedStore) pushes.
///
/// Calls return quickly and never wait for the store. They may come from several tasks at once,
/// but a store makes those for one topic in the order in which its server sent them.
///
/// # Back-pressure
///
/// A store calls from the task that reads its connection, and reads on when the call has
/// returned. It puts no unbounded queue between them and drops nothing: a node that is too slow
/// reads too slowly, until the server cuts the connection at its own limit, and then the topics are
/// [unwatched](Self::unwatched).
pub trait Feed: Send + Sync + 'static {
    /// Takes what was published to a topic, or deleted. Pushes of topics that nobody watches any
    /// more are dropped.
    fn pushed(&self, topic: &TopicName, push: Push);

    /// Takes note that pushes may have been missed: a connection was lost, a partition moved.
    /// The store does not watch these topics any more. The sequencer
    /// [watches](super::SharedStore::watch) them again, at once and until it succeeds, and reads
    /// what was missed. Only a `watch` that was called after this counts.
    fn unwatched(&self, topics: Unwatched);

    /// Takes note that the store has a working connection again: what waits to be tried again
    /// is tried now.
    fn resumed(&self);
}

/// The topics that are not watched any more.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unwatched {
    /// All of the store's.
    All,
    /// These, of a connection or partition.
    Topics(Vec<TopicName>),
}

/// The news of a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Push {
    /// A group was published.
    Published(PushedGroup),
    /// Publications were deleted.
    Deleted(Deleted),
}

/// Publications that were deleted in one step.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Deleted {
    /// The life in which the offsets count.
    pub epoch: Epoch,
    /// The offsets of what was deleted, in rising order. May be none.
    pub offsets: Vec<u64>,
}

impl Deleted {
    /// Combines offsets with their life.
    #[must_use]
    pub const fn new(epoch: Epoch, offsets: Vec<u64>) -> Self {
        Self { epoch, offsets }
    }
}

/// Publications that were appended in one step.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PushedGroup {
    /// The life in which the offsets count.
    pub epoch: Epoch,
    /// The end of the life that this one [continues](crate::History::continues).
    pub continues: Option<Position>,
    /// The publications: at least one, with rising offsets without a gap.
    pub publications: Vec<Arc<Publication>>,
    /// The bounds that came with them, which are the same for all of a group; `None` where the
    /// store does not push them.
    pub retention: Option<Retention>,
}

impl PushedGroup {
    /// Publications of a life.
    #[must_use]
    pub const fn new(
        epoch: Epoch,
        continues: Option<Position>,
        publications: Vec<Arc<Publication>>,
        retention: Option<Retention>,
    ) -> Self {
        Self {
            epoch,
            continues,
            publications,
            retention,
        }
    }
}
