//! New tokens for sockets that are open.

use nextrush::Server;
use serde_json::{Value, json};

use crate::support::{Client, serve, token, token_until, unix_seconds};

fn refresh(token: &str) -> Value {
    json!({ "type": "refresh", "token": token, "id": "r" })
}

/// Opens a socket with a token and takes its first message.
async fn enter(server: &Server, path: &str, token: &str) -> Client {
    let mut client = Client::connect(server, &format!("{path}?token={token}")).await;
    if path == "/live" {
        client
            .send(json!({ "type": "subscribe", "channel": "a" }))
            .await;
    }
    client.json().await;
    client
}

const PATHS: [&str; 3] = ["/chat/lobby", "/live", "/private-chat/lobby"];

#[tokio::test]
async fn every_authenticated_socket_takes_a_new_token() {
    let server = serve(&[]).await;
    let expires = unix_seconds() + 3600;
    for path in PATHS {
        let mut client = enter(&server, path, &token("ada")).await;
        client.send(refresh(&token_until("ada", expires))).await;
        let answer = client.json().await;
        let expires_at = nextrush::message::Timestamp::from_unix_ms(expires * 1000).to_string();
        let expected = json!({ "type": "refreshed", "expiresAt": expires_at, "id": "r" });
        assert_eq!(answer, expected, "{path}");
        client.close().await;
    }
}

#[tokio::test]
async fn a_socket_ends_with_its_newest_token_and_not_before() {
    let server = serve(&[]).await;
    let soon = unix_seconds() + 2;
    let mut refreshed = enter(&server, "/live", &token_until("ada", soon)).await;
    let mut left_alone = enter(&server, "/live", &token_until("ada", soon)).await;
    refreshed.send(refresh(&token("ada"))).await;
    assert_eq!(refreshed.json().await["type"], "refreshed");
    let expected = json!({ "type": "error", "message": "Token expired", "code": "token-expired" });
    assert_eq!(left_alone.json().await, expected);
    assert_eq!(left_alone.closed().await, (1008, "Token expired".into()));
    refreshed.send(json!({ "type": "ping" })).await;
    assert_eq!(refreshed.json().await["type"], "pong");
}

#[tokio::test]
async fn a_refresh_with_a_token_that_ends_sooner_does_not_end_a_good_connection() {
    let server = serve(&[]).await;
    let expires = unix_seconds() + 600;
    let mut client = enter(&server, "/live", &token_until("ada", expires)).await;
    // An expired token, within the leeway for clocks, and one that would end at once.
    for seconds in [-2, 1] {
        let soon = unix_seconds().saturating_add_signed(seconds);
        client.send(refresh(&token_until("ada", soon))).await;
        let expires_at = nextrush::message::Timestamp::from_unix_ms(expires * 1000).to_string();
        let expected = json!({ "type": "refreshed", "expiresAt": expires_at, "id": "r" });
        assert_eq!(client.json().await, expected);
    }
    client.send(json!({ "type": "ping" })).await;
    assert_eq!(client.json().await["type"], "pong");
}

#[tokio::test]
async fn a_token_within_the_leeway_is_good_until_the_leeway_ends() {
    let server = serve(&[]).await;
    let expires = unix_seconds() - 2;
    let mut client = enter(&server, "/live", &token_until("ada", expires)).await;
    assert_eq!(client.json().await["code"], "token-expired");
    assert_eq!(client.closed().await, (1008, "Token expired".into()));
    assert!(
        unix_seconds() >= expires + 5,
        "{}",
        unix_seconds() - expires
    );
}

#[tokio::test]
async fn a_token_that_is_not_accepted_changes_nothing() {
    let server = serve(&[]).await;
    let mut client = enter(&server, "/live", &token("ada")).await;
    let expired = token_until("ada", unix_seconds() - 600);
    for bad in [&*token("eve"), &*expired, "no token", ""] {
        client.send(refresh(bad)).await;
        let refused = json!({
            "type": "error", "message": "Invalid token", "code": "invalid-token", "id": "r",
        });
        assert_eq!(client.json().await, refused, "{bad}");
    }
    for malformed in [
        json!({ "type": "refresh", "id": "r" }),
        json!({ "type": "refresh", "token": 7, "id": "r" }),
    ] {
        client.send(malformed.clone()).await;
        let refused = json!({
            "type": "error", "message": "Invalid message format", "code": "invalid-format", "id": "r",
        });
        assert_eq!(client.json().await, refused, "{malformed}");
    }
    // The socket is open and still that of its user.
    client.send(refresh(&token("ada"))).await;
    assert_eq!(client.json().await["type"], "refreshed");
}

#[tokio::test]
async fn what_only_speaks_of_refreshing_is_for_the_handler() {
    let server = serve(&[]).await;
    let mut client = enter(&server, "/chat/lobby", &token("ada")).await;
    client
        .send(json!({ "type": "chat", "text": "refresh" }))
        .await;
    assert_eq!(client.json().await["text"], "refresh");
    client
        .send(json!({ "type": "chat", "text": "\"refresh\"" }))
        .await;
    assert_eq!(client.json().await["text"], "\"refresh\"");
    client.send(json!({ "type": "other", "refresh": 1 })).await;
    assert_eq!(client.json().await["code"], "unknown-type");
}
