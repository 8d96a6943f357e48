//! The signals that end the program, and the one that does not.

use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::{Client, Http, SECRET, signal, token, within};

#[tokio::test]
async fn sighup_does_not_end_the_program_and_the_others_end_it_in_order() {
    for name in ["QUIT", "TERM", "INT"] {
        let mut server = Command::new(env!("CARGO_BIN_EXE_nextrush"))
            .args(["--listen", "127.0.0.1:0"])
            .env_clear()
            .env("NEXTRUSH_CONFIG", "/dev/null")
            .env("JWT_SECRET", SECRET)
            .env("NEXTRUSH_DRAIN_DELAY", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        within(lines.next_line()).await.unwrap().unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
        let mut said = async |text: &str| {
            while !within(log.next_line())
                .await
                .unwrap()
                .unwrap()
                .contains(text)
            {}
        };
        signal(&server, "HUP").await;
        said("the configuration was read again: nothing changed").await;
        signal(&server, name).await;
        said("closing").await;
        let status = within(server.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{name}: {status}");
    }
}

#[tokio::test]
async fn from_sigterm_on_balancers_are_told_while_everybody_is_still_served() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_nextrush"))
        .args(["--listen", "127.0.0.1:0", "--drain-delay", "1h"])
        .env_clear()
        .env("NEXTRUSH_CONFIG", "/dev/null")
        .env("JWT_SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = loop {
        let line = within(lines.next_line()).await.unwrap().unwrap();
        if let Some(rest) = line.strip_prefix("Open http://localhost:") {
            break rest.trim_end_matches('/').parse().unwrap();
        }
    };
    let http = Http::at(port, &token("ada"));
    let ok = (200, json!({ "status": "ok" }));
    assert_eq!(http.get("/readyz").await, ok);
    let (status, version) = http.get("/version").await;
    assert_eq!((status, &version["name"]), (200, &json!("nextrush")));
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));

    signal(&server, "TERM").await;
    let draining = (503, json!({ "status": "draining" }));
    within(async { while http.get("/healthz").await != draining {} }).await;
    let reasons = json!({ "status": "unready", "reasons": ["draining"] });
    assert_eq!(http.get("/readyz").await, (503, reasons));
    assert_eq!(http.get("/api/posts").await.0, 200);
    let mut socket = Client::connect_to(port, &format!("/live?token={}", token("ada"))).await;
    socket
        .send(json!({ "type": "subscribe", "channel": "posts" }))
        .await;
    socket.json_of("subscribed").await;
    let headers = http
        .headers_for("http://localhost", "GET", "/api/posts")
        .await;
    assert_eq!(headers["connection"], "close");

    signal(&server, "TERM").await;
    socket.json_of("reconnect").await;
    let (code, _) = socket.closed().await;
    assert_eq!(code, 1012);
    let status = within(server.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}
