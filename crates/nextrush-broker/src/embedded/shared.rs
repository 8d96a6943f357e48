//! The state that callers and the writer share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::{Semaphore, watch};

use super::cached::Cached;
use super::error::cut_off;
use super::limit::Limit;
use super::options::EmbeddedOptions;
use super::recent::Recent;
use super::record::{Answer, AnswerKey};
use super::store::{Store, guarded};
use super::unborn::Unborn;
use crate::broker::Sink;
use crate::clock::{Clock, Now};
use crate::error::BrokerError;
use crate::table::Table;
use crate::topic_name::TopicName;

/// The state that the callers of the broker and its writer share.
pub(super) struct Shared {
    pub(super) directory: PathBuf,
    pub(super) options: EmbeddedOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) topics: Table<Cached>,
    pub(super) recent: Recent,
    pub(super) sinks: RwLock<Arc<[Arc<dyn Sink>]>>,
    /// The bound of the files.
    pub(super) limit: Limit,
    /// The epochs of topics without publications.
    pub(super) unborn: Unborn,
    /// Locked for reading during each read, and for writing only to open the store again.
    /// `None` while that fails.
    pub(super) store: RwLock<Option<Store>>,
    /// The free bytes of the queue.
    pub(super) space: Arc<Semaphore>,
    /// The number of times that the store was opened again, or closed: a backup that notices one
    /// ends, as the files are to be closed.
    pub(super) closings: AtomicU64,
    /// Held by the backup that is under way.
    pub(super) backup: Arc<tokio::sync::Mutex<()>>,
    /// The part that has ended, although nobody told it to.
    pub(super) failed: watch::Sender<Option<&'static str>>,
}

impl Shared {
    /// Runs `act` on a topic whose history is in memory, after reading it if necessary.
    pub(super) fn enter_loaded<R>(
        &self,
        topic: &TopicName,
        act: impl FnOnce(&mut Cached, Now) -> R,
    ) -> Result<R, BrokerError> {
        self.enter_reading(topic, |cached| !cached.is_loaded(), act)
    }

    /// Runs `act` on a topic, after reading it from the disk if `need` says so.
    pub(super) fn enter_reading<R>(
        &self,
        topic: &TopicName,
        need: impl FnOnce(&Cached) -> bool,
        act: impl FnOnce(&mut Cached, Now) -> R,
    ) -> Result<R, BrokerError> {
        self.topics.enter(topic, |cached, now| {
            if need(cached) {
                let found = self.with_store(|store| store.load(topic))?;
                // In this order: a topic that has just been forgotten has another epoch.
                cached.load(found, self.unborn.of(topic), now)?;
            }
            Ok(act(cached, now))
        })
    }

    /// The answer in force, from memory or from the tables.
    pub(super) fn answer_in(
        &self,
        store: &Store,
        key: &AnswerKey,
        now_ms: u64,
    ) -> Result<Option<Bytes>, BrokerError> {
        let answer = self.whole_answer_in(store, key, now_ms)?;
        Ok(answer.map(|answer| answer.data))
    }

    /// The same, with its end.
    pub(super) fn whole_answer_in(
        &self,
        store: &Store,
        key: &AnswerKey,
        now_ms: u64,
    ) -> Result<Option<Answer>, BrokerError> {
        // In this order: an answer is in the tables before it leaves the memory.
        let answer = match self.recent.get(key) {
            Some(answer) => Some(answer),
            None => store.answer(key)?,
        };
        Ok(answer.filter(|answer| answer.ends_ms > now_ms))
    }

    /// Runs `act` on the store. fjall panics at some kinds of damage, which is an error here.
    pub(super) fn with_store<R>(
        &self,
        act: impl FnOnce(&Store) -> Result<R, BrokerError>,
    ) -> Result<R, BrokerError> {
        match &*self.store.read() {
            Some(store) => guarded(|| act(store)),
            None => Err(cut_off()),
        }
    }

    /// Notes that a part without which the broker cannot work has ended. The first one counts.
    pub(super) fn fail(&self, part: &'static str) {
        self.failed
            .send_modify(|failed| *failed = failed.or(Some(part)));
    }
}

/// An error that does not occur, as loading a topic makes it loaded.
pub(super) fn unreachable_unloaded(topic: &TopicName) -> BrokerError {
    BrokerError::Unavailable(format!("the topic {topic} was not read").into())
}
