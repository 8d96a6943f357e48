//! The frames that wait to be sent to one connection.

use std::collections::VecDeque;
use std::io;
use std::io::ErrorKind;
use std::mem;

use nextrush_protocol::Frame;

use super::timers::TimerKey;
use crate::moment::Moment;
use crate::room::Place;
use crate::slow_reader::weight;
use crate::transport::Io;

/// Frames are copied together up to this many bytes, to be written at once. Copying small
/// ones costs less than a system call for each, or than one that takes many pieces; a
/// frame of this size is written from where it is.
pub(super) const COALESCE: usize = 16 * 1024;

/// The emptied outboxes that are kept for later connections.
const SPARE: usize = 256;

/// The capacity for frames that an emptied outbox keeps.
const FRAMES_KEPT: usize = 64;

/// See the [module](self): during a turn the frames that the turn brought, and after it the
/// connection's backlog, which the kernel did not take.
#[derive(Default)]
pub(super) struct Outbox {
    /// In the order in which they are written.
    frames: VecDeque<Sent>,
    /// The bytes of the first frame that are written.
    written: usize,
    /// The bytes of all frames that are not written.
    bytes: usize,
    /// The part of `bytes` that the connection counts as buffered.
    counted: u32,
    /// The part of `bytes` that the shard's metrics show.
    shown: u64,
    /// The bytes of the frames that this client alone gets: they take memory for it.
    own: usize,
    /// The part of `own` that the bound of all backlogs knows.
    own_shown: u64,
    /// The answer to the newest ping that came while the transport was watched
    /// (RFC 6455 §5.5.3: no other needs one).
    pong: Option<Frame>,
    /// `true` if the transport takes nothing for now.
    blocked: bool,
    /// `true` if skippable publications are queued, or frames of a refill.
    holds_skippable: bool,
    /// The moment at which the transport last took a byte.
    taken: Moment,
    /// `true` if the transport reports when it can be written.
    pub(super) watched: bool,
    /// The timer that checks for how long the client has stalled.
    pub(super) age_check: Option<TimerKey>,
}

/// A frame on its way.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) frame: Frame,
    /// The moment at which it was queued.
    pub(super) queued_at: Moment,
    /// Its place in the order of all sends and publications of the shard. A publication comes
    /// into the outbox at the end of the turn, behind later sends, but goes out before them.
    pub(super) order: u64,
    /// `true` if the frame was sent to this client alone. A publication is one buffer for all.
    pub(super) is_own: bool,
    /// Its place among the publications of a room, if it stands for one or more of them.
    pub(super) place: Option<Place>,
}

impl Sent {
    /// The frame of a publication; without a number it has no place.
    pub(super) fn at(self, place: Place) -> Self {
        let place = (place.number > 0).then_some(place);
        Self { place, ..self }
    }

    /// The bytes that it takes for this client alone.
    fn own(&self) -> usize {
        if self.is_own { self.frame.len() } else { 0 }
    }
}

/// The place ahead of everything.
pub(super) const FIRST: u64 = 0;

/// The place behind everything.
pub(super) const LAST: u64 = u64::MAX;

impl Outbox {
    /// Adds a frame at its place.
    #[inline]
    pub(super) fn push(&mut self, sent: Sent) {
        self.bytes += sent.frame.len();
        self.own += sent.own();
        // Nearly always nothing waits that comes later.
        if self
            .frames
            .back()
            .is_none_or(|last| last.order <= sent.order)
        {
            return self.frames.push_back(sent);
        }
        let later = self
            .frames
            .iter()
            .rev()
            .take_while(|other| other.order > sent.order)
            .count();
        // A frame that has been written in part has to be finished first.
        let place = (self.frames.len() - later).max(usize::from(self.written > 0));
        self.frames.insert(place, sent);
    }

    /// Adds a frame that the connection has counted already: as `counted` bytes, its length
    /// before compression.
    #[inline]
    pub(super) fn push_counted(&mut self, sent: Sent, counted: u32) {
        debug_assert!(sent.is_own, "what is counted is sent to this client alone");
        self.counted = self.counted.wrapping_add(counted);
        self.push(sent);
    }

    /// Adds a close frame, which nothing may follow.
    pub(super) fn push_last(&mut self, close: Sent) {
        self.pong = None;
        self.push(close);
    }

    /// Adds the answer to a ping, or replaces the one that waits.
    pub(super) fn push_pong(&mut self, pong: Sent) {
        // Even if the transport takes bytes again: the pongs before may not have left yet.
        if self.watched {
            self.pong = Some(pong.frame);
        } else {
            self.push(pong);
        }
    }

    /// The only frame, if it is whole and nothing holds it back.
    #[inline]
    pub(super) fn alone(&self) -> Option<&Frame> {
        let is_alone = self.frames.len() == 1 && self.written == 0 && self.pong.is_none();
        let first = self.frames.front().filter(|_| is_alone && !self.blocked)?;
        Some(&first.frame)
    }

    /// Writes until all is gone or the transport takes no more. Returns how many bytes were
    /// written.
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
                    queued_at: now,
                    order: FIRST,
                    is_own: true,
                    place: None,
                });
            }
            let Some(chunk) = self.next_chunk(scratch) else {
                break;
            };
            let result = match chunk {
                Chunk::Frame { frame, written } => write_frame(io, slot, frame, written),
                Chunk::Together(bytes) => io.write(slot, bytes),
            };
            match result {
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

    /// The bytes of the next write: several small frames together, or one as it is.
    fn next_chunk<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Option<Chunk<'a>> {
        let frame = &self.frames.front()?.frame;
        let written = self.written;
        if self.frames.len() == 1 {
            return Some(Chunk::Frame { frame, written });
        }
        let mut together = frame.len() - written;
        let mut count = 1;
        for waiting in self.frames.iter().skip(1) {
            together += waiting.frame.len();
            if together > COALESCE {
                break;
            }
            count += 1;
        }
        if count == 1 {
            return Some(Chunk::Frame { frame, written });
        }
        scratch.clear();
        copy_frame(frame, written, scratch);
        for waiting in self.frames.range(1..count) {
            copy_frame(&waiting.frame, 0, scratch);
        }
        Some(Chunk::Together(scratch))
    }

    /// Notes that `count` bytes were written.
    pub(super) fn advance(&mut self, count: usize) {
        self.bytes -= count;
        self.written += count;
        while let Some(first) = self.frames.front() {
            let length = first.frame.len();
            if self.written < length {
                break;
            }
            self.written -= length;
            self.own -= first.own();
            self.frames.pop_front();
        }
    }

    /// Notes that the transport took bytes.
    pub(super) fn note_taken(&mut self, now: Moment) {
        self.taken = now;
    }

    /// Notes that the transport takes nothing for now.
    pub(super) fn block(&mut self) {
        self.blocked = true;
    }

    /// Notes that the transport takes bytes again. Returns whether it was blocked.
    pub(super) fn unblock(&mut self) -> bool {
        mem::take(&mut self.blocked)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.pong.is_none()
    }

    /// The bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// The frames that wait, whole or in part.
    pub(super) fn frames(&self) -> usize {
        self.frames.len()
    }

    /// The publications of rooms that wait, in the order in which they are written.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.frames.iter().filter_map(|waiting| waiting.place)
    }

    /// Returns whether anything waits that is no publication with a place.
    pub(super) fn holds_others(&self) -> bool {
        let has_none = |waiting: &Sent| waiting.place.is_none();
        self.pong.is_some() || self.frames.iter().any(has_none)
    }

    /// Returns whether one more frame of this length has a place: within `over` bytes if the client
    /// is slow, within `most` otherwise. An empty outbox takes any frame.
    pub(super) fn has_place(&self, length: usize, over: usize, most: usize) -> bool {
        let is_slow = self.blocked || self.watched;
        let bound = if is_slow { over } else { most };
        self.frames.is_empty() || self.bytes + length <= bound
    }

    /// Notes that skippable publications are queued, or frames of a refill.
    pub(super) fn note_skippable(&mut self) {
        self.holds_skippable = true;
    }

    /// The start of the current stall: when the oldest frame was queued or, if skippable
    /// publications are queued, when the transport last took a byte. A closing connection gets
    /// no such patience. `None` without a frame.
    pub(super) fn stalled_since(&self, is_open: bool) -> Option<Moment> {
        let oldest = self.frames.iter().map(|waiting| waiting.queued_at).min()?;
        Some(if self.holds_skippable && is_open {
            oldest.max(self.taken)
        } else {
            oldest
        })
    }

    /// Counts the bytes as buffered. Returns the figure before and the one now.
    pub(super) fn recount(&mut self) -> (u32, u32) {
        let now = weight(self.bytes);
        (mem::replace(&mut self.counted, now), now)
    }

    /// Shows the bytes in the metrics. Returns the figure before and the one now.
    pub(super) fn show(&mut self) -> (u64, u64) {
        let now = self.bytes as u64;
        (mem::replace(&mut self.shown, now), now)
    }

    /// Shows the bytes of this client alone. Returns the figure before and the one now.
    pub(super) fn show_own(&mut self) -> (u64, u64) {
        let now = self.own as u64;
        (mem::replace(&mut self.own_shown, now), now)
    }

    /// The bytes that the metrics show.
    pub(super) fn shown(&self) -> u64 {
        self.shown
    }

    /// Drops everything but a frame that is written in part.
    pub(super) fn truncate(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        self.pong = None;
        self.bytes = self
            .frames
            .front()
            .map_or(0, |first| first.frame.len() - self.written);
        self.own = self.frames.front().map_or(0, Sent::own);
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        let Self {
            frames,
            written,
            bytes,
            // The connection counts these still.
            counted: _,
            shown,
            own,
            own_shown: _,
            pong,
            blocked,
            holds_skippable,
            taken,
            watched,
            age_check,
        } = self;
        // Nearly always one, for which this takes half of what `clear` does.
        while let Some(sent) = frames.pop_front() {
            drop(sent);
        }
        if frames.capacity() > FRAMES_KEPT {
            frames.shrink_to(FRAMES_KEPT);
        }
        (*written, *bytes, *shown, *own) = (0, 0, 0, 0);
        (*blocked, *holds_skippable, *watched) = (false, false, false);
        (*pong, *taken, *age_check) = (None, Moment::START, None);
    }
}

/// The bytes of one write.
enum Chunk<'a> {
    /// The rest of a frame, of which so many bytes are written.
    Frame { frame: &'a Frame, written: usize },
    /// Several small frames.
    Together(&'a [u8]),
}

/// Writes a frame but for its first `written` bytes, a long payload from where it is. Returns how
/// many bytes the transport took.
#[inline]
pub(super) fn write_frame<I: Io>(
    io: &mut I,
    slot: u32,
    frame: &Frame,
    written: usize,
) -> io::Result<usize> {
    match frame.whole() {
        Some(bytes) => io.write(slot, &bytes[written..]),
        None => write_split(io, slot, frame, written),
    }
}

#[cold]
fn write_split<I: Io>(io: &mut I, slot: u32, frame: &Frame, written: usize) -> io::Result<usize> {
    let header = frame.header();
    match header.get(written..) {
        Some(rest) if !rest.is_empty() => io.write_both(slot, rest, frame.payload()),
        _ => io.write(slot, &frame.payload()[written - header.len()..]),
    }
}

/// Adds a frame but for its first `written` bytes to `out`.
pub(super) fn copy_frame(frame: &Frame, written: usize, out: &mut Vec<u8>) {
    match frame.whole() {
        Some(bytes) => out.extend_from_slice(&bytes[written..]),
        None => {
            let header = frame.header();
            out.extend_from_slice(header.get(written..).unwrap_or_default());
            let of_payload = written.saturating_sub(header.len());
            out.extend_from_slice(&frame.payload()[of_payload..]);
        }
    }
}

/// Emptied outboxes, for later connections.
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

    /// Keeps an outbox that is [clear](Outbox::clear) and counted as such.
    pub(super) fn give_back(&mut self, outbox: Box<Outbox>) {
        if self.spare.len() < SPARE {
            self.spare.push(outbox);
        }
    }
}
