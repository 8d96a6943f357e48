use std::io;
use std::sync::Arc;

use nextrush_protocol::Frame;

use super::Shard;
use super::outbox::{FIRST, LAST, Outbox, Sent};
use super::rooms::Publication;
use super::slab::{Flags, Live, Phase};
use super::timers::Due;
use crate::connection::weight;
use crate::error::ConnectionError;
use crate::id::{ConnectionId, RoomId};
use crate::link::{Ending, Key};
use crate::transport::Io;

/// How many connections a turn writes to; the others wait for the next one, which looks
/// at what has become readable first. At the 5 µs that a write costs, a turn lasts
/// some milliseconds.
const WRITES: usize = 1024;

impl<I: Io> Shard<I> {
    /// A frame at its place in the order of all that is sent.
    pub(super) fn sent_now(&mut self, frame: Frame) -> Sent {
        self.order += 1;
        Sent {
            frame,
            since: self.now,
            order: self.order,
        }
    }

    /// A frame that was sent directly.
    pub(super) fn send(&mut self, slot: u32, frame: Frame) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if !live.is_sent_to() {
            return live.connection.settle(frame.len());
        }
        let counted = weight(frame.len());
        let frame = self.wire_form(slot, frame);
        let sent = self.sent_now(frame);
        self.counts.messages_out += 1;
        self.outbox(slot, |outbox| outbox.push_counted(sent, counted));
    }

    pub(super) fn enqueue(&mut self, slot: u32, sent: Sent) {
        let frame = self.wire_form(slot, sent.frame);
        self.counts.messages_out += 1;
        self.outbox(slot, |outbox| outbox.push(Sent { frame, ..sent }));
    }

    /// A close frame, which nothing may follow.
    pub(super) fn enqueue_last(&mut self, slot: u32, close: Frame) {
        let sent = self.sent_out_of_order(close, LAST);
        self.outbox(slot, |outbox| outbox.push_last(sent));
    }

    /// A control frame, which goes out ahead of what waits.
    pub(super) fn enqueue_first(&mut self, slot: u32, frame: Frame) {
        let sent = self.sent_out_of_order(frame, FIRST);
        self.outbox(slot, |outbox| outbox.push(sent));
    }

    pub(super) fn answer_ping(&mut self, slot: u32, pong: Frame) {
        let sent = self.sent_now(pong);
        self.outbox(slot, |outbox| outbox.push_pong(sent));
    }

    fn sent_out_of_order(&self, frame: Frame, order: u64) -> Sent {
        Sent {
            frame,
            since: self.now,
            order,
        }
    }

    /// The frame as it goes over the wire to this client.
    fn wire_form(&mut self, slot: u32, frame: Frame) -> Frame {
        match self.slab.at(slot) {
            Some(live) if live.is(Flags::DEFLATES) => {
                live.connection.deflated(&frame, &mut self.deflater)
            }
            _ => frame,
        }
    }

    /// Changes what is to be sent, and has it sent at the end of the turn.
    fn outbox(&mut self, slot: u32, change: impl FnOnce(&mut Outbox)) {
        let Some(live) = self.slab.at(slot).filter(|live| !live.is(Flags::BROKEN)) else {
            return;
        };
        let outboxes = &mut self.outboxes;
        change(live.outbox.get_or_insert_with(|| outboxes.take()));
        self.mark_dirty(slot);
    }

    pub(super) fn mark_dirty(&mut self, slot: u32) {
        if let Some(live) = self.slab.at(slot).filter(|live| !live.is(Flags::DIRTY)) {
            live.flags.insert(Flags::DIRTY);
            self.dirty.push_back(slot);
        }
    }

    /// The transport can be written again.
    pub(super) fn unblock(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let Some(outbox) = live.outbox.as_mut() else {
            return;
        };
        if outbox.unblock() {
            // The peer has taken something, so it is there: a ping may wait for long behind
            // what it has not read.
            live.flags.remove(Flags::PINGED);
            self.ticks.alive(slot);
        }
        self.mark_dirty(slot);
    }

    /// Writes what this turn has brought, and the backlog of those that can be written
    /// again.
    pub(super) fn flush(&mut self) {
        self.writes_left = WRITES;
        self.flush_rooms();
        while self.writes_left > 0
            && let Some(slot) = self.dirty.pop_front()
        {
            if let Some(live) = self.slab.at(slot) {
                live.flags.remove(Flags::DIRTY);
                self.writes_left -= 1;
                self.flush_connection(slot);
            }
        }
    }

    /// Sends one member of a room what was published there in this turn. `is_only`: to no
    /// other room anything was published.
    pub(super) fn cast_to(
        &mut self,
        slot: u32,
        room: RoomId,
        is_only: bool,
        publications: &[Publication],
    ) {
        let shard = self.link.index();
        let Some(live) = self.slab.at(slot).filter(|live| live.is_sent_to()) else {
            return;
        };
        let gets_nothing_else =
            live.outbox.is_none() && (is_only || !live.is_in_several()) && self.writes_left > 0;
        let gets_it_as_it_is = !live.flags.intersects(Flags::DEFLATES | Flags::LAGS)
            && (!self.cast.has_exceptions() || {
                let Key { slot, generation } = live.key_at(slot);
                let id = ConnectionId {
                    shard,
                    slot,
                    generation,
                };
                publications
                    .iter()
                    .all(|publication| publication.is_for(id))
            });
        if !gets_nothing_else || !gets_it_as_it_is {
            return self.enqueue_all(slot, room, publications);
        }
        self.writes_left -= 1;
        match self.cast.write(publications, &mut self.io, slot) {
            Ok(written) if written == self.cast.len() => self.cast.count(),
            Ok(written) => self.enqueue_rest(slot, room, publications, written),
            Err(error) => self.break_off(slot, error),
        }
    }

    /// So much of what was published has been written, and the transport takes no more.
    fn enqueue_rest(
        &mut self,
        slot: u32,
        room: RoomId,
        publications: &[Publication],
        mut written: usize,
    ) {
        self.counts.bytes_out += written as u64;
        let mut rest = publications.iter();
        self.outbox(slot, Outbox::block);
        while written > 0
            && let Some(begun) = rest.next()
        {
            self.counts.messages_out += 1;
            let length = begun.sent.frame.len();
            if written < length {
                self.outbox(slot, |outbox| {
                    outbox.push(begun.sent.clone());
                    outbox.advance(written);
                    if begun.skippable.is_some() {
                        outbox.be_patient();
                    }
                });
            }
            written = written.saturating_sub(length);
        }
        self.enqueue_all(slot, room, rest.as_slice());
    }

    fn flush_connection(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let Some(outbox) = live.outbox.as_mut() else {
            self.note_drained(slot);
            return self.flushed(slot);
        };
        match outbox.write(&mut self.io, slot, &mut self.scratch, self.now) {
            Ok(written) => self.counts.bytes_out += written as u64,
            Err(error) => return self.break_off(slot, error),
        }
        if outbox.is_empty() {
            self.drop_outbox(slot);
            self.note_drained(slot);
            return self.flushed(slot);
        }
        let (before, now) = outbox.recount();
        live.connection.update_buffered(before, now);
        let (before, now) = outbox.show();
        self.counts.backlog_bytes = self.counts.backlog_bytes - before + now;
        if outbox.exceeds(live.connection.options().backlog.bytes) {
            // Has no effect once the connection closes: the time for that is bounded.
            live.connection.fail(ConnectionError::SlowReader);
        }
        self.note_drained(slot);
        self.watch_backlog(slot);
    }

    /// The transport cannot be written any more.
    fn break_off(&mut self, slot: u32, error: io::Error) {
        if let Some(live) = self.slab.at(slot) {
            live.flags.insert(Flags::BROKEN);
            self.drop_outbox(slot);
            let error = ConnectionError::Transport(Arc::new(error));
            self.post_end(slot, Ending::Failed(error));
        }
    }

    /// Waits for the transport to take more, but not for ever.
    fn watch_backlog(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let key = live.key();
        let age = live.options().backlog.age;
        let is_bounded = live.has_bounded_age();
        let is_open = live.phase == Phase::Open;
        let Some(outbox) = live.outbox.as_mut() else {
            return;
        };
        if is_bounded && outbox.age_check.is_none() {
            let oldest = outbox.oldest().unwrap_or(self.now);
            let id = self.link.next_timer();
            let since = outbox.waits_since(oldest, is_open);
            outbox.age_check = Some(self.timers.set(since.after(age), id, Due::Age(key)));
        }
        if !outbox.watched {
            outbox.watched = true;
            self.counts.waiting += 1;
            if let Err(error) = self.io.watch_writable(slot, true) {
                self.post_end(slot, Ending::Failed(error.into()));
            }
        }
    }

    /// Closes the connection if its oldest frame is too old.
    pub(super) fn check_age(&mut self, key: Key) {
        let Some(live) = self.slab.get(key) else {
            return;
        };
        let limit = live.options().backlog.age;
        let is_bounded = live.has_bounded_age();
        let is_open = live.phase == Phase::Open;
        let Some(outbox) = live.outbox.as_mut() else {
            return;
        };
        outbox.age_check = None;
        let Some(oldest) = outbox.oldest().filter(|_| is_bounded) else {
            return;
        };
        if self.now.since(outbox.waits_since(oldest, is_open)) >= limit {
            live.connection.begin_closing();
            self.end(key.slot, Ending::Failed(ConnectionError::SlowReader));
        } else {
            self.watch_backlog(key.slot);
        }
    }

    /// Nothing waits any more.
    pub(super) fn drop_outbox(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let Some(mut outbox) = live.outbox.take() else {
            return;
        };
        if let Some(timer) = outbox.age_check {
            self.timers.cancel(timer);
        }
        if outbox.watched {
            self.counts.waiting -= 1;
            self.counts.backlog_bytes -= outbox.shown();
            // If this fails, a report that nobody waits for may come.
            let _ = self.io.watch_writable(slot, false);
        }
        outbox.clear();
        let (before, now) = outbox.recount();
        live.connection.update_buffered(before, now);
        self.outboxes.give_back(outbox);
    }

    /// Everything has been written: goes on with closing, if that is what was written.
    fn flushed(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        match live.phase {
            Phase::Open => {}
            Phase::Closing => self.arm_close_deadline(slot),
            Phase::Lingering => {
                let is_peer_shut = live.is(Flags::PEER_SHUT);
                if !live.is(Flags::SHUT) {
                    live.flags.insert(Flags::SHUT);
                    // If this fails the peer is gone, which reading tells.
                    let _ = self.io.shutdown_write(slot);
                }
                if is_peer_shut {
                    self.release(slot);
                }
            }
        }
    }
}

impl Live {
    /// Once it lingers, the time for that bounds what waits.
    fn has_bounded_age(&self) -> bool {
        !self.is_lingering()
    }
}
