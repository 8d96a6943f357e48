//! The guide's "Live Updates & Notifications", as clients see it on the wire.

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use nextrush::Server;
use serde_json::{Value, json};

use super::server;
use crate::support::{Client, token, within, without_position, without_timestamp};

async fn subscriber(server: &Server, channels: &[&str]) -> Client {
    let token = token(1, "ada@example.com");
    let mut client = Client::connect(server, &format!("/live?token={token}")).await;
    for channel in channels {
        client
            .send_json(json!({ "type": "subscribe", "channel": channel }))
            .await;
        assert_eq!(
            without_position(client.json().await),
            json!({ "type": "subscribed", "channel": channel })
        );
    }
    client
}

/// Sends a JSON request; its status and, if it is JSON, its body.
async fn call(
    server: &Server,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Value,
) -> (StatusCode, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", server.address()))
        .header("Content-Type", "application/json");
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let client = HttpClient::builder(TokioExecutor::new()).build_http();
    let response = within(client.request(request)).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Creates a post; the status and body of the answer.
async fn create(server: &Server, token: Option<&str>, title: &str) -> (StatusCode, Value) {
    let post = json!({ "title": title });
    call(server, "POST", "/api/posts", token, post).await
}

/// Changes the first post.
async fn change(server: &Server, token: Option<&str>, title: &str) -> (StatusCode, Value) {
    let post = json!({ "title": title });
    call(server, "PUT", "/api/posts/1", token, post).await
}

/// A post's id and title; the program has more of it.
fn short(post: &Value) -> (u64, &str) {
    (
        post["id"].as_u64().unwrap(),
        post["title"].as_str().unwrap(),
    )
}

/// Expects the next message to be an update of a channel with this change of the first post.
async fn expect(client: &mut Client, channel: &str, change: &str, title: &str) {
    let mut update = without_timestamp(without_position(client.json().await));
    let mut data = update["data"].take();
    let post = data["post"].take();
    let rest = json!({ "type": "update", "channel": channel, "data": null });
    assert_eq!(update, rest);
    assert_eq!(data, json!({ "type": change, "post": null }));
    assert_eq!(short(&post), (1, title));
}

#[tokio::test]
async fn posts_that_are_created_and_changed_reach_the_subscribers_once() {
    let server = server().await;
    let mut all = subscriber(&server, &["posts"]).await;
    let mut one = subscriber(&server, &["post-1", "post-2"]).await;
    let token = token(1, "ada@example.com");

    let (status, created) = create(&server, Some(&token), "a").await;
    assert_eq!(
        (status, &created["success"]),
        (StatusCode::OK, &json!(true))
    );
    assert_eq!(short(&created["post"]), (1, "a"));
    expect(&mut all, "posts", "new-post", "a").await;

    let (status, changed) = change(&server, Some(&token), "b").await;
    assert_eq!(
        (status, &changed["success"]),
        (StatusCode::OK, &json!(true))
    );
    assert_eq!(short(&changed["post"]), (1, "b"));
    expect(&mut all, "posts", "post-updated", "b").await;
    expect(&mut one, "post-1", "updated", "b").await;
}

#[tokio::test]
async fn without_a_token_nothing_can_be_posted() {
    let server = server().await;
    for token in [None, Some("bad")] {
        let (status, body) = create(&server, token, "a").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(body["type"], "error");
        let code = match token {
            None => "authentication-required",
            Some(_) => "invalid-token",
        };
        assert_eq!(body["code"], code);
    }
    let mut client = Client::connect(&server, "/live").await;
    assert_eq!(client.json().await["code"], "authentication-required");
    assert_eq!(client.closed().await.0, 1008);
}

#[tokio::test]
async fn an_unsubscribed_channel_is_silent() {
    let server = server().await;
    let mut client = subscriber(&server, &["posts", "post-1"]).await;
    // Twice is as good as once.
    client
        .send_json(json!({ "type": "subscribe", "channel": "posts" }))
        .await;
    assert_eq!(client.json().await["type"], "subscribed");
    client
        .send_json(json!({ "type": "unsubscribe", "channel": "posts" }))
        .await;
    assert_eq!(
        client.json().await,
        json!({ "type": "unsubscribed", "channel": "posts" })
    );

    let token = token(1, "ada@example.com");
    create(&server, Some(&token), "a").await;
    change(&server, Some(&token), "b").await;
    assert_eq!(client.json().await["channel"], "post-1");
}

#[tokio::test]
async fn what_cannot_be_understood_is_answered_to_the_sender() {
    let server = server().await;
    let mut client = subscriber(&server, &[]).await;
    let subscribe = |channel: &str| json!({ "type": "subscribe", "channel": channel }).to_string();
    let unknown = ("Unknown message type", "unknown-type");
    let invalid = ("Invalid message format", "invalid-format");
    let no_name = ("Invalid channel name", "invalid-name");
    for (sent, (message, code)) in [
        (r#"{"type":"dance"}"#.to_owned(), unknown),
        ("{}".to_owned(), unknown),
        ("{no json".to_owned(), invalid),
        (r#"{"type":"subscribe"}"#.to_owned(), invalid),
        (subscribe(""), no_name),
        (subscribe("a\0b"), no_name),
        (subscribe(&"x".repeat(256)), no_name),
    ] {
        client.send(sent.clone()).await;
        let answer = client.json().await;
        assert_eq!(answer["type"], "error", "{sent}");
        assert_eq!(answer["message"], message, "{sent}");
        assert_eq!(answer["code"], code, "{sent}");
    }
}

#[tokio::test]
async fn a_socket_can_subscribe_to_a_hundred_channels() {
    let server = server().await;
    let mut client = subscriber(&server, &[]).await;
    for number in 0..101 {
        let channel = format!("channel-{number}");
        client
            .send_json(json!({ "type": "subscribe", "channel": channel }))
            .await;
        let answer = client.json().await;
        if number < 100 {
            assert_eq!(answer["type"], "subscribed");
        } else {
            assert_eq!(answer["code"], "too-many-channels");
        }
    }
}
