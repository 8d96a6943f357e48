//! The commands that a shard follows.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nextrush_protocol::{CloseFrame, Frame, Limits};

use super::Link;
use crate::connection::{Connection, OpenFn, Work};
use crate::error::ConnectionError;
use crate::id::{ConnectionId, RoomId, TimerId};
use crate::room::{Filling, Giving, Looking, Skippable};
use crate::transport::Transport;

/// A command for a shard.
pub(crate) enum Command {
    Accept(Box<Accept>),
    Connection(Key, Order),
    Publish {
        room: RoomId,
        frame: Frame,
        /// The members that do not get it; sorted.
        except: Option<Arc<[ConnectionId]>>,
        skippable: Option<Arc<Skippable>>,
        /// Its number among those of the room; 0 if it has none.
        number: u64,
    },
    /// Send a frame to every connection.
    Broadcast {
        frame: Frame,
        /// The connections that do not get it; sorted.
        except: Option<Arc<[ConnectionId]>>,
    },
    /// Poll a task whose waker was called.
    Wake {
        task: u32,
    },
    /// Close every connection, cut those that are left after the deadline, then stop.
    Shutdown {
        frame: CloseFrame,
        deadline: Duration,
    },
    /// Cut every connection and stop.
    Stop,
    /// End the shard's thread by a panic; for tests.
    #[cfg(feature = "sim")]
    Panic,
}

/// A connection on its way to its shard.
pub(crate) struct Accept {
    pub(crate) id: ConnectionId,
    pub(crate) make: MakeConnection,
    pub(crate) transport: Transport,
    pub(crate) read_ahead: Bytes,
    pub(crate) open: Option<OpenFn>,
    pub(crate) is_counted: bool,
    pub(crate) first_message: Option<Limits>,
}

/// A function that makes the connection, on the shard's thread. So the memory that lives as
/// long as the connection is not allocated among the buffers of its handshake, which are freed
/// at once and would leave holes that nothing fits into.
pub(crate) type MakeConnection = Box<dyn FnOnce(ConnectionId, Arc<Link>) -> Connection + Send>;

/// The id of a connection within its shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl From<ConnectionId> for Key {
    fn from(id: ConnectionId) -> Self {
        Self {
            slot: id.slot,
            generation: id.generation,
        }
    }
}

/// An order for one connection.
pub(crate) enum Order {
    Send(Frame),
    Close(Option<CloseFrame>),
    StartReading,
    Admit,
    ReadOn,
    Join(RoomId),
    Leave(RoomId),
    Give(Box<Giving>),
    Fill(Box<Filling>),
    Look(Box<Looking>),
    SetTimer(Box<SetTimer>),
    CancelTimer(TimerId),
    /// Follow an end that did not come from us. An order like any other, so that earlier ones
    /// are followed first: answers to the messages ahead of a close frame are sent.
    End(Ending),
}

/// A timer to be set.
pub(crate) struct SetTimer {
    pub(crate) id: TimerId,
    pub(crate) after: Duration,
    pub(crate) run: TimerFn,
}

pub(crate) type TimerFn = Box<dyn FnOnce() -> Work + Send>;

/// The end of a connection that we did not close.
pub(crate) enum Ending {
    /// The peer's close frame came.
    Peer(Option<CloseFrame>),
    /// The peer sends no more, and sent no close frame.
    EndOfStream,
    Failed(ConnectionError),
    /// The connection failed, and the handler knows the error already.
    Told(ConnectionError),
    /// More waits for all connections together than may wait, and for this one most of it.
    Crowded,
}
