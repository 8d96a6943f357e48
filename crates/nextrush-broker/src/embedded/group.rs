//! Requests that are written together.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::cached::Cached;
use super::error::Failure;
use super::log;
use super::record::{Answer, AnswerKey};
use super::request::{Reply, Task};
use super::shared::{Shared, unreachable_unloaded};
use super::store::Store;
use crate::answer::Once;
use crate::clock::whole_ms;
use crate::error::BrokerError;
use crate::leases::is_begun;
use crate::position::{Epoch, Position};
use crate::publication::{Publication, Publish, Published, VERSION_WINDOW, Version};
use crate::retention::Retention;
use crate::topic_name::TopicName;

/// The approximate cost of a publication or an answer of the log in memory, beside its bytes.
const OVERHEAD: usize = 256;

/// The most bytes of any history, whatever the options say: lengths have 32 bits on disk.
const LARGEST_TOPIC: usize = 1 << 30;

/// The requests of one write, and the replies that they wait for.
pub(super) struct Group<'a> {
    shared: &'a Shared,
    store: &'a Store,
    entries: log::Encoder,
    next_topic: u64,
    published: Vec<Pending>,
    /// The replies to those that changed nothing.
    unchanged: Vec<(Reply<Published>, Published)>,
    answered: Vec<(Reply<Bytes>, Bytes)>,
    /// The answers of this group, which the store does not have yet.
    answers: HashMap<AnswerKey, Answer>,
    now_ms: u64,
}

struct Pending {
    topic: TopicName,
    epoch: Epoch,
    publication: Arc<Publication>,
    retention: Retention,
    reply: Reply<Published>,
}

enum Added {
    New(Epoch, Arc<Publication>, Retention),
    /// A repeat, or one that is outdated.
    Nothing(Published),
}

/// The publications and answers of a written group, which are still to be moved to the
/// tables.
pub(super) struct Logged {
    /// The cost in memory until they are moved, in bytes.
    pub(super) weight: usize,
    /// The topics whose tables were up to date before this group.
    pub(super) topics: Vec<TopicName>,
    /// The answers with the times at which they end.
    pub(super) answers: Vec<(AnswerKey, u64)>,
}

impl<'a> Group<'a> {
    pub(super) fn new(shared: &'a Shared, store: &'a Store, next_topic: u64) -> Self {
        Self {
            shared,
            store,
            entries: log::Encoder::new(),
            next_topic,
            published: Vec::new(),
            unchanged: Vec::new(),
            answered: Vec::new(),
            answers: HashMap::new(),
            now_ms: shared.topics.now_ms(),
        }
    }

    /// Returns `true` if there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn next_topic(&self) -> u64 {
        self.next_topic
    }

    /// Adds a request, or answers it at once if it fails.
    pub(super) fn add(&mut self, task: Task) {
        match task {
            Task::Publish {
                topic,
                publish,
                reply,
            } => match self.add_publication(&topic, publish) {
                Ok(Added::New(epoch, publication, retention)) => self.published.push(Pending {
                    topic,
                    epoch,
                    publication,
                    retention,
                    reply,
                }),
                Ok(Added::Nothing(published)) => self.unchanged.push((reply, published)),
                Err(error) => send(reply, Err(error)),
            },
            Task::Remember {
                key,
                answer,
                window,
                reply,
            } => match self.add_answer(key, answer, window) {
                Ok(answer) => self.answered.push((reply, answer)),
                Err(error) => send(reply, Err(error)),
            },
            // Done after the group: it concerns what is on the disk.
            Task::Delete(_) | Task::Snapshot { .. } => {}
            #[cfg(feature = "testing")]
            Task::Panic { .. } => panic!("ended on purpose"),
        }
    }

    fn add_publication(
        &mut self,
        topic: &TopicName,
        publish: Publish,
    ) -> Result<Added, BrokerError> {
        let Publish {
            data,
            mut retention,
            once,
            owner,
            version,
        } = publish;
        let limit = match topic.is_internal() {
            true => LARGEST_TOPIC,
            false => self.shared.options.topic_bytes.min(LARGEST_TOPIC),
        };
        retention.bytes = Some(retention.bytes.map_or(limit, |bytes| bytes.min(limit)));
        if !topic.is_internal() {
            self.shared.limit.allow(&owner)?;
        }
        let is_unknown = |cached: &Cached| !cached.is_known();
        self.shared
            .enter_reading(topic, is_unknown, |cached, now| {
                if let Some(once) = &once
                    && let Some(id) = cached.id()
                    && let Some(position) = self.earlier(id, once)?
                {
                    return Ok(Added::Nothing(Published::repeat(position)));
                }
                let before = match (&version, cached.id()) {
                    (Some(version), Some(id)) => self.version_before(id, version)?,
                    _ => None,
                };
                if let Some(version) = &version
                    && let Some(before) = &before
                    && let Some(newer) = version.outdated_by(&before.data)
                {
                    return Ok(Added::Nothing(Published::outdated(newer)));
                }
                let is_new = cached.id().is_none();
                let record = cached.reserve(self.next_topic, retention, data.len(), now);
                let record = record.ok_or_else(|| unreachable_unloaded(topic))?;
                if is_new {
                    self.next_topic += 1;
                }
                self.entries
                    .publication(topic, &record, owner.as_ref(), &data);
                if let Some(once) = &once {
                    let key = AnswerKey::of_publication(record.id, &once.key);
                    self.insert_answer(key, once.kept(record.position()), once.window);
                }
                if let Some(version) = &version {
                    let key = AnswerKey::of_version(record.id, version.key.as_ref());
                    let kept = version.kept(record.position());
                    self.replace_answer(key, kept, VERSION_WINDOW, before);
                }
                let publication = Publication::new(record.top, record.published_ms, data);
                let publication = Arc::new(publication.by(owner));
                Ok(Added::New(record.epoch, publication, retention))
            })?
    }

    /// The position of the publication that this one would repeat.
    fn earlier(&self, topic: u64, once: &Once) -> Result<Option<Position>, BrokerError> {
        let key = AnswerKey::of_publication(topic, &once.key);
        match self.answer(&key)? {
            Some(answer) => Ok(once.repeated(&answer)?),
            None => Ok(None),
        }
    }

    /// The last publication with a version, as it is kept.
    fn version_before(&self, topic: u64, version: &Version) -> Result<Option<Answer>, BrokerError> {
        self.whole_answer(&AnswerKey::of_version(topic, version.key.as_ref()))
    }

    /// Remembers an answer in place of the one before.
    fn replace_answer(
        &mut self,
        key: AnswerKey,
        data: Bytes,
        window: Duration,
        before: Option<Answer>,
    ) {
        let ends_ms = end_after(self.now_ms, window, before.map(|before| before.ends_ms));
        self.put_answer(key, Answer { ends_ms, data });
    }

    fn put_answer(&mut self, key: AnswerKey, answer: Answer) {
        self.entries.answer(&key, &answer);
        self.answers.insert(key, answer);
    }

    fn add_answer(
        &mut self,
        key: AnswerKey,
        answer: Bytes,
        window: Duration,
    ) -> Result<Bytes, BrokerError> {
        match self.whole_answer(&key)? {
            // The claim, which the answer ends.
            Some(earlier) if is_begun(&earlier.data) => {
                if window.is_zero() {
                    self.put_answer(key, Answer::nothing());
                } else {
                    self.replace_answer(key, answer.clone(), window, Some(earlier));
                }
            }
            Some(earlier) => return Ok(earlier.data),
            None => self.insert_answer(key, answer.clone(), window),
        }
        Ok(answer)
    }

    fn answer(&self, key: &AnswerKey) -> Result<Option<Bytes>, BrokerError> {
        Ok(self.whole_answer(key)?.map(|answer| answer.data))
    }

    /// An answer with its end.
    fn whole_answer(&self, key: &AnswerKey) -> Result<Option<Answer>, BrokerError> {
        match self.answers.get(key) {
            Some(answer) => Ok(Some(answer.clone()).filter(|answer| answer.ends_ms > self.now_ms)),
            None => self.shared.whole_answer_in(self.store, key, self.now_ms),
        }
    }

    fn insert_answer(&mut self, key: AnswerKey, data: Bytes, window: Duration) {
        let ends_ms = self.now_ms.saturating_add(whole_ms(window));
        if ends_ms > self.now_ms {
            self.put_answer(key, Answer { ends_ms, data });
        }
    }

    /// Writes the group and forces it to the disk. Returns the number of bytes.
    pub(super) fn commit(&mut self, number: u64) -> Result<usize, Failure> {
        let entries = std::mem::replace(&mut self.entries, log::Encoder::new());
        let bytes = entries.len();
        self.store.commit(number, entries, self.next_topic)?;
        Ok(bytes)
    }

    /// Delivers and acknowledges everything, once it is on disk.
    pub(super) fn succeed(self, written: usize) -> Logged {
        let mut logged = Logged {
            weight: written + OVERHEAD * (self.published.len() + self.answers.len()),
            topics: Vec::new(),
            answers: Vec::with_capacity(self.answers.len()),
        };
        let ends = |(key, answer): (&AnswerKey, &Answer)| (key.clone(), answer.ends_ms);
        logged.answers.extend(self.answers.iter().map(ends));
        if !self.answers.is_empty() {
            self.shared.recent.extend(self.answers);
        }
        for pending in self.published {
            let Pending {
                topic,
                epoch,
                publication,
                retention,
                reply,
            } = pending;
            let was_up_to_date = self.shared.topics.enter(&topic, |cached, _| {
                let was_up_to_date = cached.settle(&publication, retention);
                // Under the topic's lock, which unsubscribing waits for.
                deliver(self.shared, cached, &topic, epoch, &publication);
                was_up_to_date
            });
            if was_up_to_date {
                logged.topics.push(topic);
            }
            let position = Position::new(epoch, publication.offset);
            send(reply, Ok(Published::new(position)));
        }
        for (reply, published) in self.unchanged {
            send(reply, Ok(published));
        }
        for (reply, answer) in self.answered {
            send(reply, Ok(answer));
        }
        logged
    }

    /// Fails every request: whether the group reached the disk is unknown. Returns its
    /// topics, each with the last offset known to be durable.
    pub(super) fn fail(self, failure: &Failure) -> BTreeMap<TopicName, u64> {
        let mut doubtful = BTreeMap::new();
        for pending in self.published {
            self.shared
                .topics
                .enter(&pending.topic, |cached, _| cached.give_up());
            // The first publication of a topic in the group has the lowest offset.
            let certain = pending.publication.offset - 1;
            doubtful.entry(pending.topic).or_insert(certain);
            send(pending.reply, Err(failure.clone().into()));
        }
        for (reply, _) in self.unchanged {
            send(reply, Err(failure.clone().into()));
        }
        for (reply, _) in self.answered {
            send(reply, Err(failure.clone().into()));
        }
        doubtful
    }
}

/// Tells the sinks of deleted publications if the topic has subscribers.
pub(super) fn tell_deleted(
    shared: &Shared,
    cached: &Cached,
    topic: &TopicName,
    epoch: Epoch,
    offsets: &[u64],
) {
    if !cached.has_interest() || offsets.is_empty() {
        return;
    }
    let sinks = Arc::clone(&shared.sinks.read());
    for sink in sinks.iter() {
        // As below: the panic hook has reported a panic.
        let _ = catch_unwind(AssertUnwindSafe(|| sink.deleted(topic, epoch, offsets)));
    }
}

/// Delivers a publication to the sinks if the topic has subscribers.
pub(super) fn deliver(
    shared: &Shared,
    cached: &Cached,
    topic: &TopicName,
    epoch: Epoch,
    publication: &Arc<Publication>,
) {
    if !cached.has_interest() {
        return;
    }
    let sinks = Arc::clone(&shared.sinks.read());
    for sink in sinks.iter() {
        // A sink that panics misses the publication; the other sinks and the writer go on.
        // The panic hook has reported it.
        let _ = catch_unwind(AssertUnwindSafe(|| sink.deliver(topic, epoch, publication)));
    }
}

pub(super) fn send<T>(reply: Reply<T>, result: Result<T, BrokerError>) {
    // A requester that has stopped waiting does not need the reply.
    let _ = reply.send(result);
}

/// The time at which a version ends. It differs from that of the one before, by which the way to the
/// tables tells them apart.
fn end_after(now_ms: u64, window: Duration, before: Option<u64>) -> u64 {
    let ends_ms = now_ms.saturating_add(whole_ms(window));
    before.map_or(ends_ms, |before| ends_ms.max(before.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_differ_also_where_the_clock_stands_still_or_is_set_back() {
        let day = 24 * 3600 * 1000;
        assert_eq!(end_after(5, VERSION_WINDOW, None), 5 + day);
        assert_eq!(end_after(5, VERSION_WINDOW, Some(4 + day)), 5 + day);
        assert_eq!(end_after(5, VERSION_WINDOW, Some(5 + day)), 6 + day);
        assert_eq!(end_after(5, VERSION_WINDOW, Some(9 + day)), 10 + day);
    }
}
