//! Updates that were encoded lately.
//!
//! When many clients come back at once each of them misses much the same: encoding that for
//! each takes more time than sending it.

use std::fmt;
use std::sync::OnceLock;

use nextrush_broker::{Epoch, Publication, Topic};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::update;
use crate::message::Outgoing;

/// How much is kept, in bytes, whatever the number of channels.
const BYTES: u64 = 8 * 1024 * 1024;
/// How many updates of usual length that is.
const UPDATES: usize = 16 * 1024;
/// What keeping one takes beside its bytes.
const OVERHEAD: u64 = 200;

/// The updates that were sent to somebody who had missed them, the latest and most wanted.
/// Takes no memory before there is one.
#[derive(Default)]
pub(super) struct Encoded(OnceLock<Cache<Key, Outgoing, ByBytes>>);

type Key = (Topic, Epoch, u64);

impl Encoded {
    /// The message that tells of a publication.
    pub(super) fn update(
        &self,
        topic: &Topic,
        epoch: Epoch,
        publication: &Publication,
    ) -> Outgoing {
        let cache = self
            .0
            .get_or_init(|| Cache::with_weighter(UPDATES, BYTES, ByBytes));
        let key = (topic.clone(), epoch, publication.offset);
        if let Some(kept) = cache.get(&key) {
            return kept;
        }
        // Encoded twice if two want it at the same time, which costs less than waiting.
        let update = update(topic, publication);
        cache.insert(key, update.clone());
        update
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let updates = self.0.get().map_or(0, Cache::len);
        f.debug_struct("Encoded")
            .field("updates", &updates)
            .finish()
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Outgoing> for ByBytes {
    fn weight(&self, (topic, ..): &Key, update: &Outgoing) -> u64 {
        OVERHEAD + (topic.as_str().len() + update.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(offset: u64, data: Vec<u8>) -> Publication {
        Publication::new(offset, 0, data)
    }

    #[test]
    fn an_update_is_that_of_its_topic_epoch_and_offset() {
        let encoded = Encoded::default();
        let topics = ["live/0/a", "live/0/b"].map(|name| Topic::try_from(name).unwrap());
        let epochs = [Epoch::begin(0), Epoch::begin(1)];
        // The second time they are kept.
        for _ in 0..2 {
            for (number, topic) in topics.iter().enumerate() {
                for (epoch, time) in epochs.iter().zip(0..) {
                    for offset in 1..=3 {
                        let data = format!("{}", number as u64 * 100 + time * 10 + offset);
                        let publication = publication(offset, data.into_bytes());
                        let kept = encoded.update(topic, *epoch, &publication);
                        let expected = update(topic, &publication);
                        let bytes = |update: Outgoing| update.into_frame().as_bytes().to_vec();
                        assert_eq!(bytes(kept), bytes(expected));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let encoded = Encoded::default();
        let topic = Topic::try_from("live/0/a").unwrap();
        let data = format!("{:?}", "x".repeat(50_000)).into_bytes();
        for offset in 0..1000 {
            encoded.update(&topic, Epoch::begin(0), &publication(offset, data.clone()));
        }
        let cache = encoded.0.get().unwrap();
        assert!(cache.weight() <= BYTES);
        assert!(cache.len() > 50);
    }
}
