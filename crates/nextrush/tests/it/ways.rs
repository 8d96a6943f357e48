//! All the ways that a client can come: who serves it, over what, and with which HTTP.

use std::fmt;
use std::future;
use std::io;

use axum::Router;
use axum::serve::Listener;
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, StatusCode, Version};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use nextrush::{App, Handle, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::within;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServedBy {
    Us,
    Axum,
    HyperUtil,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Over {
    Tcp,
    #[cfg(feature = "tls")]
    Tls,
    Unix,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Http {
    One,
    Two,
}

pub fn all() -> Vec<Way> {
    let mut all = Vec::new();
    for served_by in [ServedBy::Us, ServedBy::Axum, ServedBy::HyperUtil] {
        for over in [
            Over::Tcp,
            #[cfg(feature = "tls")]
            Over::Tls,
            Over::Unix,
        ] {
            for http in [Http::One, Http::Two] {
                // `Listen` has no Unix sockets.
                if (served_by, over) != (ServedBy::Us, Over::Unix) {
                    all.push(Way {
                        served_by,
                        over,
                        http,
                    });
                }
            }
        }
    }
    all
}

#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub served_by: ServedBy,
    pub over: Over,
    pub http: Http,
}

/// An application, and how to come to it.
pub struct Host {
    way: Way,
    pub handle: Handle,
    router: Router,
    server: Option<Server>,
}

pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

pub type Bytestream = Box<dyn ByteStream>;

impl Way {
    pub async fn host(self, app: App) -> Host {
        let handle = app.handle().clone();
        if self.served_by != ServedBy::Us {
            return Host {
                way: self,
                handle,
                router: app.into_router(),
                server: None,
            };
        }
        let listen = app.listen("127.0.0.1:0");
        #[cfg(feature = "tls")]
        let listen = match self.over {
            Over::Tls => listen.tls(crate::tls::certified().config.clone()),
            _ => listen,
        };
        Host {
            way: self,
            handle,
            router: Router::new(),
            server: Some(listen.start().await.unwrap()),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} HTTP {:?} by {:?}",
            self.over, self.http, self.served_by
        )
    }
}

impl Host {
    /// A connection on which nothing has been said but the TLS handshake.
    pub async fn dial(&self) -> Bytestream {
        within(async {
            match self.way.over {
                Over::Unix => {
                    let (ours, theirs) = UnixStream::pair().unwrap();
                    self.serve(theirs);
                    Box::new(ours) as Bytestream
                }
                Over::Tcp => Box::new(match &self.server {
                    Some(server) => TcpStream::connect(server.address()).await.unwrap(),
                    None => {
                        let (ours, theirs) = tcp_pair().await;
                        self.serve(theirs);
                        ours
                    }
                }),
                #[cfg(feature = "tls")]
                Over::Tls => {
                    let alpn = match self.way.http {
                        Http::One => "http/1.1",
                        Http::Two => "h2",
                    };
                    let certified = crate::tls::certified();
                    let stream = match &self.server {
                        Some(server) => {
                            let stream = TcpStream::connect(server.address()).await.unwrap();
                            certified.connect(stream, alpn).await.unwrap()
                        }
                        None => {
                            let (ours, theirs) = tcp_pair().await;
                            let acceptor = certified.acceptor();
                            let (ours, theirs) = tokio::join!(
                                certified.connect(ours, alpn),
                                acceptor.accept(theirs)
                            );
                            self.serve(theirs.unwrap());
                            ours.unwrap()
                        }
                    };
                    Box::new(stream)
                }
            }
        })
        .await
    }

    /// A WebSocket connection.
    pub async fn connect(&self, path: &str) -> Client {
        let stream = self.dial().await;
        match self.way.http {
            Http::One => {
                let request = format!("ws://localhost{path}").into_client_request();
                let connected = within(client_async(request.unwrap(), stream)).await;
                Client(connected.unwrap().0)
            }
            Http::Two => {
                let streams = Streams::open(stream).await;
                Client(streams.connect(path).await.unwrap())
            }
        }
    }

    fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let router = self.router.clone();
        if self.way.served_by == ServedBy::Axum {
            let serving = axum::serve(Once(Some(stream)), router);
            tokio::spawn(serving.into_future());
            return;
        }
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().enable_connect_protocol();
            let service = TowerToHyperService::new(router);
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            // The client may just go away.
            let _ = connection.await;
        });
    }
}

/// Accepts one connection.
struct Once<S>(Option<S>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for Once<S> {
    type Io = S;
    type Addr = ();

    async fn accept(&mut self) -> (S, ()) {
        match self.0.take() {
            Some(stream) => (stream, ()),
            None => future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    (ours.unwrap(), theirs.unwrap().0)
}

/// A connection of HTTP/2.
pub struct Streams(http2::SendRequest<Empty<Bytes>>);

impl Streams {
    pub async fn open<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> Self {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = within(handshake).await.unwrap();
        tokio::spawn(connection);
        // Behind its answer the client knows that the server takes an extended CONNECT.
        let request = Request::get("http://localhost/nowhere").body(Empty::new());
        let answer = within(sender.send_request(request.unwrap())).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        Self(sender)
    }

    /// Opens a WebSocket (RFC 8441), or returns the status of the refusal.
    pub async fn connect(
        &self,
        path: &str,
    ) -> Result<WebSocketStream<Bytestream>, http::Response<hyper::body::Incoming>> {
        self.request(Self::opening(path)).await
    }

    /// Opens a WebSocket as a proxy does for a client of this address.
    pub async fn connect_as(
        &self,
        path: &str,
        client: &str,
    ) -> Result<WebSocketStream<Bytestream>, http::Response<hyper::body::Incoming>> {
        let mut request = Self::opening(path);
        let client = client.parse().unwrap();
        request.headers_mut().insert("x-forwarded-for", client);
        self.request(request).await
    }

    fn opening(path: &str) -> Request<Empty<Bytes>> {
        let request = Request::builder()
            .method(Method::CONNECT)
            .version(Version::HTTP_2)
            .uri(format!("http://localhost{path}"))
            .header("sec-websocket-version", "13")
            .extension(Protocol::from_static("websocket"));
        request.body(Empty::new()).unwrap()
    }

    pub async fn request(
        &self,
        request: Request<Empty<Bytes>>,
    ) -> Result<WebSocketStream<Bytestream>, http::Response<hyper::body::Incoming>> {
        let mut sender = self.0.clone();
        let answer = within(sender.send_request(request)).await.unwrap();
        if answer.status() != StatusCode::OK {
            return Err(answer);
        }
        let upgraded = within(hyper::upgrade::on(answer)).await.unwrap();
        let stream: Bytestream = Box::new(TokioIo::new(upgraded));
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
    }
}

pub struct Client(pub WebSocketStream<Bytestream>);

impl Client {
    pub async fn send(&mut self, message: Message) {
        within(self.0.send(message)).await.unwrap();
    }

    /// The next message that is no ping; `None` at the end.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            match within(self.0.next()).await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(message) => return Some(message.unwrap()),
                None => return None,
            }
        }
    }
}
