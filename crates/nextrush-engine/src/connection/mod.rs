mod handler;
mod handover;
mod joined;

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use nextrush_protocol::{CloseFrame, DeflateParams, Deflater, Frame};
use parking_lot::Mutex;

pub use self::handler::{Handler, Incoming, Work};
pub use self::handover::{Handover, OpenFn, Placement};
use self::joined::Joined;
use crate::config::{Backlog, SocketOptions};
use crate::error::{ConnectionError, JoinError};
use crate::id::{ConnectionId, TimerId};
use crate::link::{Ending, Link, Order, SetTimer};
use crate::room::Room;
use crate::slow_reader::weight;

/// A handle of one connection: cheap to clone, usable from any thread, equal by
/// [`id`](Self::id), and harmless when the connection is gone.
///
/// Nothing here waits. Each call tells the connection's shard what to do; what one task
/// tells it, directly or through a [`Room`], happens in that order.
#[derive(Clone)]
pub struct Connection(Arc<Inner<dyn Handler>>);

/// All that an idle connection has outside of its shard: one allocation, in which every
/// field is paid for by each of a million connections.
struct Inner<H: ?Sized> {
    id: ConnectionId,
    /// A [`ConnectionState`]. Leaves `OPEN` under the lock of `rooms` only.
    state: AtomicU8,
    reading: AtomicBool,
    deflate: Option<DeflateParams>,
    /// Bytes that were sent and that the kernel has not taken: those of direct sends at
    /// once, those of publications from the shard's last try to write.
    buffered: AtomicU32,
    link: Arc<Link>,
    options: Arc<SocketOptions>,
    /// The rooms joined; empty once the connection is not open any more.
    rooms: Mutex<Joined>,
    handler: H,
}

const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Messages can be sent.
    Open,
    /// Closing has begun, from either side: nothing more is sent or received, and the
    /// rooms have been left.
    Closing,
    /// The handler has been told of the end.
    Closed,
}

impl Connection {
    /// Names the connection for the life of the process.
    pub fn id(&self) -> ConnectionId {
        self.0.id
    }

    /// How far the connection is, as of now.
    pub fn state(&self) -> ConnectionState {
        match self.0.state.load(Ordering::Acquire) {
            OPEN => ConnectionState::Open,
            CLOSING => ConnectionState::Closing,
            _ => ConnectionState::Closed,
        }
    }

    /// What the connection was [accepted](crate::Engine::accept) with, if it is an `H`.
    pub fn handler<H: Handler>(&self) -> Option<&H> {
        let handler: &dyn Any = &self.0.handler;
        handler.downcast_ref()
    }

    /// What the log calls the endpoint; see [`SocketOptions::name`].
    pub fn endpoint(&self) -> Option<&str> {
        self.0.options.name.as_deref()
    }

    /// What the handshake has agreed on for compression; `None`: nothing is compressed.
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.0.deflate
    }

    /// Queues a frame; ignored unless the connection is open.
    ///
    /// If more than [`Backlog::bytes`](crate::Backlog) wait already, the connection is
    /// closed with 1013 instead.
    pub fn send(&self, frame: Frame) {
        if self.state() != ConnectionState::Open {
            return;
        }
        let waiting = self
            .0
            .buffered
            .fetch_add(weight(frame.len()), Ordering::Relaxed);
        if self.0.options.backlog.refuses(waiting) {
            self.fail(ConnectionError::SlowReader);
        } else {
            self.post(Order::Send(frame));
        }
    }

    /// Starts the close handshake (RFC 6455 §7.1.2) after what was sent before; ignored
    /// unless the connection is open. The rooms are left at once. `None` closes without a
    /// code.
    pub fn close(&self, frame: Option<CloseFrame>) {
        if self.begin_closing() {
            self.post(Order::Close(frame));
        }
    }

    /// Has messages handed over even while the work of
    /// [`Handover::open`](crate::Handover::open) is pending. Only the first call counts.
    pub fn start_reading(&self) {
        if !self.0.reading.swap(true, Ordering::Relaxed) {
            self.post(Order::StartReading);
        }
    }

    /// Becomes a member of a room: what is published there from now on is sent to this
    /// connection. `false` if it was a member before.
    ///
    /// # Errors
    ///
    /// The connection is not open any more, or the room is one of another engine.
    pub fn join(&self, room: &Room) -> Result<bool, JoinError> {
        if !room.is_served_by(&self.0.link) {
            return Err(JoinError::ForeignRoom);
        }
        let mut rooms = self.0.rooms.lock();
        if self.state() != ConnectionState::Open {
            return Err(JoinError::Closed);
        }
        if !room.add(self.id()) {
            return Ok(false);
        }
        rooms.add(room.clone());
        Ok(true)
    }

    /// Leaves a room; `false` if the connection is no member.
    #[allow(
        clippy::must_use_candidate,
        reason = "the effect is wanted, not the answer"
    )]
    pub fn leave(&self, room: &Room) -> bool {
        let mut rooms = self.0.rooms.lock();
        if !rooms.remove(room) {
            return false;
        }
        room.remove(self.id());
        true
    }

    /// The rooms joined, in no order.
    pub fn rooms(&self) -> Vec<Room> {
        self.0.rooms.lock().as_slice().to_vec()
    }

    /// The bounds of what may wait for it.
    pub fn backlog(&self) -> Backlog {
        self.0.options.backlog
    }

    /// Bytes sent that the kernel has not taken yet. Publications count from the end of
    /// the turn of the shard on that brought them.
    pub fn buffered(&self) -> usize {
        if self.state() == ConnectionState::Closed {
            return 0;
        }
        self.0.buffered.load(Ordering::Relaxed) as usize
    }

    /// Has `run` called once on the connection's shard, in `after` or a little later,
    /// unless the timer is cancelled or [`Handler::close`] is called
    /// before. Work that it returns is polled on the shard and does not hold reading back.
    pub fn set_timer(&self, after: Duration, run: Box<dyn FnOnce() -> Work + Send>) -> TimerId {
        let id = self.0.link.next_timer();
        self.post(Order::SetTimer(Box::new(SetTimer { id, after, run })));
        id
    }

    /// Drops a timer of this connection that has not run yet; else ignored.
    pub fn cancel_timer(&self, timer: TimerId) {
        self.post(Order::CancelTimer(timer));
    }

    pub(crate) fn new(
        id: ConnectionId,
        link: Arc<Link>,
        options: Arc<SocketOptions>,
        deflate: Option<DeflateParams>,
        handler: impl Handler,
    ) -> Self {
        Self(Arc::new(Inner {
            id,
            state: AtomicU8::new(OPEN),
            reading: AtomicBool::new(false),
            deflate,
            buffered: AtomicU32::new(0),
            link,
            options,
            rooms: Mutex::default(),
            handler,
        }))
    }

    /// What is called when something happens.
    pub(crate) fn events(&self) -> &dyn Handler {
        &self.0.handler
    }

    pub(crate) fn options(&self) -> &SocketOptions {
        &self.0.options
    }

    /// The frame as it is sent to this client, if that agreed on compression: compressed
    /// where this makes it shorter.
    pub(crate) fn deflated(&self, frame: &Frame, deflater: &mut Deflater) -> Frame {
        match (self.0.deflate, &self.0.options.deflate) {
            (Some(params), Some(config)) => frame.deflated(params, config, deflater),
            _ => frame.clone(),
        }
    }

    /// Ends the open state and leaves all rooms; `false` if somebody did so before.
    pub(crate) fn begin_closing(&self) -> bool {
        let left = {
            let mut rooms = self.0.rooms.lock();
            if self.state() != ConnectionState::Open {
                return false;
            }
            self.0.state.store(CLOSING, Ordering::Release);
            let left = mem::take(&mut *rooms);
            for room in left.as_slice() {
                room.remove(self.id());
            }
            left
        };
        // Outside of the lock: a room's end takes the directory's lock.
        drop(left);
        true
    }

    /// Closes the connection because of an error; what waits is not sent any more.
    pub(crate) fn fail(&self, error: ConnectionError) {
        if self.begin_closing() {
            self.post(Order::End(Ending::Failed(error)));
        }
    }

    pub(crate) fn mark_closed(&self) {
        self.begin_closing();
        self.0.state.store(CLOSED, Ordering::Release);
    }

    /// Counts frames as sent that the shard is about to be told of.
    pub(crate) fn count(&self, frames: &[Frame]) {
        let bytes = frames.iter().map(|frame| weight(frame.len())).sum();
        self.0.buffered.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Something that was counted as sent will not be written.
    pub(crate) fn settle(&self, bytes: usize) {
        self.0.buffered.fetch_sub(weight(bytes), Ordering::Relaxed);
    }

    /// The shard has tried to write: of what is buffered, `before` bytes have become
    /// `now`.
    pub(crate) fn update_buffered(&self, before: u32, now: u32) {
        if before != now {
            // Wraps around where it goes down.
            self.0
                .buffered
                .fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.0.link
    }

    pub(crate) fn post(&self, order: Order) {
        self.0.link.post(self.0.id, order);
    }
}

impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Connection {}

impl Hash for Connection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.0.id)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
