//! The application: an axum router that also has WebSocket routes.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, Route, delete, get, patch, post, put};
use nextrush_broker::{Broker, MemoryBroker};
use nextrush_engine::{Engine, EngineConfig, SocketOptions};
use tower::util::{MapRequestLayer, MapResponseLayer, option_layer};
use tower::{Layer, Service};

use crate::auth::{Authenticate, Authenticator, Jwt, TokenCookie, TokenMessage};
use crate::http::origin::OriginPolicy;
use crate::http::{hidden, subprotocol};
use crate::message::Refused;
use crate::node::line::Line;
use crate::node::wire;
use crate::server::{Listen, ToAddr};
use crate::socket::audience::Audience;
use crate::socket::handle::Handle;
use crate::socket::join::ROOMS_PER_SOCKET;
use crate::topic::Topic;
use crate::trace::{DEFAULT_BYTES, Record};
use crate::upgrade::endpoint::Endpoint;
use crate::upgrade::pattern;
use crate::upgrade::ws;

/// An application: HTTP routes and WebSocket routes side by side.
///
/// An axum [`Router`] underneath: every axum handler, extractor and tower layer
/// works unchanged, an existing router can be [merged](App::merge) in, and
/// [`into_router`](App::into_router) gives one that any axum server can serve.
///
/// Patterns are written as in the guide (`/rooms/:roomId`) or as in axum
/// (`/rooms/{roomId}`).
///
/// ```no_run
/// use nextrush::{App, Message, Socket};
///
/// #[tokio::main]
/// async fn main() -> nextrush::Result {
///     let mut app = App::new();
///
///     app.ws("/chat", async |socket: Socket| {
///         socket.send("Welcome to the chat!");
///         socket.on_message(async |socket: Socket, message: Message| {
///             socket.send(format!("Echo: {message}"));
///         });
///     });
///
///     app.listen(3000).await
/// }
/// ```
///
/// `S` is the state of routes that still need one, as in [`Router`]; see
/// [`with_state`](App::with_state).
pub struct App<S = ()> {
    router: Router<S>,
    handle: Handle,
    options: Option<SocketOptions>,
    origins: Option<OriginPolicy>,
    jwt: Option<Jwt>,
    token_cookie: Option<TokenCookie>,
    token_message: Option<TokenMessage>,
    authenticator: Option<Authenticator>,
}

impl<S: Clone + Send + Sync + 'static> App<S> {
    /// An application without routes, on the memory broker and with one shard
    /// thread per core.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Chooses the engine's configuration and the broker of an application.
    ///
    /// ```
    /// use nextrush::App;
    /// use nextrush::limits::EngineConfig;
    ///
    /// let engine = EngineConfig::default().connections(10_000);
    /// let app: App = App::builder().engine(engine).build();
    /// ```
    #[must_use]
    pub fn builder() -> AppBuilder<S> {
        AppBuilder {
            engine: EngineConfig::default(),
            broker: None,
            version: wire::VERSION,
            has_shared_rooms: true,
            rooms_per_socket: ROOMS_PER_SOCKET,
            trace_record: DEFAULT_BYTES,
            state: PhantomData,
        }
    }

    /// Adds a WebSocket route: `app.route(pattern, ws(handler))`, with the pattern as it is
    /// written here as the endpoint's name. See [`ws`](crate::ws()) for refusals and settings, and
    /// [`Endpoint`] for what a handler may be.
    ///
    /// # Panics
    ///
    /// Panics on an invalid pattern and when a route with the same pattern and
    /// method exists, as axum does.
    pub fn ws<M: 'static>(&mut self, pattern: &str, endpoint: impl Endpoint<S, M>) -> &mut Self {
        self.route(pattern, ws::with_pattern(endpoint, pattern))
    }

    /// Sets the limits and times of all WebSocket routes of the application: message size,
    /// heartbeat, backlog and so on. An `Extension(options)` layer around a route holds for
    /// that alone; see [`ws`](crate::ws#settings).
    pub fn options(&mut self, options: SocketOptions) -> &mut Self {
        self.options = Some(options);
        self
    }

    /// Sets which web pages may open the application's WebSocket routes: by default those of
    /// the same origin. An `Extension(origins)` layer around a route holds for that alone; see
    /// [`ws`](crate::ws#settings).
    pub fn origins(&mut self, origins: OriginPolicy) -> &mut Self {
        self.origins = Some(origins);
        self
    }

    /// Sets the key and rules by which [`Authenticated`](crate::Authenticated)
    /// checks tokens, for all routes of the application. An `Extension(jwt)` layer around a
    /// route holds for that alone.
    pub fn jwt(&mut self, jwt: Jwt) -> &mut Self {
        self.jwt = Some(jwt);
        self
    }

    /// Sets the name of a cookie in which the token may come, for all routes of the application; by
    /// default it comes in none. It is looked at last.
    ///
    /// A browser sends cookies along with the requests of any page. So a token in a cookie counts where
    /// the page passes the check of [origins](Self::origins), for WebSockets and for HTTP requests
    /// alike, and is not seen else. With [`OriginPolicy::Any`] it counts for pages of the server's own
    /// origin. Set the cookie with `HttpOnly`, `Secure` and `SameSite=Lax` or `Strict`. For names
    /// that begin with `__Host-` browsers check some of it.
    ///
    /// An `Extension(TokenCookie::new("jwt"))` layer around a route holds for that alone.
    ///
    /// # Panics
    ///
    /// Panics on a text that no cookie can be named.
    #[track_caller]
    pub fn token_cookie(&mut self, name: &str) -> &mut Self {
        self.token_cookie = Some(TokenCookie::new(name));
        self
    }

    /// Lets clients bring their token in their first message, on all WebSocket routes of the application;
    /// by default none may. See [`TokenMessage`] for what they do, and for what it costs.
    ///
    /// An `Extension(TokenMessage::default())` layer around a route holds for that alone.
    pub fn token_message(&mut self, allowed: TokenMessage) -> &mut Self {
        self.token_message = Some(allowed);
        self
    }

    /// Sets how [`Authenticated`](crate::Authenticated) finds out who sends a request, in place of a
    /// [`Jwt`], for all routes of the application: by a session cookie, an API key, or whatever a
    /// function of the request says. See [`Authenticate`] for what may be given.
    ///
    /// An `Extension(Authenticator::new(…))` layer around a route holds for that alone, and an
    /// `Extension(Authenticator::<MyClaims>::new(…))` for claims of your own.
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use nextrush::{App, Authenticated, Socket, User};
    ///
    /// let mut app = App::new();
    /// app.authenticate(async |request: Parts| {
    ///     let key = request.headers.get("x-api-key")?;
    ///     (key == "robot-1").then(|| User::new("robot-1", "robot@example.com"))
    /// });
    /// app.ws("/robots", |socket: Socket, user: Authenticated| {
    ///     user.admit(&socket);
    /// });
    /// # let _: axum::Router = app.into_router();
    /// ```
    pub fn authenticate(&mut self, way: impl Authenticate) -> &mut Self {
        self.authenticator = Some(Authenticator::new(way));
        self
    }

    /// Adds a route for GET and HEAD requests.
    pub fn get<H: Handler<T, S>, T: 'static>(&mut self, pattern: &str, handler: H) -> &mut Self {
        self.route(pattern, get(handler))
    }

    /// Adds a route for POST requests.
    pub fn post<H: Handler<T, S>, T: 'static>(&mut self, pattern: &str, handler: H) -> &mut Self {
        self.route(pattern, post(handler))
    }

    /// Adds a route for PUT requests.
    pub fn put<H: Handler<T, S>, T: 'static>(&mut self, pattern: &str, handler: H) -> &mut Self {
        self.route(pattern, put(handler))
    }

    /// Adds a route for DELETE requests.
    pub fn delete<H: Handler<T, S>, T: 'static>(&mut self, pattern: &str, handler: H) -> &mut Self {
        self.route(pattern, delete(handler))
    }

    /// Adds a route for PATCH requests.
    pub fn patch<H: Handler<T, S>, T: 'static>(&mut self, pattern: &str, handler: H) -> &mut Self {
        self.route(pattern, patch(handler))
    }

    /// Adds a route with handlers for any methods; see [`Router::route`].
    ///
    /// # Panics
    ///
    /// Panics on an invalid pattern and when a handler for the same pattern and
    /// method exists.
    pub fn route(&mut self, pattern: &str, methods: MethodRouter<S>) -> &mut Self {
        let methods = methods.layer(behind_layers());
        self.change(|router| router.route(&pattern::to_axum(pattern), methods))
    }

    /// Adds all routes of an axum router; see [`Router::merge`].
    pub fn merge(&mut self, router: impl Into<Router<S>>) -> &mut Self {
        self.change(|own| own.merge(router.into().layer(behind_layers())))
    }

    /// Adds all routes of an axum router below a path; see [`Router::nest`].
    pub fn nest(&mut self, pattern: &str, router: impl Into<Router<S>>) -> &mut Self {
        let router = router.into().layer(behind_layers());
        self.change(|own| own.nest(&pattern::to_axum(pattern), router))
    }

    /// Answers requests that no route matches; see [`Router::fallback`].
    pub fn fallback<H: Handler<T, S>, T: 'static>(&mut self, handler: H) -> &mut Self {
        self.change(|router| router.fallback(handler.layer(behind_layers())))
    }

    /// Wraps the routes added so far, WebSocket routes included, in a tower
    /// layer; see [`Router::layer`].
    pub fn layer<L>(&mut self, layer: L) -> &mut Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.change(|router| router.layer(layer))
    }

    /// Gives the routes the state that their `State` extractors take; see
    /// [`Router::with_state`].
    #[must_use]
    pub fn with_state<S2>(self, state: S) -> App<S2> {
        App {
            router: self.router.with_state(state),
            handle: self.handle,
            options: self.options,
            origins: self.origins,
            jwt: self.jwt,
            token_cookie: self.token_cookie,
            token_message: self.token_message,
            authenticator: self.authenticator,
        }
    }

    /// The application's live side, to keep and to use from anywhere.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The members of one room; see [`Handle::room`].
    #[must_use]
    pub fn room(&self, name: impl AsRef<str>) -> Audience {
        self.handle.room(name)
    }

    /// The members of any of several rooms; see [`Handle::rooms`].
    #[must_use]
    pub fn rooms<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Audience {
        self.handle.rooms(names)
    }

    /// Every open socket; see [`Handle::all`].
    #[must_use]
    pub fn all(&self) -> Audience {
        self.handle.all()
    }

    /// A topic that remembers; see [`Handle::topic`].
    #[must_use]
    #[track_caller]
    pub fn topic(&self, name: &str) -> Topic {
        self.handle.topic(name)
    }

    /// The application as an axum router: to serve it with another server, or to
    /// merge it into another router. Its [layers](Self::layer) see no secrets of a request, so that
    /// none of them logs a token: headers that carry them are marked as
    /// [sensitive](http::HeaderValue::set_sensitive), and addresses have `?token=hidden` and
    /// `?ticket=hidden`. Handlers and the layers of routers that were [merged](Self::merge) see the
    /// address as it was sent, and [`auth::token`](crate::auth::token) reads it in layers too. Whoever
    /// serves it closes the sockets at the
    /// end with [`Handle::close_all`].
    pub fn into_router(self) -> Router<S> {
        let app = self.handle.clone();
        let count = move |response: Response| {
            if let Some(refused) = response.extensions().get::<Refused>() {
                app.tally().refused(*refused);
            }
            response
        };
        // Outside of the layers that the application has added, which win.
        self.router.layer((
            MapRequestLayer::new(hide_secrets as fn(_) -> _),
            MapResponseLayer::new(count),
            Extension(self.handle),
            option_layer(self.options.map(Extension)),
            option_layer(self.origins.map(Extension)),
            option_layer(self.jwt.map(Extension)),
            option_layer(self.token_cookie.map(Extension)),
            option_layer(self.token_message.map(Extension)),
            option_layer(self.authenticator.map(Extension)),
        ))
    }

    /// Serves the application, which has been given its [state](App::with_state) if its routes
    /// need one. A port number stands for that port on every
    /// interface, as in Node; give an address such as `"127.0.0.1:3000"` to
    /// narrow it.
    ///
    /// Awaiting the result serves until the process is told to stop (Ctrl-C or
    /// SIGTERM), then sends every client away with 1012 and returns;
    /// [`Listen::start`] gives a [`Server`](crate::Server) to be closed by hand.
    ///
    /// ```
    /// # async fn example() -> nextrush::Result {
    /// use nextrush::App;
    ///
    /// let server = App::new().listen(0).start().await?;
    /// println!("listening on port {}", server.address().port());
    /// server.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn listen(self, addr: impl ToAddr) -> Listen
    where
        Self: HasState,
    {
        let app = self.with_all_state();
        let handle = app.handle.clone();
        Listen::new(app.into_router(), handle, addr.to_addr())
    }

    fn change(&mut self, change: impl FnOnce(Router<S>) -> Router<S>) -> &mut Self {
        self.router = change(std::mem::take(&mut self.router));
        self
    }
}

/// Hides the secrets of a request from the application's layers.
fn hide_secrets(mut request: Request) -> Request {
    hidden::hide(&mut request);
    subprotocol::hide_secrets(request)
}

/// The layer between the application's own layers and a handler, which sees the whole address.
fn behind_layers() -> MapRequestLayer<fn(Request) -> Request> {
    MapRequestLayer::new(hidden::restore)
}

/// An application whose routes have the state that they need.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the routes of this application still need their state: it is an `{Self}`",
    label = "call `with_state` before this",
    note = "`app.with_state(state).listen(3000)` gives handlers what their `State` extractors take"
)]
pub trait HasState {
    fn with_all_state(self) -> App;
}

impl HasState for App {
    fn with_all_state(self) -> App {
        self
    }
}

/// An application before it has routes; made by [`App::builder`].
pub struct AppBuilder<S = ()> {
    engine: EngineConfig,
    broker: Option<Arc<dyn Broker>>,
    /// The highest version of messages between nodes that is written.
    version: u8,
    has_shared_rooms: bool,
    rooms_per_socket: usize,
    trace_record: usize,
    state: PhantomData<fn() -> S>,
}

impl<S: Clone + Send + Sync + 'static> AppBuilder<S> {
    /// Sets how many threads serve sockets and how many connections there may be.
    #[must_use]
    pub fn engine(mut self, config: EngineConfig) -> Self {
        self.engine = config;
        self
    }

    /// Sets the broker that keeps what topics remember. Default: a [`MemoryBroker`].
    #[must_use]
    pub fn broker(mut self, broker: impl Broker) -> Self {
        self.broker = Some(Arc::new(broker));
        self
    }

    /// Puts something around the broker, by which a test watches it and slows it down.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    #[must_use]
    pub fn wrap_broker(mut self, wrap: impl FnOnce(Arc<dyn Broker>) -> Arc<dyn Broker>) -> Self {
        let broker = self.broker.take();
        let broker = broker.unwrap_or_else(|| Arc::new(MemoryBroker::new()));
        self.broker = Some(wrap(broker));
        self
    }

    /// Lets rooms and users have the sockets of this node alone, although other nodes share the
    /// broker: [`Audience`] then speaks for this node only. By default it speaks for all of them.
    #[must_use]
    pub fn local_rooms(mut self) -> Self {
        self.has_shared_rooms = false;
        self
    }

    /// Sets the most rooms that one socket can be in, after which [`Socket::join`](crate::Socket::join)
    /// fails with [`TooManyRooms`](crate::room::JoinError::TooManyRooms). Default: 100.
    #[must_use]
    pub fn rooms_per_socket(mut self, rooms: usize) -> Self {
        self.rooms_per_socket = rooms;
        self
    }

    /// Sets the bytes that this node's record of subscriptions takes at most, of which
    /// [`trace`](crate::trace) makes its verdicts. Default: 4 MiB, which is some 8,000 subscriptions
    /// with their ends; what is older is forgotten. 0 records nothing.
    #[must_use]
    pub fn trace_record(mut self, bytes: usize) -> Self {
        self.trace_record = bytes;
        self
    }

    /// Sets the version of messages between nodes that this node writes at most; for tests of
    /// deployments in which nodes of two versions run beside each other.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    #[must_use]
    pub fn node_version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    /// An application without routes. Its threads start with the first connection.
    #[must_use]
    pub fn build(self) -> App<S> {
        let broker = self.broker.unwrap_or_else(|| Arc::new(MemoryBroker::new()));
        let line = Line::new(&*broker, self.version);
        App {
            router: Router::new(),
            handle: Handle::new(
                Engine::new(self.engine),
                broker,
                line,
                self.has_shared_rooms,
                self.rooms_per_socket,
                Record::new(self.trace_record),
            ),
            options: None,
            origins: None,
            jwt: None,
            token_cookie: None,
            token_message: None,
            authenticator: None,
        }
    }
}

impl<S> fmt::Debug for AppBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppBuilder")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync + 'static> Default for App<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> AsRef<Handle> for App<S> {
    fn as_ref(&self) -> &Handle {
        &self.handle
    }
}

impl<S> fmt::Debug for App<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("handle", &self.handle)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
