use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::{Duration, Instant},
};

use fjall::OwnedWriteBatch;

use super::{
    Shared,
    error::Failure,
    record::{self, Answer, TopicRecord},
    store::Store,
};
use crate::{BrokerError, Topic, clock::whole_ms};

/// How many publications or answers are removed at a time at least, so that whoever
/// publishes waits for a millisecond or so.
const REMOVED: u64 = 1024;
/// How many topics are looked at each second, whether they have expired.
const SWEPT: usize = 256;
/// How often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Removes from the disk what is not remembered any more, in pieces.
///
/// These writes are not forced to the disk: they get there with the next group, and when
/// they are lost in a crash the same is removed again.
pub(super) struct Expiry {
    /// Topics of which there is more on disk than they remember.
    surplus: BTreeSet<Topic>,
    swept: Instant,
    /// The last topic that was looked at; `None` to begin with the first.
    last: Option<Topic>,
}

impl Default for Expiry {
    fn default() -> Self {
        Self {
            surplus: BTreeSet::new(),
            swept: Instant::now(),
            last: None,
        }
    }
}

/// One piece of work.
struct Removal<'a> {
    shared: &'a Shared,
    store: &'a Store,
    batch: OwnedWriteBatch,
    /// Topics that are changed, and their newest offset.
    changed: BTreeMap<Topic, u64>,
}

impl Expiry {
    /// Has the surplus of these topics removed.
    pub(super) fn note(&mut self, topics: BTreeSet<Topic>) {
        self.surplus.extend(topics);
    }

    /// How long there is nothing to do.
    pub(super) fn rest(&self) -> Duration {
        if self.surplus.is_empty() {
            SWEEP_EVERY.saturating_sub(self.swept.elapsed())
        } else {
            Duration::ZERO
        }
    }

    /// Removes a piece, larger than the `written` publications before it, so that the disk
    /// does not fill up however much is published. If that fails it is open what is on disk of the topics returned,
    /// whose newest offsets stand beside them.
    pub(super) fn run(
        &mut self,
        shared: &Shared,
        store: &Store,
        written: u64,
    ) -> Result<(), (Failure, BTreeMap<Topic, u64>)> {
        let mut removal = Removal {
            shared,
            store,
            batch: store.unforced_batch(),
            changed: BTreeMap::new(),
        };
        let mut left = REMOVED.max(2 * written);
        let mut unfinished = BTreeSet::new();
        while left > 0
            && let Some(topic) = self.surplus.pop_first()
        {
            match removal.remove_surplus(&topic, left) {
                Ok(removed) => {
                    left -= removed.count;
                    if removed.has_more {
                        unfinished.insert(topic);
                    }
                }
                // What cannot be read stays, and is reported to whoever asks for it.
                Err(_) => continue,
            }
        }
        self.surplus.append(&mut unfinished);
        if self.swept.elapsed() >= SWEEP_EVERY {
            self.swept = Instant::now();
            // As above.
            let _ = removal.remove_ended_answers();
            let _ = self.sweep(&mut removal);
        }
        let Removal { batch, changed, .. } = removal;
        batch
            .commit()
            .map_err(|error| (Failure::from(error), changed))
    }

    /// Looks at some topics, whether they have expired.
    fn sweep(&mut self, removal: &mut Removal<'_>) -> Result<(), BrokerError> {
        let now_ms = removal.shared.topics.now_ms();
        let idle_ms = whole_ms(removal.shared.options.idle);
        let from = match self.last.take() {
            Some(last) => Bound::Excluded(last.as_str().to_owned()),
            None => Bound::Unbounded,
        };
        let topics = &removal.store.topics;
        for pair in topics.range((from, Bound::Unbounded)).take(SWEPT) {
            let (name, value) = pair.into_inner()?;
            let name = str::from_utf8(&name).unwrap_or_default();
            let Ok(topic) = Topic::try_from(name) else {
                continue;
            };
            self.last = Some(topic.clone());
            let record = TopicRecord::from_bytes(&value)?;
            let has_expired = |age_ms: u64| record.published_ms.saturating_add(age_ms) <= now_ms;
            let age = record.retention.age.map(whole_ms);
            if record.first <= record.top {
                if age.is_some_and(has_expired) {
                    self.surplus.insert(topic);
                }
            } else if has_expired(idle_ms) {
                removal.forget(&topic);
            }
        }
        Ok(())
    }
}

/// What was removed of a topic.
struct Removed {
    count: u64,
    has_more: bool,
}

impl Removal<'_> {
    /// Removes what a topic does not remember any more, at most so many publications.
    fn remove_surplus(&mut self, topic: &Topic, limit: u64) -> Result<Removed, BrokerError> {
        if self.changed.contains_key(topic) {
            // A key must be in a batch once at most.
            return Ok(Removed {
                count: 0,
                has_more: true,
            });
        }
        self.shared.enter_loaded(topic, |cached, now_ms| {
            let Some(mut record) = cached.record(now_ms) else {
                return Removed {
                    count: 0,
                    has_more: false,
                };
            };
            let remembered = cached.first();
            let until = remembered.min(record.first.saturating_add(limit));
            let count = until.saturating_sub(record.first);
            for offset in record.first..until {
                let key = record::publication_key(record.id, offset);
                self.batch.remove(&self.store.publications, key);
            }
            if count > 0 {
                record.first = until;
                cached.set_first_on_disk(until);
                let value = record.to_bytes();
                self.batch.insert(&self.store.topics, topic.as_str(), value);
                self.changed.insert(topic.clone(), record.top);
            }
            Removed {
                count,
                has_more: until < remembered,
            }
        })
    }

    fn remove_ended_answers(&mut self) -> Result<(), BrokerError> {
        let now_ms = self.shared.topics.now_ms();
        let until = now_ms.saturating_add(1).to_be_bytes();
        let ends = self.store.ends.range(..until);
        for end in ends.take(usize::try_from(REMOVED).unwrap_or(usize::MAX)) {
            let end = end.key()?;
            if let Some(key) = record::ended(&end)
                && let Some(value) = self.store.answers.get(key)?
                // It may have been given anew since.
                && Answer::from_bytes(&value)?.ends_ms <= now_ms
            {
                self.batch.remove(&self.store.answers, key.to_vec());
            }
            self.batch.remove(&self.store.ends, end);
        }
        Ok(())
    }

    /// Ends the life of a topic, unless it is in use.
    fn forget(&mut self, topic: &Topic) {
        let (store, batch, changed) = (self.store, &mut self.batch, &mut self.changed);
        self.shared.topics.enter(topic, |cached, _| {
            if !cached.has_interest() && !changed.contains_key(topic) {
                cached.unload();
                cached.set_disk(None);
                batch.remove(&store.topics, topic.as_str());
                changed.insert(topic.clone(), 0);
            }
        });
    }
}
