//! Tickets and revoked tokens over HTTP.

use axum::extract::Request;
use nextrush::testing::Network;
use nextrush::{App, Authenticated, CloseCode, Jwt, Socket};
use nextrush_admin::HttpApi;
use serde_json::{Value, json};

use crate::support::{KEY, fetch, post};

const SECRET: &str = "a secret of tests, thirty-two bytes and more";

fn network() -> Network {
    let mut app = App::new();
    app.jwt(Jwt::hs256(SECRET));
    app.ws("/ws", |socket: Socket, user: Authenticated| {
        socket.send(user.admit(&socket).email);
    });
    app.merge(HttpApi::new(&app, KEY).router());
    Network::new(app)
}

#[tokio::test(start_paused = true)]
async fn a_server_gets_tickets_for_its_users() {
    let network = network();
    for (user, email) in [
        (json!("ada"), "ada"),
        (json!(7), "7"),
        (
            json!({ "id": "ada", "email": "ada@example.com" }),
            "ada@example.com",
        ),
    ] {
        let body = json!({ "user": user, "ttl": 10, "session": "s" });
        let (status, issued) = post(&network, KEY, "/api/v1/ticket", body).await;
        assert_eq!(status, 200, "{issued}");
        assert!(issued["expiresAt"].is_string(), "{issued}");
        let path = format!("/ws?ticket={}", issued["ticket"].as_str().unwrap());
        let mut client = network.connect(&path).await.unwrap();
        assert_eq!(client.text().await, email);
        assert_eq!(
            network.connect(&path).await.unwrap_err().status.as_u16(),
            401
        );
    }
    for (body, status, code) in [
        (json!({ "user": "ada", "ttl": 0 }), 400, "invalid-format"),
        (json!({ "user": "ada", "ttl": 601 }), 400, "invalid-format"),
        (json!({ "user": { "email": "ada" } }), 400, "invalid-format"),
        (json!({ "user": 1.5 }), 422, "id-not-exact"),
        (json!({ "user": "ada", "tll": 1 }), 422, "invalid-format"),
        (
            json!({ "user": { "id": 1, "x": "x".repeat(9000) } }),
            413,
            "too-large",
        ),
    ] {
        let (found, refusal) = post(&network, KEY, "/api/v1/ticket", body.clone()).await;
        assert_eq!((found, &refusal["code"]), (status, &json!(code)), "{body}");
    }
    let (status, _) = post(&network, "no key", "/api/v1/ticket", json!({ "user": 1 })).await;
    assert_eq!(status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_server_revokes_the_tokens_of_a_user() {
    let network = network();
    let claims = json!({ "id": "ada", "email": "", "iat": 1_000, "exp": 4_102_444_800_u64 });
    let token = Jwt::hs256(SECRET).sign(&claims).unwrap();
    let path = format!("/ws?token={token}");
    let mut client = network.connect(&path).await.unwrap();
    let early = json!({ "user": "ada", "before": "1970-01-01T00:16:40.000Z" });
    let answer = post(&network, KEY, "/api/v1/revoke", early).await;
    assert_eq!(answer, (200, json!({ "disconnected": 0 })));
    let answer = post(&network, KEY, "/api/v1/revoke", json!({ "user": "ada" })).await;
    assert_eq!(answer, (200, json!({ "disconnected": 1 })));
    let closed = client.closed().await.unwrap();
    assert_eq!(closed.code(), CloseCode::POLICY_VIOLATION);
    assert_eq!(
        network.connect(&path).await.unwrap_err().status.as_u16(),
        401
    );
    let (status, _) = post(&network, "no key", "/api/v1/revoke", json!({ "user": 1 })).await;
    assert_eq!(status, 401);
    let request = Request::get("/api/v1/openapi.json").body(axum::body::Body::empty());
    let (_, _, description) = fetch(&network, request.unwrap()).await;
    let description: Value = serde_json::from_str(&description).unwrap();
    for path in ["/api/v1/ticket", "/api/v1/revoke"] {
        assert!(description["paths"][path]["post"].is_object(), "{path}");
    }
}
