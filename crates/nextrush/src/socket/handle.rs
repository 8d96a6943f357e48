//! The application's live side: its rooms and sockets.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use nextrush_broker::Broker;
use nextrush_engine::{ConnectionId, ConnectionState, Engine};
use nextrush_protocol::{CloseCode, CloseFrame};
use smallvec::smallvec;
use tokio::sync::watch;

use super::parts::{AppParts, PartNames};
use crate::http::refusal;
use crate::message::{ErrorCode, UserId};
use crate::node::line::Line;
use crate::socket::Socket;
use crate::socket::audience::Audience;
use crate::socket::drain;
use crate::socket::join::{self, JoinError};
use crate::socket::room_event::RoomEvents;
use crate::socket::room_key;
use crate::socket::room_name::RoomName;
use crate::tally::Tally;
use crate::trace::Record;

/// The time that sockets get to end when all are closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The application's live side: its rooms, its users and its sockets.
///
/// A cheap handle that may be kept anywhere; [`App::handle`](crate::App::handle)
/// gives it, and every HTTP and WebSocket handler can take it as an argument:
///
/// ```
/// use nextrush::{App, Handle};
///
/// let mut app = App::new();
/// app.post("/announce", async |app: Handle, text: String| {
///     app.room("lobby").send(text);
/// });
/// # let _: axum::Router = app.into_router();
/// ```
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

struct Inner {
    engine: Engine,
    broker: Arc<dyn Broker>,
    line: Arc<Line>,
    /// `true` if rooms have the members of all nodes.
    has_shared_rooms: bool,
    rooms_per_socket: usize,
    record: Arc<Record>,
    parts: AppParts,
    names: PartNames,
    tally: Tally,
    stage: watch::Sender<Stage>,
    #[cfg(feature = "testing")]
    end_accept_loop: tokio::sync::Notify,
}

/// The way of an application to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Serving,
    /// Serving, while balancers are told to send nobody else.
    Ending,
    SendingAway,
}

/// A handle that does not keep the application alive.
#[derive(Clone)]
pub(crate) struct WeakHandle(Weak<Inner>);

impl WeakHandle {
    /// The handle while the application lives.
    pub(crate) fn upgrade(&self) -> Option<Handle> {
        self.0.upgrade().map(Handle)
    }
}

impl Handle {
    pub(crate) fn new(
        engine: Engine,
        broker: Arc<dyn Broker>,
        line: Arc<Line>,
        has_shared_rooms: bool,
        rooms_per_socket: usize,
        record: Arc<Record>,
    ) -> Self {
        let handle = Self(Arc::new(Inner {
            engine,
            broker,
            line,
            has_shared_rooms,
            rooms_per_socket,
            record,
            parts: AppParts::default(),
            names: PartNames::default(),
            tally: Tally::new(),
            stage: watch::Sender::new(Stage::Serving),
            #[cfg(feature = "testing")]
            end_accept_loop: tokio::sync::Notify::new(),
        }));
        handle.hear_nodes();
        handle
    }

    pub(crate) fn downgrade(&self) -> WeakHandle {
        WeakHandle(Arc::downgrade(&self.0))
    }

    /// Returns whether rooms have the members of all nodes, unless the application says otherwise
    /// of an audience.
    pub(super) fn has_shared_rooms(&self) -> bool {
        self.0.has_shared_rooms
    }

    /// The record of what happens to subscriptions.
    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.0.record
    }

    /// The line to the other nodes.
    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.0.line
    }

    /// The members of one room. An [invalid](RoomName) name stands for nobody.
    #[must_use]
    pub fn room(&self, name: impl AsRef<str>) -> Audience {
        self.rooms([name])
    }

    /// The members of any of several rooms.
    #[must_use]
    pub fn rooms<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Audience {
        let rooms = names
            .into_iter()
            .filter_map(|name| RoomName::new(name.as_ref()).ok())
            .map(|name| self.0.engine.room(name.as_str()))
            .collect();
        Audience::new(self.clone(), rooms)
    }

    /// The names of all rooms that have members in this process.
    #[must_use]
    pub fn local_room_names(&self) -> Vec<RoomName> {
        self.0
            .engine
            .rooms()
            .iter()
            .filter_map(|room| RoomName::new(room.name()).ok())
            .collect()
    }

    /// The rooms of this process that come to have members and those that lose the last one,
    /// from now on.
    ///
    /// ```
    /// # async fn example(app: &nextrush::Handle) {
    /// use nextrush::room::RoomEvent;
    ///
    /// let mut events = app.local_room_events();
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         RoomEvent::Created(name) => println!("{name} has its first member"),
    ///         RoomEvent::Emptied(name) => println!("{name} is empty"),
    ///         RoomEvent::Missed(count) => println!("{count} events were missed"),
    ///         _ => {}
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn local_room_events(&self) -> RoomEvents {
        RoomEvents::new(self.0.engine.room_events())
    }

    /// Every socket that was [identified](Socket::identify) as this user's, on all nodes.
    #[must_use]
    pub fn user(&self, user: &UserId) -> Audience {
        self.internal_room(&room_key::of_user(user))
    }

    /// Every socket of this [session](Socket::enter_session), on all nodes.
    #[must_use]
    pub fn session(&self, session: &str) -> Audience {
        self.internal_room(&room_key::of_session(session))
    }

    /// Every open socket, of all endpoints and on all nodes; [`local`](Audience::local) narrows it
    /// to this node. A socket costs nothing for it, and need not join anything. Left out is one whose
    /// token is still [awaited](crate::App::token_message).
    ///
    /// ```
    /// # fn example(app: &nextrush::Handle, socket: &nextrush::Socket) {
    /// app.all().send("The server restarts at noon.");
    /// app.all().except(socket).send("Somebody came.");
    /// # }
    /// ```
    #[must_use]
    pub fn all(&self) -> Audience {
        Audience::everybody(self.clone())
    }

    /// Every socket of this process whose close event is yet to come.
    #[must_use]
    pub fn local_sockets(&self) -> Vec<Socket> {
        let connections = self.0.engine.all_connections().into_iter();
        let open = connections.filter(|connection| connection.state() != ConnectionState::Closed);
        open.map(Socket::new).collect()
    }

    /// The socket of this process with this id, while it is connected.
    #[must_use]
    pub fn local_socket(&self, id: ConnectionId) -> Option<Socket> {
        let connection = self.0.engine.connection(id)?;
        (connection.state() != ConnectionState::Closed).then(|| Socket::new(connection))
    }

    /// The number of connections of this process, those that are closing included.
    #[must_use]
    pub fn local_connections(&self) -> usize {
        self.0.engine.connections()
    }

    /// Closes every socket of this process with a code and a reason, and refuses new ones from
    /// then on. Returns when all are gone; those that do not answer are cut after
    /// their endpoint's close timeout.
    pub async fn close_all(&self, code: impl Into<CloseCode>, reason: &str) {
        let frame = CloseFrame::new(code.into(), reason);
        self.0.engine.shutdown(frame, CLOSE_TIMEOUT).await;
    }

    /// Sends every client away with 1012 (service restart), as before a restart of the
    /// process, and refuses new ones from then on.
    ///
    /// Each is told its own time to come back, evenly spread over `window`, so that they
    /// don't all come at once: in the reason of the close frame, `reconnect after <n> ms`,
    /// and the clients of chats and live updates in a last message before it,
    /// `{"type":"reconnect","afterMs":n}`. Returns when all are gone, as
    /// [`close_all`](Self::close_all).
    ///
    /// Where nodes share the broker, those that are drained at about the same time send their
    /// clients back one node after the other: the clients of the second are told to come when those
    /// of the first have, but 30 s later at most.
    pub async fn drain(&self, window: Duration) {
        self.0.stage.send_replace(Stage::SendingAway);
        let after = match self.local_connections() {
            0 => Duration::ZERO,
            _ => self.turn_to_drain(window).await,
        };
        drain::send_away(&self.local_sockets(), after, window);
        // Whoever has come meanwhile, and the end of all.
        self.close_all(CloseCode::SERVICE_RESTART, "reconnect after 0 ms")
            .await;
    }

    /// Returns whether the clients are being sent away, or will be when the
    /// [drain delay](crate::Listen::drain_delay) is over, so that a balancer sends no new ones.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.0.stage.borrow() != Stage::Serving
    }

    /// Waits until the application [drains](Self::is_draining): for whatever has to be told early that
    /// this process ends.
    pub async fn draining(&self) {
        let mut stage = self.0.stage.subscribe();
        // The sender is a part of this handle.
        let _ = stage.wait_for(|stage| *stage != Stage::Serving).await;
    }

    /// Tells balancers to send no new clients, while those that come are served.
    pub(crate) fn end_soon(&self) {
        self.0.stage.send_if_modified(|stage| {
            let is_serving = *stage == Stage::Serving;
            if is_serving {
                *stage = Stage::Ending;
            }
            is_serving
        });
    }

    /// Returns whether clients are being sent away now.
    pub(crate) fn is_sending_away(&self) -> bool {
        *self.0.stage.borrow() == Stage::SendingAway
    }

    /// The part of the process that has ended although nobody told it to, if there is one: a
    /// shard's thread, the accept loop, or a part of the broker. The process has to be ended then, as
    /// [`Server::run_until_signal`](crate::Server::run_until_signal) does.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        self.0.engine.failure()
    }

    /// Waits for a [failure](Self::failure).
    pub async fn failed(&self) -> &'static str {
        self.0.engine.failed().await
    }

    /// Ends the thread of the first shard by a panic; for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn end_shard(&self) {
        self.0.engine.end_shard();
    }

    /// Makes the watchdog's thread panic at its next look; for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn end_watchdog(&self) {
        self.0.engine.end_watchdog();
    }

    /// Ends the accept loop by a panic; for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn end_accept_loop(&self) {
        self.0.end_accept_loop.notify_one();
    }

    /// Resolves when a test ends the accept loop.
    pub(crate) async fn accept_loop_ends(&self) {
        #[cfg(feature = "testing")]
        self.0.end_accept_loop.notified().await;
        #[cfg(not(feature = "testing"))]
        std::future::pending::<()>().await;
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The counts of what clients ask for and are told.
    pub(crate) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// The broker that keeps what the application's topics remember.
    #[must_use]
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.0.broker
    }

    /// The application's one value of this type, which `make` makes at the first call.
    pub(crate) fn part<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        self.0.parts.get_or_make(make)
    }

    /// Takes a name for a part of the application of which there can be several.
    ///
    /// # Panics
    ///
    /// Panics when a part has the name already, as axum does for a route, and when it is not
    /// 1 to 32 characters of `a-z`, `0-9` and `-`.
    #[track_caller]
    pub(crate) fn claim(&self, kind: &'static str, name: &str) {
        self.0.names.claim(kind, name);
    }

    /// The kind of the part that has this name.
    pub(crate) fn kind_of_part(&self, name: &str) -> Option<&'static str> {
        self.0.names.kind(name)
    }

    pub(crate) fn internal_room(&self, name: &str) -> Audience {
        Audience::new(self.clone(), smallvec![self.0.engine.room(name)])
    }

    pub(crate) fn join(&self, socket: &Socket, name: &str) -> Result<bool, JoinError> {
        let room = self.0.engine.room(name);
        let limit = self.0.rooms_per_socket;
        let is_full = || socket.rooms().len() >= limit;
        if !room.contains(socket.id()) && is_full() {
            return Err(JoinError::TooManyRooms { limit });
        }
        join::join(socket, &room)
    }

    pub(crate) fn leave(&self, socket: &Socket, name: &str) -> bool {
        let room = self.0.engine.find_room(name);
        room.is_some_and(|room| socket.connection().leave(&room))
    }
}

/// Lets the parts of an application be made from its handle or from the
/// [`App`](crate::App) itself.
impl AsRef<Self> for Handle {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("connections", &self.local_connections())
            .finish_non_exhaustive()
    }
}

/// Takes the handle of the [`App`](crate::App) that serves the request.
impl<S: Sync> FromRequestParts<S> for Handle {
    type Rejection = MissingHandle;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get().cloned().ok_or(MissingHandle)
    }
}

/// The request is served by no [`App`](crate::App): 500.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no NextRush application serves this route")]
#[non_exhaustive]
pub struct MissingHandle;

impl IntoResponse for MissingHandle {
    fn into_response(self) -> Response {
        tracing::error!("{self}");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        refusal::new(status, ErrorCode::Internal, self.to_string())
    }
}
