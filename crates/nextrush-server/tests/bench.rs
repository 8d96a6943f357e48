//! `nextrush bench` against real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::Path;
use clap::Parser;
use http::HeaderMap;
use nextrush::room::JoinError;
use nextrush::{App, Message, Server, Socket};
use nextrush_server::{Bench, BenchError, BenchReport, Cli, ClientError};
use tokio::net::TcpListener;

async fn serve(app: App) -> Server {
    app.listen("127.0.0.1:0").start().await.unwrap()
}

/// An echo, and rooms whose messages go to all members.
fn app() -> App {
    let mut app = App::new();
    app.ws("/echo", |socket: Socket| {
        socket.send("Welcome!");
        socket.on_message(|socket: Socket, message: Message| {
            socket.send(format!("Echo: {message}"));
        });
    });
    app.ws("/rooms/{id}", |socket: Socket, Path(id): Path<String>| {
        socket.join(&id)?;
        let room = socket.app().room(&id);
        socket.on_message(move |_: Socket, message: Message| room.send(&message));
        Ok::<_, JoinError>(())
    });
    app
}

fn bench(arguments: &[&str]) -> Bench {
    let cli = Cli::parse_from(["nextrush", "bench"].iter().chain(arguments));
    let Some(nextrush_server::Command::Bench(bench)) = cli.command else {
        panic!("no load test");
    };
    bench
}

async fn run(server: &Server, path: &str, arguments: &[&str]) -> BenchReport {
    let url = format!("ws://{}{path}", server.address());
    let arguments = [&[&*url, "--duration", "300ms"], arguments].concat();
    bench(&arguments).run().await.unwrap()
}

#[tokio::test]
async fn every_message_to_an_echo_comes_back_once() {
    let server = serve(app()).await;
    let report = run(
        &server,
        "/echo",
        &["-c", "5", "--rate", "100", "--size", "200"],
    )
    .await;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.received(), report.sent());
    // Each sends at 0 ms, 10 ms and so on; the first messages of the connections are 2 ms apart.
    assert_eq!(report.sent(), 5 * 30);
    assert!(report.latency(0.5) <= report.latency(1.0));
    assert!(report.latency(1.0) > Duration::ZERO);
}

#[tokio::test]
async fn in_rooms_every_message_comes_to_each_member() {
    let server = serve(app()).await;
    let report = run(
        &server,
        "/rooms/load",
        &["-c", "12", "--rooms", "3", "-r", "20"],
    )
    .await;
    assert!(report.is_sound(), "{report}");
    // A connection that joins late does not receive the first messages.
    let all = 4 * report.sent();
    assert!(
        (all - 12 * 3..=all).contains(&report.received()),
        "{report}"
    );
}

#[tokio::test]
async fn what_an_endpoint_drops_and_repeats_is_counted() {
    let mut app = App::new();
    app.ws("/bad", |socket: Socket| {
        let count = AtomicUsize::new(0);
        socket.on_message(move |socket: Socket, message: Message| {
            match count.fetch_add(1, Ordering::Relaxed) {
                3 => {}
                5 => {
                    socket.send(&message);
                    socket.send(&message);
                }
                _ => socket.send(&message),
            }
        });
    });
    let server = serve(app).await;
    let report = run(&server, "/bad", &["-c", "2", "--rate", "50"]).await;
    assert!(!report.is_sound());
    assert_eq!((report.missed(), report.repeated()), (2, 2), "{report}");
}

#[tokio::test]
async fn a_connection_that_is_closed_is_in_the_report_with_the_reason() {
    let mut app = App::new();
    app.ws("/strict", |socket: Socket| {
        socket.on_message(|socket: Socket, _: Message| socket.close(1008, "not here"));
    });
    let server = serve(app).await;
    let report = run(&server, "/strict", &["-c", "3"]).await;
    let lost: Vec<_> = report.lost().iter().collect();
    assert!(
        matches!(lost[..], [(reason, 3)] if reason.contains("1008") && reason.contains("not here")),
        "{report}"
    );
}

#[tokio::test]
async fn a_template_and_headers_go_to_the_endpoint() {
    let mut app = App::new();
    app.ws("/chat", |socket: Socket, headers: HeaderMap| {
        assert_eq!(headers["x-team"], "red");
        socket.on_message(|socket: Socket, message: Message| {
            let json: serde_json::Value = message.json().unwrap();
            socket.send(json["text"].as_str().unwrap());
        });
    });
    let server = serve(app).await;
    let template = r#"{"text":"{payload}"}"#;
    let report = run(
        &server,
        "/chat",
        &["-c", "1", "--message", template, "-H", "X-Team: red"],
    )
    .await;
    assert!(report.is_sound(), "{report}");
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_quoted() {
    let server = serve(app()).await;
    let url = format!("ws://{}/nowhere", server.address());
    match bench(&[&url]).run().await {
        Err(BenchError::Client(ClientError::Refused { status, .. })) => assert_eq!(status, 404),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobody_listening_and_no_http_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = stream.into_std().unwrap();
        stream.write_all(b"220 mail.example.com\r\n").unwrap();
    });
    let result = bench(&[&url, "-c", "1"]).run().await;
    assert!(
        matches!(result, Err(BenchError::Client(ClientError::Http { .. }))),
        "{result:?}"
    );
    // The listener is gone with its task.
    answering.await.unwrap();
    let result = bench(&[&url, "-c", "1"]).run().await;
    assert!(
        matches!(result, Err(BenchError::Client(ClientError::Connect { .. }))),
        "{result:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_prints_percentiles_and_succeeds_only_if_all_was_well() {
    let server = serve(app()).await;
    let program = |path: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nextrush"));
        let url = format!("ws://{}{path}", server.address());
        command.args(["bench", &url, "--connections", "3", "--duration", "200ms"]);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let output = program("/echo").await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(
        printed.contains("p99") && printed.contains("█"),
        "{printed}"
    );

    let output = program("/nowhere").await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("404"), "{error}");
}
