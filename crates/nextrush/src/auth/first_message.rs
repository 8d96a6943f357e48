//! The token in a socket's first message.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use nextrush_protocol::Limits;
use serde::Deserialize;

use super::error::AuthError;
use super::jwt::Jwt;
use super::token::in_query;
use crate::message::Message;

/// The default of [`TokenMessage::within`].
const WITHIN: Duration = Duration::from_secs(10);
/// The longest first message: a token with room for escapes, and what is around it.
const MOST: usize = 2 * Jwt::MAX_TOKEN;

/// The permission to bring a token in a socket's first message, for clients that can neither set
/// headers nor offer subprotocols, and that want no token in an address. For a layer
/// `Extension(TokenMessage::default())` around a route; [`App::token_message`](crate::App::token_message)
/// sets one for all routes.
///
/// A client asks for it by `?auth=message` in the address of its WebSocket, and sends
/// `{"type":"auth","token":"…"}` as its first message, a text of at most 16 KiB. What it sends behind it
/// waits until the token is checked. The extractors of the endpoint run then, so
/// [`Authenticated`](crate::Authenticated) and [`auth::token`](super::token()) have the token as if it had
/// come with the request. There is no answer to a token that is accepted, but what the endpoint sends.
///
/// - Anything else as first message is refused as a request without a token:
///   `{"type":"error","message":"Authentication required","code":"authentication-required"}` and 1008.
/// - Without a message in [time](Self::within) the client is told `authentication-timeout`, and the
///   socket closed with 3008.
/// - A first message that is too long closes the socket with 1009.
/// - What an extractor refuses is sent as the message that the answer over HTTP would have had, with
///   1008, 1013 where a later attempt may succeed, or 1011 where the server failed.
///
/// A request that has `?token=` or `?ticket=` beside `?auth=message` is refused; a token in a header or a
/// cookie is not looked at.
///
/// # Cost
///
/// A stranger may hold a socket for that time, with the memory of one. It counts among the connections
/// of the [engine](crate::limits::EngineConfig::connections) and of its
/// [address](crate::Listen::connections_per_address) like any other. It is in no room, and gets nothing that is
/// sent to [all](crate::Handle::all). Layers of the route see a request without a token: a
/// [limit per user](crate::limits::ClientLimit::per_user) counts the address.
///
/// ```
/// use nextrush::auth::TokenMessage;
/// use nextrush::{App, Authenticated, Jwt, Socket};
///
/// let mut app: App = App::new();
/// app.jwt(Jwt::hs256("a secret of at least 32 bytes, from outside"));
/// app.token_message(TokenMessage::default());
/// app.ws("/live", |socket: Socket, user: Authenticated| {
///     let user = user.admit(&socket);
///     socket.send(format!("Welcome, {}!", user.email));
/// });
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TokenMessage {
    /// The time from the upgrade in which the message has to come. Default: 10 s.
    pub within: Duration,
}

impl TokenMessage {
    /// Sets [`within`](Self::within).
    #[must_use]
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The limits of the first message of a socket that has these limits later.
    pub(crate) fn limits(self, later: Limits) -> Limits {
        Limits::message(later.message.min(MOST)).frame(later.frame.min(MOST))
    }
}

impl Default for TokenMessage {
    fn default() -> Self {
        Self { within: WITHIN }
    }
}

/// The token of a socket's first message, among the extensions of the request that opened it.
#[derive(Clone)]
pub(crate) struct FirstToken(pub(super) Arc<str>);

impl FirstToken {
    /// Reads a first message; `None` if it has no token.
    pub(crate) fn read(message: &Message) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(tag = "type", rename_all = "kebab-case")]
        enum First {
            Auth { token: String },
        }

        let First::Auth { token } = serde_json::from_str(message.as_text()?).ok()?;
        (!token.is_empty()).then(|| Self(token.into()))
    }
}

/// The permission to wait for the token of a request, if it has one and asks for it.
pub(crate) fn awaited(request: &Parts) -> Result<Option<TokenMessage>, AuthError> {
    let Some(allowed) = request.extensions.get::<TokenMessage>() else {
        return Ok(None);
    };
    if in_query(request, "auth")?.as_deref() != Some("message") {
        return Ok(None);
    }
    for other in ["token", "ticket"] {
        if in_query(request, other)?.is_some() {
            return Err(AuthError::Several);
        }
    }
    Ok(Some(*allowed))
}
