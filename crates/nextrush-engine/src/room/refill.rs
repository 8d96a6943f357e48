use std::fmt;
use std::sync::Arc;
use std::thread;

use nextrush_protocol::Frame;

use crate::connection::{Connection, Work};
use crate::error::ConnectionError;
use crate::id::RoomId;
use crate::link::Order;

/// A publication that is left out for members who read too slowly, because they can be
/// told of it later; see [`Room::publish_skippable`](crate::Room::publish_skippable).
#[derive(Clone)]
pub struct Skippable {
    /// Its number among the room's publications. They rise.
    pub offset: u64,
    /// How much may wait for a member, in bytes, for the publication to be added: with
    /// more it is left out. One that nothing waits for gets it however long it is. Half of
    /// [`Backlog::bytes`](crate::Backlog) is the most; the rest is for what cannot be left
    /// out.
    pub over: usize,
    /// Who is told when the member has taken what waited.
    pub refill: Arc<dyn Refill>,
}

impl fmt::Debug for Skippable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skippable")
            .field("offset", &self.offset)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// Gives members who read too slowly what was left out for them.
pub trait Refill: Send + Sync {
    /// A member that lags has taken what waited for it.
    ///
    /// Called on the thread of the connection's shard, like the calls of a
    /// [`Handler`](crate::Handler), and once only until the lag is filled. Work that is
    /// returned does not hold reading back.
    fn refill(self: Arc<Self>, lag: Lag) -> Work;
}

/// A member of a room for whom publications are left out, all of them from a certain one on,
/// until it is filled. Dropping it closes the connection with
/// 1013, unless it has left the room.
pub struct Lag {
    connection: Connection,
    room: RoomId,
    /// Which of the connection's lags it is.
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
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The number of the first publication that was left out. What was published without
    /// one was left out as well.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many bytes of frames it can be filled with: half of
    /// [`Backlog::bytes`](crate::Backlog). With more the connection may be closed for what
    /// waits, unless it is one frame.
    pub fn capacity(&self) -> usize {
        self.connection.options().backlog.skippable_share()
    }

    /// Sends these frames, and from now on what is published.
    ///
    /// What is published to the room before this call is left out, and what after it is
    /// sent. Nothing of it happens if the connection has left the room or closed meanwhile.
    pub fn fill(self, frames: Vec<Frame>) {
        self.post(Filled::Live { frames });
    }

    /// Sends these frames, and lags on: [`Refill::refill`] is called again with this `first`
    /// when they have been taken.
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

/// What a member gets that was published before it came.
pub(crate) struct Giving {
    pub(crate) room: RoomId,
    pub(crate) frames: Vec<Frame>,
    /// Where what comes later begins.
    pub(crate) rest: Option<Skippable>,
}

/// What a lag is filled with.
pub(crate) struct Filling {
    pub(crate) room: RoomId,
    pub(crate) number: u64,
    pub(crate) filled: Filled,
}

pub(crate) enum Filled {
    /// It gets what is published again.
    Live { frames: Vec<Frame> },
    /// It still lacks what comes from `first` on.
    Part { frames: Vec<Frame>, first: u64 },
    /// It cannot get what it lacks.
    Never(ConnectionError),
}
