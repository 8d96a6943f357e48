//! Deleting what was published, by the HTTP API.

use nextrush::Server;
use serde_json::{Value, json};

use crate::support::{Http, serve, token};

const KEY: &str = "the key of the API, also of 32 bytes or more";

async fn purge(server: &Server, body: Value) -> (u16, Value) {
    Http::with(server, KEY).post("/api/v1/purge", body).await
}

async fn post(server: &Server, user: &str, title: &str) -> Value {
    let http = Http::with(server, &token(user));
    let (status, saved) = http.post("/api/posts", json!({ "title": title })).await;
    assert_eq!(status, 200, "{saved}");
    saved["post"]["id"].clone()
}

async fn titles(server: &Server) -> Vec<Value> {
    let (_, listed) = Http::with(server, &token("ada")).get("/api/posts").await;
    let posts = listed["posts"].as_array().unwrap();
    posts.iter().map(|post| post["title"].clone()).collect()
}

#[tokio::test]
async fn a_purge_is_of_one_room_channel_or_user() {
    let server = serve(&["--api-key", KEY]).await;
    for (body, expected) in [
        (json!({}), (400, "invalid-format")),
        (
            json!({ "room": "a", "channel": "a" }),
            (400, "invalid-format"),
        ),
        (json!({ "room": "" }), (400, "invalid-name")),
        (json!({ "channel": "" }), (400, "invalid-name")),
        (json!({ "user": "ada" }), (422, "invalid-format")),
        (json!({ "userId": 1.5 }), (422, "id-not-exact")),
        (json!("ada"), (422, "invalid-format")),
    ] {
        let (status, refusal) = purge(&server, body.clone()).await;
        let code = refusal["code"].as_str().unwrap_or_default();
        assert_eq!((status, code), expected, "{body}");
    }
    for (field, what) in [("room", "a room name"), ("channel", "invalid channel name")] {
        let (_, refusal) = purge(&server, json!({ field: "" })).await;
        let message = refusal["message"].as_str().unwrap();
        assert!(message.contains(what), "{message}");
    }
    let other = Http::with(&server, &token("ada"));
    let body = json!({ "room": "a" });
    assert_eq!(other.post("/api/v1/purge", body.clone()).await.0, 401);
    assert_eq!(purge(&server, body).await, (200, json!({ "deleted": 0 })));
}

#[tokio::test]
async fn a_purged_channel_keeps_its_offsets() {
    let server = serve(&["--api-key", KEY]).await;
    let http = Http::with(&server, KEY);
    for number in 1..=2 {
        let body = json!({ "channel": "posts", "data": number });
        assert_eq!(http.post("/api/v1/publish", body).await.0, 200);
    }
    let body = json!({ "channel": "posts" });
    let deleted = |count: usize| (200, json!({ "deleted": count }));
    assert_eq!(purge(&server, body.clone()).await, deleted(2));
    assert_eq!(purge(&server, body).await, deleted(0));
    let (_, history) = http.get("/api/v1/history?channel=posts").await;
    let places = json!([{ "type": "deleted", "offset": 1 }, { "type": "deleted", "offset": 2 }]);
    assert_eq!(
        (&history["offset"], &history["publications"]),
        (&json!(2), &places)
    );
}

#[tokio::test]
async fn a_purge_counts_posts_with_a_store_and_without() {
    let store = tempfile::tempdir().unwrap();
    let path = store.path().to_str().unwrap();
    let mut counts = Vec::new();
    for arguments in [
        &["--api-key", KEY][..],
        &["--api-key", KEY, "--store", path],
    ] {
        let server = serve(arguments).await;
        for (user, title) in [("ada", "one"), ("bob", "two"), ("ada", "three")] {
            post(&server, user, title).await;
        }
        counts.push(purge(&server, json!({ "userId": "ada" })).await);
        assert_eq!(titles(&server).await, ["two"]);
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn the_posts_of_a_purged_user_are_gone_after_a_restart_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().to_str().unwrap();
    let arguments = ["--api-key", KEY, "--store", store];
    let server = serve(&arguments).await;
    post(&server, "ada", "of ada").await;
    post(&server, "bob", "of bob").await;
    post(&server, "ada", "of ada too").await;
    // Two records, and what was told of them.
    let body = json!({ "userId": "ada" });
    assert_eq!(
        purge(&server, body.clone()).await,
        (200, json!({ "deleted": 4 }))
    );
    assert_eq!(purge(&server, body).await, (200, json!({ "deleted": 0 })));
    assert_eq!(titles(&server).await, ["of bob"]);
    server.close().await;

    let server = serve(&arguments).await;
    assert_eq!(titles(&server).await, ["of bob"]);
    assert_eq!(post(&server, "bob", "next").await, 4);
}
