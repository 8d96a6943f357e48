//! The side of a shard that other threads touch: its inbox, its connections by id, its metrics.

mod command;
mod inbox;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

pub(crate) use self::command::{Accept, Command, Ending, Key, Order, SetTimer, TimerFn};
pub(crate) use self::inbox::Inbox;
use crate::chunked::Chunked;
use crate::connection::Connection;
use crate::id::{ConnectionId, TimerId};
use crate::metrics::Board;

/// See the [module](self). Everything else of a shard belongs to the shard's own thread.
pub(crate) struct Link {
    pub(crate) inbox: Inbox,
    /// The shard's metrics.
    pub(crate) board: Board,
    index: u16,
    slots: Mutex<Slots>,
    load: AtomicUsize,
    timers: AtomicU64,
    /// The call of the user's code that runs just now; see [`Busy`].
    busy: AtomicU64,
}

impl Link {
    pub(crate) fn new(index: u16) -> Self {
        Self {
            inbox: Inbox::default(),
            board: Board::default(),
            index,
            slots: Mutex::default(),
            load: AtomicUsize::new(0),
            timers: AtomicU64::new(0),
            busy: AtomicU64::new(0),
        }
    }

    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    /// Gives the shard an order for a connection. The order is dropped if the shard has
    /// stopped, or if the connection is gone by then.
    pub(crate) fn post(&self, id: ConnectionId, order: Order) {
        self.inbox.push(Command::Connection(Key::from(id), order));
    }

    /// The number of connections of the shard, for placement.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Reserves a free slot for a new connection.
    pub(crate) fn reserve(&self) -> ConnectionId {
        self.load.fetch_add(1, Ordering::Relaxed);
        let (slot, generation) = self.slots.lock().reserve();
        ConnectionId {
            shard: self.index,
            slot,
            generation,
        }
    }

    /// Lets a connection be found by its id.
    pub(crate) fn add(&self, connection: Connection) {
        let place = connection.id().slot as usize;
        *self.slots.lock().connections.place(place) = Some(connection);
    }

    /// Frees a slot. The next connection in it is of another generation.
    pub(crate) fn remove(&self, slot: u32) {
        let removed = self.slots.lock().remove(slot);
        self.load.fetch_sub(1, Ordering::Relaxed);
        // Not under the lock: dropping a connection runs the user's code.
        drop(removed);
    }

    /// The connection of this id, while it is there.
    pub(crate) fn find(&self, id: ConnectionId) -> Option<Connection> {
        self.slots.lock().find(id)
    }

    /// Adds the connections of these ids that are there.
    pub(crate) fn find_all(&self, ids: &[ConnectionId], found: &mut Vec<Connection>) {
        let slots = self.slots.lock();
        found.extend(ids.iter().filter_map(|id| slots.find(*id)));
    }

    /// Adds all connections.
    pub(crate) fn all(&self, found: &mut Vec<Connection>) {
        found.extend(self.slots.lock().connections.iter().flatten().cloned());
    }

    /// Adds the connections for which bytes of their own wait, each with their number.
    pub(crate) fn all_waiting(&self, found: &mut Vec<(usize, Connection)>) {
        let slots = self.slots.lock();
        for connection in slots.connections.iter().flatten() {
            let bytes = connection.own_backlog();
            if bytes > 0 {
                found.push((bytes, connection.clone()));
            }
        }
    }

    /// Notes that the user's code is called for the connection in this slot, as the call of
    /// this number. Only the shard's thread calls this.
    pub(crate) fn enter(&self, slot: u32, call: u32) {
        let value = u64::from(call) << 32 | u64::from(slot);
        self.busy.store(value, Ordering::Relaxed);
    }

    /// Notes that the call is over.
    pub(crate) fn exit(&self) {
        self.busy.store(0, Ordering::Relaxed);
    }

    /// The call that runs just now.
    pub(crate) fn busy(&self) -> Option<Busy> {
        let value = self.busy.load(Ordering::Relaxed);
        let (call, slot) = ((value >> 32) as u32, value as u32);
        (call != 0).then_some(Busy { slot, call })
    }

    /// The connection in this slot.
    pub(crate) fn at(&self, slot: u32) -> Option<Connection> {
        let slots = self.slots.lock();
        slots.connections.get(slot as usize)?.clone()
    }

    pub(crate) fn next_timer(&self) -> TimerId {
        TimerId(self.timers.fetch_add(1, Ordering::Relaxed))
    }
}

/// A call of the user's code that has not returned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Busy {
    pub(crate) slot: u32,
    /// The number of the call, from 1 on. After the largest number comes 1 again.
    pub(crate) call: u32,
}

/// The connections by slot, and how often each slot was used.
#[derive(Default)]
struct Slots {
    connections: Chunked<Option<Connection>>,
    generations: Chunked<u32>,
    used: u32,
    free: Vec<u32>,
}

impl Slots {
    fn reserve(&mut self) -> (u32, u32) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        (slot, *self.generations.place(slot as usize))
    }

    fn remove(&mut self, slot: u32) -> Option<Connection> {
        let index = slot as usize;
        let generation = self.generations.place(index);
        *generation = generation.wrapping_add(1);
        self.free.push(slot);
        self.connections.place(index).take()
    }

    fn find(&self, id: ConnectionId) -> Option<Connection> {
        let connection = self.connections.get(id.slot as usize)?.as_ref()?;
        (connection.id() == id).then(|| connection.clone())
    }
}
