use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;

use nextrush_protocol::Frame;

use super::timers::TimerKey;
use crate::connection::weight;
use crate::moment::Moment;
use crate::transport::Io;

/// Frames are copied together up to this many bytes, to be written at once. Copying small
/// ones costs less than a system call for each, or than one that takes many pieces; a
/// frame of this size is written from where it is.
pub(super) const COALESCE: usize = 16 * 1024;

/// Emptied outboxes that are kept for the next connection that has something to be sent.
const SPARE: usize = 256;

/// The room for frames that an outbox keeps.
const FRAMES_KEPT: usize = 64;

/// What is to be sent to one connection: in a turn what that turn brought, and as its
/// backlog what the kernel did not take.
#[derive(Default)]
pub(super) struct Outbox {
    /// In the order of their sending.
    frames: VecDeque<Sent>,
    /// How much of the first frame has been written.
    written: usize,
    /// What is left of all frames.
    bytes: usize,
    /// How much of this the connection counts as buffered.
    counted: u32,
    /// How much of this the shard's metrics show.
    shown: u64,
    /// The answer to the newest ping that came while the transport took nothing
    /// (RFC 6455 §5.5.3: no other needs one).
    pong: Option<Frame>,
    blocked: bool,
    /// What waits may wait longer than its age allows, as long as some of it is taken.
    is_patient: bool,
    /// When the transport took something last.
    taken: Moment,
    /// The transport reports when it can be written.
    pub(super) watched: bool,
    /// When the age of the oldest frame is looked at.
    pub(super) age_check: Option<TimerKey>,
}

/// A frame on its way.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) frame: Frame,
    pub(super) since: Moment,
    /// Its place in the order of all that this shard was told to send. A publication gets
    /// into the outbox after what was sent later, but goes out before it.
    pub(super) order: u64,
}

/// Ahead of everything.
pub(super) const FIRST: u64 = 0;

/// Behind everything.
pub(super) const LAST: u64 = u64::MAX;

impl Outbox {
    /// Adds a frame at its place.
    pub(super) fn push(&mut self, sent: Sent) {
        self.bytes += sent.frame.len();
        let later = self.frames.iter().rev();
        let later = later.take_while(|other| other.order > sent.order).count();
        // A frame that has been written in part has to be finished first.
        let place = (self.frames.len() - later).max(usize::from(self.written > 0));
        self.frames.insert(place, sent);
    }

    /// Adds a frame that the connection counts as `counted` bytes already: what it had
    /// before it was compressed.
    pub(super) fn push_counted(&mut self, sent: Sent, counted: u32) {
        self.counted = self.counted.wrapping_add(counted);
        self.push(sent);
    }

    /// A close frame, which nothing may follow.
    pub(super) fn push_last(&mut self, close: Sent) {
        self.pong = None;
        self.push(close);
    }

    pub(super) fn push_pong(&mut self, pong: Sent) {
        // Also if it can be written again by now: the ones before may not have left yet.
        if self.watched {
            self.pong = Some(pong.frame);
        } else {
            self.push(pong);
        }
    }

    /// Writes until all is gone or the transport takes no more; returns how many bytes.
    pub(super) fn write<I: Io>(
        &mut self,
        io: &mut I,
        slot: u32,
        scratch: &mut Vec<u8>,
        now: Moment,
    ) -> io::Result<usize> {
        let mut written = 0;
        while !self.blocked {
            if let Some(frame) = self.pong.take() {
                self.push(Sent {
                    frame,
                    since: now,
                    order: FIRST,
                });
            }
            let Some(chunk) = self.next_chunk(scratch) else {
                break;
            };
            match io.write(slot, chunk) {
                Ok(count) => {
                    written += count;
                    self.advance(count);
                    self.taken = now;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// What is to be written next: several small frames together, or one as it is.
    fn next_chunk<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let first = &self.frames.front()?.frame.as_bytes()[self.written..];
        let mut together = first.len();
        let mut count = 1;
        for waiting in self.frames.iter().skip(1) {
            together += waiting.frame.len();
            if together > COALESCE {
                break;
            }
            count += 1;
        }
        if count == 1 {
            return Some(first);
        }
        scratch.clear();
        scratch.extend_from_slice(first);
        for waiting in self.frames.range(1..count) {
            scratch.extend_from_slice(waiting.frame.as_bytes());
        }
        Some(scratch)
    }

    /// `count` bytes have been written.
    pub(super) fn advance(&mut self, count: usize) {
        self.bytes -= count;
        self.written += count;
        while let Some(first) = self.frames.front() {
            let length = first.frame.len();
            if self.written < length {
                break;
            }
            self.written -= length;
            self.frames.pop_front();
        }
    }

    /// The transport takes no more for now.
    pub(super) fn block(&mut self) {
        self.blocked = true;
    }

    /// The transport can be written again. Whether it could not before.
    pub(super) fn unblock(&mut self) -> bool {
        mem::take(&mut self.blocked)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.pong.is_none()
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Whether one more frame of this length finds place: among no more than `over` bytes
    /// of those that the transport does not take, and `most` in all. Alone it always does.
    pub(super) fn has_place(&self, length: usize, over: usize, most: usize) -> bool {
        let is_slow = self.blocked || self.watched;
        let bound = if is_slow { over } else { most };
        self.frames.is_empty() || self.bytes + length <= bound
    }

    /// See [`waits_since`](Self::waits_since).
    pub(super) fn be_patient(&mut self) {
        self.is_patient = true;
    }

    /// Since when the client has not done what is wanted of it: taken the oldest frame, or
    /// anything at all if something stands here that could be left out.
    /// Nobody is waited for that is being closed.
    pub(super) fn waits_since(&self, oldest: Moment, is_open: bool) -> Moment {
        if self.is_patient && is_open {
            oldest.max(self.taken)
        } else {
            oldest
        }
    }

    /// More waits than `limit` bytes, and not just one long frame.
    pub(super) fn exceeds(&self, limit: usize) -> bool {
        self.bytes > limit && self.frames.len() > 1
    }

    /// Since when the oldest frame has been waiting.
    pub(super) fn oldest(&self) -> Option<Moment> {
        self.frames.iter().map(|waiting| waiting.since).min()
    }

    /// What the connection has counted as buffered of this, and what it is now.
    pub(super) fn recount(&mut self) -> (u32, u32) {
        let now = weight(self.bytes);
        (mem::replace(&mut self.counted, now), now)
    }

    /// What the metrics have shown of this, and show now.
    pub(super) fn show(&mut self) -> (u64, u64) {
        let now = self.bytes as u64;
        (mem::replace(&mut self.shown, now), now)
    }

    /// What the metrics show of this.
    pub(super) fn shown(&self) -> u64 {
        self.shown
    }

    /// Drops everything that has not been begun to be written.
    pub(super) fn truncate(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        self.pong = None;
        self.bytes = self
            .frames
            .front()
            .map_or(0, |first| first.frame.len() - self.written);
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.frames.shrink_to(FRAMES_KEPT);
        *self = Self {
            frames: mem::take(&mut self.frames),
            counted: self.counted,
            ..Self::default()
        };
    }
}

/// Outboxes that are not in use.
#[derive(Default)]
pub(super) struct Outboxes {
    #[expect(
        clippy::vec_box,
        reason = "connections hold them boxed: this is what saves the allocation"
    )]
    spare: Vec<Box<Outbox>>,
}

impl Outboxes {
    pub(super) fn take(&mut self) -> Box<Outbox> {
        self.spare.pop().unwrap_or_default()
    }

    /// The outbox must be [clear](Outbox::clear), and counted as such.
    pub(super) fn give_back(&mut self, outbox: Box<Outbox>) {
        if self.spare.len() < SPARE {
            self.spare.push(outbox);
        }
    }
}
