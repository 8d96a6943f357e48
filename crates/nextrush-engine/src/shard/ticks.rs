//! The clock of the heartbeat: for how long each client is silent, and when it is looked at.

use std::mem;
use std::ops::Range;
use std::time::Duration;

use crate::moment::Moment;

/// The precision of the heartbeat.
const TICK: Duration = Duration::from_millis(100);

/// Fewer slots than this are looked at all at once.
const SLICE: usize = 1024;

/// A full round is spread over at most this many ticks.
const MAX_SLICES: u32 = 16;

/// The ticks of 100 ms in which each connection was last heard of, and in which it has to be
/// looked at: dense arrays, in which a million connections are searched within a millisecond.
///
/// A round searches the arrays, one slice of the slots each tick, so that pings are spread.
/// Between rounds nothing happens until the earliest slot is due.
pub(super) struct Ticks {
    now: u32,
    alive: Vec<u32>,
    due: Vec<u32>,
    /// The next slice of the round; 0 between rounds.
    slice: u32,
    slices: u32,
    /// The tick of the next slice; [`NEVER`] if there is nothing to look at.
    next: u32,
    /// The tick of the next round: the earliest that this round has found not to be due yet.
    earliest: u32,
    /// The shortest time in which anything has to be looked at.
    shortest: u32,
}

const NEVER: u32 = u32::MAX;

impl Default for Ticks {
    fn default() -> Self {
        Self {
            now: 0,
            alive: Vec::new(),
            due: Vec::new(),
            slice: 0,
            slices: 1,
            next: NEVER,
            earliest: NEVER,
            shortest: NEVER,
        }
    }
}

impl Ticks {
    pub(super) fn advance_to(&mut self, now: Moment) {
        let elapsed = now.since(Moment::START).as_nanos() / TICK.as_nanos();
        self.now = u32::try_from(elapsed).unwrap_or(NEVER - 1);
    }

    /// Begins to watch a new connection, which is heard of now.
    pub(super) fn begin(&mut self, slot: u32) {
        let index = slot as usize;
        if index >= self.due.len() {
            self.due.resize(index + 1, NEVER);
            self.alive.resize(index + 1, self.now);
        }
        self.alive[index] = self.now;
    }

    /// Notes that the slot's peer was heard of. Returns for how many ticks it was silent.
    pub(super) fn alive(&mut self, slot: u32) -> u32 {
        let before = mem::replace(&mut self.alive[slot as usize], self.now);
        self.now.saturating_sub(before)
    }

    /// The least time for which the slot's peer has been silent.
    pub(super) fn silence(&self, slot: u32) -> Duration {
        let ticks = self.now.saturating_sub(self.alive[slot as usize]);
        TICK * ticks.saturating_sub(1)
    }

    /// Prepares for slots that have to be looked at in as little time as this.
    pub(super) fn expect(&mut self, shortest: Duration) {
        self.shortest = self.shortest.min(ticks(shortest));
    }

    /// Lets a slot be looked at once `after` has passed.
    pub(super) fn look_after(&mut self, slot: u32, after: Duration) {
        // One more: this tick has begun already.
        let due = self.now.saturating_add(ticks(after)).saturating_add(1);
        let due = due.min(NEVER - 1);
        self.due[slot as usize] = due;
        self.earliest = self.earliest.min(due);
        if self.slice == 0 {
            self.next = self.next.min(due);
        }
    }

    /// Stops looking at a slot.
    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(due) = self.due.get_mut(slot as usize) {
            *due = NEVER;
        }
    }

    /// The moment of the next slice.
    pub(super) fn next(&self) -> Option<Moment> {
        (self.next != NEVER).then(|| Moment::START.after(TICK * self.next))
    }

    /// Adds the slots of the next slice that are due to `found`, if its time has come.
    pub(super) fn sweep(&mut self, found: &mut Vec<u32>) {
        if self.now < self.next {
            return;
        }
        if self.slice == 0 {
            self.earliest = NEVER;
            self.slices = self.slices_of_round();
        }
        let range = self.slice_range();
        let start = range.start;
        for (offset, due) in self.due[range].iter_mut().enumerate() {
            if *due <= self.now {
                *due = NEVER;
                // A shard's slots are counted in 32 bits.
                found.push((start + offset) as u32);
            } else {
                self.earliest = self.earliest.min(*due);
            }
        }
        self.slice += 1;
        if self.slice == self.slices {
            self.slice = 0;
            self.next = self.earliest;
        } else {
            self.next = self.now + 1;
        }
    }

    /// The slices of a round, which takes at most an eighth of the shortest time asked for.
    fn slices_of_round(&self) -> u32 {
        let by_time = (self.shortest / 8).clamp(1, MAX_SLICES);
        let by_size = u32::try_from(self.due.len().div_ceil(SLICE)).unwrap_or(MAX_SLICES);
        by_time.min(by_size.max(1))
    }

    fn slice_range(&self) -> Range<usize> {
        let (slice, slices) = (self.slice as usize, self.slices as usize);
        let length = self.due.len();
        length * slice / slices..length * (slice + 1) / slices
    }
}

/// The ticks after which the duration has passed.
fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(NEVER)
}
