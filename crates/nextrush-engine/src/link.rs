use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::connection::Connection;
use crate::id::{ConnectionId, TimerId};
use crate::inbox::{Command, Inbox, Key, Order};

/// The side of a shard that other threads touch. Everything else of it belongs to the
/// shard's own thread.
pub(crate) struct Link {
    pub(crate) inbox: Inbox,
    index: u16,
    slots: Mutex<Slots>,
    load: AtomicUsize,
    timers: AtomicU64,
}

impl Link {
    pub(crate) fn new(index: u16) -> Self {
        Self {
            inbox: Inbox::default(),
            index,
            slots: Mutex::default(),
            load: AtomicUsize::new(0),
            timers: AtomicU64::new(0),
        }
    }

    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    /// Tells the shard to do something to a connection. Dropped if the shard has stopped,
    /// or if the connection is gone by then.
    pub(crate) fn post(&self, id: ConnectionId, order: Order) {
        self.inbox.push(Command::Connection(Key::from(id), order));
    }

    /// The connections that the shard has, for placement.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Gives a new connection a free slot, where it is found by its id from now on.
    pub(crate) fn add(&self, make: impl FnOnce(ConnectionId) -> Connection) -> Connection {
        self.load.fetch_add(1, Ordering::Relaxed);
        self.slots.lock().add(|slot, generation| {
            make(ConnectionId {
                shard: self.index,
                slot,
                generation,
            })
        })
    }

    /// Gives a connection's slot back; the next connection in it is of another generation.
    pub(crate) fn remove(&self, slot: u32) {
        let removed = self.slots.lock().remove(slot);
        self.load.fetch_sub(1, Ordering::Relaxed);
        // Not under the lock: the end of a connection is code of the user.
        drop(removed);
    }

    /// The connection of this id, while it is there.
    pub(crate) fn find(&self, id: ConnectionId) -> Option<Connection> {
        self.slots.lock().find(id)
    }

    /// Adds those of some connections that are there.
    pub(crate) fn find_all(&self, ids: &[ConnectionId], found: &mut Vec<Connection>) {
        let slots = self.slots.lock();
        found.extend(ids.iter().filter_map(|id| slots.find(*id)));
    }

    /// Adds all connections.
    pub(crate) fn all(&self, found: &mut Vec<Connection>) {
        found.extend(self.slots.lock().connections.iter().flatten().cloned());
    }

    pub(crate) fn next_timer(&self) -> TimerId {
        TimerId(self.timers.fetch_add(1, Ordering::Relaxed))
    }
}

/// Which connection is in which slot, and how often each slot has been used.
#[derive(Default)]
struct Slots {
    connections: Vec<Option<Connection>>,
    generations: Vec<u32>,
    free: Vec<u32>,
}

impl Slots {
    fn add(&mut self, make: impl FnOnce(u32, u32) -> Connection) -> Connection {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.generations.len();
            self.generations.push(0);
            self.connections.push(None);
            u32::try_from(slot).expect("no shard holds 2^32 connections")
        });
        let index = slot as usize;
        let connection = make(slot, self.generations[index]);
        self.connections[index] = Some(connection.clone());
        connection
    }

    fn remove(&mut self, slot: u32) -> Option<Connection> {
        let index = slot as usize;
        self.generations[index] = self.generations[index].wrapping_add(1);
        self.free.push(slot);
        self.connections[index].take()
    }

    fn find(&self, id: ConnectionId) -> Option<Connection> {
        let connection = self.connections.get(id.slot as usize)?.as_ref()?;
        (connection.id() == id).then(|| connection.clone())
    }
}
