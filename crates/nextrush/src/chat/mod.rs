//! The guide's chat server: rooms with members, history, typing and private
//! messages.

mod history;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use nextrush_broker::{
    BrokerError, CommandKey, Epoch, History, HistoryQuery, Position, Publication, Publish,
    Retention, Topic, TopicError,
};
use nextrush_engine::{CloseReason, ConnectionId, Room};
use nextrush_protocol::CloseCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::history::{Older, messages, newest};
use crate::message::Message;
use crate::message::Outgoing;
use crate::message::Timestamp;
use crate::message::request::{Answer, CommandId, Request};
use crate::message::{ErrorCode, ErrorMessage};
use crate::message::{User, UserId};
use crate::socket::Socket;
use crate::socket::audience::Audience;
use crate::socket::drain;
use crate::socket::handle::Handle;
use crate::socket::join::JoinError;
use crate::socket::room_key;
use crate::socket::room_name::RoomName;
use crate::topic::feed::{Behind, Feed, SlowPolicy};
use crate::topic::once::{self, Repeats};
use crate::topic::since::{Recovered, Since, Unrecovered};
use crate::topic::slow_readers::{Counters, SlowReaderCounts, SlowReaders};
use crate::topic::topics::{Entered, Entrance, SubscribeError, Topics};

/// How many messages a room keeps.
const KEPT: usize = 100;
/// How many of them somebody who joins gets.
const SENT: usize = 50;
/// How long all of these together may be, in bytes of JSON: half of the default backlog,
/// over which a client that does not read at once is closed.
const SENT_BYTES: usize = 512 * 1024;

/// A chat with rooms: members, a history of 100 messages per room of which the
/// last 50 are sent to whoever joins (fewer if they are longer than 512 KiB together),
/// typing announcements, and private messages to all sockets of a user.
///
/// A cheap handle; clones are the same chat. See `examples/live_chat.rs`.
///
/// ```
/// use axum::extract::Path;
/// use nextrush::{App, Authenticated, AuthRejection, ChatServer, RoomName, Socket};
///
/// let mut app = App::new();
/// let chat = ChatServer::new(app.handle());
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
pub struct ChatServer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: Handle,
    topics: Arc<Topics>,
    /// Tells the chats of one application apart.
    owner: u64,
    /// The members of each room in the order they came, one entry per socket.
    members: Mutex<HashMap<RoomName, IndexMap<ConnectionId, User>>>,
    repeats: Repeats,
    slow_readers: Arc<Counters>,
}

impl ChatServer {
    /// A chat of its own, apart from every other one of the application.
    #[must_use]
    pub fn new(app: &Handle) -> Self {
        Self(Arc::new(Inner {
            app: app.clone(),
            topics: app.topics(),
            owner: app.next_owner(),
            members: Mutex::default(),
            repeats: Repeats::default(),
            slow_readers: Arc::default(),
        }))
    }

    /// Makes an authenticated socket a member of a room and handles its messages
    /// from then on. The guide's `handleConnection`.
    ///
    /// The socket gets the room's history before anything else, the others are
    /// told who joined; and who left, when it closes, whatever the cause. Returns
    /// when the socket has joined; where the history cannot be read, the socket
    /// is told so and closed with 1013.
    pub async fn connect(&self, socket: &Socket, room: RoomName, user: User) {
        self.connect_since(socket, room, user, None).await;
    }

    /// As [`connect`](Self::connect), for a client that says up to where it has seen the
    /// room: the history that it gets is then exactly what it missed, or it is told why it
    /// cannot have that and gets the last messages as everybody.
    ///
    /// ```
    /// use axum::extract::Path;
    /// use nextrush::{App, Authenticated, ChatServer, RoomName, Since, Socket};
    ///
    /// let mut app = App::new();
    /// let chat = ChatServer::new(app.handle());
    /// app.ws(
    ///     "/chat/:roomId",
    ///     async move |socket: Socket,
    ///                 Path(room): Path<RoomName>,
    ///                 since: Option<Since>,
    ///                 user: Authenticated| {
    ///         let user = user.admit(&socket);
    ///         chat.connect_since(&socket, room, user, since).await;
    ///     },
    /// );
    /// # let _: axum::Router = app.into_router();
    /// ```
    pub async fn connect_since(
        &self,
        socket: &Socket,
        room: RoomName,
        user: User,
        since: Option<Since>,
    ) {
        drain::tell(socket);
        let member = Arc::new(Member {
            chat: self.clone(),
            topic: match self.topic(&room) {
                Ok(topic) => topic,
                Err(error) => return socket.conclude(Err(error)),
            },
            room,
            user,
        });
        let leaver = Arc::clone(&member);
        socket.on_close(async move |socket: Socket, _: CloseReason| leaver.leave(&socket).await);
        match member.join(socket, since.as_ref()).await {
            Ok(()) => {}
            Err(SubscribeError::Join(JoinError::Closed)) => return,
            Err(error) => {
                tracing::error!(%error, room = %member.room, "cannot join a chat room");
                socket.send(ErrorMessage::new(
                    ErrorCode::Unavailable,
                    "Room unavailable",
                ));
                return socket.close(CloseCode::TRY_AGAIN_LATER, "Room unavailable");
            }
        }
        socket.on_message(async move |socket: Socket, message: Message| {
            match Request::<Command>::read(&message) {
                Ok(request) => member.handle(&socket, request).await,
                Err(refusal) => socket.send(refusal),
            }
        });
    }

    /// The members of a room, one entry for each socket, in the order they came.
    #[must_use]
    pub fn room_users(&self, room: &RoomName) -> Vec<User> {
        self.0.users_of(room)
    }

    /// How often members of rooms have been too slow. They are given later what they missed, as
    /// in channels with [`SlowReaders::Heal`](crate::SlowReaders): in a further `room-history`.
    #[must_use]
    pub fn slow_readers(&self) -> SlowReaderCounts {
        self.0.slow_readers.read()
    }

    /// The rooms that have members.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomName> {
        self.0.members.lock().keys().cloned().collect()
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::clone(&self.0) as Arc<dyn Feed>
    }

    /// The rooms that have members, with the number of their sockets, in no order.
    #[must_use]
    pub fn room_counts(&self) -> Vec<(RoomName, usize)> {
        let members = self.0.members.lock();
        let rooms = members.iter();
        rooms
            .map(|(room, members)| (room.clone(), members.len()))
            .collect()
    }

    /// How many rooms have members.
    #[must_use]
    pub fn room_count(&self) -> usize {
        self.0.members.lock().len()
    }

    fn topics(&self) -> &Topics {
        &self.0.topics
    }

    fn topic(&self, room: &RoomName) -> Result<Topic, TopicError> {
        Topic::try_from(format!("chat/{}/{room}", self.0.owner))
    }

    /// Every socket of a user in this chat, whatever its room.
    fn sockets_of(&self, user: &UserId) -> Audience {
        let user = serde_json::json!(user).to_string();
        let name = room_key::of_owner("chat", self.0.owner, &user);
        self.0.app.internal_room(&name)
    }
}

/// What a client may send.
#[derive(Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Command {
    Chat {
        text: String,
    },
    Typing {
        is_typing: bool,
    },
    Private {
        target_user_id: UserId,
        text: String,
    },
    History(Older),
}

/// What a client gets.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Event<'a> {
    RoomHistory {
        messages: Vec<ChatMessage<'a>>,
        users: &'a [User],
        epoch: String,
        /// The top: what is said next has one more.
        offset: u64,
        #[serde(flatten)]
        recovered: Recovered,
    },
    UserJoined {
        user: &'a User,
        user_count: usize,
    },
    UserLeft {
        user: &'a User,
        user_count: usize,
    },
    Typing {
        user: &'a User,
        is_typing: bool,
    },
    PrivateMessage {
        text: &'a str,
        from: &'a User,
        timestamp: Timestamp,
    },
    PrivateMessageSent {
        to: &'a UserId,
        text: &'a str,
    },
    /// To a command with an id that has no answer of its own.
    Ack {
        #[serde(flatten)]
        said: Option<Said>,
    },
}

/// Where a message is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    epoch: String,
    offset: u64,
    message_id: u64,
}

impl From<Position> for Said {
    fn from(position: Position) -> Self {
        Self {
            epoch: position.epoch.to_string(),
            offset: position.offset,
            message_id: message_id(position),
        }
    }
}

impl From<Event<'_>> for Outgoing {
    fn from(event: Event<'_>) -> Self {
        Self::json(&event).expect("the chat's events have string keys only")
    }
}

/// A message of a room, as it is sent.
#[derive(Serialize)]
struct ChatMessage<'a> {
    id: u64,
    r#type: &'static str,
    #[serde(flatten)]
    post: Post<'a>,
    timestamp: Timestamp,
    offset: u64,
}

/// A message of a room, as it is kept.
#[derive(Serialize, Deserialize)]
struct Post<'a> {
    #[serde(borrow)]
    text: std::borrow::Cow<'a, str>,
    user: User,
}

impl<'a> ChatMessage<'a> {
    fn new(epoch: Epoch, publication: &'a Publication) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: message_id(Position {
                epoch,
                offset: publication.offset,
            }),
            r#type: "chat-message",
            post: serde_json::from_slice(&publication.data)?,
            timestamp: Timestamp::from_unix_ms(publication.time_ms),
            offset: publication.offset,
        })
    }
}

/// Rising in the room also when its history was lost: a later epoch begins at a later
/// millisecond.
fn message_id(Position { epoch, offset }: Position) -> u64 {
    epoch.created_ms() + offset
}

impl Inner {
    fn users(&self, topic: &Topic) -> Vec<User> {
        // As `ChatServer::topic` made it.
        let room = topic.as_str().splitn(3, '/').last().unwrap_or_default();
        RoomName::new(room).map_or_else(|_| Vec::new(), |room| self.users_of(&room))
    }

    fn users_of(&self, room: &RoomName) -> Vec<User> {
        let members = self.members.lock();
        let room = members.get(room);
        room.map_or_else(Vec::new, |room| room.values().cloned().collect())
    }
}

impl Feed for Inner {
    fn message(&self, topic: &Topic, epoch: Epoch, publication: &Publication) -> Outgoing {
        match ChatMessage::new(epoch, publication).and_then(|message| Outgoing::json(&message)) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(%topic, %error, "a kept chat message cannot be read");
                ErrorMessage::new(ErrorCode::Internal, "A message could not be read").into()
            }
        }
    }

    fn slow_readers(&self, _: &Topic) -> SlowPolicy {
        SlowPolicy {
            slow_readers: SlowReaders::Heal,
            key: None,
            counters: Arc::clone(&self.slow_readers),
        }
    }

    /// The same as to a client that comes back: the room and what it missed there.
    fn catch_up(&self, topic: &Topic, behind: &Behind<'_>) -> Vec<Outgoing> {
        let recovered = match behind.lost {
            None => Ok(()),
            Some(_) => Err(Unrecovered::History),
        };
        let position = Position {
            epoch: behind.epoch,
            offset: behind.offset,
        };
        let users = self.users(topic);
        let history = room_history(position, behind.publications, &users, Some(recovered));
        vec![history.into()]
    }
}

/// What a room has, or what a client missed of it.
fn room_history<'a>(
    Position { epoch, offset }: Position,
    publications: &'a [Arc<Publication>],
    users: &'a [User],
    recovered: Option<Result<(), Unrecovered>>,
) -> Event<'a> {
    Event::RoomHistory {
        messages: messages(epoch, publications),
        users,
        epoch: epoch.to_string(),
        offset,
        recovered: (&recovered).into(),
    }
}

/// One socket in one room.
struct Member {
    chat: ChatServer,
    room: RoomName,
    topic: Topic,
    user: User,
}

impl Member {
    async fn join(&self, socket: &Socket, since: Option<&Since>) -> Result<(), SubscribeError> {
        let enter = |others: &Room, history: &History, _: Entrance| {
            let users = self.enter(socket);
            let missed = since.map(|since| since.missed(history));
            let publications = match missed {
                Some(Ok(missed)) => missed,
                Some(Err(_)) | None => newest(&history.publications, SENT),
            };
            let recovered = missed.map(|missed| missed.map(drop));
            socket.send(room_history(
                history.position,
                publications,
                &users,
                recovered,
            ));
            // From here on private messages reach it. Refused only when the socket is
            // closed, and then it leaves right away.
            let _ = self.chat.sockets_of(&self.user.id).admit(socket);
            let joined = Event::UserJoined {
                user: &self.user,
                user_count: users.len(),
            };
            others.publish_except(Outgoing::from(joined).into_frame(), &[socket.id()]);
            Entered::default()
        };
        // All that is kept, as the last messages are sent where recovery fails.
        let query = since.map_or(HistoryQuery::Latest(SENT), |_| HistoryQuery::Latest(KEPT));
        let topics = self.chat.topics();
        topics
            .subscribe(&self.topic, &self.chat.feed(), socket, query, enter)
            .await
    }

    /// Notes the member down; returns all members of the room.
    fn enter(&self, socket: &Socket) -> Vec<User> {
        let mut members = self.chat.0.members.lock();
        let room = members.entry(self.room.clone()).or_default();
        room.insert(socket.id(), self.user.clone());
        room.values().cloned().collect()
    }

    async fn leave(&self, socket: &Socket) {
        let leave = |others: &Room| {
            let Some(user_count) = self.exit(socket) else {
                return;
            };
            let left = Event::UserLeft {
                user: &self.user,
                user_count,
            };
            others.publish(Outgoing::from(left).into_frame());
        };
        let topics = self.chat.topics();
        let feed = self.chat.feed();
        let left = topics.unsubscribe(&self.topic, &feed, socket, leave);
        if let Err(error) = left.await {
            tracing::warn!(%error, room = %self.room, "the broker could not be told that a room is empty");
        }
    }

    /// Strikes the member off; returns how many are left, or `None` when it was
    /// not there.
    fn exit(&self, socket: &Socket) -> Option<usize> {
        let mut members = self.chat.0.members.lock();
        let room = members.get_mut(&self.room)?;
        room.shift_remove(&socket.id())?;
        let left = room.len();
        if left == 0 {
            members.remove(&self.room);
        }
        Some(left)
    }

    async fn handle(&self, socket: &Socket, request: Request<Command>) {
        let id = request.id.as_ref();
        let scope = format!("chat/{}", self.chat.0.owner);
        let key = id.map(|id| id.key(&scope, &self.user.id).ok_or(()));
        let key = match key.transpose() {
            Ok(key) => key,
            Err(()) => {
                let error = ErrorMessage::new(ErrorCode::InvalidFormat, "Invalid message format");
                return socket.send(Answer::new(error.details("id and user are too long"), id));
            }
        };
        match request.command {
            Command::Chat { text } => match self.say(&text, key).await {
                Ok(position) if id.is_some() => {
                    let said = Some(position.into());
                    socket.send(Answer::new(Event::Ack { said }, id));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, room = %self.room, "a chat message could not be stored");
                    let error =
                        ErrorMessage::new(ErrorCode::NotStored, "Message could not be stored");
                    socket.send(Answer::new(error, id));
                }
            },
            Command::Typing { is_typing } => {
                self.announce_typing(socket, is_typing);
                if id.is_some() {
                    socket.send(Answer::new(Event::Ack { said: None }, id));
                }
            }
            Command::Private {
                target_user_id,
                text,
            } => {
                let whisper = || self.whisper(&target_user_id, &text, id);
                match self.once(key, whisper).await {
                    Ok(answer) => socket.send(answer),
                    Err(error) => {
                        tracing::error!(%error, "an answer could not be remembered");
                        let error =
                            ErrorMessage::new(ErrorCode::NotStored, "Message could not be stored");
                        socket.send(Answer::new(error, id));
                    }
                }
            }
            Command::History(older) => match self.look_back(older, id).await {
                Ok(answer) => socket.send(answer),
                Err(error) => {
                    tracing::error!(%error, room = %self.room, "a history could not be read");
                    let error = ErrorMessage::new(ErrorCode::Unavailable, "Room unavailable");
                    socket.send(Answer::new(error, id));
                }
            },
        }
    }

    /// Executes a command unless it is a repeat; the answer to it.
    async fn once(
        &self,
        key: Option<CommandKey>,
        execute: impl FnOnce() -> String,
    ) -> Result<String, BrokerError> {
        match key {
            Some(key) => {
                let broker = self.chat.topics().broker();
                self.chat.0.repeats.answer(broker, key, execute).await
            }
            None => Ok(execute()),
        }
    }

    /// Says something in the room; with a key only once.
    async fn say(&self, text: &str, key: Option<CommandKey>) -> Result<Position, BrokerError> {
        let post = Post {
            text: text.into(),
            user: self.user.clone(),
        };
        let data = serde_json::to_vec(&post).expect("a post has string keys only");
        let mut publish = Publish::new(data).retain(Retention::count(KEPT));
        if let Some(key) = key {
            publish = publish.once(key, once::WINDOW);
        }
        let topics = self.chat.topics();
        let published = topics.publish(&self.topic, publish).await?;
        Ok(published.position)
    }

    fn announce_typing(&self, socket: &Socket, is_typing: bool) {
        let typing = Event::Typing {
            user: &self.user,
            is_typing,
        };
        let topics = self.chat.topics();
        topics.send_except(&self.topic, typing.into(), socket);
    }

    /// Sends a private message; the answer to the sender.
    fn whisper(&self, to: &UserId, text: &str, id: Option<&CommandId>) -> String {
        let target = self.chat.sockets_of(to);
        if !target.has_local_members() {
            return Answer::new(
                ErrorMessage::new(ErrorCode::UserOffline, "User not found or offline"),
                id,
            )
            .to_json();
        }
        target.send(Event::PrivateMessage {
            text,
            from: &self.user,
            timestamp: Timestamp::now(),
        });
        Answer::new(Event::PrivateMessageSent { to, text }, id).to_json()
    }
}
