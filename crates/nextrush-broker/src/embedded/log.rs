//! The format of the log: each group is one value.

use bytes::{Buf, BufMut};

use super::error::Contradiction;
use super::record::{self, Answer, AnswerKey, TopicRecord};
use crate::owner::Owner;
use crate::topic_name::TopicName;

/// The first byte of every value.
const VERSION: u8 = 1;
const PUBLICATION: u8 = 1;
const ANSWER: u8 = 2;
/// A publication with an owner.
const OWNED: u8 = 3;

/// A group that is being encoded.
pub(super) struct Encoder(Vec<u8>);

impl Encoder {
    pub(super) fn new() -> Self {
        Self(vec![VERSION])
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    /// Adds a publication, with the record that its topic has from then on.
    pub(super) fn publication(
        &mut self,
        topic: &TopicName,
        record: &TopicRecord,
        owner: Option<&Owner>,
        data: &[u8],
    ) {
        self.0.put_u8(owner.map_or(PUBLICATION, |_| OWNED));
        self.put(topic.as_str().as_bytes());
        record.put(&mut self.0);
        if let Some(owner) = owner {
            record::put_owner(&mut self.0, owner);
        }
        // Data that is not remembered is never read.
        let is_remembered = record.first <= record.top;
        self.put(if is_remembered { data } else { &[] });
    }

    pub(super) fn answer(&mut self, key: &AnswerKey, answer: &Answer) {
        self.0.put_u8(ANSWER);
        self.put(key.as_bytes());
        self.0.put_u64(answer.ends_ms);
        self.put(&answer.data);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn put(&mut self, bytes: &[u8]) {
        // A message of 4 GiB is far beyond every limit and would not fit into the value of a
        // group; `get` refuses lengths that do not add up.
        self.0
            .put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.put_slice(bytes);
    }
}

/// An entry of a group.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Entry<'a> {
    Publication {
        topic: &'a str,
        /// The record of the topic with this publication.
        record: TopicRecord,
        owner: Option<Owner>,
        data: &'a [u8],
    },
    Answer {
        key: &'a [u8],
        ends_ms: u64,
        data: &'a [u8],
    },
}

/// Decodes the entries of a group, in their order.
pub(super) fn entries(
    value: &[u8],
) -> Result<impl Iterator<Item = Result<Entry<'_>, Contradiction>>, Contradiction> {
    let (version, mut rest) = value.split_first().ok_or_else(unreadable)?;
    if *version != VERSION {
        return Err(unreadable());
    }
    Ok(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = entry(&mut rest);
        if entry.is_none() {
            rest = &[];
        }
        Some(entry.ok_or_else(unreadable))
    }))
}

fn entry<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    match rest.try_get_u8().ok()? {
        kind @ (PUBLICATION | OWNED) => Some(Entry::Publication {
            topic: str::from_utf8(get(rest)?).ok()?,
            record: TopicRecord::get(rest)?,
            owner: match kind {
                OWNED => Some(record::get_owner(rest)?),
                _ => None,
            },
            data: get(rest)?,
        }),
        ANSWER => Some(Entry::Answer {
            key: get(rest)?,
            ends_ms: rest.try_get_u64().ok()?,
            data: get(rest)?,
        }),
        _ => None,
    }
}

fn get<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(rest.try_get_u32().ok()?).ok()?;
    record::take(rest, length)
}

fn unreadable() -> Contradiction {
    Contradiction("a group in the log cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::answer::CommandKey;
    use crate::retention::Retention;

    fn record() -> TopicRecord {
        TopicRecord {
            id: 7,
            epoch: "018bcfe5-6800-7abc-8def-0123456789ab".parse().unwrap(),
            top: 12,
            first: 3,
            published_ms: 1_700_000_000_001,
            retention: Retention::count(100).max_age(Duration::from_secs(5)),
        }
    }

    fn group() -> Vec<u8> {
        let mut group = Encoder::new();
        assert!(group.is_empty());
        let topic = TopicName::try_from("a").unwrap();
        group.publication(&topic, &record(), None, b"hello");
        group.publication(&topic, &record(), Some(&Owner::new("ada")), b"owned");
        let nothing = TopicRecord {
            first: 13,
            ..record()
        };
        group.publication(&topic, &nothing, None, b"not remembered");
        let key = AnswerKey::of_command(&CommandKey::try_from("k").unwrap());
        let answer = Answer {
            ends_ms: 5,
            data: Bytes::from_static(b"done"),
        };
        group.answer(&key, &answer);
        assert!(!group.is_empty());
        group.finish()
    }

    #[test]
    fn a_group_survives_being_kept() {
        let value = group();
        let entries: Vec<_> = entries(&value).unwrap().map(Result::unwrap).collect();
        let key = AnswerKey::of_command(&CommandKey::try_from("k").unwrap());
        let expected = [
            Entry::Publication {
                topic: "a",
                record: record(),
                owner: None,
                data: b"hello",
            },
            Entry::Publication {
                topic: "a",
                record: record(),
                owner: Some(Owner::new("ada")),
                data: b"owned",
            },
            Entry::Publication {
                topic: "a",
                record: TopicRecord {
                    first: 13,
                    ..record()
                },
                owner: None,
                data: b"",
            },
            Entry::Answer {
                key: key.as_bytes(),
                ends_ms: 5,
                data: b"done",
            },
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn a_group_that_ends_too_early_is_not_read() {
        let value = group();
        assert!(entries(&[]).is_err());
        assert!(entries(&[2]).is_err());
        let whole = |value: &[u8]| {
            let read: Result<Vec<_>, _> = entries(value).unwrap().collect();
            read.map(|entries| entries.len())
        };
        let ends = (1..value.len()).filter(|length| whole(&value[..*length]).is_ok());
        // These lengths end with a whole entry; only the journal's checksum can tell that
        // something is missing.
        assert_eq!(ends.count(), 4);
        let mut longer = value.clone();
        longer.push(PUBLICATION);
        assert!(whole(&longer).is_err());
        let mut unknown = value;
        unknown[1] = 9;
        assert!(whole(&unknown).is_err());
    }
}
