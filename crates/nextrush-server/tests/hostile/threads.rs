//! Threads and tasks that end although nobody told them to.

use nextrush::Error;
use serde_json::json;

use crate::support::{Client, Http, serve, within};

#[tokio::test]
async fn a_shard_that_ends_is_told_by_healthz_and_ends_the_server() {
    let server = serve(&["--open-endpoints", "--shards", "1"]).await;
    let mut client = Client::connect(&server, "/chat").await;
    client.text().await;
    for path in ["/healthz", "/readyz"] {
        let expected = (200, json!({ "status": "ok" }));
        assert_eq!(Http::of(&server).get(path).await, expected, "{path}");
    }
    server.handle().end_shard();
    assert_eq!(within(server.handle().failed()).await, "a shard's thread");
    let (status, health) = Http::of(&server).get("/healthz").await;
    assert_eq!((status, health["status"].as_str()), (503, Some("failed")));
    let unready = json!({ "status": "unready", "reasons": ["failed"] });
    assert_eq!(Http::of(&server).get("/readyz").await, (503, unready));
    // New sockets are refused before the upgrade, not lost behind it.
    assert_eq!(Http::of(&server).upgrade("/chat").await, 503);
    let ended = within(server.run_until_signal()).await;
    assert!(matches!(ended, Err(Error::Ended("a shard's thread"))));
}

#[tokio::test]
async fn an_accept_loop_that_ends_ends_the_server_and_its_clients_are_sent_away() {
    let server = serve(&["--open-endpoints"]).await;
    let mut client = Client::connect(&server, "/chat").await;
    client.text().await;
    let handle = server.handle().clone();
    let running = tokio::spawn(server.run_until_signal());
    handle.end_accept_loop();
    assert_eq!(client.closed().await.0, 1012);
    drop(client);
    let ended = within(running).await.unwrap();
    assert!(matches!(ended, Err(Error::Ended("the accept loop"))));
}
