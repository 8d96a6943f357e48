//! A borrowed view of one connection and of the parts of its shard that a step needs.

use std::collections::VecDeque;
use std::sync::Arc;

use nextrush_protocol::{Deflater, Inflater};

use super::Shard;
use super::calls::Caller;
use super::live::Live;
use super::outbox::Outboxes;
use super::slab::Slab;
use super::tasks::Tasks;
use super::ticks::Ticks;
use super::timers::Timers;
use super::traffic::CountedTraffic;
use crate::link::{Command, Ending, Key, Link, Order};
use crate::metrics::Counts;
use crate::moment::Moment;
use crate::transport::Io;

/// Lent to one connection at a time, so that an idle one needs none. A message that comes in whole
/// while its connection is read, and that is no longer, is never copied. Only what longer messages
/// than [a usual read](super::read) have touched takes memory.
pub(super) const READ_BUFFER: usize = 256 * 1024;

/// A connection that is there, and the parts of its shard.
///
/// Whatever concerns one connection alone is a method of this view. It cannot end the
/// connection or reach another one: only the [`Shard`] adds, removes and ends connections, and
/// knows the members of rooms.
pub(super) struct Peer<'a, I> {
    pub(super) slot: u32,
    pub(super) live: &'a mut Live,
    pub(super) parts: &'a mut Parts<I>,
}

/// The parts of a shard that all its connections use.
pub(super) struct Parts<I> {
    pub(super) io: I,
    pub(super) link: Arc<Link>,
    pub(super) now: Moment,
    pub(super) caller: Caller,
    pub(super) tasks: Tasks,
    pub(super) timers: Timers,
    pub(super) ticks: Ticks,
    pub(super) outboxes: Outboxes,
    /// Shown to other threads at the end of the turn.
    pub(super) counts: Counts,
    /// The bytes of connections whose own are counted.
    pub(super) traffic: CountedTraffic,
    /// The bytes of all backlogs that single clients alone are sent.
    pub(super) own_bytes: u64,
    /// The same at the end of the last turn.
    pub(super) own_bytes_before: u64,
    /// The number of frames sent or published so far.
    pub(super) order: u64,
    /// Slots that may have something to read.
    pub(super) readable: Vec<u32>,
    /// Slots that may have something to write.
    pub(super) dirty: VecDeque<u32>,
    /// Connections that lag and can be refilled, with the bytes that still wait for each.
    pub(super) drained: Vec<(Key, usize)>,
    /// The connections that may still be written to in this turn.
    pub(super) writes_left: usize,
    /// `true` if the connection that is being read may send one ping that is not counted.
    pub(super) free_ping: bool,
    pub(super) read_buffer: Box<[u8]>,
    /// Lent, like the buffer, to connections that compress. Empty until the first message.
    pub(super) inflater: Inflater,
    pub(super) deflater: Deflater,
    /// Small frames are copied together here to be written at once.
    pub(super) scratch: Vec<u8>,
}

impl<I: Io> Shard<I> {
    /// The connection in this slot.
    pub(super) fn peer(&mut self, slot: u32) -> Option<Peer<'_, I>> {
        Peer::at(&mut self.slab, &mut self.parts, slot)
    }

    /// The connection of this key; `None` as well if its slot belongs to another one by now.
    pub(super) fn peer_of(&mut self, key: Key) -> Option<Peer<'_, I>> {
        let live = self.slab.get(key)?;
        Some(Peer {
            slot: key.slot,
            live,
            parts: &mut self.parts,
        })
    }
}

impl<'a, I: Io> Peer<'a, I> {
    #[inline]
    pub(super) fn at(slab: &'a mut Slab, parts: &'a mut Parts<I>, slot: u32) -> Option<Self> {
        let live = slab.at(slot)?;
        Some(Self { slot, live, parts })
    }

    pub(super) fn key(&self) -> Key {
        self.live.key_at(self.slot)
    }

    /// Ends the connection after all that is in the inbox: answers to messages that came
    /// before the end are there.
    pub(super) fn post_end(&mut self, ending: Ending) {
        let command = Command::Connection(self.key(), Order::End(ending));
        self.parts.link.inbox.push(command);
    }
}

impl<I: Io> Parts<I> {
    pub(super) fn new(io: I, link: Arc<Link>) -> Self {
        Self {
            io,
            caller: Caller::new(Arc::clone(&link)),
            tasks: Tasks::new(Arc::clone(&link)),
            link,
            now: Moment::START,
            timers: Timers::default(),
            ticks: Ticks::default(),
            outboxes: Outboxes::default(),
            counts: Counts::default(),
            traffic: CountedTraffic::default(),
            own_bytes: 0,
            own_bytes_before: 0,
            order: 0,
            readable: Vec::new(),
            dirty: VecDeque::new(),
            drained: Vec::new(),
            writes_left: 0,
            free_ping: false,
            read_buffer: vec![0; READ_BUFFER].into(),
            inflater: Inflater::new(),
            deflater: Deflater::new(),
            scratch: Vec::new(),
        }
    }
}
