//! The contents of a store, apart from it.

use std::collections::HashMap;

use fjall::{Readable as _, Snapshot};

use super::error::Contradiction;
use super::migration;
use super::record::{Answer, AnswerKey, Subject, TopicRecord};
use super::store::{Store, UNBORN};
use crate::answer::Fingerprint;
use crate::error::BrokerError;
use crate::exported::{Exported, ExportedCommand, ExportedOnce, ExportedTopic, ExportedVersion};
use crate::leases;
use crate::position::{self, Epoch, Position};
use crate::topic_name::TopicName;

impl Store {
    /// Gives all that the tables hold as of a moment to `take`; the log must have been empty then.
    /// Answers that have ended are left out.
    pub(super) fn contents<E: From<BrokerError>>(
        &self,
        snapshot: &Snapshot,
        now_ms: u64,
        mut take: impl FnMut(Exported) -> Result<(), E>,
    ) -> Result<(), E> {
        let unborn = snapshot
            .get(&self.state, UNBORN)
            .map_err(BrokerError::from)?;
        if let Some(epoch) = unborn.and_then(|bytes| Epoch::from_bytes(&bytes)) {
            take(Exported::Unborn(epoch))?;
        }
        let mut names = HashMap::new();
        for pair in snapshot.iter(&self.named.topics) {
            let (name, _) = pair.into_inner().map_err(BrokerError::from)?;
            let topic = migration::topic(&name)?;
            let Some((number, exported)) = self.exported(snapshot, &topic)? else {
                continue;
            };
            names.insert(number, topic);
            take(Exported::Topic(exported))?;
        }
        for pair in snapshot.iter(&self.named.answers) {
            let (key, value) = pair.into_inner().map_err(BrokerError::from)?;
            if let Some(item) = answer(&key, &value, now_ms, &names)? {
                take(item)?;
            }
        }
        Ok(())
    }

    /// A topic with its number.
    fn exported(
        &self,
        snapshot: &Snapshot,
        topic: &TopicName,
    ) -> Result<Option<(u64, ExportedTopic)>, BrokerError> {
        let found = self.read_at(snapshot, topic).map_err(|error| match error {
            BrokerError::Damaged(cause) => {
                Contradiction(format!("the topic {topic} cannot be read: {cause}")).into()
            }
            error => error,
        })?;
        let Some(found) = found else {
            return Ok(None);
        };
        let TopicRecord {
            id,
            published_ms,
            retention,
            ..
        } = found.record;
        let position = found.record.position();
        let mut exported = ExportedTopic::new(topic.clone(), position, published_ms, retention);
        exported.publications = found.publications;
        let version = AnswerKey::of_version(id, None).in_tables();
        if let Some(value) = snapshot.get(&self.named.answers, version)? {
            let (number, place) = versioned(&Answer::from_bytes(&value)?)?;
            exported.version = (place.epoch == position.epoch).then_some((number, place.offset));
        }
        Ok(Some((id, exported)))
    }
}

/// The item of an answer; `None` if it has ended, belongs to a topic that is forgotten, or is the
/// version of a whole topic, which goes with that.
fn answer(
    key: &[u8],
    value: &[u8],
    now_ms: u64,
    names: &HashMap<u64, TopicName>,
) -> Result<Option<Exported>, BrokerError> {
    let answer = Answer::from_bytes(value)?;
    let ends_ms = answer.ends_ms;
    if ends_ms <= now_ms {
        return Ok(None);
    }
    let name = |topic: u64| names.get(&topic).cloned();
    Ok(match AnswerKey::from_tables(key)?.subject()? {
        Subject::Command(key) => {
            let (fingerprint, kept) = leases::read(&answer.data);
            let kept = kept.map(|kept| answer.data.slice_ref(kept));
            let mut command = ExportedCommand::new(key, kept, ends_ms);
            command.fingerprint = fingerprint;
            Some(Exported::Command(command))
        }
        Subject::Once(topic, key) => match name(topic) {
            None => None,
            Some(topic) => {
                let unreadable = || Contradiction("the key of a publication cannot be read".into());
                let (place, print) = answer
                    .data
                    .split_at_checked(position::BYTES)
                    .ok_or_else(unreadable)?;
                let place = position::from_bytes(place).ok_or_else(unreadable)?;
                let mut once = ExportedOnce::new(topic, key, place, ends_ms);
                once.fingerprint = print.try_into().ok().map(Fingerprint::from_bytes);
                Some(Exported::Once(once))
            }
        },
        Subject::Version(topic, Some(key)) => match name(topic) {
            None => None,
            Some(topic) => {
                let (number, place) = versioned(&answer)?;
                let version = ExportedVersion::new(topic, key, number, place, ends_ms);
                Some(Exported::Version(version))
            }
        },
        Subject::Version(_, None) => None,
    })
}

/// A version and its place, from what is kept of it.
fn versioned(answer: &Answer) -> Result<(u64, Position), Contradiction> {
    answer
        .data
        .split_first_chunk()
        .and_then(|(number, place)| {
            Some((u64::from_be_bytes(*number), position::from_bytes(place)?))
        })
        .ok_or_else(|| Contradiction("the version of a topic cannot be read".to_owned()))
}
