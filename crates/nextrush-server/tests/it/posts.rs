//! Refused posts; `store` and the suite of the guide have the rest.

use serde_json::json;

use crate::support::{Http, serve, token};

#[tokio::test]
async fn a_refused_post_says_why() {
    let server = serve(&[]).await;
    let post = |title: &str, body: &str| json!({ "title": title, "body": body });
    let http = Http::with(&server, &token("ada"));
    assert_eq!(http.post("/api/posts", post("a", "")).await.0, 200);
    for (method, path, body, expected) in [
        ("POST", "/api/posts", post(" ", ""), (400, "invalid-format")),
        (
            "POST",
            "/api/posts",
            post(&"x".repeat(201), ""),
            (400, "invalid-format"),
        ),
        (
            "POST",
            "/api/posts",
            post("a", &"x".repeat(10_001)),
            (400, "invalid-format"),
        ),
        (
            "POST",
            "/api/posts",
            post("a", &"x".repeat(3_000_000)),
            (413, "too-large"),
        ),
        ("POST", "/api/posts", json!({}), (422, "invalid-format")),
        ("PUT", "/api/posts/x", json!({}), (404, "not-found")),
        ("PUT", "/api/posts/-1", json!({}), (404, "not-found")),
        ("PUT", "/api/posts/2", json!({}), (404, "not-found")),
        (
            "PUT",
            "/api/posts/1",
            json!({ "title": "" }),
            (400, "invalid-format"),
        ),
    ] {
        let (status, refusal) = http.call(method, path, &body).await;
        let code = refusal["code"].as_str().unwrap_or_default();
        assert_eq!((status, code), expected, "{path} {refusal}");
        assert_eq!(refusal["type"], "error");
        assert!(refusal["message"].is_string(), "{refusal}");
    }
}
