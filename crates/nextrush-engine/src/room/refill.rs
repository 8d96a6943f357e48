//! Members that read too slowly: they lag, which is to skip publications, and catch up by
//! refills.

use std::fmt;
use std::sync::Arc;
use std::thread;

use nextrush_protocol::Frame;

use crate::connection::{Connection, Work};
use crate::error::ConnectionError;
use crate::id::{ConnectionId, RoomId};
use crate::link::Order;

/// The right to skip a publication, for members that read too slowly and get it later; see
/// [`Room::publish_skippable`](crate::Room::publish_skippable).
#[derive(Clone)]
#[non_exhaustive]
pub struct Skippable {
    /// The publication's number among those of the room. Numbers rise.
    pub offset: u64,
    /// A member with more than this many bytes queued skips the publication and begins to lag;
    /// an empty queue always takes it. At most half of [`Backlog::bytes`](crate::Backlog): the
    /// rest is for what cannot be skipped.
    pub over: usize,
    /// The source of the publications that a member has skipped. It is asked once the member
    /// has taken its backlog.
    pub refill: Arc<dyn Refill>,
}

impl Skippable {
    /// The right to skip the publication of this number; see the fields.
    pub fn new(offset: u64, over: usize, refill: Arc<dyn Refill>) -> Self {
        Self {
            offset,
            over,
            refill,
        }
    }
}

impl fmt::Debug for Skippable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skippable")
            .field("offset", &self.offset)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// A source of publications that members have skipped.
pub trait Refill: Send + Sync {
    /// Fills the lag of a member that has taken its backlog.
    ///
    /// Called on the thread of the connection's shard, like the calls of a
    /// [`Handler`](crate::Handler), and once only until the lag is filled. Work that is
    /// returned does not hold reading back.
    fn refill(self: Arc<Self>, lag: Lag) -> Work;

    /// Learns that a member begins to lag: it skips the publications from the number `first` on.
    ///
    /// Called on the thread of the connection's shard, while a publication goes round: return
    /// at once.
    fn lags(&self, member: ConnectionId, first: u64) {
        let _ = (member, first);
    }
}

/// A member's lag in a room: it skips all publications from a certain one on, until it is
/// filled. Dropping this closes the connection with 1013, unless it has left the room.
pub struct Lag {
    connection: Connection,
    room: RoomId,
    /// The number of this lag among those of the shard.
    number: u64,
    first: u64,
    is_filled: bool,
}

impl Lag {
    pub(crate) fn new(connection: Connection, room: RoomId, number: u64, first: u64) -> Self {
        Self {
            connection,
            room,
            number,
            first,
            is_filled: false,
        }
    }

    /// The member.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The number of the first publication that the member has skipped. It has skipped what
    /// was published without a number as well.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The bytes of frames that a refill may have: half of [`Backlog::bytes`](crate::Backlog).
    /// With more the connection may be closed as a slow reader's, unless it is one frame.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.connection.options().backlog.skippable_share()
    }

    /// Sends these frames, with which the member has caught up.
    ///
    /// The member has skipped the publications to the room before this call, and gets those
    /// after it. Nothing happens if the connection has left the room or closed
    /// meanwhile.
    pub fn fill(self, frames: Vec<Frame>) {
        self.post(Filled::Live { frames });
    }

    /// Sends these frames, after which the member still lags: [`Refill::refill`] is called
    /// again with this `first` when they have been taken.
    pub fn fill_part(self, frames: Vec<Frame>, first: u64) {
        self.post(Filled::Part { frames, first });
    }

    fn post(mut self, filled: Filled) {
        self.is_filled = true;
        self.post_order(filled);
    }

    fn post_order(&self, filled: Filled) {
        let filling = Filling {
            room: self.room,
            number: self.number,
            filled,
        };
        self.connection.post(Order::Fill(Box::new(filling)));
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        if !self.is_filled {
            self.post_order(Filled::Never(if thread::panicking() {
                ConnectionError::HandlerPanicked
            } else {
                ConnectionError::SlowReader
            }));
        }
    }
}

impl fmt::Debug for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lag")
            .field("connection", &self.connection.id())
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

/// Frames that were published before a member joined.
pub(crate) struct Giving {
    pub(crate) room: RoomId,
    /// The number of the first publication that the frames stand for; 0 if they stand for none.
    pub(crate) first: u64,
    pub(crate) frames: Vec<Frame>,
    /// The first publication that is left for a refill.
    pub(crate) rest: Option<Skippable>,
}

/// The answer to a [`Lag`].
pub(crate) struct Filling {
    pub(crate) room: RoomId,
    pub(crate) number: u64,
    pub(crate) filled: Filled,
}

/// The outcome of a refill.
pub(crate) enum Filled {
    /// The member has caught up with these frames.
    Live { frames: Vec<Frame> },
    /// The member still lacks the publications from `first` on.
    Part { frames: Vec<Frame>, first: u64 },
    /// The member cannot get what it lacks.
    Never(ConnectionError),
}
