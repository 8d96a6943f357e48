use std::collections::HashMap;
use std::mem;

use nextrush_protocol::Frame;

use super::Shard;
use super::slab::Phase;
use crate::id::ConnectionId;
use crate::io::Io;
use crate::room::RoomId;

/// Which connections of this shard are in which room, as of the inbox's last entry:
/// behind the room's own list by what still stands there.
#[derive(Default)]
pub(super) struct Rooms {
    members: HashMap<RoomId, Vec<u32>>,
}

/// That a connection is in a room, and where it stands in the room's list.
pub(super) struct Membership {
    room: RoomId,
    position: usize,
}

impl<I: Io> Shard<I> {
    pub(super) fn join(&mut self, slot: u32, room: RoomId) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let members = self.rooms.members.entry(room).or_default();
        live.rooms.push(Membership {
            room,
            position: members.len(),
        });
        members.push(slot);
    }

    pub(super) fn leave(&mut self, slot: u32, room: RoomId) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let mut joined = live.rooms.iter();
        if let Some(index) = joined.position(|membership| membership.room == room) {
            let membership = live.rooms.swap_remove(index);
            self.remove_member(&membership);
        }
    }

    pub(super) fn leave_all(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        for membership in mem::take(&mut live.rooms) {
            self.remove_member(&membership);
        }
    }

    fn remove_member(&mut self, membership: &Membership) {
        let &Membership { room, position } = membership;
        let Some(members) = self.rooms.members.get_mut(&room) else {
            return;
        };
        members.swap_remove(position);
        if members.is_empty() {
            self.rooms.members.remove(&room);
            return;
        }
        // The last member has taken the place.
        let Some(moved) = members.get(position).and_then(|slot| self.slab.at(*slot)) else {
            return;
        };
        let mut joined = moved.rooms.iter_mut();
        if let Some(membership) = joined.find(|membership| membership.room == room) {
            membership.position = position;
        }
    }

    /// Puts a frame into the outbox of each member, compressed once for all who want it so.
    pub(super) fn publish(&mut self, room: RoomId, frame: &Frame, except: Option<&[ConnectionId]>) {
        let Some(members) = self.rooms.members.get_mut(&room) else {
            return;
        };
        let members = mem::take(members);
        for &slot in &members {
            let Some(live) = self.slab.at(slot) else {
                continue;
            };
            let is_excepted =
                || except.is_some_and(|except| except.binary_search(&live.connection.id()).is_ok());
            if live.phase == Phase::Open && !is_excepted() {
                self.enqueue(slot, frame);
            }
        }
        self.rooms.members.insert(room, members);
    }
}
