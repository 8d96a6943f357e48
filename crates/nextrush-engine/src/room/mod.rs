//! Rooms: named sets of connections.

mod directory;
mod event;
mod refill;
mod standing;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;
use std::sync::{Arc, OnceLock};

use nextrush_protocol::Frame;
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

pub(crate) use self::directory::RoomDirectory;
pub use self::event::RoomEvent;
pub(crate) use self::refill::{Filled, Filling, Giving};
pub use self::refill::{Lag, Refill, Skippable};
pub(crate) use self::standing::{Looking, Place};
pub use self::standing::{Standing, Unsent, Watch};
use crate::connection::Connection;
use crate::id::{ConnectionId, RoomId};
use crate::link::{Command, Link, Order};

/// A named set of connections that can be sent to at once.
///
/// A cheap handle, usable from any thread, equal by identity. A room exists as long as it has
/// members or handles. After that it takes no memory, and its name makes a new room.
#[derive(Clone)]
pub struct Room(Arc<Inner>);

struct Inner {
    id: RoomId,
    name: Arc<str>,
    directory: Arc<RoomDirectory>,
    members: Mutex<Members>,
    watch: OnceLock<Arc<dyn Watch>>,
}

#[derive(Default)]
struct Members {
    connections: FxHashSet<ConnectionId>,
    /// The number of members on each shard. Empty until the first one joins.
    per_shard: Vec<usize>,
    /// The number of the last publication, 0 if none had one.
    last: u64,
}

impl Room {
    /// The name of the room.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.members.lock().connections.len()
    }

    /// Returns whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members, in no order.
    #[must_use]
    pub fn members(&self) -> Vec<Connection> {
        let mut ids: Vec<_> = self.0.members.lock().connections.iter().copied().collect();
        ids.sort_unstable();
        let mut members = Vec::with_capacity(ids.len());
        for of_shard in ids.chunk_by(|one, other| one.shard == other.shard) {
            self.0.directory.links[usize::from(of_shard[0].shard)].find_all(of_shard, &mut members);
        }
        members
    }

    /// Returns whether this connection is a member.
    #[must_use]
    pub fn contains(&self, connection: ConnectionId) -> bool {
        self.0.members.lock().connections.contains(&connection)
    }

    /// Sends one frame to every member: one shared buffer, and one command in the inbox of
    /// each shard that has members. All members get the publications of a room in one order.
    pub fn publish(&self, frame: Frame) {
        self.publish_to(&frame, None, None, 0);
    }

    /// Sends one frame to every member, as [`publish`](Self::publish) does: the publication of this
    /// number among those of the room. Numbers rise, from 1 on.
    pub fn publish_numbered(&self, frame: Frame, number: u64) {
        self.publish_to(&frame, None, None, number);
    }

    /// Sends one frame to every member, unless the member reads too slowly: instead of being
    /// closed for its backlog, it skips the frame and begins to lag.
    ///
    /// A member that lags skips everything that is published to this room, in whatever way;
    /// its other rooms and direct sends go on. When it has taken its backlog,
    /// [`Refill::refill`] is asked for what it has skipped. When that has come, the member has
    /// caught up and gets publications again: each once, and in order.
    ///
    /// While a skippable frame is on the way to a client, [`Backlog::age`](crate::Backlog)
    /// bounds how long the client may take nothing at all.
    pub fn publish_skippable(&self, frame: Frame, skippable: Skippable) {
        let number = skippable.offset;
        self.publish_to(&frame, None, Some(&Arc::new(skippable)), number);
    }

    /// Sends one frame to every member but these.
    pub fn publish_except(&self, frame: Frame, except: &[ConnectionId]) {
        self.publish_to(&frame, sorted(except).as_ref(), None, 0);
    }

    /// Sends a new member the room's history: these frames, then, by a refill, the publications
    /// from `rest` on, as if the member had skipped that one. A connection that is
    /// no member, or lags already, gets the frames alone.
    ///
    /// As with skippable frames, [`Backlog::age`](crate::Backlog) bounds only how long the
    /// client may take nothing at all.
    pub fn give(&self, member: &Connection, frames: Vec<Frame>, rest: Option<Skippable>) {
        self.give_from(0, member, frames, rest);
    }

    /// Sends a new member the room's history, as [`give`](Self::give) does: frames that stand for the
    /// publications from the number `first` on.
    pub fn give_from(
        &self,
        first: u64,
        member: &Connection,
        frames: Vec<Frame>,
        rest: Option<Skippable>,
    ) {
        if self.is_served_by(member.link()) {
            member.count(&frames);
            let giving = Giving {
                room: self.0.id,
                first,
                frames,
                rest,
            };
            member.post(Order::Give(Box::new(giving)));
        }
    }

    /// Sets the number of the last publication, as numbers begin anew or leave some out.
    pub fn renumber(&self, last: u64) {
        self.0.members.lock().last = last;
    }

    /// The room's number, which no other room of the engine has at the same time.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.0.id.number()
    }

    /// Sets the observer of the room's members, for as long as the room exists; the first one
    /// stays.
    pub fn watch(&self, watch: impl FnOnce() -> Arc<dyn Watch>) {
        self.0.watch.get_or_init(watch);
    }

    /// Asks the member's shard how the member stands in the room. `tell` is called on the shard's
    /// thread, or dropped if the connection has ended; return quickly.
    pub fn look(&self, member: &Connection, tell: impl FnOnce(Standing) + Send + 'static) {
        if self.is_served_by(member.link()) {
            let looking = Looking {
                room: self.0.id,
                tell: Box::new(tell),
            };
            member.post(Order::Look(Box::new(looking)));
        }
    }

    fn publish_to(
        &self,
        frame: &Frame,
        except: Option<&Arc<[ConnectionId]>>,
        skippable: Option<&Arc<Skippable>>,
        number: u64,
    ) {
        let links = &self.0.directory.links;
        let mut asleep = Vec::new();
        // All inboxes get it under the room's lock, which makes the order the same for all.
        let mut members = self.0.members.lock();
        if number > 0 {
            members.last = number;
        }
        for (link, count) in links.iter().zip(&members.per_shard) {
            if *count == 0 {
                continue;
            }
            let publish = Command::Publish {
                room: self.0.id,
                frame: frame.clone(),
                except: except.cloned(),
                skippable: skippable.cloned(),
                number,
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

    /// Adds a member, under the connection's lock; `false` if it is a member already.
    pub(crate) fn add(&self, id: ConnectionId) -> bool {
        let mut members = self.0.members.lock();
        let is_first = members.connections.is_empty();
        if !members.connections.insert(id) {
            return false;
        }
        if is_first {
            self.0.directory.report(&self.0.name, RoomEvent::Created);
        }
        let shards = self.0.directory.links.len();
        members.per_shard.resize(shards, 0);
        members.per_shard[usize::from(id.shard)] += 1;
        // Under the room's lock, so that the publications after this one find a member.
        self.0.directory.links[usize::from(id.shard)].post(id, Order::Join(self.0.id));
        true
    }

    /// Removes a member, under the connection's lock.
    pub(crate) fn remove(&self, id: ConnectionId) {
        let mut members = self.0.members.lock();
        if !members.connections.remove(&id) {
            return;
        }
        members.per_shard[usize::from(id.shard)] -= 1;
        if let Some(watch) = self.0.watch.get() {
            watch.left(id, members.last);
        }
        if members.connections.is_empty() {
            mem::take(&mut *members);
            self.0.directory.report(&self.0.name, RoomEvent::Emptied);
        }
        self.0.directory.links[usize::from(id.shard)].post(id, Order::Leave(self.0.id));
    }

    pub(crate) fn is_served_by(&self, link: &Arc<Link>) -> bool {
        self.0
            .directory
            .links
            .get(usize::from(link.index()))
            .is_some_and(|own| Arc::ptr_eq(own, link))
    }
}

/// Exceptions as a command has them; `None` if there are none.
pub(crate) fn sorted(except: &[ConnectionId]) -> Option<Arc<[ConnectionId]>> {
    (!except.is_empty()).then(|| {
        let mut except = except.to_vec();
        except.sort_unstable();
        except.into()
    })
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

impl Drop for Inner {
    fn drop(&mut self) {
        self.directory.remove(self);
    }
}
