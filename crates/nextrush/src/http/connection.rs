//! A connection to the server, as long as it speaks HTTP.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::ServiceExt as _;

use crate::http::FORWARDED_PROTO;
use crate::http::address::{Admission, Permit};
use crate::http::read_ahead::ReadAhead;
use crate::http::refusal;
use crate::http::request_body::{BodyTimes, Late, RequestBody};
use crate::http::traffic::{Answer, Traffic};
use crate::http::version::Version;
use crate::http::{host, http1, http2};
use crate::message::ErrorCode;

/// The settings that all connections of a server share.
pub(crate) struct Http {
    pub(crate) router: Router,
    /// The time from connecting to the end of the first request's head, and the longest pause
    /// after that.
    pub(crate) head_timeout: Duration,
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
            stream,
            peer,
            admission,
        } = client;
        // A Unix socket is for a proxy on the same machine.
        #[cfg(feature = "tls")]
        let tls = self.tls.as_ref().filter(|_| peer.is_some());
        // One deadline for all that comes before the first request: hyper-util would wait
        // for the first bytes without any, and a client that sends none stay for ever.
        let exchange = Exchange {
            peer,
            admission: Arc::new(admission),
            deadline: Instant::now() + self.head_timeout,
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
            let stream = exchange.in_time(handshake, stopped).await?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let version = match is_http2 {
                true => Version::Http2,
                false => Version::Http1,
            };
            return self.speak(version, stream, exchange, stopped).await;
        }
        let (stream, version) = exchange.in_time(ReadAhead::new(stream), stopped).await?;
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
        let stream = TokioIo::new(stream);
        let service = exchange.service(self.router.clone());
        match version {
            Version::Http1 => {
                let connection = http1::builder(self.head_timeout)
                    .serve_connection(stream, service)
                    .with_upgrades();
                let end = hyper::server::conn::http1::UpgradeableConnection::graceful_shutdown;
                self.drive(pin!(connection), end, &exchange, stopped).await
            }
            Version::Http2 => {
                let connection = http2::builder().serve_connection(stream, service);
                let end = hyper::server::conn::http2::Connection::graceful_shutdown;
                self.drive(pin!(connection), end, &exchange, stopped).await
            }
        }
    }

    /// Lets a connection run. `end` has it take no more requests.
    async fn drive<C: Future<Output = hyper::Result<()>>>(
        &self,
        mut connection: Pin<&mut C>,
        end: impl Fn(Pin<&mut C>),
        exchange: &Exchange,
        stopped: &mut watch::Receiver<()>,
    ) -> Result<(), Ended> {
        let traffic = &exchange.traffic;
        let mut check = pin!(sleep_until(exchange.deadline));
        let mut requests = 0;
        let mut is_ending = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => return Ok(ended?),
                // Also when the server was dropped.
                _ = stopped.changed(), if !is_ending => {
                    end(connection.as_mut());
                    is_ending = true;
                }
                () = check.as_mut() => {
                    let is_silent = traffic.is_idle() && traffic.requests() == requests;
                    if is_silent && (requests == 0 || is_ending) {
                        return Err(Ended::Silent);
                    }
                    if is_silent {
                        end(connection.as_mut());
                        is_ending = true;
                    }
                    requests = traffic.requests();
                    check.as_mut().reset(Instant::now() + self.head_timeout);
                }
            }
        }
    }
}

/// The parts that all requests of a connection share.
struct Exchange {
    peer: Option<SocketAddr>,
    admission: Arc<Admission>,
    /// The time by which the head of the first request has to be there.
    deadline: Instant,
    body_times: BodyTimes,
    traffic: Arc<Traffic>,
    is_tls: bool,
}

impl Exchange {
    /// Waits for something that comes before the first request.
    async fn in_time<T>(
        &self,
        step: impl Future<Output = io::Result<T>>,
        stopped: &mut watch::Receiver<()>,
    ) -> Result<T, Ended> {
        tokio::select! {
            done = timeout_at(self.deadline, step) => Ok(done.map_err(|_| Ended::Silent)??),
            _ = stopped.changed() => Err(Ended::Stopped),
        }
    }

    fn service(
        &self,
        router: Router,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<Answer>,
        Error = Infallible,
        Future: Send + 'static,
    > + use<> {
        let peer = self.peer;
        let is_tls = self.is_tls;
        let body_times = self.body_times;
        let admission = Arc::clone(&self.admission);
        let traffic = Arc::clone(&self.traffic);
        service_fn(move |request: Request<Incoming>| {
            let router = router.clone();
            let admission = Arc::clone(&admission);
            let busy = traffic.begin();
            async move {
                let version = request.version();
                let mut late = Late::default();
                let mut request = request.map(|body| {
                    let (body, is_late) = RequestBody::watch(body, body_times);
                    late = is_late;
                    body
                });
                let is_host_clear = host::settle(&mut request);
                if is_tls {
                    // Who asks for the scheme, as the check of the origin does, need not
                    // know whether a proxy or this server ends TLS.
                    let https = HeaderValue::from_static("https");
                    request.headers_mut().insert(FORWARDED_PROTO, https);
                }
                let response = match &*admission {
                    Admission::Granted(_) | Admission::Uncounted if !is_host_clear => {
                        let message = "A request has exactly one Host";
                        let status = StatusCode::BAD_REQUEST;
                        let response = refusal::new(status, ErrorCode::BadRequest, message);
                        refusal::ending_connection(response, version)
                    }
                    Admission::Granted(_) | Admission::Uncounted => {
                        let extensions = request.extensions_mut();
                        if let Some(peer) = peer {
                            extensions.insert(ConnectInfo(peer));
                        }
                        extensions.insert(Admitted(admission));
                        extensions.insert(busy.clone());
                        let response = router.oneshot(request).await?;
                        if late.is_late() {
                            let message = "The body did not come in time";
                            let status = StatusCode::REQUEST_TIMEOUT;
                            let response = refusal::new(status, ErrorCode::BadRequest, message);
                            refusal::ending_connection(response, version)
                        } else {
                            response
                        }
                    }
                    Admission::Refused(_) => {
                        let message = "Too many connections from this address";
                        let response = refusal::new(
                            StatusCode::TOO_MANY_REQUESTS,
                            ErrorCode::TooManyConnections,
                            message,
                        );
                        refusal::ending_connection(response, version)
                    }
                };
                Ok(response.map(|body| Answer { body, _busy: busy }))
            }
        })
    }
}

/// The admission of the request's connection.
#[derive(Clone, Debug)]
pub(crate) struct Admitted(Arc<Admission>);

impl Admitted {
    /// Counts the socket that a request becomes: in place of its connection or, over
    /// HTTP/2, beside it. `None` if clients of its kind are not counted.
    pub(crate) fn count_socket(
        &self,
        version: http::Version,
    ) -> Result<Option<Permit>, TooManySockets> {
        match &*self.0 {
            Admission::Granted(permit) if version < http::Version::HTTP_2 => {
                Ok(Some(permit.successor()))
            }
            Admission::Granted(permit) => permit.another().map(Some).ok_or(TooManySockets),
            Admission::Refused(_) => Err(TooManySockets),
            Admission::Uncounted => Ok(None),
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
}
