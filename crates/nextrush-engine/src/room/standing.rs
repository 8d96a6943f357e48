//! The standing of a member: the publications that it has not been written.

use std::fmt;

use crate::id::{ConnectionId, RoomId};

/// An observer of the members of a room.
pub trait Watch: Send + Sync {
    /// Notes that a member has left, for whatever reason. `last` is the number of the last
    /// publication of the room, 0 if there was none since the room was empty: the member is sent
    /// no later one.
    ///
    /// Called under the room's lock: return at once, and call nothing of the engine.
    fn left(&self, member: ConnectionId, last: u64);
}

/// The publications of a room that a member has not been written at some moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Standing {
    /// The first publication that the member skips, while it lags.
    pub lags_from: Option<u64>,
    /// The first of the publications that wait for the member, a lower bound where they were sent
    /// as a part of the history. `Some(0)` if it is not known, as they are numbered anew.
    pub waits_from: Option<u64>,
    /// `true` if anything waits for the member that is no numbered publication.
    pub waits_for_others: bool,
}

/// The first publication of a room that a connection was not written before it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unsent {
    /// The [number](crate::Room::number) of the room.
    pub room: u32,
    /// The number of the publication, as in [`Standing::waits_from`].
    pub first: u64,
}

/// The place of a frame among the publications of a room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) room: RoomId,
    /// The number of the publication, or of the first of those that the frame stands for.
    pub(crate) number: u64,
}

/// A question for the standing of a member.
pub(crate) struct Looking {
    pub(crate) room: RoomId,
    pub(crate) tell: Box<dyn FnOnce(Standing) + Send>,
}

impl fmt::Debug for Looking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looking")
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}
