//! The record of a node: what has happened to its subscriptions, oldest first, within a bound of
//! memory.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nextrush_broker::{Epoch, Position, TopicName};
use nextrush_engine::{CloseReason, ConnectionId, Unsent, Watch};
use parking_lot::Mutex;

use super::verdict::LeftOut;
use crate::message::UserId;

/// The bytes of a record by default.
pub(crate) const DEFAULT_BYTES: usize = 4 * 1024 * 1024;

/// The record of a node.
///
/// One lock guards it, which is taken for events of subscriptions and sockets, and never for a
/// delivery.
pub(crate) struct Record {
    /// The bytes of events; nothing is recorded with 0.
    limit: usize,
    /// The bytes that the times of publications may still take.
    times_left: AtomicUsize,
    /// The number of events so far.
    noted: AtomicU64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    events: VecDeque<Event>,
    /// The bytes that events have elsewhere.
    elsewhere: usize,
    /// The number of events that were dropped.
    dropped: u64,
    /// The time of the last of them, or of the start.
    since_ms: u64,
}

/// An event of a subscription or a socket.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(super) at_ms: u64,
    /// `None` if it concerns all subscribers of the topic.
    pub(crate) socket: Option<ConnectionId>,
    /// `None` if it concerns all topics of the socket.
    pub(super) topic: Option<TopicName>,
    pub(super) what: What,
}

/// The content of an event.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The socket becomes a subscriber.
    Joined(Box<Joined>),
    /// A part of the history that the socket is given as it joins, or the position that it gave.
    Given(Box<Given>),
    /// The beginning of a lag: the publications from this one on are skipped.
    Lagged { first: u64 },
    /// A refill of what the socket has skipped, or the word that it will not get it.
    Filled(Box<Filled>),
    /// The end of the subscription; `last` was the last publication before it.
    Left { last: u64 },
    /// The code of the reason why the socket is taken out next.
    Out { code: Cow<'static, str> },
    /// The code with which the socket was not let in.
    Refused { code: Cow<'static, str> },
    /// The publications from this one on waited for it when it ended.
    Unsent { room: u32, first: u64 },
    /// The close frame with which the server closes the socket.
    Closing { code: u16, reason: Box<str> },
    /// The end of the socket.
    Closed(Box<Ended>),
    /// Something was lost for all subscribers.
    Lost(Lost),
    /// The topic goes on under another epoch.
    Renewed(Box<(Epoch, Epoch)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) user: Option<UserId>,
    /// The number of the topic's room.
    pub(crate) room: u32,
    /// The publications up to this one are not sent to it as they are published.
    pub(crate) position: Position,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// The publications that it is given, if any.
    pub(crate) publications: Option<(u64, u64)>,
    /// The offset up to which its client says that it has seen everything.
    pub(crate) since: Option<u64>,
    /// The reason why it does not get what it has missed since.
    pub(crate) unrecovered: Option<LeftOut>,
    /// The first of the publications that it is given later.
    pub(crate) rest: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Filled {
    pub(crate) first: u64,
    /// The first that it is given: those before are missing.
    pub(crate) oldest: u64,
    pub(crate) last: u64,
    /// The first that it still skips, unless it has caught up.
    pub(crate) next: Option<u64>,
    /// The publications that it is given, if not all.
    pub(crate) only: Option<Box<[u64]>>,
    pub(crate) because: LeftOut,
}

#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(super) user: Option<UserId>,
    pub(super) code: u16,
    pub(super) reason: Box<str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Lost {
    /// The epoch before and that from now on, if another life has begun.
    pub(crate) lives: Option<Box<(Epoch, Epoch)>>,
    /// The last publication before.
    pub(crate) ended: u64,
    /// The publications that are lost for subscribers.
    pub(crate) first: u64,
    pub(crate) told: u64,
}

impl Record {
    /// A record of so many bytes; none with 0. A quarter is for the times of publications.
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let of_times = bytes / 4;
        Arc::new(Self {
            limit: bytes - of_times,
            times_left: AtomicUsize::new(of_times),
            noted: AtomicU64::new(0),
            held: Mutex::new(Held {
                since_ms: now_ms(),
                ..Held::default()
            }),
        })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Notes an event of a subscription.
    pub(crate) fn note(&self, socket: ConnectionId, topic: &TopicName, what: What) {
        self.add(Some(socket), Some(topic), what);
    }

    /// Notes an event of all subscriptions to a topic.
    pub(crate) fn note_topic(&self, topic: &TopicName, what: What) {
        self.add(None, Some(topic), what);
    }

    /// Notes an event of a socket.
    pub(crate) fn note_socket(&self, socket: ConnectionId, what: What) {
        self.add(Some(socket), None, what);
    }

    /// Notes what waited for a socket when it ended.
    pub(crate) fn unsent(&self, socket: ConnectionId, unsent: &[Unsent]) {
        for Unsent { room, first, .. } in unsent.iter().copied() {
            self.note_socket(socket, What::Unsent { room, first });
        }
    }

    /// Notes the end of a socket.
    pub(crate) fn closed(&self, socket: ConnectionId, user: Option<UserId>, reason: &CloseReason) {
        if self.is_on() {
            let ended = Ended {
                user,
                code: reason.code.as_u16(),
                reason: (&*reason.reason).into(),
            };
            self.note_socket(socket, What::Closed(Box::new(ended)));
        }
    }

    fn add(&self, socket: Option<ConnectionId>, topic: Option<&TopicName>, what: What) {
        if !self.is_on() {
            return;
        }
        let event = Event {
            at_ms: now_ms(),
            socket,
            topic: topic.cloned(),
            what,
        };
        let mut dropped = Vec::new();
        let mut held = self.held.lock();
        held.elsewhere += event.elsewhere();
        while !held.events.is_empty() && held.bytes_with_one_more() > self.limit {
            dropped.extend(held.drop_oldest());
        }
        if held.bytes_with_one_more() > self.limit {
            // It is too large for the record by itself.
            held.elsewhere = 0;
            held.dropped += 1;
            held.since_ms = event.at_ms;
        } else {
            held.grow();
            held.events.push_back(event);
        }
        self.noted.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of events so far.
    pub(super) fn noted(&self) -> u64 {
        self.noted.load(Ordering::Relaxed)
    }

    /// Takes bytes for times of publications; `false` if there are no more.
    pub(super) fn take_bytes(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.times_left.fetch_update(set, get, less).is_ok()
    }

    pub(super) fn give_bytes_back(&self, bytes: usize) {
        self.times_left.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The events of a topic and of the sockets that have any there or are in `sockets`: with a
    /// filter for users only of those whose user it takes, and those in `sockets`.
    pub(crate) fn select(
        &self,
        topic: &TopicName,
        sockets: &HashSet<ConnectionId>,
        is_wanted: impl Fn(Option<&UserId>) -> bool,
    ) -> Selected {
        let held = self.held.lock();
        let mut found = sockets.clone();
        let is_of_topic = |event: &Event| event.topic.as_ref() == Some(topic);
        for event in &held.events {
            let Some(socket) = event.socket else { continue };
            let is_found = match &event.what {
                What::Joined(joined) => is_of_topic(event) && is_wanted(joined.user.as_ref()),
                // Also where it has never subscribed.
                What::Closed(ended) => ended.user.is_some() && is_wanted(ended.user.as_ref()),
                _ => is_of_topic(event) && is_wanted(None),
            };
            if is_found {
                found.insert(socket);
            }
        }
        let is_selected = |event: &&Event| {
            let is_of_socket = event.socket.is_none_or(|socket| found.contains(&socket));
            is_of_socket && event.topic.as_ref().is_none_or(|of| of == topic)
        };
        Selected {
            events: held.events.iter().filter(is_selected).cloned().collect(),
            dropped: held.dropped,
            since_ms: held.since_ms,
        }
    }

    /// The bytes that events take.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let held = self.held.lock();
        held.elsewhere + held.events.capacity() * size_of::<Event>()
    }
}

/// Events of a record.
pub(crate) struct Selected {
    pub(crate) events: Vec<Event>,
    /// The number of events that the record does not have any more.
    pub(crate) dropped: u64,
    /// The time from which on it has all.
    pub(crate) since_ms: u64,
}

impl Held {
    /// The bytes that the record takes after one more event was added, whose own are counted.
    fn bytes_with_one_more(&self) -> usize {
        let capacity = self.events.capacity() + self.growth();
        self.elsewhere + capacity * size_of::<Event>()
    }

    /// The places that are needed for one more event: little more than one, as the list is full for
    /// most of its life.
    fn growth(&self) -> usize {
        match self.events.capacity() {
            capacity if self.events.len() < capacity => 0,
            capacity => (capacity / 8).max(4),
        }
    }

    fn grow(&mut self) {
        let growth = self.growth();
        if growth > 0 {
            self.events.reserve_exact(growth);
        }
    }

    fn drop_oldest(&mut self) -> Option<Event> {
        let oldest = self.events.pop_front()?;
        self.elsewhere -= oldest.elsewhere();
        self.dropped += 1;
        self.since_ms = oldest.at_ms;
        Some(oldest)
    }
}

impl Event {
    /// The bytes that it has outside of the list. The name of a topic counts for each event, as
    /// each may be the last that has it.
    fn elsewhere(&self) -> usize {
        let topic = self.topic.as_ref().map_or(0, |topic| topic.as_str().len());
        topic + self.what.elsewhere()
    }
}

impl What {
    fn elsewhere(&self) -> usize {
        match self {
            Self::Joined(joined) => size_of::<Joined>() + of_user(joined.user.as_ref()),
            Self::Given(_) => size_of::<Given>(),
            Self::Filled(filled) => {
                let only = filled.only.as_ref().map_or(0, |only| only.len());
                size_of::<Filled>() + only * size_of::<u64>()
            }
            Self::Out { code } | Self::Refused { code } => code.len(),
            Self::Closing { reason, .. } => reason.len(),
            Self::Closed(ended) => {
                size_of::<Ended>() + of_user(ended.user.as_ref()) + ended.reason.len()
            }
            Self::Lost(lost) => lost.lives.as_ref().map_or(0, |lives| size_of_val(&**lives)),
            Self::Renewed(lives) => size_of_val(&**lives),
            Self::Lagged { .. } | Self::Left { .. } | Self::Unsent { .. } => 0,
        }
    }
}

fn of_user(user: Option<&UserId>) -> usize {
    user.map_or(0, |user| user.to_string().len())
}

/// The time of the system's clock, in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The observer of the subscribers of a topic, who leave for whatever reason.
pub(crate) struct Leaving {
    pub(crate) record: Arc<Record>,
    pub(crate) topic: TopicName,
}

impl Watch for Leaving {
    fn left(&self, member: ConnectionId, last: u64) {
        self.record.note(member, &self.topic, What::Left { last });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(number: u64) -> ConnectionId {
        format!("0-{number}-1").parse().unwrap()
    }

    fn topic(name: &str) -> TopicName {
        TopicName::try_from(name).unwrap()
    }

    #[test]
    fn the_record_stays_within_its_bytes_and_says_since_when_it_has_all() {
        let record = Record::new(64 * 1024);
        let long = "x".repeat(300);
        for number in 0..20_000 {
            let topic = topic(&format!("live/live/{number}"));
            let code = Cow::Owned(long.clone());
            record.note(socket(number), &topic, What::Out { code });
            let (user, reason) = (Some(UserId::from(&*long)), long.clone());
            let ended = Ended {
                user,
                code: 1000,
                reason: reason.into(),
            };
            record.note_socket(socket(number), What::Closed(Box::new(ended)));
            assert!(record.bytes() <= 48 * 1024, "{}", record.bytes());
        }
        let none = HashSet::new();
        let selected = record.select(&topic("live/live/19999"), &none, |_| true);
        assert!(selected.dropped > 39_000, "{}", selected.dropped);
        assert!(selected.events.len() > 1);
        assert_eq!(record.noted(), 40_000);
        let selected = record.select(&topic("live/live/0"), &none, |user| {
            user == Some(&"ada".into())
        });
        assert_eq!(selected.events.len(), 0);
    }

    #[test]
    fn by_default_some_eight_thousand_subscriptions_are_remembered_with_their_ends() {
        let record = Record::new(DEFAULT_BYTES);
        let topic = topic("live/live/board-1234567");
        for number in 0..100_000 {
            let joined = Joined {
                user: Some(UserId::from("user-1234567")),
                room: 1,
                position: Position::new(Epoch::begin(0), 1),
            };
            record.note(socket(number), &topic, What::Joined(Box::new(joined)));
            let code = Cow::Borrowed("unsubscribed");
            record.note(socket(number), &topic, What::Out { code });
            record.note(socket(number), &topic, What::Left { last: 1 });
        }
        let kept = record.held.lock().events.len() / 3;
        assert!((7_500..9_500).contains(&kept), "{kept}");
    }

    #[test]
    fn an_event_that_is_larger_than_the_record_is_not_kept() {
        let record = Record::new(1024);
        let code = || Cow::Owned("x".repeat(2000));
        record.note(socket(1), &topic("topic/a"), What::Out { code: code() });
        assert!(record.bytes() <= 1024);
        record.note(socket(1), &topic("topic/a"), What::Left { last: 1 });
        let selected = record.select(&topic("topic/a"), &HashSet::new(), |_| true);
        assert_eq!((selected.events.len(), selected.dropped), (1, 1));
    }

    #[test]
    fn a_record_of_no_bytes_takes_nothing() {
        let record = Record::new(0);
        record.note(socket(1), &topic("topic/a"), What::Left { last: 1 });
        assert!(!record.is_on());
        assert_eq!((record.bytes(), record.noted()), (0, 0));
        assert!(!record.take_bytes(1));
    }
}
