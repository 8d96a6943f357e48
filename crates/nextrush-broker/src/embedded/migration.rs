//! New names for the topics and commands of a store of an older format.

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::error::{Contradiction, OpenError};
use super::record::{Answer, AnswerKey};
use crate::answer::CommandKey;
use crate::error::BrokerError;
use crate::topic_name::TopicName;

/// The new names of the topics and commands in a store of an older format.
///
/// [Opening](crate::EmbeddedBroker::builder) such a store asks for each name once, in no
/// particular order, before anything is served. Everything else stays: epochs, offsets,
/// publications with their times, retentions. A crash in between leaves the store in its old
/// format, and the next attempt starts from the beginning.
///
/// Topics without publications are not in the store. If their names change, they begin a new
/// epoch.
pub trait Migration: Send + Sync + 'static {
    /// The new name of a topic in a store of the format `from`; `None` if it keeps its name.
    ///
    /// Two topics must not get the same name.
    fn topic(&self, from: u32, topic: &TopicName) -> Option<TopicName>;

    /// The new key of a command with a remembered answer, or of a publication that happens
    /// [once](crate::Publish::once); `None` if it keeps its key. By default all do.
    ///
    /// Two commands must not get the same key.
    fn command(&self, from: u32, key: &CommandKey) -> Option<CommandKey> {
        let _ = (from, key);
        None
    }
}

/// The keyspaces with names in their keys, which a migration copies.
///
/// Each format has keyspaces of its own. A migration writes to those of the new format and
/// leaves the old ones as they are until the store has the new format.
pub(super) struct Named {
    /// Records of topics, by name.
    pub(super) topics: Keyspace,
    /// Answers by their keys. Merging of tables removes those that have ended.
    pub(super) answers: Keyspace,
}

impl Named {
    /// The names of the keyspaces in a format.
    pub(super) const fn keyspaces(version: u32) -> [&'static str; 2] {
        match version {
            2 => ["topics", "answers"],
            _ => ["topics-3", "answers-3"],
        }
    }

    /// Opens the keyspaces of a format, or makes them.
    pub(super) fn open(
        db: &Database,
        version: u32,
        topics: impl FnOnce() -> KeyspaceCreateOptions,
        answers: impl FnOnce() -> KeyspaceCreateOptions,
    ) -> Result<Self, fjall::Error> {
        let names = Self::keyspaces(version);
        Ok(Self {
            topics: db.keyspace(names[0], topics)?,
            answers: db.keyspace(names[1], answers)?,
        })
    }

    /// Removes the keyspaces of a format, if there are any.
    pub(super) fn remove(db: &Database, version: u32) -> Result<(), fjall::Error> {
        for name in Self::keyspaces(version) {
            if db.keyspace_exists(name) {
                let keyspace = db.keyspace(name, KeyspaceCreateOptions::default)?;
                db.delete_keyspace(keyspace)?;
            }
        }
        Ok(())
    }

    /// Copies everything to `new`, with new names. Answers that have ended are left out.
    pub(super) fn migrate(
        &self,
        new: &Self,
        from: u32,
        migration: &dyn Migration,
        now_ms: u64,
    ) -> Result<(), OpenError> {
        for pair in self.topics.iter() {
            let (name, record) = pair.into_inner()?;
            let topic = topic(&name)?;
            let topic = migration.topic(from, &topic).unwrap_or(topic);
            if new.topics.contains_key(topic.as_str())? {
                return Err(OpenError::AmbiguousMigration(topic.as_str().to_owned()));
            }
            new.topics.insert(topic.as_str(), record)?;
        }
        for pair in self.answers.iter() {
            let (key, answer) = pair.into_inner()?;
            if Answer::has_ended(&answer, now_ms) {
                continue;
            }
            let key = AnswerKey::from_tables(&key)?;
            let command = key.command()?;
            let key = match migration.command(from, &command) {
                Some(command) => key.with_command(&command),
                None => key,
            };
            if new.answers.contains_key(key.in_tables())? {
                let command = key.command()?;
                return Err(OpenError::AmbiguousMigration(command.as_str().to_owned()));
            }
            new.answers.insert(key.in_tables(), answer)?;
        }
        Ok(())
    }
}

/// The topic whose name is a key.
pub(super) fn topic(name: &[u8]) -> Result<TopicName, BrokerError> {
    str::from_utf8(name)
        .ok()
        .and_then(|name| TopicName::try_from(name).ok())
        .ok_or_else(|| Contradiction("the name of a topic cannot be read".to_owned()).into())
}
