//! The bytes of single connections, where they are counted.

use rustc_hash::FxHashMap;

use crate::connection::Traffic;

/// The bytes of each connection whose own are counted, by its slot. Beside the connections, so that
/// those that are not counted pay nothing.
#[derive(Default)]
pub(super) struct CountedTraffic(FxHashMap<u32, Traffic>);

impl CountedTraffic {
    /// Counts a connection from now on, of which so many bytes were read before.
    pub(super) fn begin(&mut self, slot: u32, read: usize) {
        let traffic = Traffic {
            bytes_in: read as u64,
            bytes_out: 0,
        };
        self.0.insert(slot, traffic);
    }

    /// Adds bytes to those of a connection. Out of the way of the others.
    #[cold]
    pub(super) fn add(&mut self, slot: u32, bytes_in: usize, bytes_out: usize) {
        if let Some(traffic) = self.0.get_mut(&slot) {
            traffic.bytes_in += bytes_in as u64;
            traffic.bytes_out += bytes_out as u64;
        }
    }

    /// The bytes of a connection, which is not counted any more.
    pub(super) fn end(&mut self, slot: u32) -> Option<Traffic> {
        self.0.remove(&slot)
    }
}
