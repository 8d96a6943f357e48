//! The contents of another store, written to a Redis.

use nextrush_broker::{
    BrokerError, Epoch, ExportError, Exported, ExportedTopic, Fingerprint, Position, Publication,
    Retention, SharedStore as _, TopicName,
};
use redis::{Cmd, Value, cmd};

use crate::export::now_ms;
use crate::failure::Failure;
use crate::format::{NONE, bounded, bounded_offset, print_bytes, whole_ms};
use crate::partition::Partition;
use crate::script::SCRIPTS;
use crate::store::RedisStore;

/// The bytes of a history that are written at a time.
const PIECE: usize = 512 << 10;

impl RedisStore {
    /// Fails if there are topics below the prefix: what is imported goes to an empty place.
    ///
    /// # Errors
    ///
    /// [`ExportError::NotEmpty`], or [`ExportError::Store`] if the Redis fails.
    pub async fn check_empty(&self) -> Result<(), ExportError> {
        match self.topics(None, 1).await?.first() {
            Some(_) => Err(ExportError::NotEmpty(format!(
                "the Redis, below {},",
                self.keys.prefix()
            ))),
            None => Ok(()),
        }
    }

    /// Writes an item that an [`ExportReader`](nextrush_broker::ExportReader) has read. Topics come
    /// before their keys and versions, and what has ended is left out. The epochs of topics without
    /// publications do not come along: a Redis has its own.
    ///
    /// No server may use the prefix meanwhile. An import that was interrupted has left a part of it:
    /// use another prefix then.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the Redis fails or has the topic already.
    pub async fn import(&self, item: Exported) -> Result<(), BrokerError> {
        match item {
            Exported::Topic(topic) => self.import_topic(&topic).await,
            Exported::Once(once) => {
                let mut value = bytes_of(once.position).to_vec();
                value.extend(with_mark(once.fingerprint));
                let key = self.keys.once(&once.topic, once.key.as_str());
                let partition = Partition::of(once.topic.as_str());
                self.set(partition, key, &value, once.ends_ms).await
            }
            Exported::Version(version) => {
                let mut value = vec![1];
                value.extend(version.number.to_be_bytes());
                value.extend(bytes_of(version.position));
                let key = self.keys.version(&version.topic, version.key.as_str());
                let partition = Partition::of(version.topic.as_str());
                self.set(partition, key, &value, version.ends_ms).await
            }
            Exported::Command(command) => {
                let mut value = vec![command.answer.as_ref().map_or(b'R', |_| b'A')];
                value.extend(with_mark(command.fingerprint));
                match &command.answer {
                    Some(answer) => value.extend(answer),
                    // Nobody's claim, in doubt since 1970.
                    None => value.extend([&[0; 16][..], b"0"].concat()),
                }
                // Where the owner's part of a key ends is not in the export: the answer goes to each
                // place where it may be looked for.
                let text = command.key.as_str();
                let ends = text.match_indices('/').map(|(end, _)| end);
                for owner in ends.map(|end| &text[..end]).chain([""]) {
                    let key = self.keys.command(owner, text);
                    let partition = Partition::of(owner);
                    self.set(partition, key, &value, command.ends_ms).await?;
                }
                Ok(())
            }
            // `Exported` grows with what stores keep.
            _ => Ok(()),
        }
    }

    async fn import_topic(&self, topic: &ExportedTopic) -> Result<(), BrokerError> {
        let name = &topic.topic;
        let partition = Partition::of(name.as_str());
        let history = self.keys.history(name);
        let Retention {
            count, age, bytes, ..
        } = topic.retention;
        let age_ms = age.map_or(NONE, whole_ms);
        // A history with an age ends as a whole with its newest publication.
        let left_ms = topic
            .published_ms
            .saturating_add(age_ms)
            .saturating_sub(now_ms());
        let is_kept = count > 0 && left_ms > 0;
        let mut data_bytes = 0;
        if is_kept && !topic.publications.is_empty() {
            let mut piece = cmd("RPUSH");
            piece.arg(&history);
            let mut size = 0;
            for publication in &topic.publications {
                let entry = entry(publication);
                size += entry.len();
                data_bytes += publication.data.len() as u64;
                piece.arg(entry);
                if size >= PIECE {
                    self.request(partition, &piece).await?;
                    piece = cmd("RPUSH");
                    piece.arg(&history);
                    size = 0;
                }
            }
            if size > 0 {
                self.request(partition, &piece).await?;
            }
            if age.is_some() {
                let mut expire = cmd("PEXPIRE");
                expire.arg(&history).arg(left_ms);
                self.request(partition, &expire).await?;
            }
        }
        let (version, versioned) = topic.version.unwrap_or_default();
        let nothing = || [0; 24];
        let mut packed = bytes_of(topic.position).to_vec();
        packed.extend(topic.earlier.map_or_else(nothing, bytes_of));
        for number in [
            topic.published_ms,
            data_bytes,
            bounded(count),
            age_ms,
            bytes.map_or(NONE, bounded),
            version,
            bounded_offset(versioned),
        ] {
            packed.extend(number.to_be_bytes());
        }
        let keys = [self.keys.topic(name)];
        let add = |call: &mut Cmd| {
            call.arg(self.idle_ms).arg(&packed);
        };
        match self
            .script(partition, &SCRIPTS.restore, &keys, add, None)
            .await?
        {
            Value::Int(1) => Ok(()),
            _ => Err(is_there(name).into()),
        }
    }

    /// Sets a key until a time, unless that has passed.
    async fn set(
        &self,
        partition: Partition,
        key: String,
        value: &[u8],
        ends_ms: u64,
    ) -> Result<(), BrokerError> {
        let left_ms = ends_ms.saturating_sub(now_ms());
        if left_ms > 0 {
            let mut set = cmd("SET");
            set.arg(key).arg(value).arg("PX").arg(left_ms);
            self.request(partition, &set).await?;
        }
        Ok(())
    }
}

fn is_there(topic: &TopicName) -> Failure {
    Failure::Damaged(format!("the topic {topic} is there already"))
}

/// An entry of a history, as `topic.lua` has it.
fn entry(publication: &Publication) -> Vec<u8> {
    let owner = publication.owner.as_ref();
    let mut entry = vec![match owner {
        _ if publication.is_deleted => 1,
        Some(_) => 2,
        None => 0,
    }];
    entry.extend(publication.time_ms.to_be_bytes());
    if let Some(owner) = owner.filter(|_| !publication.is_deleted) {
        // An owner has 255 bytes at most.
        let length = u16::try_from(owner.as_str().len()).unwrap_or(u16::MAX);
        entry.extend(length.to_be_bytes());
        entry.extend(owner.as_str().as_bytes());
    }
    entry.extend(&publication.data);
    entry
}

fn bytes_of(position: Position) -> [u8; 24] {
    let Position { epoch, offset } = position;
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(Epoch::as_bytes(&epoch));
    bytes[16..].copy_from_slice(&offset.to_be_bytes());
    bytes
}

/// A fingerprint behind the mark that tells whether there is one.
fn with_mark(print: Option<Fingerprint>) -> Vec<u8> {
    let mut bytes = vec![u8::from(print.is_some())];
    bytes.extend(print_bytes(print));
    bytes
}
