//! Answers to commands, in memory.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::answer::CommandKey;
use crate::clock::whole_ms;
use crate::error::BrokerError;
use crate::publication::VERSION_WINDOW;
use crate::topic_name::TopicName;

/// The owner of all versions; no command has one of this name.
const VERSIONS: &str = "\0versions";

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
    /// The answers, and when each of them ends.
    answers: HashMap<Key, (u64, Bytes)>,
    bytes: usize,
    /// The same keys by the time at which they end, so that the first to go is found at once.
    ends: BTreeSet<(u64, Key)>,
    shares: HashMap<Box<str>, Share>,
    /// The owners by their bytes, so that the largest share is found at once.
    by_bytes: BTreeSet<(usize, Box<str>)>,
}

/// The part of one owner.
#[derive(Default)]
struct Share {
    bytes: usize,
    ends: BTreeSet<(u64, Key)>,
}

#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Key {
    of: Of,
    key: Option<CommandKey>,
}

/// The meaning of a key.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Of {
    Command,
    /// A publication of the topic that happens once.
    Publication(TopicName),
    /// The last publication of the topic with a version.
    Version(TopicName),
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
        state
            .answers
            .get(&Key::new(topic, key))
            .map(|(_, answer)| answer.clone())
    }

    /// Remembers an answer unless the key has one; returns the answer that is in force. There has
    /// to be [room](Self::make_room) for it.
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
        if let Some((_, answer)) = state.answers.get(&key) {
            return answer.clone();
        }
        let ends_ms = now_ms.saturating_add(whole_ms(window));
        if ends_ms > now_ms {
            state.insert(key, ends_ms, data.clone());
        }
        data
    }

    /// Makes room for an answer of so many bytes. The owner with the largest share is refused;
    /// for any other that one's first to end are forgotten.
    pub(crate) fn make_room(
        &self,
        topic: Option<&TopicName>,
        key: &CommandKey,
        bytes: usize,
        now_ms: u64,
    ) -> Result<(), BrokerError> {
        let mut state = self.state.lock();
        state.forget_until(now_ms);
        state.make_room(&Key::new(topic, key), bytes, self.limit)
    }

    /// The kept bytes of the last publication of a topic with a version.
    pub(crate) fn version(
        &self,
        topic: &TopicName,
        key: Option<&CommandKey>,
        now_ms: u64,
    ) -> Option<Bytes> {
        let mut state = self.state.lock();
        state.forget_until(now_ms);
        let key = Key::of_version(topic, key);
        state.answers.get(&key).map(|(_, bytes)| bytes.clone())
    }

    /// Makes room for a version. Versions are never refused for those before: the first of them to
    /// end are forgotten, which are those of what has not changed for longest.
    pub(crate) fn make_room_for_version(
        &self,
        topic: &TopicName,
        key: Option<&CommandKey>,
        bytes: usize,
        now_ms: u64,
    ) -> Result<(), BrokerError> {
        let mut state = self.state.lock();
        state.forget_until(now_ms);
        let key = Key::of_version(topic, key);
        while state.make_room(&key, bytes, self.limit).is_err() {
            let versions = state.shares.get(VERSIONS);
            let Some((ends_ms, first)) = versions.and_then(|share| share.ends.first().cloned())
            else {
                return state.make_room(&key, bytes, self.limit);
            };
            state.forget(ends_ms, &first);
        }
        Ok(())
    }

    /// Remembers a version in place of the one before.
    pub(crate) fn set_version(
        &self,
        topic: &TopicName,
        key: Option<&CommandKey>,
        data: Bytes,
        now_ms: u64,
    ) {
        let mut state = self.state.lock();
        let key = Key::of_version(topic, key);
        if let Some((ends_ms, _)) = state.answers.get(&key) {
            let ends_ms = *ends_ms;
            state.forget(ends_ms, &key);
        }
        let ends_ms = now_ms.saturating_add(whole_ms(VERSION_WINDOW));
        state.insert(key, ends_ms, data);
    }
}

impl State {
    fn make_room(&mut self, key: &Key, bytes: usize, limit: usize) -> Result<(), BrokerError> {
        if self.answers.contains_key(key) {
            return Ok(());
        }
        let cost = cost(key, bytes);
        let owner = key.owner();
        let own = self.shares.get(owner).map_or(0, |share| share.bytes);
        while self.bytes + cost > limit {
            let largest = self.by_bytes.last();
            let first = largest
                .filter(|(bytes, _)| *bytes > own + cost)
                .and_then(|(_, owner)| self.shares.get(owner)?.ends.first().cloned());
            let Some((ends_ms, key)) = first else {
                let full = "the answers that are remembered leave no room for another one";
                return Err(BrokerError::Unavailable(full.into()));
            };
            self.forget(ends_ms, &key);
        }
        Ok(())
    }

    fn forget_until(&mut self, now_ms: u64) {
        while let Some((ends_ms, key)) = self.ends.first()
            && *ends_ms <= now_ms
        {
            let (ends_ms, key) = (*ends_ms, key.clone());
            self.forget(ends_ms, &key);
        }
    }

    fn insert(&mut self, key: Key, ends_ms: u64, data: Bytes) {
        let cost = cost(&key, data.len());
        self.bytes += cost;
        self.ends.insert((ends_ms, key.clone()));
        self.change_share(key.owner(), |share| {
            share.bytes += cost;
            share.ends.insert((ends_ms, key.clone()));
        });
        self.answers.insert(key, (ends_ms, data));
    }

    fn forget(&mut self, ends_ms: u64, key: &Key) {
        let place = (ends_ms, key.clone());
        self.ends.remove(&place);
        let Some((_, answer)) = self.answers.remove(key) else {
            return;
        };
        let cost = cost(key, answer.len());
        self.bytes -= cost;
        self.change_share(key.owner(), |share| {
            share.bytes -= cost;
            share.ends.remove(&place);
        });
    }

    fn change_share(&mut self, owner: &str, change: impl FnOnce(&mut Share)) {
        let mut share = self.shares.remove(owner).unwrap_or_default();
        self.by_bytes.remove(&(share.bytes, owner.into()));
        change(&mut share);
        if share.bytes > 0 {
            self.by_bytes.insert((share.bytes, owner.into()));
            self.shares.insert(owner.into(), share);
        }
    }
}

fn cost(key: &Key, bytes: usize) -> usize {
    // The maps hold the key several times, and share its texts.
    OVERHEAD + key.key.as_ref().map_or(0, |key| key.as_str().len()) + bytes
}

impl Key {
    fn new(topic: Option<&TopicName>, key: &CommandKey) -> Self {
        Self {
            of: topic.cloned().map_or(Of::Command, Of::Publication),
            key: Some(key.clone()),
        }
    }

    fn of_version(topic: &TopicName, key: Option<&CommandKey>) -> Self {
        Self {
            of: Of::Version(topic.clone()),
            key: key.cloned(),
        }
    }

    fn owner(&self) -> &str {
        match (&self.of, &self.key) {
            (Of::Version(_), _) => VERSIONS,
            (Of::Command | Of::Publication(_), Some(key)) => key.owner(),
            (Of::Command | Of::Publication(_), None) => "",
        }
    }
}
