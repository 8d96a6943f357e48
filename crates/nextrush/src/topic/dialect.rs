//! Dialects: what the events of a topic look like on the wire.

use std::ops::RangeInclusive;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use nextrush_broker::{Epoch, Position, Publication, Retention, TopicName};
use nextrush_engine::{CloseReason, ConnectionId};

use super::locked::Locked;
use super::members::Profile;
use super::since::{Recovered, Unrecovered};
use super::slow_readers::SlowReaderPolicy;
use crate::message::Outgoing;
use crate::socket::Socket;

/// The wire form and the policies of a family of topics.
///
/// A dialect turns the events of a topic into messages: what a publication looks like, what
/// a new subscriber is sent, what a client is told that cannot have everything. The topics do
/// the rest: order, history, recovery without a gap, slow readers. [`Json`](super::Json),
/// [`ChatServer`](crate::ChatServer) and [`LiveUpdates`](crate::LiveUpdates) are dialects;
/// the guide's page *A dialect of your own* writes another one.
///
/// Every method but `publication`, `deleted`, `retention`, `newest_after_loss`, `announces` and
/// `emptied` is called while nothing else happens in the topic, mostly on the thread that
/// publishes: return quickly, and call nothing of the same topic. `publication` depends on its arguments alone, as several threads may ask for one at a
/// time, and again for a client that missed it.
///
/// ```
/// use nextrush::topic::{Dialect, Gap, Topics};
/// use nextrush::broker::{Position, Publication, Retention};
/// use nextrush::{App, Outgoing};
///
/// /// Prices as plain text: `EURUSD 1.0832`.
/// struct Prices;
///
/// impl Dialect for Prices {
///     fn kind(&self) -> &'static str {
///         "prices"
///     }
///
///     fn retention(&self, _: &str) -> Retention {
///         Retention::count(100)
///     }
///
///     fn publication(&self, topic: &str, _: Position, price: &Publication) -> Outgoing {
///         format!("{topic} {}", String::from_utf8_lossy(&price.data)).into()
///     }
///
///     fn gap(&self, topic: &str, gap: &Gap) -> Option<Outgoing> {
///         Some(format!("{topic} missed {}", gap.len()).into())
///     }
/// }
///
/// let app: App = App::new();
/// let prices = Topics::new(&app, "prices", Prices);
/// # drop(prices);
/// ```
pub trait Dialect: Send + Sync + 'static {
    /// The kind of data that these topics hold, as a part of their stored names: 1 to 32 of
    /// `a-z`, `0-9` and `-`, other than `topic`. A store keeps it, so it must not change.
    fn kind(&self) -> &'static str;

    /// The message that tells of a publication.
    fn publication(&self, topic: &str, position: Position, publication: &Publication) -> Outgoing;

    /// The amount that a topic remembers of what is published from now on. By default nothing.
    fn retention(&self, topic: &str) -> Retention {
        let _ = topic;
        Retention::NOTHING
    }

    /// The treatment of subscribers that read too slowly, asked once while a topic has
    /// subscribers. By default that of the [retention](Self::retention): those of a topic
    /// with a history catch up, others are closed.
    fn slow_readers(&self, topic: &str) -> SlowReaderPolicy {
        SlowReaderPolicy::of(self.retention(topic))
    }

    /// The message that tells of publications that a subscriber will not get; `None` if
    /// it is told nothing.
    fn gap(&self, topic: &str, gap: &Gap) -> Option<Outgoing> {
        let _ = (topic, gap);
        None
    }

    /// The message that tells of a new epoch under which the topic goes on without a loss: a
    /// position of the epoch before counts in it, with the same offset, up to the offset given
    /// here. Brokers that nodes share may begin one, as when their server restarts.
    ///
    /// `None` tells nothing, which costs no publication: a client that comes back with a
    /// position of the epoch before recovers up to there. By default nothing is told.
    fn renewed(&self, topic: &str, position: Position) -> Option<Outgoing> {
        let _ = (topic, position);
        None
    }

    /// Returns whether something is [announced](super::Topic::announce) in these topics, so that nodes
    /// listen for what others announce. By default `false`, which costs nothing.
    fn announces(&self) -> bool {
        false
    }

    /// The messages to a socket that [subscribed](super::Topic::subscribe), before what it
    /// missed. By default none.
    fn subscribed(&self, topic: &Locked<'_>, arrival: &Arrival) -> Vec<Outgoing> {
        let _ = (topic, arrival);
        Vec::new()
    }

    /// The number of the newest publications that subscribers are given again behind a loss that
    /// concerns all of them: the history was lost, or a failover has taken back what they have
    /// seen. They get them by [`catch_up`](Self::catch_up), with a gap up to the first of them, in
    /// place of all that they have of the topic; 512 KiB at most. Where the history cannot be
    /// read within a second they are told of the loss without any, and get them later.
    ///
    /// By default 0: subscribers are told of the loss, keep what they have, and go on.
    fn newest_after_loss(&self, topic: &str) -> usize {
        let _ = topic;
        0
    }

    /// The messages to a subscriber that lagged, in place of what it was not sent. By default
    /// the [gap](Self::gap), if there is one, and the publications.
    fn catch_up(&self, topic: &Locked<'_>, behind: &CatchUp<'_>) -> Vec<Outgoing> {
        let gap = behind
            .gap
            .as_ref()
            .and_then(|gap| self.gap(topic.name(), gap));
        gap.into_iter().chain(behind.messages(topic)).collect()
    }

    /// A [member](super::Topic::members) has come and is counted. It is no subscriber yet where it
    /// has not been admitted. By default nobody is told.
    fn came(&self, topic: &Locked<'_>, newcomer: &Newcomer<'_>) {
        let _ = (topic, newcomer);
    }

    /// A [member](super::Topic::members) with this profile has gone and is counted no more. By
    /// default nobody is told.
    fn gone(&self, topic: &Locked<'_>, profile: &Profile) {
        let _ = (topic, profile);
    }

    /// A subscriber has left; it is sent nothing of the topic any more.
    fn left(&self, topic: &Locked<'_>, leaver: &Leaver<'_>) {
        let _ = (topic, leaver);
    }

    /// Follows each [`left`](Self::left), when other things may happen in the topic again: does
    /// what must not be done while nothing else happens there.
    #[doc(hidden)]
    fn settle(&self, topic: &TopicName) {
        let _ = topic;
    }

    /// The message that tells of a deleted publication: to the topic's subscribers when it is
    /// deleted, and in its place to those who missed it. By default they are told nothing.
    ///
    /// Depends on its arguments alone, as [`publication`](Self::publication) does.
    fn deleted(&self, topic: &str, offset: u64) -> Option<Outgoing> {
        let _ = (topic, offset);
        None
    }

    /// The topic's last subscriber on this node has gone. Awaited before the close event of
    /// its socket is over.
    fn emptied<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, ()> {
        let _ = topic;
        Box::pin(std::future::ready(()))
    }
}

/// A member that has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Newcomer<'a> {
    /// The profile that others see.
    pub profile: &'a Profile,
    /// The member's socket if it is one of this node.
    pub socket: Option<ConnectionId>,
}

/// A subscriber that has left.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leaver<'a> {
    /// The subscriber.
    pub socket: &'a Socket,
    /// The profile that others saw, if it was [seated](super::Wish::seat).
    pub profile: Option<Profile>,
    /// The end of its socket, if that is why it left; `None` if it was unsubscribed.
    pub closed: Option<&'a CloseReason>,
}

/// Publications that a subscriber will not get.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Gap {
    /// The epoch in which the offsets count.
    pub epoch: Epoch,
    /// The offset of the first one.
    pub from: u64,
    /// The offset of the last one. One less than `from` where a new epoch began and nothing of
    /// it is missing.
    pub to: u64,
}

impl Gap {
    pub(super) fn new(epoch: Epoch, offsets: &RangeInclusive<u64>) -> Self {
        Self {
            epoch,
            from: *offsets.start(),
            to: *offsets.end(),
        }
    }

    /// The number of publications.
    #[must_use]
    pub fn len(&self) -> u64 {
        (self.to + 1).saturating_sub(self.from)
    }

    /// `true` if only the epoch is new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A socket that has just become a subscriber.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Arrival {
    /// The topic's position: what is published next has one more.
    pub position: Position,
    /// `Ok` if it gets all that it missed; `None` for a socket that gave no position, or that
    /// was subscribed already.
    pub recovered: Option<Result<(), Unrecovered>>,
}

impl Arrival {
    /// The fields `recovered` and `reason` of an answer.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.recovered.into()
    }
}

/// The messages that a subscriber was not sent while it lagged.
#[derive(Debug)]
#[non_exhaustive]
pub struct CatchUp<'a> {
    /// The publications that it will not get.
    pub gap: Option<Gap>,
    /// The publications that it gets now.
    pub publications: &'a [Arc<Publication>],
    /// The last publication that it has been told of once it has these messages.
    pub position: Position,
    /// `true` if it gets what is published from now on. Volatile messages to the topic's
    /// subscribers have passed it by meanwhile.
    pub is_last: bool,
    /// The subscriber; `None` where it is all of them.
    pub subscriber: Option<ConnectionId>,
}

impl CatchUp<'_> {
    /// All of these offsets are lost, and the subscriber is live again.
    pub(super) fn lost(epoch: Epoch, offsets: &RangeInclusive<u64>) -> Self {
        Self {
            gap: Some(Gap::new(epoch, offsets)),
            publications: &[],
            position: Position {
                epoch,
                offset: *offsets.end(),
            },
            is_last: true,
            subscriber: None,
        }
    }

    /// Nothing is lacking up to this position, and the subscriber is live again.
    pub(super) fn nothing(position: Position) -> Self {
        Self {
            gap: None,
            publications: &[],
            position,
            is_last: true,
            subscriber: None,
        }
    }

    /// The same for one subscriber.
    pub(super) fn of(self, subscriber: ConnectionId) -> Self {
        Self {
            subscriber: Some(subscriber),
            ..self
        }
    }

    /// The messages that tell of the [publications](Self::publications). Encoded once for all
    /// who missed them.
    pub fn messages<'b>(&'b self, topic: &'b Locked<'_>) -> impl Iterator<Item = Outgoing> + 'b {
        let epoch = self.position.epoch;
        self.publications
            .iter()
            .filter_map(move |publication| topic.encoded(epoch, publication))
    }
}
