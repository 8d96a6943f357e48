//! The members of a channel at one moment, whole or in pages.

use std::fmt;
use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use indexmap::map::Entry;
use nextrush_broker::TopicName;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::devices::{Chosen, Device, choose};
use super::messages::Event;
use super::shown::Member;
use crate::message::request::{Answer, CommandId};
use crate::message::{Outgoing, UserId};
use crate::roster::{Rules, View};

/// The most bytes of the members of a page, so that with all that is around them it has 64 KiB.
pub(super) const PAGE_BYTES: usize = 62 * 1024;
/// The most bytes of the members in the answer to a client that does not ask for pages: half of
/// the backlog over which a client that does not read at once is closed.
const WHOLE_BYTES: usize = 512 * 1024;

/// The members of a channel at one moment, to be written as JSON: `members`, each a user with
/// devices, and the `version`. A page has `after` and, unless it is the last one, `next`.
///
/// A cheap handle: all that is told of one version is written once.
#[derive(Clone, Debug)]
pub struct PresenceSnapshot(Arc<Contents>);

#[derive(Debug, Serialize)]
struct Contents {
    members: Box<RawValue>,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    /// The message to clients that gave no id.
    #[serde(skip)]
    message: OnceLock<Outgoing>,
}

impl PresenceSnapshot {
    /// The members of a view, or a part of them.
    pub(super) fn of<R: Rules<Member = Device>>(view: &View<R>, part: Part) -> Self {
        let Chosen { devices, next, .. } = choose(view, part);
        let mut all: IndexMap<&UserId, Member> = IndexMap::new();
        for (number, device) in devices {
            match all.entry(&device.user.id) {
                Entry::Occupied(mut member) => member.get_mut().devices.push(device.shown(number)),
                Entry::Vacant(place) => drop(place.insert(device.member(number))),
            }
        }
        let all: Vec<Member> = all.into_values().collect();
        Self::new(&all, view.version(), part, next)
    }

    /// A channel in which nobody is.
    pub(super) fn nobody(part: Part) -> Self {
        Self::new(&[], 0, part, None)
    }

    fn new(members: &[Member], version: u64, part: Part, next: Option<u64>) -> Self {
        let members = serde_json::value::to_raw_value(members);
        Self(Arc::new(Contents {
            members: members.expect("members have string keys only"),
            version,
            after: match part {
                Part::After(device) => Some(device),
                Part::All | Part::First => None,
            },
            next,
            message: OnceLock::new(),
        }))
    }

    /// The place from which the next page goes on, for
    /// [`LiveUpdates::members_after`](crate::LiveUpdates::members_after); `None` at the end.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.0.next
    }

    #[cfg(test)]
    pub(super) fn is_the_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The message that tells a client, in answer to this id.
    pub(super) fn message(&self, channel: &str, id: Option<&CommandId>) -> Outgoing {
        let event = || Event::Presence {
            channel,
            snapshot: self,
        };
        match id {
            Some(_) => Answer::new(event(), id).into(),
            None => self.0.message.get_or_init(|| event().into()).clone(),
        }
    }
}

/// Nobody.
impl Default for PresenceSnapshot {
    fn default() -> Self {
        Self::nobody(Part::All)
    }
}

impl PartialEq for PresenceSnapshot {
    fn eq(&self, other: &Self) -> bool {
        let parts =
            |Contents {
                 members,
                 version,
                 after,
                 next,
                 ..
             }: &Contents| { (members.get().to_owned(), *version, *after, *next) };
        parts(&self.0) == parts(&other.0)
    }
}

impl Serialize for PresenceSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The part of a channel's members that is wanted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Part {
    /// Everybody.
    All,
    /// The first, as many as a client that knows no pages is told.
    First,
    /// A page: those after this device.
    After(u64),
}

impl Part {
    /// The device after which it begins.
    pub(super) fn after(self) -> u64 {
        match self {
            Self::All | Self::First => 0,
            Self::After(device) => device,
        }
    }

    /// The bytes that its members have at most, if there is more than one device.
    pub(super) fn max_bytes(self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::First => WHOLE_BYTES,
            Self::After(_) => PAGE_BYTES,
        }
    }
}

/// The bytes that are kept, whatever the number of channels.
const KEPT_BYTES: u64 = 16 * 1024 * 1024;
/// The number of pages that this is.
const PAGES: usize = 128;
/// The bytes that keeping a snapshot takes beside its own.
const OVERHEAD: usize = 200;

/// The snapshots that were wanted lately. Takes no memory before there is one.
#[derive(Default)]
pub(super) struct Snapshots(OnceLock<Cache<Key, PresenceSnapshot, ByBytes>>);

/// The part of a version of a channel's members.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    channel: TopicName,
    version: u64,
    part: Part,
}

impl Snapshots {
    /// A part of what subscribers on this node know. Written once for each version.
    pub(super) fn of<R: Rules<Member = Device>>(
        &self,
        channel: &TopicName,
        view: &View<R>,
        part: Part,
    ) -> PresenceSnapshot {
        let key = Key {
            channel: channel.clone(),
            version: view.version(),
            part,
        };
        if let Some(kept) = self.0.get().and_then(|kept| kept.get(&key)) {
            return kept;
        }
        let snapshot = PresenceSnapshot::of(view, part);
        self.0
            .get_or_init(|| Cache::with_weighter(PAGES, KEPT_BYTES, ByBytes))
            .insert(key, snapshot.clone());
        snapshot
    }
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots")
            .field("kept", &self.0.get().map_or(0, Cache::len))
            .finish()
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, PresenceSnapshot> for ByBytes {
    fn weight(&self, key: &Key, snapshot: &PresenceSnapshot) -> u64 {
        // Perhaps also as a message.
        let members = 2 * snapshot.0.members.get().len();
        (OVERHEAD + key.channel.as_str().len() + members) as u64
    }
}
