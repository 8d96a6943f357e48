//! Epochs of topics that are not on disk.

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use crate::position::Epoch;
use crate::topic::Topic;

/// The epochs of topics in which nothing was published yet, or nothing since they were
/// forgotten. Nothing of such a topic is on disk: its epoch follows from its name and from the
/// one that the store keeps.
pub(super) struct Unborn(Mutex<Epoch>);

impl Unborn {
    pub(super) fn new(kept: Epoch) -> Self {
        Self(Mutex::new(kept))
    }

    pub(super) fn of(&self, topic: &Topic) -> Epoch {
        self.0.lock().with_key(xxh3_128(topic.as_str().as_bytes()))
    }

    /// Topics are about to be forgotten: what comes after them has other epochs. Returns the
    /// one to be kept.
    pub(super) fn renew(&self, now_ms: u64) -> Epoch {
        let epoch = Epoch::begin(now_ms);
        *self.0.lock() = epoch;
        epoch
    }
}
