//! The keys and values of the tables. Numbers are big-endian, so that keys sort by them.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use xxhash_rust::xxh3::xxh3_64;

use super::error::Contradiction;
use super::usage::{self, Shares};
use crate::answer::CommandKey;
use crate::clock::whole_ms;
use crate::owner::Owner;
use crate::position::{self, Epoch, Position};
use crate::publication::Publication;
use crate::retention::Retention;

/// The first byte of every value but runs.
const VERSION: u8 = 1;
/// The first byte of a run whose publications may have owners or be deleted.
const RUN_VERSION: u8 = 2;
/// The kinds of publications in such a run.
const PLAIN: u8 = 0;
const OWNED: u8 = 1;
const DELETED: u8 = 2;

/// The record of a topic in the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TopicRecord {
    /// The number of the topic, the first part of its publications' keys.
    pub(super) id: u64,
    pub(super) epoch: Epoch,
    /// The offset of the newest publication.
    pub(super) top: u64,
    /// The offset of the oldest publication in the store, or one above the top if there is
    /// none. Publications from here on may have expired.
    pub(super) first: u64,
    pub(super) published_ms: u64,
    pub(super) retention: Retention,
}

/// The number for a missing bound.
const ANY: u64 = u64::MAX;

impl TopicRecord {
    /// The length of a record.
    const BYTES: usize = 72;

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + Self::BYTES);
        bytes.put_u8(VERSION);
        self.put(&mut bytes);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Contradiction> {
        versioned(bytes)
            .filter(|rest| rest.len() == Self::BYTES)
            .and_then(|mut rest| Self::get(&mut rest))
            .ok_or_else(|| Contradiction("the record of a topic cannot be read".to_owned()))
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.put_u64(self.id);
        bytes.put_slice(&position::to_array(self.position()));
        bytes.put_u64(self.first);
        bytes.put_u64(self.published_ms);
        bytes.put_u64(self.retention.count as u64);
        bytes.put_u64(self.retention.age.map_or(ANY, whole_ms));
        bytes.put_u64(self.retention.bytes.map_or(ANY, |bytes| bytes as u64));
    }

    /// Reads a record from the front of `bytes`.
    pub(super) fn get(bytes: &mut &[u8]) -> Option<Self> {
        let mut rest = take(bytes, Self::BYTES)?;
        let id = rest.get_u64();
        let Position { epoch, offset: top } = position::from_bytes(take(&mut rest, 24)?)?;
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
        let is_whole = record.first > 0 && record.first <= record.top.saturating_add(1);
        is_whole.then_some(record)
    }

    pub(super) fn position(&self) -> Position {
        Position::new(self.epoch, self.top)
    }
}

/// Takes `length` bytes off the front.
pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// Reads a size. One that is too large for this machine is its largest.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The key of a run of publications, which starts at the offset `first`.
pub(super) fn run_key(topic: u64, first: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&topic.to_be_bytes());
    key[8..].copy_from_slice(&first.to_be_bytes());
    key
}

/// The first offset in a run's key.
pub(super) fn first_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(8..)?.try_into().ok()?))
}

/// Consecutive publications of a topic in one value.
pub(super) struct Run {
    pub(super) first: u64,
    value: Vec<u8>,
    count: u64,
    shares: Shares,
}

impl Run {
    /// The size from which on a run takes no more publications. Runs are removed as a whole,
    /// so a topic has up to this many expired bytes on disk.
    const BYTES: usize = 32 << 10;

    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            value: vec![RUN_VERSION],
            count: 0,
            shares: Shares::new(),
        }
    }

    /// Adds a publication to the last run, or to a new one if it does not follow or the run
    /// is full.
    pub(super) fn add(runs: &mut Vec<Self>, publication: &Publication) {
        match runs.last_mut() {
            Some(run)
                if run.first + run.count == publication.offset && run.value.len() < Self::BYTES =>
            {
                run.push(publication);
            }
            _ => {
                let mut run = Self::new(publication.offset);
                run.push(publication);
                runs.push(run);
            }
        }
    }

    pub(super) fn push(&mut self, publication: &Publication) {
        let Publication {
            time_ms,
            data,
            owner,
            is_deleted,
            ..
        } = publication;
        self.value.reserve(13 + data.len());
        self.value.put_u64(*time_ms);
        match owner {
            _ if *is_deleted => self.value.put_u8(DELETED),
            None => self.value.put_u8(PLAIN),
            Some(owner) => {
                self.value.put_u8(OWNED);
                put_owner(&mut self.value, owner);
            }
        }
        // The length has been through the log, which has the same bound.
        self.value
            .put_u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
        self.value.put_slice(data);
        self.count += 1;
        usage::add_to(&mut self.shares, publication);
    }

    pub(super) fn into_value(self) -> Vec<u8> {
        self.value
    }

    pub(super) fn len(&self) -> usize {
        self.value.len()
    }

    /// The bytes of each owner in it.
    pub(super) fn shares(&self) -> &Shares {
        &self.shares
    }
}

/// The publications of a run.
pub(super) fn run_from_bytes(
    first: u64,
    bytes: &[u8],
) -> Result<Vec<Arc<Publication>>, Contradiction> {
    let wrong = || {
        Contradiction(format!(
            "the publications of a topic from {first} on cannot be read"
        ))
    };
    let (version, mut rest) = bytes.split_first().ok_or_else(wrong)?;
    if ![VERSION, RUN_VERSION].contains(version) {
        return Err(wrong());
    }
    let mut run = Vec::new();
    let mut offset = first;
    while !rest.is_empty() {
        let time_ms = rest.try_get_u64().map_err(|_| wrong())?;
        let kind = match *version {
            VERSION => PLAIN,
            _ => rest.try_get_u8().map_err(|_| wrong())?,
        };
        let owner = match kind {
            PLAIN | DELETED => None,
            OWNED => Some(get_owner(&mut rest).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
        let length = rest.try_get_u32().map_err(|_| wrong())?;
        let data = take(&mut rest, size(length.into())).ok_or_else(wrong)?;
        run.push(Arc::new(Publication {
            offset,
            time_ms,
            data: Bytes::copy_from_slice(data),
            owner,
            is_deleted: kind == DELETED,
        }));
        offset = offset.checked_add(1).ok_or_else(wrong)?;
    }
    Ok(run)
}

/// Writes an owner, whose name has 255 bytes at most.
pub(super) fn put_owner(bytes: &mut Vec<u8>, owner: &Owner) {
    let name = owner.as_str();
    bytes.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.put_slice(name.as_bytes());
}

/// Reads an owner from the front.
pub(super) fn get_owner(bytes: &mut &[u8]) -> Option<Owner> {
    let length = bytes.try_get_u8().ok()?;
    let name = take(bytes, length.into())?;
    Some(Owner::new(str::from_utf8(name).ok()?))
}

/// The key of a remembered answer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
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

    /// The key of the last publication of a topic with a version.
    pub(super) fn of_version(topic: u64, key: Option<&CommandKey>) -> Self {
        let mut bytes = vec![b'v'];
        bytes.put_u64(topic);
        bytes.put_slice(key.map_or("", CommandKey::as_str).as_bytes());
        Self(bytes)
    }

    /// Reads the bytes of [`as_bytes`](Self::as_bytes).
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Reads the bytes of [`in_tables`](Self::in_tables).
    pub(super) fn from_tables(mut bytes: &[u8]) -> Result<Self, Contradiction> {
        let wrong = || Contradiction("the key of an answer cannot be read".to_owned());
        take(&mut bytes, 8).ok_or_else(wrong)?;
        Ok(Self(bytes.to_vec()))
    }

    /// The key of the command or publication.
    pub(super) fn command(&self) -> Result<CommandKey, Contradiction> {
        self.0
            .get(self.prefix()..)
            .and_then(|key| CommandKey::try_from(str::from_utf8(key).ok()?).ok())
            .ok_or_else(|| Contradiction("the key of an answer cannot be read".to_owned()))
    }

    /// The same with another command's key in its place.
    pub(super) fn with_command(&self, key: &CommandKey) -> Self {
        let mut bytes = self.0[..self.prefix().min(self.0.len())].to_vec();
        bytes.put_slice(key.as_str().as_bytes());
        Self(bytes)
    }

    /// The number of bytes before the command's key.
    fn prefix(&self) -> usize {
        match self.0.first() {
            Some(b'p' | b'v') => 9,
            _ => 1,
        }
    }

    /// The thing to which the answer belongs.
    pub(super) fn subject(&self) -> Result<Subject, Contradiction> {
        let topic = || {
            let bytes = self.0.get(1..9).and_then(|bytes| bytes.try_into().ok());
            u64::from_be_bytes(bytes.unwrap_or_default())
        };
        Ok(match self.0.first() {
            Some(b'v') if self.0.len() == 9 => Subject::Version(topic(), None),
            Some(b'v') => Subject::Version(topic(), Some(self.command()?)),
            Some(b'p') => Subject::Once(topic(), self.command()?),
            _ => Subject::Command(self.command()?),
        })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key in the tables. A hash at its front spreads the answers of one moment over all
    /// keys, so that tables overlap and are merged: only merging removes answers that have
    /// ended.
    pub(super) fn in_tables(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(8 + self.0.len());
        key.put_u64(xxh3_64(&self.0));
        key.put_slice(&self.0);
        key
    }
}

/// The thing to which an answer belongs.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Subject {
    /// A command.
    Command(CommandKey),
    /// A publication of the topic with this number that happens once.
    Once(u64, CommandKey),
    /// The last version of the topic with this number, or of a part of it.
    Version(u64, Option<CommandKey>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) ends_ms: u64,
    pub(super) data: Bytes,
}

impl Answer {
    /// The end of a claim of which nothing is remembered: it takes the claim's place, and removes it
    /// from the tables.
    pub(super) fn nothing() -> Self {
        Self {
            ends_ms: 0,
            data: Bytes::new(),
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.data.is_empty()
    }

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

    /// Returns `true` if the bytes are an answer that has ended.
    pub(super) fn has_ended(bytes: &[u8], now_ms: u64) -> bool {
        from_timed(bytes).is_some_and(|(ends_ms, _)| ends_ms <= now_ms)
    }
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
            assert!(Answer::from_bytes(wrong).is_err());
        }
    }

    #[test]
    fn answers_survive_being_kept() {
        let answer = Answer {
            ends_ms: 6,
            data: Bytes::new(),
        };
        let bytes = answer.to_bytes();
        assert_eq!(Answer::from_bytes(&bytes).unwrap(), answer);
        assert!(!Answer::has_ended(&bytes, 5));
        assert!(Answer::has_ended(&bytes, 6));
        assert!(!Answer::has_ended(&bytes[..8], 6));
    }

    #[test]
    fn answers_that_follow_one_another_are_far_apart_in_the_tables() {
        let key = |text: &str| AnswerKey::of_command(&CommandKey::try_from(text).unwrap());
        // The same on every machine and in every version, as it is on disk.
        let expected = [0xf6, 0xe8, 0x80, 0x8d, 0xa2, 0x92, 0xbf, 0x32];
        assert_eq!(key("ada/1").in_tables()[..8], expected);
        assert_ne!(key("ada/2").in_tables()[0], expected[0]);
        assert!(key("ada/1").in_tables().ends_with(b"cada/1"));
    }

    #[test]
    fn an_answer_can_be_given_another_command() {
        let key = |text: &str| CommandKey::try_from(text).unwrap();
        let keys = [
            AnswerKey::of_command(&key("old/1")),
            AnswerKey::of_publication(7, &key("old/1")),
        ];
        let expected = [
            AnswerKey::of_command(&key("newer/1")),
            AnswerKey::of_publication(7, &key("newer/1")),
        ];
        for (before, after) in keys.into_iter().zip(expected) {
            let read = AnswerKey::from_tables(&before.in_tables()).unwrap();
            assert_eq!(read, before);
            assert_eq!(read.command().unwrap(), key("old/1"));
            assert_eq!(read.with_command(&key("newer/1")), after);
        }
        let subjects = [
            AnswerKey::of_command(&key("a")),
            AnswerKey::of_publication(7, &key("a")),
            AnswerKey::of_version(7, Some(&key("a"))),
            AnswerKey::of_version(7, None),
        ];
        let expected = [
            Subject::Command(key("a")),
            Subject::Once(7, key("a")),
            Subject::Version(7, Some(key("a"))),
            Subject::Version(7, None),
        ];
        assert_eq!(subjects.map(|of| of.subject().unwrap()), expected);
        assert!(AnswerKey::from_tables(&[0; 7]).is_err());
        for wrong in [&b""[..], b"c", b"p1234567", b"p12345678", b"c\xff"] {
            assert!(AnswerKey::from_bytes(wrong).command().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn publications_survive_being_kept_in_runs() {
        let mut runs = Vec::new();
        let large = vec![b'x'; Run::BYTES];
        let data: [&[u8]; 4] = [b"a", b"", &large, b"c"];
        let published = |offset, data: &[u8]| {
            Publication::new(offset, offset + 100, Bytes::copy_from_slice(data))
        };
        for (offset, data) in (5..).zip(data) {
            Run::add(&mut runs, &published(offset, data));
        }
        // After a gap.
        let owned = published(20, b"e").by(Some(Owner::new("ada")));
        Run::add(&mut runs, &owned);
        Run::add(&mut runs, &published(21, b"f").deleted());
        let firsts: Vec<u64> = runs.iter().map(|run| run.first).collect();
        assert_eq!(firsts, [5, 8, 20]);
        let mut read = Vec::new();
        for run in runs {
            let key = run_key(1, run.first);
            let first = first_of(&key).unwrap();
            let value = run.into_value();
            read.extend(run_from_bytes(first, &value).unwrap());
        }
        let expected = [5, 6, 7, 8, 20, 21].map(|offset| (offset, offset + 100));
        let offsets: Vec<_> = read
            .iter()
            .map(|kept| (kept.offset, kept.time_ms))
            .collect();
        assert_eq!(offsets, expected);
        assert_eq!(read[2].data, large);
        assert_eq!(*read[4], owned);
        assert!(read[5].is_deleted && read[5].data.is_empty());
        let overflowing = [&[VERSION][..], &[0; 24]].concat();
        assert!(run_from_bytes(u64::MAX, &overflowing).is_err());
        for wrong in [
            &[][..],
            &[3],
            &[2, 0],
            &[1, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ] {
            assert!(run_from_bytes(1, wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_run_without_owners_is_read() {
        let old = [
            &[VERSION][..],
            &[0, 0, 0, 0, 0, 0, 0, 9],
            &[0, 0, 0, 1],
            b"a",
        ]
        .concat();
        let read = run_from_bytes(3, &old).unwrap();
        assert_eq!(*read[0], Publication::new(3, 9, "a"));
    }
}
