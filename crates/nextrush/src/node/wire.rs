//! Messages between nodes: a version, a kind, and what the kind says.
//!
//! | bytes | |
//! |---|---|
//! | 1 | the version |
//! | 1 | the length of the kind |
//! | | the kind |
//! | the rest | the body |
//!
//! A version is one for all kinds: it rises when a body changes in a way that nodes of the version
//! before cannot read. New fields at the end of a body, and new kinds, need no new version.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use nextrush_protocol::{Frame, Opcode};

/// The version of the messages that this program writes at most.
pub(crate) const VERSION: u8 = 1;

/// A message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Envelope {
    pub(super) version: u8,
    pub(super) kind: Box<str>,
    pub(super) body: Bytes,
}

/// The bytes of a message.
pub(super) fn write(version: u8, kind: &str, body: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(2 + kind.len() + body.len());
    bytes.put_u8(version);
    put_short(&mut bytes, kind.as_bytes());
    bytes.put_slice(body);
    bytes.freeze()
}

/// Reads a message; `None` if it is none.
pub(super) fn read(mut bytes: Bytes) -> Option<Envelope> {
    let version = bytes.try_get_u8().ok()?;
    let kind = take(&mut bytes, |bytes| {
        Some(usize::from(bytes.try_get_u8().ok()?))
    })?;
    Some(Envelope {
        version,
        kind: std::str::from_utf8(&kind).ok()?.into(),
        body: bytes,
    })
}

/// Writes a text of up to 255 bytes behind its length.
fn put_short(to: &mut BytesMut, text: &[u8]) {
    let length = u8::try_from(text.len()).expect("a kind is short");
    to.put_u8(length);
    to.put_slice(text);
}

/// Takes as many bytes as the length in front of them says.
fn take(from: &mut Bytes, length: impl FnOnce(&mut Bytes) -> Option<usize>) -> Option<Bytes> {
    let length = length(from)?;
    (from.len() >= length).then(|| from.split_to(length))
}

/// A message to the members of rooms, or to those of a topic, as it goes to other nodes.
///
/// | bytes | |
/// |---|---|
/// | 1 | flags: 1 for a binary message, 2 for one that is never compressed |
/// | 2 | the number of names |
/// | 2 and the name, each | the names of the rooms |
/// | the rest | the message |
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cast {
    /// The names of the rooms. Who is in one of them and in none before the last is sent the
    /// message: for the others there are casts of their own.
    pub(crate) rooms: Vec<Box<str>>,
    pub(crate) frame: Frame,
}

const BINARY: u8 = 1;
const UNCOMPRESSED: u8 = 2;

/// The bytes of a [`Cast`].
pub(crate) fn write_cast<'a>(
    rooms: impl ExactSizeIterator<Item = &'a str> + Clone,
    frame: &Frame,
) -> Bytes {
    let names: usize = rooms.clone().map(|name| 2 + name.len()).sum();
    let mut bytes = BytesMut::with_capacity(3 + names + frame.payload().len());
    let binary = if frame.opcode() == Opcode::Binary {
        BINARY
    } else {
        0
    };
    let uncompressed = if frame.is_compressible() {
        0
    } else {
        UNCOMPRESSED
    };
    bytes.put_u8(binary | uncompressed);
    // Who names more has long names cut off: `Audience` sends to as many rooms at once.
    bytes.put_u16(u16::try_from(rooms.len()).unwrap_or(u16::MAX));
    for name in rooms.take(usize::from(u16::MAX)) {
        // Names of rooms are far shorter.
        bytes.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
        bytes.put_slice(&name.as_bytes()[..name.len().min(usize::from(u16::MAX))]);
    }
    bytes.put_slice(frame.payload());
    bytes.freeze()
}

/// Reads a [`Cast`]; `None` if the bytes are none.
pub(crate) fn read_cast(mut bytes: Bytes) -> Option<Cast> {
    let flags = bytes.try_get_u8().ok()?;
    let count = bytes.try_get_u16().ok()?;
    let mut rooms = Vec::new();
    for _ in 0..count {
        let length = |bytes: &mut Bytes| Some(usize::from(bytes.try_get_u16().ok()?));
        let name = take(&mut bytes, length)?;
        rooms.push(std::str::from_utf8(&name).ok()?.into());
    }
    let frame = if flags & BINARY == 0 {
        Frame::text(std::str::from_utf8(&bytes).ok()?)
    } else {
        Frame::binary(&bytes)
    };
    let frame = if flags & UNCOMPRESSED == 0 {
        frame
    } else {
        frame.uncompressed()
    };
    Some(Cast { rooms, frame })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let message = write(1, "room", b"hello");
        assert_eq!(&message[..], b"\x01\x04roomhello");
        let envelope = Envelope {
            version: 1,
            kind: "room".into(),
            body: "hello".into(),
        };
        assert_eq!(read(message), Some(envelope));
    }

    #[test]
    fn bytes_that_are_no_message_are_none() {
        for bytes in [&b""[..], b"\x01", b"\x01\x05room", b"\x01\x01\xff"] {
            assert_eq!(read(Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
        }
    }

    fn cast(rooms: &[&str], frame: Frame) -> Cast {
        let rooms = rooms.iter().map(|name| (*name).into()).collect();
        Cast { rooms, frame }
    }

    #[test]
    fn a_cast_is_read_as_it_was_written() {
        let long = "over and ".repeat(100);
        for (rooms, frame) in [
            (&["lobby"][..], Frame::text("hello")),
            (&["a", "\0user/7", "c"], Frame::binary(&[0, 255])),
            (&["lobby"], Frame::text(&long)),
            (&["lobby"], Frame::text(&long).uncompressed()),
        ] {
            let read = read_cast(write_cast(rooms.iter().copied(), &frame)).unwrap();
            assert_eq!(read.frame.is_compressible(), frame.is_compressible());
            assert_eq!(read, cast(rooms, frame));
        }
    }

    #[test]
    fn a_cast_that_is_cut_anywhere_before_its_text_is_none() {
        let whole = write_cast(["lobby", "b"].into_iter(), &Frame::text("x"));
        for length in 0..whole.len() - 1 {
            assert_eq!(read_cast(whole.slice(..length)), None, "{length}");
        }
        assert_eq!(read_cast(Bytes::from_static(b"\0\0\0\xff")), None);
    }

    /// Messages of version 1, as a program of the first release wrote them. They stay readable as
    /// long as any program speaks version 1 or 2.
    #[test]
    fn recorded_messages_of_version_1_are_read() {
        let recorded = include_str!("version-1.txt");
        let mut lines = recorded.lines().filter(|line| !line.starts_with('#'));
        let mut next = || {
            let line = lines.next().unwrap();
            let (what, bytes) = line.split_once(' ').unwrap();
            let bytes = bytes
                .split(' ')
                .map(|byte| u8::from_str_radix(byte, 16).unwrap());
            let envelope = read(bytes.collect::<Vec<_>>().into()).unwrap();
            assert_eq!(envelope.version, 1, "{what}");
            (what, envelope)
        };
        let (_, one) = next();
        assert_eq!(&*one.kind, "nr.room");
        assert_eq!(
            read_cast(one.body).unwrap(),
            cast(&["lobby"], Frame::text("hello"))
        );
        let (_, two) = next();
        let frame = Frame::binary(&[7]).uncompressed();
        assert_eq!(read_cast(two.body).unwrap(), cast(&["red", "blue"], frame));
        let (_, topic) = next();
        assert_eq!(&*topic.kind, "nr.topic");
        let typing = Frame::text("{}");
        assert_eq!(read_cast(topic.body).unwrap(), cast(&["chat/c/r"], typing));
        assert!(lines.next().is_none());
    }
}
