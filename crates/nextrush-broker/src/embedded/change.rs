//! Changes of the tables.

use fjall::OwnedWriteBatch;

use super::record::{self, Answer, AnswerKey, Run, TopicRecord};
use super::store::{Store, UNBORN};
use crate::position::Epoch;

/// A change of the tables that is being put together.
pub(super) struct Change<'a> {
    pub(super) store: &'a Store,
    pub(super) batch: OwnedWriteBatch,
}

impl Change<'_> {
    pub(super) fn set_topic(&mut self, topic: &str, record: TopicRecord) {
        self.batch
            .insert(&self.store.named.topics, topic, record.to_bytes());
    }

    pub(super) fn remove_topic(&mut self, topic: &str) {
        self.batch.remove(&self.store.named.topics, topic);
    }

    /// Sets the epoch of unborn topics, in the same change that removes topics.
    pub(super) fn set_unborn(&mut self, epoch: Epoch) {
        self.batch
            .insert(&self.store.state, UNBORN, epoch.as_bytes());
    }

    pub(super) fn add_run(&mut self, topic: u64, run: Run) {
        let key = record::run_key(topic, run.first);
        self.batch.insert(&self.store.runs, key, run.into_value());
    }

    pub(super) fn remove_run(&mut self, topic: u64, first: u64) {
        self.batch
            .remove(&self.store.runs, record::run_key(topic, first));
    }

    pub(super) fn add_answer(&mut self, key: &AnswerKey, answer: &Answer) {
        let (answers, key) = (&self.store.named.answers, key.in_tables());
        match answer.is_nothing() {
            true => self.batch.remove(answers, key),
            false => self.batch.insert(answers, key, answer.to_bytes()),
        }
    }

    /// Removes a group from the log.
    pub(super) fn forget_group(&mut self, group: u64) {
        self.batch.remove(&self.store.log, group.to_be_bytes());
    }

    /// Makes the whole change visible to readers at once.
    pub(super) fn commit(self) -> Result<(), fjall::Error> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.store.write(self.batch).map(drop)
    }
}
