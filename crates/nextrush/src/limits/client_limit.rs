//! Rate limits of a client, over its sockets and its HTTP requests.

use std::fmt;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use tower::{Layer, Service};

use crate::auth::authenticate;
use crate::http::address::network_of;
use crate::message::{Message, User, UserId};
use crate::seldom::Seldom;
use crate::socket::keyed_limit::KeyedLimit;
use crate::socket::rate_limit::{Exceeded, RateLimit};
use crate::socket::{ConnectionId, Socket};

/// The last line of the log of requests that are not counted.
static UNCOUNTED: Seldom = Seldom::new();

/// A rate limit of each user or of each address: one for all sockets and HTTP requests that it is
/// given to, however many of them a client has.
///
/// A cheap handle, made once and outside of the handlers: clones count together. For a socket it is a
/// [filter](Socket::filter), and for HTTP routes it is a tower layer. What is over the limit is
/// dropped or refused, and the client told when it may go on: by
/// `{"type":"error","message":"Rate limit exceeded","code":"rate-limited","retryAfterMs":…}`, over
/// HTTP with the status 429 and `Retry-After` in whole seconds.
///
/// ```
/// use std::time::Duration;
///
/// use nextrush::limits::{ClientLimit, SlidingWindow, TokenBucket};
/// use nextrush::{App, Authenticated, Message, Socket};
///
/// let messages = ClientLimit::per_user(TokenBucket::new(100, 200));
/// let requests = ClientLimit::per_address(SlidingWindow::new(600, Duration::from_secs(60)));
///
/// let mut app = App::new();
/// app.ws("/echo", move |socket: Socket, user: Authenticated| {
///     user.admit(&socket);
///     socket.filter(messages.filter());
///     socket.on_message(|socket: Socket, message: Message| socket.send(message));
/// });
/// app.layer(requests);
/// # let _: axum::Router = app.into_router();
/// ```
///
/// As [`KeyedLimit`], which it is for keys of your own, it counts 100,000 clients at once.
pub struct ClientLimit<L> {
    limit: KeyedLimit<Client, L>,
    by: By,
}

/// The client that is counted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Client {
    User(UserId),
    Address(IpAddr),
    Socket(ConnectionId),
}

#[derive(Clone, Copy, Debug)]
enum By {
    User,
    Address,
}

impl<L: Clone + RateLimit> ClientLimit<L> {
    /// Gives each user a copy of this limit. Who has no user, as an endpoint for everybody or a
    /// request without a token, is counted by address.
    ///
    /// As a layer it finds out by itself who the user is, in the way of
    /// [`Authenticated`](crate::Authenticated): it checks the token or asks the application once more.
    #[must_use]
    pub fn per_user(limit: L) -> Self {
        Self {
            limit: KeyedLimit::new(limit),
            by: By::User,
        }
    }

    /// Gives each client address a copy of this limit, of IPv6 the first 64 bits. Behind a proxy that
    /// is the proxy's, and the limit one for all its clients.
    ///
    /// Where the address is not known, as another server than [`App::listen`](crate::App::listen)
    /// serves the application, a socket counts by itself. A request is not counted there, and the log
    /// says so, unless the server gives axum's `ConnectInfo`. So it is on Unix sockets, too.
    #[must_use]
    pub fn per_address(limit: L) -> Self {
        Self {
            limit: KeyedLimit::new(limit),
            by: By::Address,
        }
    }

    /// A [filter](Socket::filter) that drops a socket's messages above the limit and tells the
    /// client.
    pub fn filter(&self) -> impl Fn(&Socket, &Message) -> ControlFlow<()> + Send + Sync + use<L>
    where
        L: Sync,
    {
        let limit = self.clone();
        move |socket, _| match limit.allow(&limit.of_socket(socket)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(exceeded) => {
                socket.send(exceeded.to_message());
                ControlFlow::Break(())
            }
        }
    }

    fn allow(&self, client: &Client) -> Result<(), Exceeded> {
        self.limit.allow(client, Instant::now())
    }

    fn of_socket(&self, socket: &Socket) -> Client {
        let user = match self.by {
            By::User => socket.user(),
            By::Address => None,
        };
        match (user, socket.address()) {
            (Some(user), _) => Client::User(user.id),
            (None, Some(address)) => Client::Address(address),
            (None, None) => Client::Socket(socket.id()),
        }
    }

    async fn of_request(&self, parts: &mut Parts) -> Option<Client> {
        // Whoever is refused later counts by address now.
        if let By::User = self.by
            && let Ok(Some(user)) = authenticate::<User>(parts).await
        {
            return Some(Client::User(user.claims.id));
        }
        parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(peer)| Client::Address(network_of(peer.ip())))
    }

    /// Counts a request.
    async fn admit(&self, parts: &mut Parts) -> Result<(), Exceeded> {
        let Some(client) = self.of_request(parts).await else {
            if UNCOUNTED.is_due() {
                tracing::error!("a rate limit does not count requests, whose address is not known");
            }
            return Ok(());
        };
        self.allow(&client)
    }
}

impl<L> Clone for ClientLimit<L> {
    fn clone(&self) -> Self {
        Self {
            limit: self.limit.clone(),
            by: self.by,
        }
    }
}

impl<L> fmt::Debug for ClientLimit<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientLimit")
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

impl<L, S> Layer<S> for ClientLimit<L> {
    type Service = Limited<L, S>;

    fn layer(&self, inner: S) -> Limited<L, S> {
        Limited {
            limit: self.clone(),
            inner,
        }
    }
}

/// A service behind a [`ClientLimit`].
#[derive(Debug)]
pub struct Limited<L, S> {
    limit: ClientLimit<L>,
    inner: S,
}

impl<L, S: Clone> Clone for Limited<L, S> {
    fn clone(&self) -> Self {
        Self {
            limit: self.limit.clone(),
            inner: self.inner.clone(),
        }
    }
}

impl<L, S> Service<Request> for Limited<L, S>
where
    L: Clone + RateLimit + Sync,
    S: Service<Request, Response = Response, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let limit = self.limit.clone();
        // The one that is ready, and not its clone.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        async move {
            let (mut parts, body) = request.into_parts();
            match limit.admit(&mut parts).await {
                Ok(()) => inner.call(Request::from_parts(parts, body)).await,
                Err(exceeded) => Ok(exceeded.into_response()),
            }
        }
        .boxed()
    }
}

/// 429 with the error that a client is told, and `Retry-After` in whole seconds.
impl IntoResponse for Exceeded {
    fn into_response(self) -> Response {
        let seconds = self.retry_after_ms().div_ceil(1000);
        let headers = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
        let body = axum::Json(self.to_message());
        (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_waits_for_as_many_seconds_as_a_refusal_says_gets_through() {
        for (ms, seconds) in [(1, "1"), (1_000, "1"), (1_001, "2"), (3_600_000, "3600")] {
            let response = Exceeded::new(Duration::from_millis(ms)).into_response();
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(response.headers()["retry-after"], seconds, "{ms}");
        }
    }
}
