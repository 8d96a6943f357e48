//! Figures for Prometheus, of the program.

use std::process::Stdio;

use nextrush_server::{apps, listen, listen_beside};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::{Http, SECRET, config, free_port, serve, signal, within};

const KEY: &str = "the key of a Prometheus, 32 bytes and more";

/// The status of `/metrics`, with a key.
async fn status(http: &Http) -> u16 {
    http.full("GET", "/metrics", &Value::Null).await.0
}

#[tokio::test]
async fn figures_are_served_beside_everything_else_with_their_key_alone() {
    let server = serve(&["--metrics-key", KEY]).await;
    assert_eq!(status(&Http::with(&server, KEY)).await, 200);
    assert_eq!(status(&Http::of(&server)).await, 401);
    assert_eq!(status(&Http::with(&server, SECRET)).await, 401);
    let server = serve(&["--admin-key", KEY]).await;
    assert_eq!(status(&Http::with(&server, KEY)).await, 404);
}

#[tokio::test]
async fn an_address_of_their_own_serves_figures_and_health_and_nothing_for_clients() {
    for (keys, with_key, without) in [(&[][..], 200, 200), (&["--metrics-key", KEY], 200, 401)] {
        let own = ["--jwt-secret", SECRET, "--listen", "127.0.0.1:0"];
        let own = [&own[..], &["--metrics-listen", "127.0.0.1:0"], keys].concat();
        let config = config(&own);
        let (app, figures) = apps(&config).await.unwrap();
        let server = listen(app, &config).start().await.unwrap();
        let figures = listen_beside(figures.unwrap(), &config)
            .start()
            .await
            .unwrap();
        assert_eq!(status(&Http::with(&server, KEY)).await, 404);
        assert_eq!(status(&Http::with(&figures, KEY)).await, with_key);
        assert_eq!(status(&Http::of(&figures)).await, without);
        assert_eq!(Http::of(&figures).get("/readyz").await.0, 200);
        assert_eq!(Http::of(&figures).upgrade("/chat/lobby").await, 404);
    }
}

#[tokio::test]
async fn the_program_says_where_its_figures_are_and_ends_in_order() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_nextrush"))
        .args(["--listen", "127.0.0.1:0"])
        .args(["--metrics-listen", &format!("127.0.0.1:{}", free_port())])
        .env_clear()
        .env("NEXTRUSH_CONFIG", "/dev/null")
        .env("JWT_SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let port = loop {
        let line = within(log.next_line()).await.unwrap().unwrap();
        let address = line.split_once("figures for Prometheus are at 127.0.0.1:");
        if let Some((_, rest)) = address {
            break rest.split_once(',').unwrap().0.parse().unwrap();
        }
    };
    assert_eq!(status(&Http::at(port, "none")).await, 200);
    signal(&server, "INT").await;
    assert_eq!(within(server.wait()).await.unwrap().code(), Some(0));
}
