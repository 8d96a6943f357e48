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

/// The bytes that a turn reads of one connection; the rest waits for the next turn.
const READ_BUDGET: usize = READ_BUFFER;

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
            let left = self.decode(&mut stash.bytes[stash.start..]);
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

    fn read_into(&mut self, buffer: &mut [u8]) {
        let mut budget = READ_BUDGET;
        while budget > 0 && self.live.is(Flags::READABLE) && self.live.reads() {
            let piece = budget.min(buffer.len());
            match self.parts.io.read(self.slot, &mut buffer[..piece]) {
                Ok(0) => {
                    self.live.flags.remove(Flags::READABLE);
                    return self.post_end(Ending::EndOfStream);
                }
                Ok(count) => {
                    if I::SHORT_READ_DRAINS && count < piece && !self.live.is(Flags::HANGUP) {
                        self.live.flags.remove(Flags::READABLE);
                    }
                    self.live.flags.remove(Flags::PINGED);
                    self.parts.free_ping = self.parts.ticks.alive(self.slot) > 1;
                    self.parts.counts.bytes_in += count as u64;
                    if self.live.is(Flags::COUNTED) {
                        self.parts.traffic.add(self.slot, count, 0);
                    }
                    budget -= count;
                    if !self.live.is_open() && self.is_flooded(count) {
                        let error = io::Error::other("too many bytes while closing");
                        self.live.flags.remove(Flags::READABLE);
                        return self.post_end(Ending::Failed(error.into()));
                    }
                    let left = self.decode(&mut buffer[..count]);
                    self.live.stash_bytes(&buffer[count - left..count]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.live.flags.remove(Flags::READABLE);
                    return;
                }
                Err(error) => {
                    self.live.flags.remove(Flags::READABLE);
                    return self.post_end(Ending::Failed(error.into()));
                }
            }
        }
    }

    /// Counts bytes that came although the connection is closing. Returns whether they are too
    /// many: nothing but the peer's close frame is of interest any more.
    fn is_flooded(&mut self, count: usize) -> bool {
        let extra = self.live.need_extra();
        extra.unwanted += count;
        extra.unwanted > UNWANTED
    }

    /// Hands the events in `input` to the handler. Returns how many bytes at its end are left
    /// because the handler wants no more for now.
    fn decode(&mut self, input: &mut [u8]) -> usize {
        if self.live.is_lingering() {
            return 0;
        }
        let mut decoder = self.live.take_decoder();
        let mut message_ended = false;
        let left = self.decode_with(&mut decoder, input, &mut message_ended);
        let place = if decoder.is_between_messages() || decoder.is_finished() {
            Place::Between
        } else if message_ended {
            Place::WithinNext
        } else {
            Place::WithinSame
        };
        self.live.keep_decoder(decoder);
        self.watch_unfinished(place);
        left
    }

    fn decode_with(
        &mut self,
        decoder: &mut Decoder,
        mut input: &mut [u8],
        message_ended: &mut bool,
    ) -> usize {
        while self.live.reads() {
            match decoder.decode_with(&mut input, &mut self.parts.inflater) {
                Ok(None) => return 0,
                Ok(Some(event)) => {
                    *message_ended |= matches!(event, Event::Text(_) | Event::Binary(_));
                    self.receive(event);
                }
                Err(error) => {
                    self.post_end(Ending::Failed(error.into()));
                    return 0;
                }
            }
        }
        input.len()
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
                self.receive_message(Incoming::Text(text));
            }
            Event::Binary(data) => {
                self.parts.counts.messages_in += 1;
                self.receive_message(Incoming::Binary(data));
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

    /// Hands a message over, or keeps it until reading has started. Until then pings are
    /// answered and an end is noticed, but no further message is read.
    fn receive_message(&mut self, message: Incoming<'_>) {
        if !self.live.receives() {
            return;
        }
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
