use std::mem;
use std::sync::Arc;

use nextrush_protocol::Frame;

use super::Shard;
use super::outbox::Sent;
use super::slab::Live;
use crate::id::{ConnectionId, RoomId};
use crate::room::Skippable;
use crate::transport::Io;

/// Which connections of this shard are in which room, as of the inbox's last entry:
/// behind the room's own list by what still stands there.
///
/// Publishing does nothing per member. What a turn brings is collected per room, and at
/// the turn's end each room that something was published to is gone through once.
#[derive(Default)]
pub(super) struct Rooms {
    rooms: Vec<Members>,
    /// The rooms with publications that their members have not got.
    published: Vec<RoomId>,
    /// Emptied lists, for the next rooms that are published to.
    spare: Vec<Vec<Publication>>,
}

#[derive(Default)]
struct Members {
    slots: Vec<u32>,
    publications: Vec<Publication>,
}

/// What was published to a room in this turn.
pub(super) struct Publication {
    pub(super) sent: Sent,
    /// Who does not get it; sorted.
    pub(super) except: Option<Arc<[ConnectionId]>>,
    pub(super) skippable: Option<Arc<Skippable>>,
}

impl Publication {
    pub(super) fn is_for(&self, id: ConnectionId) -> bool {
        let except = self.except.as_deref();
        except.is_none_or(|except| except.binary_search(&id).is_err())
    }
}

/// That a connection is in a room, and where it stands in the room's list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Membership {
    room: RoomId,
    position: u32,
}

impl<I: Io> Shard<I> {
    pub(super) fn join(&mut self, slot: u32, room: RoomId) {
        // What was published before is not for the new member.
        self.hand_out(room);
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let members = self.rooms.members(room);
        live.enter(Membership {
            room,
            position: members.slots.len() as u32,
        });
        members.slots.push(slot);
    }

    pub(super) fn leave(&mut self, slot: u32, room: RoomId) {
        let Some(membership) = self.slab.at(slot).and_then(|live| live.exit(room)) else {
            return;
        };
        self.remove_member(slot, membership);
    }

    pub(super) fn leave_all(&mut self, slot: u32) {
        while let Some(membership) = self.slab.at(slot).and_then(Live::exit_any) {
            self.remove_member(slot, membership);
        }
    }

    fn remove_member(&mut self, slot: u32, membership: Membership) {
        let Membership { room, position } = membership;
        // What was published before is still for the one that leaves.
        self.hand_out_to(slot, room);
        self.end_lag(slot, room);
        let slots = &mut self.rooms.members(room).slots;
        slots.swap_remove(position as usize);
        if slots.is_empty() {
            self.rooms.members(room).slots = Vec::new();
            return;
        }
        // The last member has taken the place.
        let moved = self.rooms.members(room).slots.get(position as usize);
        if let Some(moved) = moved.and_then(|slot| self.slab.at(*slot)) {
            moved.move_to(membership);
        }
    }

    /// Sends a frame to the members, at the end of the turn.
    pub(super) fn publish(
        &mut self,
        room: RoomId,
        frame: Frame,
        except: Option<Arc<[ConnectionId]>>,
        skippable: Option<Arc<Skippable>>,
    ) {
        let publication = Publication {
            sent: self.sent_now(frame),
            except,
            skippable,
        };
        self.rooms.publish(room, publication);
    }

    /// Sends what was published in this turn: one write for each member that gets nothing
    /// else, and the others' share into their outboxes.
    pub(super) fn flush_rooms(&mut self) {
        let mut rooms = mem::take(&mut self.rooms.published);
        let is_only = rooms.len() == 1;
        for room in rooms.drain(..) {
            let Members {
                slots,
                publications,
            } = mem::take(self.rooms.members(room));
            // Else handed out already.
            if !publications.is_empty() {
                self.cast.prepare(&publications);
                for &slot in &slots {
                    self.cast_to(slot, room, is_only, &publications);
                }
                let (members, bytes) = self.cast.counted();
                self.counts.messages_out += members * publications.len() as u64;
                self.counts.bytes_out += bytes;
            }
            self.rooms.members(room).slots = slots;
            self.rooms.recycle(publications);
        }
        if self.rooms.published.is_empty() {
            self.rooms.published = rooms;
        }
    }

    /// Moves what was published in this turn into the members' outboxes.
    pub(super) fn hand_out(&mut self, room: RoomId) {
        let members = self.rooms.members(room);
        if members.publications.is_empty() {
            return;
        }
        let Members {
            slots,
            publications,
        } = mem::take(members);
        for &slot in &slots {
            self.enqueue_all(slot, room, &publications);
        }
        self.rooms.members(room).slots = slots;
        self.rooms.recycle(publications);
    }

    fn hand_out_to(&mut self, slot: u32, room: RoomId) {
        let members = self.rooms.members(room);
        if members.publications.is_empty() {
            return;
        }
        let publications = mem::take(&mut members.publications);
        self.enqueue_all(slot, room, &publications);
        self.rooms.members(room).publications = publications;
    }

    pub(super) fn enqueue_all(&mut self, slot: u32, room: RoomId, publications: &[Publication]) {
        for publication in publications {
            let Some(live) = self.slab.at(slot).filter(|live| live.is_sent_to()) else {
                return;
            };
            if publication.is_for(live.id()) && !self.skips(slot, room, publication) {
                self.enqueue(slot, publication.sent.clone());
                if publication.skippable.is_some() {
                    self.be_patient(slot);
                }
            }
        }
    }
}

/// How many emptied lists are kept, and how long a kept one may be.
const SPARE: usize = 64;
const SPARE_LENGTH: usize = 64;

impl Rooms {
    fn members(&mut self, room: RoomId) -> &mut Members {
        let index = room.index();
        if index >= self.rooms.len() {
            self.rooms.resize_with(index + 1, Members::default);
        }
        &mut self.rooms[index]
    }

    fn publish(&mut self, room: RoomId, publication: Publication) {
        let spare = &mut self.spare;
        let Some(members) = self.rooms.get_mut(room.index()) else {
            return;
        };
        if members.slots.is_empty() {
            return;
        }
        if members.publications.is_empty() {
            members.publications = spare.pop().unwrap_or_default();
            self.published.push(room);
        }
        members.publications.push(publication);
    }

    fn recycle(&mut self, mut publications: Vec<Publication>) {
        publications.clear();
        if self.spare.len() < SPARE && (1..=SPARE_LENGTH).contains(&publications.capacity()) {
            self.spare.push(publications);
        }
    }
}

impl Live {
    /// Whether it is in more than one room.
    pub(super) fn is_in_several(&self) -> bool {
        self.extra().is_some_and(|extra| !extra.rooms.is_empty())
    }

    pub(super) fn is_in(&self, room: RoomId) -> bool {
        let others = self.extra().into_iter().flat_map(|extra| &extra.rooms);
        let mut all = self.room.iter().chain(others);
        all.any(|membership| membership.room == room)
    }

    fn enter(&mut self, membership: Membership) {
        if self.room.is_none() {
            self.room = Some(membership);
        } else {
            self.need_extra().rooms.push(membership);
        }
    }

    fn exit(&mut self, room: RoomId) -> Option<Membership> {
        if let Some(membership) = self.room.take_if(|membership| membership.room == room) {
            return Some(membership);
        }
        let others = &mut self.extra_mut()?.rooms;
        let index = others.iter().position(|other| other.room == room)?;
        let membership = others.swap_remove(index);
        self.tidy();
        Some(membership)
    }

    fn exit_any(&mut self) -> Option<Membership> {
        if let Some(membership) = self.room.take() {
            return Some(membership);
        }
        let membership = self.extra_mut()?.rooms.pop();
        self.tidy();
        membership
    }

    /// Stands at another place of a room's list now.
    fn move_to(&mut self, place: Membership) {
        if let Some(first) = self.room.as_mut().filter(|first| first.room == place.room) {
            first.position = place.position;
            return;
        }
        let others = self.extra_mut().map(|extra| extra.rooms.iter_mut());
        let other = others.and_then(|mut others| others.find(|other| other.room == place.room));
        if let Some(other) = other {
            other.position = place.position;
        }
    }
}
