use std::mem;
use std::sync::Arc;

use nextrush_protocol::Frame;

use super::Shard;
use super::slab::{Live, Phase};
use super::timers::Due;
use crate::error::ConnectionError;
use crate::inbox::{Ending, Key};
use crate::io::Io;

impl<I: Io> Shard<I> {
    /// A frame that was sent directly.
    pub(super) fn send(&mut self, slot: u32, frame: &Frame) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if live.phase == Phase::Open && !live.broken {
            let now = self.now;
            let posted = frame.len();
            let frame = live.connection.wire_form(frame, &mut self.deflater);
            self.outbox(slot, |outbox| outbox.push_posted(frame, posted, now));
        } else {
            let backlog = live.outbox.as_ref().map_or(0, |outbox| outbox.bytes());
            live.connection.settle(frame.len(), backlog);
        }
    }

    pub(super) fn enqueue(&mut self, slot: u32, frame: &Frame) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let now = self.now;
        let frame = live.connection.wire_form(frame, &mut self.deflater);
        self.outbox(slot, |outbox| outbox.push(frame, now));
    }

    /// A close frame, which nothing may follow.
    pub(super) fn enqueue_last(&mut self, slot: u32, close: Frame) {
        let now = self.now;
        self.outbox(slot, |outbox| outbox.push_last(close, now));
    }

    pub(super) fn enqueue_ahead(&mut self, slot: u32, frame: Frame) {
        let now = self.now;
        self.outbox(slot, |outbox| outbox.push_ahead(frame, now));
    }

    pub(super) fn answer_ping(&mut self, slot: u32, pong: Frame) {
        let now = self.now;
        self.outbox(slot, |outbox| outbox.push_pong(pong, now));
    }

    /// Changes what is to be sent, and has it sent at the end of the turn.
    fn outbox(&mut self, slot: u32, change: impl FnOnce(&mut super::backlog::Outbox)) {
        let Some(live) = self.slab.at(slot).filter(|live| !live.broken) else {
            return;
        };
        let outboxes = &mut self.outboxes;
        change(live.outbox.get_or_insert_with(|| outboxes.take()));
        self.mark_dirty(slot);
    }

    pub(super) fn mark_dirty(&mut self, slot: u32) {
        if let Some(live) = self.slab.at(slot).filter(|live| !live.dirty) {
            live.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// The transport can be written again.
    pub(super) fn unblock(&mut self, slot: u32) {
        let outbox = self.slab.at(slot).and_then(|live| live.outbox.as_mut());
        if let Some(outbox) = outbox {
            outbox.unblock();
            self.mark_dirty(slot);
        }
    }

    /// Writes what this turn has brought, and the backlog of those that can be written
    /// again.
    pub(super) fn flush(&mut self) {
        let mut slots = mem::take(&mut self.dirty);
        for slot in slots.drain(..) {
            if let Some(live) = self.slab.at(slot) {
                live.dirty = false;
                self.flush_connection(slot);
            }
        }
        if self.dirty.is_empty() {
            self.dirty = slots;
        }
    }

    fn flush_connection(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let Some(outbox) = live.outbox.as_mut() else {
            return self.flushed(slot);
        };
        let result = outbox.write(&mut self.io, slot, &mut self.scratch, self.now);
        let posted = outbox.take_posted();
        if let Err(error) = result {
            live.broken = true;
            live.connection.settle(posted, 0);
            self.drop_outbox(slot);
            let error = ConnectionError::Transport(Arc::new(error));
            return self.post_end(slot, Ending::Failed(error));
        }
        live.connection.settle(posted, outbox.bytes());
        if outbox.is_empty() {
            self.drop_outbox(slot);
            return self.flushed(slot);
        }
        if outbox.exceeds(live.connection.options().backlog.bytes) {
            // Has no effect once the connection closes: the time for that is bounded.
            live.connection.fail(ConnectionError::SlowReader);
        }
        self.watch_backlog(slot);
    }

    /// Waits for the transport to take more, but not for ever.
    fn watch_backlog(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let key = live.key();
        let age = live.connection.options().backlog.age;
        let is_bounded = live.has_bounded_age();
        let Some(outbox) = live.outbox.as_mut() else {
            return;
        };
        if is_bounded && outbox.age_check.is_none() {
            let oldest = outbox.oldest().unwrap_or(self.now);
            let id = self.link.next_timer();
            outbox.age_check = Some(self.timers.set(oldest.after(age), id, Due::Age(key)));
        }
        if !outbox.watched {
            outbox.watched = true;
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
        let limit = live.connection.options().backlog.age;
        let is_bounded = live.has_bounded_age();
        let Some(outbox) = live.outbox.as_mut() else {
            return;
        };
        outbox.age_check = None;
        let Some(oldest) = outbox.oldest().filter(|_| is_bounded) else {
            return;
        };
        if self.now.since(oldest) >= limit {
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
        let Some(outbox) = live.outbox.take() else {
            return;
        };
        if let Some(timer) = outbox.age_check {
            self.timers.cancel(timer);
        }
        if outbox.watched {
            // If this fails, a report that nobody waits for may come.
            let _ = self.io.watch_writable(slot, false);
        }
        self.outboxes.give_back(outbox);
    }

    /// Everything has been written: goes on with closing, if that is what was written.
    fn flushed(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        match &mut live.phase {
            Phase::Open => {}
            Phase::Closing => self.arm_close_deadline(slot),
            Phase::Lingering { shut, peer_shut } => {
                if !*shut {
                    *shut = true;
                    // If this fails the peer is gone, which reading tells.
                    let _ = self.io.shutdown_write(slot);
                }
                if *peer_shut {
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
