//! Connected clients, the functions that handle their events, and the application around them.
//!
//! A [`Socket`] is one client and a [`Handle`] the whole application; [`EventHandler`] says what
//! functions [`Socket::on_message`] and the like take.

pub(crate) mod acts;
pub(crate) mod audience;
pub(crate) mod claims;
pub(crate) mod disconnect;
mod done;
pub(crate) mod drain;
mod events;
pub(crate) mod handle;
pub(crate) mod handler;
pub(crate) mod hello;
pub(crate) mod identity;
pub(crate) mod join;
mod kept;
pub(crate) mod keyed_limit;
mod listeners;
mod nodes;
pub(crate) mod offload;
pub(crate) mod parts;
pub(crate) mod rate_limit;
pub(crate) mod requests;
pub(crate) mod room_event;
pub(crate) mod room_key;
pub(crate) mod room_name;
mod timer;
pub(crate) mod work;

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
pub use nextrush_engine::{
    CloseReason, ConnectionError, ConnectionId, ConnectionState, InvalidConnectionId,
};
use nextrush_engine::{Connection, Work};
pub use nextrush_protocol::{CloseCode, Retry};
use nextrush_protocol::{CloseFrame, Frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use self::claims::{Claim, Claims};
use self::disconnect::Of;
pub(crate) use self::events::{SocketEvents, are_logged, call_endpoint};
pub use self::handle::{Handle, MissingHandle};
use self::handler::Call;
#[doc(hidden)]
pub use self::handler::{AsyncMarker, Callback, SyncMarker};
pub use self::handler::{EventHandler, Outcome};
use self::kept::Content;
use self::listeners::Listeners;
#[doc(hidden)]
pub use self::offload::OffloadedMarker;
pub use self::offload::{Offloaded, blocking, offload};
use self::requests::Requests;
pub use self::requests::{
    Answers, AudienceAnswer, IntoRefusal, RequestError, RequestHandler, Silent,
};
#[doc(hidden)]
pub use self::requests::{Refusal, Replies, Reply};
pub use self::timer::Timer;
use crate::message::{Message, Outgoing, Timestamp, User, command, request};
use crate::socket::identity::{Identity, OnRefresh};
use crate::socket::join::JoinError;
use crate::socket::room_name::RoomName;
use crate::trace::What;

/// A connected client.
///
/// A cheap handle: clones refer to the same client, it may be kept and used from
/// any thread, and it is harmless once the client is gone (sends are ignored).
///
/// # Order
///
/// What one task sends to one socket arrives in that order, direct sends and
/// room messages mixed.
///
/// # Receiving
///
/// Messages are handed over as soon as somebody can receive: at the first
/// [`on_message`] or [`recv`], or when the endpoint's handler has returned. So none
/// is lost between connecting and `on_message`. Pings are answered and an end is
/// noticed before that too. While a message handler is pending its socket is not
/// read further: the client is held back by TCP.
///
/// [`on_message`]: Socket::on_message
/// [`recv`]: Socket::recv
#[derive(Clone)]
pub struct Socket(Connection);

impl Socket {
    /// The connection must be one that was accepted with [`SocketEvents`].
    pub(crate) fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// The connection's id: unique among the live connections of this process.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.0.id()
    }

    /// The state: open, closing or closed.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.0.state()
    }

    /// The application this socket belongs to: its rooms and its other sockets.
    #[must_use]
    pub fn app(&self) -> &Handle {
        self.events().app()
    }

    /// Sends a message. Never blocks; ignored when the socket is not open.
    ///
    /// Volatile: the message is gone if the connection breaks before it arrives.
    /// What the kernel does not take yet is kept, up to the endpoint's
    /// `backlog` bounds (1 MiB and 10 s by default); a client that falls further
    /// behind is closed with 1013.
    pub fn send(&self, message: impl Into<Outgoing>) {
        let message = message.into();
        if let Some(refused) = message.refused() {
            self.app().tally().refused(refused);
        }
        self.0.send(message.into_frame());
    }

    /// Sends `value` as a JSON text message; see [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing, when `value` cannot be written as JSON.
    pub fn send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), serde_json::Error> {
        self.send(Outgoing::json(value)?);
        Ok(())
    }

    /// Sends a ping; the answer is an [`on_pong`](Self::on_pong) event. A payload
    /// longer than 125 bytes is cut there (RFC 6455 §5.5).
    ///
    /// The heartbeat pings a silent client by itself; this is for your own use.
    pub fn ping(&self, payload: impl AsRef<[u8]>) {
        let payload = payload.as_ref();
        let payload = &payload[..payload.len().min(125)];
        if let Ok(frame) = Frame::ping(payload) {
            self.0.send(frame);
        }
    }

    /// Closes the socket with a code and a reason, after everything sent before.
    /// The close event follows when the client has answered, or after the
    /// endpoint's close timeout (2 s). A reason longer than 123 bytes is cut.
    pub fn close(&self, code: impl Into<CloseCode>, reason: &str) {
        let code = code.into();
        let record = self.app().record();
        // Strangers whom nobody asks for push nothing out of the record.
        if record.is_on() && !self.0.rooms().is_empty() {
            let (code, reason) = (code.as_u16(), reason.into());
            record.note_socket(self.id(), What::Closing { code, reason });
        }
        self.0.close(Some(CloseFrame::new(code, reason)));
    }

    /// Bytes that were sent but that the kernel has not taken yet: above 0 means
    /// that the client reads more slowly than it is sent to.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.0.buffered()
    }

    /// Calls `handler` for each message that nothing else on this socket takes: all messages, or
    /// those of other types than the ones that [`on_command`](Self::on_command),
    /// [`LiveUpdates::connect`](crate::LiveUpdates::connect) and the like have claimed.
    ///
    /// Calls for one socket never overlap: the next message is handed over when
    /// the handler is done with the one before.
    ///
    /// # Panics
    ///
    /// Panics when the socket has such a function already, as axum does for a route whose path is
    /// taken.
    #[track_caller]
    pub fn on_message<M>(&self, handler: impl EventHandler<Message, M>) {
        self.add_message(handler.into_callback());
    }

    /// Calls `handler` for each message that parses as a `T`: a serde enum
    /// tagged by `type`.
    ///
    /// The client is told of one that does not parse, and the handler is not called:
    /// `{"type":"error","message":"Invalid message format","code":"invalid-format"}`, or
    /// `"Unknown message type"` with the code `unknown-type` where it is an object whose
    /// `type` is none of `T`'s. An `id` of the message, a text of 1 to 64 bytes, comes back
    /// with that; so a `T` that denies unknown fields has to know it. The log has at level debug what
    /// does not fit.
    ///
    /// The types of `T` are claimed: several such functions, live updates and a chat share a
    /// socket, and each message goes to the one that has claimed its type, or else to
    /// [`on_message`](Self::on_message). A `T` that is no enum tagged by `type` claims none and
    /// takes the place of `on_message`.
    ///
    /// # Panics
    ///
    /// Panics when something else on this socket has claimed one of the types.
    ///
    /// ```
    /// # use nextrush::Socket;
    /// #[derive(serde::Deserialize)]
    /// #[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
    /// enum Command {
    ///     Say { text: String },
    ///     Typing { is_typing: bool },
    /// }
    ///
    /// async fn connected(socket: Socket) {
    ///     socket.on_command(|socket: Socket, command: Command| match command {
    ///         Command::Say { text } => socket.send(text),
    ///         Command::Typing { is_typing } => socket.send(format!("typing: {is_typing}")),
    ///     });
    /// }
    /// ```
    #[track_caller]
    pub fn on_command<T, M>(&self, handler: impl EventHandler<T, M>)
    where
        T: DeserializeOwned + 'static,
    {
        self.add_message(Callback::new(Commands(handler.into_callback())));
    }

    /// Calls `handler` for each request, a message that parses as a `T` as in
    /// [`on_command`](Self::on_command), and answers it.
    ///
    /// The answer to a request with an `id`, a text of 1 to 64 bytes, is
    /// `{"type":"reply","id","data"}` with the value that `handler` returns as JSON, or
    /// `{"type":"error","id","code","message"}` with its [error](IntoRefusal). A message that is no
    /// such request is refused at once, with its `id`. Without an `id` it is executed too, and the
    /// client told of errors alone. `{"type":"hello"}` and `{"type":"ping"}` are answered where
    /// nothing claims them.
    ///
    /// # Executed once
    ///
    /// A client that does not get an answer, as its connection broke, comes back and sends the same
    /// message again. A request of a [user](Self::user) is executed once for each `id`, over
    /// reconnects, restarts and nodes: a repeat waits while the first is being executed, and gets
    /// its answer for 2 minutes, also if that is an error. One with
    /// [`retryAfterMs`](crate::ErrorMessage::retry_after_ms) is not remembered: it says that nothing was
    /// done, and the same request is executed when it comes again. The same `id` with something else in it
    /// is refused as [`IdReused`](crate::ErrorCode::IdReused). This holds as long as the
    /// [broker](crate::broker) remembers: over restarts with a durable one. Where the process died
    /// between the effect and the answer, the repeat is told
    /// [`InDoubt`](crate::ErrorCode::InDoubt), and `handler` is not called a second time. If the
    /// broker is away, nothing is executed: [`Unavailable`](crate::ErrorCode::Unavailable). A
    /// request of a socket without a user is executed once on this socket only, while it is among the
    /// last 256 and their answers have 256 KiB.
    ///
    /// What is remembered for one user is bounded: 4 MiB on a Redis, and 32 MiB for all in memory. A user
    /// who has used that up gets [`Unavailable`](crate::ErrorCode::Unavailable) until the first answers are
    /// forgotten, so large data had better come over HTTP or in pages.
    ///
    /// # Failures
    ///
    /// `handler` has 30 s, or the time of [`on_request_within`](Self::on_request_within); then it is
    /// dropped, and the client told [`InDoubt`](crate::ErrorCode::InDoubt). Where it panics the client
    /// is told [`Internal`](crate::ErrorCode::Internal). Both are logged with endpoint and user, and
    /// the socket goes on. The requests of one socket are executed one after the other, and go on
    /// when it closes.
    ///
    /// # Panics
    ///
    /// Panics when something else on this socket has claimed one of the types, as
    /// [`on_command`](Self::on_command) does.
    ///
    /// ```
    /// use nextrush::{ErrorMessage, Socket};
    ///
    /// #[derive(serde::Deserialize)]
    /// #[serde(tag = "type", rename_all = "kebab-case")]
    /// enum Command {
    ///     Divide { by: u32 },
    /// }
    ///
    /// fn connected(socket: Socket) {
    ///     socket.on_request(async |_: Socket, Command::Divide { by }: Command| {
    ///         100_u32.checked_div(by).ok_or(ErrorMessage::new("by-zero", "Not by zero"))
    ///     });
    /// }
    /// ```
    #[track_caller]
    pub fn on_request<T, M>(&self, handler: impl RequestHandler<T, M>)
    where
        T: DeserializeOwned + 'static,
    {
        self.on_request_within(requests::DEADLINE, handler);
    }

    /// Does the same as [`on_request`](Self::on_request) with another time for `handler` than 30 s.
    ///
    /// # Panics
    ///
    /// As [`on_request`](Self::on_request).
    #[track_caller]
    pub fn on_request_within<T, M>(&self, deadline: Duration, handler: impl RequestHandler<T, M>)
    where
        T: DeserializeOwned + 'static,
    {
        let requests = Requests::new(handler.into_replies(), deadline);
        self.add_message(Callback::new(requests));
    }

    /// Calls `handler` when the client has gone or was closed, whatever the cause.
    /// By then the socket has left its rooms. Each function given is called, in
    /// order, exactly once; also one that the endpoint's handler registers after
    /// the connection broke. The next one does not wait until an async one is done,
    /// and is called even if one before panics. After that handler and all of these
    /// functions have returned, one that is registered on the closed socket is not
    /// called.
    pub fn on_close<M>(&self, handler: impl EventHandler<CloseReason, M>) {
        self.try_on_close(handler);
    }

    /// Adds a function for the close event; `false` if it is too late and `handler` will not
    /// be called.
    pub(crate) fn try_on_close<M>(&self, handler: impl EventHandler<CloseReason, M>) -> bool {
        let callback = handler.into_callback();
        self.listeners(|all| all.add_close(callback)).is_ok()
    }

    /// Calls `handler` for each pong, asked for or not, with its payload; a
    /// second call replaces the function.
    pub fn on_pong<M>(&self, handler: impl EventHandler<Bytes, M>) {
        let callback = handler.into_callback();
        let replaced = self.listeners(|all| all.set(|all| &mut all.pong, callback));
        drop(replaced);
    }

    /// Calls `handler` when the connection fails: broken protocol, a message over
    /// the limit, a transport error, a client too slow or silent for too long.
    /// Where the protocol was broken, what the handler sends before its first await
    /// goes out before the close frame. The close event follows in any case. A
    /// second call replaces the function.
    pub fn on_error<M>(&self, handler: impl EventHandler<ConnectionError, M>) {
        let callback = handler.into_callback();
        let replaced = self.listeners(|all| all.set(|all| &mut all.error, callback));
        drop(replaced);
    }

    /// Adds a filter that sees each message before its handler. Filters run in
    /// the order they were added; [`ControlFlow::Break`] drops the message. A
    /// filter that drops one should tell the client why.
    ///
    /// ```
    /// # use nextrush::{Message, Socket};
    /// use std::ops::ControlFlow;
    ///
    /// # fn connected(socket: Socket) {
    /// socket.filter(|socket: &Socket, message: &Message| {
    ///     if message.as_text().is_some() {
    ///         return ControlFlow::Continue(());
    ///     }
    ///     socket.send("text only, please");
    ///     ControlFlow::Break(())
    /// });
    /// # }
    /// ```
    pub fn filter<F>(&self, filter: F)
    where
        F: Fn(&Self, &Message) -> ControlFlow<()> + Send + Sync + 'static,
    {
        let refused = self.listeners(|all| all.add_filter(Arc::new(filter)));
        drop(refused);
    }

    /// The next message; `None` once the socket is closed and everything that
    /// arrived before has been taken.
    ///
    /// The loop style, as sugar over [`on_message`](Self::on_message), whose
    /// place it takes: it costs the memory of the waiting handler and of a queue
    /// of one message (about 1 KB), where a registered function costs an idle
    /// connection next to nothing. Cancel safe.
    ///
    /// From the first call on messages go here, but those of the types that
    /// [`on_command`](Self::on_command), live updates and the like have claimed: a function of
    /// `on_message` is not called any more, and a client that nobody receives from is not read. So a
    /// handler that leaves its loop early should [close](Self::close) the socket.
    ///
    /// ```
    /// # use nextrush::Socket;
    /// async fn connected(socket: Socket) {
    ///     while let Some(message) = socket.recv().await {
    ///         socket.send(message);
    ///     }
    /// }
    /// ```
    pub async fn recv(&self) -> Option<Message> {
        let receiver = self.listeners(Listeners::receiver);
        self.0.start_reading();
        let mut receiver = receiver.lock().await;
        receiver.recv().await
    }

    /// Makes the socket a member of a room; `false` if it was one already.
    ///
    /// A room exists while it has members. The socket leaves its rooms by itself
    /// when it closes.
    ///
    /// # Errors
    ///
    /// Refused when the name is invalid (see [`RoomName`]), when the socket is
    /// in 100 rooms already, or when it is closed.
    pub fn join(&self, room: impl AsRef<str>) -> Result<bool, JoinError> {
        let name = RoomName::new(room.as_ref())?;
        self.app().join(self, name.as_str())
    }

    /// Leaves a room; `false` if the socket was not in it.
    pub fn leave(&self, room: impl AsRef<str>) -> bool {
        RoomName::new(room.as_ref()).is_ok_and(|name| self.app().leave(self, name.as_str()))
    }

    /// The rooms this socket is in, in no particular order.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomName> {
        let rooms = self.0.rooms();
        // Names that are no valid room names belong to the framework's own rooms.
        rooms
            .iter()
            .filter_map(|room| RoomName::new(room.name()).ok())
            .collect()
    }

    /// Makes the socket this user's and no longer that of any user before:
    /// [`user`](Self::user) tells who it is, and [`Handle::user`] reaches it together with the
    /// user's other devices.
    ///
    /// [`Authenticated::admit`](crate::Authenticated::admit) does so for the user of a token.
    /// For an identity of your own, such as that of a session cookie:
    ///
    /// ```
    /// use nextrush::{Socket, User};
    /// use nextrush::room::JoinError;
    ///
    /// fn connected(socket: Socket) -> Result<(), JoinError> {
    ///     socket.identify(User::new("ada", "ada@example.com"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails when the socket is closed, which [`Handle::user`] then does not reach.
    pub fn identify(&self, user: User) -> Result<(), JoinError> {
        let app = self.app();
        let id = user.id.clone();
        // Under one lock, so that of two calls at a time the room of the later one stays.
        let joined = self.change_identity(|identity| {
            let joined = app.user(&user.id).admit(self);
            let id = user.id.clone();
            if let Some(before) = identity.user.replace(user)
                && before.id != id
            {
                app.user(&before.id).dismiss(self);
            }
            joined
        });
        app.close_if_denied(self, &Of::User(id));
        joined
    }

    /// Makes the socket one of this session, and no longer one of any session before:
    /// [`Handle::session`] reaches it together with the other sockets of the session, and
    /// [`Handle::disconnect_session`] closes them all when somebody signs out.
    ///
    /// [`Authenticated::admit`](crate::Authenticated::admit) does so for the session of a token or
    /// cookie.
    ///
    /// # Errors
    ///
    /// Fails when the socket is closed, which [`Handle::session`] then does not reach.
    pub fn enter_session(&self, session: &str) -> Result<(), JoinError> {
        let app = self.app();
        let entered = self.change_identity(|identity| {
            let entered = app.session(session).admit(self);
            if let Some(before) = identity.session.replace(session.into())
                && *before != *session
            {
                app.session(&before).dismiss(self);
            }
            entered
        });
        app.close_if_denied(self, &Of::Session(session.to_owned()));
        entered
    }

    /// The session that the socket has [entered](Self::enter_session).
    #[must_use]
    pub fn session(&self) -> Option<String> {
        let session = |kept: &Content| {
            kept.identity
                .as_ref()?
                .session
                .as_deref()
                .map(str::to_owned)
        };
        self.events().kept().look(session)?
    }

    /// The user that the socket was [identified](Self::identify) as.
    #[must_use]
    pub fn user(&self) -> Option<User> {
        let user = |kept: &Content| kept.identity.as_ref()?.user.clone();
        self.events().kept().look(user)?
    }

    /// The endpoint that the socket came to: its route's pattern, or the
    /// [name](crate::SocketOptions::name) that was given.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.0.endpoint().unwrap_or_default()
    }

    /// The subprotocol that the handshake has agreed on, if any; see
    /// [`ws`](crate::ws#subprotocols).
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.0.options().protocol.as_deref()
    }

    /// The time when the socket was opened, to the second.
    #[must_use]
    pub fn connected_at(&self) -> Timestamp {
        self.events().connected_at()
    }

    /// The client's address: an IPv4 address, or the first half of one of IPv6. Behind a proxy
    /// the address is the proxy's; `None` where another server than
    /// [`App::listen`](crate::App::listen) serves the application.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.events().address()
    }

    /// The number of rooms, chat rooms and channels that the socket is a member of.
    #[must_use]
    pub fn membership_count(&self) -> usize {
        self.0
            .rooms()
            .iter()
            .filter(|room| room_key::is_joined_by_name(room.name()))
            .count()
    }

    /// Keeps a value of a type of your own with the socket and returns the one of
    /// the same type that was there before.
    ///
    /// It stays as long as there is a handle of the socket, so it must not hold one
    /// itself.
    pub fn set_data<T: Clone + Any + Send + Sync>(&self, value: T) -> Option<T> {
        self.events().kept().change(|kept| kept.data.insert(value))
    }

    /// Replaces the value of type `T` that is kept with the socket, and returns it. `update` must not
    /// call code of the user.
    pub(crate) fn update_data<T: Clone + Any + Send + Sync>(
        &self,
        update: impl FnOnce(Option<&T>) -> T,
    ) -> Option<T> {
        self.events().kept().change(|kept| {
            let updated = update(kept.data.get());
            kept.data.insert(updated)
        })
    }

    /// A clone of the value of type `T` that was [kept](Self::set_data) with the
    /// socket. Put large or changing values behind an `Arc`.
    #[must_use]
    pub fn data<T: Clone + Any + Send + Sync>(&self) -> Option<T> {
        self.events().kept().look(|kept| kept.data.get().cloned())?
    }

    /// Changes what is known of the client's identity.
    pub(crate) fn change_identity<R>(&self, change: impl FnOnce(&mut Identity) -> R) -> R {
        let change = |kept: &mut Content| change(kept.identity.get_or_insert_default());
        self.events().kept().change(change)
    }

    /// Sets the function that is called when the client has given a new token.
    pub(crate) fn on_refresh(&self, refreshed: OnRefresh) {
        let before = self.change_identity(|identity| identity.on_refresh.replace(refreshed));
        drop(before);
    }

    /// Says that the client has given a new token.
    pub(crate) fn refreshed(&self) {
        let refreshed = self.change_identity(|identity| identity.on_refresh.clone());
        if let Some(refreshed) = refreshed {
            refreshed(self);
        }
    }

    /// The client's first message, which comes to nobody else; an error if the socket closes before.
    /// The connection must be one that was accepted for that.
    pub(crate) fn first_message(&self) -> oneshot::Receiver<Message> {
        self.listeners(Listeners::await_first)
    }

    /// The socket's client is known by its first message: it is a socket like any other.
    pub(crate) fn admit(&self) {
        self.listeners(Listeners::admit);
        self.0.admit();
    }

    /// Returns whether it is still to be known by its first message who the client is.
    pub(crate) fn is_unknown(&self) -> bool {
        let is_unknown = |kept: &Content| kept.listeners().is_some_and(Listeners::is_unknown);
        self.events().kept().look(is_unknown).unwrap_or_default()
    }

    /// Runs work on the socket's thread, beside its handlers and soon; not if it closes before.
    pub(crate) fn run(&self, work: impl FnOnce(Self) -> Work + Send + 'static) {
        let socket = self.clone();
        let run = Box::new(move || work(socket));
        self.0.set_timer(Duration::ZERO, run);
    }

    /// Lets a further function take messages, beside those that are registered.
    #[track_caller]
    pub(crate) fn add_message(&self, callback: Callback<Message>) {
        let mut registered = None;
        loop {
            // Claims are asked for without the lock, as they are code of the user's.
            let all = match &registered {
                None => callback.clone(),
                Some(registered) => claims::share(registered, &callback),
            };
            let kept = self.events().kept();
            match kept.change(|kept| kept.replace_message(registered.as_ref(), all)) {
                Ok(replaced) => {
                    drop(replaced);
                    break;
                }
                Err(unexpected) => {
                    registered = unexpected.found;
                    drop(unexpected.refused);
                }
            }
        }
        self.0.start_reading();
    }

    /// Panics as [`add_message`](Self::add_message) would for a function with this claim.
    #[track_caller]
    pub(crate) fn assert_free(&self, claim: &Claim) {
        let registered = self.events().kept().look(|kept| kept.message.clone());
        if let Some(registered) = registered.flatten() {
            claims::assert_free(&registered, claim);
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0
    }

    fn events(&self) -> &SocketEvents {
        let events = self.0.handler();
        events.expect("every socket's connection was accepted with its events")
    }

    fn listeners<R>(&self, change: impl FnOnce(&mut Listeners) -> R) -> R {
        self.events()
            .kept()
            .change(|kept| change(kept.listeners_mut()))
    }

    /// Ends a handler's call: an error is logged and closes the socket.
    pub(crate) fn conclude(&self, outcome: impl Outcome) {
        if let Err(error) = outcome.into_result() {
            let (endpoint, user) = (self.endpoint(), self.user().map(|user| user.id));
            tracing::error!(socket = %self.id(), endpoint, ?user, error, "a handler failed; its socket is closed");
            self.close(CloseCode::INTERNAL_ERROR, "");
        }
    }
}

/// The function behind [`Socket::on_command`].
struct Commands<T>(Callback<T>);

impl<T: DeserializeOwned + 'static> Call<Message> for Commands<T> {
    fn call(self: Arc<Self>, socket: Socket, message: Message) -> Work {
        match command::text_of(&message).and_then(command::decode::<T>) {
            Ok(command) => self.0.call(socket, command),
            Err(error) => {
                socket.send(request::refusal(&message, error.refuse()));
                None
            }
        }
    }

    fn claims(&self) -> Claims<'_, Message> {
        Claims::One(Claim::of_method::<T>("on_command"))
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Socket {}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
