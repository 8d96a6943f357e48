//! Posts of a user who wants everybody's room.

use http::header::RETRY_AFTER;
use serde_json::json;

use crate::support::{Http, serve, token};

#[tokio::test]
async fn only_the_author_changes_a_post() {
    let server = serve(&[]).await;
    let ada = Http::with(&server, &token("ada"));
    let (_, saved) = ada.post("/api/posts", json!({ "title": "a" })).await;
    let bob = Http::with(&server, &token("bob"));
    let change = json!({ "title": "b" });
    let (status, refusal) = bob.call("PUT", "/api/posts/1", &change).await;
    assert_eq!((status, &refusal["code"]), (403, &json!("forbidden")));
    let (_, list) = bob.get("/api/posts").await;
    assert_eq!(list["posts"], json!([saved["post"]]));
    assert_eq!(ada.call("PUT", "/api/posts/1", &change).await.0, 200);
}

#[tokio::test]
async fn a_user_writes_sixty_times_a_minute_and_holds_nobody_else_up() {
    let server = serve(&[]).await;
    let ada = Http::with(&server, &token("ada"));
    let post = json!({ "title": "a" });
    for number in 0..60 {
        // Refused writes count as well.
        let (status, _) = match number % 3 {
            0 => ada.post("/api/posts", post.clone()).await,
            1 => ada.call("PUT", "/api/posts/1", &post).await,
            _ => ada.call("PUT", "/api/posts/nothing", &post).await,
        };
        assert_ne!(status, 429, "{number}");
    }
    let (status, headers, refusal) = ada.full("POST", "/api/posts", &post).await;
    assert_eq!((status, &refusal["code"]), (429, &json!("rate-limited")));
    let seconds: u64 = headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    let ms = refusal["retryAfterMs"].as_u64().unwrap();
    assert!(
        (1..=60).contains(&seconds) && seconds * 1000 >= ms,
        "{refusal}"
    );
    assert_eq!(ada.get("/api/posts").await.0, 200);
    let bob = Http::with(&server, &token("bob"));
    assert_eq!(bob.post("/api/posts", post).await.0, 200);
}

#[tokio::test]
async fn a_post_that_there_is_not_is_not_found_whatever_its_name() {
    let server = serve(&[]).await;
    let ada = Http::with(&server, &token("ada"));
    for id in [
        "1",
        "0",
        "-1",
        "no-such-post",
        "99999999999999999999",
        "%ff",
    ] {
        let path = format!("/api/posts/{id}");
        let (status, refusal) = ada.call("PUT", &path, &json!({ "title": "a" })).await;
        assert_eq!(
            (status, &refusal["code"]),
            (404, &json!("not-found")),
            "{id}"
        );
    }
}
