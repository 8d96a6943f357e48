use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::id::{ConnectionId, TimerId};
use crate::inbox::{Command, Inbox, Key, Order};

/// The side of a shard that other threads touch. Everything else of it belongs to the
/// shard's own thread.
pub(crate) struct Link {
    pub(crate) inbox: Inbox,
    index: u16,
    slots: Mutex<SlotNumbers>,
    load: AtomicUsize,
    timers: AtomicU64,
}

impl Link {
    pub(crate) fn new(index: u16) -> Self {
        Self {
            inbox: Inbox::default(),
            index,
            slots: Mutex::default(),
            load: AtomicUsize::new(0),
            timers: AtomicU64::new(0),
        }
    }

    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    /// Tells the shard to do something to a connection. Dropped if the shard has stopped,
    /// or if the connection is gone by then.
    pub(crate) fn post(&self, id: ConnectionId, order: Order) {
        self.inbox.push(Command::Connection(Key::from(id), order));
    }

    /// The connections that the shard has, for placement.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// A free slot for a new connection.
    pub(crate) fn take_slot(&self) -> ConnectionId {
        self.load.fetch_add(1, Ordering::Relaxed);
        let (slot, generation) = self.slots.lock().take();
        ConnectionId {
            shard: self.index,
            slot,
            generation,
        }
    }

    /// Gives a slot back; its next connection is of another generation.
    pub(crate) fn free_slot(&self, slot: u32) {
        self.slots.lock().free(slot);
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn next_timer(&self) -> TimerId {
        TimerId(self.timers.fetch_add(1, Ordering::Relaxed))
    }
}

/// Which slots are free, and how often each has been used.
#[derive(Default)]
struct SlotNumbers {
    generations: Vec<u32>,
    free: Vec<u32>,
}

impl SlotNumbers {
    fn take(&mut self) -> (u32, u32) {
        if let Some(slot) = self.free.pop() {
            return (slot, self.generations[slot as usize]);
        }
        let slot = u32::try_from(self.generations.len()).expect("no shard holds 2^32 connections");
        self.generations.push(0);
        (slot, 0)
    }

    fn free(&mut self, slot: u32) {
        let generation = &mut self.generations[slot as usize];
        *generation = generation.wrapping_add(1);
        self.free.push(slot);
    }
}
