//! Requests that never become a socket.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use http::header::{
    CONNECTION, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use nextrush::{App, Message, OriginPolicy, RoomName, Server, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::log::Log;
use crate::support::{Client, serve, url, within};

async fn server() -> Server {
    let mut app = App::new();
    app.ws("/echo", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    app.ws("/number/:n", |socket: Socket, Path(n): Path<u32>| {
        socket.send(n.to_string());
    });
    app.ws(
        "/room/:room",
        |socket: Socket, Path(room): Path<RoomName>| {
            socket.send(room.as_str());
        },
    );
    app.ws(
        "/query",
        |socket: Socket, Query(query): Query<HashMap<String, u32>>| {
            socket.send(query["n"].to_string());
        },
    );
    app.get("/page", async || "a page");
    serve(app).await
}

/// A valid opening handshake, to be spoilt.
fn handshake(server: &Server) -> HeaderMap {
    let host = server.address().to_string();
    HeaderMap::from_iter([
        (HOST, host.parse().unwrap()),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (
            SEC_WEBSOCKET_KEY,
            HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="),
        ),
    ])
}

/// Sends a request head byte by byte as given and reads the answer to its end or,
/// if it is an upgrade, to the end of its head.
async fn raw(server: &Server, head: &str) -> (StatusCode, HeaderMap, String) {
    within(async {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.starts_with(b"HTTP/1.1 101") || !answer.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut answer).await.unwrap() == 0 {
                break;
            }
        }
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
        });
        (status.parse().unwrap(), headers.collect(), body.to_owned())
    })
    .await
}

async fn get(server: &Server, path: &str, headers: &HeaderMap) -> (StatusCode, HeaderMap, String) {
    request(server, "GET", path, headers).await
}

async fn request(
    server: &Server,
    method: &str,
    path: &str,
    headers: &HeaderMap,
) -> (StatusCode, HeaderMap, String) {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    if !headers.contains_key(CONNECTION) {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    raw(server, &head).await
}

#[track_caller]
fn assert_json_error(body: &str, code: &str) {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    assert_eq!(body["type"], "error", "{body}");
    assert!(body["message"].is_string(), "{body}");
    assert_eq!(body["code"], code, "{body}");
}

#[tokio::test]
async fn a_valid_handshake_is_answered_as_the_rfc_says() {
    let server = server().await;
    let (status, headers, _) = get(&server, "/echo", &handshake(&server)).await;
    assert_eq!(status, StatusCode::SWITCHING_PROTOCOLS);
    // RFC 6455 §1.3
    assert_eq!(
        headers["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(headers[UPGRADE], "websocket");
    assert!(
        headers[CONNECTION]
            .to_str()
            .unwrap()
            .eq_ignore_ascii_case("upgrade")
    );
}

#[tokio::test]
async fn an_unknown_route_is_not_found() {
    let server = server().await;
    assert_eq!(
        Client::refused(&server, "/nowhere").await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(Client::refused(&server, "/page").await, StatusCode::OK);
}

#[tokio::test]
async fn a_plain_request_is_told_to_upgrade() {
    let server = server().await;
    let mut headers = handshake(&server);
    headers.retain_only_host();
    let (status, headers, body) = get(&server, "/echo", &headers).await;
    assert_eq!(status, StatusCode::UPGRADE_REQUIRED);
    assert_eq!(headers[UPGRADE], "websocket");
    assert!(headers[CONNECTION].to_str().unwrap().contains("upgrade"));
    assert_json_error(&body, "invalid-handshake");
}

trait RetainOnlyHost {
    fn retain_only_host(&mut self);
}

impl RetainOnlyHost for HeaderMap {
    fn retain_only_host(&mut self) {
        let host = self[HOST].clone();
        self.clear();
        self.insert(HOST, host);
    }
}

#[tokio::test]
async fn another_version_is_told_the_right_one() {
    let server = server().await;
    for version in ["0", "8", "12", "14", "255"] {
        let mut headers = handshake(&server);
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(version));
        let (status, headers, body) = get(&server, "/echo", &headers).await;
        assert_eq!(status, StatusCode::UPGRADE_REQUIRED, "{version}");
        assert_eq!(headers[SEC_WEBSOCKET_VERSION], "13");
        assert_json_error(&body, "invalid-handshake");
    }
}

#[tokio::test]
async fn a_handshake_that_breaks_a_rule_never_upgrades() {
    let server = server().await;
    type Spoil = fn(&mut HeaderMap);
    let spoil: [(&str, Spoil); 10] = [
        ("no version", |headers| {
            drop(headers.remove(SEC_WEBSOCKET_VERSION));
        }),
        ("no key", |headers| drop(headers.remove(SEC_WEBSOCKET_KEY))),
        ("an empty key", |headers| {
            headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static(""));
        }),
        ("a short key", |headers| {
            headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("c2hvcnQ="));
        }),
        ("a key that is no base64", |headers| {
            let key = HeaderValue::from_static("!!!!!!!!!!!!!!!!!!!!!!==");
            headers.insert(SEC_WEBSOCKET_KEY, key);
        }),
        ("two keys", |headers| {
            let key = headers[SEC_WEBSOCKET_KEY].clone();
            headers.append(SEC_WEBSOCKET_KEY, key);
        }),
        ("another upgrade", |headers| {
            headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
        }),
        ("no connection option", |headers| {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }),
        ("a look-alike connection option", |headers| {
            headers.insert(CONNECTION, HeaderValue::from_static("close, notupgrade"));
        }),
        ("a body", |headers| {
            headers.insert("content-length", HeaderValue::from_static("0005"));
        }),
    ];
    for (name, spoil) in spoil {
        let mut headers = handshake(&server);
        spoil(&mut headers);
        let (status, ..) = get(&server, "/echo", &headers).await;
        assert!(status.is_client_error(), "{name}: {status}");
    }
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let server = server().await;
    for method in ["POST", "PUT", "DELETE"] {
        let mut headers = handshake(&server);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade, close"));
        let (status, ..) = request(&server, method, "/echo", &headers).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn bad_parameters_are_refused_with_json() {
    let server = server().await;
    let paths = [
        ("/number/seven", "bad-request"),
        ("/number/-1", "bad-request"),
        ("/query?n=x", "bad-request"),
        ("/room/%00", "invalid-name"),
        ("/room/%E2%80%AEa", "invalid-name"),
        (&format!("/room/{}", "x".repeat(256)), "invalid-name"),
    ];
    for (path, code) in paths {
        let (status, _, body) = get(&server, path, &handshake(&server)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert_json_error(&body, code);
    }
    let mut client = Client::connect(&server, "/query?n=7").await;
    assert_eq!(client.text().await, "7");
}

#[tokio::test]
async fn a_refused_page_is_in_the_log_once_a_minute_with_what_was_compared() {
    let mut log = Log::capture();
    for (policy, compared) in [
        (OriginPolicy::SameOrigin, "host=Some(\""),
        (
            OriginPolicy::list(["https://a.example".parse().unwrap()]),
            "allowed=[\"https://a.example\"]",
        ),
    ] {
        let mut app = App::new();
        app.ws("/echo", |_: Socket| {});
        app.origins(policy);
        let server = serve(app).await;
        let mut headers = handshake(&server);
        let origin = "https://refused-in-the-log.example";
        headers.insert(ORIGIN, HeaderValue::from_static(origin));
        for _ in 0..2 {
            assert_eq!(
                get(&server, "/echo", &headers).await.0,
                StatusCode::FORBIDDEN
            );
        }
        let lines = log.lines_with(origin);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("WARN") && lines[0].contains(compared),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn a_foreign_page_is_refused() {
    let server = server().await;
    let connect = async |origin: &str| {
        let mut request = url(&server, "/echo").into_client_request().unwrap();
        request
            .headers_mut()
            .insert(ORIGIN, origin.parse().unwrap());
        match Client::request(request).await {
            Ok(_) => StatusCode::SWITCHING_PROTOCOLS,
            Err(response) => response.status(),
        }
    };
    let own = format!("http://{}", server.address());
    assert_eq!(connect(&own).await, StatusCode::SWITCHING_PROTOCOLS);
    for origin in [
        "https://evil.example",
        "null",
        &format!("{own}0"),
        "http://127.0.0.1",
    ] {
        assert_eq!(connect(origin).await, StatusCode::FORBIDDEN, "{origin}");
    }
}

#[tokio::test]
async fn the_origins_of_a_route_can_be_listed() {
    let mut app = App::new();
    app.origins(OriginPolicy::list(["https://example.com".parse().unwrap()]));
    app.ws("/", |socket: Socket| socket.send("in"));
    let server = serve(app).await;
    for (origin, expected) in [
        ("https://example.com", None),
        ("https://example.org", Some(StatusCode::FORBIDDEN)),
    ] {
        let mut request = url(&server, "/").into_client_request().unwrap();
        request
            .headers_mut()
            .insert(ORIGIN, HeaderValue::from_static(origin));
        let refused = Client::request(request).await.err();
        assert_eq!(
            refused.map(|response| response.status()),
            expected,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn a_head_beyond_sixteen_kilobytes_is_refused() {
    let server = server().await;
    let mut headers = handshake(&server);
    let long = "x".repeat(40_000);
    headers.insert("x-long", long.parse().unwrap());
    let (status, ..) = get(&server, "/echo", &headers).await;
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn a_full_server_refuses_before_the_upgrade() {
    use nextrush::limits::EngineConfig;

    let config = EngineConfig::default().connections(1);
    let mut app: App = App::builder().engine(config).build();
    app.ws("/", |socket: Socket| socket.send("in"));
    let server = serve(app).await;
    let mut first = Client::connect(&server, "/").await;
    assert_eq!(first.text().await, "in");
    assert_eq!(
        Client::refused(&server, "/").await,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn a_plain_request_is_told_why_the_handshake_would_be_refused() {
    let server = server().await;
    let host = server.address();
    for (path, status, code) in [
        ("/number/x", 400, "bad-request"),
        ("/room/%00", 400, "invalid-name"),
        ("/room/a%E2%80%8B", 400, "invalid-name"),
        ("/echo", 426, "invalid-handshake"),
        ("/number/7", 426, "invalid-handshake"),
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let (answered, _, body) = raw(&server, &head).await;
        assert_eq!(answered, status, "{path}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["code"], code, "{path}");
    }
    let head = format!("GET /echo HTTP/1.1\r\nHost: {host}\r\nOrigin: http://evil.example\r\n\r\n");
    let (answered, _, body) = raw(&server, &head).await;
    assert_eq!(answered, 403);
    assert!(body.contains("origin-refused"), "{body}");
}
