//! fjall's journals, read before fjall does.
//!
//! fjall takes the first entry of its journal that it cannot read for the end, because the
//! last write before a crash may be torn, and cuts off the rest. A flipped bit in the middle
//! would silently remove acknowledged groups, and their offsets would be given out again; a
//! wrong length would have it ask for gigabytes, and a journal that ends too early in front of
//! another one ends the process. So each group and each batch carries its number behind a mark
//! that is nowhere else in the files. The numbers in the journals must follow one another.

use std::fs;
use std::io;
use std::path::Path;

use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use super::census::Print;
use super::error::OpenError;

/// The length of the mark, the number, and the number with all bits inverted.
const MARKED: usize = 16 + 8 + 8;

/// The bytes before the number of each group and, inverted, of each batch. They are random, so
/// that no client can publish them.
#[derive(Clone, Copy)]
pub(super) struct Mark([u8; 16]);

impl Mark {
    pub(super) fn new(uuid: Uuid) -> Self {
        Self(*uuid.as_bytes())
    }

    pub(super) fn of_group(self, group: u64) -> [u8; MARKED] {
        let mut bytes = [0; MARKED];
        bytes[..16].copy_from_slice(&self.0);
        bytes[16..24].copy_from_slice(&group.to_be_bytes());
        bytes[24..].copy_from_slice(&(!group).to_be_bytes());
        bytes
    }

    pub(super) fn of_batch(self, batch: u64) -> [u8; MARKED] {
        self.for_batches().of_group(batch)
    }

    pub(super) fn group(self, bytes: &[u8]) -> Option<u64> {
        let group: [u8; 8] = bytes.get(16..24)?.try_into().ok()?;
        let group = u64::from_be_bytes(group);
        (bytes == self.of_group(group)).then_some(group)
    }

    pub(super) fn batch(self, bytes: &[u8]) -> Option<u64> {
        self.for_batches().group(bytes)
    }

    fn for_batches(self) -> Self {
        Self(self.0.map(|byte| !byte))
    }

    /// The highest group that follows a mark in `bytes`.
    fn highest(self, bytes: &[u8]) -> Option<u64> {
        let places = memchr::memmem::find_iter(bytes, &self.0);
        let groups = places.filter_map(|at| self.group(bytes.get(at..at + MARKED)?));
        groups.max()
    }
}

/// The contents of a journal.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) id: u64,
    pub(super) print: Print,
    /// The end of the batches that can be read.
    pub(super) end: u64,
    /// Something other than zeros follows, which a torn write would explain.
    pub(super) has_rest: bool,
    /// The highest group in what follows.
    pub(super) beyond: Option<u64>,
    pub(super) batches: Chain,
    pub(super) groups: Chain,
    is_empty: bool,
}

/// The first and the last of numbers that follow one another.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Chain(pub(super) Option<(u64, u64)>);

impl Chain {
    /// Adds the next number. Returns `false` if it is not the next.
    fn add(&mut self, number: u64) -> bool {
        match &mut self.0 {
            Some((_, last)) if last.checked_add(1) != Some(number) => return false,
            Some((_, last)) => *last = number,
            None => self.0 = Some((number, number)),
        }
        true
    }

    pub(super) fn last(self) -> Option<u64> {
        self.0.map(|(_, last)| last)
    }
}

/// The path of a journal in the directory of a store.
pub(super) fn path(id: u64) -> String {
    format!("data/{id}.jnl")
}

impl Journal {
    /// Reads a journal.
    pub(super) fn read(directory: &Path, id: u64, mark: Mark) -> Result<Self, OpenError> {
        let bytes = fs::read(directory.join(path(id)))?;
        let mut journal = Self {
            id,
            print: Print::of(&[]),
            end: 0,
            has_rest: false,
            beyond: None,
            batches: Chain::default(),
            groups: Chain::default(),
            is_empty: true,
        };
        let mut rest = &bytes[..];
        while let Some(batch) = Batch::take(&mut rest, mark) {
            journal.is_empty = false;
            let follows = batch
                .number
                .is_none_or(|number| journal.batches.add(number))
                && batch.group.is_none_or(|group| journal.groups.add(group));
            if !follows {
                let what = format!(
                    "in {} something is missing before byte {}",
                    path(id),
                    journal.end
                );
                return Err(OpenError::Damaged(what));
            }
            journal.end = (bytes.len() - rest.len()) as u64;
        }
        let zeros = [0; 4096];
        journal.has_rest = rest
            .chunks(zeros.len())
            .any(|piece| *piece != zeros[..piece.len()]);
        if journal.has_rest {
            journal.beyond = mark.highest(rest);
            journal.print = Print::of(&bytes);
        } else {
            // The file has been made longer than it needs to be, by up to 64 MiB of zeros.
            journal.print = Print {
                length: bytes.len() as u64,
                ..Print::of(&bytes[..bytes.len() - rest.len()])
            };
        }
        Ok(journal)
    }
}

/// Refuses journals that do not fit together. `known` is a batch that must be in them unless
/// `may_be_flushed`.
pub(super) fn check(
    journals: &[Journal],
    known: u64,
    may_be_flushed: bool,
) -> Result<(), OpenError> {
    let damaged = |what| Err(OpenError::Damaged(what));
    let (mut batches, mut groups) = (Chain::default(), Chain::default());
    for (index, journal) in journals.iter().enumerate() {
        let path = path(journal.id);
        let is_newest = index + 1 == journals.len();
        let follows = |before: Chain, chain: Chain| match (before.0, chain.0) {
            (Some((_, last)), Some((first, _))) => last.checked_add(1) == Some(first),
            _ => true,
        };
        if !follows(batches, journal.batches) || !follows(groups, journal.groups) {
            return damaged(format!(
                "what {path} begins with does not follow the journal before: one of them is cut \
                 off or of another time"
            ));
        }
        batches.0 = journal.batches.0.or(batches.0);
        groups.0 = journal.groups.0.or(groups.0);
        let is_torn = journal
            .beyond
            .is_none_or(|beyond| groups.last().is_none_or(|last| beyond <= last + 1));
        if journal.has_rest && !(is_newest && is_torn) {
            return damaged(format!(
                "{path} cannot be read from byte {} on, though more was written behind it",
                journal.end
            ));
        }
        if journal.is_empty && !is_newest {
            return damaged(format!("{path} is empty, though there is a newer journal"));
        }
    }
    let last = batches.last();
    let is_flushed = last.is_none() && may_be_flushed;
    if last.unwrap_or(0) < known && !is_flushed {
        let path = journals
            .last()
            .map_or_else(|| path(0), |newest| path(newest.id));
        return damaged(format!(
            "{path} ends too early: its last batch is {}, but number {known} was acknowledged",
            last.unwrap_or(0)
        ));
    }
    Ok(())
}

/// Removes what a torn write has left at the end of the newest journal, which fjall might
/// stumble over.
pub(super) fn cut_rest(directory: &Path, journals: &[Journal]) -> io::Result<()> {
    let Some(torn) = journals.last().filter(|newest| newest.has_rest) else {
        return Ok(());
    };
    let file = fs::File::options()
        .write(true)
        .open(directory.join(path(torn.id)))?;
    file.set_len(torn.end)?;
    file.sync_all()
}

/// A batch of a journal.
struct Batch {
    number: Option<u64>,
    group: Option<u64>,
}

/// The tags of fjall's entries.
mod tag {
    pub(super) const START: u8 = 1;
    pub(super) const ITEM: u8 = 2;
    pub(super) const END: u8 = 3;
    pub(super) const CLEAR: u8 = 4;
}

/// The bytes at the end of a whole batch.
const TRAILER: &[u8] = b"FJL\x03";

impl Batch {
    /// Takes the first batch of `rest` off, if it is whole and right.
    fn take(rest: &mut &[u8], mark: Mark) -> Option<Self> {
        let mut at = *rest;
        if take_u8(&mut at)? != tag::START {
            return None;
        }
        let count = take_u32(&mut at)?;
        let _sequence_number = take(&mut at, 8)?;
        let items = at;
        let mut batch = Self {
            number: None,
            group: None,
        };
        for _ in 0..count {
            match take_u8(&mut at)? {
                tag::ITEM => {
                    let _kind = take_u8(&mut at)?;
                    let _compression = take_u8(&mut at)?;
                    let _keyspace = take(&mut at, 8)?;
                    let key_length = take(&mut at, 2)?;
                    let key_length = u16::from_le_bytes(key_length.try_into().ok()?);
                    let _length_uncompressed = take_u32(&mut at)?;
                    let length = take_u32(&mut at)?;
                    let key = take(&mut at, usize::from(key_length))?;
                    let value = take(&mut at, usize::try_from(length).ok()?)?;
                    match key {
                        super::store::BATCH => batch.number = mark.batch(value).or(batch.number),
                        super::store::GROUP => batch.group = mark.group(value).or(batch.group),
                        _ => {}
                    }
                }
                tag::CLEAR => drop(take(&mut at, 8)?),
                _ => return None,
            }
        }
        let mut hasher = Xxh3::new();
        hasher.update(&items[..items.len() - at.len()]);
        if take_u8(&mut at)? != tag::END {
            return None;
        }
        let checksum = u64::from_le_bytes(take(&mut at, 8)?.try_into().ok()?);
        if take(&mut at, TRAILER.len())? != TRAILER || hasher.digest() != checksum {
            return None;
        }
        *rest = at;
        Some(batch)
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_u8(rest: &mut &[u8]) -> Option<u8> {
    take(rest, 1).map(|bytes| bytes[0])
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?))
}
