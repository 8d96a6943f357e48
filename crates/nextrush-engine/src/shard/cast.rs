//! The walk of a room at the end of a turn: each member gets the publications of the turn.
//!
//! [`Shard::cast`] lays a room's publications out once, then goes from member to member. A
//! member that gets nothing else is written to at once; for any other, or for the rest that the
//! transport did not take, the publications go into its outbox, unless the member lags and
//! skips them.

use std::io;
use std::io::ErrorKind;
use std::mem;
use std::sync::Arc;

use super::Shard;
use super::live::Flags;
use super::outbox::{COALESCE, Outbox, Sent, copy_frame, write_frame};
use super::peer::Peer;
use crate::id::{ConnectionId, RoomId};
use crate::link::Key;
use crate::room::Skippable;
use crate::transport::Io;

/// A frame that was published to a room in this turn.
pub(super) struct Publication {
    pub(super) sent: Sent,
    /// The members that do not get it; sorted.
    pub(super) except: Option<Arc<[ConnectionId]>>,
    pub(super) skippable: Option<Arc<Skippable>>,
}

impl Publication {
    fn is_for(&self, id: ConnectionId) -> bool {
        let except = self.except.as_deref();
        except.is_none_or(|except| except.binary_search(&id).is_err())
    }
}

impl<I: Io> Shard<I> {
    /// Walks each room that was published to in this turn.
    ///
    /// Not inlined into the turn, where the loop would run out of registers.
    #[inline(never)]
    pub(super) fn cast(&mut self) {
        let mut rooms = mem::take(&mut self.rooms.published);
        let is_only = rooms.len() == 1;
        for room in rooms.drain(..) {
            let publications = self.rooms.take_publications(room);
            // Handed out already, if there are none.
            if !publications.is_empty() {
                self.cast.prepare(&publications);
                for &slot in &self.rooms.members(room).slots {
                    if let Some(live) = self.slab.at(slot).filter(|live| live.is_sent_to()) {
                        let parts = &mut self.parts;
                        let peer = Peer { slot, live, parts };
                        peer.cast(&mut self.cast, room, is_only, &publications);
                    }
                }
                let members = self.cast.members;
                let counts = &mut self.parts.counts;
                let delivered = members * publications.len() as u64;
                counts.messages_out += delivered;
                counts.deliveries += delivered;
                counts.bytes_out += members * self.cast.len as u64;
            }
            self.rooms.recycle(publications);
        }
        if self.rooms.published.is_empty() {
            self.rooms.published = rooms;
        }
    }

    /// Walks a room ahead of the turn's end, because its members change or a frame has to come
    /// behind its publications. Nothing is written yet.
    pub(super) fn hand_out(&mut self, room: RoomId) {
        let publications = self.rooms.take_publications(room);
        if publications.is_empty() {
            return;
        }
        for &slot in &self.rooms.members(room).slots {
            if let Some(mut peer) = Peer::at(&mut self.slab, &mut self.parts, slot) {
                peer.enqueue_all(room, &publications);
            }
        }
        self.rooms.recycle(publications);
    }
}

impl<I: Io> Peer<'_, I> {
    /// Sends one member the room's publications. `is_only`: no other room was published to.
    ///
    /// By value, so that the view stays in registers unless the member takes a slower way:
    /// `&mut self` costs ten instructions more for each delivery.
    #[inline]
    fn cast(self, cast: &mut Cast, room: RoomId, is_only: bool, publications: &[Publication]) {
        let gets_nothing_else =
            self.live.outbox.is_none() && (is_only || !self.live.is_in_several());
        if !gets_nothing_else
            || !self.gets_all_as_it_is(cast, publications)
            || self.parts.writes_left == 0
        {
            let mut peer = self;
            return peer.enqueue_all(room, publications);
        }
        self.parts.writes_left -= 1;
        match cast.write(publications, &mut self.parts.io, self.slot) {
            Ok(written) if written == cast.len => cast.members += 1,
            Ok(written) => {
                let mut peer = self;
                peer.enqueue_rest(room, publications, written);
            }
            Err(error) => {
                let mut peer = self;
                // So that it is known that it has not got them.
                peer.enqueue_all(room, publications);
                peer.break_off(error);
            }
        }
    }

    /// Returns whether the member gets every publication, and not compressed.
    fn gets_all_as_it_is(&self, cast: &Cast, publications: &[Publication]) -> bool {
        if self
            .live
            .flags
            .intersects(Flags::DEFLATES | Flags::LAGS | Flags::COUNTED)
        {
            return false;
        }
        if !cast.has_exceptions {
            return true;
        }
        let Key { slot, generation } = self.key();
        let id = ConnectionId {
            shard: self.parts.link.index(),
            slot,
            generation,
        };
        publications
            .iter()
            .all(|publication| publication.is_for(id))
    }

    /// Queues the rest of the publications: `written` bytes of them are written, and the
    /// transport takes no more.
    fn enqueue_rest(&mut self, room: RoomId, publications: &[Publication], mut written: usize) {
        self.parts.counts.bytes_out += written as u64;
        self.outbox(Outbox::block);
        let mut rest = publications.iter();
        while written > 0
            && let Some(begun) = rest.next()
        {
            self.parts.counts.messages_out += 1;
            self.parts.counts.deliveries += 1;
            let length = begun.sent.frame.len();
            if written < length {
                self.outbox(|outbox| {
                    outbox.push(begun.sent.clone());
                    outbox.advance(written);
                    if begun.skippable.is_some() {
                        outbox.note_skippable();
                    }
                });
            }
            written = written.saturating_sub(length);
        }
        self.enqueue_all(room, rest.as_slice());
    }

    /// Queues the publications that are for this member and that it does not skip.
    pub(super) fn enqueue_all(&mut self, room: RoomId, publications: &[Publication]) {
        if !self.live.is_sent_to() {
            return;
        }
        for publication in publications {
            if publication.is_for(self.live.id()) && !self.skips(room, publication) {
                self.enqueue(publication.sent.clone());
                self.parts.counts.deliveries += 1;
                if publication.skippable.is_some() {
                    self.note_skippable();
                }
            }
        }
    }

    /// Queues what is sent to all connections, if it is for this one.
    pub(super) fn enqueue_broadcast(&mut self, broadcast: &Publication) {
        if self.live.is_sent_to() && broadcast.is_for(self.live.id()) {
            self.enqueue(broadcast.sent.clone());
        }
    }

    /// Returns whether the member skips a publication, because it lags or begins to lag with
    /// this one.
    fn skips(&mut self, room: RoomId, publication: &Publication) -> bool {
        if self.live.lags_in(room) {
            return true;
        }
        let Some(skippable) = publication.skippable.as_deref() else {
            return false;
        };
        let most = self.live.options().backlog.skippable_share();
        let Some(outbox) = self.live.outbox.as_ref() else {
            return false;
        };
        let length = publication.sent.frame.len();
        if outbox.has_place(length, skippable.over.min(most), most) {
            return false;
        }
        self.begin_lag(room, skippable);
        true
    }
}

/// The publications of one room and turn, laid out once as they are written to each member:
/// small frames copied together, long ones from where they are.
#[derive(Default)]
pub(super) struct Cast {
    chunks: Vec<Chunk>,
    together: Vec<u8>,
    len: usize,
    /// The number of members to whom all of it was written.
    members: u64,
    has_exceptions: bool,
}

/// The longest frame that is copied although it is written alone: one place to look into for each
/// member, in which a short frame, a shared one and several together are the same.
const COPIED: usize = 1024;

/// The bytes of one write.
enum Chunk {
    /// The frame of one publication.
    Frame(usize),
    /// A piece of the bytes that were copied together.
    Together { start: usize, end: usize },
}

impl Cast {
    fn prepare(&mut self, publications: &[Publication]) {
        self.chunks.clear();
        self.together.clear();
        self.len = 0;
        self.members = 0;
        self.has_exceptions = false;
        let mut first = 0;
        let mut bytes = 0;
        for (index, publication) in publications.iter().enumerate() {
            self.has_exceptions |= publication.except.is_some();
            let length = publication.sent.frame.len();
            self.len += length;
            if bytes + length > COALESCE {
                self.add(publications, first, index);
                first = index;
                bytes = 0;
            }
            bytes += length;
        }
        self.add(publications, first, publications.len());
    }

    fn add(&mut self, publications: &[Publication], first: usize, end: usize) {
        match end - first {
            0 => {}
            1 if publications[first].sent.frame.len() > COPIED => {
                self.chunks.push(Chunk::Frame(first));
            }
            _ => {
                let start = self.together.len();
                for publication in &publications[first..end] {
                    copy_frame(&publication.sent.frame, 0, &mut self.together);
                }
                let end = self.together.len();
                self.chunks.push(Chunk::Together { start, end });
            }
        }
    }

    /// Writes to one member. Returns how many bytes the transport took.
    fn write<I: Io>(
        &self,
        publications: &[Publication],
        io: &mut I,
        slot: u32,
    ) -> io::Result<usize> {
        if let [Chunk::Together { .. }] = self.chunks[..] {
            // Nearly always: all of it in one piece.
            return match io.write(slot, &self.together) {
                Err(error) if is_for_now(&error) => Ok(0),
                result => result,
            };
        }
        let mut written = 0;
        for chunk in &self.chunks {
            let (length, result) = match *chunk {
                Chunk::Frame(index) => {
                    let frame = &publications[index].sent.frame;
                    (frame.len(), write_frame(io, slot, frame, 0))
                }
                Chunk::Together { start, end } => {
                    let bytes = &self.together[start..end];
                    (bytes.len(), io.write(slot, bytes))
                }
            };
            match result {
                Ok(count) => {
                    written += count;
                    if count < length {
                        break;
                    }
                }
                Err(error) if is_for_now(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}

/// Returns whether a later write may succeed.
#[cold]
fn is_for_now(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
