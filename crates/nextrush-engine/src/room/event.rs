use std::sync::Arc;

/// A room came to have members, or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomEvent {
    /// The first member joined the room of this name.
    Created(Arc<str>),
    /// The last member left the room of this name.
    Emptied(Arc<str>),
}
