//! Rooms that come and go.

use nextrush_engine as engine;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::socket::room_name::RoomName;

/// A change of a room: it came to have members, or ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RoomEvent {
    /// The first member joined.
    Created(RoomName),
    /// The last member left.
    Emptied(RoomName),
    /// This many events were missed, because 1,024 others waited to be taken.
    Missed(u64),
}

/// The events of rooms; made by
/// [`Handle::local_room_events`](crate::Handle::local_room_events). Those of one room come in
/// their order.
#[derive(Debug)]
pub struct RoomEvents(broadcast::Receiver<engine::RoomEvent>);

impl RoomEvents {
    pub(crate) fn new(receiver: broadcast::Receiver<engine::RoomEvent>) -> Self {
        Self(receiver)
    }

    /// Waits for the next event; `None` when the application is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<RoomEvent> {
        loop {
            // Names that are no valid room names belong to the framework's own rooms.
            let event = match self.0.recv().await {
                Ok(engine::RoomEvent::Created(name)) => {
                    RoomName::new(&name).map(RoomEvent::Created)
                }
                Ok(engine::RoomEvent::Emptied(name)) => {
                    RoomName::new(&name).map(RoomEvent::Emptied)
                }
                Err(RecvError::Lagged(count)) => return Some(RoomEvent::Missed(count)),
                Err(RecvError::Closed) => return None,
            };
            if let Ok(event) = event {
                return Some(event);
            }
        }
    }
}
