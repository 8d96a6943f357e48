use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock, Weak};

use nextrush_protocol::Frame;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashSet;
use tokio::sync::broadcast;

use crate::connection::Connection;
use crate::id::ConnectionId;
use crate::inbox::{Command, Order};
use crate::link::Link;
use crate::refill::{Giving, Skippable};

/// A named set of connections that can be sent to at once.
///
/// A cheap handle, usable from any thread, equal by identity. A room exists as long as it
/// has members or somebody holds a handle; then it takes no memory any more, and its name
/// makes a new one.
#[derive(Clone)]
pub struct Room(Arc<Inner>);

struct Inner {
    id: RoomId,
    name: Arc<str>,
    directory: Arc<RoomDirectory>,
    members: Mutex<Members>,
}

/// A number that no other room has at the same time. Small, as a room that ends leaves
/// its number to the next one: what shards keep of rooms stands in arrays.
///
/// Nothing of the room before is met by the one after: when a room ends all has been told
/// to the shards that was to be told, and they follow it in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RoomId(NonZeroU32);

impl RoomId {
    fn new(index: usize) -> Self {
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

#[derive(Default)]
struct Members {
    connections: FxHashSet<ConnectionId>,
    /// How many of them each shard has. Empty until the first one joins.
    per_shard: Vec<usize>,
}

impl Room {
    /// The name that it was asked for by.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.members.lock().connections.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members, in no order.
    pub fn members(&self) -> Vec<Connection> {
        let mut ids: Vec<_> = self.0.members.lock().connections.iter().copied().collect();
        ids.sort_unstable();
        let mut members = Vec::with_capacity(ids.len());
        for of_shard in ids.chunk_by(|one, other| one.shard == other.shard) {
            let link = &self.0.directory.links[usize::from(of_shard[0].shard)];
            link.find_all(of_shard, &mut members);
        }
        members
    }

    /// Whether this connection is a member.
    pub fn contains(&self, connection: ConnectionId) -> bool {
        self.0.members.lock().connections.contains(&connection)
    }

    /// Sends one frame to every member: one shared buffer, and one entry in the inbox of
    /// each shard that has members. All members see publications of a room in one order.
    pub fn publish(&self, frame: Frame) {
        self.publish_to(&frame, None, None);
    }

    /// The same, but members who read too slowly do without it: instead of being closed for
    /// what waits for them they lag.
    ///
    /// A member that lags gets nothing of this room, whatever is published and however; its
    /// other rooms and what it is sent directly go on. When it has taken what waited,
    /// [`Refill::refill`](crate::Refill) is asked for what it lacks, and when that has come,
    /// it gets what is published again: everything once and in order.
    ///
    /// While there is something of this kind on the way to a client,
    /// [`Backlog::age`](crate::Backlog) bounds how long it may take nothing at all.
    pub fn publish_skippable(&self, frame: Frame, skippable: Skippable) {
        self.publish_to(&frame, None, Some(&Arc::new(skippable)));
    }

    /// The same, but not to these connections.
    pub fn publish_except(&self, frame: Frame, except: &[ConnectionId]) {
        let except = (!except.is_empty()).then(|| {
            let mut except = except.to_vec();
            except.sort_unstable();
            except.into()
        });
        self.publish_to(&frame, except.as_ref(), None);
    }

    /// Sends a member what was published before it came: these frames, and what comes from
    /// `rest` on, if there is more, as if that publication had been left out for it. Who is no
    /// member, or lags already, gets the frames alone.
    ///
    /// As with publications that can be left out, [`Backlog::age`](crate::Backlog) bounds
    /// only how long the client may take nothing at all.
    pub fn give(&self, member: &Connection, frames: Vec<Frame>, rest: Option<Skippable>) {
        if self.is_served_by(member.link()) {
            member.count(&frames);
            let giving = Giving {
                room: self.0.id,
                frames,
                rest,
            };
            member.post(Order::Give(Box::new(giving)));
        }
    }

    fn publish_to(
        &self,
        frame: &Frame,
        except: Option<&Arc<[ConnectionId]>>,
        skippable: Option<&Arc<Skippable>>,
    ) {
        let links = &self.0.directory.links;
        let mut asleep = Vec::new();
        // All shards are told under the room's lock, which makes the order the same for all.
        let members = self.0.members.lock();
        for (link, count) in links.iter().zip(&members.per_shard) {
            if *count == 0 {
                continue;
            }
            let publish = Command::Publish {
                room: self.0.id,
                frame: frame.clone(),
                except: except.cloned(),
                skippable: skippable.cloned(),
            };
            if link.inbox.push_quietly(publish) {
                asleep.push(link);
            }
        }
        drop(members);
        for link in asleep {
            link.inbox.wake();
        }
    }

    /// Called under the connection's lock.
    pub(crate) fn add(&self, id: ConnectionId) -> bool {
        let mut members = self.0.members.lock();
        let is_first = members.connections.is_empty();
        if !members.connections.insert(id) {
            return false;
        }
        if is_first {
            self.report(RoomEvent::Created);
        }
        let shards = self.0.directory.links.len();
        members.per_shard.resize(shards, 0);
        members.per_shard[usize::from(id.shard)] += 1;
        // Under the room's lock, so that the publications after this one find a member.
        self.0.directory.links[usize::from(id.shard)].post(id, Order::Join(self.0.id));
        true
    }

    /// Called under the connection's lock.
    pub(crate) fn remove(&self, id: ConnectionId) {
        let mut members = self.0.members.lock();
        if !members.connections.remove(&id) {
            return;
        }
        members.per_shard[usize::from(id.shard)] -= 1;
        if members.connections.is_empty() {
            mem::take(&mut *members);
            self.report(RoomEvent::Emptied);
        }
        self.0.directory.links[usize::from(id.shard)].post(id, Order::Leave(self.0.id));
    }

    /// Called under the room's lock, so that the events of a room come in order.
    fn report(&self, event: impl FnOnce(Arc<str>) -> RoomEvent) {
        if let Some(events) = self.0.directory.events.get() {
            // Fails when nobody listens any more.
            let _ = events.send(event(Arc::clone(&self.0.name)));
        }
    }

    pub(crate) fn is_served_by(&self, link: &Arc<Link>) -> bool {
        let links = &self.0.directory.links;
        links
            .get(usize::from(link.index()))
            .is_some_and(|own| Arc::ptr_eq(own, link))
    }
}

impl PartialEq for Room {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Room {}

impl Hash for Room {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("name", &self.name())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// A room came to have members, or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomEvent {
    /// The first member joined the room of this name.
    Created(Arc<str>),
    /// The last member left the room of this name.
    Emptied(Arc<str>),
}

/// How many events may wait for one listener.
const EVENTS: usize = 1024;

/// Which rooms there are.
pub(crate) struct RoomDirectory {
    links: Box<[Arc<Link>]>,
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
        });
        // Takes the place of a room of this name that ends just now.
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

impl Drop for Inner {
    fn drop(&mut self) {
        let mut rooms = self.directory.rooms.write();
        // A younger room may have taken the name meanwhile.
        if rooms
            .get(&self.name)
            .is_some_and(|room| std::ptr::eq(room.as_ptr(), self))
        {
            rooms.remove(&self.name);
        }
        drop(rooms);
        self.directory.ids.lock().free.push(self.id);
    }
}
