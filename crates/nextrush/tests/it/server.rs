//! The server's end of plain HTTP connections.

use std::time::Duration;

#[cfg(feature = "testing")]
use nextrush::Error;
#[cfg(feature = "testing")]
use nextrush::broker::EmbeddedBroker;
use nextrush::limits::EngineConfig;
use nextrush::{App, ErrorCode, Server, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::log::Log;
use crate::support::{serve, within};

/// Reads what the server sends until it ends the connection; a reset is an end as well.
async fn end_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // An error says that the connection was reset.
    let _ = within(stream.read_to_end(&mut answer)).await;
    answer
}

/// The refusals that were told with this code.
fn refusals(server: &Server, code: ErrorCode) -> u64 {
    let all = server.handle().metrics().refusals;
    let found = all.iter().find(|told| told.code == Some(code));
    found.map_or(0, |told| told.count)
}

#[tokio::test]
async fn the_log_has_the_address_that_a_server_listens_on() {
    let mut log = Log::capture();
    let server = serve(App::new()).await;
    let listening = format!("listening address={}", server.address());
    let line = log.line_with(&listening).await;
    assert!(line.contains("INFO"), "{line}");
}

/// The answer to a head that does not end in time.
const LATE: &str = "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n\
                    content-length: 82\r\nconnection: close\r\n\r\n\
                    {\"type\":\"error\",\"message\":\"The request did not come in time\",\
                    \"code\":\"bad-request\"}";

// With the clock paused, time passes as soon as everybody waits.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_ask_is_not_waited_for() {
    let server = serve(App::new()).await;
    for sent in ["", "G", "PRI * HTTP/2.0", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        end_of(&mut stream).await;
    }
}

#[tokio::test]
async fn hundreds_of_half_handshakes_end_at_the_deadline() {
    let listen = App::new().listen("127.0.0.1:0");
    let server = listen
        .head_timeout(Duration::from_millis(300))
        .start()
        .await
        .unwrap();
    let mut streams = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let sent = &b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "[..number % 30];
        stream.write_all(sent).await.unwrap();
        streams.push(stream);
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let answer = end_of(stream).await;
        // Who has not said a word does not wait for one.
        match number % 30 {
            0 => assert!(answer.is_empty()),
            _ => assert_eq!(answer, LATE.as_bytes(), "{number}"),
        }
    }
    let told = refusals(&server, ErrorCode::BadRequest);
    assert_eq!(told, 290);
    // Nothing of them is left.
    within(server.close()).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_a_minute_between_requests_and_not_for_ever() {
    let server = App::new().listen("127.0.0.1:0").start().await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let mut answer = vec![0; 4096];
    for pause in [0, 61, 70] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let count = stream.read(&mut answer).await.unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 404"), "{pause}");
    }
    let start = Instant::now();
    assert_eq!(stream.read(&mut answer).await.unwrap(), 0);
    let kept = start.elapsed().as_secs();
    assert!((70..=76).contains(&kept), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn a_later_head_that_does_not_end_is_answered_too() {
    let server = serve(App::new()).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await.unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 404"));
    stream.write_all(b"GET /live").await.unwrap();
    let mut late = Vec::new();
    // Later than anything else that a test waits for.
    stream.read_to_end(&mut late).await.unwrap();
    assert_eq!(String::from_utf8(late).unwrap(), LATE);
}

#[tokio::test]
async fn beyond_twice_of_its_connections_an_address_is_told_before_it_asks() {
    let listen = App::new().listen("127.0.0.1:0").connections_per_address(1);
    let server = listen.start().await.unwrap();
    let _first = TcpStream::connect(server.address()).await.unwrap();
    let mut second = TcpStream::connect(server.address()).await.unwrap();
    let mut third = TcpStream::connect(server.address()).await.unwrap();
    let third = end_of(&mut third).await;
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    second.write_all(request).await.unwrap();
    let second = end_of(&mut second).await;
    for answer in [second, third] {
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\r\nretry-after: 5\r\n"), "{answer}");
        let error = r#"{"type":"error","message":"Too many connections from this address","code":"too-many-connections","retryAfterMs":5000}"#;
        assert!(answer.ends_with(error), "{answer}");
    }
    let told = refusals(&server, ErrorCode::TooManyConnections);
    assert_eq!(told, 2);
}

// All handshakes are asked before the first of them is a socket.
#[tokio::test]
async fn whoever_has_no_place_is_told_before_the_upgrade_also_when_many_come_at_once() {
    let mut app = App::builder()
        .engine(EngineConfig::default().connections(3))
        .build();
    app.ws("/", |socket: Socket| socket.send("in"));
    let server = serve(app).await;
    let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let mut streams = Vec::new();
    for _ in 0..30 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let mut open = 0;
    for stream in &mut streams {
        let mut answer = String::new();
        while !answer.ends_with("\x02in") && !answer.ends_with('}') {
            let byte = within(stream.read_u8()).await.unwrap();
            answer.push(char::from(byte));
        }
        if answer.starts_with("HTTP/1.1 101 ") {
            open += 1;
            continue;
        }
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("\r\nretry-after: 5\r\n"), "{answer}");
        assert!(
            answer.contains(r#""code":"unavailable","retryAfterMs":5000"#),
            "{answer}"
        );
    }
    assert_eq!(open, 3);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_the_head_is_counted_from_the_beginning() {
    let listen = App::new().listen("127.0.0.1:0");
    let server = listen
        .head_timeout(Duration::from_secs(5))
        .start()
        .await
        .unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let start = Instant::now();
    // A byte each second, which never makes a whole head.
    let mut trickle = tokio::time::interval(Duration::from_secs(1));
    let mut answer = [0; 1];
    loop {
        tokio::select! {
            _ = stream.read(&mut answer) => break,
            _ = trickle.tick() => {
                // It may have been ended just now.
                let _ = stream.write_all(b"G").await;
            }
        }
    }
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_is_cut_when_the_server_closes() {
    let mut app = App::new();
    let (begun, mut was_begun) = mpsc::unbounded_channel();
    app.get("/", async move || {
        begun.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    let server = serve(app).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    within(was_begun.recv()).await.unwrap();
    server.close().await;
    assert!(end_of(&mut stream).await.is_empty());
    // Nothing holds the handler any more.
    assert_eq!(within(was_begun.recv()).await, None);
}

#[cfg(feature = "testing")]
#[tokio::test]
async fn a_store_whose_writer_ends_ends_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::open(directory.path()).unwrap();
    broker.end_writer().await;
    let server = serve(App::builder().broker(broker).build()).await;
    assert_eq!(within(server.handle().failed()).await, "the store's writer");
    assert_eq!(server.handle().failure(), Some("the store's writer"));
    let ended = within(server.run_until_signal()).await;
    assert!(matches!(ended, Err(Error::Ended("the store's writer"))));
    // Nothing of the server has kept the broker.
    EmbeddedBroker::open(directory.path()).unwrap();
}
