//! The guide's room manager: rooms that announce who comes and goes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nextrush_engine::{CloseReason, ConnectionId};
use parking_lot::Mutex;
use serde::Serialize;

use crate::message::Outgoing;
use crate::socket::Socket;
use crate::socket::audience::Audience;
use crate::socket::handle::Handle;
use crate::socket::join::JoinError;
use crate::socket::room_key;
use crate::socket::room_name::RoomName;

/// Rooms whose members are told when somebody joins or leaves, with the number of
/// members after it. A socket is in one room of a manager at a time.
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
}

#[derive(Debug, Default)]
struct State {
    /// The room of each socket whose close event is being waited for.
    room_of: HashMap<ConnectionId, Option<RoomName>>,
    counts: BTreeMap<RoomName, usize>,
}

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Announcement {
    UserJoined { message: String, user_count: usize },
    UserLeft { message: String, user_count: usize },
}

impl From<Announcement> for Outgoing {
    fn from(announcement: Announcement) -> Self {
        Self::json(&announcement).expect("announcements have string keys only")
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
        Self(Arc::new(Inner {
            app: app.clone(),
            name: name.into(),
            state: Mutex::default(),
        }))
    }

    /// Makes the socket a member of a room and tells the others in it. It leaves
    /// the room it was in before, and this one when it closes.
    ///
    /// # Errors
    ///
    /// Fails when the name is invalid (see [`RoomName`]) or the socket closed.
    pub async fn join_room(&self, room: &str, socket: &Socket) -> Result<(), JoinError> {
        let name = RoomName::new(room)?;
        let is_known = {
            let mut state = self.0.state.lock();
            self.leave(&mut state, socket);
            let room = self.room(&name);
            room.admit(socket)?;
            let known = state.room_of.insert(socket.id(), Some(name.clone()));
            let count = state.counts.entry(name.clone()).or_default();
            *count += 1;
            room.except(socket).send(Announcement::UserJoined {
                message: format!("User joined room {name}"),
                user_count: *count,
            });
            known.is_some()
        };
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
        self.leave(&mut self.0.state.lock(), socket);
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
    #[must_use]
    pub async fn room_users(&self, room: &str) -> usize {
        let name = RoomName::new(room).ok();
        let count = |name| self.0.state.lock().counts.get(&name).copied();
        name.and_then(count).unwrap_or(0)
    }

    /// Every room with its number of members. The guide's `getAllRooms`.
    #[must_use]
    pub async fn all_rooms(&self) -> BTreeMap<RoomName, usize> {
        self.0.state.lock().counts.clone()
    }

    fn forget(&self, socket: &Socket) {
        let mut state = self.0.state.lock();
        self.leave(&mut state, socket);
        state.room_of.remove(&socket.id());
    }

    fn leave(&self, state: &mut State, socket: &Socket) {
        let room = state.room_of.get_mut(&socket.id());
        let Some(name) = room.and_then(Option::take) else {
            return;
        };
        let room = self.room(&name);
        room.dismiss(socket);
        let Some(count) = state.counts.get_mut(&name) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            state.counts.remove(&name);
            return;
        }
        room.send(Announcement::UserLeft {
            message: format!("User left room {name}"),
            user_count: *count,
        });
    }

    fn room(&self, name: &RoomName) -> Audience {
        let name = room_key::of_owner("manager", &self.0.name, name.as_str());
        self.0.app.internal_room(&name)
    }
}
