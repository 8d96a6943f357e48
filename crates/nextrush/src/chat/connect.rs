//! A socket's way into a chat room.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use nextrush_protocol::CloseCode;

use super::ChatServer;
use super::member::{Member, Unjoined};
use crate::message::{ErrorCode, ErrorMessage, User};
use crate::socket::Socket;
use crate::socket::handler::Callback;
use crate::socket::join::JoinError;
use crate::socket::rate_limit::Exceeded;
use crate::socket::room_name::RoomName;
use crate::topic::{Since, SubscribeError};
use crate::trace::What;

/// A socket that is about to join a room; made by [`ChatServer::connect`]. Nothing happens
/// before it is awaited.
#[must_use = "the socket joins when this is awaited"]
pub struct Connect<'a> {
    chat: &'a ChatServer,
    socket: &'a Socket,
    room: RoomName,
    user: User,
    since: Option<Since>,
}

impl<'a> Connect<'a> {
    pub(super) fn new(
        chat: &'a ChatServer,
        socket: &'a Socket,
        room: RoomName,
        user: User,
    ) -> Self {
        Self {
            chat,
            socket,
            room,
            user,
            since: None,
        }
    }

    /// Says up to where the client has seen the room: the history that it gets is then exactly
    /// what it missed, or it is told why it cannot have that and gets the last messages as
    /// everybody.
    ///
    /// ```
    /// use axum::extract::Path;
    /// use nextrush::{App, Authenticated, ChatServer, RoomName, Since, Socket};
    ///
    /// let mut app = App::new();
    /// let chat = ChatServer::new(&app, "chat");
    /// app.ws(
    ///     "/chat/:roomId",
    ///     async move |socket: Socket,
    ///                 Path(room): Path<RoomName>,
    ///                 since: Option<Since>,
    ///                 user: Authenticated| {
    ///         let user = user.admit(&socket);
    ///         chat.connect(&socket, room, user).since(since).await;
    ///     },
    /// );
    /// # let _: axum::Router = app.into_router();
    /// ```
    pub fn since(self, since: impl Into<Option<Since>>) -> Self {
        Self {
            since: since.into(),
            ..self
        }
    }

    async fn connect(self) {
        let Self {
            chat,
            socket,
            room,
            user,
            since,
        } = self;
        socket.assert_free(&Member::claim());
        socket.tell_reconnect();
        let topic = chat
            .0
            .topic(room.as_str())
            .expect("a topic may have any name that a room may have");
        let allowed = chat
            .0
            .dialect()
            .allow_join(&user.id, topic.local_subscribers());
        let name = topic.stored_name().clone();
        let note_refused = |code: ErrorCode| {
            let code = Cow::Borrowed(code.as_str());
            socket
                .app()
                .record()
                .note(socket.id(), &name, What::Refused { code });
        };
        if let Err(exceeded) = allowed {
            note_refused(ErrorCode::RateLimited);
            return send_away(socket, exceeded);
        }
        let profile = (chat.0.dialect().show_user)(socket, &user);
        let member = Member {
            topic: topic.by(&user.id),
            user,
            profile,
        };
        match member.join(socket, since.as_ref()).await {
            Ok(()) => {}
            Err(Unjoined::Subscribe(
                SubscribeError::Join(JoinError::Closed) | SubscribeError::GivenUp,
            )) => return,
            Err(Unjoined::Exceeded(exceeded)) => {
                note_refused(ErrorCode::RateLimited);
                return send_away(socket, exceeded);
            }
            Err(error) => {
                note_refused(ErrorCode::Unavailable);
                if chat.0.dialect().not_joined.is_due() {
                    tracing::error!(%error, %room, "cannot join a chat room");
                }
                let text = "Room unavailable";
                socket.send(match &error {
                    Unjoined::Subscribe(SubscribeError::Broker(error)) => {
                        ErrorMessage::of_broker(text, error)
                    }
                    _ => ErrorMessage::new(ErrorCode::Unavailable, text),
                });
                return socket.close(CloseCode::TRY_AGAIN_LATER, "Room unavailable");
            }
        }
        socket.add_message(Callback::new(member));
    }
}

fn send_away(socket: &Socket, exceeded: Exceeded) {
    socket.send(exceeded.to_message());
    socket.close(CloseCode::TRY_AGAIN_LATER, "Rate limit exceeded");
}

impl<'a> IntoFuture for Connect<'a> {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.connect())
    }
}

impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("socket", self.socket)
            .field("room", &self.room)
            .field("user", &self.user)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}
