//! The members of rooms, as those whom a message goes to.

use nextrush_engine::{self as engine, ConnectionId};
use nextrush_protocol::CloseCode;
use serde::Serialize;
use smallvec::SmallVec;

use crate::message::Outgoing;
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::socket::join::{self, JoinError};

/// The members of one or more rooms, minus exceptions: whom a message goes to.
///
/// Made by [`Handle::room`], [`Handle::rooms`] and [`Handle::user`]. A handle:
/// it may be kept, and always stands for the members of the moment. Everything
/// here is synchronous and may be called from any thread.
///
/// ```
/// # fn example(app: &nextrush::Handle, socket: &nextrush::Socket) {
/// app.room("lobby").send("hello, everyone");
/// app.rooms(["red", "blue"]).except(socket).send("hello, others");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rooms {
    handle: Handle,
    // Handlers keep these, and mostly of one room.
    rooms: SmallVec<[engine::Room; 1]>,
    except: SmallVec<[ConnectionId; 1]>,
}

impl Rooms {
    pub(crate) fn new(handle: Handle, rooms: SmallVec<[engine::Room; 1]>) -> Self {
        Self {
            handle,
            rooms,
            except: SmallVec::new(),
        }
    }

    /// The same without `socket`.
    #[must_use]
    pub fn except(mut self, socket: &Socket) -> Self {
        self.except.push(socket.id());
        self
    }

    /// Sends a message to every member once, also to one that is in several of
    /// the rooms. Volatile, as [`Socket::send`]; encoded once for all.
    pub fn send(&self, message: impl Into<Outgoing>) {
        let frame = message.into().into_frame();
        for (index, room) in self.rooms.iter().enumerate() {
            if index == 0 {
                room.publish_except(frame.clone(), &self.except);
                continue;
            }
            for member in room.members() {
                if self.is_first_room_of(member.id(), index) {
                    member.send(frame.clone());
                }
            }
        }
    }

    /// Sends `value` as a JSON text message, as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing, when `value` cannot be written as JSON.
    pub fn send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), serde_json::Error> {
        self.send(Outgoing::json(value)?);
        Ok(())
    }

    /// The number of members, each counted once.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.rooms.as_slice() {
            [room] if self.except.is_empty() => room.len(),
            _ => self.connections().count(),
        }
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections().next().is_none()
    }

    /// Whether `socket` is among them.
    #[must_use]
    pub fn contains(&self, socket: &Socket) -> bool {
        !self.except.contains(&socket.id())
            && self.rooms.iter().any(|room| room.contains(socket.id()))
    }

    /// The members, each once, in no particular order.
    #[must_use]
    pub fn members(&self) -> Vec<Socket> {
        self.connections()
            .filter_map(|connection| self.handle.socket(connection.id()))
            .collect()
    }

    /// Makes every member a member of `room` too. Members that cannot join (see
    /// [`Socket::join`]) are left out; returns how many are new there.
    pub fn join(&self, room: impl AsRef<str>) -> usize {
        let joined = |member: &Socket| member.join(room.as_ref()) == Ok(true);
        self.members()
            .iter()
            .filter(|member| joined(member))
            .count()
    }

    /// Takes every member out of `room`; returns how many were in it.
    pub fn leave(&self, room: impl AsRef<str>) -> usize {
        let left = |member: &Socket| member.leave(room.as_ref());
        self.members().iter().filter(|member| left(member)).count()
    }

    /// Closes every member's socket; see [`Socket::close`].
    pub fn close(&self, code: impl Into<CloseCode>, reason: &str) {
        let code = code.into();
        for member in self.members() {
            member.close(code, reason);
        }
    }

    /// Makes a socket a member, past the limit on rooms: for rooms that the
    /// framework keeps.
    pub(crate) fn admit(&self, socket: &Socket) -> Result<(), JoinError> {
        for room in &self.rooms {
            join::join(socket, room)?;
        }
        Ok(())
    }

    /// Takes back [`admit`](Self::admit).
    pub(crate) fn dismiss(&self, socket: &Socket) {
        for room in &self.rooms {
            socket.connection().leave(room);
        }
    }

    fn connections(&self) -> impl Iterator<Item = engine::Connection> + '_ {
        self.rooms
            .iter()
            .enumerate()
            .flat_map(move |(index, room)| {
                room.members()
                    .into_iter()
                    .filter(move |member| self.is_first_room_of(member.id(), index))
            })
    }

    /// Whether a member of the room at `index` is in none before it, and no
    /// exception.
    fn is_first_room_of(&self, id: ConnectionId, index: usize) -> bool {
        !self.except.contains(&id) && !self.rooms[..index].iter().any(|room| room.contains(id))
    }
}
