//! What the store's keys and values look like. Numbers are big-endian, so that keys sort
//! by them.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};

use super::error::Contradiction;
use crate::{CommandKey, Epoch, Position, Publication, Retention, clock::whole_ms, position};

/// The first byte of every value.
const VERSION: u8 = 1;

/// What the store knows of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TopicRecord {
    /// Its number, the first part of its publications' keys.
    pub(super) id: u64,
    pub(super) epoch: Epoch,
    /// The offset of the newest publication.
    pub(super) top: u64,
    /// That of the oldest one in the store, one above the top if there is none. It may be
    /// older than what is remembered.
    pub(super) first: u64,
    pub(super) published_ms: u64,
    pub(super) retention: Retention,
}

/// The absence of a bound.
const ANY: u64 = u64::MAX;

impl TopicRecord {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(73);
        let position = Position {
            epoch: self.epoch,
            offset: self.top,
        };
        bytes.put_u8(VERSION);
        bytes.put_u64(self.id);
        bytes.put_slice(&position::to_bytes(position));
        bytes.put_u64(self.first);
        bytes.put_u64(self.published_ms);
        bytes.put_u64(self.retention.count as u64);
        bytes.put_u64(self.retention.age.map_or(ANY, whole_ms));
        bytes.put_u64(self.retention.bytes.map_or(ANY, |bytes| bytes as u64));
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Contradiction> {
        let wrong = || Contradiction("the record of a topic cannot be read".to_owned());
        let mut rest = versioned(bytes).ok_or_else(wrong)?;
        if rest.len() != 72 {
            return Err(wrong());
        }
        let id = rest.get_u64();
        let (position, mut rest) = rest.split_at(24);
        let Position { epoch, offset: top } = position::from_bytes(position).ok_or_else(wrong)?;
        let record = Self {
            id,
            epoch,
            top,
            first: rest.get_u64(),
            published_ms: rest.get_u64(),
            retention: Retention {
                count: size(rest.get_u64()),
                age: Some(rest.get_u64())
                    .filter(|age| *age != ANY)
                    .map(Duration::from_millis),
                bytes: Some(rest.get_u64()).filter(|bytes| *bytes != ANY).map(size),
            },
        };
        if record.first == 0 || record.first > record.top.saturating_add(1) {
            return Err(wrong());
        }
        Ok(record)
    }
}

/// A store of a machine with larger sizes means as much as there can be.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) fn publication_key(topic: u64, offset: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&topic.to_be_bytes());
    key[8..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The offset in a publication's key.
pub(super) fn offset_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(8..)?.try_into().ok()?))
}

pub(super) fn publication_to_bytes(time_ms: u64, data: &[u8]) -> Vec<u8> {
    timed(time_ms, data)
}

pub(super) fn publication_from_bytes(
    offset: u64,
    bytes: &[u8],
) -> Result<Publication, Contradiction> {
    match from_timed(bytes) {
        Some((time_ms, data)) => Ok(Publication {
            offset,
            time_ms,
            data: Bytes::copy_from_slice(data),
        }),
        None => Err(Contradiction(format!(
            "publication {offset} of a topic cannot be read"
        ))),
    }
}

/// Where an answer is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AnswerKey(Vec<u8>);

impl AnswerKey {
    pub(super) fn of_command(key: &CommandKey) -> Self {
        let mut bytes = vec![b'c'];
        bytes.put_slice(key.as_str().as_bytes());
        Self(bytes)
    }

    pub(super) fn of_publication(topic: u64, key: &CommandKey) -> Self {
        let mut bytes = vec![b'p'];
        bytes.put_u64(topic);
        bytes.put_slice(key.as_str().as_bytes());
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) ends_ms: u64,
    pub(super) data: Bytes,
}

impl Answer {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        timed(self.ends_ms, &self.data)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Contradiction> {
        match from_timed(bytes) {
            Some((ends_ms, data)) => Ok(Self {
                ends_ms,
                data: Bytes::copy_from_slice(data),
            }),
            None => Err(Contradiction("an answer cannot be read".to_owned())),
        }
    }
}

/// The key by which answers are found that have ended.
pub(super) fn end_key(ends_ms: u64, answer: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(8 + answer.len());
    key.put_u64(ends_ms);
    key.put_slice(answer);
    key
}

/// The answer's key in an end's key.
pub(super) fn ended(key: &[u8]) -> Option<&[u8]> {
    key.get(8..)
}

fn timed(time_ms: u64, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9 + data.len());
    bytes.put_u8(VERSION);
    bytes.put_u64(time_ms);
    bytes.put_slice(data);
    bytes
}

fn from_timed(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (time, data) = versioned(bytes)?.split_at_checked(8)?;
    Some((u64::from_be_bytes(time.try_into().ok()?), data))
}

fn versioned(bytes: &[u8]) -> Option<&[u8]> {
    let (version, rest) = bytes.split_first()?;
    (*version == VERSION).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> TopicRecord {
        TopicRecord {
            id: 7,
            epoch: Epoch::begin(1_700_000_000_000),
            top: 12,
            first: 3,
            published_ms: 1_700_000_000_001,
            retention: Retention::count(100)
                .max_age(Duration::from_secs(5))
                .max_bytes(1000),
        }
    }

    #[test]
    fn a_topic_survives_being_kept() {
        let unbounded = TopicRecord {
            retention: Retention::count(usize::MAX),
            first: 13,
            ..record()
        };
        for record in [record(), unbounded] {
            assert_eq!(TopicRecord::from_bytes(&record.to_bytes()).unwrap(), record);
        }
    }

    #[test]
    fn what_is_no_record_is_not_read() {
        let good = record().to_bytes();
        for length in 0..good.len() {
            assert!(TopicRecord::from_bytes(&good[..length]).is_err());
        }
        let mut longer = good.clone();
        longer.push(0);
        assert!(TopicRecord::from_bytes(&longer).is_err());
        let mut newer = good;
        newer[0] = 2;
        assert!(TopicRecord::from_bytes(&newer).is_err());
        for first in [0, 14] {
            let wrong = TopicRecord { first, ..record() };
            assert!(TopicRecord::from_bytes(&wrong.to_bytes()).is_err());
        }
        for wrong in [&[][..], &[1], &[2; 20], &[1; 8]] {
            assert!(publication_from_bytes(1, wrong).is_err());
            assert!(Answer::from_bytes(wrong).is_err());
        }
    }

    #[test]
    fn publications_and_answers_survive_being_kept() {
        let kept = publication_to_bytes(5, b"data");
        let publication = publication_from_bytes(9, &kept).unwrap();
        assert_eq!(publication.offset, 9);
        assert_eq!(publication.time_ms, 5);
        assert_eq!(publication.data, "data");
        let answer = Answer {
            ends_ms: 6,
            data: Bytes::new(),
        };
        assert_eq!(Answer::from_bytes(&answer.to_bytes()).unwrap(), answer);
        assert_eq!(offset_of(&publication_key(1, 258)), Some(258));
        let key = AnswerKey::of_publication(1, &CommandKey::try_from("k").unwrap());
        assert_eq!(ended(&end_key(6, key.as_bytes())), Some(key.as_bytes()));
    }
}
