//! Bodies that do not come, or come one byte now and then.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nextrush::Server;
use nextrush_server::app;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::program::Program;
use crate::support::{Http, SECRET, config, serve_with, token, within};

/// The time without a byte and the whole time of these tests' servers: a byte that is sent each tenth
/// of the first is in time also on a busy machine.
const PROGRESS: Duration = Duration::from_secs(2);
const WHOLE: Duration = Duration::from_secs(5);

/// A time for the whole body that is longer than any test.
const NEVER: Duration = Duration::from_secs(600);

async fn impatient(whole: Duration) -> Server {
    let app = app(&config(&["--jwt-secret", SECRET])).await.unwrap();
    let listen = app.listen("127.0.0.1:0");
    let listen = listen.body_timeouts(PROGRESS, whole);
    listen.start().await.unwrap()
}

/// The head of a user's new post with a body of so many bytes.
fn head(user: usize, length: usize) -> String {
    format!(
        "POST /api/posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
        token(&user.to_string())
    )
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = within(stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn bodies_that_stall_are_answered_with_408_and_their_connections_closed() {
    let server = impatient(NEVER).await;
    let stalled = (0..150).map(async |user| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream
            .write_all(head(user, 60_000).as_bytes())
            .await
            .unwrap();
        stream.write_all(b"{\"title\":\"").await.unwrap();
        read_all(&mut stream).await
    });
    let begun = Instant::now();
    for answer in join_all(stalled).await {
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(answer.contains("The body did not come in time"), "{answer}");
    }
    assert!(begun.elapsed() >= PROGRESS);
}

#[tokio::test]
async fn a_body_that_drips_ends_after_the_whole_time() {
    let server = impatient(WHOLE).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(head(0, 60_000).as_bytes()).await.unwrap();
    let begun = Instant::now();
    let dripping = async {
        let mut drops = tokio::time::interval(PROGRESS / 10);
        loop {
            drops.tick().await;
            if writer.write_all(b" ").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = dripping => {}
        _ = within(reader.read_to_end(&mut answer)) => {}
    }
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
    assert!(begun.elapsed() >= WHOLE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_body_is_refused_at_64_kib_and_150_of_2_mb_hold_no_memory() {
    let server = Program::start(&[]).await;
    let port = server.port;
    let before = server.peak_bytes();
    let large = (0..150).map(async |user| {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let body = vec![b' '; 1_900_000];
        let sending = async {
            writer
                .write_all(head(user, 2_000_000).as_bytes())
                .await
                .unwrap();
            // It is not read to the end.
            let _ = writer.write_all(&body).await;
            std::future::pending::<()>().await;
        };
        let mut answer = [0; 12];
        tokio::select! {
            () = sending => {}
            read = within(reader.read_exact(&mut answer)) => drop(read.unwrap()),
        }
        answer
    });
    for answer in join_all(large).await {
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
    let grown = server.peak_bytes() - before;
    // A body of up to 64 KiB in at most two copies, and the buffers of its connection.
    assert!(grown < 150 * 256 * 1024, "{grown} bytes");
}

#[tokio::test]
async fn the_streams_of_one_connection_stall_together_and_all_end() {
    let server = impatient(NEVER).await;
    let stream = TokioIo::new(TcpStream::connect(server.address()).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (sender, connection) = within(handshake).await.unwrap();
    tokio::spawn(connection);
    let stalled = (0..128).map(async |_| {
        // A start, and nothing more.
        let start = Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"{\"title\":\"")));
        let frames = futures_util::stream::iter([start]);
        let body = StreamBody::new(futures_util::StreamExt::chain(
            frames,
            futures_util::stream::pending(),
        ));
        let request = Request::post("http://localhost/api/posts")
            .header("authorization", format!("Bearer {}", token("ada")))
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        within(sender.clone().send_request(request)).await.unwrap()
    });
    for response in join_all(stalled).await {
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    }
}

#[tokio::test]
async fn the_streams_of_one_connection_hold_no_more_than_their_bodies_may_have() {
    let server = Program::start(&[]).await;
    let stream = TcpStream::connect(("127.0.0.1", server.port)).await;
    let stream = TokioIo::new(stream.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (sender, connection) = within(handshake).await.unwrap();
    tokio::spawn(connection);
    let before = server.peak_bytes();
    let large = (0..128).map(async |_| {
        let chunk = Bytes::from(vec![b' '; 16 * 1024]);
        let chunks = (0..125).map(move |_| Ok::<_, std::io::Error>(Frame::data(chunk.clone())));
        let request = Request::post("http://localhost/api/posts")
            .header("authorization", format!("Bearer {}", token("ada")))
            .header("content-type", "application/json")
            .body(StreamBody::new(futures_util::stream::iter(chunks)))
            .unwrap();
        within(sender.clone().send_request(request)).await
    });
    // One that is refused while its body is on the way may be reset before its answer is read.
    for response in join_all(large).await.into_iter().flatten() {
        assert!(response.status().is_client_error(), "{}", response.status());
    }
    let grown = server.peak_bytes() - before;
    // Without a limit of posts it was 250 MiB.
    assert!(grown < 128 * 256 * 1024, "{grown} bytes");
}

#[tokio::test]
async fn bodies_that_hold_a_name_have_4_kib() {
    let server = serve_with(&["--dev", "--no-store", "--jwt-secret", ""]).await;
    let filled = |bytes: usize| serde_json::json!({ "name": "ada", "_": " ".repeat(bytes) });
    for path in ["/api/dev/token", "/api/inspect/disconnect"] {
        let http = Http::of(&server);
        let (_, ticket) = http
            .post("/api/inspect/token", serde_json::Value::Null)
            .await;
        let http = Http::with(&server, ticket["token"].as_str().unwrap_or_default());
        assert_ne!(http.post(path, filled(3_900)).await.0, 413, "{path}");
        assert_eq!(http.post(path, filled(4_100)).await.0, 413, "{path}");
    }
}
