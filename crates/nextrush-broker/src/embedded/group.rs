use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use fjall::OwnedWriteBatch;

use super::{
    Shared,
    cached::{Cached, Disk},
    error::Failure,
    record::{self, Answer, AnswerKey, TopicRecord},
    store::Store,
    unreachable_unloaded,
    writer::{Reply, Task},
};
use crate::{
    BrokerError, Epoch, Once, Position, Publication, Publish, Published, Retention, Topic,
    clock::whole_ms, position,
};

/// What is written at once, and who waits for it.
pub(super) struct Group<'a> {
    shared: &'a Shared,
    store: &'a Store,
    batch: OwnedWriteBatch,
    /// A key must be in a batch once at most, so these are added at the end.
    records: BTreeMap<Topic, TopicRecord>,
    next_topic: u64,
    published: Vec<Pending>,
    repeated: Vec<(Reply<Published>, Position)>,
    answered: Vec<(Reply<Bytes>, Bytes)>,
    /// The answers of this group, which are not in the store yet.
    answers: HashMap<AnswerKey, Bytes>,
    now_ms: u64,
}

struct Pending {
    topic: Topic,
    epoch: Epoch,
    publication: Arc<Publication>,
    retention: Retention,
    reply: Reply<Published>,
}

enum Added {
    New(Epoch, Arc<Publication>, Retention),
    Repeat(Position),
}

impl<'a> Group<'a> {
    pub(super) fn new(shared: &'a Shared, store: &'a Store, next_topic: u64) -> Self {
        Self {
            shared,
            store,
            batch: store.batch(),
            records: BTreeMap::new(),
            next_topic,
            published: Vec::new(),
            repeated: Vec::new(),
            answered: Vec::new(),
            answers: HashMap::new(),
            now_ms: shared.topics.now_ms(),
        }
    }

    /// Whether nothing has to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    pub(super) fn next_topic(&self) -> u64 {
        self.next_topic
    }

    /// Adds what a request wants. What cannot be done is answered at once.
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
                Ok(Added::Repeat(position)) => self.repeated.push((reply, position)),
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
        }
    }

    fn add_publication(&mut self, topic: &Topic, publish: Publish) -> Result<Added, BrokerError> {
        let Publish {
            data,
            mut retention,
            once,
        } = publish;
        let limit = self.shared.options.topic_bytes;
        retention.bytes = Some(retention.bytes.map_or(limit, |bytes| bytes.min(limit)));
        self.shared.enter_loaded(topic, |cached, now_ms| {
            if let Some(once) = &once
                && let Some(disk) = cached.disk()
                && let Some(position) = self.earlier(disk.id, once)?
            {
                return Ok(Added::Repeat(position));
            }
            let Some((position, time_ms)) = cached.reserve(now_ms) else {
                return Err(unreachable_unloaded(topic));
            };
            let disk = cached.disk().unwrap_or_else(|| {
                let disk = Disk {
                    id: self.next_topic,
                    first: position.offset,
                };
                self.next_topic += 1;
                cached.set_disk(Some(disk));
                disk
            });
            let Position { epoch, offset } = position;
            let key = record::publication_key(disk.id, offset);
            let value = record::publication_to_bytes(time_ms, &data);
            self.batch.insert(&self.store.publications, key, value);
            let record = TopicRecord {
                id: disk.id,
                epoch,
                top: offset,
                first: disk.first,
                published_ms: time_ms,
                retention,
            };
            self.records.insert(topic.clone(), record);
            if let Some(Once { key, window }) = &once {
                let key = AnswerKey::of_publication(disk.id, key);
                self.insert_answer(key, position::to_bytes(position), *window);
            }
            let publication = Arc::new(Publication {
                offset,
                time_ms,
                data,
            });
            Ok(Added::New(epoch, publication, retention))
        })?
    }

    /// Where the publication is that this one would repeat.
    fn earlier(&self, topic: u64, once: &Once) -> Result<Option<Position>, BrokerError> {
        let key = AnswerKey::of_publication(topic, &once.key);
        let answer = self.answer(&key)?;
        Ok(answer.and_then(|answer| position::from_bytes(&answer)))
    }

    fn add_answer(
        &mut self,
        key: AnswerKey,
        answer: Bytes,
        window: Duration,
    ) -> Result<Bytes, BrokerError> {
        if let Some(earlier) = self.answer(&key)? {
            return Ok(earlier);
        }
        self.insert_answer(key, answer.clone(), window);
        Ok(answer)
    }

    fn answer(&self, key: &AnswerKey) -> Result<Option<Bytes>, BrokerError> {
        match self.answers.get(key) {
            Some(answer) => Ok(Some(answer.clone())),
            None => self.store.answer(key, self.now_ms),
        }
    }

    fn insert_answer(&mut self, key: AnswerKey, data: Bytes, window: Duration) {
        let ends_ms = self.now_ms.saturating_add(whole_ms(window));
        if ends_ms <= self.now_ms {
            return;
        }
        let end = record::end_key(ends_ms, key.as_bytes());
        self.batch.insert(&self.store.ends, end, []);
        let answer = Answer { ends_ms, data };
        let value = answer.to_bytes();
        self.batch
            .insert(&self.store.answers, key.as_bytes(), value);
        self.answers.insert(key, answer.data);
    }

    /// Writes everything; returns when it is on disk.
    pub(super) fn commit(&mut self, number: u64) -> Result<(), Failure> {
        let mut batch = std::mem::replace(&mut self.batch, self.store.batch());
        for (topic, record) in std::mem::take(&mut self.records) {
            batch.insert(&self.store.topics, topic.as_str(), record.to_bytes());
        }
        self.store.set_next_topic(&mut batch, self.next_topic);
        self.store.commit(batch, number)
    }

    /// Gives everybody what is on disk. Returns the topics of which there is more on disk
    /// now than they remember.
    pub(super) fn succeed(self) -> BTreeSet<Topic> {
        let mut surplus = BTreeSet::new();
        for pending in self.published {
            let Pending {
                topic,
                epoch,
                publication,
                retention,
                reply,
            } = pending;
            let has_surplus = self.shared.topics.enter(&topic, |cached, _| {
                cached.settle(&publication, retention);
                // Still under the topic's lock, as this is what unsubscribing waits for.
                deliver(self.shared, cached, &topic, epoch, &publication);
                cached.has_surplus()
            });
            if has_surplus {
                surplus.insert(topic);
            }
            let position = Position {
                epoch,
                offset: publication.offset,
            };
            send(reply, Ok(published(position, false)));
        }
        for (reply, position) in self.repeated {
            send(reply, Ok(published(position, true)));
        }
        for (reply, answer) in self.answered {
            send(reply, Ok(answer));
        }
        surplus
    }

    /// Tells everybody that it is open whether the group is on disk. Returns the topics of
    /// which it is, and their newest offset that is certain.
    pub(super) fn fail(self, failure: &Failure) -> BTreeMap<Topic, u64> {
        let mut doubtful = BTreeMap::new();
        for pending in self.published {
            let topics = &self.shared.topics;
            topics.enter(&pending.topic, |cached, _| cached.give_up());
            // The first of a topic has the lowest offset.
            let certain = pending.publication.offset - 1;
            doubtful.entry(pending.topic).or_insert(certain);
            send(pending.reply, Err(failure.clone().into()));
        }
        for (reply, _) in self.repeated {
            send(reply, Err(failure.clone().into()));
        }
        for (reply, _) in self.answered {
            send(reply, Err(failure.clone().into()));
        }
        doubtful
    }
}

/// Hands a publication to the sinks if anybody is interested.
pub(super) fn deliver(
    shared: &Shared,
    cached: &Cached,
    topic: &Topic,
    epoch: Epoch,
    publication: &Arc<Publication>,
) {
    if !cached.has_interest() {
        return;
    }
    let sinks = Arc::clone(&shared.sinks.read());
    for sink in sinks.iter() {
        // A sink that panics misses the publication; the others and the writer go on. The
        // panic has been reported by its hook.
        let _ = catch_unwind(AssertUnwindSafe(|| sink.deliver(topic, epoch, publication)));
    }
}

fn published(position: Position, is_repeat: bool) -> Published {
    Published {
        position,
        is_repeat,
    }
}

fn send<T>(reply: Reply<T>, result: Result<T, BrokerError>) {
    // Whoever does not wait any more does not need it.
    let _ = reply.send(result);
}
