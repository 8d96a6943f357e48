//! The limits that operators set: each answers before it cuts.

use std::time::{Duration, Instant};

use nextrush::Server;
use nextrush_server::{app, listen};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Client, SECRET, config, token, within};

/// A server as the program starts it, with these further arguments.
async fn started(arguments: &[&str]) -> Server {
    let usual = ["--jwt-secret", SECRET, "--listen", "127.0.0.1:0"];
    let config = config(&[&usual, arguments].concat());
    let app = app(&config).await.unwrap();
    listen(app, &config).start().await.unwrap()
}

async fn live(server: &Server) -> Client {
    Client::connect(server, &format!("/live?token={}", token("ada"))).await
}

/// All that the server says to some bytes until it ends the connection.
async fn answer(server: &Server, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = within(stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

/// The head of a request whose header makes it so many bytes longer.
fn request(bytes: usize) -> String {
    let long = "x".repeat(bytes);
    format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Long: {long}\r\n\r\n"
    )
}

#[tokio::test]
async fn messages_beyond_the_rate_are_dropped_and_told_when_to_go_on() {
    let server = started(&["--messages-per-second", "1", "--messages-at-once", "3"]).await;
    let mut ada = live(&server).await;
    let mut told = Vec::new();
    for id in 0..5 {
        let subscribe =
            json!({ "type": "subscribe", "channel": format!("c-{id}"), "id": id.to_string() });
        ada.send(subscribe).await;
        told.push(ada.json().await);
    }
    let kinds: Vec<_> = told.iter().map(|answer| answer["type"].as_str()).collect();
    let (subscribed, error) = (Some("subscribed"), Some("error"));
    assert_eq!(kinds, [subscribed, subscribed, subscribed, error, error]);
    for refusal in &told[3..] {
        assert_eq!(refusal["code"], "rate-limited");
        let wait = refusal["retryAfterMs"].as_u64().unwrap();
        assert!((1..=1000).contains(&wait), "{refusal}");
    }
}

#[tokio::test]
async fn a_socket_has_as_many_channels_as_the_setting_says() {
    let server = started(&["--channels-per-socket", "2"]).await;
    let mut ada = live(&server).await;
    let mut codes = Vec::new();
    for channel in ["a", "b", "c"] {
        ada.send(json!({ "type": "subscribe", "channel": channel }))
            .await;
        codes.push(ada.json().await["code"].clone());
    }
    assert_eq!(
        codes,
        [Value::Null, Value::Null, json!("too-many-channels")]
    );
    ada.send(json!({ "type": "unsubscribe", "channel": "a" }))
        .await;
    ada.json().await;
    ada.send(json!({ "type": "subscribe", "channel": "c" }))
        .await;
    assert_eq!(ada.json().await["type"], "subscribed");
}

#[tokio::test]
async fn a_message_may_be_as_long_as_the_setting_says() {
    let server = started(&["--open-endpoints", "--message-bytes", "100K"]).await;
    let fits = "x".repeat(100 * 1024);
    let long = fits.clone() + "x";
    let mut client = Client::connect(&server, "/chat").await;
    assert_eq!(client.text().await, "Welcome to the chat!");
    client.say(&fits).await;
    assert_eq!(client.text().await, format!("Echo: {fits}"));
    client.say(&long).await;
    assert_eq!(client.closed().await.0, 1009);

    // It has options of its own.
    let mut client = Client::connect(&server, "/robust-chat/den").await;
    client.say(&fits).await;
    assert_eq!(client.json().await["code"], "invalid-format");
    client.say(&long).await;
    assert_eq!(client.end().await.0, 1009);
}

#[tokio::test]
async fn a_head_may_be_as_long_as_the_setting_says() {
    for (setting, fits, long) in [("8K", 7_000, 9_000), ("64K", 60_000, 70_000)] {
        let server = started(&["--head-bytes", setting]).await;
        let answered = answer(&server, request(fits).as_bytes()).await;
        assert!(
            answered.starts_with("HTTP/1.1 200 "),
            "{setting} {answered}"
        );
        let answered = answer(&server, request(long).as_bytes()).await;
        assert!(
            answered.starts_with("HTTP/1.1 431 "),
            "{setting} {answered}"
        );
    }
}

#[tokio::test]
async fn a_head_that_takes_longer_than_the_setting_says_is_answered_with_408() {
    let server = started(&["--head-timeout", "1s"]).await;
    let answered = answer(&server, b"GET /healthz HTTP/1.1\r\nHo").await;
    assert!(answered.starts_with("HTTP/1.1 408 "), "{answered}");
    assert!(answered.ends_with(r#""code":"bad-request"}"#), "{answered}");
}

#[tokio::test]
async fn a_silent_socket_is_pinged_and_told_that_it_is_closed_in_the_time_of_the_settings() {
    let server = started(&["--heartbeat-interval", "1s", "--heartbeat-timeout", "1s"]).await;
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let request = format!(
        "GET /live?token={} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\n{key}\r\n\r\n",
        token("ada")
    );
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    // A reset is an end as well.
    let _ = within(stream.read_to_end(&mut received)).await;
    let close = [&[0x88, 21, 0x0b, 0xc0][..], b"no answer to a ping"].concat();
    let frames = [&[0x89, 0][..], &close].concat();
    assert!(
        received.ends_with(&frames),
        "{:?}",
        received.escape_ascii().to_string()
    );
}

#[tokio::test]
async fn with_all_places_taken_a_socket_is_refused_before_the_upgrade_and_told_when_to_come_back() {
    let server = started(&["--connections", "2"]).await;
    let _held = [live(&server).await, live(&server).await];
    let request = format!(
        "GET /live?token={} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        token("ada")
    );
    let answered = answer(&server, request.as_bytes()).await;
    assert!(answered.starts_with("HTTP/1.1 503 "), "{answered}");
    assert!(answered.contains("\r\nretry-after: 5\r\n"), "{answered}");
    assert!(
        answered.ends_with(r#""code":"unavailable","retryAfterMs":5000}"#),
        "{answered}"
    );
}

// What waits is bounded by its bytes and by its age, whichever comes first.
#[tokio::test]
async fn a_reader_that_has_stopped_is_closed_with_1013_at_the_bounds_of_the_settings() {
    for (bounds, most, least) in [
        (
            ["--backlog-bytes", "16K", "--backlog-age", "24h"],
            // Below the default of 1 MiB: messages of the same turn come before the bound is looked at.
            800 * 1024,
            Duration::ZERO,
        ),
        (
            ["--backlog-bytes", "1G", "--backlog-age", "1s"],
            u64::MAX,
            Duration::from_secs(1),
        ),
    ] {
        let rate = [
            "--messages-per-second",
            "10000",
            "--messages-at-once",
            "10000",
        ];
        let arguments = [&["--open-endpoints"], &bounds[..], &rate].concat();
        let server = started(&arguments).await;
        let counts = || server.handle().metrics().engine.total().counts;
        let mut bob = Client::connect(&server, "/rooms/den").await;
        bob.text().await;
        let mut ada = Client::connect(&server, "/rooms/den").await;
        ada.text().await;
        let begun = Instant::now();
        let mut waited = 0;
        // More than the kernel takes for him.
        let text = "x".repeat(60_000);
        for _ in 0..400 {
            ada.say(&text).await;
            waited = waited.max(counts().backlog_bytes);
        }
        within(async {
            while counts().slow_readers_closed == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(waited <= most, "{bounds:?}: {waited} bytes");
        assert!(begun.elapsed() >= least, "{bounds:?}");
        let end = bob.end().await;
        assert_eq!(end, (1013, "client reads too slowly".into()), "{bounds:?}");
        // She has read all along.
        ada.say("still there").await;
        assert_eq!(counts().slow_readers_closed, 1);
    }
}
