//! The rooms of a connection.

use std::mem;
use std::slice;

use crate::room::Room;

/// A set of rooms that is small in memory: most connections are in one room or none.
#[derive(Default)]
pub(super) enum Joined {
    #[default]
    None,
    One(Room),
    #[expect(
        clippy::box_collection,
        reason = "a connection in no room pays for the pointer only"
    )]
    Many(Box<Vec<Room>>),
}

impl Joined {
    pub(super) fn as_slice(&self) -> &[Room] {
        match self {
            Self::None => &[],
            Self::One(room) => slice::from_ref(room),
            Self::Many(rooms) => rooms,
        }
    }

    /// Adds a room that is not in the set.
    pub(super) fn add(&mut self, room: Room) {
        *self = match mem::take(self) {
            Self::None => Self::One(room),
            Self::One(first) => Self::Many(Box::new(vec![first, room])),
            Self::Many(mut rooms) => {
                rooms.push(room);
                Self::Many(rooms)
            }
        };
    }

    /// Removes a room; `false` if it is not in the set.
    pub(super) fn remove(&mut self, room: &Room) -> bool {
        match self {
            Self::One(joined) if joined == room => *self = Self::None,
            Self::None | Self::One(_) => return false,
            Self::Many(rooms) => {
                let Some(position) = rooms.iter().position(|joined| joined == room) else {
                    return false;
                };
                rooms.swap_remove(position);
                if rooms.is_empty() {
                    *self = Self::None;
                }
            }
        }
        true
    }
}
