use std::mem;
use std::sync::Arc;

use super::Shard;
use super::calls::{Purpose, drop_shielded, log_panic};
use super::outbox::COALESCE;
use super::rooms::Publication;
use super::slab::{Flags, Live};
use crate::id::RoomId;
use crate::link::Key;
use crate::room::{Filled, Filling, Giving, Lag, Refill, Skippable};
use crate::transport::Io;

/// A lag is filled once no more than this waits, or half of what may: a slow reader always has
/// something on the way, and the server keeps little for it.
const LOW: usize = COALESCE;

/// That a member gets nothing of a room, as it reads too slowly.
pub(super) struct Lagging {
    room: RoomId,
    number: u64,
    /// The first publication that was left out.
    first: u64,
    /// It is filled when no more than so many bytes wait.
    low: usize,
    refill: Arc<dyn Refill>,
    /// It is being filled.
    is_asked: bool,
}

impl<I: Io> Shard<I> {
    /// Whether a publication is left out for a member: because it lags, or as it begins to
    /// with this one.
    pub(super) fn skips(&mut self, slot: u32, room: RoomId, publication: &Publication) -> bool {
        let Some(live) = self.slab.at(slot) else {
            return false;
        };
        if live.lags_in(room) {
            return true;
        }
        let Some(skippable) = publication.skippable.as_deref() else {
            return false;
        };
        let most = live.options().backlog.bytes / 2;
        let Some(outbox) = live.outbox.as_mut() else {
            return false;
        };
        let length = publication.sent.frame.len();
        if outbox.has_place(length, skippable.over.min(most), most) {
            return false;
        }
        self.begin_lag(slot, room, skippable);
        true
    }

    /// Sends what was published before the member came, and leaves out the rest for now.
    pub(super) fn give(&mut self, slot: u32, giving: Giving) {
        let Giving { room, frames, rest } = giving;
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if !live.is_sent_to() {
            return frames
                .iter()
                .for_each(|frame| live.connection.settle(frame.len()));
        }
        // What was published since it came comes first.
        self.hand_out(room);
        for frame in frames {
            self.send(slot, frame);
        }
        self.be_patient(slot);
        let live = self.slab.at(slot);
        if let Some(rest) = rest
            && live.is_some_and(|live| live.is_in(room) && !live.lags_in(room))
        {
            self.begin_lag(slot, room, &rest);
            self.mark_dirty(slot);
        }
    }

    /// What waits can be had again later, or belongs to that.
    pub(super) fn be_patient(&mut self, slot: u32) {
        let outbox = self.slab.at(slot).and_then(|live| live.outbox.as_mut());
        if let Some(outbox) = outbox {
            outbox.be_patient();
        }
    }

    fn begin_lag(&mut self, slot: u32, room: RoomId, skippable: &Skippable) {
        if let Some(live) = self.slab.at(slot) {
            self.counts.lags += 1;
            if !live.is(Flags::LAGS) {
                self.counts.lagging += 1;
            }
            live.begin_lag(room, self.counts.lags, skippable);
        }
    }

    /// Has lags filled if little enough waits.
    pub(super) fn note_drained(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot).filter(|live| live.is(Flags::LAGS)) else {
            return;
        };
        let waiting = live.outbox.as_ref().map_or(0, |outbox| outbox.len());
        if live.is_sent_to() && live.next_lag(waiting).is_some() {
            let drained = (live.key(), waiting);
            self.drained.push(drained);
        }
    }

    /// Asks for what those lack who have taken what waited for them.
    pub(super) fn refill_drained(&mut self) {
        for (key, waiting) in mem::take(&mut self.drained) {
            if let Some((refill, lag)) = self.ask(key, waiting) {
                match self.caller.call(key.slot, || refill.refill(lag)) {
                    Ok(work) => self.begin_work(key, Purpose::Aside, work),
                    // The lag is dropped, which has closed the connection.
                    Err(panic) => log_panic(None, &panic),
                }
            }
        }
    }

    fn ask(&mut self, key: Key, waiting: usize) -> Option<(Arc<dyn Refill>, Lag)> {
        let live = self.slab.get(key)?;
        let connection = live.connection.clone();
        let lagging = live.next_lag(waiting)?;
        lagging.is_asked = true;
        let lag = Lag::new(connection, lagging.room, lagging.number, lagging.first);
        Some((Arc::clone(&lagging.refill), lag))
    }

    /// Sends what was left out.
    pub(super) fn fill(&mut self, slot: u32, filling: Filling) {
        let Filling {
            room,
            number,
            filled,
        } = filling;
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if live.lagging(room).is_none_or(|lag| lag.number != number) {
            return;
        }
        let (frames, next) = match filled {
            Filled::Live { frames } => (frames, None),
            Filled::Part { frames, first } => (frames, Some(first)),
            Filled::Never(error) => return live.connection.fail(error),
        };
        // What was published before is among what it gets now, or will be.
        self.hand_out(room);
        for frame in frames {
            let sent = self.sent_now(frame);
            self.enqueue(slot, sent);
        }
        self.be_patient(slot);
        match next {
            Some(first) => {
                if let Some(live) = self.slab.at(slot) {
                    live.put_off(room, first);
                }
                self.mark_dirty(slot);
            }
            None => self.end_lag(slot, room),
        }
    }

    /// Also if there is none.
    pub(super) fn end_lag(&mut self, slot: u32, room: RoomId) {
        let live = self.slab.at(slot).filter(|live| live.is(Flags::LAGS));
        match live.map(|live| live.end_lag(room)) {
            Some(true) => self.counts.lagging -= 1,
            // The next one can be filled.
            Some(false) => self.mark_dirty(slot),
            None => {}
        }
    }
}

impl Live {
    fn lags_in(&self, room: RoomId) -> bool {
        self.is(Flags::LAGS) && {
            let lags = self.extra().map(|extra| extra.lags.iter());
            lags.is_some_and(|mut lags| lags.any(|lagging| lagging.room == room))
        }
    }

    fn lagging(&mut self, room: RoomId) -> Option<&mut Lagging> {
        let mut lags = self.extra_mut()?.lags.iter_mut();
        lags.find(|lagging| lagging.room == room)
    }

    /// One that can be filled now, with so many bytes waiting: one at a time, so that their parts
    /// don't add up.
    fn next_lag(&mut self, waiting: usize) -> Option<&mut Lagging> {
        let lags = &mut self.extra_mut()?.lags;
        if lags.iter().any(|lagging| lagging.is_asked) {
            return None;
        }
        lags.iter_mut().find(|lagging| waiting <= lagging.low)
    }

    /// A part of a lag was filled, and it is the others' turn.
    fn put_off(&mut self, room: RoomId, first: u64) {
        let Some(extra) = self.extra_mut() else {
            return;
        };
        let lags = &mut extra.lags;
        if let Some(index) = lags.iter().position(|lagging| lagging.room == room) {
            lags[index..].rotate_left(1);
            if let Some(lagging) = lags.last_mut() {
                lagging.first = first;
                lagging.is_asked = false;
            }
        }
    }

    fn begin_lag(&mut self, room: RoomId, number: u64, skippable: &Skippable) {
        self.flags.insert(Flags::LAGS);
        self.need_extra().lags.push(Lagging {
            room,
            number,
            first: skippable.offset,
            low: LOW.min(skippable.over / 2),
            refill: Arc::clone(&skippable.refill),
            is_asked: false,
        });
    }

    /// Whether it lags in no room any more.
    fn end_lag(&mut self, room: RoomId) -> bool {
        let Some(extra) = self.extra_mut() else {
            return false;
        };
        let Some(index) = extra.lags.iter().position(|lagging| lagging.room == room) else {
            return false;
        };
        let ended = extra.lags.swap_remove(index);
        let was_last = extra.lags.is_empty();
        drop_shielded(ended);
        if was_last {
            self.flags.remove(Flags::LAGS);
            self.tidy();
        }
        was_last
    }
}
