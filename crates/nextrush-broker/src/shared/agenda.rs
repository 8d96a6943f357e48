//! The topics whose turn comes at a time.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::topic::Topic;

/// The most topics in a request to the store.
pub(super) const BATCH: usize = 512;

/// The time between two batches of topics that are watched again: 20,000 topics a second.
pub(super) const BATCH_EVERY: Duration = Duration::from_micros(25_600);

/// Topics in the order of the times at which it is their turn, and of their coming.
#[derive(Default)]
pub(super) struct Agenda {
    topics: BTreeMap<(Instant, u64), Arc<Topic>>,
    last: u64,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Instant, topic: &Arc<Topic>) {
        self.last += 1;
        let key = (at, self.last);
        self.topics.insert(key, Arc::clone(topic));
    }

    /// Takes a batch of those whose time has come, or returns the time at which there will be
    /// some.
    pub(super) fn take(&mut self) -> Result<Vec<Arc<Topic>>, Option<Instant>> {
        let now = Instant::now();
        let mut taken = Vec::new();
        while taken.len() < BATCH
            && let Some(first) = self.topics.first_entry()
            && first.key().0 <= now
        {
            taken.push(first.remove());
        }
        if taken.is_empty() {
            return Err(self.topics.first_key_value().map(|((at, _), _)| *at));
        }
        Ok(taken)
    }

    /// Lets the turn of all come now, batch by batch.
    pub(super) fn hasten(&mut self) {
        let now = Instant::now();
        for (place, (key, topic)) in mem::take(&mut self.topics).into_iter().enumerate() {
            let turn = u32::try_from(place / BATCH).unwrap_or(u32::MAX);
            let at = key.0.min(now + BATCH_EVERY * turn);
            self.topics.insert((at, key.1), topic);
        }
    }
}
