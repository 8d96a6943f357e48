//! Handshakes from clients that mean harm, byte by byte. In each case another client is
//! served as if nothing were.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nextrush::{App, Message, Server, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::support::{Client, serve, within};

const REST: &str = "Upgrade: websocket\r\nConnection: keep-alive, UPGRADE\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The masked "Hello" of RFC 6455 §5.7, and what an echo answers.
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const ECHO: &[u8] = b"\x81\x05Hello";

async fn echo() -> Server {
    let mut app = App::new();
    app.ws("/echo", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    serve(app).await
}

async fn assert_serves(server: &Server) {
    let mut client = Client::connect(server, "/echo").await;
    client.send("still there").await;
    assert_eq!(client.text().await, "still there");
}

/// All that the server says to `request` until it ends the connection. What is not read
/// any more cannot be written; a reset is an end as well.
async fn answer(server: &Server, request: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let mut answer = Vec::new();
    let written = async {
        let _ = write.write_all(request).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = written => {}
        _ = within(read.read_to_end(&mut answer)) => {}
    }
    answer
}

async fn assert_refused(server: &Server, name: &str, request: &[u8], statuses: &[&str]) {
    let answer = answer(server, request).await;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap_or("none");
    assert!(statuses.contains(&status), "{name}: {answer}");
    assert_serves(server).await;
}

#[tokio::test]
async fn a_request_whose_host_is_missing_or_in_doubt_is_refused() {
    let server = echo().await;
    for host in ["", "Host: a.example\r\nHost: b.example\r\n"] {
        let request = format!("GET /echo HTTP/1.1\r\n{host}{REST}\r\n");
        assert_refused(&server, host, request.as_bytes(), &["400"]).await;
    }
}

#[tokio::test]
async fn an_older_version_of_http_is_refused() {
    let server = echo().await;
    let request = format!("GET /echo HTTP/1.0\r\nHost: x\r\n{REST}\r\n");
    assert_refused(&server, "1.0", request.as_bytes(), &["426", "505"]).await;
}

#[tokio::test]
async fn a_head_that_breaks_the_grammar_is_refused() {
    let server = echo().await;
    for broken in [
        "GET /echo HTTP/1.1\r\nHost : x\r\n",
        "GET /echo HTTP/1.1\r\nHost: x\r\nb@d[]: x\r\n",
        "GET /echo HTTP/1.1\r\nHost: x\r\n folded\r\n",
        "GET /echo HTTP/1.1\r\nHost: x\r\nA: \0\r\n",
        "GET  /echo HTTP/1.1\r\nHost: x\r\n",
        "GET /echo HTTP/9.9\r\nHost: x\r\n",
        "GET /echo\r\nHost: x\r\n",
    ] {
        let request = format!("{broken}{REST}\r\n");
        assert_refused(&server, broken, request.as_bytes(), &["400", "505"]).await;
    }
}

#[tokio::test]
async fn what_is_no_http_at_all_is_cut_off() {
    let server = echo().await;
    let mut noise = 1_u32;
    let noise: Vec<u8> = (0..100_000)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .collect();
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x01\x02\x03\r\n\r\n";
    assert_refused(&server, "TLS", tls_hello, &["400", "none"]).await;
    assert_refused(&server, "noise", &noise, &["400", "431", "none"]).await;
}

#[tokio::test]
async fn a_head_of_a_megabyte_is_refused_before_it_has_come() {
    let server = echo().await;
    let long = "x".repeat(1024 * 1024);
    let many = "A: b\r\n".repeat(20_000);
    for (name, request) in [
        (
            "header",
            format!("GET /echo HTTP/1.1\r\nHost: x\r\nA: {long}\r\n{REST}\r\n"),
        ),
        (
            "headers",
            format!("GET /echo HTTP/1.1\r\nHost: x\r\n{many}{REST}\r\n"),
        ),
        (
            "target",
            format!("GET /echo?{long} HTTP/1.1\r\nHost: x\r\n{REST}\r\n"),
        ),
    ] {
        let statuses = ["400", "414", "431", "none"];
        assert_refused(&server, name, request.as_bytes(), &statuses).await;
    }
}

#[tokio::test]
async fn a_header_without_end_is_cut_off_early() {
    let server = echo().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"GET /echo HTTP/1.1\r\nA: ")
        .await
        .unwrap();
    let piece = [b'x'; 4096];
    let mut taken = 0;
    within(async {
        while stream.write_all(&piece).await.is_ok() {
            taken += piece.len();
        }
    })
    .await;
    // What the kernel's two buffers hold comes on top of the 16 KiB that are looked at.
    assert!(taken < 16 * 1024 * 1024, "{taken} bytes taken");
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_handshake_with_a_body_or_a_doubt_about_one_is_refused() {
    let server = echo().await;
    for body in [
        "Content-Length: 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0\r\nContent-Length: 11\r\n",
        "Content-Length: 11, 11\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ] {
        let head = format!("GET /echo HTTP/1.1\r\nHost: x\r\n{REST}{body}\r\n");
        let request = [head.as_bytes(), b"5\r\nhello\r\n0\r\n\r\n"].concat();
        assert_refused(&server, body, &request, &["400", "501"]).await;
    }
}

#[tokio::test]
async fn frames_behind_a_refused_handshake_are_not_answered() {
    let server = echo().await;
    let wrong_version = REST.replace("13", "12");
    let head = format!("GET /echo HTTP/1.1\r\nHost: x\r\n{wrong_version}\r\n");
    let request = [head.as_bytes(), HELLO].concat();
    let answer = answer(&server, &request).await;
    assert!(answer.starts_with(b"HTTP/1.1 426 "));
    let mut heads = answer.windows(5).filter(|part| part == b"HTTP/");
    assert_eq!((heads.next().is_some(), heads.next()), (true, None));
    assert!(!answer.windows(ECHO.len()).any(|part| part == ECHO));
}

#[tokio::test]
async fn a_frame_in_the_same_segment_as_the_handshake_is_not_lost() {
    let server = echo().await;
    let head = format!("GET /echo HTTP/1.1\r\nHost: x\r\n{REST}\r\n");
    let close = b"\x88\x80\0\0\0\0";
    let request = [head.as_bytes(), HELLO, close].concat();
    let answer = answer(&server, &request).await;
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert!(answer.ends_with(&[ECHO, b"\x88\x00"].concat()));
}

#[tokio::test]
async fn a_handshake_may_come_byte_by_byte() {
    let server = echo().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let head = format!("GET /echo HTTP/1.1\r\nHost: x\r\n{REST}\r\n");
    for byte in head.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut status = [0; 13];
    within(stream.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 101 ");
}

#[tokio::test]
async fn tricks_with_the_origin_do_not_help() {
    let server = echo().await;
    let own = server.address().to_string();
    for origin in [
        format!("http://{own}.evil.example"),
        format!("http://evil.example/{own}"),
        format!("http://{own}@evil.example"),
        format!("http://evil@{own}.example"),
        format!("http://evil{own}"),
        format!("ftp://{own}"),
        format!("http://{own}:80"),
        "null".to_owned(),
        "http://".to_owned(),
    ] {
        let request =
            format!("GET /echo HTTP/1.1\r\nHost: {own}\r\nOrigin: {origin}\r\n{REST}\r\n");
        assert_refused(&server, &origin, request.as_bytes(), &["403"]).await;
    }
}

// With the clock paused, time passes as soon as everybody waits.

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_a_byte_a_second_is_cut_in_the_handshakes_time() {
    let server = echo().await;
    let began = Instant::now();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!("GET /echo HTTP/1.1\r\nHost: x\r\n{REST}\r\n");
    let mut bytes = head.bytes();
    let mut end = [0; 1];
    loop {
        let byte = bytes.next().expect("the server waits for the end");
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::select! {
            _ = stream.read(&mut end) => break,
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
    // Ten seconds for the head, and as much for whoever measures.
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn hundreds_of_half_handshakes_are_all_closed_and_others_served() {
    let server = echo().await;
    let mut halves = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let half = b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: webso";
        stream.write_all(half).await.unwrap();
        halves.push(stream);
    }
    assert_serves(&server).await;
    // Not before: while a shard works the clock would run ahead of it.
    tokio::time::pause();
    for mut half in halves {
        let mut answer = Vec::new();
        // An error says that the connection was reset.
        let _ = within(half.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 101"));
    }
}

#[tokio::test]
async fn sessions_that_end_in_any_way_leave_nothing_behind() {
    let opened = Arc::new(AtomicUsize::new(0));
    let closed = Arc::new(AtomicUsize::new(0));
    let (count_opened, count_closed) = (Arc::clone(&opened), Arc::clone(&closed));
    let mut app = App::new();
    app.ws("/echo", move |socket: Socket| {
        count_opened.fetch_add(1, Ordering::Relaxed);
        let closed = Arc::clone(&count_closed);
        socket.on_close(move |_: Socket, _| {
            closed.fetch_add(1, Ordering::Relaxed);
        });
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    let handle = app.handle().clone();
    let server = serve(app).await;
    let request = format!("GET /echo HTTP/1.1\r\nHost: a\r\n{REST}\r\n");
    for number in 0..1_500 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        if number % 5 == 0 {
            stream.write_all(&request.as_bytes()[..40]).await.unwrap();
            stream.set_zero_linger().unwrap();
            continue;
        }
        open(&mut stream, request.as_bytes()).await;
        match number % 5 {
            1 => stream.set_zero_linger().unwrap(),
            2 => {
                stream.write_all(&HELLO[..4]).await.unwrap();
                stream.set_zero_linger().unwrap();
            }
            3 => stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap(),
            _ => stream.shutdown().await.unwrap(),
        }
    }
    within(async {
        while handle.local_connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // One that is reset may not get as far as to be opened.
    let opened = opened.load(Ordering::Relaxed);
    assert!((600..=1_200).contains(&opened), "{opened}");
    assert_eq!(closed.load(Ordering::Relaxed), opened);
    assert_serves(&server).await;
}

async fn open(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(within(stream.read_u8()).await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
}
