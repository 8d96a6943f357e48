//! Answers with tokens and tickets, and who may read answers.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, VARY,
};
use serde_json::{Value, json};

use crate::support::{Http, serve, serve_with};

#[tokio::test]
async fn tokens_and_tickets_are_kept_in_no_cache() {
    let server = serve_with(&["--dev", "--no-store", "--jwt-secret", ""]).await;
    for (path, body) in [
        ("/api/dev/token", json!({ "name": "ada" })),
        ("/api/inspect/token", Value::Null),
    ] {
        let (status, headers, _) = Http::of(&server).full("POST", path, &body).await;
        assert_eq!(status, 201, "{path}");
        assert_eq!(headers[CACHE_CONTROL], "no-store", "{path}");
    }
}

#[tokio::test]
async fn names_with_characters_that_nobody_sees_are_refused() {
    let server = serve_with(&["--dev", "--no-store", "--jwt-secret", ""]).await;
    for name in ["a\0", "a\u{200b}", "\u{202e}ada", "a\u{feff}b", "\u{3164}"] {
        let body = json!({ "name": name });
        let (status, _) = Http::of(&server).post("/api/dev/token", body).await;
        assert_eq!(status, 400, "{name:?}");
    }
}

#[tokio::test]
async fn pages_of_allowed_origins_and_no_others_may_read_answers() {
    let allowed = "https://app.example";
    let server = serve(&["--allow-origin", allowed]).await;
    let own = serve(&[]).await;
    for (server, origin, expected) in [
        (&server, allowed, Some(allowed)),
        (&server, "https://evil.example", None),
        (&own, allowed, None),
    ] {
        // Also the refusal of a handshake, whose code the client asks for.
        for path in ["/api/posts", "/live", "/healthz"] {
            let headers = Http::of(server).headers_for(origin, "GET", path).await;
            let given = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(
                given.map(|given| given.to_str().unwrap()),
                expected,
                "{path}"
            );
        }
    }
    let headers = Http::of(&server)
        .headers_for(allowed, "OPTIONS", "/api/posts")
        .await;
    assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], allowed);
    let names = headers[ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap();
    assert!(names.contains("authorization"), "{names}");
    let varied = headers.get_all(VARY).iter();
    assert!(
        varied
            .into_iter()
            .any(|vary| vary.to_str().unwrap().to_lowercase().contains("origin"))
    );
}
