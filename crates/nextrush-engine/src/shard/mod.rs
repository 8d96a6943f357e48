//! A shard: some of the engine's connections, and all that happens to them.
//!
//! The core owns no socket and no clock. [`Shard::turn`] moves it, given the time and the
//! transports that are ready, and it acts on transports through [`Io`] alone. One turn: read
//! what is ready and call handlers, follow the inbox, run timers, then write: once for each
//! connection that has something to be sent, whatever it is.

mod abuse;
mod calls;
mod cast;
mod close;
mod flush;
mod heartbeat;
mod lagging;
mod live;
mod outbox;
mod peer;
mod read;
mod rooms;
mod slab;
mod tasks;
mod ticks;
mod timers;
mod traffic;
mod turn;

use std::sync::Arc;

use nextrush_protocol::CloseFrame;

use self::cast::Cast;
use self::peer::Parts;
use self::rooms::Rooms;
use self::slab::Slab;
use crate::link::{Command, Link};
use crate::shared::Running;
use crate::transport::Io;

/// The connections that one thread serves.
///
/// Its methods are of five kinds, and `turn` calls them in this order:
///
/// - **From sockets**: `read_ready` decodes what came and calls handlers; `unblock` notes that
///   a transport takes bytes again.
/// - **From the inbox**: `follow` does what other threads, handlers and the shard itself have
///   asked for, in the order of asking: `accept`, `send`, `close`, `end`, `join`, `leave`,
///   `publish`, `give`, `fill`, `set_timer`, `resume_task`.
/// - **From time**: `run_timers` runs timers of the user and the shard's own (`check_unfinished`,
///   `close_deadline`, `check_age`); `check_heartbeats` pings silent clients.
/// - **To sockets**: `flush`. It walks each room that was published to (`cast`), then writes
///   the outboxes of connections that are dirty. Nothing else writes.
/// - **To the outside**: `refill_drained` asks for what lagging members have skipped, and
///   `show_counts` publishes the metrics.
///
/// Steps that concern one connection are methods of [`Peer`](peer::Peer), a view that borrows
/// the connection and the shard's common [parts](Parts). Steps that end a connection, or that
/// touch a room and its members, are methods of the shard: `finish` tells the handler of the
/// end, `release` forgets the connection.
///
/// A handler is called in the middle of a step and has no way into the shard: all it can do is
/// to put commands into the [inbox](crate::link::Inbox). So it never enters the step again.
pub(crate) struct Shard<I: Io> {
    slab: Slab,
    rooms: Rooms,
    cast: Cast,
    parts: Parts<I>,
    shared: Running,
    /// The inbox's other half: swapped with it, empty in between.
    commands: Vec<Command>,
    /// The close frame for connections that come while the engine shuts down.
    shutdown: Option<CloseFrame>,
    stopped: bool,
}

impl<I: Io> Shard<I> {
    pub(crate) fn new(io: I, link: Arc<Link>, shared: Running) -> Self {
        Self {
            slab: Slab::default(),
            rooms: Rooms::default(),
            cast: Cast::default(),
            parts: Parts::new(io, link),
            shared,
            commands: Vec::new(),
            shutdown: None,
            stopped: false,
        }
    }

    /// Asks for its waker to be called at the next command; `false` if there is one already.
    pub(crate) fn doze(&self) -> bool {
        self.parts.link.inbox.doze()
    }

    /// Returns whether the shard has ended: a further turn would do nothing.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }
}

#[cfg(feature = "sim")]
impl<I: Io> Shard<I> {
    pub(crate) fn io(&self) -> &I {
        &self.parts.io
    }

    pub(crate) fn has_commands(&self) -> bool {
        self.parts.link.inbox.has_commands()
    }
}

impl<I: Io> Drop for Shard<I> {
    fn drop(&mut self) {
        self.stop();
        self.show_counts();
    }
}
