use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nextrush_protocol::{CloseFrame, Frame};

use super::Link;
use crate::connection::{Connection, OpenFn, Work};
use crate::error::ConnectionError;
use crate::id::{ConnectionId, RoomId, TimerId};
use crate::room::{Filling, Giving, Skippable};
use crate::transport::Transport;

/// Something for a shard to do.
pub(crate) enum Command {
    Accept(Box<Accept>),
    Connection(Key, Order),
    Publish {
        room: RoomId,
        frame: Frame,
        /// Sorted.
        except: Option<Arc<[ConnectionId]>>,
        skippable: Option<Arc<Skippable>>,
    },
    /// A task can go on.
    Wake {
        task: u32,
    },
    /// Close every connection, cut what is left after the deadline, then stop.
    Shutdown {
        frame: CloseFrame,
        deadline: Duration,
    },
    /// Cut every connection and stop.
    Stop,
}

pub(crate) struct Accept {
    pub(crate) id: ConnectionId,
    pub(crate) make: MakeConnection,
    pub(crate) transport: Transport,
    pub(crate) read_ahead: Bytes,
    pub(crate) open: Option<OpenFn>,
}

/// Makes the connection, on the shard's thread: what lives as long as a connection does is
/// not allocated among the buffers of its handshake, which are gone at once and would leave
/// holes that nothing fits into.
pub(crate) type MakeConnection = Box<dyn FnOnce(ConnectionId, Arc<Link>) -> Connection + Send>;

/// A connection within its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Something to do to one connection.
pub(crate) enum Order {
    Send(Frame),
    Close(Option<CloseFrame>),
    StartReading,
    Join(RoomId),
    Leave(RoomId),
    Give(Box<Giving>),
    Fill(Box<Filling>),
    SetTimer(Box<SetTimer>),
    CancelTimer(TimerId),
    /// It ended by itself. Told like anything else, so that what was told before
    /// happens before: answers to the messages ahead of a close frame are sent.
    End(Ending),
}

pub(crate) struct SetTimer {
    pub(crate) id: TimerId,
    pub(crate) after: Duration,
    pub(crate) run: TimerFn,
}

pub(crate) type TimerFn = Box<dyn FnOnce() -> Work + Send>;

/// How a connection ended that we did not close.
pub(crate) enum Ending {
    /// The peer's close frame came.
    Peer(Option<CloseFrame>),
    /// The peer sends no more, and sent no close frame.
    EndOfStream,
    Failed(ConnectionError),
    /// The same, and the handler knows the error already.
    Told(ConnectionError),
}
