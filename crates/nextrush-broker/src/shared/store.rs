//! The trait of a store that several nodes share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::feed::{Deleted, Feed};
use crate::claim::{Attempt, Claim, Claimed};
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::{History, HistoryQuery};
use crate::position::Position;
use crate::publication::Publish;
use crate::retention::Retention;
use crate::topic_name::TopicName;

/// A store of topics on a server that several nodes share: an engine such as Redis.
///
/// A store numbers and remembers publications and pushes them to the nodes that watch their
/// topics. It need not do more: pushes may be lost, late, doubled and out of order. The
/// sequencer above it gives each node every publication once and in order.
///
/// # Lives of a topic
///
/// Offsets are 1, 2, 3, … without a gap within an [`Epoch`](crate::Epoch). A store that was
/// restarted or failed over may have lost the end of a topic, and would give the same offsets
/// out again. So a store keeps with each topic the identity of the server process that it last
/// spoke to, and compares: where it differs, the topic gets a new epoch that
/// [continues](History::continues) the earlier one from the offset that is still there. Offsets
/// go on from that one. This is done before anything else by each [publish](Self::publish),
/// [read](Self::history) and [check](Self::tops). A topic that was lost altogether has a new
/// epoch that continues none.
///
/// # Time
///
/// The time of a publication is that of the store's server, and never falls within a topic,
/// over all lives that the store remembers.
///
/// # Deadlines
///
/// Every future resolves within about 10 s, whatever becomes of the server: the sequencer sets no
/// deadline of its own but counts on it. The futures borrow the store and nothing else, do
/// nothing before they are polled, and must be polled in a tokio runtime.
///
/// # Errors
///
/// - [`BrokerError::Unavailable`]: the request was not sent, or the store is sure that it had
///   no effect.
/// - [`BrokerError::InDoubt`]: the request was sent, and its effect is not known.
/// - [`BrokerError::Full`]: the server has no room, or an owner has used up its share.
/// - [`BrokerError::Damaged`]: the server holds something under one of our keys that we did not
///   write, and will not interpret.
pub trait SharedStore: Send + Sync + 'static {
    /// Sets the receiver of pushes. Called once, before anything else.
    ///
    /// Whoever owns the store owns the feed as well, so the store keeps it for as long as it
    /// has a connection and drops it at [shutdown](Self::shutdown).
    fn connect(&self, feed: Arc<dyn Feed>);

    /// Appends a group of publications to one topic in one step, in this order, and pushes what
    /// was appended as one [`Push`](super::Push).
    ///
    /// There is an outcome for each, in the same order. A publication that is
    /// [to happen once](Publish::once) and did before is not appended again; the outcome is the
    /// [`Stored`] of the first, of whatever life. A repeat within the group is one too. A key
    /// with another [fingerprint](crate::Once::fingerprint) is
    /// [`Reused`](BrokerError::Reused), which concerns this publication alone. Then its
    /// [version](Publish::version) is looked at: one that is not higher than the last is not
    /// appended, and the outcome is [`Stored::outdated`].
    ///
    /// The futures for one topic are polled for the first time in the order in which the groups
    /// have to arrive: a store keeps that order, also where it has several connections. The
    /// sequencer sends at most 64 publications and 64 KiB of data (or one larger publication)
    /// in a group, all with the same retention, and has at most 4 groups of a topic under way.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if that holds for the group as a whole.
    fn publish(
        &self,
        topic: &TopicName,
        group: Vec<Publish>,
    ) -> BoxFuture<'_, Result<Appended, BrokerError>>;

    /// Reads a part of the history of a topic and, at the same moment, its position and the
    /// life that it continues. A topic that does not exist gets its first epoch.
    ///
    /// The publications are all that the query asks for, without a gap, as of
    /// [`Broker::history`](crate::Broker::history). A store reads many of them in several
    /// requests, so that no reply is larger than about 1 MiB; a publication that is trimmed
    /// meanwhile is left out together with those before it.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the history could not be read.
    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<StoredHistory, BrokerError>>;

    /// Reads the positions of up to 512 topics; `None` for one that does not exist. This is as
    /// cheap as the engine allows: the sequencer calls it every 10 s for all watched topics.
    ///
    /// Counts as a use of the topics: one that some node asks for is not forgotten for being
    /// unused.
    ///
    /// There is a result for each topic, in the same order. Where the topics are on several
    /// servers and one fails, the results of the others are not affected: the store asks all of
    /// them at once.
    fn tops(&self, topics: &[TopicName]) -> BoxFuture<'_, Vec<Result<Option<Top>, BrokerError>>>;

    /// Pushes what is published to these topics, up to 512, from the moment on at which this
    /// resolves, until [`unwatch`](Self::unwatch) or until the feed is told that they are
    /// [unwatched](Feed::unwatched). Watching a topic again changes nothing.
    ///
    /// There is a result for each topic, in the same order, as of [`tops`](Self::tops). A topic
    /// with an error is perhaps watched and perhaps not; the sequencer tries it again. While
    /// there is no connection, this waits for one until a few seconds after the last was lost.
    fn watch(&self, topics: &[TopicName]) -> BoxFuture<'_, Vec<Result<(), BrokerError>>>;

    /// Ends [`watch`](Self::watch) for up to 512 topics. Pushes that are on their way may still
    /// come. A failure is no harm, as pushes that nobody wants are dropped.
    fn unwatch(&self, topics: &[TopicName]) -> BoxFuture<'_, ()>;

    /// Lists topics by name as [`Broker::topics`](crate::Broker::topics) does. A store that
    /// cannot list its topics keeps the default, which resolves with none.
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

    /// Claims a command: the first of all nodes gets [`Claim::Mine`], the others
    /// [`Claim::Running`] until it has [answered](Self::answer) or its lease has ended, and
    /// [`Claim::InDoubt`] for the window after that if it is executed
    /// [at most once](Attempt::at_most_once). The key is compared and set in one step.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Reused`] if the key belongs to a command with another fingerprint;
    /// [`BrokerError::Full`] if there is no room for the answer; another [`BrokerError`] if the
    /// store did not answer. A claim that is [in doubt](BrokerError::InDoubt) ends with its
    /// lease.
    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>>;

    /// Remembers the answer to a command for its window. Resolves with the answer in force:
    /// where another node executed the command after this claim's lease, the first answer stays.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is uncertain whether the answer is remembered.
    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>>;

    /// Deletes remembered publications of a topic as
    /// [`Broker::delete`](crate::Broker::delete) does: a publication
    /// [without a message](crate::Publication::deleted) stays in the place of each. Pushes and
    /// resolves with what was deleted.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is not certain that all of them are deleted. Another attempt is
    /// safe.
    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<Deleted, BrokerError>>;

    /// The time for which a server of the store has been out of reach; `None` while all can be
    /// reached, and of a store that cannot tell.
    fn away(&self) -> Option<Duration> {
        None
    }

    /// The time for which the server of a topic has been out of reach; by default that of
    /// [`away`](Self::away). Who needs the topic then waits until this is 5 s, and nobody
    /// after that.
    fn away_from(&self, topic: &TopicName) -> Option<Duration> {
        let _ = topic;
        self.away()
    }

    /// Closes the connections after what is under way, and drops the feed. Everything fails
    /// with [`BrokerError::Unavailable`] from then on.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

/// The outcome of a group of publications.
#[derive(Debug)]
#[non_exhaustive]
pub struct Appended {
    /// The outcomes of the publications, in their order.
    pub outcomes: Vec<Result<Stored, BrokerError>>,
    /// The end of the life that the present one [continues](History::continues).
    pub continues: Option<Position>,
}

impl Appended {
    /// Combines the outcomes with the life that the present one continues.
    #[must_use]
    pub const fn new(
        outcomes: Vec<Result<Stored, BrokerError>>,
        continues: Option<Position>,
    ) -> Self {
        Self {
            outcomes,
            continues,
        }
    }
}

/// A publication that is in the store, or the one in whose place it is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stored {
    /// The position of the publication, of the first one with its key, or of a newer one.
    pub position: Position,
    /// The time of publishing, in milliseconds since 1970. Not used if nothing was appended.
    pub time_ms: u64,
    /// `true` if this was a repeat: nothing was appended.
    pub is_repeat: bool,
    /// `true` if the publication at the position has a version that is not lower: nothing was
    /// appended.
    pub is_outdated: bool,
}

impl Stored {
    /// The outcome of a publication that was appended.
    #[must_use]
    pub const fn new(position: Position, time_ms: u64) -> Self {
        Self {
            position,
            time_ms,
            is_repeat: false,
            is_outdated: false,
        }
    }

    /// The outcome of a repeat of the publication at `position`.
    #[must_use]
    pub const fn repeat(position: Position) -> Self {
        Self {
            is_repeat: true,
            ..Self::new(position, 0)
        }
    }

    /// The outcome of a publication that is older than the one at `position`.
    #[must_use]
    pub const fn outdated(position: Position) -> Self {
        Self {
            is_outdated: true,
            ..Self::new(position, 0)
        }
    }

    /// Returns `true` if the publication was appended.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        !self.is_repeat && !self.is_outdated
    }
}

/// A part of a topic's history, with what bounds it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoredHistory {
    /// The publications, the position, and the life that the present one continues.
    pub history: History,
    /// The bounds that came with the topic's newest publication. A node that knows them answers
    /// histories from its own memory; where a store does not keep them, `None`, each history is
    /// read from the store.
    pub retention: Option<Retention>,
}

impl StoredHistory {
    /// Combines a history with its bounds.
    #[must_use]
    pub const fn new(history: History, retention: Option<Retention>) -> Self {
        Self { history, retention }
    }
}

/// The position of a topic in the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Top {
    /// The position of the newest publication, or offset 0.
    pub position: Position,
    /// The end of the life that the present one [continues](History::continues).
    pub continues: Option<Position>,
    /// The number of [deletions](SharedStore::delete) that have deleted something in this topic,
    /// over all lives: a node that has seen fewer shows what was deleted. 0 in a store that
    /// cannot delete.
    pub deletions: u64,
}

impl Top {
    /// A position, and the end of the life that the present one continues.
    #[must_use]
    pub const fn new(position: Position, continues: Option<Position>) -> Self {
        Self {
            position,
            continues,
            deletions: 0,
        }
    }

    /// Sets [`deletions`](Self::deletions).
    #[must_use]
    pub const fn deletions(self, deletions: u64) -> Self {
        Self { deletions, ..self }
    }
}
