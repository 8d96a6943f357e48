use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Names one connection, for the life of the process: a slot is used again, but with
/// another generation, so a stale id never means somebody else.
///
/// Shown as `shard-slot-generation`, for logs, and read from that:
///
/// ```
/// use nextrush_engine::ConnectionId;
///
/// let id: ConnectionId = "0-7-1".parse()?;
/// assert_eq!(id.to_string(), "0-7-1");
/// # Ok::<(), nextrush_engine::InvalidConnectionId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// A text that is no id of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a connection has three numbers, such as 0-7-1")]
pub struct InvalidConnectionId;

/// In the one form in which it is shown.
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

/// Names one timer of a connection; see
/// [`Connection::set_timer`](crate::Connection::set_timer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub(crate) u64);

/// A number that no other room has at the same time. Small, as a room that ends leaves
/// its number to the next one: what shards keep of rooms stands in arrays.
///
/// Nothing of the room before is met by the one after: when a room ends all has been told
/// to the shards that was to be told, and they follow it in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RoomId(NonZeroU32);

impl RoomId {
    pub(crate) fn new(index: usize) -> Self {
        let number = u32::try_from(index)
            .ok()
            .and_then(|index| index.checked_add(1));
        let number = number.and_then(NonZeroU32::new);
        Self(number.expect("there is no memory for 2^32 rooms"))
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
