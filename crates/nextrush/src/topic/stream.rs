//! Subscribers that have fallen behind.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use nextrush_broker::{BrokerError, Epoch, HistoryQuery, Position, Publication};
use nextrush_engine::{Lag, Refill, Skippable, Work};
use nextrush_protocol::Frame;
use serde_json::Value;

use super::feed::{Behind, Feed};
use super::topics::{Entering, LocalTopic, Topics};
use crate::message::Outgoing;
use crate::topic::slow_readers::SlowReaders;

/// How much may wait for a subscriber before it falls behind, and how much of the history it
/// is then given at once, in bytes.
pub(crate) const PART: usize = 64 * 1024;

/// How many publications are read at once for one that has fallen behind.
const PUBLICATIONS: usize = 256;

/// How many keys there are newest publications of.
const KEYS: usize = 1000;

/// A topic between two losses of its history, as its subscribers on this node see it.
pub(super) struct Stream {
    local: Weak<LocalTopic>,
    epoch: Epoch,
}

impl Stream {
    pub(super) fn new(local: &Arc<LocalTopic>, epoch: Epoch) -> Self {
        Self {
            local: Arc::downgrade(local),
            epoch,
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// A publication that a subscriber can be given later, if more than so much waits for it.
    pub(super) fn skippable(self: Arc<Self>, offset: u64, over: usize) -> Skippable {
        Skippable::new(offset, over, self)
    }

    async fn catch_up(&self, lag: Lag) {
        let Some(local) = self.local.upgrade() else {
            return;
        };
        let (Some(topics), Some(feed)) = (local.topics.upgrade(), local.feed.upgrade()) else {
            return;
        };
        let subscriber = Subscriber {
            stream: self,
            local: &local,
            feed: &*feed,
            lag,
        };
        match local.policy.slow_readers {
            SlowReaders::Latest => subscriber.send_newest(),
            SlowReaders::Drop => subscriber.tell_of_loss(),
            // It gets from the history what it missed while it was away.
            SlowReaders::Heal | SlowReaders::Close => {
                if let Err(error) = subscriber.heal(&topics).await {
                    // The lag is dropped, which closes the socket: its client comes back and
                    // is told.
                    tracing::warn!(%error, topic = %local.topic, "a slow reader cannot have what it missed");
                }
            }
        }
    }
}

impl Refill for Stream {
    fn refill(self: Arc<Self>, lag: Lag) -> Work {
        Some(Box::pin(async move { self.catch_up(lag).await }))
    }
}

/// One that has fallen behind.
struct Subscriber<'a> {
    stream: &'a Stream,
    local: &'a Arc<LocalTopic>,
    feed: &'a dyn Feed,
    lag: Lag,
}

impl Subscriber<'_> {
    /// Sends what was missed from the history, part by part.
    async fn heal(self, topics: &Topics) -> Result<(), BrokerError> {
        let first = self.lag.first();
        // From now on what is published is held for it.
        let entering = Entering::again(self.local);
        let query = HistoryQuery::After {
            offset: first.saturating_sub(1),
            limit: PUBLICATIONS,
        };
        let topic = &self.local.topic;
        let history = topics.broker().history(topic, query).await?;
        let mut state = self.local.state.lock();
        let held = state.take_held(entering.ticket);
        let Position { epoch, offset: top } = history.position;
        if epoch != self.stream.epoch {
            let offset = state.delivered_in(epoch).max(top);
            self.begin_anew(epoch, offset);
            return Ok(());
        }
        let publications = first_bytes(&history.publications, self.part());
        let oldest = publications.first().map_or(top + 1, |oldest| oldest.offset);
        let last = publications.last().map_or(top, |last| last.offset);
        let held: Vec<Frame> = held
            .into_iter()
            .filter_map(|(offset, frame)| (offset > top).then_some(frame))
            .collect();
        let bytes: usize = publications.iter().map(|given| weight(given)).sum();
        let held_bytes: usize = held.iter().map(Frame::len).sum();
        let is_last = last == top && (held.is_empty() || bytes + held_bytes <= self.part());
        let counters = &self.local.policy.counters;
        counters.sent_later(publications.len());
        counters.missed(oldest - first);
        let mut frames = self.frames(&Behind {
            epoch,
            lost: (first < oldest).then(|| first..=oldest - 1),
            publications,
            offset: last,
            is_last,
        });
        if is_last {
            counters.sent_later(held.len());
            counters.recovered();
            frames.extend(held);
            self.lag.fill(frames);
        } else {
            self.lag.fill_part(frames, last + 1);
        }
        Ok(())
    }

    /// Sends the newest publications.
    fn send_newest(self) {
        let state = self.local.state.lock();
        let Some(current) = &state.stream else {
            return;
        };
        let counters = &self.local.policy.counters;
        let epoch = current.epoch;
        if epoch != self.stream.epoch {
            return self.begin_anew(epoch, state.delivered);
        }
        let first = self.lag.first();
        let mut frames = Vec::new();
        let mut bytes = 0;
        for (offset, frame) in state.newest.since(first) {
            bytes += frame.len();
            if bytes > self.part() && !frames.is_empty() {
                return self.lag.fill_part(frames, offset);
            }
            counters.sent_later(1);
            frames.push(frame.clone());
        }
        frames.extend(self.frames(&Behind::nothing(epoch, state.delivered)));
        counters.recovered();
        self.lag.fill(frames);
    }

    /// Tells what will not come.
    fn tell_of_loss(self) {
        let state = self.local.state.lock();
        let Some(current) = &state.stream else {
            return;
        };
        if current.epoch != self.stream.epoch {
            return self.begin_anew(current.epoch, state.delivered);
        }
        let lost = self.lag.first()..=state.delivered;
        let counters = &self.local.policy.counters;
        counters.missed(state.delivered + 1 - self.lag.first());
        counters.recovered();
        let frames = self.frames(&Behind::lost(current.epoch, lost));
        self.lag.fill(frames);
    }

    /// The topic's history was lost while the subscriber was behind.
    fn begin_anew(self, epoch: Epoch, offset: u64) {
        let counters = &self.local.policy.counters;
        counters.missed(offset);
        counters.recovered();
        let frames = self.frames(&Behind::lost(epoch, 1..=offset));
        self.lag.fill(frames);
    }

    /// How much it is given at once, in bytes.
    fn part(&self) -> usize {
        PART.min(self.lag.capacity() / 2)
    }

    fn frames(&self, behind: &Behind<'_>) -> Vec<Frame> {
        let messages = self.feed.catch_up(&self.local.topic, behind);
        messages.into_iter().map(Outgoing::into_frame).collect()
    }
}

/// The first publications, of no more than so many bytes but at least one.
pub(crate) fn first_bytes(
    publications: &[Arc<Publication>],
    mut bytes: usize,
) -> &[Arc<Publication>] {
    let fits = |publication: &&Arc<Publication>| {
        let left = bytes.checked_sub(weight(publication));
        bytes = left.unwrap_or_default();
        left.is_some()
    };
    let count = publications.iter().take_while(fits).count();
    &publications[..count.max(1).min(publications.len())]
}

/// About what a publication takes on the wire, in bytes.
fn weight(publication: &Publication) -> usize {
    const AROUND: usize = 400;
    publication.data.len() + AROUND
}

/// The newest publication of each key.
#[derive(Default)]
pub(super) struct Newest {
    by_offset: BTreeMap<u64, (Option<String>, Frame)>,
    offsets: HashMap<Option<String>, u64>,
}

impl Newest {
    pub(super) fn add(&mut self, key: Option<String>, offset: u64, frame: Frame) {
        if let Some(before) = self.offsets.insert(key.clone(), offset) {
            self.by_offset.remove(&before);
        }
        self.by_offset.insert(offset, (key, frame));
        if self.by_offset.len() > KEYS
            && let Some((_, (oldest, _))) = self.by_offset.pop_first()
        {
            self.offsets.remove(&oldest);
        }
    }

    fn since(&self, first: u64) -> impl Iterator<Item = (u64, &Frame)> {
        let since = self.by_offset.range(first..);
        since.map(|(offset, (_, frame))| (*offset, frame))
    }
}

/// What a publication says is its key: the value that the JSON pointer leads to. Where it
/// leads nowhere there is none, and all such publications are of one kind.
pub(crate) fn key_of(data: &[u8], pointer: &str) -> Option<String> {
    let data: Value = serde_json::from_slice(data).ok()?;
    data.pointer(pointer).map(Value::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(newest: &Newest, first: u64) -> Vec<u64> {
        newest.since(first).map(|(offset, _)| offset).collect()
    }

    #[test]
    fn of_each_key_the_newest_is_kept_in_the_order_of_their_offsets() {
        let mut newest = Newest::default();
        let keys = ["a", "b", "a", "c", "b"];
        for (offset, key) in (1..).zip(keys) {
            newest.add(Some(key.to_owned()), offset, Frame::text(key));
        }
        assert_eq!(offsets(&newest, 1), [3, 4, 5]);
        assert_eq!(offsets(&newest, 4), [4, 5]);
        newest.add(None, 6, Frame::text("x"));
        newest.add(None, 7, Frame::text("x"));
        assert_eq!(offsets(&newest, 1), [3, 4, 5, 7]);
    }

    #[test]
    fn the_keys_are_bounded_and_the_oldest_goes() {
        let mut newest = Newest::default();
        for offset in 1..=KEYS as u64 + 10 {
            newest.add(Some(offset.to_string()), offset, Frame::text("x"));
        }
        assert_eq!(offsets(&newest, 1).len(), KEYS);
        assert_eq!(offsets(&newest, 1)[0], 11);
        assert_eq!(newest.offsets.len(), KEYS);
    }

    #[test]
    fn a_key_is_what_the_pointer_leads_to() {
        let data = br#"{"symbol":"A","deep":{"id":7}}"#;
        assert_eq!(key_of(data, "/symbol").as_deref(), Some("\"A\""));
        assert_eq!(key_of(data, "/deep/id").as_deref(), Some("7"));
        assert_eq!(key_of(data, "/none"), None);
        assert_eq!(key_of(b"no json", "/symbol"), None);
    }

    #[test]
    fn a_part_of_the_history_has_so_many_bytes_or_one_publication() {
        let publication = |offset| Arc::new(Publication::new(offset, 0, vec![0; 10]));
        let all: Vec<_> = (1..=5).map(publication).collect();
        for (bytes, count) in [(0, 1), (409, 1), (410, 1), (829, 2), (2050, 5), (9999, 5)] {
            assert_eq!(first_bytes(&all, bytes).len(), count, "{bytes}");
        }
        assert!(first_bytes(&[], 10).is_empty());
    }
}
