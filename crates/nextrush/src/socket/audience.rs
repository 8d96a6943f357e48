//! The sockets that a message goes to.

use nextrush_engine::{self as engine, ConnectionId};
use nextrush_protocol::CloseCode;
use serde::Serialize;
use smallvec::SmallVec;

use crate::message::Outgoing;
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::socket::join::{self, JoinError};

/// The sockets that a message goes to: the members of one or more rooms, or the sockets of a
/// user, minus exceptions.
///
/// Made by [`Handle::room`], [`Handle::rooms`] and [`Handle::user`]. A cheap handle that may be
/// kept and used from any thread; it always stands for the members of the moment.
///
/// A count or a list whose name says `local` is that of this process.
///
/// ```
/// # fn example(app: &nextrush::Handle, socket: &nextrush::Socket) {
/// app.room("lobby").send("hello, everyone");
/// app.rooms(["red", "blue"]).except(socket).send("hello, others");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Audience {
    handle: Handle,
    // Handlers keep these, and mostly of one room.
    rooms: SmallVec<[engine::Room; 1]>,
    except: SmallVec<[ConnectionId; 1]>,
}

impl Audience {
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

    /// The number of members in this process, each counted once.
    #[must_use]
    pub fn local_len(&self) -> usize {
        match self.rooms.as_slice() {
            [room] if self.except.is_empty() => room.len(),
            _ => self.connections().count(),
        }
    }

    /// Returns whether this process has a member.
    #[must_use]
    pub fn has_local_members(&self) -> bool {
        self.connections().next().is_some()
    }

    /// Returns whether `socket` is a member.
    #[must_use]
    pub fn contains(&self, socket: &Socket) -> bool {
        !self.except.contains(&socket.id())
            && self.rooms.iter().any(|room| room.contains(socket.id()))
    }

    /// The members in this process, each once, in no particular order.
    #[must_use]
    pub fn local_members(&self) -> Vec<Socket> {
        self.connections()
            .filter_map(|connection| self.handle.local_socket(connection.id()))
            .collect()
    }

    /// Makes every member a member of `room` too. Leaves out members that cannot join; see
    /// [`Socket::join`].
    pub fn join(&self, room: impl AsRef<str>) {
        for member in self.local_members() {
            if let Err(error) = member.join(room.as_ref()) {
                tracing::debug!(socket = %member.id(), %error, "a member cannot join a room");
            }
        }
    }

    /// Takes every member out of `room`.
    pub fn leave(&self, room: impl AsRef<str>) {
        for member in self.local_members() {
            member.leave(room.as_ref());
        }
    }

    /// Closes every member's socket; see [`Socket::close`].
    pub fn close(&self, code: impl Into<CloseCode>, reason: &str) {
        let code = code.into();
        for member in self.local_members() {
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

    /// Returns whether a member of the room at `index` is in no earlier room, and no
    /// exception.
    fn is_first_room_of(&self, id: ConnectionId, index: usize) -> bool {
        !self.except.contains(&id) && !self.rooms[..index].iter().any(|room| room.contains(id))
    }
}
