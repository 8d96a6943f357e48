use bitflags::bitflags;
use nextrush_protocol::{Decoder, Role};

use super::lagging::Lagging;
use super::outbox::Outbox;
use super::rooms::Membership;
use super::timers::TimerKey;
use crate::chunked::Chunked;
use crate::config::Options;
use crate::connection::{Connection, Incoming};
use crate::id::ConnectionId;
use crate::link::Key;
use crate::moment::Moment;

/// The connections of a shard, by slot.
#[derive(Default)]
pub(super) struct Slab {
    slots: Chunked<Option<Live>>,
    len: usize,
}

/// A connection. What it needs only at times is behind a pointer that is empty at others,
/// and what is asked of all members of a room stands here: an idle connection takes 48
/// bytes, and a publication touches nothing else of it.
pub(super) struct Live {
    pub(super) connection: Connection,
    /// What is to be sent.
    pub(super) outbox: Option<Box<Outbox>>,
    extra: Option<Box<Extra>>,
    /// The room that it is in, or one of them; the others are extra.
    pub(super) room: Option<Membership>,
    generation: u32,
    pub(super) flags: Flags,
    pub(super) phase: Phase,
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
    Lingering,
}

bitflags! {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Flags: u16 {
        /// Messages may be handed over: `open` is done, or reading was asked for.
        const STARTED = 1;
        /// A message came before that. Nothing is read past it.
        const EARLY = 1 << 1;
        /// The handler knows of the error that ends the connection.
        const TOLD = 1 << 2;
        /// Work of a message is pending: nothing further is read.
        const HELD = 1 << 3;
        /// The transport may have something to read.
        const READABLE = 1 << 4;
        /// The peer sends no more: a read has to go on until it says so.
        const HANGUP = 1 << 5;
        /// A ping was sent, and the client has been silent since.
        const PINGED = 1 << 6;
        /// Writing failed: nothing can be sent any more.
        const BROKEN = 1 << 7;
        /// Stands in the list of slots to read.
        const QUEUED = 1 << 8;
        /// Stands in the list of slots to write.
        const DIRTY = 1 << 9;
        /// Messages are compressed.
        const DEFLATES = 1 << 10;
        /// Lingers, and our side of the transport is shut.
        const SHUT = 1 << 11;
        /// Lingers, and the peer's side is shut.
        const PEER_SHUT = 1 << 12;
        /// Gets nothing of one room at least, as it reads too slowly.
        const LAGS = 1 << 13;
    }
}

/// What most connections don't need at most times.
#[derive(Default)]
pub(super) struct Extra {
    /// Where the peer is within a frame or a message, or has ended; else a fresh decoder
    /// is as good.
    pub(super) decoder: Option<Decoder>,
    /// When the message that the peer has begun has to have ended.
    pub(super) unfinished: Option<TimerKey>,
    /// When as many pings would have been allowed as have come, if that lies ahead.
    pub(super) pings: Option<Moment>,
    /// What has been read and not been decoded, as reading is held back.
    pub(super) stash: Option<Stash>,
    /// The message that came before somebody could receive it.
    pub(super) early: Option<Incoming<'static>>,
    /// All rooms but the one that stands in [`Live::room`].
    pub(super) rooms: Vec<Membership>,
    /// The rooms that it gets nothing of.
    pub(super) lags: Vec<Lagging>,
    /// Timers of the user.
    pub(super) timers: Vec<TimerKey>,
    /// When the peer has to have done its part of closing.
    pub(super) deadline: Option<TimerKey>,
}

pub(super) struct Stash {
    pub(super) bytes: Vec<u8>,
    /// How much of it has been decoded since.
    pub(super) start: usize,
}

impl Live {
    pub(super) fn new(connection: Connection) -> Self {
        let mut flags = Flags::empty();
        let deflates = connection.deflate().is_some() && connection.options().deflate.is_some();
        flags.set(Flags::DEFLATES, deflates);
        Self {
            generation: connection.id().generation,
            connection,
            outbox: None,
            extra: None,
            room: None,
            flags,
            phase: Phase::Open,
        }
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.connection.id()
    }

    pub(super) fn key(&self) -> Key {
        Key::from(self.id())
    }

    /// Its key, given the slot that it is in: known without a look at the connection.
    pub(super) fn key_at(&self, slot: u32) -> Key {
        Key {
            slot,
            generation: self.generation,
        }
    }

    pub(super) fn is(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }

    /// Whether what the peer sends is wanted now. Once we close it always is: the answer
    /// to our close frame has to be found behind it.
    pub(super) fn reads(&self) -> bool {
        self.phase != Phase::Open || !self.flags.intersects(Flags::HELD | Flags::EARLY)
    }

    /// Whether what is published is sent to it.
    pub(super) fn is_sent_to(&self) -> bool {
        self.phase == Phase::Open && !self.is(Flags::BROKEN)
    }

    pub(super) fn is_lingering(&self) -> bool {
        self.phase == Phase::Lingering
    }

    pub(super) fn options(&self) -> &Options {
        self.connection.options()
    }

    /// What it has of the things that most connections don't have.
    pub(super) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    /// For taking something out; see [`tidy`](Self::tidy).
    pub(super) fn extra_mut(&mut self) -> Option<&mut Extra> {
        self.extra.as_deref_mut()
    }

    /// All of it.
    pub(super) fn take_extra(&mut self) -> Option<Box<Extra>> {
        self.extra.take()
    }

    /// For putting something in.
    pub(super) fn need_extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Gives the memory back of what is not needed any more.
    pub(super) fn tidy(&mut self) {
        self.extra.take_if(|extra| extra.is_empty());
    }

    /// The decoder, to be [given back](Self::keep_decoder).
    pub(super) fn take_decoder(&mut self) -> Decoder {
        let kept = self.extra_mut().and_then(|extra| extra.decoder.take());
        kept.unwrap_or_else(|| self.fresh_decoder())
    }

    pub(super) fn keep_decoder(&mut self, decoder: Decoder) {
        if decoder.buffered() > 0 || decoder.is_finished() {
            self.need_extra().decoder = Some(decoder);
        } else {
            self.tidy();
        }
    }

    fn fresh_decoder(&self) -> Decoder {
        let decoder = Decoder::new(Role::Server, self.options().limits);
        match self.connection.deflate() {
            Some(params) => decoder.with_deflate(params),
            None => decoder,
        }
    }

    /// Whether a close frame or a violation ended what the peer has to say.
    pub(super) fn has_heard_all(&self) -> bool {
        let decoder = self.extra().and_then(|extra| extra.decoder.as_ref());
        decoder.is_some_and(Decoder::is_finished)
    }
}

impl Extra {
    fn is_empty(&self) -> bool {
        let Self {
            decoder,
            unfinished,
            pings,
            stash,
            early,
            rooms,
            lags,
            timers,
            deadline,
        } = self;
        decoder.is_none()
            && unfinished.is_none()
            && pings.is_none()
            && stash.is_none()
            && early.is_none()
            && rooms.is_empty()
            && lags.is_empty()
            && timers.is_empty()
            && deadline.is_none()
    }
}

impl Slab {
    pub(super) fn insert(&mut self, slot: u32, live: Live) {
        let before = self.slots.place(slot as usize).replace(live);
        debug_assert!(before.is_none(), "a slot is given out once");
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
        let generation = key.generation;
        self.at(key.slot)
            .filter(|live| live.generation == generation)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.slots.iter().flatten().map(Live::key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_takes_48_bytes_of_its_shard() {
        assert_eq!(size_of::<Option<Live>>(), 48);
    }
}
