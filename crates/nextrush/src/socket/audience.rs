//! The sockets that a message goes to.

use nextrush_engine::{self as engine, ConnectionId, ConnectionState};
use nextrush_protocol::{CloseCode, Frame};
use serde::Serialize;
use smallvec::SmallVec;

use crate::message::Outgoing;
use crate::node::interest::bus_room;
use crate::node::wire::write_cast;
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::socket::join::{self, JoinError};

/// The kind of the casts to rooms.
pub(super) const ROOM: &str = "nr.room";
/// The kind of the casts to every socket.
pub(super) const EVERYBODY: &str = "nr.all";

/// The sockets that a message goes to: the members of one or more rooms, the sockets of a
/// user, or all sockets, minus exceptions.
///
/// Made by [`Handle::room`], [`Handle::rooms`], [`Handle::user`] and [`Handle::all`]. A cheap handle that may be
/// kept and used from any thread; it always stands for the members of the moment.
///
/// # On several nodes
///
/// Where [nodes](crate::node) share the application's broker, the members are those on all nodes:
/// [`send`](Self::send) reaches them without waiting, and what returns a future speaks for all
/// nodes and says which did not answer. [`local`](Self::local) narrows it to this node; a method
/// whose name says `local` is about this node alone.
///
/// ```
/// # async fn example(app: &nextrush::Handle, socket: &nextrush::Socket) {
/// app.room("lobby").send("hello, everyone");
/// app.rooms(["red", "blue"]).except(socket).send("hello, others");
/// let closed = app.room("lobby").close(1000, "the lobby ends").await;
/// println!("{} closed; {:?} did not answer", closed.sockets, closed.unanswered);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Audience {
    handle: Handle,
    of: Of,
    except: SmallVec<[ConnectionId; 1]>,
    /// `true` if the members on other nodes are meant, too.
    is_over_nodes: bool,
}

/// The sockets of an audience, without regard to exceptions.
#[derive(Clone, Debug)]
enum Of {
    // Handlers keep these, and mostly of one room.
    Rooms(SmallVec<[engine::Room; 1]>),
    /// Every socket. They are in no room for it.
    Everybody,
}

impl Audience {
    pub(crate) fn new(handle: Handle, rooms: SmallVec<[engine::Room; 1]>) -> Self {
        Self::of(handle, Of::Rooms(rooms))
    }

    pub(super) fn everybody(handle: Handle) -> Self {
        Self::of(handle, Of::Everybody)
    }

    fn of(handle: Handle, of: Of) -> Self {
        Self {
            is_over_nodes: handle.rooms_span_nodes(),
            handle,
            of,
            except: SmallVec::new(),
        }
    }

    /// The same without `socket`.
    #[must_use]
    pub fn except(mut self, socket: &Socket) -> Self {
        self.except.push(socket.id());
        self
    }

    /// The same members, but only those on this node.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.is_over_nodes = false;
        self
    }

    /// Sends a message to every member once, also to one that is in several of
    /// the rooms. Volatile, as [`Socket::send`]; encoded once for all.
    ///
    /// It does not wait for other nodes: their members get it a little later or, where the line
    /// between the nodes is down, not at all. What one node sends to a room comes in its order, and
    /// so does what it sends to all sockets.
    pub fn send(&self, message: impl Into<Outgoing>) {
        let frame = message.into().into_frame();
        if self.is_over_nodes {
            self.cast(&frame);
        }
        self.send_here(&frame);
    }

    /// Sends to the members on other nodes. Each room has a cast of its own, so that those who are
    /// in it get all that is sent to it in one order.
    fn cast(&self, frame: &Frame) {
        let line = self.handle.line();
        let rooms = match &self.of {
            Of::Rooms(rooms) => rooms,
            Of::Everybody => {
                let cast = write_cast(std::iter::empty(), frame);
                return line.cast_to_all(EVERYBODY, &cast);
            }
        };
        for last in 1..=rooms.len() {
            let names = rooms[..last].iter().map(engine::Room::name);
            let cast = write_cast(names, frame);
            let room = bus_room(rooms[last - 1].name());
            line.cast(&room, ROOM, &cast);
        }
    }

    fn send_here(&self, frame: &Frame) {
        if let Of::Everybody = self.of {
            return self.handle.engine().broadcast_except(frame, &self.except);
        }
        for (index, room) in self.rooms().iter().enumerate() {
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
        match self.rooms() {
            [room] if self.except.is_empty() => room.len(),
            _ => self.connections().count(),
        }
    }

    /// Returns whether this process has a member.
    #[must_use]
    pub fn has_local_members(&self) -> bool {
        self.connections().next().is_some()
    }

    /// Returns whether `socket`, which is one of this node, is a member.
    #[must_use]
    pub fn contains(&self, socket: &Socket) -> bool {
        let is_meant = match &self.of {
            Of::Rooms(rooms) => rooms.iter().any(|room| room.contains(socket.id())),
            Of::Everybody => {
                !socket.is_unknown()
                    && self.handle.local_socket(socket.id()).as_ref() == Some(socket)
            }
        };
        is_meant && !self.except.contains(&socket.id())
    }

    /// The members in this process, each once, in no particular order.
    #[must_use]
    pub fn local_members(&self) -> Vec<Socket> {
        self.connections()
            .filter_map(|connection| self.handle.local_socket(connection.id()))
            .collect()
    }

    /// Makes every member on this node a member of `room` too; the number of them. Leaves out
    /// members that cannot join; see [`Socket::join`].
    pub fn local_join(&self, room: impl AsRef<str>) -> usize {
        let join = |member: &Socket| match member.join(room.as_ref()) {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(socket = %member.id(), %error, "a member cannot join a room");
                false
            }
        };
        self.local_members()
            .iter()
            .filter(|member| join(member))
            .count()
    }

    /// Takes every member on this node out of `room`; the number of those who were in it.
    pub fn local_leave(&self, room: impl AsRef<str>) -> usize {
        self.local_members()
            .iter()
            .filter(|member| member.leave(room.as_ref()))
            .count()
    }

    /// Closes the sockets of the members on this node; the number of them. See [`Socket::close`].
    pub fn local_close(&self, code: impl Into<CloseCode>, reason: &str) -> usize {
        let code = code.into();
        let members = self.local_members();
        for member in &members {
            member.close(code, reason);
        }
        members.len()
    }

    /// Sends to the members on this node; the number of them.
    pub(super) fn local_send(&self, frame: &Frame) -> usize {
        let members = self.local_len();
        if members > 0 {
            self.send_here(frame);
        }
        members
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The rooms whose members are meant; none if all sockets are.
    pub(super) fn rooms(&self) -> &[engine::Room] {
        match &self.of {
            Of::Rooms(rooms) => rooms,
            Of::Everybody => &[],
        }
    }

    /// Returns whether every socket is meant.
    pub(super) fn is_everybody(&self) -> bool {
        matches!(self.of, Of::Everybody)
    }

    pub(super) fn is_over_nodes(&self) -> bool {
        self.is_over_nodes
    }

    /// Makes a socket a member, past the limit on rooms: for rooms that the
    /// framework keeps.
    pub(crate) fn admit(&self, socket: &Socket) -> Result<(), JoinError> {
        for room in self.rooms() {
            join::join(socket, room)?;
        }
        Ok(())
    }

    /// Takes back [`admit`](Self::admit).
    pub(crate) fn dismiss(&self, socket: &Socket) {
        for room in self.rooms() {
            socket.connection().leave(room);
        }
    }

    fn connections(&self) -> impl Iterator<Item = engine::Connection> + '_ {
        let of_rooms = self.rooms().iter().enumerate();
        let of_rooms = of_rooms.flat_map(move |(index, room)| {
            room.members()
                .into_iter()
                .filter(move |member| self.is_first_room_of(member.id(), index))
        });
        let all = match self.of {
            Of::Rooms(_) => Vec::new(),
            Of::Everybody => self.handle.engine().all_connections(),
        };
        let all = all.into_iter().filter(move |connection| {
            connection.state() == ConnectionState::Open
                && !self.except.contains(&connection.id())
                && !Socket::new(connection.clone()).is_unknown()
        });
        of_rooms.chain(all)
    }

    /// Returns whether a member of the room at `index` is in no earlier room, and no
    /// exception.
    fn is_first_room_of(&self, id: ConnectionId, index: usize) -> bool {
        !self.except.contains(&id) && !self.rooms()[..index].iter().any(|room| room.contains(id))
    }
}
