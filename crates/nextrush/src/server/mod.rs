//! Serving an application: addresses, TLS, the accept loop, and an orderly end.
//!
//! [`App::listen`](crate::App::listen) gives a [`Listen`]; awaiting that serves until the process
//! is told to stop, [`Listen::start`] gives a [`Server`] to be closed by hand.

mod listener;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use nextrush_protocol::CloseCode;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use self::listener::OpenSocket;
use self::listener::{Accepted, Listener};
pub use crate::addr::{BoundAddr, InvalidAddr, ListenAddr};
use crate::error::{Error, Result};
use crate::http::HEAD_LIMIT;
use crate::http::address::{Addresses, Admission, ConnectionLimit};
pub use crate::http::base_path::{BasePath, InvalidBasePath};
use crate::http::connection::{Client, Http};
use crate::http::proxies::Proxies;
pub use crate::http::proxies::{InvalidProxy, TrustedProxy};
use crate::http::request_body::BodyTimes;
#[cfg(feature = "tls")]
pub use crate::http::tls::{TlsConfig, TlsError};
use crate::socket::handle::Handle;

/// The longest time that a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause between two requests: balancers end idle connections themselves after 60 s, and
/// a request that crosses the end of its connection is lost.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// The most connections of one client address.
const CONNECTIONS_PER_ADDRESS: usize = 10_000;
/// The time that a closing server waits for its clients.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The time within which the broker finishes what is under way.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that a closing server waits for the store to take who has gone.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time over which the clients of a server that was told to stop come back.
const DRAIN_WINDOW: Duration = Duration::from_secs(5);
/// The time from the signal to the drain, in which balancers notice.
const DRAIN_DELAY: Duration = Duration::from_secs(2);
/// The time between two looks at the files of a certificate.
#[cfg(feature = "tls")]
const TLS_WATCH: Duration = Duration::from_secs(60);
/// The pause of the accept loop when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A place to listen on: a port on every interface, an address, or its text.
pub trait ToAddr {
    /// The address.
    ///
    /// # Errors
    ///
    /// Fails when a text is no address.
    fn to_addr(self) -> Result<ListenAddr>;
}

impl ToAddr for ListenAddr {
    fn to_addr(self) -> Result<ListenAddr> {
        Ok(self)
    }
}

impl ToAddr for u16 {
    fn to_addr(self) -> Result<ListenAddr> {
        Ok(ListenAddr::Port(self))
    }
}

impl ToAddr for SocketAddr {
    fn to_addr(self) -> Result<ListenAddr> {
        Ok(ListenAddr::Exactly(self))
    }
}

impl ToAddr for (IpAddr, u16) {
    fn to_addr(self) -> Result<ListenAddr> {
        Ok(ListenAddr::Exactly(self.into()))
    }
}

impl ToAddr for &str {
    fn to_addr(self) -> Result<ListenAddr> {
        self.parse().map_err(Error::Address)
    }
}

/// An application that is about to listen; made by [`App::listen`](crate::App::listen).
///
/// Awaiting it serves until Ctrl-C, SIGTERM or SIGQUIT, and ignores SIGHUP. Nothing happens before.
///
/// Clients may speak HTTP/1.1 or HTTP/2, the latter without TLS if they know that it is
/// understood; WebSocket connections come over either (RFC 6455, RFC 8441). One connection of HTTP/2
/// may carry 128 requests and sockets at once.
#[must_use = "nothing is served before this is awaited or started"]
pub struct Listen {
    router: Router,
    handle: Handle,
    addrs: Result<Vec<ListenAddr>>,
    sockets: Vec<OpenSocket>,
    head_timeout: Duration,
    head_bytes: usize,
    keep_alive: Duration,
    body_times: BodyTimes,
    connections_per_address: ConnectionLimit,
    proxies: Proxies,
    has_proxy_headers: bool,
    base_path: BasePath,
    drain_delay: Duration,
    #[cfg(feature = "tls")]
    tls: Option<TlsConfig>,
}

impl Listen {
    pub(crate) fn new(router: Router, handle: Handle, addr: Result<ListenAddr>) -> Self {
        Self {
            router,
            handle,
            addrs: addr.map(|addr| vec![addr]),
            sockets: Vec::new(),
            head_timeout: HEAD_TIMEOUT,
            head_bytes: HEAD_LIMIT,
            keep_alive: KEEP_ALIVE,
            body_times: BodyTimes::default(),
            connections_per_address: CONNECTIONS_PER_ADDRESS.into(),
            proxies: Proxies::default(),
            has_proxy_headers: false,
            base_path: BasePath::default(),
            drain_delay: DRAIN_DELAY,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Listens on a further address, with the same settings.
    ///
    /// ```
    /// # async fn example() -> nextrush::Result {
    /// use nextrush::App;
    ///
    /// App::new().listen("127.0.0.1:3000").and("unix:/run/nextrush.sock").await
    /// # }
    /// ```
    pub fn and(mut self, addr: impl ToAddr) -> Self {
        self.addrs = self.addrs.and_then(|mut addrs| {
            addrs.push(addr.to_addr()?);
            Ok(addrs)
        });
        self
    }

    /// Serves on sockets that listen already, in place of the addresses, if there are any: those that a
    /// service manager has opened, which keeps them across a restart, so that clients wait in their queue and are
    /// not refused. The file of a Unix socket among them stays.
    ///
    /// ```
    /// # async fn example() -> Result<(), nextrush::BoxError> {
    /// use nextrush::App;
    ///
    /// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let server = App::new().listen(3000).sockets([socket.into()]).start().await?;
    /// # server.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sockets(mut self, sockets: impl IntoIterator<Item = OpenSocket>) -> Self {
        self.sockets.extend(sockets);
        self
    }

    /// Serves TLS, and nothing else, on all ports; Unix sockets go without. Needs the feature
    /// `tls`.
    ///
    /// Requests carry `X-Forwarded-Proto: https` then, whatever the client sent there, as
    /// behind a proxy that ends TLS. A [trusted proxy](Self::trusted_proxies) may say otherwise.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: impl Into<TlsConfig>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Sets the time from connecting to the end of the head of the first request, the TLS
    /// handshake included. A slower client is answered with 408 if it has begun a request, and the
    /// connection is closed. Default: 10 s.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// Sets the bytes that the head of a request may have: its first line and its headers, with the
    /// token and the cookies in them. A longer one is answered with 431. Default: 16 KiB; less than
    /// 8 KiB are taken as 8 KiB.
    pub fn head_bytes(mut self, bytes: usize) -> Self {
        self.head_bytes = bytes;
        self
    }

    /// Sets the longest pause between two requests of a connection, up to the end of the second
    /// one's head, after which the connection is ended, over HTTP/1.1 with 408 if a request was begun. Default: 75 s,
    /// as balancers keep idle connections for 60 s: the one behind should be the later to end them,
    /// or a request is lost that crosses the end. A pause below the
    /// [time for the head](Self::head_timeout) may last as long as that.
    pub fn keep_alive(mut self, pause: Duration) -> Self {
        self.keep_alive = pause;
        self
    }

    /// Sets the time that a client may take for the body of a request while a handler waits for it:
    /// `progress` without a byte, and `whole` in all. A slower one is answered with 408. Default:
    /// 10 s and 30 s; an application that takes large uploads needs more.
    pub fn body_timeouts(mut self, progress: Duration, whole: Duration) -> Self {
        self.body_times = BodyTimes { progress, whole };
        self
    }

    /// Sets the most connections of one client address; sockets count until they have ended,
    /// those over HTTP/2 one by one beside the connection that carries them. A further one
    /// is answered with 429, and beyond twice the limit without waiting for what it asks; over TLS
    /// it is dropped then.
    /// For IPv6 the first 64 bits are the address. Default: 10,000.
    ///
    /// Behind a proxy all clients have the proxy's address: name it among the
    /// [trusted proxies](Self::trusted_proxies), so that each client counts by its own. What counts
    /// then are its sockets and the requests that are being answered, not the proxy's connections.
    ///
    /// A number is as good as a [`ConnectionLimit`], which can be changed later.
    pub fn connections_per_address(mut self, limit: impl Into<ConnectionLimit>) -> Self {
        self.connections_per_address = limit.into();
        self
    }

    /// Takes the word of these proxies about the clients behind them, by `X-Forwarded-For`,
    /// `X-Forwarded-Proto` and `X-Forwarded-Host`, or by `Forwarded` (RFC 7239). Default: none.
    ///
    /// The client is the last address of the list that is not a trusted proxy: what stands before it
    /// anybody could have written. It counts for [limits](Self::connections_per_address), is
    /// [`Socket::address`](crate::Socket::address) and the `ConnectInfo` of requests. A request of a proxy
    /// has the one scheme in `X-Forwarded-Proto` and the host in `Host` that its client used, as far
    /// as the proxy says so; the check of the origin compares with these. Where `Forwarded` and
    /// `X-Forwarded-For` name two clients neither is believed, and the log says so.
    ///
    /// From a request of anybody else these four headers are taken out, so that handlers are not
    /// told by a client who it is.
    ///
    /// ```
    /// # async fn example() -> Result<(), nextrush::BoxError> {
    /// use nextrush::App;
    ///
    /// let listen = App::new().listen("10.0.0.2:3000");
    /// listen.trusted_proxies(["10.0.0.1".parse()?]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = TrustedProxy>) -> Self {
        self.proxies = proxies.into_iter().collect();
        self
    }

    /// Expects a header of the PROXY protocol, version 1 or 2, at the beginning of each connection of a
    /// [trusted proxy](Self::trusted_proxies), before TLS, and takes the client's address from it, as with
    /// a balancer for TCP. A connection of such a proxy without one is closed, and so is one whose header is
    /// longer than 4 KiB or not there in the [time for the head](Self::head_timeout). Connections of anybody else
    /// have none. Default: not expected.
    ///
    /// If the address is that of a trusted proxy again, its requests' headers tell of its clients.
    pub fn proxy_protocol(mut self) -> Self {
        self.has_proxy_headers = true;
        self
    }

    /// Serves everything below a path as well, for a proxy that passes it on: with `/chat`, a request
    /// for `/chat/live` is one for `/live`, and one for `/chat` is led to `/chat/`. Handlers are given the path
    /// without it, and as it was in axum's `OriginalUri`. Default: the root alone.
    ///
    /// Requests without the path are served all the same, as those of balancers that ask for
    /// `/healthz`; a proxy that takes it off needs no setting.
    pub fn base_path(mut self, path: BasePath) -> Self {
        self.base_path = path;
        self
    }

    /// Sets the time between SIGTERM or SIGQUIT and the [drain](Server::drain), in which everything is
    /// served as before while [`Handle::is_draining`] is true, so that health checks fail and balancers
    /// send nobody else; answers over HTTP/1.1 end their connections. A second signal ends it, and for
    /// Ctrl-C there is none. Default: 2 s; a balancer that asks less often needs more.
    ///
    /// It is a part of [`Server::run_until_signal`] and of awaiting this;
    /// [`Server::close`] and [`Server::drain`] have none.
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.drain_delay = delay;
        self
    }

    /// Begins to listen and serves in the background.
    ///
    /// # Errors
    ///
    /// Fails when an address is invalid or cannot be listened on, and when the application
    /// cannot be one of the nodes that share its broker: one of them is too old or too new, or
    /// they cannot be known.
    pub async fn start(self) -> Result<Server> {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        let addrs = match self.sockets.is_empty() {
            true => self.addrs?,
            false => Vec::new(),
        };
        for socket in self.sockets {
            let listener = Listener::adopt(socket)?;
            addresses.push(listener.address().map_err(Error::Adopt)?);
            listeners.push(listener);
        }
        for addr in addrs {
            for listener in Listener::bind(&addr).await? {
                let bound = listener.address().map_err(|source| Error::Bind {
                    addr: addr.clone(),
                    source,
                })?;
                addresses.push(bound);
                listeners.push(listener);
            }
        }
        self.handle.join_nodes().await?;
        let (stop, stopped) = watch::channel(());
        let draining = self.handle.clone();
        let counting = self.handle.clone();
        let http = Http {
            // Makes each route ready now, and not for each request.
            router: self.router.with_state(()),
            addresses: Addresses::new(self.connections_per_address),
            proxies: self.proxies,
            has_proxy_headers: self.has_proxy_headers,
            base_path: self.base_path,
            is_draining: Arc::new(move || draining.is_draining()),
            count_refusal: Arc::new(move |refused| counting.tally().refused(refused)),
            head_timeout: self.head_timeout,
            head_bytes: self.head_bytes,
            keep_alive: self.keep_alive,
            body_times: self.body_times,
            #[cfg(feature = "tls")]
            tls: self.tls.as_ref().map(TlsConfig::acceptor),
        };
        let http = Arc::new(http);
        let accept = |listener| accept_loop(listener, Arc::clone(&http), stopped.clone());
        let accepting = join_all(listeners.into_iter().map(accept));
        let handle = self.handle.clone();
        let accepting = tokio::spawn(async move {
            let mut alarm = Alarm(Some(&handle));
            tokio::select! {
                _ = accepting => {}
                () = handle.accept_loop_ends() => panic!("ended on purpose"),
            }
            alarm.0 = None;
        });
        let handle = self.handle.clone();
        let warning = tokio::spawn(async move { handle.warn_of_unclaimed_topics().await });
        let handle = self.handle.clone();
        let watching = tokio::spawn(async move {
            let part = handle.broker().failed().await;
            handle.engine().fail(part);
        });
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.clone() {
            tokio::spawn(watch_certificate(tls, stopped));
        }
        for address in &addresses {
            tracing::info!(%address, "listening");
        }
        Ok(Server {
            addresses,
            handle: self.handle,
            stop,
            accepting,
            warning,
            watching,
            drain_delay: self.drain_delay,
            #[cfg(feature = "tls")]
            tls: self.tls,
            hangup: Box::new(|| tracing::info!("SIGHUP does not end the server")),
        })
    }
}

impl IntoFuture for Listen {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.start().await?.run_until_signal().await })
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen")
            .field("addrs", &self.addrs)
            .field("head_timeout", &self.head_timeout)
            .field("connections_per_address", &self.connections_per_address)
            .finish_non_exhaustive()
    }
}

/// A running server. Dropping it stops accepting and leaves the open sockets
/// alone; [`close`](Self::close) ends them in order. With the last handle of the
/// application and the last open socket its threads end too.
pub struct Server {
    addresses: Vec<BoundAddr>,
    handle: Handle,
    stop: watch::Sender<()>,
    accepting: JoinHandle<()>,
    /// Ends by itself, but uses the broker, which must be free when the server has closed.
    warning: JoinHandle<()>,
    /// Waits for the broker to fail.
    watching: JoinHandle<()>,
    drain_delay: Duration,
    #[cfg(feature = "tls")]
    tls: Option<TlsConfig>,
    /// Called for each SIGHUP.
    hangup: Box<dyn FnMut() + Send>,
}

impl Server {
    /// The first TCP address that the server listens on, with the port it was given;
    /// `0.0.0.0:0` if it listens on Unix sockets alone.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses
            .iter()
            .find_map(BoundAddr::tcp)
            .unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// All addresses that the server listens on, in the order in which they were given.
    #[must_use]
    pub fn addresses(&self) -> &[BoundAddr] {
        &self.addresses
    }

    /// Calls `hangup` for each SIGHUP that comes while the server
    /// [runs](Self::run_until_signal), for a program that reads its configuration again. It must
    /// not block. Default: a line in the log. Nothing on systems without that signal. A certificate from
    /// files is read again before that, see [`TlsConfig::reload`].
    #[must_use]
    pub fn on_hangup(self, hangup: impl FnMut() + Send + 'static) -> Self {
        let hangup = Box::new(hangup);
        Self { hangup, ..self }
    }

    /// The served application's live side.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Stops accepting, closes every socket with 1001 (going away), and lets
    /// requests that are being answered finish, and those of clients that had just connected. Clients in the queue of
    /// a socket that was [handed over](Listen::sockets) stay there. Returns when all are gone, after
    /// 10 s at the latest; what is left then is cut. At the end the
    /// [broker](crate::broker::Broker::shutdown) leaves the nodes that share it.
    pub async fn close(self) {
        let handle = self.handle.clone();
        self.end(handle.close_all(CloseCode::GOING_AWAY, "Server is shutting down"))
            .await;
    }

    /// Closes before a restart: as [`close`](Self::close), but every client is told its own
    /// time to come back, spread over `window`; see [`Handle::drain`].
    pub async fn drain(self, window: Duration) {
        let handle = self.handle.clone();
        self.end(handle.drain(window)).await;
    }

    async fn end(mut self, sockets: impl Future<Output = ()>) {
        self.stop.send_replace(());
        self.watching.abort();
        let requests = async {
            if let Err(error) = (&mut self.accepting).await {
                tracing::error!(%error, "the accept loop failed");
            }
        };
        let warning = async {
            if let Err(error) = (&mut self.warning).await {
                tracing::error!(%error, "the topics of the store could not be checked");
            }
        };
        let rosters = self.handle.roster_host();
        let sockets = async {
            sockets.await;
            // Other nodes wait for whoever was here, from now on and not from when this one is missed.
            if !rosters.settled(SETTLE_TIMEOUT).await {
                tracing::warn!("the other nodes could not be told who has gone");
            }
        };
        let all = async { tokio::join!(requests, sockets, warning) };
        if tokio::time::timeout(CLOSE_TIMEOUT, all).await.is_err() {
            self.accepting.abort();
            self.warning.abort();
            tracing::warn!("some connections did not end in time and were cut");
        }
        let left = self.handle.broker().shutdown();
        if tokio::time::timeout(LEAVE_TIMEOUT, left).await.is_err() {
            tracing::warn!("the other nodes could not be told in time that this one ends");
        }
    }

    /// The function for SIGHUP, behind the certificate's own.
    fn take_hangup(&mut self) -> Box<dyn FnMut() + Send> {
        let hangup = std::mem::replace(&mut self.hangup, Box::new(|| {}));
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.clone() {
            let mut hangup = hangup;
            return Box::new(move || {
                tls.reload_and_log();
                hangup();
            });
        }
        Box::new(hangup)
    }

    /// Serves until the process is told to stop (Ctrl-C, SIGTERM or SIGQUIT), goes on for the
    /// [drain delay](Listen::drain_delay), then [drains](Self::drain) over 5 s. From now on SIGHUP, as when a terminal is closed, does not
    /// end the process; see [`on_hangup`](Self::on_hangup).
    ///
    /// Does the same when a part without which it cannot serve has ended, a shard's thread, the
    /// accept loop or [a part of the broker](crate::broker::Broker::failed), so that whoever
    /// watches the process starts it again.
    ///
    /// Signals are caught from the call on, not only once the future is polled.
    ///
    /// # Errors
    ///
    /// Fails when the signals cannot be waited for, and with [`Error::Ended`].
    pub fn run_until_signal(mut self) -> impl Future<Output = Result<()>> + Send {
        let signals = Signals::listen();
        async move {
            let mut hangup = self.take_hangup();
            let ended = match signals {
                Ok(mut signals) => {
                    let ended = tokio::select! {
                        ending = signals.end(&mut *hangup) => Ok(ending),
                        part = self.handle.failed() => Err(Error::Ended(part)),
                    };
                    if let Ok(Ending::InOrder) = ended
                        && !self.drain_delay.is_zero()
                    {
                        self.handle.end_soon();
                        tracing::info!("closing in {:?}", self.drain_delay);
                        tokio::select! {
                            () = tokio::time::sleep(self.drain_delay) => {}
                            _ = signals.end(&mut *hangup) => {}
                            _ = self.handle.failed() => {}
                        }
                    }
                    ended.map(drop)
                }
                Err(error) => Err(Error::Signals(error)),
            };
            match &ended {
                Ok(()) => tracing::info!("closing"),
                Err(error) => tracing::error!("closing: {error}"),
            }
            self.drain(DRAIN_WINDOW).await;
            ended
        }
    }
}

/// Reads a certificate again whenever its files have changed.
#[cfg(feature = "tls")]
async fn watch_certificate(tls: TlsConfig, mut stopped: watch::Receiver<()>) {
    while tls.is_of_files() {
        tokio::select! {
            () = tokio::time::sleep(TLS_WATCH) => {}
            // Also when the server was dropped.
            _ = stopped.changed() => return,
        }
        if tls.has_changed() {
            tls.reload_and_log();
        }
    }
}

async fn accept_loop(listener: Listener, http: Arc<Http>, mut stopped: watch::Receiver<()>) {
    // Cut when this is dropped; what was upgraded is not among them any more. Boxed, as tokio would
    // copy their 4 KiB seven times.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            // Also when the server was dropped.
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => serve(&mut connections, &http, accepted, &stopped),
            // The client has gone again; nothing is wrong here.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Those that were not accepted yet hear of it, too.
    stopped.mark_changed();
    for accepted in listener.close() {
        serve(&mut connections, &http, accepted, &stopped);
    }
    while connections.join_next().await.is_some() {}
}

/// Serves a connection beside the others, unless there are far too many of its client.
fn serve(
    connections: &mut JoinSet<()>,
    http: &Arc<Http>,
    accepted: Accepted,
    stopped: &watch::Receiver<()>,
) {
    match accepted {
        Accepted::Tcp(stream, peer) => {
            let Some(admission) = http.admit(Some(peer)) else {
                tracing::debug!(%peer, "dropped: far too many connections from this address");
                http.turn_away(stream);
                return;
            };
            let client = Client {
                stream,
                peer: Some(peer),
                admission,
            };
            connections.spawn(Box::pin(Arc::clone(http).serve(client, stopped.clone())));
        }
        #[cfg(unix)]
        Accepted::Unix(stream) => {
            let client = Client {
                stream,
                peer: None,
                admission: Admission::Uncounted,
            };
            connections.spawn(Box::pin(Arc::clone(http).serve(client, stopped.clone())));
        }
    }
}

/// Notes that the accept loop has failed, unless it was disarmed.
struct Alarm<'a>(Option<&'a Handle>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.0 {
            handle.engine().fail("the accept loop");
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// The way in which a signal ends a server.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// By whoever sits at the terminal: at once.
    AtOnce,
    /// By whoever looks after the process.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is Ctrl-C alone"))]
    InOrder,
}

/// The signals that end a server, and the one that does not.
#[cfg(unix)]
struct Signals {
    ending: [Signal; 3],
    hangup: Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            ending: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::quit())?,
            ],
            // Once it is listened to, its default action is gone for the life of the process.
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that ends the server, and passes on the one that does not.
    async fn end(&mut self, hangup: &mut (dyn FnMut() + Send)) -> Ending {
        let [interrupt, terminate, quit] = &mut self.ending;
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ending::AtOnce,
                _ = terminate.recv() => return Ending::InOrder,
                _ = quit.recv() => return Ending::InOrder,
                _ = self.hangup.recv() => hangup(),
            }
        }
    }
}

/// Ctrl-C, which ends a server.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn end(&mut self, _: &mut (dyn FnMut() + Send)) -> Ending {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl-C cannot be waited for");
            std::future::pending::<()>().await;
        }
        Ending::AtOnce
    }
}
