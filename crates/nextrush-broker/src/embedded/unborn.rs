//! Epochs of topics that are not on disk.

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use crate::position::Epoch;
use crate::topic_name::TopicName;

/// The epochs of topics without publications, or without any since they were forgotten. Such
/// a topic is not on disk: its epoch is derived from its name and from an epoch that the
/// store keeps.
pub(super) struct Unborn(Mutex<Epoch>);

impl Unborn {
    pub(super) fn new(kept: Epoch) -> Self {
        Self(Mutex::new(kept))
    }

    pub(super) fn of(&self, topic: &TopicName) -> Epoch {
        self.0.lock().with_key(xxh3_128(topic.as_str().as_bytes()))
    }

    /// Replaces the epoch in memory, because topics are about to be forgotten and their next
    /// lives need other epochs. Returns the epoch for the store to keep.
    ///
    /// They begin later than the lives before, also where the clock was set back over a restart.
    pub(super) fn renew(&self, now_ms: u64) -> Epoch {
        let mut kept = self.0.lock();
        *kept = Epoch::begin(now_ms.max(kept.created_ms()));
        *kept
    }
}
