//! The guide's chat server: rooms with members, history, typing and private
//! messages.
//!
//! A dialect of [topics](crate::topic), written on their public interface alone.

mod connect;
mod dialect;
mod history;
mod member;
mod messages;
mod users;

use nextrush_broker::{BrokerError, Deletion};

pub use self::connect::Connect;
use self::dialect::Chat;
use crate::message::User;
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::socket::room_name::RoomName;
use crate::topic::{Profile, SlowReaderCounts, SlowReaderPolicy, Topics, show_user};
use crate::trace::{Question, Trace};

/// A chat with rooms: members, a history of 100 messages per room of which the
/// last 50 are sent to whoever joins (fewer if they are longer than 512 KiB together),
/// typing announcements, and private messages to all sockets of a user.
///
/// What a user makes the chat send, by joins, private messages and questions, is bounded: 10,000
/// deliveries of up to 1 KiB a second, and 50,000 at once, over all of the user's sockets.
///
/// A cheap handle; clones are the same chat. See `examples/live_chat.rs`.
///
/// ```
/// use axum::extract::Path;
/// use nextrush::{App, Authenticated, AuthRejection, ChatServer, RoomName, Socket};
///
/// let mut app = App::new();
/// let chat = ChatServer::new(&app, "chat");
/// app.ws(
///     "/chat/:roomId",
///     async move |socket: Socket,
///                 Path(room): Path<RoomName>,
///                 user: Result<Authenticated, AuthRejection>| {
///         match user {
///             Ok(user) => chat.connect(&socket, room, user.admit(&socket)).await,
///             Err(rejection) => rejection.reject(&socket),
///         }
///     },
/// );
/// # let _: axum::Router = app.into_router();
/// ```
#[derive(Clone, Debug)]
pub struct ChatServer(Topics<Chat>);

impl ChatServer {
    /// A chat with the default options, under a name of 1 to 32 of `a-z`, `0-9` and `-`: its
    /// messages are kept under that name, from one start of the application to the next.
    ///
    /// # Panics
    ///
    /// Panics on an invalid name, and when a part of the application has it already, as a
    /// route does whose path is taken.
    #[must_use]
    #[track_caller]
    pub fn new(app: &impl AsRef<Handle>, name: &str) -> Self {
        Self::builder().build(app, name)
    }

    /// Options for a chat.
    ///
    /// ```
    /// use nextrush::{App, ChatServer, Socket, User};
    ///
    /// let app: App = App::new();
    /// let support = ChatServer::builder()
    ///     .kept(1000)
    ///     .text_bytes(4096)
    ///     .show_user(|_: &Socket, user: &User| serde_json::json!({ "id": user.id }))
    ///     .build(&app, "support");
    /// # drop(support);
    /// ```
    pub fn builder() -> ChatBuilder {
        ChatBuilder(Chat::default())
    }

    /// Makes an authenticated socket a member of a room and handles its messages
    /// from then on. The guide's `handleConnection`.
    ///
    /// The socket gets the room's history before anything else, the others are
    /// told who joined; and who left, when it closes, whatever the cause. Resolves
    /// when the socket has joined; where the history cannot be read, the socket
    /// is told so and closed with 1013.
    ///
    /// The messages' types are claimed: the application's own messages beside them are for
    /// [`Socket::on_command`] and [`Socket::on_message`]. Awaiting it panics when something else
    /// on this socket has claimed one of them, as another room of a chat does.
    ///
    /// With [`since`](Connect::since) a client that comes back gets exactly what it missed.
    pub fn connect<'a>(&'a self, socket: &'a Socket, room: RoomName, user: User) -> Connect<'a> {
        Connect::new(self, socket, room, user)
    }

    /// The members of a room, one entry for each socket, in the order they came.
    pub async fn room_users(&self, room: &RoomName) -> Vec<Profile> {
        match self.0.topic(room.as_str()) {
            Ok(topic) => topic.members().await,
            Err(_) => Vec::new(),
        }
    }

    /// Deletes all messages of a room; their number. Its members are told, and the places of the
    /// messages stay, so that nobody misses anything else.
    ///
    /// # Errors
    ///
    /// Fails when the broker does, or cannot delete; some may be deleted then.
    pub async fn purge(&self, room: &RoomName) -> Result<usize, BrokerError> {
        match self.0.topic(room.as_str()) {
            Ok(topic) => topic.delete(Deletion::All).await,
            Err(_) => Ok(0),
        }
    }

    /// The treatment of members that lag, with its counts.
    #[must_use]
    pub fn slow_reader_policy(&self) -> SlowReaderPolicy {
        self.0.dialect().slow_readers.clone()
    }

    /// Says what became of a message of a room for the sockets of all nodes; see
    /// [`trace`](crate::trace). Waits for 2 s at most for other nodes.
    ///
    /// # Errors
    ///
    /// Fails when the broker cannot read the room's history.
    pub async fn trace(&self, room: &RoomName, question: &Question) -> Result<Trace, BrokerError> {
        let topic = self.0.topic(room.as_str());
        topic
            .expect("a topic may have any name that a room may have")
            .trace(question)
            .await
    }

    /// The counts of members that lagged. They are given later what they missed, as
    /// in channels with [`SlowReaders::Heal`](crate::topic::SlowReaders): in a further
    /// `room-history`.
    #[must_use]
    pub fn slow_readers(&self) -> SlowReaderCounts {
        self.0.dialect().slow_readers.counts()
    }

    /// The name that this chat was built with.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The rooms that have members on this node, with the number of their sockets, in no order.
    #[must_use]
    pub fn local_rooms(&self) -> Vec<(RoomName, usize)> {
        self.0
            .local_topics()
            .into_iter()
            .filter_map(|(room, members)| Some((RoomName::new(&room).ok()?, members)))
            .collect()
    }

    /// The number of rooms in use on this node; cheaper than to list them.
    #[must_use]
    pub fn local_room_count(&self) -> usize {
        self.0.local_topic_count()
    }
}

/// The options of a [`ChatServer`].
#[derive(Debug)]
#[must_use = "a builder does nothing before it builds the chat"]
pub struct ChatBuilder(Chat);

impl ChatBuilder {
    /// Sets the number of messages that a room keeps. Default: 100.
    pub fn kept(self, messages: usize) -> Self {
        Self(Chat {
            kept: messages,
            ..self.0
        })
    }

    /// Sets the number of messages that somebody who joins is sent. Default: 50.
    pub fn sent(self, messages: usize) -> Self {
        Self(Chat {
            sent: messages,
            ..self.0
        })
    }

    /// Sets the number of members that somebody who joins is told of at once; the rest is asked
    /// for in pages of as many users. Default: 1,000.
    pub fn listed(self, members: usize) -> Self {
        Self(Chat {
            listed: members,
            ..self.0
        })
    }

    /// Sets the longest text of a message in bytes of UTF-8; a longer one is answered with
    /// `too-large`. Default: as long as the socket's limit for messages allows.
    pub fn text_bytes(self, text_bytes: usize) -> Self {
        Self(Chat {
            text_bytes,
            ..self.0
        })
    }

    /// Picks what others see of a user, as any JSON value. Default: exactly
    /// `{"id":…,"email":…}`. It is called once for each socket that joins.
    /// Where its value cannot be written as JSON, others see `null`.
    pub fn show_user<F, T>(self, show: F) -> Self
    where
        F: Fn(&Socket, &User) -> T + Send + Sync + 'static,
        T: serde::Serialize,
    {
        Self(Chat {
            show_user: show_user(show),
            ..self.0
        })
    }

    /// The chat, under this name.
    ///
    /// # Panics
    ///
    /// As [`ChatServer::new`].
    #[must_use]
    #[track_caller]
    pub fn build(self, app: &impl AsRef<Handle>, name: &str) -> ChatServer {
        ChatServer(Topics::new(app, name, self.0))
    }
}
