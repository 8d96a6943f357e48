//! The rooms that a shard's connections are in, and how they join and leave.

use std::mem;
use std::sync::Arc;

use nextrush_protocol::Frame;

use super::Shard;
use super::cast::Publication;
use super::live::Live;
use super::peer::Peer;
use crate::id::{ConnectionId, RoomId};
use crate::room::{Place, Skippable};
use crate::transport::Io;

/// The members of each room on this shard, as of the last command that was followed: behind
/// the room's own list by the commands that are still in the inbox.
///
/// Publishing does nothing per member. A turn collects publications per room, and at its end
/// walks each room that was published to once; see [`cast`](super::cast).
#[derive(Default)]
pub(super) struct Rooms {
    rooms: Vec<Members>,
    /// The rooms with publications that their members have not got.
    pub(super) published: Vec<RoomId>,
    /// Emptied lists, for the next rooms that are published to.
    spare: Vec<Vec<Publication>>,
}

/// The members of one room, and its publications of this turn.
#[derive(Default)]
pub(super) struct Members {
    pub(super) slots: Vec<u32>,
    pub(super) publications: Vec<Publication>,
}

/// A connection's place in a room's member list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Membership {
    room: RoomId,
    position: u32,
}

/// The emptied lists that are kept.
const SPARE: usize = 64;

/// The longest list that is kept.
const SPARE_LENGTH: usize = 64;

impl<I: Io> Shard<I> {
    pub(super) fn join(&mut self, slot: u32, room: RoomId) {
        // What was published before is not for the new member.
        self.hand_out(room);
        if let Some(live) = self.slab.at(slot) {
            let slots = &mut self.rooms.members(room).slots;
            live.enter(Membership {
                room,
                position: slots.len() as u32,
            });
            slots.push(slot);
        }
    }

    pub(super) fn leave(&mut self, slot: u32, room: RoomId) {
        if let Some(membership) = self.slab.at(slot).and_then(|live| live.exit(room)) {
            self.remove_member(slot, membership);
        }
    }

    pub(super) fn leave_all(&mut self, slot: u32) {
        while let Some(membership) = self.slab.at(slot).and_then(Live::exit_any) {
            self.remove_member(slot, membership);
        }
    }

    fn remove_member(&mut self, slot: u32, membership: Membership) {
        let Membership { room, position } = membership;
        let members = self.rooms.members(room);
        if let Some(mut peer) = Peer::at(&mut self.slab, &mut self.parts, slot) {
            // What was published before is still for the one that leaves.
            peer.enqueue_all(room, &members.publications);
            peer.end_lag(room);
        }
        members.slots.swap_remove(position as usize);
        if members.slots.is_empty() {
            members.slots = Vec::new();
            return;
        }
        // The last member has taken the place.
        let moved = members.slots.get(position as usize);
        if let Some(moved) = moved.and_then(|slot| self.slab.at(*slot)) {
            moved.move_to(membership);
        }
    }

    /// Sends a frame to the members, at the end of the turn.
    pub(super) fn publish(
        &mut self,
        place: Place,
        frame: Frame,
        except: Option<Arc<[ConnectionId]>>,
        skippable: Option<Arc<Skippable>>,
    ) {
        let publication = Publication {
            sent: self.parts.sent_now(frame).at(place),
            except,
            skippable,
        };
        self.rooms.publish(place.room, publication);
    }

    /// Queues a frame for every connection, in its place among what was published to rooms.
    pub(super) fn broadcast(&mut self, frame: Frame, except: Option<Arc<[ConnectionId]>>) {
        let publication = Publication {
            sent: self.parts.sent_now(frame),
            except,
            skippable: None,
        };
        for slot in 0..self.slab.slots() {
            if let Some(mut peer) = Peer::at(&mut self.slab, &mut self.parts, slot as u32)
                && !peer.live.is_unknown()
            {
                peer.enqueue_broadcast(&publication);
            }
        }
    }
}

impl Rooms {
    pub(super) fn members(&mut self, room: RoomId) -> &mut Members {
        let index = room.index();
        if index >= self.rooms.len() {
            self.rooms.resize_with(index + 1, Members::default);
        }
        &mut self.rooms[index]
    }

    fn publish(&mut self, room: RoomId, publication: Publication) {
        let Some(members) = self.rooms.get_mut(room.index()) else {
            return;
        };
        if members.slots.is_empty() {
            return;
        }
        if members.publications.is_empty() {
            members.publications = self.spare.pop().unwrap_or_default();
            self.published.push(room);
        }
        members.publications.push(publication);
    }

    pub(super) fn take_publications(&mut self, room: RoomId) -> Vec<Publication> {
        mem::take(&mut self.members(room).publications)
    }

    pub(super) fn recycle(&mut self, mut publications: Vec<Publication>) {
        publications.clear();
        if self.spare.len() < SPARE && (1..=SPARE_LENGTH).contains(&publications.capacity()) {
            self.spare.push(publications);
        }
    }
}

impl Live {
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

    /// Notes its new place in a room's member list.
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
