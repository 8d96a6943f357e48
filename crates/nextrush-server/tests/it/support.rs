//! A server as the command line would start it, and clients that share no code with it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use nextrush::{Jwt, Server};
use nextrush_server::{Cli, Config, app};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// After this long without an answer a test fails; no test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const SECRET: &str = "a secret of tests, thirty-two bytes and more";

/// A server with a secret and these further arguments.
pub(crate) async fn serve(arguments: &[&str]) -> Server {
    serve_with(&[&["--jwt-secret", SECRET], arguments].concat()).await
}

/// A server with these arguments alone.
pub(crate) async fn serve_with(arguments: &[&str]) -> Server {
    serve_at("127.0.0.1:0", arguments).await
}

/// A server at an address.
pub(crate) async fn serve_at(address: &str, arguments: &[&str]) -> Server {
    let app = app(&config(arguments)).await.unwrap();
    app.listen(address).start().await.unwrap()
}

/// The configuration of a command line.
pub(crate) fn config(arguments: &[&str]) -> Config {
    let cli = Cli::parse_from(["nextrush"].iter().chain(arguments));
    Config::new(cli).unwrap()
}

pub(crate) fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A token for ten minutes.
pub(crate) fn token(id: &str) -> String {
    token_until(id, unix_seconds() + 600)
}

pub(crate) fn token_until(id: &str, expires: u64) -> String {
    let email = format!("{id}@example.com");
    let claims = json!({ "id": id, "email": email, "exp": expires });
    Jwt::hs256(SECRET).sign(&claims).unwrap()
}

pub(crate) struct Http {
    pub(crate) port: u16,
    pub(crate) bearer: Option<String>,
}

impl Http {
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            port: server.address().port(),
            bearer: None,
        }
    }

    pub(crate) fn with(server: &Server, bearer: &str) -> Self {
        Self::at(server.address().port(), bearer)
    }

    /// Requests to a program that listens at a port of this machine.
    pub(crate) fn at(port: u16, bearer: &str) -> Self {
        let bearer = Some(bearer.to_owned());
        Self { port, bearer }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, &body).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.call_with(("host", &self.host()), method, path, body)
            .await
    }

    /// Calls with a further header, which replaces one of the same name.
    pub(crate) async fn call_with(
        &self,
        (name, value): (&'static str, &str),
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let (status, _, body) = self.exchange((name, value), method, path, body).await;
        (status, body)
    }

    /// The status, the headers and the body of an answer.
    pub(crate) async fn full(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, HeaderMap, Value) {
        self.exchange(("host", &self.host()), method, path, body)
            .await
    }

    /// The headers of the answer to a page of an origin.
    pub(crate) async fn headers_for(&self, origin: &str, method: &str, path: &str) -> HeaderMap {
        self.exchange(("origin", origin), method, path, &Value::Null)
            .await
            .1
    }

    async fn exchange(
        &self,
        (name, value): (&'static str, &str),
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, HeaderMap, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(name, value)
            .header(header::CONTENT_TYPE, "application/json");
        if name != "host" {
            request = request.header(header::HOST, self.host());
        }
        if let Some(bearer) = &self.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let request = request.body(Full::new(Bytes::from(body.to_string())));
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let response = within(sender.send_request(request.unwrap())).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        (parts.status.as_u16(), parts.headers, body)
    }

    /// The status of an opening handshake.
    pub(crate) async fn upgrade(&self, path: &str) -> u16 {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.host()
        );
        status_at(self.port, request.as_bytes()).await
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }
}

/// The status of the answer to a request, byte for byte.
pub(crate) async fn status_of(server: &Server, request: &[u8]) -> u16 {
    status_at(server.address().port(), request).await
}

async fn status_at(port: u16, request: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = [0; 12];
    within(stream.read_exact(&mut answer)).await.unwrap();
    let answer = str::from_utf8(&answer).unwrap();
    answer.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap()
}

pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn connect(server: &Server, path: &str) -> Self {
        Self::connect_to(server.address().port(), path).await
    }

    pub(crate) async fn connect_to(port: u16, path: &str) -> Self {
        let url = format!("ws://localhost:{port}{path}");
        let (stream, _) = within(connect_async(url)).await.unwrap();
        Self(stream)
    }

    /// A client on a connection that is open.
    pub(crate) fn of(stream: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self(stream)
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.say(&message.to_string()).await;
    }

    /// Sends a text as it is.
    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        let next = within(self.0.next()).await;
        next.expect("a further message").unwrap()
    }

    /// The next message.
    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// The text of the next message.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected a message, got {other:?}"),
            }
        }
    }

    /// The next message of a type; others are passed over.
    pub(crate) async fn json_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.json().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Expects the close frame next; its code and reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Message::Close(Some(frame)) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    }

    /// Reads on until the close frame; its code and reason.
    pub(crate) async fn end(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(Some(frame)) = self.next().await {
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }

    /// Reads whatever comes, and answers pings, until the connection ends.
    pub(crate) async fn listen(mut self) {
        while self.0.next().await.is_some_and(|next| next.is_ok()) {}
    }

    pub(crate) async fn close(mut self) {
        self.0.close(None).await.unwrap();
        while within(self.0.next()).await.is_some_and(|next| next.is_ok()) {}
    }
}

/// A port that nobody listens at: each once, and none of those that the system itself gives to
/// whoever asks for any, as it could give this one away before it is used.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(101) + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (number % 10_000) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The most memory that a program has had, in bytes.
pub(crate) fn peak_bytes(program: &Child) -> u64 {
    let status = format!("/proc/{}/status", program.id().unwrap());
    let status = std::fs::read_to_string(status).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = peak.unwrap().trim_end_matches("kB").trim().parse().unwrap();
    kib * 1024
}

/// Sends a signal to a program.
pub(crate) async fn signal(program: &Child, name: &str) {
    let id = program.id().unwrap();
    let kill = format!("kill -{name} {id}");
    let sent = Command::new("/bin/sh").args(["-c", &kill]).status().await;
    assert!(sent.unwrap().success());
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("nothing happened for a long time")
}
