//! Clients behind proxies that are trusted.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use futures_util::future::select_all;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, StatusCode};
use nextrush::{App, Message, Server, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message as Theirs;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{Client, url, within};
use crate::ways::Streams;

/// A server that tells each client what it knows of it, and trusts the addresses of `proxy`.
async fn server(proxy: &str, limit: usize) -> Server {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        let address = socket.address().map(|address| address.to_string());
        socket.send(address.unwrap_or("no address".to_owned()));
    });
    let of_request = async |ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap| {
        let header = |name| headers.get(name).map_or("none", |it| it.to_str().unwrap());
        let (host, scheme) = (header("host"), header("x-forwarded-proto"));
        format!("{} {host} {scheme}", peer.ip())
    };
    app.get("/who", of_request);
    let listen = app.listen("127.0.0.1:0").connections_per_address(limit);
    let listen = listen.trusted_proxies([proxy.parse().unwrap()]);
    listen.start().await.unwrap()
}

/// Opens a socket with a header.
async fn connect(server: &Server, field: (&'static str, &str)) -> Result<Client, StatusCode> {
    let mut request = url(server, "/").into_client_request().unwrap();
    let (name, value) = field;
    request.headers_mut().insert(name, value.parse().unwrap());
    let connected = Box::pin(Client::request(request)).await;
    connected.map_err(|refusal| refusal.status())
}

/// The answer to a request with further headers, on a connection of its own.
async fn ask(server: &Server, fields: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = format!("GET /who HTTP/1.1\r\nHost: inside\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_client_behind_a_trusted_proxy_has_its_own_address_scheme_and_host() {
    let server = server("127.0.0.0/8", 10).await;
    for (fields, expected) in [
        ("", "127.0.0.1 inside none"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1 inside none"),
        (
            "X-Forwarded-For: 9.9.9.9, 192.0.2.1, 127.0.0.9\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: example.com\r\n",
            "192.0.2.1 example.com https",
        ),
        (
            "Forwarded: for=192.0.2.1;proto=https;host=example.com\r\n",
            "192.0.2.1 example.com https",
        ),
        (
            "Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n",
            "127.0.0.1 inside none",
        ),
    ] {
        assert_eq!(ask(&server, fields).await, expected, "{fields}");
    }
    let mut client = connect(&server, ("x-forwarded-for", "192.0.2.1")).await;
    assert_eq!(client.as_mut().unwrap().text().await, "192.0.2.1");
}

#[tokio::test]
async fn a_client_that_is_no_trusted_proxy_cannot_say_who_it_is() {
    let server = server("10.0.0.0/8", 10).await;
    let fields = "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\
                  X-Forwarded-Host: evil.example\r\nForwarded: for=192.0.2.1\r\n";
    assert_eq!(ask(&server, fields).await, "127.0.0.1 inside none");
    let mut client = connect(&server, ("forwarded", "for=192.0.2.1")).await;
    assert_eq!(client.as_mut().unwrap().text().await, "127.0.0.1");
}

#[tokio::test]
async fn clients_behind_a_proxy_are_counted_one_by_one() {
    let server = server("127.0.0.1", 2).await;
    let of = |client| ("x-forwarded-for", client);
    let mut open = Vec::new();
    for client in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let mut connected = connect(&server, of(client)).await.unwrap();
        assert_eq!(connected.text().await, client);
        open.push(connected);
    }
    let refused = connect(&server, of("192.0.2.1")).await.err();
    assert_eq!(refused, Some(StatusCode::TOO_MANY_REQUESTS));
    let answer = ask(&server, "X-Forwarded-For: 192.0.2.1\r\n").await;
    assert!(answer.contains("too-many-connections"), "{answer}");

    open.remove(0).close().await;
    within(async { while connect(&server, of("192.0.2.1")).await.is_err() {} }).await;
}

#[tokio::test]
async fn one_connection_of_a_proxy_carries_clients_that_are_counted_apart() {
    let server = server("127.0.0.1", 1).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let streams = Streams::open(stream).await;
    let _first = streams.connect_as("/", "192.0.2.1").await.unwrap();
    let _second = streams.connect_as("/", "192.0.2.2").await.unwrap();
    let refused = streams.connect_as("/", "192.0.2.1").await.err().unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

/// A server whose proxies, those of `proxy`, speak the PROXY protocol.
async fn behind_tcp(proxy: &str, limit: usize) -> Server {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.send(socket.address().unwrap().to_string());
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    let listen = app.listen("127.0.0.1:0").connections_per_address(limit);
    let listen = listen.trusted_proxies([proxy.parse().unwrap()]);
    listen.proxy_protocol().start().await.unwrap()
}

async fn after(server: &Server, header: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(header).await.unwrap();
    stream
}

#[tokio::test]
async fn a_proxy_for_tcp_tells_the_client_before_all_else() {
    let server = behind_tcp("127.0.0.1", 1).await;
    let header = b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n";
    let stream = after(&server, header).await;
    let (mut socket, _) = within(client_async("ws://localhost/", stream))
        .await
        .unwrap();
    let welcome = within(socket.next()).await.unwrap().unwrap();
    assert_eq!(welcome, Theirs::text("192.0.2.1"));
    socket.send(Theirs::text("x".repeat(60_000))).await.unwrap();
    let echo = within(socket.next()).await.unwrap().unwrap();
    assert_eq!(echo.len(), 60_000);

    // The second of this client is refused, and another client is not.
    let stream = after(&server, header).await;
    assert!(
        within(client_async("ws://localhost/", stream))
            .await
            .is_err()
    );
    let stream = after(&server, b"PROXY TCP4 192.0.2.2 127.0.0.1 4711 80\r\n").await;
    within(client_async("ws://localhost/", stream))
        .await
        .unwrap();
    // A proxy that asks for itself.
    let stream = after(&server, b"PROXY UNKNOWN\r\n").await;
    let (mut socket, _) = within(client_async("ws://localhost/", stream))
        .await
        .unwrap();
    let welcome = within(socket.next()).await.unwrap().unwrap();
    assert_eq!(welcome, Theirs::text("127.0.0.1"));
}

#[tokio::test]
async fn a_client_behind_a_proxy_for_tcp_with_far_too_many_connections_is_told_so() {
    let server = behind_tcp("127.0.0.1", 1).await;
    let header = b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n";
    let mut silent = Vec::new();
    for _ in 0..3 {
        let mut stream = after(&server, header).await;
        silent.push(Box::pin(async move {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }));
    }
    // Of the others one is served, and one waits for the request that it refuses.
    let (answer, _, _) = within(select_all(silent)).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("too-many-connections"), "{answer}");
}

#[tokio::test]
async fn a_trusted_proxy_has_to_send_its_header_and_others_must_not() {
    let server = behind_tcp("127.0.0.1", 9).await;
    let mut stream = after(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut answer = Vec::new();
    // An error says that the connection was reset.
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());

    let server = behind_tcp("10.0.0.1", 9).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    within(client_async("ws://localhost/", stream))
        .await
        .unwrap();
    let stream = after(&server, b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n").await;
    assert!(
        within(client_async("ws://localhost/", stream))
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_does_not_finish_its_header_is_not_waited_for() {
    let server = behind_tcp("127.0.0.1", 9).await;
    for sent in [&b""[..], b"PROXY TCP4 192.0.2.1"] {
        let mut stream = after(&server, sent).await;
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty());
    }
}
