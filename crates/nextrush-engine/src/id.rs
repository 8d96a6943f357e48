//! The ids of connections, timers and rooms.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// The id of a connection, unique for the life of the process: a slot is used again, but with
/// another generation, so a stale id never means another connection.
///
/// Shown and parsed as `shard-slot-generation`:
///
/// ```
/// use nextrush_engine::ConnectionId;
///
/// let id: ConnectionId = "0-7-1".parse()?;
/// assert_eq!(id.to_string(), "0-7-1");
/// # Ok::<(), nextrush_engine::InvalidConnectionId>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId {
    pub(crate) shard: u16,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.shard, self.slot, self.generation)
    }
}

/// The error for a text that is no id of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a connection has three numbers, such as 0-7-1")]
#[non_exhaustive]
pub struct InvalidConnectionId;

/// Parses the one form in which an id is shown.
impl FromStr for ConnectionId {
    type Err = InvalidConnectionId;

    fn from_str(text: &str) -> Result<Self, InvalidConnectionId> {
        let mut numbers = text.splitn(3, '-');
        let mut next = || numbers.next().ok_or(InvalidConnectionId);
        let (shard, slot, generation) = (next()?, next()?, next()?);
        let id = Self {
            shard: shard.parse().map_err(|_| InvalidConnectionId)?,
            slot: slot.parse().map_err(|_| InvalidConnectionId)?,
            generation: generation.parse().map_err(|_| InvalidConnectionId)?,
        };
        (id.to_string() == text)
            .then_some(id)
            .ok_or(InvalidConnectionId)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({self})")
    }
}

/// The id of a timer of a connection; see
/// [`Connection::set_timer`](crate::Connection::set_timer).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TimerId(pub(crate) u64);

/// The number of a room, which no other room has at the same time. A room that ends leaves its
/// number to a later one, so numbers are small, and shards keep their rooms in arrays.
///
/// Numbers are reused safely: a room is dropped only after every command that names it is in
/// the inboxes, and inboxes are processed in order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RoomId(NonZeroU32);

impl RoomId {
    pub(crate) fn new(index: usize) -> Self {
        let number = u32::try_from(index)
            .ok()
            .and_then(|index| index.checked_add(1));
        let number = number.and_then(NonZeroU32::new);
        Self(number.expect("there is no memory for 2^32 rooms"))
    }

    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }

    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_in_the_form_in_which_it_is_shown() {
        for text in ["0-0-0", "65535-4294967295-4294967295"] {
            assert_eq!(text.parse::<ConnectionId>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "1",
            "1-2",
            "1-2-3-4",
            "1-2-",
            "01-2-3",
            "+1-2-3",
            "65536-0-0",
            "a-b-c",
        ] {
            assert_eq!(
                text.parse::<ConnectionId>(),
                Err(InvalidConnectionId),
                "{text}"
            );
        }
    }
}
