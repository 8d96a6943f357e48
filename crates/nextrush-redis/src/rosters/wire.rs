//! The forms of changes and rosters on the wire. The scripts have the other half.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use nextrush_broker::{Committed, Roster, RosterChange, RosterRevision};
use redis::Value;

use crate::failure::Failure;
use crate::format::bytes_of;

/// The version of changes that this program reads and writes.
const VERSION: u8 = 1;

/// A change as it is committed and pushed.
pub(super) fn write_change(change: &RosterChange) -> Bytes {
    let put: usize = change.put.iter().map(|(_, member)| 12 + member.len()).sum();
    let size = 45 + change.head.len() + 8 * change.removed.len() + put;
    let mut bytes = BytesMut::with_capacity(size);
    bytes.put_u8(VERSION);
    for revision in [change.from, change.to] {
        bytes.put_u64(revision.number);
        bytes.put_u64(revision.tag);
    }
    put_length(&mut bytes, change.head.len());
    bytes.put_slice(&change.head);
    put_length(&mut bytes, change.removed.len());
    for number in &change.removed {
        bytes.put_u64(*number);
    }
    put_length(&mut bytes, change.put.len());
    for (number, member) in &change.put {
        bytes.put_u64(*number);
        put_length(&mut bytes, member.len());
        bytes.put_slice(member);
    }
    bytes.freeze()
}

/// A length or a count. The server takes no request of 4 GiB.
fn put_length(bytes: &mut BytesMut, length: usize) {
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

/// Reads a change; `None` for one that this program does not know.
pub(super) fn read_change(mut bytes: Bytes) -> Option<RosterChange> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let mut change = RosterChange::new(take_revision(&mut bytes)?, take_revision(&mut bytes)?);
    change.head = take(&mut bytes)?;
    for _ in 0..bytes.try_get_u32().ok()? {
        change.removed.push(bytes.try_get_u64().ok()?);
    }
    for _ in 0..bytes.try_get_u32().ok()? {
        let number = bytes.try_get_u64().ok()?;
        change.put.push((number, take(&mut bytes)?));
    }
    Some(change)
}

/// Takes bytes behind their length.
fn take(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    (bytes.len() >= length).then(|| bytes.split_to(length))
}

fn take_revision(bytes: &mut Bytes) -> Option<RosterRevision> {
    let number = bytes.try_get_u64().ok()?;
    Some(RosterRevision::new(number, bytes.try_get_u64().ok()?))
}

fn damaged(what: &str) -> Failure {
    Failure::Damaged(format!("{what} has another form"))
}

/// Reads the reply of `commit.lua`.
pub(super) fn read_committed(reply: Value) -> Result<Committed, Failure> {
    let mut reply = bytes_of(reply)?;
    let committed = match reply.try_get_u8() {
        Ok(b'D') => reply
            .try_get_u64()
            .ok()
            .map(|time_ms| Committed::Done { time_ms }),
        Ok(b'C') => take_revision(&mut reply).map(|revision| Committed::Conflict { revision }),
        _ => None,
    };
    committed.ok_or_else(|| damaged("the reply to a change"))
}

/// Reads the reply of `members.lua`.
pub(super) fn read_roster(reply: Value) -> Result<Roster, Failure> {
    let read = || {
        let Value::Array(mut reply) = reply else {
            return None;
        };
        let mut last = bytes_of(reply.pop()?).ok()?;
        let mut roster = Roster::default();
        roster.time_ms = last.try_get_u64().ok()?;
        roster.revision = take_revision(&mut last)?;
        roster.head = last;
        let mut fields = reply.into_iter().map(bytes_of);
        while let Some(number) = fields.next() {
            let number = number.ok()?.try_get_u64().ok()?;
            roster.members.push((number, fields.next()?.ok()?));
        }
        roster.members.sort_unstable_by_key(|(number, _)| *number);
        Some(roster)
    };
    read().ok_or_else(|| damaged("a roster"))
}

/// Reads the reply of `revisions.lua` for so many topics.
pub(super) fn read_revisions(reply: Value, count: usize) -> Result<Vec<RosterRevision>, Failure> {
    let mut reply = bytes_of(reply)?;
    (0..count)
        .map(|_| take_revision(&mut reply))
        .collect::<Option<_>>()
        .ok_or_else(|| damaged("the reply to a question for revisions"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change as version 1 wrote it, which later versions have to read.
    const FIRST: &[u8] = b"\x01\
        \0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x08\
        \0\0\0\x04head\0\0\0\x01\0\0\0\0\0\0\0\x09\
        \0\0\0\x02\0\0\0\0\0\0\0\x0a\0\0\0\x03ada\0\0\0\0\0\0\0\x0b\0\0\0\0";

    #[test]
    fn changes_of_version_1_are_read_and_written() {
        let mut change = RosterChange::new(RosterRevision::new(5, 6), RosterRevision::new(7, 8));
        change.head = "head".into();
        change.removed = vec![9];
        change.put = vec![(10, "ada".into()), (11, Bytes::new())];
        assert_eq!(read_change(FIRST.into()), Some(change.clone()));
        assert_eq!(write_change(&change), FIRST);
    }

    #[test]
    fn no_bytes_make_a_reader_panic() {
        for length in 0..100 {
            for byte in [0, 1, b'D', b'C', 0xff] {
                let bytes = vec![byte; length];
                let value = Value::BulkString(bytes.clone());
                let _ = read_committed(value.clone());
                let _ = read_revisions(value.clone(), 2);
                let _ = read_roster(Value::Array(vec![value.clone(), value]));
                let _ = read_change(bytes.into());
            }
        }
        for length in 0..FIRST.len() {
            assert_eq!(read_change(FIRST[..length].into()), None);
        }
    }
}
