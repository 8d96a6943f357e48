//! The handle of a connection, shared between its shard and all that send to it.

mod handler;
mod handover;
mod joined;
mod reservation;

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use nextrush_protocol::{CloseFrame, DeflateParams, Deflater, Frame};
use parking_lot::Mutex;

pub use self::handler::{Handler, Incoming, Traffic, Work};
pub use self::handover::{Handover, OpenFn, Placement};
use self::joined::Joined;
pub use self::reservation::Reservation;
use crate::config::{Backlog, SocketOptions};
use crate::error::{ConnectionError, JoinError};
use crate::id::{ConnectionId, TimerId};
use crate::link::{Ending, Link, Order, SetTimer};
use crate::room::Room;
use crate::slow_reader::weight;

/// A handle of one connection: cheap to clone, usable from any thread, equal by
/// [`id`](Self::id), and harmless when the connection is gone.
///
/// No method waits. Each gives the connection's shard an order, and the orders of one task,
/// given directly or through a [`Room`], are followed in that order.
#[derive(Clone)]
pub struct Connection(Arc<Inner<dyn Handler>>);

/// The memory of an idle connection outside of its shard: one allocation, in which a million
/// connections pay for each field.
struct Inner<H: ?Sized> {
    id: ConnectionId,
    /// A [`ConnectionState`]. Changed from `OPEN` under the lock of `rooms` only.
    state: AtomicU8,
    reading: AtomicBool,
    deflate: Option<DeflateParams>,
    /// The bytes that were sent and that the kernel has not taken. Direct sends are added at
    /// once, publications when the shard has tried to write them.
    buffered: AtomicU32,
    /// The blocks of the backlog that this client alone is sent. In 16 bits, for which there is
    /// room: a million connections pay for each further byte.
    own_backlog: AtomicU16,
    link: Arc<Link>,
    options: Arc<SocketOptions>,
    /// The rooms that the connection is in; empty once it is not open any more.
    rooms: Mutex<Joined>,
    handler: H,
}

/// The unit in which a connection's own backlog is counted.
const BLOCK: usize = 16 * 1024;

const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;

/// The state of a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there is nothing between these states"
)]
pub enum ConnectionState {
    /// Messages can be sent and received.
    Open,
    /// A side has begun to close: nothing more is sent or received, and the connection is
    /// in no room.
    Closing,
    /// The handler has learned of the end.
    Closed,
}

impl Connection {
    /// The connection's id, unique for the life of the process.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.0.id
    }

    /// The state of the connection at this moment.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        match self.0.state.load(Ordering::Acquire) {
            OPEN => ConnectionState::Open,
            CLOSING => ConnectionState::Closing,
            _ => ConnectionState::Closed,
        }
    }

    /// The handler that the connection was [accepted](crate::Engine::accept) with, if that is
    /// an `H`.
    #[must_use]
    pub fn handler<H: Handler>(&self) -> Option<&H> {
        let handler: &dyn Any = &self.0.handler;
        handler.downcast_ref()
    }

    /// The endpoint's name in the log; see [`SocketOptions::name`].
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.0.options.name.as_deref()
    }

    /// The compression that the handshake has agreed on; nothing is compressed with `None`.
    #[must_use]
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.0.deflate
    }

    /// Queues a frame; ignored unless the connection is open.
    ///
    /// Closes the connection with 1013 instead if more than [`Backlog::bytes`] wait already.
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

    /// Starts the close handshake (RFC 6455 §7.1.2) behind all that was sent before; ignored
    /// unless the connection is open. The connection leaves its rooms at once. `None` closes
    /// without a code.
    pub fn close(&self, frame: Option<CloseFrame>) {
        if self.begin_closing() {
            self.post(Order::Close(frame));
        }
    }

    /// Lets messages be handed over even while the work of [`Handover::open`] is pending. Only
    /// the first call counts.
    pub fn start_reading(&self) {
        if !self.0.reading.swap(true, Ordering::Relaxed) {
            self.post(Order::StartReading);
        }
    }

    /// Lets reading go on while the work of the message is pending that was handed over last, so that
    /// messages behind it can [overtake](Handler::overtake) it. The others wait for that work, 64 of
    /// them or 64 KiB; then reading stops again. Does nothing where no such work is pending.
    pub fn read_on(&self) {
        self.post(Order::ReadOn);
    }

    /// Ends the state in which a connection is whose [first message](Handover::first_message) has to
    /// say who the client is. Only the first call counts.
    pub fn admit(&self) {
        self.post(Order::Admit);
    }

    /// Makes the connection a member of a room: it gets all publications from now on.
    /// `false` if it was a member before.
    ///
    /// # Errors
    ///
    /// Fails if the connection is not open any more, or if the room belongs to another engine.
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

    /// The rooms that the connection is in, in no order.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        self.0.rooms.lock().as_slice().to_vec()
    }

    /// The bounds of what may wait for the client.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.0.options.backlog
    }

    /// The bytes that were sent and that the kernel has not taken. A publication counts as
    /// soon as the shard has tried to write it.
    #[must_use]
    pub fn buffered(&self) -> usize {
        if self.state() == ConnectionState::Closed {
            return 0;
        }
        self.0.buffered.load(Ordering::Relaxed) as usize
    }

    /// Calls `run` once on the connection's shard, after `after` or a little later, unless the
    /// timer is cancelled or [`Handler::close`] is called before. The shard polls the work that
    /// it returns, which does not hold reading back.
    #[allow(clippy::must_use_candidate, reason = "most timers are never cancelled")]
    pub fn set_timer(&self, after: Duration, run: Box<dyn FnOnce() -> Work + Send>) -> TimerId {
        let id = self.0.link.next_timer();
        self.post(Order::SetTimer(Box::new(SetTimer { id, after, run })));
        id
    }

    /// Drops a timer of this connection; ignored if it has run.
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
            own_backlog: AtomicU16::new(0),
            link,
            options,
            rooms: Mutex::default(),
            handler,
        }))
    }

    /// The handler, to be called.
    pub(crate) fn events(&self) -> &dyn Handler {
        &self.0.handler
    }

    /// The settings of the connection's endpoint.
    #[must_use]
    pub fn options(&self) -> &SocketOptions {
        &self.0.options
    }

    /// The frame as this client gets it: compressed, if that was agreed on and makes it
    /// shorter.
    pub(crate) fn deflated(&self, frame: &Frame, deflater: &mut Deflater) -> Frame {
        match (self.0.deflate, &self.0.options.deflate) {
            (Some(params), Some(config)) => frame.deflated(params, config, deflater),
            _ => frame.clone(),
        }
    }

    /// Ends the open state and leaves all rooms; `false` if the connection is not open.
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

    /// Closes the connection because of an error.
    pub(crate) fn fail(&self, error: ConnectionError) {
        if self.begin_closing() {
            self.post(Order::End(Ending::Failed(error)));
        }
    }

    /// Ends the connection because its backlog is one of the largest of too many, also while it
    /// waits for its peer to have read all.
    pub(crate) fn crowd_out(&self) {
        self.begin_closing();
        self.post(Order::End(Ending::Crowded));
    }

    pub(crate) fn mark_closed(&self) {
        self.begin_closing();
        self.0.state.store(CLOSED, Ordering::Release);
    }

    /// The bytes of the backlog that this client alone is sent, rounded up to blocks of 16 KiB:
    /// publications are one buffer for all.
    pub(crate) fn own_backlog(&self) -> usize {
        usize::from(self.0.own_backlog.load(Ordering::Relaxed)) * BLOCK
    }

    pub(crate) fn show_own_backlog(&self, bytes: u64) {
        let blocks = u16::try_from(bytes.div_ceil(BLOCK as u64)).unwrap_or(u16::MAX);
        self.0.own_backlog.store(blocks, Ordering::Relaxed);
    }

    /// Counts frames as buffered that the shard is about to get.
    pub(crate) fn count(&self, frames: &[Frame]) {
        let bytes = frames.iter().map(|frame| weight(frame.len())).sum();
        self.0.buffered.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes a frame out of the buffered bytes that will not be written.
    pub(crate) fn settle(&self, bytes: usize) {
        self.0.buffered.fetch_sub(weight(bytes), Ordering::Relaxed);
    }

    /// Changes the buffered bytes after the shard has tried to write: its share of them was
    /// `before` and is `now`.
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
