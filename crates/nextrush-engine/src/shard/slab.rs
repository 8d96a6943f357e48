//! The connections of a shard, by slot.

use super::live::Live;
use crate::chunked::Chunked;
use crate::link::Key;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Slab {
    slots: Chunked<Option<Live>>,
    len: usize,
}

impl Slab {
    pub(super) fn insert(&mut self, slot: u32, live: Live) {
        let before = self.slots.place(slot as usize).replace(live);
        debug_assert!(before.is_none(), "a slot is given out once");
        self.len += 1;
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Live> {
        let live = self.slots.get_mut(slot as usize)?.take()?;
        self.len -= 1;
        Some(live)
    }

    pub(super) fn at(&mut self, slot: u32) -> Option<&mut Live> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The number of slots that have been used so far.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The connection of this key; `None` as well if its slot belongs to another one by now.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut Live> {
        self.at(key.slot).filter(|live| live.is_of(key.generation))
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.slots.iter().flatten().map(Live::key).collect()
    }
}
