//! The traits of a broker and of the receivers of its publications.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::backup::Backup;
use crate::bus::Bus;
use crate::claim::{Attempt, Claim, Claimed};
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::{History, HistoryQuery};
use crate::position::{Epoch, Position};
use crate::publication::{Publication, Publish, Published};
use crate::roster::Rosters;
use crate::topic_name::TopicName;

/// Numbers, remembers and delivers the publications of topics.
///
/// All publishers and subscribers of a node share one broker, usually as `Arc<dyn Broker>`. A
/// returned future does nothing before it is polled; it borrows the broker and not the topic.
/// If a future is dropped after it was polled, its effect may or may not have taken place.
///
/// Every broker keeps these promises, and with the feature `testing` `conformance::conformance` checks
/// them:
///
/// - The offsets of a topic are 1, 2, 3, … without a gap for as long as its epoch lasts,
///   however many publish at once. When publications are lost, a new epoch begins.
/// - The history of a topic is an unbroken run of publications up to the newest, or empty.
/// - A [`Sink`] gets each publication of the topics that this node is subscribed to, once, in
///   the order of the offsets, before [`publish`](Self::publish) resolves on this node; or, of
///   a broker that nodes share, it is [told](Sink::interrupt) which it will not get.
/// - Topics don't affect each other.
/// - Until its window ends, a publication that is to happen [once](Publish::once) does, and a
///   command has one remembered [answer](Self::answer). Of all who [claim](Self::claim) a
///   command at a time, one executes it.
/// - Of publications with a [version](Publish::version), each is newer than those before it.
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
    /// is still on its way, and resolves with the position of the first. One whose
    /// [version](Publish::version) is not higher than the last appends nothing either, and resolves
    /// with the position of the newer one.
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

    /// The way to publish without waiting, of a broker that has all of its topics in the memory of
    /// this process. `None` of all others, which keep the default.
    fn immediate(&self) -> Option<&dyn Immediate> {
        None
    }

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

    /// Claims a command that is to be executed once, by its key. The first caller, on whatever
    /// node, gets [`Claim::Mine`], executes the command and gives its
    /// [answer](Self::answer). Others get [`Claim::Running`] until then, or until the
    /// [lease](Attempt::lease) has ended, and then the answer; or, of a command that is executed
    /// [at most once](Attempt::at_most_once), [`Claim::InDoubt`] where there is none.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Reused`] if the key belongs to a command with another fingerprint;
    /// [`BrokerError::Unavailable`] or [`BrokerError::Full`] if the answer could not be
    /// remembered; another [`BrokerError`] if the broker failed. The command is not the
    /// caller's to execute then.
    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>>;

    /// Remembers the answer to a claimed command for the [window](Attempt::window), and ends the
    /// claim. Resolves with the answer in force: if the command has one already, as it took
    /// longer than the lease, that one stays. With a window of 0 nothing is remembered, and the
    /// command can be claimed again, also one that is executed at most once.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is uncertain whether the answer is remembered.
    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>>;

    /// The time for which the store has been out of reach; `None` while it is not, and of brokers
    /// whose store is their own. An application goes on meanwhile, but whoever sends it clients may
    /// prefer another node.
    fn away(&self) -> Option<Duration> {
        None
    }

    /// The size of the store's files and their bound, as the store last looked; `None` of brokers
    /// without files of their own. Cheap.
    fn store_size(&self) -> Option<StoreSize> {
        None
    }

    /// Finishes what is under way and leaves the nodes that share the topics. Everything may
    /// fail with [`BrokerError::Unavailable`] from then on. Brokers of a single process have
    /// nothing to do and keep the default.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// The line to the other nodes that share this broker; `None` of a broker that only one node
    /// has.
    fn bus(&self) -> Option<Arc<dyn Bus>> {
        None
    }

    /// The rosters that the nodes share; `None` of a broker that only one node has, whose rosters
    /// are then in memory.
    fn rosters(&self) -> Option<Arc<dyn Rosters>> {
        None
    }

    /// Writes all that is kept, as it is at one moment, to the new directory `into`, whose parent
    /// exists, while the broker goes on. The directory is there once it is whole, and the broker opens
    /// it as a store of its own, whose topics have other epochs. One backup is made at a time.
    ///
    /// By default this fails: most brokers leave backups to what they are on.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] if the broker has no backups, another one is under way, or `into`
    /// is there already; another [`BrokerError`] if something could not be read or written. Then
    /// nothing is left of it.
    fn back_up(&self, into: &Path) -> BoxFuture<'_, Result<Backup, BrokerError>> {
        let what = format!("this broker makes no backup in {}", into.display());
        Box::pin(std::future::ready(Err(BrokerError::Unavailable(
            what.into(),
        ))))
    }

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

/// A broker that publishes without waiting; see [`Broker::immediate`].
pub trait Immediate: Send + Sync {
    /// Does at once, on the caller's thread, all that [`Broker::publish`] does until it resolves.
    ///
    /// # Errors
    ///
    /// As [`Broker::publish`].
    fn publish_now(&self, topic: &TopicName, publish: Publish) -> Result<Published, BrokerError>;
}

/// The size of a store's files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoreSize {
    /// The bytes of all files.
    pub bytes: u64,
    /// The most bytes that they may have. With three quarters of them those who keep most are
    /// refused, with all of them everybody.
    pub limit: u64,
}

impl StoreSize {
    /// A size with its bound, both in bytes.
    #[must_use]
    pub const fn new(bytes: u64, limit: u64) -> Self {
        Self { bytes, limit }
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

    /// Takes note that the order of publications was interrupted. Called in the same way and in
    /// the same order as [`deliver`](Self::deliver). Never called by a broker of a single
    /// process, so by default nothing happens.
    fn interrupt(&self, topic: &TopicName, interrupt: &Interrupt) {
        let _ = (topic, interrupt);
    }
}

/// An interruption of a topic, as nodes see it that share a store.
///
/// After each of them [`deliver`](Sink::deliver) goes on with the next offset after
/// [`position`](Self::position).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Interrupt {
    /// The sink will not get these publications: they did not reach this node, and the history
    /// does not have them any more.
    Lost {
        /// The life of the topic, which goes on.
        epoch: Epoch,
        /// Their offsets.
        offsets: RangeInclusive<u64>,
    },
    /// A new life continues the one before, and the sink has had nothing that is not in it.
    Continued {
        /// The new life.
        epoch: Epoch,
        /// The position in the life before up to which positions count in both.
        continues: Position,
        /// The offset of the last publication that the sink was given or told of.
        offset: u64,
    },
    /// A new life continues the one before, and the sink has had publications that are not in
    /// it: the store has lost them, although it had acknowledged them. Others will have their
    /// offsets.
    TakenBack {
        /// The new life.
        epoch: Epoch,
        /// The offsets of what was taken back, in the life before. The new life continues it
        /// from the one before the first.
        offsets: RangeInclusive<u64>,
    },
    /// A new life began that continues nothing that the sink knows. It will not get the
    /// publications of the new life up to this position.
    Began {
        /// The position, which may have offset 0.
        position: Position,
    },
}

impl Interrupt {
    /// The position after the interruption.
    #[must_use]
    pub const fn position(&self) -> Position {
        match self {
            Self::Lost { epoch, offsets } => Position::new(*epoch, *offsets.end()),
            Self::Continued { epoch, offset, .. } => Position::new(*epoch, *offset),
            Self::TakenBack { epoch, offsets } => {
                Position::new(*epoch, offsets.start().saturating_sub(1))
            }
            Self::Began { position } => *position,
        }
    }
}
