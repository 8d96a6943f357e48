//! News of rooms.

use std::sync::Arc;

/// The beginning or the end of a room's life with members.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a room begins and ends")]
pub enum RoomEvent {
    /// The first member joined the room of this name.
    Created(Arc<str>),
    /// The last member left the room of this name.
    Emptied(Arc<str>),
}
