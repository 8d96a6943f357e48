use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use nextrush_protocol::{CloseFrame, DeflateParams, Deflater, Frame};
use parking_lot::Mutex;

use crate::config::Options;
use crate::error::{ConnectionError, JoinError};
use crate::handler::Work;
use crate::id::{ConnectionId, TimerId};
use crate::inbox::{Ending, Order, SetTimer};
use crate::link::Link;
use crate::room::Room;

/// A handle of one connection: cheap to clone, usable from any thread, equal by
/// [`id`](Self::id), and harmless when the connection is gone.
///
/// Nothing here waits. Each call tells the connection's shard what to do; what one task
/// tells it, directly or through a [`Room`], happens in that order.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    id: ConnectionId,
    link: Arc<Link>,
    options: Arc<Options>,
    peer: Option<SocketAddr>,
    deflate: Option<DeflateParams>,
    /// A [`State`]. Leaves `OPEN` under the lock of `rooms` only.
    state: AtomicU8,
    reading: AtomicBool,
    /// Bytes of frames sent directly that the shard has not tried to write yet.
    posted: AtomicUsize,
    /// Bytes that the kernel refused, as of the shard's last try.
    backlog: AtomicUsize,
    /// The rooms joined; empty once the connection is not open any more.
    rooms: Mutex<Vec<Room>>,
}

const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
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
    pub fn state(&self) -> State {
        match self.0.state.load(Ordering::Acquire) {
            OPEN => State::Open,
            CLOSING => State::Closing,
            _ => State::Closed,
        }
    }

    /// The address of the client, or of the last proxy before us; `None` for a transport
    /// that has none.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer
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
        if self.state() != State::Open {
            return;
        }
        let posted = self.0.posted.fetch_add(frame.len(), Ordering::Relaxed);
        let waiting = posted.saturating_add(self.0.backlog.load(Ordering::Relaxed));
        if waiting > self.0.options.backlog.bytes {
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
    /// [`Handler::open`](crate::Handler::open) is pending. Only the first call counts.
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
        if self.state() != State::Open {
            return Err(JoinError::Closed);
        }
        if !room.add(self) {
            return Ok(false);
        }
        rooms.push(room.clone());
        Ok(true)
    }

    /// Leaves a room; `false` if the connection was no member.
    pub fn leave(&self, room: &Room) -> bool {
        let mut rooms = self.0.rooms.lock();
        let Some(position) = rooms.iter().position(|joined| joined == room) else {
            return false;
        };
        rooms.swap_remove(position);
        room.remove(self);
        true
    }

    /// The rooms joined, in no order.
    pub fn rooms(&self) -> Vec<Room> {
        self.0.rooms.lock().clone()
    }

    /// Bytes sent that the kernel has not taken yet. Publications count from the end of
    /// the turn of the shard on that brought them.
    pub fn buffered(&self) -> usize {
        if self.state() == State::Closed {
            return 0;
        }
        let posted = self.0.posted.load(Ordering::Relaxed);
        posted.saturating_add(self.0.backlog.load(Ordering::Relaxed))
    }

    /// Has `run` called once on the connection's shard, in `after` or a little later,
    /// unless the timer is cancelled or [`Handler::close`](crate::Handler::close) is called
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
        options: Arc<Options>,
        peer: Option<SocketAddr>,
        deflate: Option<DeflateParams>,
    ) -> Self {
        Self(Arc::new(Inner {
            id,
            link,
            options,
            peer,
            deflate,
            state: AtomicU8::new(OPEN),
            reading: AtomicBool::new(false),
            posted: AtomicUsize::new(0),
            backlog: AtomicUsize::new(0),
            rooms: Mutex::default(),
        }))
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    /// The frame as it goes over the wire to this client: compressed if that was agreed on
    /// and makes it shorter.
    pub(crate) fn wire_form(&self, frame: &Frame, deflater: &mut Deflater) -> Frame {
        match (self.0.deflate, &self.0.options.deflate) {
            (Some(params), Some(config)) => frame.deflated(params, config, deflater),
            _ => frame.clone(),
        }
    }

    /// Ends the open state and leaves all rooms; `false` if somebody did so before.
    pub(crate) fn begin_closing(&self) -> bool {
        let left = {
            let mut rooms = self.0.rooms.lock();
            if self.state() != State::Open {
                return false;
            }
            self.0.state.store(CLOSING, Ordering::Release);
            let left = mem::take(&mut *rooms);
            for room in &left {
                room.remove(self);
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

    /// The shard has tried to write: `posted` bytes of direct sends have been taken up by
    /// it since its last try, and `backlog` bytes are left over.
    pub(crate) fn settle(&self, posted: usize, backlog: usize) {
        self.0.backlog.store(backlog, Ordering::Relaxed);
        self.0.posted.fetch_sub(posted, Ordering::Relaxed);
    }

    fn post(&self, order: Order) {
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
            .field("peer_addr", &self.0.peer)
            .finish_non_exhaustive()
    }
}
