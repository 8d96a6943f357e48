//! The guide's room manager: rooms that announce who comes and goes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use nextrush_broker::{Asked, NodeName};
use nextrush_engine::{CloseReason, ConnectionId};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;

use super::shared_counts::SharedCounts;
use crate::message::Outgoing;
use crate::seldom::Seldom;
use crate::socket::Socket;
use crate::socket::audience::Audience;
use crate::socket::handle::Handle;
use crate::socket::join::JoinError;
use crate::socket::room_key;
use crate::socket::room_name::RoomName;

/// The last line of the log of nodes that cannot be asked.
static UNASKED: Seldom = Seldom::new();

/// The rooms of a [`RoomManager`] with their members.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct AllRooms {
    /// The number of members of each room, on all nodes that have answered.
    pub rooms: BTreeMap<RoomName, usize>,
    /// The nodes that have not answered within 2 s, by name: their members are missing.
    pub unanswered: Vec<NodeName>,
    /// `true` if the other nodes could not be known, as while the shared broker is away. Then the
    /// rooms are those of this node, `unanswered` has the nodes that lived when they were known
    /// last, and there may be others.
    pub others_unknown: bool,
}

/// Rooms whose members are told when somebody joins or leaves, with the number of
/// members after it. A socket is in one room of a manager at a time.
///
/// With a [broker](crate::broker) that nodes share, a room is one on all nodes: it has one count,
/// and joins and leaves are told on all nodes in one order.
///
/// A cheap handle; clones are the same manager. Rooms of two managers never mix, even if
/// they have the same names. See `examples/room_management.rs`.
///
/// ```
/// use axum::extract::Path;
/// use nextrush::{App, RoomManager, RoomName, Socket};
///
/// let mut app = App::new();
/// let rooms = RoomManager::new(&app, "rooms");
/// app.ws("/rooms/:room", async move |socket: Socket, Path(room): Path<RoomName>| {
///     rooms.join_room(room.as_str(), &socket).await?;
///     rooms.broadcast_to_room(room.as_str(), "hello, everyone", None);
///     Ok::<(), nextrush::room::JoinError>(())
/// });
/// # let _: axum::Router = app.into_router();
/// ```
#[derive(Clone, Debug)]
pub struct RoomManager(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: Handle,
    name: Box<str>,
    // One lock around counting and announcing, so that the counts are announced
    // in the order in which they came about.
    state: Mutex<State>,
    /// The counts of all nodes, which announce in place of this node, where nodes share the rooms.
    shared: Option<SharedCounts>,
}

#[derive(Debug, Default)]
struct State {
    /// The room of each socket whose close event is being waited for.
    room_of: HashMap<ConnectionId, Option<RoomName>>,
    /// The members, where this node is alone.
    counts: BTreeMap<RoomName, usize>,
}

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(super) enum Announcement {
    UserJoined { message: String, user_count: usize },
    UserLeft { message: String, user_count: usize },
}

impl Announcement {
    pub(super) fn joined(room: &str, user_count: usize) -> Self {
        Self::UserJoined {
            message: format!("User joined room {room}"),
            user_count,
        }
    }

    pub(super) fn left(room: &str, user_count: usize) -> Self {
        Self::UserLeft {
            message: format!("User left room {room}"),
            user_count,
        }
    }
}

impl From<Announcement> for Outgoing {
    fn from(announcement: Announcement) -> Self {
        Self::json(&announcement).expect("announcements have string keys only")
    }
}

/// The kind of the question for the rooms of a manager.
fn question(manager: &str) -> String {
    format!("nr.rooms.{manager}")
}

impl Inner {
    /// Every room with its number of members on this node.
    fn local_rooms(&self) -> BTreeMap<RoomName, usize> {
        let state = self.state.lock();
        if self.shared.is_none() {
            return state.counts.clone();
        }
        let mut counts = BTreeMap::new();
        for room in state.room_of.values().flatten() {
            *counts.entry(room.clone()).or_default() += 1;
        }
        counts
    }
}

impl RoomManager {
    /// A manager without rooms, whose name tells it from the application's other ones.
    ///
    /// # Panics
    ///
    /// Panics when the application has a manager of this name already, as axum does for a
    /// route, and when the name is not 1 to 32 characters of `a-z`, `0-9` and `-`.
    #[must_use]
    #[track_caller]
    pub fn new(app: &impl AsRef<Handle>, name: &str) -> Self {
        let app = app.as_ref();
        app.claim("room manager", name);
        let inner = Arc::new(Inner {
            app: app.clone(),
            name: name.into(),
            state: Mutex::default(),
            shared: SharedCounts::of(app, name),
        });
        if inner.shared.is_some() {
            let manager = Arc::downgrade(&inner);
            app.answer(&question(name), move |_, _, _| {
                let rooms = manager.upgrade().map(|inner| inner.local_rooms());
                async move { serde_json::to_vec(&rooms?).ok().map(Bytes::from) }
            });
        }
        Self(inner)
    }

    /// Makes the socket a member of a room and tells the others in it. It leaves
    /// the room it was in before, and this one when it closes.
    ///
    /// # Errors
    ///
    /// Fails when the name is invalid (see [`RoomName`]), the socket closed or left meanwhile, or
    /// [nodes](crate::broker) share the room and their store does not answer: the socket is in no
    /// room then.
    pub async fn join_room(&self, room: &str, socket: &Socket) -> Result<(), JoinError> {
        let name = RoomName::new(room)?;
        match &self.0.shared {
            None => self.join_alone(name, socket),
            Some(shared) => self.join_shared(shared, name, socket).await,
        }
    }

    fn join_alone(&self, name: RoomName, socket: &Socket) -> Result<(), JoinError> {
        let is_known = {
            let mut state = self.0.state.lock();
            self.leave(&mut state, socket);
            let room = self.room(&name);
            room.admit(socket)?;
            let known = state.room_of.insert(socket.id(), Some(name.clone()));
            let count = state.counts.entry(name.clone()).or_default();
            *count += 1;
            room.except(socket)
                .send(Announcement::joined(name.as_str(), *count));
            known.is_some()
        };
        self.await_close(is_known, socket)
    }

    async fn join_shared(
        &self,
        shared: &SharedCounts,
        name: RoomName,
        socket: &Socket,
    ) -> Result<(), JoinError> {
        self.leave_room(socket).await;
        let id = socket.id();
        let known = {
            let mut state = self.0.state.lock();
            state.room_of.insert(id, Some(name.clone()))
        };
        self.await_close(known.is_some(), socket)?;
        let (manager, member, room) = (self.clone(), socket.clone(), name.clone());
        let (tell, mut admitted) = oneshot::channel();
        let arrival = Box::new(move || {
            let state = manager.0.state.lock();
            // It may have left while the store was asked.
            let is_in = state.room_of.get(&id) == Some(&Some(room.clone()));
            let outcome = match is_in {
                true => manager.room(&room).admit(&member).map(drop),
                false => Err(JoinError::Closed),
            };
            drop(state);
            // Who does not wait any more does not want to know.
            let _ = tell.send(outcome);
        });
        let joined = shared.join(&name, id, arrival).await;
        let joined = joined.and_then(|()| admitted.try_recv().unwrap_or(Err(JoinError::Closed)));
        if joined.is_err() {
            // It is in another room if it has joined that meanwhile.
            let given_up = {
                let mut state = self.0.state.lock();
                let current = state.room_of.get_mut(&id);
                current.and_then(|current| current.take_if(|current| *current == name))
            };
            self.tell_left(given_up, socket);
        }
        joined
    }

    /// Waits for the close event of a socket that was not known before.
    fn await_close(&self, is_known: bool, socket: &Socket) -> Result<(), JoinError> {
        let manager = self.clone();
        let on_close = move |socket: Socket, _: CloseReason| manager.forget(&socket);
        if !is_known && !socket.try_on_close(on_close) {
            self.forget(socket);
            return Err(JoinError::Closed);
        }
        Ok(())
    }

    /// Takes the socket out of its room, if it is in one, and tells those who
    /// stay. The last one to leave removes the room.
    pub async fn leave_room(&self, socket: &Socket) {
        let left = self.leave(&mut self.0.state.lock(), socket);
        self.tell_left(left, socket);
    }

    /// Sends a message to everyone in a room, without `exclude` if given.
    pub fn broadcast_to_room(
        &self,
        room: &str,
        message: impl Into<Outgoing>,
        exclude: Option<&Socket>,
    ) {
        let Ok(name) = RoomName::new(room) else {
            return;
        };
        let room = self.room(&name);
        let audience = match exclude {
            Some(socket) => room.except(socket),
            None => room,
        };
        audience.send(message);
    }

    /// The number of members of a room; 0 for one that does not exist. The
    /// guide's `getRoomUsers`.
    ///
    /// Where nodes share the room it is that of all nodes; while their store cannot be read, that
    /// of this one.
    #[must_use]
    pub async fn room_users(&self, room: &str) -> usize {
        let Ok(name) = RoomName::new(room) else {
            return 0;
        };
        if let Some(shared) = &self.0.shared {
            match shared.count(&name).await {
                Ok(count) => return count,
                Err(error) => tracing::warn!(%error, room, "the members cannot be counted"),
            }
        }
        self.0.local_rooms().get(&name).copied().unwrap_or_default()
    }

    /// Every room with its number of members. The guide's `getAllRooms`.
    ///
    /// Where nodes share the rooms each is asked for its members.
    #[must_use]
    pub async fn all_rooms(&self) -> AllRooms {
        let mut all = AllRooms::default();
        if self.0.shared.is_none() {
            all.rooms = self.0.local_rooms();
            return all;
        }
        let question = question(&self.0.name);
        let asked = self.0.app.ask(&question, &Asked::All, Bytes::new()).await;
        let answered = match asked {
            Ok(answered) => answered,
            Err(error) => {
                if UNASKED.is_due() {
                    tracing::warn!(%error, "other nodes cannot be asked for their rooms");
                }
                all.rooms = self.0.local_rooms();
                all.unanswered = self.0.app.line().known_others();
                all.others_unknown = true;
                return all;
            }
        };
        all.unanswered = answered.silent;
        for (node, answer) in answered.answers {
            match serde_json::from_slice::<BTreeMap<RoomName, usize>>(&answer) {
                Ok(there) => {
                    for (room, count) in there {
                        *all.rooms.entry(room).or_default() += count;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, %node, "the rooms of a node cannot be read");
                    all.unanswered.push(node);
                }
            }
        }
        all.unanswered.sort();
        all
    }

    fn forget(&self, socket: &Socket) {
        let left = {
            let mut state = self.0.state.lock();
            let left = self.leave(&mut state, socket);
            state.room_of.remove(&socket.id());
            left
        };
        self.tell_left(left, socket);
    }

    /// Takes a socket out of its room on this node; the room.
    fn leave(&self, state: &mut State, socket: &Socket) -> Option<RoomName> {
        let name = state.room_of.get_mut(&socket.id())?.take()?;
        let room = self.room(&name);
        room.dismiss(socket);
        if self.0.shared.is_some() {
            return Some(name);
        }
        let count = state.counts.get_mut(&name)?;
        *count -= 1;
        if *count == 0 {
            state.counts.remove(&name);
        } else {
            room.send(Announcement::left(name.as_str(), *count));
        }
        Some(name)
    }

    /// Tells all nodes which room a socket has left. Not under the lock of the state, which their
    /// rooms take.
    fn tell_left(&self, left: Option<RoomName>, socket: &Socket) {
        if let (Some(shared), Some(name)) = (&self.0.shared, left) {
            shared.leave(&name, socket.id());
        }
    }

    fn room(&self, name: &RoomName) -> Audience {
        let name = room_key::of_owner("manager", &self.0.name, name.as_str());
        self.0.app.internal_room(&name)
    }
}
