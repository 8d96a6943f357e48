//! A connection to the server, as long as it speaks HTTP.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::ServiceExt as _;

use crate::http::FORWARDED_PROTO;
use crate::http::address::{Addresses, Admission, Permit};
use crate::http::base_path::BasePath;
use crate::http::last_word::{self, LastWord};
use crate::http::proxies::Proxies;
use crate::http::read_ahead::ReadAhead;
use crate::http::refusal;
use crate::http::request_body::{BodyTimes, Late, RequestBody};
use crate::http::traffic::{Answer, Busy, Traffic};
use crate::http::version::Version;
use crate::http::{host, http1, http2, proxy_header};
use crate::message::{ErrorCode, Refused};

/// The time in which a client may begin its first request that had connected when the server began to close.
/// A proxy sends it at once, and would answer its own client with 502.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Tells whether the clients will soon be sent away.
pub(crate) type IsDraining = Arc<dyn Fn() -> bool + Send + Sync>;
/// Counts a refusal that no route has made.
pub(crate) type CountRefusal = Arc<dyn Fn(Refused) + Send + Sync>;

/// The settings that all connections of a server share.
pub(crate) struct Http {
    pub(crate) router: Router,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) proxies: Proxies,
    /// True if trusted proxies begin each connection with a header of the PROXY protocol.
    pub(crate) has_proxy_headers: bool,
    pub(crate) base_path: BasePath,
    pub(crate) is_draining: IsDraining,
    pub(crate) count_refusal: CountRefusal,
    /// The time from connecting to the end of the first request's head.
    pub(crate) head_timeout: Duration,
    /// The largest head of a request.
    pub(crate) head_bytes: usize,
    /// The longest pause between two requests.
    pub(crate) keep_alive: Duration,
    /// The time that a client may take to send the body of a request.
    pub(crate) body_times: BodyTimes,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
}

/// A client that has connected.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    /// The client's address; `None` on a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) admission: Admission,
}

impl Http {
    /// Decides on a new connection; `None` [turns it away](Self::turn_away). That of a trusted proxy does not
    /// count: each of its requests does, for the client that it comes from.
    pub(crate) fn admit(&self, peer: Option<SocketAddr>) -> Option<Admission> {
        match peer {
            Some(peer) if !self.proxies.trusts(Some(peer.ip())) => self.addresses.admit(peer.ip()),
            // A Unix socket, or a proxy.
            _ => Some(Admission::Uncounted),
        }
    }

    /// Drops a connection of an address that has far too many. The client is told so, unless it
    /// waits for a TLS handshake, which would cost too much.
    pub(crate) fn turn_away(&self, stream: TcpStream) {
        (self.count_refusal)(Refused::of(ErrorCode::TooManyConnections.as_str()));
        if !self.is_tls() {
            last_word::turn_away(stream);
        }
    }

    /// The same for one that a trusted proxy has passed on.
    async fn tell_too_many<S: AsyncWrite + Unpin>(&self, stream: &mut S) -> io::Result<()> {
        (self.count_refusal)(Refused::of(ErrorCode::TooManyConnections.as_str()));
        if !self.is_tls() {
            stream.write_all(&last_word::too_many()).await?;
        }
        stream.shutdown().await
    }

    /// Returns whether connections over TCP begin with a TLS handshake.
    fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        let is_tls = self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let is_tls = false;
        is_tls
    }

    /// Serves a client until it has gone, was upgraded, or the server stops.
    pub(crate) async fn serve<S>(
        self: Arc<Self>,
        client: Client<S>,
        mut stopped: watch::Receiver<()>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = client.peer;
        let served = self.serve_client(client, &mut stopped).await;
        if let Err(error) = served {
            let peer = peer.map(tracing::field::display);
            tracing::debug!(peer, %error, "an HTTP connection ended with an error");
        }
    }

    async fn serve_client<S>(
        &self,
        client: Client<S>,
        stopped: &mut watch::Receiver<()>,
    ) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Client {
            mut stream,
            mut peer,
            mut admission,
        } = client;
        // A Unix socket is for a proxy on the same machine.
        #[cfg(feature = "tls")]
        let tls = self.tls.as_ref().filter(|_| peer.is_some());
        let deadline = Instant::now() + self.head_timeout;
        let mut is_proxy = self.proxies.trusts(peer.map(|peer| peer.ip()));
        if is_proxy && self.has_proxy_headers {
            let header = proxy_header::read(&mut stream);
            if let Some(client) = in_time(deadline, header, stopped).await? {
                // It may be another proxy, which speaks by headers of requests.
                is_proxy = self.proxies.trusts(Some(client.ip()));
                admission = match self.admit(Some(client)) {
                    Some(admission) => admission,
                    None => {
                        let told = self.tell_too_many(&mut stream);
                        in_time(deadline, told, stopped).await?;
                        return Err(Ended::TooMany);
                    }
                };
                peer = Some(client);
            }
        }
        // One deadline for all that comes before the first request: hyper-util would wait
        // for the first bytes without any, and a client that sends none stay for ever.
        let exchange = Exchange {
            peer,
            admission: Arc::new(admission),
            addresses: Arc::clone(&self.addresses),
            proxies: self.proxies.clone(),
            base_path: self.base_path.clone(),
            is_draining: Arc::clone(&self.is_draining),
            count_refusal: Arc::clone(&self.count_refusal),
            is_proxy,
            deadline,
            body_times: self.body_times,
            traffic: Arc::default(),
            #[cfg(feature = "tls")]
            is_tls: tls.is_some(),
            #[cfg(not(feature = "tls"))]
            is_tls: false,
        };
        #[cfg(feature = "tls")]
        if let Some(tls) = tls {
            let handshake = Box::pin(tls.accept(stream));
            let stream = in_time(deadline, handshake, stopped).await?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let version = match is_http2 {
                true => Version::Http2,
                false => Version::Http1,
            };
            return self.speak(version, stream, exchange, stopped).await;
        }
        let (stream, version) = in_time(deadline, ReadAhead::new(stream), stopped).await?;
        self.speak(version, stream, exchange, stopped).await
    }

    async fn speak<S>(
        &self,
        version: Version,
        stream: S,
        exchange: Exchange,
        stopped: &mut watch::Receiver<()>,
    ) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let exchange = Arc::new(exchange);
        let service = exchange.service(self.router.clone());
        match version {
            Version::Http1 => {
                let stream = LastWord::new(stream, Arc::clone(&exchange.traffic));
                let connection = http1::builder(self.pause(), self.head_bytes)
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                let end = hyper::server::conn::http1::UpgradeableConnection::graceful_shutdown;
                self.drive(version, pin!(connection), end, &exchange, stopped)
                    .await
            }
            Version::Http2 => {
                let connection =
                    http2::builder(self.head_bytes).serve_connection(TokioIo::new(stream), service);
                let end = hyper::server::conn::http2::Connection::graceful_shutdown;
                self.drive(version, pin!(connection), end, &exchange, stopped)
                    .await
            }
        }
    }

    /// The longest pause between two requests.
    fn pause(&self) -> Duration {
        self.head_timeout.max(self.keep_alive)
    }

    /// Lets a connection run. `end` has it take no more requests.
    async fn drive<C: Future<Output = hyper::Result<()>>>(
        &self,
        version: Version,
        mut connection: Pin<&mut C>,
        end: impl Fn(Pin<&mut C>),
        exchange: &Exchange,
        stopped: &mut watch::Receiver<()>,
    ) -> Result<(), Ended> {
        let traffic = &exchange.traffic;
        let mut check = pin!(sleep_until(exchange.deadline));
        let mut is_ending = false;
        loop {
            tokio::select! {
                // First the connection, so that it ends after a request that is there already.
                biased;
                ended = connection.as_mut() => return Ok(ended?),
                // Also when the server was dropped.
                _ = stopped.changed(), if !is_ending => {
                    end(connection.as_mut());
                    is_ending = true;
                    check.as_mut().reset(Instant::now() + self.head_timeout);
                }
                () = check.as_mut() => {
                    let now = Instant::now();
                    let pause = match is_ending {
                        true => self.head_timeout,
                        false => self.pause(),
                    };
                    let until = traffic.idle_since().unwrap_or(now) + pause;
                    if until > now && traffic.requests() > 0 {
                        check.as_mut().reset(until);
                        continue;
                    }
                    if version == Version::Http2 && traffic.requests() > 0 && !is_ending {
                        end(connection.as_mut());
                        is_ending = true;
                        check.as_mut().reset(now + self.head_timeout);
                        continue;
                    }
                    // The last word is said now or not at all.
                    match version {
                        Version::Http1 => traffic.end(),
                        Version::Http2 => end(connection.as_mut()),
                    }
                    let ended = connection.as_mut().now_or_never();
                    if traffic.is_refused() {
                        let code = ErrorCode::BadRequest.as_str();
                        (self.count_refusal)(Refused::of(code));
                    }
                    return match ended {
                        Some(Ok(())) => Ok(()),
                        Some(Err(_)) | None => Err(Ended::Silent),
                    };
                }
            }
        }
    }
}

/// Waits for something that comes before the first request.
async fn in_time<T>(
    deadline: Instant,
    step: impl Future<Output = io::Result<T>>,
    stopped: &mut watch::Receiver<()>,
) -> Result<T, Ended> {
    let mut step = pin!(step);
    tokio::select! {
        done = timeout_at(deadline, step.as_mut()) => Ok(done.map_err(|_| Ended::Silent)??),
        _ = stopped.changed() => {
            // For what comes after this.
            stopped.mark_changed();
            let soon = deadline.min(Instant::now() + LAST_MOMENT);
            let done = timeout_at(soon, step).await;
            Ok(done.map_err(|_| Ended::Stopped)??)
        }
    }
}

/// The parts that all requests of a connection share.
struct Exchange {
    peer: Option<SocketAddr>,
    admission: Arc<Admission>,
    addresses: Arc<Addresses>,
    proxies: Proxies,
    base_path: BasePath,
    is_draining: IsDraining,
    count_refusal: CountRefusal,
    /// True if the peer is a proxy that is trusted.
    is_proxy: bool,
    /// The time by which the head of the first request has to be there.
    deadline: Instant,
    body_times: BodyTimes,
    traffic: Arc<Traffic>,
    is_tls: bool,
}

impl Exchange {
    fn service(
        self: &Arc<Self>,
        router: Router,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<Answer>,
        Error = Infallible,
        Future: Send + 'static,
    > + use<> {
        let exchange = Arc::clone(self);
        service_fn(move |request| {
            let busy = exchange.traffic.begin();
            let answered = Arc::clone(&exchange).answer(router.clone(), request, busy.clone());
            async move {
                let response = answered.await?;
                Ok(response.map(|body| Answer { body, _busy: busy }))
            }
        })
    }

    async fn answer(
        self: Arc<Self>,
        router: Router,
        request: Request<Incoming>,
        busy: Busy,
    ) -> Result<Response, Infallible> {
        let version = request.version();
        let wants_upgrade = request.headers().contains_key(header::UPGRADE);
        let mut late = Late::default();
        let mut request = request.map(|body| {
            let (body, is_late) = RequestBody::watch(body, self.body_times);
            late = is_late;
            body
        });
        let is_host_clear = host::settle(&mut request);
        let client = self.proxies.settle(&mut request, self.is_proxy);
        let is_told = self.is_proxy && request.headers().contains_key(FORWARDED_PROTO);
        if self.is_tls && !is_told {
            // Who asks for the scheme, as the check of the origin does, need not
            // know whether a proxy or this server ends TLS.
            let https = HeaderValue::from_static("https");
            request.headers_mut().insert(FORWARDED_PROTO, https);
        }
        let client = client.or(self.peer);
        let Some(admitted) = self.admitted(client) else {
            let response = refusal::too_many_connections().into_response();
            return Ok(self.refuse(response, version));
        };
        if !is_host_clear {
            let message = "A request has exactly one Host";
            let response = refusal::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message);
            return Ok(self.refuse(response, version));
        }
        if let Some(redirect) = self.base_path.settle(&mut request) {
            return Ok(match wants_upgrade {
                true => refusal::ending_connection(redirect, version),
                false => redirect,
            });
        }
        let extensions = request.extensions_mut();
        if let Some(client) = client {
            extensions.insert(ConnectInfo(client));
        }
        // Counts the request until it is answered.
        extensions.insert(admitted.clone());
        extensions.insert(busy);
        let response = router.oneshot(request).await?;
        drop(admitted);
        if late.is_late() {
            let message = "The body did not come in time";
            let status = StatusCode::REQUEST_TIMEOUT;
            let response = refusal::new(status, ErrorCode::BadRequest, message);
            return Ok(self.refuse(response, version));
        }
        // While draining, a proxy would send its next request just when the connection ends. And of an
        // upgrade that there was not, at any path, it may believe that there was one.
        let is_last = (self.is_draining)() || wants_upgrade;
        if is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(refusal::ending_connection(response, version));
        }
        Ok(response)
    }

    /// Counts a refusal, and ends its connection.
    fn refuse(&self, response: Response, version: http::Version) -> Response {
        if let Some(refused) = response.extensions().get::<Refused>() {
            (self.count_refusal)(*refused);
        }
        refusal::ending_connection(response, version)
    }

    /// The admission of a request: that of its connection or, of a proxy's, its own. `None` if there
    /// are too many.
    fn admitted(&self, client: Option<SocketAddr>) -> Option<Admitted> {
        let (admission, of) = match (client, self.is_proxy) {
            (Some(client), true) => {
                let admission = self.addresses.admit(client.ip())?;
                (Arc::new(admission), Counted::Request)
            }
            _ => (Arc::clone(&self.admission), Counted::Connection),
        };
        match *admission {
            Admission::Granted(_) | Admission::Uncounted => Some(Admitted { admission, of }),
            Admission::Refused(_) => None,
        }
    }
}

/// The admission of a request.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    of: Counted,
}

/// The thing that an admission has counted.
#[derive(Clone, Copy, Debug)]
enum Counted {
    Connection,
    Request,
}

impl Admitted {
    /// Counts the socket that a request becomes: in place of its connection, or of the request
    /// itself where a proxy has sent it; over HTTP/2, beside its connection. `None` if clients of
    /// its kind are not counted.
    pub(crate) fn count_socket(
        &self,
        version: http::Version,
    ) -> Result<Option<Permit>, TooManySockets> {
        match (&*self.admission, self.of) {
            (Admission::Granted(permit), Counted::Connection)
                if version >= http::Version::HTTP_2 =>
            {
                permit.another().map(Some).ok_or(TooManySockets)
            }
            (Admission::Granted(permit), _) => Ok(Some(permit.successor())),
            (Admission::Refused(_), _) => Err(TooManySockets),
            (Admission::Uncounted, _) => Ok(None),
        }
    }
}

/// A socket beyond those that its client's address may have.
#[derive(Debug)]
pub(crate) struct TooManySockets;

/// The reason why the server ended a connection.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Stream(#[from] io::Error),
    #[error("the client does not ask for anything")]
    Silent,
    #[error("the server is closing")]
    Stopped,
    #[error("there are far too many connections from the client's address")]
    TooMany,
}
