//! Reading: from the transport through the decoder to the handler.

use std::io::{self, ErrorKind};
use std::mem;

use nextrush_protocol::{Decoder, Event, Frame};

use super::Shard;
use super::abuse::Place;
use super::calls::Purpose;
use super::live::Flags;
use super::peer::{Peer, READ_BUFFER};
use crate::connection::Incoming;
use crate::link::Ending;
use crate::transport::Io;

/// The bytes that a turn reads of one connection; the rest waits for the next turn, but for the end
/// of a message that has a place in the read buffer. A message of the usual limit, 64 KiB, has a
/// place in one read with its header.
const READ_BUDGET: usize = 64 * 1024 + 14;

/// The bytes of the peer that are thrown away while its connection closes: more than can be on the
/// way from a client that stops once it reads our close frame. Then the transport is cut.
const UNWANTED: usize = 16 << 20;

impl<I: Io> Shard<I> {
    /// Reads from all connections that have something, each up to its budget.
    pub(super) fn read_ready(&mut self) {
        let mut slots = mem::take(&mut self.parts.readable);
        for slot in slots.drain(..) {
            if let Some(mut peer) = self.peer(slot) {
                peer.live.flags.remove(Flags::QUEUED);
                peer.read();
                peer.queue_reading();
            }
        }
        if self.parts.readable.is_empty() {
            self.parts.readable = slots;
        }
    }
}

impl<I: Io> Peer<'_, I> {
    /// Lets the next turn read the connection, if it has something and is not held back.
    pub(super) fn queue_reading(&mut self) {
        if self.live.is(Flags::READABLE) && self.live.reads() && !self.live.is(Flags::QUEUED) {
            self.live.flags.insert(Flags::QUEUED);
            self.parts.readable.push(self.slot);
        }
    }

    pub(super) fn start_reading(&mut self) {
        self.live.flags.insert(Flags::STARTED);
        self.resume_reading();
    }

    /// Goes on behind the message that has said who the client is.
    pub(super) fn admit(&mut self) {
        let Some(extra) = self.live.extra_mut() else {
            return;
        };
        if extra.first.take().is_some() {
            if extra.early.is_none() {
                self.live.flags.remove(Flags::EARLY);
            }
            self.resume_reading();
        }
    }

    /// Goes on although work of a message is pending.
    pub(super) fn read_on(&mut self) {
        if self.live.is(Flags::HELD) {
            self.live.flags.insert(Flags::READS_ON);
            self.resume_reading();
        }
    }

    /// Goes on where reading was held back: first with the bytes that were read before.
    pub(super) fn resume_reading(&mut self) {
        if let Some(message) = self.live.take_early() {
            self.receive_message(message);
        }
        while let Some(message) = self.live.take_waiting() {
            self.receive_message(message);
        }
        if !self.live.reads() {
            return;
        }
        let extra = self.live.extra_mut();
        if let Some(mut stash) = extra.and_then(|extra| extra.stash.take()) {
            let (left, _) = self.decode(&mut stash.bytes[stash.start..], 0);
            stash.start = stash.bytes.len() - left;
            if left > 0 {
                self.live.need_extra().stash = Some(stash);
            }
        }
        self.queue_reading();
    }

    pub(super) fn read(&mut self) {
        let mut buffer = mem::take(&mut self.parts.read_buffer);
        self.read_into(&mut buffer);
        self.parts.read_buffer = buffer;
    }

    /// Reads until there is nothing, or enough for one turn.
    fn read_into(&mut self, buffer: &mut [u8]) {
        let mut budget = READ_BUDGET;
        // The place of a message in the buffer that has begun there and is not complete, and the
        // bytes that are missing to the whole of it.
        let mut begun = 0..0;
        let mut missing = 0;
        while (budget > 0 || missing > 0) && self.live.is(Flags::READABLE) && self.live.reads() {
            if self.read_payload(&mut budget) {
                continue;
            }
            let asked = if missing > 0 { missing } else { budget };
            let place = begun.end..begun.end + asked;
            let read = self.parts.io.read(self.slot, &mut buffer[place]);
            if !begun.is_empty() && !matches!(read, Ok(1..)) {
                // What there is of the message comes before the end.
                self.give_up(&mut buffer[mem::take(&mut begun)]);
                missing = 0;
            }
            let Some(count) = self.count_read(read, asked) else {
                continue;
            };
            budget = budget.saturating_sub(count);
            begun.end += count;
            let left;
            (left, missing) = self.decode(&mut buffer[begun.clone()], READ_BUFFER);
            begun.start = begun.end - left;
            if missing == 0 {
                self.live.stash_bytes(&buffer[begun]);
                begun = 0..0;
            } else if begun.end + missing > READ_BUFFER {
                buffer.copy_within(begun, 0);
                begun = 0..left;
            }
        }
        if !begun.is_empty() {
            self.give_up(&mut buffer[begun]);
        }
    }

    /// Takes the beginning of a message out of the read buffer, which others need: the rest comes
    /// later.
    #[cold]
    fn give_up(&mut self, begun: &mut [u8]) {
        let (left, _) = self.decode(begun, 0);
        self.live.stash_bytes(&begun[begun.len() - left..]);
    }

    /// Reads more of a long message into its own place, if one is under way. Returns whether it is.
    fn read_payload(&mut self, budget: &mut usize) -> bool {
        // Nearly always there is none.
        let Some(extra) = self.live.extra_mut() else {
            return false;
        };
        let (io, slot) = (&mut self.parts.io, self.slot);
        let read = extra.decoder.as_mut().and_then(|decoder| {
            decoder.read_payload(|message| {
                let asked = message.capacity() - message.len();
                (io.read_to(slot, message), asked)
            })
        });
        let Some((read, asked)) = read else {
            return false;
        };
        if let Some(count) = self.count_read(read, asked) {
            *budget = budget.saturating_sub(count);
            // What was read is a part of a message, with nothing behind it.
            self.decode(&mut [], 0);
        }
        true
    }

    /// Notes what came of a read that asked for so many bytes. Returns how many came, or `None` if
    /// there is nothing to be decoded.
    #[inline]
    fn count_read(&mut self, read: io::Result<usize>, asked: usize) -> Option<usize> {
        let count = match read {
            Ok(0) => return self.stop_reading(Some(Ending::EndOfStream)),
            Ok(count) => count,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::Interrupted => None,
                    ErrorKind::WouldBlock => self.stop_reading(None),
                    _ => self.stop_reading(Some(Ending::Failed(error.into()))),
                };
            }
        };
        if I::SHORT_READ_DRAINS && count < asked && !self.live.is(Flags::HANGUP) {
            self.live.flags.remove(Flags::READABLE);
        }
        self.live.flags.remove(Flags::PINGED);
        self.parts.free_ping = self.parts.ticks.alive(self.slot) > 1;
        self.parts.counts.bytes_in += count as u64;
        if self.live.is(Flags::COUNTED) {
            self.parts.traffic.add(self.slot, count, 0);
        }
        if !self.live.is_open() && self.is_flooded(count) {
            let error = io::Error::other("too many bytes while closing");
            return self.stop_reading(Some(Ending::Failed(error.into())));
        }
        Some(count)
    }

    /// Notes that the transport has nothing more to read, for now or, with an ending, for ever.
    #[cold]
    fn stop_reading(&mut self, ending: Option<Ending>) -> Option<usize> {
        self.live.flags.remove(Flags::READABLE);
        if let Some(ending) = ending {
            self.post_end(ending);
        }
        None
    }

    /// Counts bytes that came although the connection is closing. Returns whether they are too
    /// many: nothing but the peer's close frame is of interest any more.
    fn is_flooded(&mut self, count: usize) -> bool {
        let extra = self.live.need_extra();
        extra.unwanted += count;
        extra.unwanted > UNWANTED
    }

    /// Hands the events in `input` to the handler. Returns how many bytes at its end are left: those
    /// of a message that has a place in `room` bytes, with the number of bytes that are missing
    /// to it, or all that come after the handler wants no more for now, with 0.
    fn decode(&mut self, input: &mut [u8], room: usize) -> (usize, usize) {
        if self.live.is_lingering() {
            return (0, 0);
        }
        let mut decoder = self.live.take_decoder();
        let mut message_ended = false;
        let left = self.decode_with(&mut decoder, input, room, &mut message_ended);
        // Nearly always nothing has begun, and nothing is kept of the peer.
        if !decoder.is_fresh() || self.live.extra().is_some() {
            self.keep(decoder, message_ended);
        }
        left
    }

    /// Keeps the decoder for the next bytes, and bounds the time that these may take.
    fn keep(&mut self, decoder: Decoder, message_ended: bool) {
        let place = if decoder.is_between_messages() || decoder.is_finished() {
            Place::Between
        } else if message_ended {
            Place::WithinNext
        } else {
            Place::WithinSame
        };
        self.live.keep_decoder(decoder);
        self.watch_unfinished(place);
    }

    #[inline]
    fn decode_with(
        &mut self,
        decoder: &mut Decoder,
        mut input: &mut [u8],
        room: usize,
        message_ended: &mut bool,
    ) -> (usize, usize) {
        while self.live.reads() {
            match decoder.decode_within(&mut input, room, &mut self.parts.inflater) {
                Ok(Some(event)) => {
                    *message_ended |= matches!(event, Event::Text(_) | Event::Binary(_));
                    self.receive(event);
                    if input.is_empty() {
                        return (0, 0);
                    }
                }
                Ok(None) if input.is_empty() => return (0, 0),
                Ok(None) => return (input.len(), decoder.missing(input)),
                Err(error) => {
                    self.post_end(Ending::Failed(error.into()));
                    return (0, 0);
                }
            }
        }
        (input.len(), 0)
    }

    fn receive(&mut self, event: Event<'_>) {
        if let Event::Close(frame) = event {
            return self.post_end(Ending::Peer(frame));
        }
        // Once closing has begun nothing is received any more but the peer's close frame.
        if !self.live.receives() {
            return;
        }
        match event {
            Event::Text(text) => {
                self.parts.counts.messages_in += 1;
                self.hand_over(Incoming::Text(text));
            }
            Event::Binary(data) => {
                self.parts.counts.messages_in += 1;
                self.hand_over(Incoming::Binary(data));
            }
            Event::Pong(payload) => {
                // Beside the work of a message, the end of this one must not end its hold.
                let purpose = match self.live.is(Flags::READS_ON) {
                    true => Purpose::Aside,
                    false => Purpose::Message,
                };
                self.call(purpose, |handler, connection| {
                    handler.pong(connection, &payload)
                });
            }
            Event::Ping(payload) => {
                if self.count_ping() {
                    let pong = Frame::pong(&payload).expect("a pong holds what a ping held");
                    self.answer_ping(pong);
                }
            }
            Event::Close(_) => {}
        }
    }

    /// Hands a message over that has waited, unless the connection receives nothing any more.
    fn receive_message(&mut self, message: Incoming<'_>) {
        if self.live.receives() {
            self.hand_over(message);
        }
    }

    /// Hands a message over, or keeps it until reading has started. Until then pings are
    /// answered and an end is noticed, but no further message is read.
    fn hand_over(&mut self, message: Incoming<'_>) {
        if self.live.is(Flags::READS_ON) {
            if let Some(message) = self.offer(message) {
                let message = message.into_owned();
                self.live.need_extra().waiting.push(message);
            }
        } else if self.live.is(Flags::STARTED) {
            self.call(Purpose::Message, |handler, connection| {
                handler.message(connection, message)
            });
        } else {
            let early = match self.live.is_unknown() {
                true => self.offer(message),
                false => Some(message),
            };
            self.live.need_extra().early = early.map(Incoming::into_owned);
            self.live.flags.insert(Flags::EARLY);
        }
    }
}
