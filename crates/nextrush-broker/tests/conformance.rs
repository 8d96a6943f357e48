//! The memory broker passes the suite, and brokers that break a promise don't.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use nextrush_broker::conformance::{conformance, deletion};
use nextrush_broker::{
    Attempt, BoxFuture, Broker, BrokerError, Claim, Claimed, CommandKey, Deletion, Epoch,
    Fingerprint, History, HistoryQuery, MemoryBroker, Once, Owner, Position, Publication, Publish,
    Published, Retention, Sink, TopicName,
};
use parking_lot::Mutex;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_broker_keeps_every_promise() {
    for _ in 0..10 {
        conformance(async || MemoryBroker::new()).await;
        deletion(async || MemoryBroker::new()).await;
    }
}

#[tokio::test]
async fn the_suite_runs_on_one_thread_too() {
    conformance(async || MemoryBroker::new()).await;
}

#[tokio::test]
async fn a_plain_broker_keeps_every_promise() {
    conformance(async || Plain::new(None)).await;
    deletion(async || Plain::new(None)).await;
}

// On one thread, so that the faults have the same effect each time.
#[tokio::test]
async fn the_suite_says_which_promise_a_broker_breaks() {
    let cases = [
        (
            Fault::OffsetsFromZero,
            "the first publication of a topic has offset 1",
        ),
        (
            Fault::OffsetsWithHoles,
            "each publication's offset is one more",
        ),
        (Fault::EpochPerPublication, "in the same epoch"),
        (
            Fault::EpochPerRead,
            "history's position is that of the newest",
        ),
        (
            Fault::OneStreamForAll,
            "don't count another topic's publications",
        ),
        (Fault::NewestFirst, "of four, oldest first"),
        (Fault::LatestIgnoresLimit, "of four, oldest first"),
        (Fault::AfterIncludesOffset, "of five, oldest first"),
        (Fault::AfterTakesTheNewest, "of five, oldest first"),
        (Fault::AfterIgnoresLimit, "of five, oldest first"),
        (Fault::ListsInAnyOrder, "in the order of their names"),
        (Fault::ListIgnoresLimit, "no more topics than asked for"),
        (Fault::ListIsNotWhole, "topics with publications are listed"),
        (Fault::RetentionIgnored, "what is kept of 4 publications"),
        (Fault::AgeIgnored, "with age 0 nothing is kept"),
        (
            Fault::DeliversWithoutInterest,
            "a sink gets nothing before the subscription",
        ),
        (Fault::DeliversLate, "by the time publish resolves"),
        (Fault::DeliversTwice, "a sink has the publication once"),
        (Fault::InterestIsNotCounted, "one of two interests is left"),
        (
            Fault::UnsubscribesNever,
            "a sink gets nothing once unsubscribed",
        ),
        (Fault::OnlyTheLastSink, "each sink gets what history has"),
        (Fault::AltersBytes, "history has the bytes as published"),
        (Fault::DeliversUnlocked, "in the order of their offsets"),
        (
            Fault::BytesIgnored,
            "what is kept after \"d\" with 10 bytes",
        ),
        (
            Fault::RepeatsPublish,
            "a repeat resolves with the position of the first",
        ),
        (Fault::RepeatsAreDelivered, "a repeat is not delivered"),
        (
            Fault::FingerprintsIgnored,
            "another fingerprint is another publication",
        ),
        (
            Fault::KeysOfAllTopics,
            "the same key in another topic is no repeat",
        ),
        (Fault::NoWindow, "with a window of 0 nothing is a repeat"),
        (Fault::LateRepeats, "repeats at the same time share"),
        (
            Fault::VersionsIgnored,
            "a version that is not higher is dropped",
        ),
        (
            Fault::EqualVersionsPublish,
            "a version that is not higher is dropped",
        ),
        (Fault::VersionsOfAllKeys, "a higher version is published"),
        (Fault::OutdatedTellTop, "has the position of the newer one"),
        (Fault::LastAnswerStays, "the first answer is in force"),
        (Fault::AnswersAreLost, "an answer is remembered"),
        (Fault::AnswersOfAllKeys, "an answer belongs to its key"),
        (Fault::TwoClaimsAtOnce, "one at a time executes a command"),
        (
            Fault::CommandsAreMixed,
            "another fingerprint is another command",
        ),
        (
            Fault::DoubtIsIgnored,
            "a claim that ended without an answer is not given out again",
        ),
        (
            Fault::LeasesStay,
            "a command without a lease or an answer can be claimed",
        ),
        (
            Fault::AnswersStay,
            "with a window of 0 no answer is remembered",
        ),
        (
            Fault::OneMemoryForAll,
            "a command's answer makes no publication a repeat",
        ),
        (Fault::Unavailable, "publish resolves without an error"),
    ];
    let of_deletion = [
        (Fault::DeletesNothing, "the number that By(\"ada\") deletes"),
        (Fault::DeletesAgain, "the number that By(\"ada\") deletes"),
        (Fault::DeletionKeepsMessages, "what is left of four"),
        (Fault::DeletionLeavesGaps, "what is left of four"),
        (Fault::DeletesSilently, "a sink is told once"),
    ];
    for (fault, expected) in cases.into_iter().chain(of_deletion) {
        let suites = async || {
            conformance(async || Plain::new(Some(fault))).await;
            deletion(async || Plain::new(Some(fault))).await;
        };
        let verdict = AssertUnwindSafe(suites()).catch_unwind();
        let panic = verdict
            .await
            .expect_err(&format!("{fault:?} goes unnoticed"));
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let text = text.expect("a panic with a text");
        assert!(text.contains(expected), "{fault:?} is reported as: {text}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    OffsetsFromZero,
    OffsetsWithHoles,
    EpochPerPublication,
    EpochPerRead,
    OneStreamForAll,
    NewestFirst,
    LatestIgnoresLimit,
    AfterIncludesOffset,
    AfterTakesTheNewest,
    AfterIgnoresLimit,
    ListsInAnyOrder,
    ListIgnoresLimit,
    ListIsNotWhole,
    RetentionIgnored,
    AgeIgnored,
    DeliversWithoutInterest,
    DeliversLate,
    DeliversTwice,
    InterestIsNotCounted,
    UnsubscribesNever,
    OnlyTheLastSink,
    AltersBytes,
    DeliversUnlocked,
    BytesIgnored,
    RepeatsPublish,
    RepeatsAreDelivered,
    FingerprintsIgnored,
    KeysOfAllTopics,
    NoWindow,
    LateRepeats,
    VersionsIgnored,
    EqualVersionsPublish,
    VersionsOfAllKeys,
    OutdatedTellTop,
    LastAnswerStays,
    AnswersAreLost,
    AnswersOfAllKeys,
    TwoClaimsAtOnce,
    CommandsAreMixed,
    DoubtIsIgnored,
    LeasesStay,
    AnswersStay,
    OneMemoryForAll,
    Unavailable,
    DeletesNothing,
    DeletesAgain,
    DeletionKeepsMessages,
    DeletionLeavesGaps,
    DeletesSilently,
}

/// A minimal broker that can break each promise.
struct Plain {
    fault: Option<Fault>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    streams: HashMap<TopicName, Stream>,
    interests: HashMap<TopicName, usize>,
    sinks: Vec<Arc<dyn Sink>>,
    published: HashMap<(TopicName, CommandKey), Appended>,
    fingerprints: HashMap<(TopicName, CommandKey), Fingerprint>,
    answers: HashMap<CommandKey, Bytes>,
    claimed: HashSet<CommandKey>,
    in_doubt: HashSet<CommandKey>,
    commands: HashMap<CommandKey, Option<Fingerprint>>,
    versions: HashMap<(TopicName, Option<CommandKey>), (u64, Position)>,
}

struct Stream {
    epoch: Epoch,
    top: u64,
    kept: Vec<Arc<Publication>>,
}

impl Plain {
    fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            state: Mutex::default(),
        }
    }

    fn lies(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The publication that this one would repeat.
    fn earlier(&self, topic: &TopicName, once: &Once) -> Option<Appended> {
        let state = self.state.lock();
        let is_known = state.answers.contains_key(&once.key);
        let key = (self.scope(topic), once.key.clone());
        let earlier = state.published.get(&key).cloned();
        if is_known && earlier.is_none() && self.lies(Fault::OneMemoryForAll) {
            return Some(Appended {
                topic: topic.clone(),
                epoch: Epoch::begin(0),
                publication: Arc::new(Publication::new(1, 0, Bytes::new())),
            });
        }
        if let Some(earlier) = &earlier
            && self.lies(Fault::RepeatsAreDelivered)
        {
            self.deliver(&state, earlier);
        }
        earlier.filter(|_| !self.lies(Fault::RepeatsPublish))
    }

    /// Returns whether the key belongs to a publication with another fingerprint.
    fn is_reused(&self, topic: &TopicName, once: &Once) -> bool {
        let key = (self.scope(topic), once.key.clone());
        let before = self.state.lock().fingerprints.get(&key).copied();
        let differs = once
            .fingerprint
            .zip(before)
            .is_some_and(|(now, before)| now != before);
        differs && !self.lies(Fault::FingerprintsIgnored)
    }

    fn note(&self, topic: &TopicName, once: Once, appended: &Appended) {
        if once.window.is_zero() && !self.lies(Fault::NoWindow) {
            return;
        }
        let mut state = self.state.lock();
        let key = (self.scope(topic), once.key);
        if let Some(fingerprint) = once.fingerprint {
            state.fingerprints.insert(key.clone(), fingerprint);
        }
        state.published.insert(key, appended.clone());
    }

    fn scope(&self, topic: &TopicName) -> TopicName {
        if self.lies(Fault::KeysOfAllTopics) {
            TopicName::try_from("all").expect("a valid name")
        } else {
            topic.clone()
        }
    }

    fn key(&self, key: &CommandKey) -> CommandKey {
        if self.lies(Fault::AnswersOfAllKeys) {
            CommandKey::try_from("all").expect("a valid key")
        } else {
            key.clone()
        }
    }

    fn append(
        &self,
        topic: &TopicName,
        mut data: Bytes,
        owner: Option<Owner>,
        retention: Retention,
    ) -> Appended {
        let mut state = self.state.lock();
        let stream = self.stream(&mut state, topic);
        if self.lies(Fault::EpochPerPublication) {
            stream.epoch = Epoch::begin(0);
        }
        if self.lies(Fault::AltersBytes) {
            data = String::from_utf8_lossy(&data).into_owned().into();
        }
        stream.top += if self.lies(Fault::OffsetsWithHoles) {
            1 + stream.top.min(1)
        } else {
            1
        };
        let offset = stream.top - u64::from(self.lies(Fault::OffsetsFromZero));
        let publication = Arc::new(Publication::new(offset, 0, data).by(owner));
        stream.kept.push(publication.clone());
        let surplus = stream.kept.len().saturating_sub(retention.count);
        if !self.lies(Fault::RetentionIgnored) {
            stream.kept.drain(..surplus);
        }
        if let Some(bytes) = retention.bytes
            && !self.lies(Fault::BytesIgnored)
        {
            let total = |kept: &[Arc<Publication>]| -> usize {
                kept.iter().map(|publication| publication.data.len()).sum()
            };
            while total(&stream.kept) > bytes {
                stream.kept.remove(0);
            }
        }
        if retention.age == Some(Duration::ZERO) && !self.lies(Fault::AgeIgnored) {
            stream.kept.clear();
        }
        let appended = Appended {
            topic: topic.clone(),
            epoch: stream.epoch,
            publication,
        };
        if !self.lies(Fault::DeliversUnlocked) && !self.lies(Fault::DeliversLate) {
            self.deliver(&state, &appended);
        }
        appended
    }

    fn deliver(
        &self,
        state: &State,
        Appended {
            topic,
            epoch,
            publication,
        }: &Appended,
    ) {
        let interested = state.interests.get(topic).is_some_and(|count| *count > 0);
        if !interested && !self.lies(Fault::DeliversWithoutInterest) {
            return;
        }
        let reached = if self.lies(Fault::OnlyTheLastSink) {
            1
        } else {
            state.sinks.len()
        };
        for sink in state.sinks.iter().rev().take(reached) {
            sink.deliver(topic, *epoch, publication);
            if self.lies(Fault::DeliversTwice) {
                sink.deliver(topic, *epoch, publication);
            }
        }
    }

    fn read(&self, topic: &TopicName, query: HistoryQuery) -> History {
        let mut state = self.state.lock();
        let stream = self.stream(&mut state, topic);
        let mut publications = stream.kept.clone();
        match query {
            HistoryQuery::Latest(_) if self.lies(Fault::LatestIgnoresLimit) => {}
            HistoryQuery::Latest(limit) => {
                publications.drain(..publications.len().saturating_sub(limit));
            }
            HistoryQuery::After { offset, limit } => {
                let from = if self.lies(Fault::AfterIncludesOffset) {
                    offset
                } else {
                    offset.saturating_add(1)
                };
                publications.retain(|publication| publication.offset >= from);
                if self.lies(Fault::AfterTakesTheNewest) {
                    publications.drain(..publications.len().saturating_sub(limit));
                } else if !self.lies(Fault::AfterIgnoresLimit) {
                    publications.truncate(limit);
                }
            }
        }
        if self.lies(Fault::NewestFirst) {
            publications.reverse();
        }
        let epoch = if self.lies(Fault::EpochPerRead) {
            Epoch::begin(0)
        } else {
            stream.epoch
        };
        History::new(Position::new(epoch, stream.top), publications)
    }

    fn stream<'a>(&self, state: &'a mut State, topic: &TopicName) -> &'a mut Stream {
        let key = if self.lies(Fault::OneStreamForAll) {
            "all"
        } else {
            topic.as_str()
        };
        let key = TopicName::try_from(key).expect("a valid name");
        let begin = || Stream {
            epoch: Epoch::begin(0),
            top: 0,
            kept: Vec::new(),
        };
        state.streams.entry(key).or_insert_with(begin)
    }
}

#[derive(Clone)]
struct Appended {
    topic: TopicName,
    epoch: Epoch,
    publication: Arc<Publication>,
}

impl Broker for Plain {
    fn attach(&self, sink: Arc<dyn Sink>) {
        self.state.lock().sinks.push(sink);
    }

    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>> {
        let topic = topic.clone();
        let Publish {
            data,
            retention,
            once,
            owner,
            version,
            ..
        } = publish;
        Box::pin(async move {
            if self.lies(Fault::Unavailable) {
                return Err(BrokerError::Unavailable("no disk".into()));
            }
            if let Some(once) = &once
                && self.is_reused(&topic, once)
            {
                return Err(BrokerError::Reused);
            }
            let earlier = once.as_ref().and_then(|once| self.earlier(&topic, once));
            if earlier.is_none() && self.lies(Fault::LateRepeats) {
                tokio::task::yield_now().await;
            }
            let is_repeat = earlier.is_some();
            let is_outdated = |(number, position): &(u64, Position)| {
                let number = match self.lies(Fault::EqualVersionsPublish) {
                    true => number - 1,
                    false => *number,
                };
                let is_outdated = version.as_ref().is_some_and(|one| one.number <= number);
                is_outdated.then_some(*position)
            };
            let version_key = version.as_ref().map(|version| {
                let key = version.key.clone();
                let key = key.filter(|_| !self.lies(Fault::VersionsOfAllKeys));
                (self.scope(&topic), key)
            });
            let newer = version_key.as_ref().and_then(|key| {
                let state = self.state.lock();
                state.versions.get(key).and_then(is_outdated)
            });
            let newer = newer.filter(|_| earlier.is_none() && !self.lies(Fault::VersionsIgnored));
            if let Some(newer) = newer {
                let top = self.read(&topic, HistoryQuery::Latest(0)).position;
                return Ok(Published::outdated(
                    match self.lies(Fault::OutdatedTellTop) {
                        true => top,
                        false => newer,
                    },
                ));
            }
            let appended = earlier.unwrap_or_else(|| self.append(&topic, data, owner, retention));
            if self.lies(Fault::DeliversUnlocked) {
                // On a single thread this lets the others overtake every second publication.
                if appended.publication.offset % 2 == 1 {
                    tokio::task::yield_now().await;
                }
                self.deliver(&self.state.lock(), &appended);
            }
            if let Some(once) = once
                && !is_repeat
            {
                self.note(&topic, once, &appended);
            }
            let position = Position::new(appended.epoch, appended.publication.offset);
            if let (Some(key), Some(version)) = (version_key, &version) {
                let last = (version.number, position);
                self.state.lock().versions.insert(key, last);
            }
            Ok(if is_repeat {
                Published::repeat(position)
            } else {
                Published::new(position)
            })
        })
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { Ok(self.read(&topic, query)) })
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        let after = after.cloned();
        Box::pin(async move {
            let state = self.state.lock();
            let begun = state.streams.iter().filter(|(_, stream)| stream.top > 0);
            let mut topics: Vec<TopicName> = begun
                .map(|(topic, _)| topic.clone())
                .filter(|topic| after.as_ref().is_none_or(|after| topic > after))
                .collect();
            topics.sort();
            if self.lies(Fault::ListsInAnyOrder) {
                topics.reverse();
            }
            if self.lies(Fault::ListIsNotWhole) && after.is_some() {
                topics.clear();
            }
            if !self.lies(Fault::ListIgnoresLimit) {
                topics.truncate(limit);
            }
            Ok(topics)
        })
    }

    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let mut state = self.state.lock();
            let count = state.interests.entry(topic).or_default();
            *count = if self.lies(Fault::InterestIsNotCounted) {
                1
            } else {
                *count + 1
            };
            Ok(())
        })
    }

    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let mut state = self.state.lock();
            let count = state.interests.entry(topic).or_default();
            if !self.lies(Fault::UnsubscribesNever) {
                *count = count.saturating_sub(1);
            }
            Ok(())
        })
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        let key = self.key(&attempt.key);
        Box::pin(async move {
            let mut state = self.state.lock();
            let differs = |before: &Option<Fingerprint>| {
                let both = before.zip(attempt.fingerprint);
                both.is_some_and(|(before, now)| before != now)
            };
            let before = state.commands.get(&key);
            if before.is_some_and(differs) && !self.lies(Fault::CommandsAreMixed) {
                return Err(BrokerError::Reused);
            }
            let answer = state.answers.get(&key).cloned();
            if let Some(answer) = answer.filter(|_| !self.lies(Fault::AnswersAreLost)) {
                return Ok(Claim::Answered(answer));
            }
            if state.claimed.contains(&key) && !self.lies(Fault::TwoClaimsAtOnce) {
                return Ok(Claim::Running);
            }
            if state.in_doubt.contains(&key) && !self.lies(Fault::DoubtIsIgnored) {
                return Ok(Claim::InDoubt);
            }
            state.commands.insert(key.clone(), attempt.fingerprint);
            if attempt.is_at_most_once {
                state.in_doubt.insert(key.clone());
            }
            if !attempt.lease.is_zero() || self.lies(Fault::LeasesStay) {
                state.claimed.insert(key);
            }
            Ok(Claim::Mine(Claimed::new(attempt, 0)))
        })
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        let key = self.key(&claimed.attempt.key);
        Box::pin(async move {
            let mut state = self.state.lock();
            let earlier = state.answers.get(&key).cloned();
            let answer = earlier
                .filter(|_| !self.lies(Fault::LastAnswerStays))
                .unwrap_or(answer);
            let ends_at_once = claimed.attempt.window.is_zero() && !self.lies(Fault::AnswersStay);
            if ends_at_once {
                state.commands.remove(&key);
                state.in_doubt.remove(&key);
            } else {
                state.answers.insert(key.clone(), answer.clone());
            }
            state.claimed.remove(&key);
            Ok(answer)
        })
    }

    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<usize, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let mut state = self.state.lock();
            let stream = self.stream(&mut state, &topic);
            let epoch = stream.epoch;
            let is_meant = |kept: &Publication| match &which {
                Deletion::By(owner) if self.lies(Fault::DeletesAgain) => {
                    kept.is_deleted || kept.owner.as_ref() == Some(owner)
                }
                _ => which.covers(kept) && !self.lies(Fault::DeletesNothing),
            };
            let meant = stream.kept.iter().filter(|kept| is_meant(kept));
            let offsets: Vec<u64> = meant.map(|kept| kept.offset).collect();
            if self.lies(Fault::DeletionLeavesGaps) {
                stream.kept.retain(|kept| !is_meant(kept));
            }
            for kept in &mut stream.kept {
                if is_meant(kept) && !self.lies(Fault::DeletionKeepsMessages) {
                    *kept = Arc::new(kept.deleted());
                }
            }
            let interested = state.interests.get(&topic).is_some_and(|count| *count > 0);
            if interested && !offsets.is_empty() && !self.lies(Fault::DeletesSilently) {
                for sink in &state.sinks {
                    sink.deleted(&topic, epoch, &offsets);
                }
            }
            Ok(offsets.len())
        })
    }
}
