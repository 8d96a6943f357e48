//! Answers to commands, in memory.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::answer::CommandKey;
use crate::clock::whole_ms;
use crate::topic_name::TopicName;

/// The approximate cost of an answer beside its text.
const OVERHEAD: usize = 256;

/// Answers by topic and key, kept until their windows end or until they need too many bytes.
pub(crate) struct Answers {
    /// The most bytes of all answers.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answers: HashMap<Key, Bytes>,
    bytes: usize,
    /// The same keys by the time at which they end, so that the first to go is found at once.
    ends: BTreeSet<(u64, Key)>,
}

#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Key {
    topic: Option<TopicName>,
    key: CommandKey,
}

impl Answers {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    pub(crate) fn recall(
        &self,
        topic: Option<&TopicName>,
        key: &CommandKey,
        now_ms: u64,
    ) -> Option<Bytes> {
        let mut state = self.state.lock();
        state.forget_until(now_ms);
        state.answers.get(&Key::new(topic, key)).cloned()
    }

    /// Remembers an answer unless the key has one; returns the answer that is in force.
    pub(crate) fn remember(
        &self,
        topic: Option<&TopicName>,
        key: &CommandKey,
        data: Bytes,
        window: Duration,
        now_ms: u64,
    ) -> Bytes {
        let mut state = self.state.lock();
        state.forget_until(now_ms);
        let key = Key::new(topic, key);
        if let Some(answer) = state.answers.get(&key) {
            return answer.clone();
        }
        let ends_ms = now_ms.saturating_add(whole_ms(window));
        let cost = cost(&key, &data);
        if ends_ms > now_ms && cost <= self.limit {
            while state.bytes + cost > self.limit {
                state.forget_first();
            }
            state.bytes += cost;
            state.ends.insert((ends_ms, key.clone()));
            let data = data.clone();
            state.answers.insert(key, data);
        }
        data
    }
}

impl State {
    fn forget_until(&mut self, now_ms: u64) {
        while self.ends.first().is_some_and(|(ends, _)| *ends <= now_ms) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.ends.pop_first()
            && let Some(answer) = self.answers.remove(&key)
        {
            self.bytes -= cost(&key, &answer);
        }
    }
}

fn cost(key: &Key, data: &Bytes) -> usize {
    // The maps hold the key twice, and share its texts.
    OVERHEAD + key.key.as_str().len() + data.len()
}

impl Key {
    fn new(topic: Option<&TopicName>, key: &CommandKey) -> Self {
        Self {
            topic: topic.cloned(),
            key: key.clone(),
        }
    }
}
