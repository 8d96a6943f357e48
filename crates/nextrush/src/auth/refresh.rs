//! A new token for a socket that is open.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::AuthError;
use super::expiry;
use super::jwt::Jwt;
use super::revocation::unrevoked;
use crate::message::Message;
use crate::message::Timestamp;
use crate::message::User;
use crate::message::request::{Answer, CommandId, Request, refused};
use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;

/// The advice to a client whose token before is still being checked, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// A message of a client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Command {
    Refresh { token: String },
}

/// The answer to a new token.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Event {
    Refreshed {
        /// Absent for a token that does not expire.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
}

impl Jwt {
    /// A [filter](Socket::filter) that takes the messages by which a client gives a new token
    /// before the one that it came with expires, and keeps the connection:
    /// `{"type":"refresh","token":…}`. The answer is `{"type":"refreshed","expiresAt":…}`, and
    /// the socket ends when the new token is no longer valid, or with the token before where that
    /// one lasts longer.
    ///
    /// The token must name the user that the socket was
    /// [admitted](crate::Authenticated::admit) as. Any other is answered with
    /// `{"type":"error","message":"Invalid token"}`, and nothing changes: the socket ends when
    /// its present token does. While one waits for its key to be [fetched](super::Jwks), a further one that
    /// would have to is refused as `rate-limited`, with `retryAfterMs`. An `id` of the message, a text of 1 to 64 bytes, comes back with
    /// the answer. Messages of other types go on to the handler, refreshes don't.
    ///
    /// ```
    /// use axum::Extension;
    /// use nextrush::{App, Authenticated, Jwt, Message, Socket};
    ///
    /// let mut app = App::new();
    /// app.jwt(Jwt::hs256("a secret of at least 32 bytes, from outside"));
    /// app.ws("/echo", |socket: Socket, user: Authenticated, Extension(jwt): Extension<Jwt>| {
    ///     user.admit(&socket);
    ///     socket.filter(jwt.refresh());
    ///     socket.on_message(|socket: Socket, message: Message| socket.send(message));
    /// });
    /// # let _: axum::Router = app.into_router();
    /// ```
    pub fn refresh(&self) -> impl Fn(&Socket, &Message) -> ControlFlow<()> + Send + Sync + use<> {
        self.refresh_if(|socket: &Socket, user: &User| {
            socket.user().is_some_and(|admitted| admitted.id == user.id)
        })
    }

    /// The same for claims of your own: `is_same` says whether they are those of the socket's
    /// client.
    pub fn refresh_if<C, F>(
        &self,
        is_same: F,
    ) -> impl Fn(&Socket, &Message) -> ControlFlow<()> + Send + Sync + use<C, F>
    where
        C: DeserializeOwned,
        F: Fn(&Socket, &C) -> bool + Send + Sync + 'static,
    {
        let jwt = self.clone();
        let is_same = Arc::new(is_same);
        move |socket, message| {
            if !is_refresh(message) {
                return ControlFlow::Continue(());
            }
            match Request::<Command>::read(message) {
                Ok(Request { command, id }) => {
                    let Command::Refresh { token } = command;
                    let refreshed = jwt.check_refresh(socket, &token, &*is_same);
                    let is_wanting =
                        matches!(&refreshed, Err(error) if error.is_for_want_of_a_key());
                    let wanting = jwt.its_jwks().filter(|_| is_wanting);
                    let Some(jwks) = wanting else {
                        answer(socket, refreshed, id.as_ref());
                        return ControlFlow::Break(());
                    };
                    let Some(waiting) = AwaitsKey::begin(socket) else {
                        let busy =
                            ErrorMessage::new(ErrorCode::RateLimited, "A token is being checked");
                        let busy = busy.retry_after_ms(RETRY_MS);
                        socket.send(refused(busy, id.as_ref()));
                        return ControlFlow::Break(());
                    };
                    // The socket's thread does not wait for the keys.
                    let (jwt, is_same) = (jwt.clone(), Arc::clone(&is_same));
                    let (fetching, socket) = (jwks.clone(), socket.clone());
                    jwks.spawn(async move {
                        fetching.renewed().await;
                        socket.run(move |socket| {
                            drop(waiting);
                            let refreshed = jwt.check_refresh(&socket, &token, &*is_same);
                            answer(&socket, refreshed, id.as_ref());
                            None
                        });
                    });
                }
                Err(refusal) => socket.send(refusal),
            }
            ControlFlow::Break(())
        }
    }

    fn check_refresh<C: DeserializeOwned>(
        &self,
        socket: &Socket,
        token: &str,
        is_same: impl Fn(&Socket, &C) -> bool,
    ) -> Result<Event, AuthError> {
        let verified = unrevoked(self.verify::<C>(token)?, self, token, Some(socket.app()))?;
        if !is_same(socket, &verified.claims) {
            return Err(AuthError::AnotherUser);
        }
        let issued_ms = verified.asked_at.issued_ms;
        socket.change_identity(|identity| identity.issued_ms = issued_ms);
        let valid_until = expiry::extend(socket, verified.valid_until());
        let expires_ms =
            valid_until.map(|seconds| seconds.saturating_sub(verified.leeway).saturating_mul(1000));
        Ok(Event::Refreshed {
            expires_at: expires_ms.map(Timestamp::from_unix_ms),
        })
    }
}

/// The wait of a socket for the key of a new token. A socket has one at a time: a client that sends one
/// token after the other would have as many of them in memory as its rate allows.
struct AwaitsKey(Socket);

impl AwaitsKey {
    /// `None` while there is another one.
    fn begin(socket: &Socket) -> Option<Self> {
        let is_first =
            socket.change_identity(|identity| !std::mem::replace(&mut identity.awaits_key, true));
        is_first.then(|| Self(socket.clone()))
    }
}

impl Drop for AwaitsKey {
    fn drop(&mut self) {
        self.0
            .change_identity(|identity| identity.awaits_key = false);
    }
}

/// Answers a refresh.
fn answer(socket: &Socket, refreshed: Result<Event, AuthError>, id: Option<&CommandId>) {
    match refreshed {
        Ok(event) => {
            socket.send(Answer::new(event, id));
            // What the client may do is asked again.
            socket.refreshed();
        }
        Err(error) => {
            let source = std::error::Error::source(&error);
            tracing::debug!(socket = %socket.id(), %error, source, "a new token was refused");
            let error = ErrorMessage::new(error.code(), "Invalid token");
            socket.send(refused(error, id));
        }
    }
}

/// Returns whether a message has the type of a refresh, whatever else is in it.
fn is_refresh(message: &Message) -> bool {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
    }

    let Ok(text) = message.to_utf8() else {
        return false;
    };
    // Most messages are none, and are not read for it. An escaped type is one that no client
    // writes.
    text.contains("\"refresh\"")
        && serde_json::from_str::<Typed<'_>>(text).is_ok_and(|typed| typed.r#type == "refresh")
}
