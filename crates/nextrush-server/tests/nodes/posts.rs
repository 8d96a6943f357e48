//! Posts that servers share.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use nextrush::Server;
use serde_json::{Value, json};

use crate::servers::{Server as Redis, programs};
use crate::support::{Client, Http, token};
use crate::two;

async fn post(server: &Server, title: &str) -> Value {
    let http = Http::with(server, &token("ada"));
    let (status, saved) = http.post("/api/posts", json!({ "title": title })).await;
    assert_eq!(status, 200, "{saved}");
    saved["post"].clone()
}

async fn posts(server: &Server) -> Value {
    let (_, listed) = Http::with(server, &token("ada")).get("/api/posts").await;
    listed["posts"].clone()
}

#[tokio::test]
async fn posts_are_the_same_on_all_servers_and_have_ids_of_their_own() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let [one, two] = two(&redis).await;
        let mut bob = Client::connect(&two, &format!("/live?token={}", token("bob"))).await;
        bob.send(json!({ "type": "subscribe", "channel": "posts" }))
            .await;
        bob.json_of("subscribed").await;
        for title in ["first", "second"] {
            let saved = post(&one, title).await;
            assert_eq!(posts(&one).await[0], saved);
            // On the other server from the moment on at which its clients are told.
            let told = bob.json_of("update").await;
            assert_eq!(told["data"], json!({ "type": "new-post", "post": saved }));
            assert_eq!(posts(&two).await[0], saved);
        }

        let written = join_all((0..20).map(|number| {
            let server = if number % 2 == 0 { &one } else { &two };
            async move { post(server, "at once").await["id"].as_u64().unwrap() }
        }));
        let ids: BTreeSet<_> = written.await.into_iter().collect();
        assert_eq!(ids, (3..=22).collect());

        let change = json!({ "title": "changed" });
        let by = async |user: &str| {
            let http = Http::with(&two, &token(user));
            http.call("PUT", "/api/posts/1", &change).await
        };
        assert_eq!(by("bob").await.0, 403);
        let (status, changed) = by("ada").await;
        assert_eq!((status, &changed["post"]["version"]), (200, &json!(2)));
        let again = json!({ "body": "and again" });
        let http = Http::with(&one, &token("ada"));
        let (_, changed) = http.call("PUT", "/api/posts/1", &again).await;
        let post = &changed["post"];
        assert_eq!(
            (&post["title"], &post["body"], &post["version"]),
            (&json!("changed"), &json!("and again"), &json!(3))
        );

        // A server that starts later has them too.
        let [three, _] = crate::two(&redis).await;
        assert_eq!(posts(&three).await, posts(&one).await);
    }
}
