//! Answers with tokens and tickets, and who may read answers.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, VARY,
};
use nextrush::Jwt;
use serde_json::{Value, json};

use crate::support::{Client, Http, SECRET, serve, serve_with, token, unix_seconds};

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

/// A token whose id is this JSON.
fn token_of(id: &str) -> String {
    let expires = unix_seconds() + 600;
    let claims = format!(r#"{{"id":{id},"email":"ada@example.com","exp":{expires}}}"#);
    let claims: Box<serde_json::value::RawValue> = serde_json::from_str(&claims).unwrap();
    Jwt::hs256(SECRET).sign(&claims).unwrap()
}

#[tokio::test]
async fn a_token_whose_id_two_users_could_share_is_refused_at_every_door() {
    let server = serve(&[]).await;
    for id in ["9007199254740992", "9007199254740993", "1.5", "1e300"] {
        let token = token_of(id);
        let (status, refusal) = Http::with(&server, &token).get("/api/posts").await;
        assert_eq!(
            (status, &refusal["code"]),
            (401, &json!("id-not-exact")),
            "{id}"
        );
        for path in ["/chat/den", "/live"] {
            let path = format!("{path}?token={token}");
            let refusal = Client::connect(&server, &path).await.json().await;
            assert_eq!(refusal["code"], "id-not-exact", "{id} {path}");
        }
    }
    // On a socket that is open.
    let mut ada = Client::connect(&server, &format!("/live?token={}", token("ada"))).await;
    let refresh = json!({ "type": "refresh", "token": token_of("9007199254740993"), "id": "r" });
    ada.send(refresh).await;
    assert_eq!(ada.json().await["code"], "id-not-exact");

    // Two users whose ids differ in the last digit that counts, and one whose id is a text.
    let mut told = Vec::new();
    for id in [
        "9007199254740991",
        "9007199254740990",
        r#""9007199254740991""#,
    ] {
        let path = format!("/chat/den?token={}", token_of(id));
        let mut client = Client::connect(&server, &path).await;
        client.json_of("room-history").await;
        told.push((id, client));
    }
    let message =
        json!({ "type": "private", "targetUserId": 9_007_199_254_740_991_u64, "text": "for one" });
    ada = Client::connect(&server, &format!("/chat/den?token={}", token("ada"))).await;
    ada.send(message).await;
    assert_eq!(
        ada.json_of("private-message-sent").await["type"],
        "private-message-sent"
    );
    ada.send(json!({ "type": "chat", "text": "for all" })).await;
    for (id, client) in &mut told {
        let first = loop {
            let message = client.json().await;
            if message["type"] != "user-joined" {
                break message;
            }
        };
        let expected = if *id == "9007199254740991" {
            "private-message"
        } else {
            "chat-message"
        };
        assert_eq!(first["type"], expected, "{id}");
    }
}
