//! The bytes of messages between nodes.
//!
//! | bytes | |
//! |---|---|
//! | 1 | the version |
//! | 1 | the kind |
//! | 8 | the number of the question |
//! | 1 | the length of the name |
//! | | the name of the sending node |
//! | the rest | what the kind says |

use bytes::{Buf as _, Bytes};
use nextrush_broker::NodeName;

/// The version of messages between nodes.
const VERSION: u8 = 1;

/// The kinds of messages between nodes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Cast = 1,
    Question = 2,
    Answer = 3,
}

/// The bytes of a message.
pub(super) fn write(from: &NodeName, kind: Kind, id: u64, data: &[u8]) -> Vec<u8> {
    let mut message = vec![VERSION, kind as u8];
    message.extend(id.to_be_bytes());
    // A name has 64 bytes at most.
    message.push(u8::try_from(from.as_str().len()).unwrap_or_default());
    message.extend(from.as_str().as_bytes());
    message.extend(data);
    message
}

/// Reads a message: its kind, the number of the question, the sender and what it says.
pub(super) fn read(mut message: Bytes) -> Option<(u8, u64, NodeName, Bytes)> {
    if message.try_get_u8().ok()? != VERSION {
        return None;
    }
    let kind = message.try_get_u8().ok()?;
    let id = message.try_get_u64().ok()?;
    let length = usize::from(message.try_get_u8().ok()?);
    if message.len() < length {
        return None;
    }
    let from = message.split_to(length);
    let from = NodeName::try_from(std::str::from_utf8(&from).ok()?).ok()?;
    Some((kind, id, from, message))
}
