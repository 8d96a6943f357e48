//! Members that lag: they skip a room's publications, and catch up by a refill.

use std::mem;
use std::sync::Arc;

use super::Shard;
use super::calls::{Purpose, drop_shielded, log_panic};
use super::live::{Flags, Live};
use super::outbox::COALESCE;
use super::peer::Peer;
use crate::id::RoomId;
use crate::room::{
    Filled, Filling, Giving, Lag, Looking, Place, Refill, Skippable, Standing, Unsent,
};
use crate::transport::Io;

/// The most bytes that wait when a refill is asked for, unless half of [`Skippable::over`] is
/// less: a slow reader always has something on the way, and the server keeps little for it.
const LOW: usize = COALESCE;

/// A member's lag in one room.
pub(super) struct Lagging {
    room: RoomId,
    number: u64,
    /// The first publication that the member has skipped.
    first: u64,
    /// The most bytes that wait when a refill is asked for.
    low: usize,
    refill: Arc<dyn Refill>,
    /// `true` if the refill was asked for and has not come.
    is_asked: bool,
}

impl<I: Io> Shard<I> {
    /// Sends a new member the frames of the room's history, and begins a lag for the rest of it.
    pub(super) fn give(&mut self, slot: u32, giving: Giving) {
        let Giving {
            room,
            first,
            frames,
            rest,
        } = giving;
        let Some(peer) = self.peer(slot) else {
            return;
        };
        if !peer.live.is_sent_to() {
            return frames
                .iter()
                .for_each(|frame| peer.live.connection.settle(frame.len()));
        }
        // What was published since it joined comes first.
        self.hand_out(room);
        let Some(mut peer) = self.peer(slot) else {
            return;
        };
        for frame in frames {
            peer.send_at(
                frame,
                Place {
                    room,
                    number: first,
                },
            );
        }
        peer.note_skippable();
        if let Some(rest) = rest
            && peer.live.is_in(room)
            && !peer.live.lags_in(room)
        {
            peer.begin_lag(room, &rest);
            peer.mark_dirty();
        }
    }

    /// Sends a lagging member the frames of a refill.
    pub(super) fn fill(&mut self, slot: u32, filling: Filling) {
        let Filling {
            room,
            number,
            filled,
        } = filling;
        let Some(peer) = self.peer(slot) else {
            return;
        };
        let lagging = peer.live.lagging(room).filter(|lag| lag.number == number);
        let Some(first) = lagging.map(|lagging| lagging.first) else {
            return;
        };
        let place = Place {
            room,
            number: first,
        };
        let (frames, next) = match filled {
            Filled::Live { frames } => (frames, None),
            Filled::Part { frames, first } => (frames, Some(first)),
            Filled::Never(error) => return peer.live.connection.fail(error),
        };
        // What was published before is part of this refill or of a later one.
        self.hand_out(room);
        let Some(mut peer) = self.peer(slot) else {
            return;
        };
        for frame in frames {
            let sent = peer.parts.sent_now(frame).at(place);
            peer.enqueue(sent);
        }
        peer.note_skippable();
        match next {
            Some(first) => {
                peer.live.put_off(room, first);
                peer.mark_dirty();
            }
            None => peer.end_lag(room),
        }
    }

    /// Asks for the refills of members that have taken their backlog.
    pub(super) fn refill_drained(&mut self) {
        for (key, waiting) in mem::take(&mut self.parts.drained) {
            if let Some(mut peer) = self.peer_of(key) {
                peer.ask(waiting);
            }
        }
    }
}

impl<I: Io> Peer<'_, I> {
    pub(super) fn note_skippable(&mut self) {
        if let Some(outbox) = &mut self.live.outbox {
            outbox.note_skippable();
        }
    }

    pub(super) fn begin_lag(&mut self, room: RoomId, skippable: &Skippable) {
        let counts = &mut self.parts.counts;
        counts.lags += 1;
        counts.lagging += u64::from(!self.live.is(Flags::LAGS));
        self.live.begin_lag(room, counts.lags, skippable);
        let (id, first) = (self.live.id(), skippable.offset);
        let told = || skippable.refill.lags(id, first);
        if let Err(panic) = self.parts.caller.call(self.slot, told) {
            log_panic(Some(&self.live.connection), &panic);
        }
    }

    /// Tells how the member stands in a room.
    pub(super) fn look(&mut self, looking: Looking) {
        let Looking { room, tell } = looking;
        let lagging = self.live.lagging(room);
        let mut standing = Standing {
            lags_from: lagging.map(|lagging| lagging.first),
            ..Standing::default()
        };
        if let Some(outbox) = &self.live.outbox {
            standing.waits_from = first_of(outbox.places().filter(|place| place.room == room));
            standing.waits_for_others = outbox.holds_others();
        }
        if let Err(panic) = self.parts.caller.call(self.slot, || tell(standing)) {
            log_panic(Some(&self.live.connection), &panic);
        }
    }

    /// Tells the handler which publications wait that are not going to be written for certain.
    pub(super) fn tell_unsent(&mut self) {
        let Some(outbox) = &self.live.outbox else {
            return;
        };
        let mut rooms: Vec<RoomId> = Vec::new();
        for place in outbox.places() {
            if !rooms.contains(&place.room) {
                rooms.push(place.room);
            }
        }
        let of_room = |room| {
            let first = first_of(outbox.places().filter(|place| place.room == room));
            Some(Unsent {
                room: room.number(),
                first: first?,
            })
        };
        let unsent: Vec<_> = rooms.into_iter().filter_map(of_room).collect();
        if unsent.is_empty() {
            return;
        }
        let connection = &self.live.connection;
        let told = || connection.events().unsent(connection, &unsent);
        if let Err(panic) = self.parts.caller.call(self.slot, told) {
            log_panic(Some(connection), &panic);
        }
    }

    /// Ends the member's lag in this room, if it has one.
    pub(super) fn end_lag(&mut self, room: RoomId) {
        if !self.live.is(Flags::LAGS) {
            return;
        }
        if self.live.end_lag(room) {
            self.parts.counts.lagging -= 1;
        } else {
            // The lag of another room can be filled.
            self.mark_dirty();
        }
    }

    /// Lets a refill be asked for at the end of the turn, if little enough waits.
    pub(super) fn note_drained(&mut self) {
        if !self.live.is(Flags::LAGS) {
            return;
        }
        let waiting = self.live.outbox.as_ref().map_or(0, |outbox| outbox.len());
        if self.live.is_sent_to() && self.live.next_lag(waiting).is_some() {
            self.parts.drained.push((self.key(), waiting));
        }
    }

    fn ask(&mut self, waiting: usize) {
        let connection = self.live.connection.clone();
        let Some(lagging) = self.live.next_lag(waiting) else {
            return;
        };
        lagging.is_asked = true;
        let lag = Lag::new(connection, lagging.room, lagging.number, lagging.first);
        let refill = Arc::clone(&lagging.refill);
        match self.parts.caller.call(self.slot, || refill.refill(lag)) {
            Ok(work) => self.begin_work(Purpose::Aside, work),
            // The lag is dropped, which has closed the connection.
            Err(panic) => log_panic(None, &panic),
        }
    }
}

/// The first number of places in a room; 0 where they are numbered anew on the way.
fn first_of(places: impl Iterator<Item = Place>) -> Option<u64> {
    let mut numbers = places.map(|place| place.number);
    let first = numbers.next()?;
    let mut before = first;
    let rises = numbers.all(|number| mem::replace(&mut before, number) <= number);
    Some(if rises { first } else { 0 })
}

impl Live {
    pub(super) fn lags_in(&self, room: RoomId) -> bool {
        self.is(Flags::LAGS) && {
            let lags = self.extra().map(|extra| extra.lags.iter());
            lags.is_some_and(|mut lags| lags.any(|lagging| lagging.room == room))
        }
    }

    fn lagging(&mut self, room: RoomId) -> Option<&mut Lagging> {
        let mut lags = self.extra_mut()?.lags.iter_mut();
        lags.find(|lagging| lagging.room == room)
    }

    /// The next lag to be filled while so many bytes wait. One at a time, so that their parts
    /// don't add up.
    fn next_lag(&mut self, waiting: usize) -> Option<&mut Lagging> {
        let lags = &mut self.extra_mut()?.lags;
        if lags.iter().any(|lagging| lagging.is_asked) {
            return None;
        }
        lags.iter_mut().find(|lagging| waiting <= lagging.low)
    }

    /// Moves a lag that was filled in part behind the others.
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

    /// Ends the lag in this room. Returns whether it was the last one.
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
