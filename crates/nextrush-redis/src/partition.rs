//! Partitions: the groups of topics that stay on one server of a cluster.

use crc::{CRC_16_XMODEM, Crc};
use xxhash_rust::xxh3::xxh3_64;

/// The number of partitions. It is fixed for as long as the data of a deployment lasts.
pub(crate) const PARTITIONS: u16 = 256;

/// The number of hash slots of a cluster.
const SLOTS: u16 = 16_384;

/// The slots of a cluster that one partition stands for.
const SLOTS_EACH: u16 = SLOTS / PARTITIONS;

/// A number below [`PARTITIONS`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Partition(u16);

impl Partition {
    /// The partition of a topic, or of the owner of commands. The same on every node and in
    /// every version.
    pub(crate) fn of(name: &str) -> Self {
        let reduced = xxh3_64(name.as_bytes()) % u64::from(PARTITIONS);
        Self(u16::try_from(reduced).unwrap_or_default())
    }

    /// The partition of what there is once for all.
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The hash tags of the partitions, which spread evenly over the slots of a cluster: numbers
/// without a choice would leave some of few servers without any.
pub(crate) struct Tags {
    tags: Vec<(String, u16)>,
}

impl Tags {
    /// The tag of partition n has a slot among the n-th part of all slots: the first number in
    /// base 16 that does.
    pub(crate) fn new() -> Self {
        let mut tags = vec![None; usize::from(PARTITIONS)];
        let mut missing = tags.len();
        let mut number = 0_u32;
        while missing > 0 {
            let tag = format!("{number:x}");
            let slot = slot_of(&tag);
            let place = &mut tags[usize::from(slot / SLOTS_EACH)];
            if place.is_none() {
                *place = Some((tag, slot));
                missing -= 1;
            }
            number += 1;
        }
        Self {
            tags: tags.into_iter().flatten().collect(),
        }
    }

    /// The text between the braces of a key.
    pub(crate) fn tag(&self, partition: Partition) -> &str {
        &self.tags[partition.index()].0
    }

    /// The hash slot of a partition in a cluster.
    pub(crate) fn slot(&self, partition: Partition) -> u16 {
        self.tags[partition.index()].1
    }
}

/// The hash slot of a tag, as Redis Cluster computes it.
fn slot_of(tag: &str) -> u16 {
    Crc::<u16>::new(&CRC_16_XMODEM).checksum(tag.as_bytes()) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // As `CLUSTER KEYSLOT` answers.
        for (tag, slot) in [("123456789", 12_739), ("foo", 12_182), ("a", 15_495)] {
            assert_eq!(slot_of(tag), slot, "{tag}");
        }
    }

    #[test]
    fn tags_are_the_same_for_ever_and_spread_over_all_slots() {
        let tags = Tags::new();
        let slots: Vec<_> = Partition::all()
            .map(|partition| tags.slot(partition))
            .collect();
        for (index, slot) in slots.iter().enumerate() {
            assert_eq!(usize::from(slot / 64), index);
        }
        let first: Vec<_> = Partition::all().take(4).map(|one| tags.tag(one)).collect();
        assert_eq!(first, ["2b7", "14", "278", "10"]);
    }

    #[test]
    fn topics_stay_in_their_partitions() {
        let of = |name| Partition::of(name).index();
        assert_eq!(
            [of("chat/chat/lobby"), of("live/live/posts"), of("")],
            [49, 192, 194]
        );
    }
}
