//! The contents of a Redis, apart from it.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use nextrush_broker::{
    BrokerError, CommandKey, Epoch, ExportError, ExportWriter, Exported, ExportedCommand,
    ExportedOnce, ExportedTopic, ExportedVersion, Fingerprint, HistoryQuery, Position, Publication,
    SharedStore as _, TopicName,
};
use redis::{Value, cmd};

use crate::failure::Failure;
use crate::format::bytes_of;
use crate::link::Link;
use crate::listing::Scan;
use crate::partition::Partition;
use crate::store::RedisStore;

/// The topics that are listed at a time.
const PAGE: usize = 1000;

/// The places of what is read of a topic's record, which `topic.lua` packs.
mod place {
    use std::ops::Range;

    pub(super) const EPOCH: Range<usize> = 1..17;
    pub(super) const TIME: Range<usize> = 61..67;
    pub(super) const VERSION: Range<usize> = 101..109;
    pub(super) const VERSIONED: Range<usize> = 109..115;
}

impl RedisStore {
    /// Writes all topics below the prefix with their histories, versions and keys, and the answers to
    /// commands. Who is where, and what has ended, is left out.
    ///
    /// Each topic is read at one moment, one after the other: for a move stop the servers first.
    ///
    /// # Errors
    ///
    /// [`ExportError::Store`] if the Redis fails or holds something that this program did not write,
    /// [`ExportError::Io`] if the output cannot be written.
    pub async fn export(
        &self,
        writer: &mut ExportWriter<impl Write + Send>,
    ) -> Result<(), ExportError> {
        let mut names = HashSet::new();
        let mut last = None;
        loop {
            let page = self.topics(last.as_ref(), PAGE).await?;
            for topic in &page {
                if let Some(exported) = self.exported(topic).await? {
                    writer.write(&Exported::Topic(exported))?;
                    names.insert(topic.clone());
                }
            }
            match page.last() {
                Some(topic) => last = Some(topic.clone()),
                None => break,
            }
        }
        for kind in ["k", "v", "a"] {
            self.export_keys(kind, &names, writer).await?;
        }
        Ok(())
    }

    /// A topic; `None` if it has no publications any more.
    async fn exported(&self, topic: &TopicName) -> Result<Option<ExportedTopic>, BrokerError> {
        let stored = self.read(topic, HistoryQuery::Latest(usize::MAX)).await?;
        let position = stored.history.position;
        let mut get = cmd("GET");
        get.arg(self.keys.topic(topic));
        let record = self.request(Partition::of(topic.as_str()), &get).await?;
        let Value::BulkString(record) = record else {
            return Ok(None);
        };
        if position.offset == 0 {
            return Ok(None);
        }
        let damaged = || Failure::Damaged(format!("the record of {topic} has another form"));
        let number = |place| record.get(place).map(number);
        let epoch = record.get(place::EPOCH).ok_or_else(damaged)?;
        let time = number(place::TIME).ok_or_else(damaged)?;
        let version = number(place::VERSION).ok_or_else(damaged)?;
        let publications = stored.history.publications;
        let published_ms = publications.last().map_or(time, |newest| newest.time_ms);
        let retention = stored.retention.unwrap_or_default();
        let mut exported = ExportedTopic::new(topic.clone(), position, published_ms, retention);
        // Records of programs before versions end earlier.
        let versioned = number(place::VERSIONED).unwrap_or(position.offset);
        // The record may be newer than the history.
        let is_of_both = epoch == position.epoch.as_bytes() && versioned <= position.offset;
        exported.version = (version > 0 && is_of_both).then_some((version, versioned));
        exported.earlier = stored.history.continues;
        exported.publications = unbroken(publications, position.offset);
        Ok(Some(exported))
    }

    /// Writes what is in the keys of a kind, as far as it belongs to these topics.
    async fn export_keys(
        &self,
        kind: &str,
        topics: &HashSet<TopicName>,
        writer: &mut ExportWriter<impl Write + Send>,
    ) -> Result<(), ExportError> {
        let links = self.requests.all_links().map_err(BrokerError::from)?;
        let mut seen = HashSet::new();
        for link in links {
            let mut scan = Scan::new(self.keys.pattern(kind));
            while let Some(found) = scan.next(&link).await.map_err(BrokerError::from)? {
                let new: Vec<_> = found
                    .into_iter()
                    .filter(|key| seen.insert(key.clone()))
                    .collect();
                let values = values(&link, &new).await.map_err(BrokerError::from)?;
                for (key, value) in new.iter().zip(values) {
                    if let Some((value, ends_ms)) = value
                        && let Some(item) = self
                            .item(kind, key, &value, ends_ms, topics)
                            .map_err(BrokerError::from)?
                    {
                        writer.write(&item)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn item(
        &self,
        kind: &str,
        key: &str,
        value: &Bytes,
        ends_ms: u64,
        topics: &HashSet<TopicName>,
    ) -> Result<Option<Exported>, Failure> {
        let damaged = || Failure::Damaged(format!("the key {key} has another form"));
        let command = |text: &str| CommandKey::try_from(text).map_err(|_| damaged());
        if kind == "a" {
            let Some(text) = self.keys.name_in(key, kind) else {
                return Ok(None);
            };
            // The kind, whether there is a fingerprint, and that.
            let (head, rest) = value.split_at_checked(10).ok_or_else(damaged)?;
            let answer = match head[0] {
                b'A' => Some(value.slice_ref(rest)),
                // Of a command that is executed at most once the time follows the token at which it
                // is in doubt. Others may be executed again.
                b'R' if rest.len() > 16 => None,
                b'R' => return Ok(None),
                _ => return Err(damaged()),
            };
            let mut exported = ExportedCommand::new(command(text)?, answer, ends_ms);
            exported.fingerprint = fingerprint(&head[1..]);
            return Ok(Some(Exported::Command(exported)));
        }
        let Some((topic, part)) = self.keys.part_in(key, kind) else {
            return Ok(None);
        };
        if !topics.contains(&topic) {
            return Ok(None);
        }
        if value.len() != 33 {
            return Err(damaged());
        }
        let part = command(part)?;
        let position = |bytes: &[u8]| {
            let epoch = Epoch::from_bytes(&bytes[..16]).ok_or_else(damaged)?;
            Ok(Position::new(epoch, number(&bytes[16..24])))
        };
        Ok(Some(match kind {
            "k" => {
                let mut once = ExportedOnce::new(topic, part, position(value)?, ends_ms);
                once.fingerprint = fingerprint(&value[24..]);
                Exported::Once(once)
            }
            _ => {
                let (version, place) = (number(&value[1..9]), position(&value[9..])?);
                Exported::Version(ExportedVersion::new(topic, part, version, place, ends_ms))
            }
        }))
    }
}

/// The values of keys with the times at which they end; `None` of those that have none any more, or
/// no end.
async fn values(link: &Arc<Link>, keys: &[String]) -> Result<Vec<Option<(Bytes, u64)>>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = redis::pipe();
    for key in keys {
        asked.cmd("GET").arg(key).cmd("PTTL").arg(key);
    }
    let now_ms = now_ms();
    let replies = link.requests(&asked).await?;
    let value = |pair: &[Value]| {
        let value = bytes_of(pair.first()?.clone()).ok()?;
        match pair.get(1)? {
            Value::Int(left) => Some((value, now_ms + u64::try_from(*left).ok()?)),
            _ => None,
        }
    };
    Ok(replies.chunks(2).map(value).collect())
}

/// The end of the history without a gap: publications that expired while it was read leave one.
fn unbroken(publications: Vec<Arc<Publication>>, top: u64) -> Vec<Arc<Publication>> {
    let count = publications.iter().rev().zip((1..=top).rev());
    let count = count
        .take_while(|(kept, offset)| kept.offset == *offset)
        .count();
    let first = publications.len() - count;
    publications.into_iter().skip(first).collect()
}

/// A fingerprint behind the mark that tells whether there is one.
fn fingerprint(bytes: &[u8]) -> Option<Fingerprint> {
    match bytes.split_first()? {
        (1, bytes) => Some(Fingerprint::from_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

/// A number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    bytes.iter().fold(0, add)
}

/// The milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
