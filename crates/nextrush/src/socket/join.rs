//! Joining a room, and the reasons why a socket cannot.

use nextrush_engine::{self as engine, Room};

use crate::socket::Socket;
use crate::socket::room_name::InvalidRoomName;

/// The most rooms one socket can be in, unless the application says otherwise.
pub(crate) const ROOMS_PER_SOCKET: usize = 100;

/// The reason why a socket could not join a room.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The name is invalid.
    #[error(transparent)]
    InvalidName(#[from] InvalidRoomName),
    /// The socket is in as many rooms as it may be.
    #[error("a socket can be in {limit} rooms at most")]
    TooManyRooms {
        /// The limit that was reached.
        limit: usize,
    },
    /// The socket is closed.
    #[error("the socket is closed")]
    Closed,
    /// The room is one of several nodes, and their store does not answer.
    #[error("the room is unavailable")]
    Unavailable,
    /// The room is one of another application.
    #[error("the room and the socket belong to different applications")]
    OtherApplication,
}

impl From<engine::JoinError> for JoinError {
    fn from(error: engine::JoinError) -> Self {
        match error {
            engine::JoinError::ForeignRoom => Self::OtherApplication,
            _ => Self::Closed,
        }
    }
}

/// Joins past the limit on rooms, which counts the application's own ones only.
pub(crate) fn join(socket: &Socket, room: &Room) -> Result<bool, JoinError> {
    Ok(socket.connection().join(room)?)
}
