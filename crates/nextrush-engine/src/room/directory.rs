//! The rooms of an engine, by name, and the numbers that they have.

use std::collections::HashMap;
use std::ptr;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Mutex, RwLock};
use tokio::sync::broadcast;

use super::{Inner, Room, RoomEvent};
use crate::id::RoomId;
use crate::link::Link;

/// The events that may wait for one listener.
const EVENTS: usize = 1024;

/// The rooms of an engine, by name.
pub(crate) struct RoomDirectory {
    pub(super) links: Box<[Arc<Link>]>,
    /// Made for the first listener.
    events: OnceLock<broadcast::Sender<RoomEvent>>,
    rooms: RwLock<HashMap<Arc<str>, Weak<Inner>>>,
    ids: Mutex<RoomIds>,
}

#[derive(Default)]
struct RoomIds {
    used: usize,
    free: Vec<RoomId>,
}

impl RoomIds {
    fn take(&mut self) -> RoomId {
        self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            RoomId::new(self.used - 1)
        })
    }
}

impl RoomDirectory {
    pub(crate) fn new(links: Box<[Arc<Link>]>) -> Self {
        Self {
            links,
            events: OnceLock::new(),
            rooms: RwLock::default(),
            ids: Mutex::default(),
        }
    }

    pub(crate) fn room(self: &Arc<Self>, name: &str) -> Room {
        if let Some(room) = self.find(name) {
            return room;
        }
        let mut rooms = self.rooms.write();
        if let Some(room) = rooms.get(name).and_then(Weak::upgrade) {
            return Room(room);
        }
        let room = Arc::new(Inner {
            id: self.ids.lock().take(),
            name: name.into(),
            directory: Arc::clone(self),
            members: Mutex::default(),
            watch: OnceLock::new(),
        });
        // Replaces a room of this name that is just ending.
        rooms.insert(Arc::clone(&room.name), Arc::downgrade(&room));
        Room(room)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Room> {
        self.rooms
            .read()
            .get(name)
            .and_then(Weak::upgrade)
            .map(Room)
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<RoomEvent> {
        let sender = || broadcast::Sender::new(EVENTS);
        self.events.get_or_init(sender).subscribe()
    }

    /// Reports an event of a room, under the room's lock, so that its events come in order.
    pub(super) fn report(&self, room: &Arc<str>, event: impl FnOnce(Arc<str>) -> RoomEvent) {
        if let Some(events) = self.events.get() {
            // Fails when nobody listens any more.
            let _ = events.send(event(Arc::clone(room)));
        }
    }

    /// Forgets a room at its end, and frees its number.
    pub(super) fn remove(&self, room: &Inner) {
        let mut rooms = self.rooms.write();
        // A younger room may have taken the name meanwhile.
        if rooms
            .get(&room.name)
            .is_some_and(|other| ptr::eq(other.as_ptr(), room))
        {
            rooms.remove(&room.name);
        }
        drop(rooms);
        self.ids.lock().free.push(room.id);
    }

    pub(crate) fn with_members(&self) -> Vec<Room> {
        let mut rooms: Vec<_> = {
            let rooms = self.rooms.read();
            rooms.values().filter_map(Weak::upgrade).map(Room).collect()
        };
        // Not under the directory's lock, which the end of a room takes as well.
        rooms.retain(|room| !room.is_empty());
        rooms
    }
}
