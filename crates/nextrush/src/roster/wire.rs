//! Rosters as they are stored.
//!
//! One byte with the version of the form, then JSON. Fields that a version does not know are
//! ignored, so that nodes of two versions can share a roster.

use std::borrow::Cow;
use std::sync::Arc;

use nextrush_broker::{Bytes, NodeName};
use serde::{Deserialize, Serialize};

use super::place::{Home, Place, Record};
use super::rules::{Origin, Rules};

/// The version of the form.
const FORM: u8 = 1;

/// The reason why stored bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is stored in a form that this version does not know")]
    Form,
    #[error("it has a node or socket that cannot be one")]
    Place,
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize, Serialize)]
struct Head {
    version: u64,
    last: u64,
    /// The number of [`View::life`](super::view::View); earlier versions do not have it.
    #[serde(default)]
    life: u64,
}

#[derive(Deserialize, Serialize)]
struct Stored<'a, M> {
    /// Node, process and socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<(Cow<'a, str>, u64, Cow<'a, str>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    member: M,
}

pub(super) fn write_head(origin: Origin, life: u64) -> Bytes {
    let Origin { version, last } = origin;
    let head = Head {
        version,
        last,
        life,
    };
    write(&head).unwrap_or_default()
}

/// The origin that a head has, and its life; those of a roster that is not there for no bytes.
pub(super) fn read_head(head: &[u8]) -> Result<(Origin, u64), Unreadable> {
    if head.is_empty() {
        return Ok((Origin::default(), 0));
    }
    let Head {
        version,
        last,
        life,
    } = serde_json::from_slice(body(head)?)?;
    Ok((Origin { version, last }, life))
}

pub(super) fn write_record<R: Rules>(record: &Record<R::Member>) -> serde_json::Result<Bytes> {
    let (at, lost) = match &record.place {
        Place::At { home, socket } => {
            let node = home.node.as_str().into();
            (Some((node, home.boot, socket.to_string().into())), None)
        }
        Place::LostUntil(until) => (None, Some(*until)),
    };
    let member = &*record.member;
    write(&Stored { at, lost, member })
}

/// Reads a record. Homes and members that are known are used again.
pub(super) fn read_record<R: Rules>(
    bytes: &[u8],
    known: Option<&Record<R::Member>>,
    own: &Arc<Home>,
) -> Result<Record<R::Member>, Unreadable> {
    let stored: Stored<'_, R::Member> = serde_json::from_slice(body(bytes)?)?;
    let place = match (stored.at, stored.lost) {
        (Some((node, boot, socket)), _) => Place::At {
            home: home(&node, boot, known, own)?,
            socket: socket.parse().map_err(|_| Unreadable::Place)?,
        },
        (None, Some(until)) => Place::LostUntil(until),
        (None, None) => return Err(Unreadable::Place),
    };
    let member = match known {
        Some(known) if *known.member == stored.member => Arc::clone(&known.member),
        _ => Arc::new(stored.member),
    };
    Ok(Record::new(place, member))
}

fn home<M>(
    node: &str,
    boot: u64,
    known: Option<&Record<M>>,
    own: &Arc<Home>,
) -> Result<Arc<Home>, Unreadable> {
    let known = known.and_then(|known| known.place.home());
    let mut known = known.into_iter().chain([own]);
    if let Some(home) = known.find(|home| home.node.as_str() == node && home.boot == boot) {
        return Ok(Arc::clone(home));
    }
    let node = NodeName::try_from(node).map_err(|_| Unreadable::Place)?;
    Ok(Arc::new(Home::new(node, boot)))
}

fn write(value: &impl Serialize) -> serde_json::Result<Bytes> {
    let mut bytes = vec![FORM];
    serde_json::to_writer(&mut bytes, value)?;
    Ok(bytes.into())
}

fn body(bytes: &[u8]) -> Result<&[u8], Unreadable> {
    match bytes.split_first() {
        Some((&FORM, body)) => Ok(body),
        _ => Err(Unreadable::Form),
    }
}
