//! A shard: some of the engine's connections, and all that happens to them.
//!
//! The core owns no socket and no clock. It is moved by [`Shard::turn`], which is told what
//! time it is and which transports are ready, and acts on the transports through
//! [`Io`]. Everything else that is wanted of a shard, by other threads or by the handlers
//! that it calls, stands in its [`Inbox`](crate::link::Inbox).
//!
//! One turn: read what is ready and call handlers, follow the inbox, run timers, then
//! write: once for each connection that has something to be sent, whatever it is.

mod abuse;
mod calls;
mod cast;
mod close;
mod flush;
mod heartbeat;
mod lagging;
mod outbox;
mod read;
mod rooms;
mod slab;
mod tasks;
mod ticks;
mod timers;
mod turn;

use std::collections::VecDeque;
use std::sync::Arc;

use nextrush_protocol::{CloseFrame, Deflater, Inflater};

use self::calls::Caller;
use self::cast::Cast;
use self::outbox::Outboxes;
use self::rooms::Rooms;
use self::slab::Slab;
use self::tasks::Tasks;
use self::ticks::Ticks;
use self::timers::Timers;
use crate::link::{Command, Key, Link};
use crate::metrics::Counts;
use crate::moment::Moment;
use crate::shared::Running;
use crate::transport::Io;

/// Lent to one connection at a time, so that an idle one needs none. As large as a read
/// that one connection may take of a turn.
const READ_BUFFER: usize = 64 * 1024;

/// See the [module](self).
pub(crate) struct Shard<I: Io> {
    io: I,
    link: Arc<Link>,
    shared: Running,
    now: Moment,
    slab: Slab,
    rooms: Rooms,
    caller: Caller,
    tasks: Tasks,
    timers: Timers,
    ticks: Ticks,
    outboxes: Outboxes,
    cast: Cast,
    /// What is shown at the end of the turn.
    counts: Counts,
    /// How much has been sent or published on this shard.
    order: u64,
    /// Slots that may have something to read.
    readable: Vec<u32>,
    /// Slots that may have something to write.
    dirty: VecDeque<u32>,
    /// Connections that lag and have taken what waited for them but so many bytes.
    drained: Vec<(Key, usize)>,
    /// How many connections may still be written to in this turn.
    writes_left: usize,
    read_buffer: Box<[u8]>,
    /// Of the connection that is being read: whether it may send one ping that is not
    /// counted.
    free_ping: bool,
    /// Lent as well, to connections that compress. Empty until the first message.
    inflater: Inflater,
    deflater: Deflater,
    /// Small frames are copied together here to be written at once.
    scratch: Vec<u8>,
    /// The inbox's other half: swapped with it, empty in between.
    commands: Vec<Command>,
    /// How connections are closed that come while the engine shuts down.
    shutdown: Option<CloseFrame>,
    stopped: bool,
}

impl<I: Io> Shard<I> {
    pub(crate) fn new(io: I, link: Arc<Link>, shared: Running) -> Self {
        Self {
            io,
            caller: Caller::new(Arc::clone(&link)),
            tasks: Tasks::new(Arc::clone(&link)),
            link,
            shared,
            now: Moment::START,
            slab: Slab::default(),
            rooms: Rooms::default(),
            timers: Timers::default(),
            ticks: Ticks::default(),
            outboxes: Outboxes::default(),
            cast: Cast::default(),
            counts: Counts::default(),
            order: 0,
            readable: Vec::new(),
            dirty: VecDeque::new(),
            drained: Vec::new(),
            writes_left: 0,
            read_buffer: vec![0; READ_BUFFER].into(),
            free_ping: false,
            inflater: Inflater::new(),
            deflater: Deflater::new(),
            scratch: Vec::new(),
            commands: Vec::new(),
            shutdown: None,
            stopped: false,
        }
    }

    pub(crate) fn io(&self) -> &I {
        &self.io
    }

    /// Whether something stands in the inbox.
    pub(crate) fn has_commands(&self) -> bool {
        self.link.inbox.has_commands()
    }

    /// From here on its waker is called when something comes into the inbox. `false` if
    /// something is there already.
    pub(crate) fn doze(&self) -> bool {
        self.link.inbox.doze()
    }

    /// Whether the shard has ended: a further turn would do nothing.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }
}

impl<I: Io> Drop for Shard<I> {
    fn drop(&mut self) {
        self.stop();
        self.show_counts();
    }
}
