//! Updates that were encoded lately.
//!
//! When many clients come back at once each of them misses much the same: encoding that for
//! each takes more time than sending it.

use std::fmt;
use std::sync::OnceLock;

use nextrush_broker::{Epoch, TopicName};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::message::Outgoing;

/// The bytes that are kept, whatever the number of topics.
const BYTES: u64 = 8 * 1024 * 1024;
/// The number of messages of usual length that this is.
const UPDATES: usize = 16 * 1024;
/// The bytes that keeping a message takes beside its own.
const OVERHEAD: u64 = 200;

/// The updates that were sent to somebody who had missed them, the latest and most wanted.
/// Takes no memory before there is one.
#[derive(Default)]
pub(super) struct Encoded(OnceLock<Cache<Key, Outgoing, ByBytes>>);

type Key = (TopicName, Epoch, u64);

impl Encoded {
    /// The message that tells of a publication; `encode` makes it unless it is kept.
    pub(super) fn get_or(
        &self,
        topic: &TopicName,
        epoch: Epoch,
        offset: u64,
        encode: impl FnOnce() -> Outgoing,
    ) -> Outgoing {
        let cache = self
            .0
            .get_or_init(|| Cache::with_weighter(UPDATES, BYTES, ByBytes));
        let key = (topic.clone(), epoch, offset);
        if let Some(kept) = cache.get(&key) {
            return kept;
        }
        // Encoded twice if two want it at the same time, which costs less than waiting.
        let message = encode();
        cache.insert(key, message.clone());
        message
    }

    /// Lets go of the message of a publication that was deleted.
    pub(super) fn forget(&self, topic: &TopicName, epoch: Epoch, offset: u64) {
        if let Some(cache) = self.0.get() {
            cache.remove(&(topic.clone(), epoch, offset));
        }
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

    fn bytes(message: Outgoing) -> Vec<u8> {
        message.into_frame().as_bytes().to_vec()
    }

    #[test]
    fn a_message_is_that_of_its_topic_epoch_and_offset() {
        let encoded = Encoded::default();
        let topics = ["live/live/a", "live/live/b"].map(|name| TopicName::try_from(name).unwrap());
        let epochs = [Epoch::begin(0), Epoch::begin(1)];
        // The second time they are kept.
        for is_kept in [false, true] {
            for topic in &topics {
                for epoch in epochs {
                    for offset in 1..=3 {
                        let text = format!("{topic} {epoch} {offset}");
                        let encode = || {
                            assert!(!is_kept, "{text} is encoded twice");
                            Outgoing::from(&text)
                        };
                        let message = encoded.get_or(topic, epoch, offset, encode);
                        assert_eq!(bytes(message), bytes(Outgoing::from(&text)));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let encoded = Encoded::default();
        let topic = TopicName::try_from("live/live/a").unwrap();
        let text = "x".repeat(50_000);
        for offset in 0..1000 {
            encoded.get_or(&topic, Epoch::begin(0), offset, || Outgoing::from(&text));
        }
        let cache = encoded.0.get().unwrap();
        assert!(cache.weight() <= BYTES);
        assert!(cache.len() > 50);
    }
}
