use nextrush_protocol::{Decoder, Role};

use super::backlog::Outbox;
use super::rooms::Membership;
use super::timers::TimerKey;
use crate::connection::Connection;
use crate::handler::{Handler, Incoming};
use crate::inbox::Key;

/// The connections of a shard, by slot.
#[derive(Default)]
pub(super) struct Slab {
    slots: Vec<Option<Live>>,
    len: usize,
}

/// A connection. What it needs only at times is behind a pointer that is empty at others:
/// an idle one holds its handle and its handler.
pub(super) struct Live {
    pub(super) connection: Connection,
    /// Until it has been told of the end.
    pub(super) handler: Option<Box<dyn Handler>>,
    pub(super) decoder: Decoder,
    pub(super) phase: Phase,
    /// Messages may be handed over: `open` is done, or reading was asked for.
    pub(super) started: bool,
    /// The message that came before that. Nothing is read past it.
    pub(super) early: Option<Box<Incoming<'static>>>,
    /// The handler knows of the error that ends the connection.
    pub(super) told: bool,
    /// Work of a message is pending: nothing further is read.
    pub(super) held: bool,
    /// The transport may have something to read.
    pub(super) readable: bool,
    /// The peer sends no more: a read has to go on until it says so.
    pub(super) hangup: bool,
    /// A ping was sent, and the client has been silent since.
    pub(super) pinged: bool,
    /// Writing failed: nothing can be sent any more.
    pub(super) broken: bool,
    /// Stands in the list of slots to read.
    pub(super) queued: bool,
    /// Stands in the list of slots to write.
    pub(super) dirty: bool,
    /// What has been read and not been decoded, as reading is held back.
    pub(super) stash: Option<Box<Stash>>,
    /// What is to be sent.
    pub(super) outbox: Option<Box<Outbox>>,
    pub(super) rooms: Vec<Membership>,
    /// Timers of the user.
    pub(super) timers: Vec<TimerKey>,
    /// When the peer has to have done its part of closing.
    pub(super) deadline: Option<TimerKey>,
}

/// How far a connection is, as its shard sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Our close frame stands in the outbox or is sent; the peer's has not come.
    Closing,
    /// The handler has been told of the end. What is in the outbox is still sent, then
    /// our side of the transport is shut; what the peer sends is thrown away until it
    /// shuts its side, because dropping a transport with unread bytes resets it, and the
    /// reset could overtake our close frame.
    Lingering {
        shut: bool,
        peer_shut: bool,
    },
}

pub(super) struct Stash {
    pub(super) bytes: Vec<u8>,
    /// How much of it has been decoded since.
    pub(super) start: usize,
}

impl Live {
    pub(super) fn new(connection: Connection) -> Self {
        let decoder = Decoder::new(Role::Server, connection.options().limits);
        Self {
            decoder: match connection.deflate() {
                Some(params) => decoder.with_deflate(params),
                None => decoder,
            },
            connection,
            handler: None,
            phase: Phase::Open,
            started: false,
            early: None,
            told: false,
            held: false,
            readable: false,
            hangup: false,
            pinged: false,
            broken: false,
            queued: false,
            dirty: false,
            stash: None,
            outbox: None,
            rooms: Vec::new(),
            timers: Vec::new(),
            deadline: None,
        }
    }

    /// Whether what the peer sends is wanted now. Once we close it always is: the answer
    /// to our close frame has to be found behind it.
    pub(super) fn reads(&self) -> bool {
        self.phase != Phase::Open || (!self.held && self.early.is_none())
    }

    pub(super) fn key(&self) -> Key {
        Key::from(self.connection.id())
    }

    pub(super) fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering { .. })
    }
}

impl Slab {
    pub(super) fn insert(&mut self, slot: u32, live: Live) {
        let index = slot as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        debug_assert!(self.slots[index].is_none(), "a slot is given out once");
        self.slots[index] = Some(live);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Live> {
        let live = self.slots.get_mut(slot as usize)?.take()?;
        self.len -= 1;
        Some(live)
    }

    pub(super) fn at(&mut self, slot: u32) -> Option<&mut Live> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// `None` also if the slot has been given to another connection meanwhile.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut Live> {
        self.at(key.slot).filter(|live| live.key() == key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.slots.iter().flatten().map(Live::key).collect()
    }
}
