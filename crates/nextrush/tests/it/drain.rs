//! Sending clients away.

use std::time::Duration;

use nextrush::{App, LiveUpdates, Socket};
use serde_json::json;

use crate::support::{Client, serve};

const WINDOW: Duration = Duration::from_secs(10);

#[tokio::test]
async fn clients_are_sent_away_with_times_spread_over_the_window() {
    let mut app = App::new();
    let live = LiveUpdates::new(&app, "live");
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| connect.connect(&socket));
    let server = serve(app).await;
    let handle = server.handle().clone();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = Client::connect(&server, "/live").await;
        client
            .send_json(json!({ "type": "subscribe", "channel": "news" }))
            .await;
        assert_eq!(client.json().await["type"], "subscribed");
        clients.push(client);
    }
    live.publish("news", &1).await.unwrap();
    assert!(!handle.is_draining());
    let drained = tokio::spawn(server.drain(WINDOW));
    let mut delays = Vec::new();
    for client in &mut clients {
        assert_eq!(client.json().await["type"], "update", "nothing is lost");
        let last = client.json().await;
        assert_eq!(last["type"], "reconnect");
        let after_ms = last["afterMs"].as_u64().unwrap();
        let close = (1012, format!("reconnect after {after_ms} ms"));
        assert_eq!(client.closed().await, close);
        delays.push(after_ms);
    }
    delays.sort_unstable();
    let expected: Vec<u64> = (0..50).map(|number| number * 200).collect();
    assert_eq!(delays, expected);
    drained.await.unwrap();
    assert!(handle.is_draining());
    assert_eq!(handle.local_connections(), 0);
}

#[tokio::test]
async fn clients_that_speak_no_json_are_told_by_the_close_frame_alone() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| socket.send("welcome"));
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    assert_eq!(client.text().await, "welcome");
    let drained = tokio::spawn(server.drain(WINDOW));
    let close = (1012, "reconnect after 0 ms".to_owned());
    assert_eq!(client.closed().await, close);
    drained.await.unwrap();
}
