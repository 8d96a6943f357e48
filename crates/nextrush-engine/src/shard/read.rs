use std::io::ErrorKind;
use std::mem;

use nextrush_protocol::{Decoder, Event, Frame};

use super::calls::Purpose;
use super::slab::{Flags, Live, Phase, Stash};
use super::{READ_BUFFER, Shard};
use crate::connection::{Incoming, State};
use crate::link::{Command, Ending, Order};
use crate::transport::Io;

/// What one connection may have read of a turn, in bytes; the rest waits for the next.
const READ_BUDGET: usize = READ_BUFFER;

impl<I: Io> Shard<I> {
    /// Reads from all connections that have something, each up to its budget.
    pub(super) fn read_ready(&mut self) {
        let mut slots = mem::take(&mut self.readable);
        for slot in slots.drain(..) {
            if let Some(live) = self.slab.at(slot) {
                live.flags.remove(Flags::QUEUED);
                self.read(slot);
            }
            self.queue_reading(slot);
        }
        if self.readable.is_empty() {
            self.readable = slots;
        }
    }

    /// Has a connection read in the next turn, if it has something and is not held back.
    pub(super) fn queue_reading(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if live.is(Flags::READABLE) && live.reads() && !live.is(Flags::QUEUED) {
            live.flags.insert(Flags::QUEUED);
            self.readable.push(slot);
        }
    }

    pub(super) fn start_reading(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        live.flags.insert(Flags::STARTED);
        self.resume_reading(slot);
    }

    /// Goes on where reading was held back: first with what has been read before.
    pub(super) fn resume_reading(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if let Some(message) = live.take_early() {
            self.receive_message(slot, message);
        }
        let Some(live) = self.slab.at(slot).filter(|live| live.reads()) else {
            return;
        };
        if let Some(mut stash) = live.extra_mut().and_then(|extra| extra.stash.take()) {
            let left = self.decode(slot, &mut stash.bytes[stash.start..]);
            stash.start = stash.bytes.len() - left;
            if let Some(live) = self.slab.at(slot).filter(|_| left > 0) {
                live.need_extra().stash = Some(stash);
            }
        }
        self.queue_reading(slot);
    }

    pub(super) fn read(&mut self, slot: u32) {
        let mut buffer = mem::take(&mut self.read_buffer);
        self.read_into(slot, &mut buffer);
        self.read_buffer = buffer;
    }

    fn read_into(&mut self, slot: u32, buffer: &mut [u8]) {
        let mut budget = READ_BUDGET;
        while budget > 0 {
            let Some(live) = self.slab.at(slot) else {
                return;
            };
            if !live.is(Flags::READABLE) || !live.reads() {
                return;
            }
            let piece = budget.min(buffer.len());
            match self.io.read(slot, &mut buffer[..piece]) {
                Ok(0) => {
                    live.flags.remove(Flags::READABLE);
                    return self.post_end(slot, Ending::EndOfStream);
                }
                Ok(count) => {
                    if I::SHORT_READ_DRAINS && count < piece && !live.is(Flags::HANGUP) {
                        live.flags.remove(Flags::READABLE);
                    }
                    live.flags.remove(Flags::PINGED);
                    self.free_ping = self.ticks.alive(slot) > 1;
                    self.counts.bytes_in += count as u64;
                    budget -= count;
                    let left = self.decode(slot, &mut buffer[..count]);
                    if let Some(live) = self.slab.at(slot) {
                        live.stash_bytes(&buffer[count - left..count]);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    live.flags.remove(Flags::READABLE);
                    return;
                }
                Err(error) => {
                    live.flags.remove(Flags::READABLE);
                    return self.post_end(slot, Ending::Failed(error.into()));
                }
            }
        }
    }

    /// Hands what `input` holds to the handler. Returns how many bytes at its end are left
    /// for later, as the handler wants no more for now.
    fn decode(&mut self, slot: u32, input: &mut [u8]) -> usize {
        let Some(live) = self.slab.at(slot).filter(|live| !live.is_lingering()) else {
            return 0;
        };
        let mut decoder = live.take_decoder();
        let mut message_ended = false;
        let left = self.decode_with(slot, &mut decoder, input, &mut message_ended);
        let is_between = decoder.is_between_messages() || decoder.is_finished();
        if let Some(live) = self.slab.at(slot).filter(|live| !live.is_lingering()) {
            live.keep_decoder(decoder);
            self.watch_unfinished(slot, is_between, message_ended);
        }
        left
    }

    fn decode_with(
        &mut self,
        slot: u32,
        decoder: &mut Decoder,
        mut input: &mut [u8],
        message_ended: &mut bool,
    ) -> usize {
        loop {
            let Some(live) = self.slab.at(slot).filter(|live| !live.is_lingering()) else {
                return 0;
            };
            if !live.reads() {
                return input.len();
            }
            match decoder.decode_with(&mut input, &mut self.inflater) {
                Ok(None) => return 0,
                Ok(Some(event)) => {
                    *message_ended |= matches!(event, Event::Text(_) | Event::Binary(_));
                    self.receive(slot, event);
                }
                Err(error) => {
                    self.post_end(slot, Ending::Failed(error.into()));
                    return 0;
                }
            }
        }
    }

    fn receive(&mut self, slot: u32, event: Event<'_>) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if let Event::Close(frame) = event {
            return self.post_end(slot, Ending::Peer(frame));
        }
        // Once closing has begun nothing is received any more but the peer's close frame.
        if !live.receives() {
            return;
        }
        match event {
            Event::Text(text) => {
                self.counts.messages_in += 1;
                self.receive_message(slot, Incoming::Text(text));
            }
            Event::Binary(data) => {
                self.counts.messages_in += 1;
                self.receive_message(slot, Incoming::Binary(data));
            }
            Event::Pong(payload) => {
                self.call(slot, Purpose::Message, |handler, connection| {
                    handler.pong(connection, &payload)
                });
            }
            Event::Ping(payload) => {
                if self.count_ping(slot) {
                    let pong = Frame::pong(&payload).expect("a pong holds what a ping held");
                    self.answer_ping(slot, pong);
                }
            }
            Event::Close(_) => {}
        }
    }

    /// Hands a message over, or keeps it until somebody can receive it. Until then
    /// everything but messages is seen to: pings are answered, and an end is noticed.
    fn receive_message(&mut self, slot: u32, message: Incoming<'_>) {
        let Some(live) = self.slab.at(slot).filter(|live| live.receives()) else {
            return;
        };
        if live.is(Flags::STARTED) {
            self.call(slot, Purpose::Message, |handler, connection| {
                handler.message(connection, message)
            });
        } else {
            live.need_extra().early = Some(message.into_owned());
            live.flags.insert(Flags::EARLY);
        }
    }

    /// Ends a connection after all that the inbox holds: answers to the messages that came
    /// before this end stand there.
    pub(super) fn post_end(&mut self, slot: u32, ending: Ending) {
        if let Some(live) = self.slab.at(slot) {
            let command = Command::Connection(live.key(), Order::End(ending));
            self.link.inbox.push(command);
        }
    }
}

impl Live {
    /// Whether messages, pings and pongs still count. The handle's word is the newer one.
    fn receives(&self) -> bool {
        self.phase == Phase::Open && self.connection.state() == State::Open
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

    fn take_early(&mut self) -> Option<Incoming<'static>> {
        if !self.is(Flags::STARTED | Flags::EARLY) {
            return None;
        }
        self.flags.remove(Flags::EARLY);
        self.extra_mut()?.early.take()
    }
}
