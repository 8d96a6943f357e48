//! HTTP/2: what its clients may do, and what is done about the others.

use std::time::Duration;

use nextrush::{App, Authenticated, Jwt, Message, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{SECRET, serve, token, within};

pub const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// RFC 9113 §4.1.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub struct Frame<'a> {
    pub kind: u8,
    pub payload: &'a [u8],
}

/// The whole frames at the beginning of what was received.
pub fn frames(mut received: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = received.split_at_checked(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (payload, rest) = rest.split_at_checked(length)?;
        received = rest;
        Some(Frame {
            kind: head[3],
            payload,
        })
    })
}

/// The connection preface of a client (RFC 9113 §3.4), with empty settings.
pub fn preface() -> Vec<u8> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    [&preface[..], &frame(SETTINGS, 0, 0, &[])].concat()
}

/// Headers as literals without indexing (RFC 7541 §6.2.2).
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(
                u8::try_from(text.len())
                    .ok()
                    .filter(|it| *it < 127)
                    .unwrap(),
            );
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An extended CONNECT.
pub fn connect(stream: u32, path: &str) -> Vec<u8> {
    let block = block(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("sec-websocket-version", "13"),
    ]);
    frame(HEADERS, END_HEADERS, stream, &block)
}

fn get(stream: u32) -> Vec<u8> {
    let block = block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/"),
    ]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// Sends all of it and reads until the end of the connection; the error code of the GOAWAY
/// that came before it.
async fn ended_by(server: &nextrush::Server, sent: Vec<u8>) -> Option<u32> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let writing = tokio::spawn(async move {
        // The server may have ended it long before.
        let _ = writer.write_all(&sent).await;
        writer
    });
    let mut received = Vec::new();
    // It may end in a reset, as not all was read.
    let _ = within(reader.read_to_end(&mut received)).await;
    drop(within(writing).await);
    let goaway = frames(&received)
        .filter(|frame| frame.kind == GOAWAY)
        .last()?;
    Some(u32::from_be_bytes(goaway.payload[4..8].try_into().unwrap()))
}

#[tokio::test]
async fn streams_that_are_reset_as_soon_as_opened_end_the_connection() {
    let mut app = App::new();
    app.get("/", async || "hello");
    let server = serve(app).await;
    let cancel = 8_u32.to_be_bytes();
    let mut sent = preface();
    for stream in (1..20_000).step_by(2) {
        sent.extend(get(stream));
        sent.extend(frame(RST_STREAM, 0, stream, &cancel));
    }
    assert_eq!(ended_by(&server, sent).await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn streams_that_are_made_invalid_as_soon_as_opened_end_the_connection() {
    let mut app = App::new();
    app.get("/", async || "hello");
    let server = serve(app).await;
    let mut sent = preface();
    for stream in (1..20_000).step_by(2) {
        sent.extend(get(stream));
        // A window beyond what is possible makes the server reset the stream
        // (RFC 9113 §6.9.1).
        sent.extend(frame(
            WINDOW_UPDATE,
            0,
            stream,
            &0x7fff_ffff_u32.to_be_bytes(),
        ));
    }
    assert_eq!(ended_by(&server, sent).await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn headers_that_never_end_end_the_connection() {
    let server = serve(App::new()).await;
    let mut sent = preface();
    sent.extend(frame(HEADERS, END_STREAM, 1, &block(&[(":method", "GET")])));
    let more = block(&[("x-more", &"x".repeat(100))]);
    for _ in 0..10_000 {
        sent.extend(frame(CONTINUATION, 0, 1, &more));
    }
    assert!(ended_by(&server, sent).await.is_some_and(|code| code != 0));

    // Empty ones add nothing to any size.
    let mut sent = preface();
    sent.extend(frame(HEADERS, END_STREAM, 1, &block(&[(":method", "GET")])));
    for _ in 0..100_000 {
        sent.extend(frame(CONTINUATION, 0, 1, &[]));
    }
    assert!(ended_by(&server, sent).await.is_some_and(|code| code != 0));
}

#[tokio::test]
async fn a_client_that_has_nothing_but_settings_and_pings_to_say_is_cut() {
    let listen = App::new().listen("127.0.0.1:0");
    let listen = listen.head_timeout(Duration::from_millis(200));
    let server = listen.start().await.unwrap();
    for flood in [
        frame(SETTINGS, 0, 0, &[]),
        frame(PING, 0, 0, &[0; 8]),
        frame(PRIORITY, 0, 1, &[0; 5]),
    ] {
        // Does not read the answers, so that only a bounded number of them can wait.
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(&preface()).await.unwrap();
        let many = flood.repeat(1000);
        let flooding = async { while stream.write_all(&many).await.is_ok() {} };
        within(flooding).await;
    }
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_told_before_it_is_ended() {
    let listen = App::new().listen("127.0.0.1:0");
    let listen = listen.head_timeout(Duration::from_millis(200));
    let server = listen.start().await.unwrap();
    assert_eq!(ended_by(&server, preface()).await, Some(NO_ERROR));
}

#[tokio::test]
async fn more_streams_than_announced_are_refused_and_the_others_go_on() {
    let mut app = App::new();
    app.ws("/ws", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    let server = serve(app).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let mut sent = preface();
    for stream in (1..=2 * 129).step_by(2) {
        sent.extend(connect(stream, "/ws"));
    }
    // A text of one letter, masked with zeros, in the first of them.
    sent.extend(frame(DATA, 0, 1, &[0x81, 0x81, 0, 0, 0, 0, b'x']));
    stream.write_all(&sent).await.unwrap();
    let mut received = Vec::new();
    let (mut reset, mut is_echoed) = (None, false);
    while reset.is_none() || !is_echoed {
        assert!(within(stream.read_buf(&mut received)).await.unwrap() > 0);
        for frame in frames(&received) {
            match frame.kind {
                RST_STREAM => reset = Some(frame.payload.to_vec()),
                DATA => is_echoed |= frame.payload == [0x81, 1, b'x'],
                GOAWAY => panic!("the connection was ended"),
                _ => {}
            }
        }
    }
    assert_eq!(reset, Some(REFUSED_STREAM.to_be_bytes().to_vec()));
}

#[tokio::test]
async fn a_connection_without_requests_is_ended_and_one_with_a_socket_is_not() {
    let mut app = App::new();
    app.ws("/ws", |socket: Socket| socket.send("welcome"));
    app.get("/", async || "hello");
    let listen = app.listen("127.0.0.1:0");
    let timeout = Duration::from_millis(100);
    let listen = listen.head_timeout(timeout).keep_alive(timeout);
    let server = listen.start().await.unwrap();

    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let sent = [preface(), connect(1, "/ws")].concat();
    stream.write_all(&sent).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"welcome") {
        assert!(within(stream.read_buf(&mut received)).await.unwrap() > 0);
    }
    // Each of these lasts longer than the timeout.
    for sent in [
        preface(),
        [preface(), get(1)].concat(),
        preface(),
        preface(),
    ] {
        ended_by(&server, sent).await;
    }
    let ping = frame(PING, 0, 0, b"are you?");
    stream.write_all(&ping).await.unwrap();
    while !received.ends_with(b"are you?") {
        assert!(within(stream.read_buf(&mut received)).await.unwrap() > 0);
    }
    assert!(frames(&received).all(|frame| frame.kind != GOAWAY));
}

#[tokio::test]
async fn what_is_no_opening_handshake_is_refused() {
    use http::{Method, Request, StatusCode, Version};
    use http_body_util::Empty;
    use hyper::ext::Protocol;

    let mut app = App::new();
    app.ws("/", |socket: Socket| socket.send("welcome"));
    app.get("/page", async || "no socket");
    let server = serve(app).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let streams = crate::ways::Streams::open(stream).await;
    let request = |method: Method, protocol: Option<&'static str>, version: Option<&str>, path| {
        let uri = format!("http://localhost{path}");
        let mut request = Request::builder().method(method).uri(uri);
        request = request.version(Version::HTTP_2);
        if let Some(protocol) = protocol {
            request = request.extension(Protocol::from_static(protocol));
        }
        if let Some(version) = version {
            request = request.header("sec-websocket-version", version);
        }
        request
            .header("origin", "http://localhost")
            .body(Empty::new())
            .unwrap()
    };
    let websocket = Some("websocket");
    for (request, expected) in [
        (
            request(Method::GET, None, Some("13"), "/"),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (
            request(Method::CONNECT, Some("other"), Some("13"), "/"),
            StatusCode::NOT_IMPLEMENTED,
        ),
        (
            request(Method::CONNECT, websocket, Some("12"), "/"),
            StatusCode::BAD_REQUEST,
        ),
        (
            request(Method::CONNECT, websocket, None, "/"),
            StatusCode::BAD_REQUEST,
        ),
        (
            request(Method::CONNECT, websocket, Some("13"), "/nowhere"),
            StatusCode::NOT_FOUND,
        ),
        (
            request(Method::CONNECT, websocket, Some("13"), "/page"),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
    ] {
        let refused = streams.request(request).await.err().unwrap();
        assert_eq!(refused.status(), expected);
        assert!(!refused.headers().contains_key("connection"));
    }
    let mut foreign = request(Method::CONNECT, websocket, Some("13"), "/");
    let origin = "http://example.com".parse().unwrap();
    foreign.headers_mut().insert("origin", origin);
    let refused = streams.request(foreign).await.err().unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    // And beside all that, on the same connection:
    let own = request(Method::CONNECT, websocket, Some("13"), "/");
    assert!(streams.request(own).await.is_ok());
}

#[tokio::test]
async fn a_subprotocol_and_the_token_beside_it_are_read() {
    let mut app = App::new();
    app.jwt(Jwt::hs256(SECRET));
    app.ws("/", |socket: Socket, user: Authenticated| {
        let protocol = socket.protocol().unwrap_or("none");
        socket.send(format!("{} speaks {protocol}", user.claims.email));
    });
    let server = serve(app).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let streams = crate::ways::Streams::open(stream).await;
    let offers = format!("nextrush.bearer.{}, chat", token("ada", "ada@example.com"));
    let request = http::Request::builder()
        .method(http::Method::CONNECT)
        .version(http::Version::HTTP_2)
        .uri("http://localhost/")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", offers)
        .extension(hyper::ext::Protocol::from_static("websocket"))
        .body(http_body_util::Empty::new())
        .unwrap();
    let mut client = crate::ways::Client(streams.request(request).await.unwrap());
    let told = client.next().await;
    assert_eq!(told, Some("ada@example.com speaks chat".into()));
}

#[tokio::test]
async fn a_server_that_closes_tells_the_sockets_of_http2() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| socket.send("welcome"));
    let server = serve(app).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let streams = crate::ways::Streams::open(stream).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = crate::ways::Client(streams.connect("/").await.unwrap());
        assert_eq!(client.next().await, Some("welcome".into()));
        clients.push(client);
    }
    let closing = tokio::spawn(server.close());
    for client in &mut clients {
        let Some(tokio_tungstenite::tungstenite::Message::Close(Some(frame))) = client.next().await
        else {
            panic!("a close frame was due");
        };
        assert_eq!(u16::from(frame.code), 1001);
        assert_eq!(client.next().await, None);
    }
    within(closing).await.unwrap();
}
