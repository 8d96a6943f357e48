//! The guide's chat server: rooms with members, history, typing and private
//! messages.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use nextrush_broker::{
    BrokerError, Epoch, History, HistoryQuery, Publication, Publish, Retention, Topic, TopicError,
};
use nextrush_engine::{CloseReason, ConnectionId, Room};
use nextrush_protocol::CloseCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::auth::{User, UserId};
use crate::error_message::ErrorMessage;
use crate::handle::Handle;
use crate::internal_room;
use crate::outgoing::Outgoing;
use crate::room::{JoinError, RoomName, Rooms};
use crate::socket::Socket;
use crate::timestamp::Timestamp;
use crate::topics::{SubscribeError, Topics};

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
///             Err(rejection) => rejection.refuse(&socket),
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
    /// Tells the chats of one application apart.
    owner: u64,
    /// The members of each room in the order they came, one entry per socket.
    members: Mutex<HashMap<RoomName, IndexMap<ConnectionId, User>>>,
}

impl ChatServer {
    /// A chat of its own, apart from every other one of the application.
    #[must_use]
    pub fn new(app: &Handle) -> Self {
        Self(Arc::new(Inner {
            app: app.clone(),
            owner: app.next_owner(),
            members: Mutex::default(),
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
        match member.join(socket).await {
            Ok(()) => {}
            Err(SubscribeError::Join(JoinError::Closed)) => return,
            Err(error) => {
                tracing::error!(%error, room = %member.room, "cannot join a chat room");
                socket.send(ErrorMessage::new("Room unavailable"));
                return socket.close(CloseCode::TRY_AGAIN_LATER, "Room unavailable");
            }
        }
        socket.on_command(async move |socket: Socket, command: Command| {
            member.handle(&socket, command).await;
        });
    }

    /// The members of a room, one entry for each socket, in the order they came.
    #[must_use]
    pub fn room_users(&self, room: &RoomName) -> Vec<User> {
        let members = self.0.members.lock();
        let room = members.get(room);
        room.map_or_else(Vec::new, |room| room.values().cloned().collect())
    }

    /// The rooms that have members.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomName> {
        self.0.members.lock().keys().cloned().collect()
    }

    fn topics(&self) -> &Topics {
        self.0.app.topics()
    }

    fn topic(&self, room: &RoomName) -> Result<Topic, TopicError> {
        Topic::try_from(format!("chat/{}/{room}", self.0.owner))
    }

    /// Every socket of a user in this chat, whatever its room.
    fn sockets_of(&self, user: &UserId) -> Rooms {
        let user = serde_json::json!(user).to_string();
        let name = internal_room::of_owner("chat", self.0.owner, &user);
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
            // Rising in the room also when its history was lost: a later epoch
            // begins at a later millisecond.
            id: epoch.created_ms() + publication.offset,
            r#type: "chat-message",
            post: serde_json::from_slice(&publication.data)?,
            timestamp: Timestamp::from_unix_ms(publication.time_ms),
        })
    }
}

fn encode(topic: &Topic, epoch: Epoch, publication: &Publication) -> Outgoing {
    match ChatMessage::new(epoch, publication).and_then(|message| Outgoing::json(&message)) {
        Ok(message) => message,
        Err(error) => {
            tracing::error!(%topic, %error, "a kept chat message cannot be read");
            ErrorMessage::new("A message could not be read").into()
        }
    }
}

/// The newest publications that have no more than `limit` bytes together.
fn last_that_fit(publications: &[Arc<Publication>], limit: usize) -> &[Arc<Publication>] {
    let mut left = limit;
    let fits = |publication: &&Arc<Publication>| {
        let after = left.checked_sub(publication.data.len());
        left = after.unwrap_or_default();
        after.is_some()
    };
    let count = publications.iter().rev().take_while(fits).count();
    &publications[publications.len() - count..]
}

/// One socket in one room.
struct Member {
    chat: ChatServer,
    room: RoomName,
    topic: Topic,
    user: User,
}

impl Member {
    async fn join(&self, socket: &Socket) -> Result<(), SubscribeError> {
        let enter = |others: &Room, history: &History| {
            let users = self.enter(socket);
            let messages = last_that_fit(&history.publications, SENT_BYTES)
                .iter()
                .filter_map(|publication| {
                    ChatMessage::new(history.position.epoch, publication)
                        .inspect_err(|error| {
                            tracing::error!(room = %self.room, %error, "a kept chat message cannot be read");
                        })
                        .ok()
                })
                .collect();
            socket.send(Event::RoomHistory {
                messages,
                users: &users,
            });
            // From here on private messages reach it. Refused only when the socket is
            // closed, and then it leaves right away.
            let _ = self.chat.sockets_of(&self.user.id).admit(socket);
            let joined = Event::UserJoined {
                user: &self.user,
                user_count: users.len(),
            };
            others.publish_except(Outgoing::from(joined).into_frame(), &[socket.id()]);
        };
        let topics = self.chat.topics();
        topics
            .subscribe(
                &self.topic,
                encode,
                socket,
                HistoryQuery::Latest(SENT),
                enter,
            )
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
        let left = topics.unsubscribe(&self.topic, encode, socket, leave);
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

    async fn handle(&self, socket: &Socket, command: Command) {
        match command {
            Command::Chat { text } => {
                if let Err(error) = self.say(&text).await {
                    tracing::error!(%error, room = %self.room, "a chat message could not be stored");
                    socket.send(ErrorMessage::new("Message could not be stored"));
                }
            }
            Command::Typing { is_typing } => self.announce_typing(socket, is_typing),
            Command::Private {
                target_user_id,
                text,
            } => self.whisper(socket, &target_user_id, &text),
        }
    }

    async fn say(&self, text: &str) -> Result<(), BrokerError> {
        let post = Post {
            text: text.into(),
            user: self.user.clone(),
        };
        let data = serde_json::to_vec(&post).expect("a post has string keys only");
        let publish = Publish::new(data).retain(Retention::count(KEPT));
        let topics = self.chat.topics();
        topics.publish(&self.topic, publish).await?;
        Ok(())
    }

    fn announce_typing(&self, socket: &Socket, is_typing: bool) {
        let typing = Event::Typing {
            user: &self.user,
            is_typing,
        };
        let topics = self.chat.topics();
        topics.send_except(&self.topic, typing.into(), socket);
    }

    fn whisper(&self, socket: &Socket, to: &UserId, text: &str) {
        let target = self.chat.sockets_of(to);
        if target.is_empty() {
            socket.send(ErrorMessage::new("User not found or offline"));
            return;
        }
        target.send(Event::PrivateMessage {
            text,
            from: &self.user,
            timestamp: Timestamp::now(),
        });
        socket.send(Event::PrivateMessageSent { to, text });
    }
}
