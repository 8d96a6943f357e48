//! The place of a member: at which node, or lost.

use std::fmt;
use std::sync::Arc;

use nextrush_broker::NodeName;
use nextrush_engine::ConnectionId;

/// A process: the name of the node, and the number that it has drawn when it started.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Home {
    pub(crate) node: NodeName,
    /// Tells a process from the one that had the name before it.
    pub(crate) boot: u64,
}

impl Home {
    pub(crate) fn new(node: NodeName, boot: u64) -> Self {
        Self { node, boot }
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:016x}", self.node, self.boot)
    }
}

/// The place of a member.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// A connection at this home. Nobody but its home says that it has left, as long as that lives.
    At {
        home: Arc<Home>,
        socket: ConnectionId,
    },
    /// Its connection is lost, and it is waited for until then: in milliseconds of the store's
    /// clock.
    LostUntil(u64),
}

impl Place {
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::LostUntil(_))
    }

    pub(crate) fn home(&self) -> Option<&Arc<Home>> {
        match self {
            Self::At { home, .. } => Some(home),
            Self::LostUntil(_) => None,
        }
    }
}

/// A member with its place.
pub(crate) struct Record<M> {
    pub(crate) place: Place,
    pub(crate) member: Arc<M>,
}

impl<M> Record<M> {
    pub(crate) fn new(place: Place, member: Arc<M>) -> Self {
        Self { place, member }
    }
}

impl<M> Clone for Record<M> {
    fn clone(&self) -> Self {
        Self {
            place: self.place.clone(),
            member: Arc::clone(&self.member),
        }
    }
}

impl<M: PartialEq> PartialEq for Record<M> {
    fn eq(&self, other: &Self) -> bool {
        let is_same = Arc::ptr_eq(&self.member, &other.member) || self.member == other.member;
        is_same && self.place == other.place
    }
}

impl<M: fmt::Debug> fmt::Debug for Record<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("place", &self.place)
            .field("member", &self.member)
            .finish()
    }
}
