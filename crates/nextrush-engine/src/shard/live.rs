//! The state that a shard keeps of one connection.

use std::collections::VecDeque;

use bitflags::bitflags;
use nextrush_protocol::{Decoder, Limits, Role};

use super::lagging::Lagging;
use super::outbox::Outbox;
use super::rooms::Membership;
use super::timers::TimerKey;
use crate::config::SocketOptions;
use crate::connection::{Connection, ConnectionState, Incoming};
use crate::id::ConnectionId;
use crate::link::Key;
use crate::moment::Moment;

/// A connection, as its shard sees it.
///
/// State that most connections lack is behind a pointer, and what the walk of a room asks of
/// each member is in front of it: an idle connection takes 48 bytes, and a publication touches
/// nothing else of it.
pub(super) struct Live {
    pub(super) connection: Connection,
    /// The frames to be sent.
    pub(super) outbox: Option<Box<Outbox>>,
    extra: Option<Box<Extra>>,
    /// The first of its rooms; the others are in [`Extra::rooms`].
    pub(super) room: Option<Membership>,
    generation: u32,
    pub(super) flags: Flags,
    pub(super) phase: Phase,
}

/// The phase of a connection, as its shard sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Open,
    /// Our close frame is queued or sent; the peer's has not come.
    Closing,
    /// The handler knows of the end. The outbox is still sent, then our side of the transport
    /// is shut; bytes of the peer are thrown away until it shuts its side, because dropping a
    /// transport with unread bytes resets it, and the reset could overtake our close frame.
    Lingering,
}

bitflags! {
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub(super) struct Flags: u16 {
        /// Messages may be handed over: `open` is done, or reading was asked for.
        const STARTED = 1;
        /// A message came before that, or the one that says who the client is. Nothing is read past
        /// it.
        const EARLY = 1 << 1;
        /// The handler knows of the error that ends the connection.
        const TOLD = 1 << 2;
        /// Work of a message is pending: nothing further is read.
        const HELD = 1 << 3;
        /// The transport may have bytes to read.
        const READABLE = 1 << 4;
        /// The peer sends no more: reading has to go on until it returns the end.
        const HANGUP = 1 << 5;
        /// A ping was sent, and the client has been silent since.
        const PINGED = 1 << 6;
        /// Writing failed: nothing can be sent any more.
        const BROKEN = 1 << 7;
        /// Is in the list of slots to read.
        const QUEUED = 1 << 8;
        /// Is in the list of slots to write.
        const DIRTY = 1 << 9;
        /// Messages are compressed.
        const DEFLATES = 1 << 10;
        /// Lingers, and our side of the transport is shut.
        const SHUT = 1 << 11;
        /// Lingers, and the peer's side is shut.
        const PEER_SHUT = 1 << 12;
        /// Lags in at least one room.
        const LAGS = 1 << 13;
        /// Reading goes on although work of a message is pending.
        const READS_ON = 1 << 14;
        /// Its own bytes are counted, so all that it is sent goes through its outbox.
        const COUNTED = 1 << 15;
    }
}

/// State of a connection that most connections lack most of the time.
#[derive(Default)]
pub(super) struct Extra {
    /// The decoder, if the peer is within a frame or a message, or has ended; a fresh decoder
    /// is as good otherwise.
    pub(super) decoder: Option<Decoder>,
    /// The timer by which the peer has to end the message that it has begun.
    pub(super) unfinished: Option<TimerKey>,
    /// The moment at which the ping budget is full again; `None` while it is full.
    pub(super) pings: Option<Moment>,
    /// Bytes that were read and are not decoded yet, because reading is held back.
    pub(super) stash: Option<Stash>,
    /// The message that came before the handler could receive it.
    pub(super) early: Option<Incoming<'static>>,
    /// The limits of the message that has to say who the client is, until that is known.
    pub(super) first: Option<Limits>,
    /// The messages that wait for the work of one before.
    pub(super) waiting: Waiting,
    /// All rooms but [`Live::room`].
    pub(super) rooms: Vec<Membership>,
    /// The rooms in which the connection lags.
    pub(super) lags: Vec<Lagging>,
    /// Timers of the user.
    pub(super) timers: Vec<TimerKey>,
    /// The timer by which the peer has to do its part of closing.
    pub(super) deadline: Option<TimerKey>,
    /// The bytes that the peer has sent since closing began.
    pub(super) unwanted: usize,
}

/// Bytes of which the first `start` are decoded.
pub(super) struct Stash {
    pub(super) bytes: Vec<u8>,
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

    /// The key, given the connection's slot: cheaper than [`key`](Self::key), which reads the
    /// connection's own allocation.
    pub(super) fn key_at(&self, slot: u32) -> Key {
        Key {
            slot,
            generation: self.generation,
        }
    }

    pub(super) fn is_of(&self, generation: u32) -> bool {
        self.generation == generation
    }

    pub(super) fn is(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }

    /// Returns whether bytes of the peer are wanted now. A closing connection always wants
    /// them: the answer to our close frame is somewhere behind.
    pub(super) fn reads(&self) -> bool {
        if self.phase != Phase::Open {
            return true;
        }
        let reads_on = || {
            let waiting = self.extra().map(|extra| &extra.waiting);
            self.is(Flags::READS_ON) && waiting.is_none_or(|waiting| !waiting.is_full())
        };
        !self.is(Flags::EARLY) && (!self.is(Flags::HELD) || reads_on())
    }

    /// Returns whether messages, pings and pongs still count. The handle knows of a close
    /// before the shard does.
    pub(super) fn receives(&self) -> bool {
        self.phase == Phase::Open && self.connection.state() == ConnectionState::Open
    }

    /// Returns whether publications are sent to the connection.
    pub(super) fn is_sent_to(&self) -> bool {
        self.phase == Phase::Open && !self.is(Flags::BROKEN)
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(super) fn is_lingering(&self) -> bool {
        self.phase == Phase::Lingering
    }

    pub(super) fn options(&self) -> &SocketOptions {
        self.connection.options()
    }

    pub(super) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    /// The extra state, for taking something out; see [`tidy`](Self::tidy).
    pub(super) fn extra_mut(&mut self) -> Option<&mut Extra> {
        self.extra.as_deref_mut()
    }

    /// Takes all of the extra state.
    pub(super) fn take_extra(&mut self) -> Option<Box<Extra>> {
        self.extra.take()
    }

    /// The extra state, for putting something in.
    pub(super) fn need_extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Frees the extra state if it is empty.
    pub(super) fn tidy(&mut self) {
        self.extra.take_if(|extra| extra.is_empty());
    }

    /// Returns whether it is still to be known who the client is.
    pub(super) fn is_unknown(&self) -> bool {
        self.extra().is_some_and(|extra| extra.first.is_some())
    }

    /// Takes the decoder, to be [given back](Self::keep_decoder).
    pub(super) fn take_decoder(&mut self) -> Decoder {
        self.extra_mut()
            .and_then(|extra| extra.decoder.take())
            .unwrap_or_else(|| self.fresh_decoder())
    }

    pub(super) fn keep_decoder(&mut self, decoder: Decoder) {
        if decoder.is_fresh() {
            self.tidy();
        } else {
            self.need_extra().decoder = Some(decoder);
        }
    }

    fn fresh_decoder(&self) -> Decoder {
        let first = self.extra().and_then(|extra| extra.first);
        let limits = first.unwrap_or(self.options().limits);
        let decoder = Decoder::new(Role::Server, limits);
        match self.connection.deflate() {
            Some(params) => decoder.with_deflate(params),
            None => decoder,
        }
    }

    /// Returns whether a close frame or a violation ended the peer's side.
    pub(super) fn has_heard_all(&self) -> bool {
        self.extra()
            .and_then(|extra| extra.decoder.as_ref())
            .is_some_and(Decoder::is_finished)
    }

    pub(super) fn stash_bytes(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && !self.is_lingering() {
            let extra = self.need_extra();
            debug_assert!(extra.stash.is_none(), "nothing is read past a stash");
            extra.stash = Some(Stash {
                bytes: bytes.to_vec(),
                start: 0,
            });
        }
    }

    /// Takes the next of the messages that wait, once no work holds it back.
    pub(super) fn take_waiting(&mut self) -> Option<Incoming<'static>> {
        if self.is(Flags::HELD) {
            return None;
        }
        self.extra_mut()?.waiting.pop()
    }

    /// Takes the message that came early, once the handler can receive it. While it is not known who the
    /// client is, nothing can be received behind the message that says so: work of `open` that has ended
    /// is ahead of the order to [admit](Connection::admit).
    pub(super) fn take_early(&mut self) -> Option<Incoming<'static>> {
        if !self.is(Flags::STARTED | Flags::EARLY) || self.is_unknown() {
            return None;
        }
        self.flags.remove(Flags::EARLY);
        self.extra_mut()?.early.take()
    }
}

/// The most messages that wait for the work of one before, and the most bytes of them.
const WAITING: usize = 64;
const WAITING_BYTES: usize = 64 * 1024;

/// Messages that wait for the work of one before.
#[derive(Default)]
pub(super) struct Waiting {
    messages: VecDeque<Incoming<'static>>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn push(&mut self, message: Incoming<'static>) {
        self.bytes += message.len();
        self.messages.push_back(message);
    }

    fn pop(&mut self) -> Option<Incoming<'static>> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= WAITING || self.bytes >= WAITING_BYTES
    }

    fn is_empty(&self) -> bool {
        self.messages.is_empty()
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
            first,
            waiting,
            rooms,
            lags,
            timers,
            deadline,
            unwanted,
        } = self;
        decoder.is_none()
            && unfinished.is_none()
            && pings.is_none()
            && stash.is_none()
            && early.is_none()
            && first.is_none()
            && waiting.is_empty()
            && rooms.is_empty()
            && lags.is_empty()
            && timers.is_empty()
            && deadline.is_none()
            && *unwanted == 0
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
