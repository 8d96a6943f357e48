//! The way out: frames go into outboxes, and at the end of the turn to the transports.

use std::io;
use std::sync::Arc;

use nextrush_protocol::Frame;

use super::Shard;
use super::live::{Flags, Phase};
use super::outbox::{FIRST, LAST, Outbox, Sent, write_frame};
use super::peer::{Parts, Peer};
use super::timers::Due;
use crate::error::ConnectionError;
use crate::link::{Ending, Key};
use crate::room::Place;
use crate::slow_reader::weight;
use crate::transport::Io;

/// The connections that a turn writes to; the others wait for the next turn, which first reads
/// what has become readable. At the 5 µs that a write costs, a turn lasts
/// some milliseconds.
const WRITES: usize = 1024;

impl<I: Io> Shard<I> {
    /// Writes what this turn has brought, and the backlog of connections whose transport takes
    /// bytes again.
    pub(super) fn flush(&mut self) {
        self.parts.writes_left = WRITES;
        self.cast();
        while self.parts.writes_left > 0
            && let Some(slot) = self.parts.dirty.pop_front()
        {
            if let Some(mut peer) = self.peer(slot) {
                peer.live.flags.remove(Flags::DIRTY);
                peer.parts.writes_left -= 1;
                if peer.flush() == After::Release {
                    self.release(slot);
                }
            }
        }
    }

    /// Closes the connection if its client has stalled for too long.
    pub(super) fn check_age(&mut self, key: Key) {
        if self.peer_of(key).is_some_and(|mut peer| peer.is_overdue()) {
            self.end(key.slot, Ending::Failed(ConnectionError::SlowReader));
        }
    }
}

/// The step that follows the flush of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum After {
    Stay,
    /// Release the connection: it lingers, and nothing is left to be sent or received.
    Release,
}

impl<I> Parts<I> {
    /// A frame at its place in the order of all that is sent.
    #[inline]
    pub(super) fn sent_now(&mut self, frame: Frame) -> Sent {
        self.order += 1;
        Sent {
            frame,
            queued_at: self.now,
            order: self.order,
            is_own: false,
            place: None,
        }
    }

    fn sent_out_of_order(&self, frame: Frame, order: u64) -> Sent {
        Sent {
            frame,
            queued_at: self.now,
            order,
            is_own: false,
            place: None,
        }
    }
}

impl<I: Io> Peer<'_, I> {
    /// Queues a frame that [`Connection::send`](crate::Connection::send) has counted.
    pub(super) fn send(&mut self, frame: Frame) {
        self.send_placed(frame, None);
    }

    /// Queues a frame as [`send`](Self::send) does, which stands for publications of a room.
    pub(super) fn send_at(&mut self, frame: Frame, place: Place) {
        self.send_placed(frame, Some(place));
    }

    #[inline]
    fn send_placed(&mut self, frame: Frame, place: Option<Place>) {
        if !self.live.is_sent_to() {
            return self.live.connection.settle(frame.len());
        }
        let counted = weight(frame.len());
        if self.live.is(Flags::DEFLATES) {
            let frame = self.wire_form(frame);
            return self.queue_counted(frame, counted, place);
        }
        self.queue_counted(frame, counted, place);
    }

    /// Queues a frame that its connection has counted as so many bytes. Inlined, as to move a frame
    /// takes longer than to queue it.
    #[inline(always)]
    fn queue_counted(&mut self, frame: Frame, counted: u32, place: Option<Place>) {
        let parts = &mut *self.parts;
        parts.counts.messages_out += 1;
        parts.order += 1;
        let outboxes = &mut parts.outboxes;
        let outbox = self.live.outbox.get_or_insert_with(|| outboxes.take());
        let sent = Sent {
            frame,
            queued_at: parts.now,
            order: parts.order,
            is_own: true,
            // Without a number it has no place.
            place: place.filter(|place| place.number > 0),
        };
        outbox.push_counted(sent, counted);
        self.mark_dirty();
    }

    pub(super) fn enqueue(&mut self, sent: Sent) {
        let frame = self.wire_form(sent.frame);
        self.parts.counts.messages_out += 1;
        self.outbox(|outbox| outbox.push(Sent { frame, ..sent }));
    }

    /// Queues a close frame, which nothing may follow.
    pub(super) fn enqueue_last(&mut self, close: Frame) {
        let sent = self.parts.sent_out_of_order(close, LAST);
        self.outbox(|outbox| outbox.push_last(sent));
    }

    /// Queues a control frame ahead of everything else.
    pub(super) fn enqueue_first(&mut self, frame: Frame) {
        let sent = self.parts.sent_out_of_order(frame, FIRST);
        self.outbox(|outbox| outbox.push(sent));
    }

    pub(super) fn answer_ping(&mut self, pong: Frame) {
        let sent = self.parts.sent_now(pong);
        self.outbox(|outbox| outbox.push_pong(sent));
    }

    /// The frame as this client gets it: compressed, if that was agreed on.
    #[inline]
    fn wire_form(&mut self, frame: Frame) -> Frame {
        if self.live.is(Flags::DEFLATES) {
            self.live
                .connection
                .deflated(&frame, &mut self.parts.deflater)
        } else {
            frame
        }
    }

    /// Changes the outbox, which the end of the turn writes.
    #[inline]
    pub(super) fn outbox(&mut self, change: impl FnOnce(&mut Outbox)) {
        if self.live.is(Flags::BROKEN) {
            return;
        }
        let outboxes = &mut self.parts.outboxes;
        change(self.live.outbox.get_or_insert_with(|| outboxes.take()));
        self.mark_dirty();
    }

    #[inline]
    pub(super) fn mark_dirty(&mut self) {
        if !self.live.is(Flags::DIRTY) {
            self.live.flags.insert(Flags::DIRTY);
            self.parts.dirty.push_back(self.slot);
        }
    }

    /// Notes that the transport takes bytes again.
    pub(super) fn unblock(&mut self) {
        let Some(outbox) = self.live.outbox.as_mut() else {
            return;
        };
        if outbox.unblock() {
            // The peer has taken something, so it is there: a ping may wait for long behind
            // what it has not read.
            self.live.flags.remove(Flags::PINGED);
            self.parts.ticks.alive(self.slot);
        }
        self.mark_dirty();
    }

    fn flush(&mut self) -> After {
        let Some(outbox) = self.live.outbox.as_mut() else {
            self.note_drained();
            return self.flushed();
        };
        let parts = &mut *self.parts;
        if let Some(frame) = outbox.alone() {
            // Nearly always there is one frame, and the transport takes all of it.
            match write_frame(&mut parts.io, self.slot, frame, 0) {
                Ok(count) if count == frame.len() => {
                    self.count_written(count);
                    self.drop_outbox();
                    self.note_drained();
                    return self.flushed();
                }
                Ok(count) => {
                    outbox.advance(count);
                    outbox.note_taken(parts.now);
                    parts.counts.bytes_out += count as u64;
                    if self.live.flags.contains(Flags::COUNTED) {
                        parts.traffic.add(self.slot, 0, count);
                    }
                }
                // Met again below, with all that follows from it.
                Err(_) => {}
            }
        }
        match outbox.write(&mut parts.io, self.slot, &mut parts.scratch, parts.now) {
            Ok(written) => {
                parts.counts.bytes_out += written as u64;
                if self.live.flags.contains(Flags::COUNTED) {
                    parts.traffic.add(self.slot, 0, written);
                }
            }
            Err(error) => {
                self.break_off(error);
                return After::Stay;
            }
        }
        if outbox.is_empty() {
            self.drop_outbox();
            self.note_drained();
            return self.flushed();
        }
        let (before, now) = outbox.recount();
        self.live.connection.update_buffered(before, now);
        let (before, now) = outbox.show();
        parts.counts.backlog_bytes = parts.counts.backlog_bytes - before + now;
        let (before, now) = outbox.show_own();
        parts.own_bytes = parts.own_bytes - before + now;
        self.live.connection.show_own_backlog(now);
        let (bytes, frames) = (outbox.len(), outbox.frames());
        if self.live.options().backlog.is_exceeded(bytes, frames) {
            // Has no effect once the connection closes: the time for that is bounded.
            self.live.connection.fail(ConnectionError::SlowReader);
        }
        self.note_drained();
        self.watch_backlog();
        After::Stay
    }

    fn count_written(&mut self, count: usize) {
        self.parts.counts.bytes_out += count as u64;
        if self.live.is(Flags::COUNTED) {
            self.parts.traffic.add(self.slot, 0, count);
        }
    }

    /// Gives the transport up: it cannot be written any more.
    pub(super) fn break_off(&mut self, error: io::Error) {
        self.tell_unsent();
        self.live.flags.insert(Flags::BROKEN);
        self.drop_outbox();
        let error = ConnectionError::Transport(Arc::new(error));
        self.post_end(Ending::Failed(error));
    }

    /// Waits for the transport to take more, but not for ever.
    fn watch_backlog(&mut self) {
        let now = self.parts.now;
        let key = self.key();
        let is_open = self.live.is_open();
        let age = self.live.options().backlog.age;
        // Once the connection lingers, the time for that bounds the wait.
        let is_bounded = !self.live.is_lingering();
        let Some(outbox) = self.live.outbox.as_mut() else {
            return;
        };
        if is_bounded && outbox.age_check.is_none() {
            let stalled_since = outbox.stalled_since(is_open).unwrap_or(now);
            let id = self.parts.link.next_timer();
            let due = Due::Age(key);
            let timers = &mut self.parts.timers;
            outbox.age_check = Some(timers.set(stalled_since.after(age), id, due));
        }
        if !outbox.watched {
            outbox.watched = true;
            self.parts.counts.waiting += 1;
            if let Err(error) = self.parts.io.watch_writable(self.slot, true) {
                self.post_end(Ending::Failed(error.into()));
            }
        }
    }

    /// Returns whether the client has stalled for too long. Its handle is closing then.
    fn is_overdue(&mut self) -> bool {
        let now = self.parts.now;
        let is_open = self.live.is_open();
        let is_bounded = !self.live.is_lingering();
        let Some(outbox) = self.live.outbox.as_mut() else {
            return false;
        };
        outbox.age_check = None;
        let Some(since) = outbox.stalled_since(is_open).filter(|_| is_bounded) else {
            return false;
        };
        if self.live.options().backlog.is_overdue(now.since(since)) {
            self.live.connection.begin_closing();
            return true;
        }
        self.watch_backlog();
        false
    }

    /// Drops the outbox: nothing waits any more.
    pub(super) fn drop_outbox(&mut self) {
        let Some(mut outbox) = self.live.outbox.take() else {
            return;
        };
        let parts = &mut *self.parts;
        if let Some(timer) = outbox.age_check {
            parts.timers.cancel(timer);
        }
        if outbox.watched {
            parts.counts.waiting -= 1;
            parts.counts.backlog_bytes -= outbox.shown();
            // If this fails, a report that nobody waits for may come.
            let _ = parts.io.watch_writable(self.slot, false);
        }
        outbox.clear();
        let (before, now) = outbox.recount();
        self.live.connection.update_buffered(before, now);
        let (before, now) = outbox.show_own();
        if before > 0 {
            parts.own_bytes = parts.own_bytes - before + now;
            self.live.connection.show_own_backlog(now);
        }
        parts.outboxes.give_back(outbox);
    }

    /// Goes on with closing, as the outbox is empty and so the close frame is written.
    fn flushed(&mut self) -> After {
        match self.live.phase {
            Phase::Open => {}
            Phase::Closing => self.arm_close_deadline(),
            Phase::Lingering => {
                if !self.live.is(Flags::SHUT) {
                    self.live.flags.insert(Flags::SHUT);
                    // If this fails the peer is gone, which reading tells.
                    let _ = self.parts.io.shutdown_write(self.slot);
                }
                if self.live.is(Flags::PEER_SHUT) {
                    return After::Release;
                }
            }
        }
        After::Stay
    }
}
