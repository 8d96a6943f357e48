//! Rooms: named sets of sockets that exist while somebody is in them.
//!
//! [`Socket::join`](crate::Socket::join) makes a socket a member and
//! [`Handle::room`](crate::Handle::room) gives the [`Audience`] to send to. A [`RoomManager`]
//! also tells the members who comes and goes.

mod manager;
mod shared_counts;

pub use manager::{AllRooms, RoomManager};

pub use crate::socket::acts::Reached;
pub use crate::socket::audience::Audience;
pub use crate::socket::join::JoinError;
pub use crate::socket::room_event::{RoomEvent, RoomEvents};
pub use crate::socket::room_name::{InvalidRoomName, RoomName};
