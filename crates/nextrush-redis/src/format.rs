//! The forms of arguments, replies and pushes. The scripts have the other half.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use nextrush_broker::{
    BrokerError, Deleted, Epoch, Fingerprint, Owner, Position, Publication, Publish, Push,
    PushedGroup, Retention, Stored, Top,
};
use redis::Value;

use crate::failure::Failure;

/// The largest number that the record of a topic has room for, which stands for no bound. Lua
/// has whole numbers up to 2^53.
pub(crate) const NONE: u64 = (1 << 48) - 1;

/// A century: the server cannot add much more to its time.
const LONGEST_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// The whole milliseconds of a time, at most a century.
pub(crate) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .min(LONGEST_MS)
}

/// A number for which the record of a topic has room.
pub(crate) fn bounded(number: usize) -> u64 {
    bounded_offset(u64::try_from(number).unwrap_or(u64::MAX))
}

/// An offset for which the record of a topic has room; no topic has a larger one.
pub(crate) fn bounded_offset(offset: u64) -> u64 {
    offset.min(NONE)
}

/// The numbers of a publication's keys from 1, or 0.
#[derive(Clone, Copy, Default)]
pub(crate) struct KeyNumbers {
    pub(crate) once: u16,
    pub(crate) version: u16,
    pub(crate) share: u16,
}

/// The approximate cost of a key of a publication that happens once, beside its text.
const KEY_OVERHEAD: usize = 200;

/// The head of a publication for the script.
pub(crate) fn publication_head(publish: &Publish, keys: KeyNumbers) -> Vec<u8> {
    let Retention {
        count, age, bytes, ..
    } = publish.retention;
    // What expires at once is not kept.
    let count = if age.is_some_and(|age| whole_ms(age) == 0) {
        0
    } else {
        bounded(count)
    };
    let once = publish.once.as_ref();
    let print = once.and_then(|once| once.fingerprint);
    let mut head = Vec::with_capacity(64);
    head.extend(count.to_be_bytes());
    head.extend(bytes.map_or(NONE, bounded).to_be_bytes());
    head.extend(age.map_or(NONE, whole_ms).to_be_bytes());
    head.extend(once.map_or(0, |once| whole_ms(once.window)).to_be_bytes());
    let version = publish.version.as_ref().map_or(0, |version| version.number);
    head.extend(version.to_be_bytes());
    head.extend(keys.version.to_be_bytes());
    head.extend(keys.share.to_be_bytes());
    // A key has 1,024 bytes at most.
    let cost = once.map_or(0, |once| KEY_OVERHEAD + once.key.as_str().len());
    head.extend(u16::try_from(cost).unwrap_or(u16::MAX).to_be_bytes());
    head.extend(keys.once.to_be_bytes());
    head.push(u8::from(print.is_some()));
    head.extend(print_bytes(print));
    head.extend(publish.owner.as_ref().map_or("", Owner::as_str).as_bytes());
    head
}

/// A fingerprint as the scripts take it, or zeros.
pub(crate) fn print_bytes(print: Option<Fingerprint>) -> [u8; Fingerprint::BYTES] {
    print.map_or([0; Fingerprint::BYTES], Fingerprint::to_bytes)
}

fn damaged(what: &str) -> Failure {
    Failure::Damaged(format!("{what} has another form"))
}

/// The bytes of a reply.
pub(crate) fn bytes_of(reply: Value) -> Result<Bytes, Failure> {
    match reply {
        Value::BulkString(bytes) => Ok(bytes.into()),
        _ => Err(damaged("a reply")),
    }
}

/// A reader of packed fields.
struct Fields(Bytes);

impl Fields {
    fn take(&mut self, length: usize) -> Option<Bytes> {
        (self.0.len() >= length).then(|| self.0.split_to(length))
    }

    fn byte(&mut self) -> Option<u8> {
        self.0.try_get_u8().ok()
    }

    fn number(&mut self) -> Option<u64> {
        self.0.try_get_u64().ok()
    }

    fn epoch(&mut self) -> Option<Epoch> {
        Epoch::from_bytes(&self.take(16)?)
    }

    fn position(&mut self) -> Option<Position> {
        Some(Position::new(self.epoch()?, self.number()?))
    }

    /// The end of the life before; zeros for none.
    fn earlier(&mut self) -> Option<Option<Position>> {
        let is_none = self.0.get(..16)?.iter().all(|byte| *byte == 0);
        let position = self.position()?;
        Some((!is_none).then_some(position))
    }

    /// An owner whose name has so many bytes; 0 for none.
    fn owner(&mut self, length: u16) -> Option<Option<Owner>> {
        let name = self.take(length.into())?;
        let name = std::str::from_utf8(&name).ok()?;
        Some((!name.is_empty()).then(|| Owner::new(name)))
    }

    fn retention(&mut self) -> Option<Retention> {
        let [count, age, limit] = [self.number()?, self.number()?, self.number()?];
        let bound = |number| (number != NONE).then_some(number);
        let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let mut retention = Retention::count(bound(count).map_or(usize::MAX, size));
        retention.age = bound(age).map(Duration::from_millis);
        retention.bytes = bound(limit).map(size);
        Some(retention)
    }
}

/// The outcomes of a group of so many publications.
pub(crate) type Outcomes = Vec<Result<Stored, BrokerError>>;

/// Reads the reply of `publish.lua`, for so many publications and a share of so many bytes.
pub(crate) fn read_published(
    reply: Bytes,
    count: usize,
    share: u64,
) -> Result<(Outcomes, Option<Position>), Failure> {
    let mut fields = Fields(reply);
    let outcome = |fields: &mut Fields| {
        let kind = fields.byte()?;
        let position = fields.take(24)?;
        let time_ms = fields.number()?;
        let position = || Fields(position).position();
        Some(match kind {
            b'A' => Ok(Stored::new(position()?, time_ms)),
            b'D' => Ok(Stored::repeat(position()?)),
            b'O' => Ok(Stored::outdated(position()?)),
            b'R' => Err(BrokerError::Reused),
            b'F' => Err(Failure::Share(share).into()),
            _ => return None,
        })
    };
    let read = |fields: &mut Fields| {
        let earlier = fields.earlier()?;
        let outcomes = (0..count).map(|_| outcome(fields)).collect::<Option<_>>()?;
        Some((outcomes, earlier))
    };
    read(&mut fields).ok_or_else(|| damaged("the reply to a publication"))
}

/// A part of a history, as `history.lua` replies.
pub(crate) struct Part {
    pub(crate) position: Position,
    pub(crate) earlier: Option<Position>,
    pub(crate) retention: Retention,
    /// The publications, and the places of those that were deleted.
    pub(crate) publications: Vec<Arc<Publication>>,
    /// The offset of the first of them.
    pub(crate) first: u64,
    /// The offset after that of the last.
    pub(crate) next: u64,
}

/// Reads the reply of `history.lua`.
pub(crate) fn read_history(reply: Value) -> Result<Part, Failure> {
    let read = || {
        let Value::Array(reply) = reply else {
            return None;
        };
        let mut reply = reply.into_iter().map(bytes_of);
        let mut fields = Fields(reply.next()?.ok()?);
        let mut part = Part {
            position: fields.position()?,
            earlier: fields.earlier()?,
            retention: fields.retention()?,
            publications: Vec::with_capacity(reply.len()),
            first: fields.number()?,
            next: 0,
        };
        part.next = part.first;
        for entry in reply {
            part.publications.push(read_entry(entry.ok()?, part.next)?);
            part.next = part.next.checked_add(1)?;
        }
        Some(part)
    };
    read().ok_or_else(|| damaged("a history"))
}

/// Reads an entry of a history.
fn read_entry(entry: Bytes, offset: u64) -> Option<Arc<Publication>> {
    let mut fields = Fields(entry);
    let flags = fields.byte()?;
    let time_ms = fields.number()?;
    let owner = if flags & 2 == 0 {
        None
    } else {
        let length = fields.0.try_get_u16().ok()?;
        fields.owner(length)?
    };
    let publication = Publication::new(offset, time_ms, fields.0);
    Some(Arc::new(if flags & 1 == 0 {
        publication.by(owner)
    } else {
        publication.deleted()
    }))
}

/// Reads the reply of `tops.lua` for so many topics.
pub(crate) fn read_tops(reply: Bytes, count: usize) -> Result<Vec<Option<Top>>, Failure> {
    let mut fields = Fields(reply);
    let mut top = || {
        let exists = fields.byte()? != 0;
        let mut fields = Fields(fields.take(56)?);
        if !exists {
            return Some(None);
        }
        let top = Top::new(fields.position()?, fields.earlier()?);
        Some(Some(top.deletions(fields.number()?)))
    };
    let tops = (0..count).map(|_| top()).collect::<Option<_>>();
    tops.ok_or_else(|| damaged("the reply to a check"))
}

/// Reads the reply of `purge.lua`.
pub(crate) fn read_deleted(reply: Bytes) -> Result<Deleted, Failure> {
    let mut fields = Fields(reply);
    let Some(epoch) = fields.epoch() else {
        return Err(damaged("the reply to a deletion"));
    };
    let offsets = std::iter::from_fn(|| fields.number()).collect();
    Ok(Deleted::new(epoch, offsets))
}

/// The version of pushes that this program reads and writes.
const PUSH_VERSION: u8 = 1;

/// Reads a push; `None` for one that this program does not know.
pub(crate) fn read_push(message: Bytes) -> Option<Push> {
    let mut fields = Fields(message);
    if fields.byte()? != PUSH_VERSION {
        return None;
    }
    match fields.byte()? {
        1 => read_group(fields).map(Push::Published),
        2 => {
            let epoch = fields.epoch()?;
            let count = fields.0.try_get_u32().ok()?;
            let offsets = (0..count).map(|_| fields.number()).collect::<Option<_>>()?;
            Some(Push::Deleted(Deleted::new(epoch, offsets)))
        }
        _ => None,
    }
}

fn read_group(mut fields: Fields) -> Option<PushedGroup> {
    let epoch = fields.epoch()?;
    let earlier = fields.earlier()?;
    let retention = fields.retention()?;
    let first = fields.number()?;
    let time_ms = fields.number()?;
    let count = fields.0.try_get_u16().ok()?;
    let mut publication = |index: u16| {
        let owner = fields.0.try_get_u16().ok()?;
        let length = fields.0.try_get_u32().ok()?;
        let owner = fields.owner(owner)?;
        let data = fields.take(usize::try_from(length).ok()?)?;
        let offset = first.checked_add(index.into())?;
        Some(Arc::new(Publication::new(offset, time_ms, data).by(owner)))
    };
    let publications: Vec<_> = (0..count).map(&mut publication).collect::<Option<_>>()?;
    if publications.is_empty() {
        return None;
    }
    Some(PushedGroup::new(
        epoch,
        earlier,
        publications,
        Some(retention),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_make_a_reader_panic() {
        for length in 0..300 {
            for byte in [0, 1, 2, b'A', 0xff] {
                let mut bytes = vec![byte; length];
                let _ = read_published(bytes.clone().into(), 2, 1);
                let _ = read_tops(bytes.clone().into(), 2);
                let _ = read_entry(bytes.clone().into(), 1);
                let reply = Value::BulkString(bytes.clone());
                let _ = read_history(Value::Array(vec![reply.clone(), reply]));
                if let [version, kind, ..] = &mut bytes[..] {
                    [*version, *kind] = [1, 1 + byte % 2];
                }
                let _ = read_push(bytes.into());
            }
        }
    }

    #[test]
    fn bounds_beyond_what_is_counted_are_no_bounds() {
        let endless = Retention::count(usize::MAX).max_age(Duration::MAX);
        let head = publication_head(&Publish::new("").retain(endless), KeyNumbers::default());
        assert_eq!(head.len(), 57);
        assert_eq!(head[..8], NONE.to_be_bytes());
        assert_eq!(head[8..16], NONE.to_be_bytes());
        assert_eq!(head[16..24], LONGEST_MS.to_be_bytes());
        // What expires at once is not kept.
        let moment = Retention::count(5).max_age(Duration::from_micros(999));
        let head = publication_head(&Publish::new("").retain(moment), KeyNumbers::default());
        assert_eq!(head[..8], [0; 8]);
    }
}
