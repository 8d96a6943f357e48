//! The log of the program at `trace`, which has no token, ticket, cookie or key, however it comes in.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::support::{
    Client, Http, SECRET, free_port, signal, token, token_until, unix_seconds, within,
};

const API_KEY: &str = "the-key-of-the-api-0123456789abcdef0123456789";
const ADMIN_KEY: &str = "the-key-of-operators-0123456789abcdef0123456";
/// The part of all wrong secrets that is looked for.
const WRONG: &str = "wr0ng-s3cret";

/// The first bytes of the answer to a request for a socket with this address and these headers.
async fn open(port: u16, path: &str, headers: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // The first message of the endpoint, or a refusal, whose connection stays.
    let is_refused =
        |answer: &str| answer.contains("\r\n\r\n") && !answer.starts_with("HTTP/1.1 101");
    while !answer.contains("\"type\"") && !is_refused(&answer) {
        let mut bytes = [0; 1024];
        let read = within(stream.read(&mut bytes)).await.unwrap();
        if read == 0 {
            break;
        }
        answer.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    answer
}

#[tokio::test]
async fn no_secret_is_in_the_log_however_it_comes_in() {
    let port = free_port();
    let mut server = Command::new(env!("CARGO_BIN_EXE_nextrush"))
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--token-cookie", "jwt", "--token-message", "--log", "trace"])
        .env_clear()
        .env("JWT_SECRET", SECRET)
        .env("NEXTRUSH_API_KEY", API_KEY)
        .env("NEXTRUSH_ADMIN_KEY", ADMIN_KEY)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut out, mut err) = (server.stdout.take().unwrap(), server.stderr.take().unwrap());
    let log = tokio::spawn(async move {
        let (mut first, mut second) = (String::new(), String::new());
        let read = tokio::join!(
            out.read_to_string(&mut first),
            err.read_to_string(&mut second)
        );
        read.0.and(read.1).unwrap();
        first + &second
    });
    within(async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let api = Http::at(port, API_KEY);
    let user = json!({ "id": "ada", "email": "ada@example.com" });
    let (status, issued) = api.post("/api/v1/ticket", json!({ "user": user })).await;
    assert_eq!(status, 200, "{issued}");
    let (token, fresh) = (token("ada"), token_until("ada", unix_seconds() + 700));
    let ticket = issued["ticket"].as_str().unwrap().to_owned();
    let wrong_token = format!("{}{WRONG}", &token[..token.len() - WRONG.len()]);
    let secrets = [
        &*token,
        &fresh,
        &ticket,
        &wrong_token,
        WRONG,
        API_KEY,
        ADMIN_KEY,
        SECRET,
    ];

    let cookie = |token: &str| format!("Cookie: a=b; jwt={token}\r\n");
    let header = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let offer =
        |token: &str| format!("Sec-WebSocket-Protocol: nextrush.v1, nextrush.bearer.{token}\r\n");
    for (path, headers, is_let_in) in [
        (
            format!("/private-chat/lobby?token={token}"),
            String::new(),
            true,
        ),
        ("/private-chat/lobby".to_owned(), header(&token), true),
        ("/private-chat/lobby".to_owned(), offer(&token), true),
        ("/private-chat/lobby".to_owned(), cookie(&token), true),
        (
            format!("/private-chat/lobby?ticket={ticket}"),
            String::new(),
            true,
        ),
        (
            format!("/private-chat/lobby?ticket={ticket}"),
            String::new(),
            false,
        ),
        (
            format!("/private-chat/lobby?token={wrong_token}"),
            String::new(),
            false,
        ),
        (
            format!("/private-chat/lobby?ticket={wrong_token}"),
            String::new(),
            false,
        ),
        (
            format!("/private-chat/lobby?token={WRONG}&token={token}"),
            String::new(),
            false,
        ),
        (
            "/private-chat/lobby".to_owned(),
            header(&wrong_token),
            false,
        ),
        ("/private-chat/lobby".to_owned(), offer(&wrong_token), false),
        (
            "/private-chat/lobby".to_owned(),
            cookie(&wrong_token),
            false,
        ),
        (
            "/private-chat/lobby".to_owned(),
            cookie(&token) + "Origin: https://evil.example\r\n",
            false,
        ),
        // Without a check of its own, as sockets have one.
        (
            "/api/posts".to_owned(),
            cookie(&token) + "Origin: https://evil.example\r\n",
            false,
        ),
        (
            format!("/nowhere/{port}?token={token}"),
            header(&token),
            false,
        ),
        ("/api/v1/live".to_owned(), header(WRONG), false),
    ] {
        let answer = open(port, &path, &headers).await;
        assert_eq!(
            answer.contains("\"authenticated\""),
            is_let_in,
            "{path} {headers} {answer}"
        );
    }

    let first = |token: &str| json!({ "type": "auth", "token": token });
    for (message, expected) in [
        (first(&token), "authenticated"),
        (first(&wrong_token), "error"),
        // In the wrong place, and in a message that is none.
        (json!({ "type": "hello", "token": token }), "error"),
        (
            json!({ "type": "auth", "token": { "in": wrong_token } }),
            "error",
        ),
    ] {
        let mut socket = Client::connect_to(port, "/private-chat/lobby?auth=message").await;
        socket.send(message).await;
        socket.json_of(expected).await;
    }

    let mut socket = Client::connect_to(port, &format!("/live?token={token}")).await;
    // A second one is a message that the endpoint does not know.
    socket.send(first(&wrong_token)).await;
    assert_eq!(socket.json_of("error").await["code"], "unknown-type");
    for refreshed in [&*token, &wrong_token, &fresh] {
        socket
            .send(json!({ "type": "refresh", "token": refreshed, "id": "1" }))
            .await;
        let expected = if refreshed == wrong_token {
            "error"
        } else {
            "refreshed"
        };
        let answer = socket.json_of(expected).await;
        assert_eq!(answer["id"], "1", "{answer}");
    }
    let operator = Http::at(port, ADMIN_KEY);
    let (status, minted) = operator.post("/api/inspect/token", Value::Null).await;
    assert_eq!(status, 201, "{minted}");
    let minted = minted["token"].as_str().unwrap();
    for (key, path, status) in [
        (API_KEY, "/api/v1/channels", 200),
        (minted, "/api/inspect/connections", 200),
        (WRONG, "/api/v1/channels", 401),
        (WRONG, "/api/inspect/connections", 401),
    ] {
        assert_eq!(Http::at(port, key).get(path).await.0, status, "{path}");
    }
    open(port, &format!("/api/inspect/live?token={minted}"), "").await;
    let (status, _) = api.post("/api/v1/revoke", json!({ "user": "ada" })).await;
    assert_eq!(status, 200);

    signal(&server, "TERM").await;
    within(server.wait()).await.unwrap();
    let log = within(log).await.unwrap();
    // At this level there are lines of each of these.
    for part in [
        "TRACE",
        "a token was refused",
        "a ticket was refused",
        "does not count",
    ] {
        assert!(log.contains(part), "{part} is not in the log");
    }
    for secret in secrets.into_iter().chain([minted]) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
        // What has the signature of it, or a half of it, has too much.
        let half = &secret[secret.len() / 2..];
        let line = log.lines().find(|line| line.contains(half));
        assert_eq!(line, None, "{half} is in the log");
    }
}
