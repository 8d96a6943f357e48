use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use nextrush::{Jwt, Server};
use serde_json::{Value, json};

use crate::support::{Client, SECRET, serve, token, within, without_position, without_timestamp};

#[path = "../../../../examples/live_updates.rs"]
#[allow(dead_code)]
mod example;

async fn server() -> Server {
    serve(example::app(Jwt::hs256(SECRET))).await
}

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

#[tokio::test]
async fn posts_that_are_created_and_changed_reach_the_subscribers_once() {
    let server = server().await;
    let mut all = subscriber(&server, &["posts"]).await;
    let mut one = subscriber(&server, &["post-1", "post-2"]).await;
    let token = token(1, "ada@example.com");

    let (status, created) = call(
        &server,
        "POST",
        "/api/posts",
        Some(&token),
        json!({ "title": "a" }),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let post = json!({ "id": 1, "title": "a" });
    assert_eq!(created, json!({ "success": true, "post": post }));
    assert_eq!(
        without_timestamp(without_position(all.json().await)),
        json!({
            "type": "update",
            "channel": "posts",
            "data": { "type": "new-post", "post": post },
        })
    );

    let (status, changed) = call(
        &server,
        "PUT",
        "/api/posts/1",
        Some(&token),
        json!({ "title": "b" }),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let post = json!({ "id": 1, "title": "b" });
    assert_eq!(changed, json!({ "success": true, "post": post }));
    assert_eq!(
        without_timestamp(without_position(all.json().await)),
        json!({
            "type": "update",
            "channel": "posts",
            "data": { "type": "post-updated", "post": post },
        })
    );
    assert_eq!(
        without_timestamp(without_position(one.json().await)),
        json!({
            "type": "update",
            "channel": "post-1",
            "data": { "type": "updated", "post": post },
        })
    );
}

#[tokio::test]
async fn without_a_token_nothing_can_be_posted() {
    let server = server().await;
    for token in [None, Some("bad")] {
        let (status, body) = call(
            &server,
            "POST",
            "/api/posts",
            token,
            json!({ "title": "a" }),
        )
        .await;
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
    call(
        &server,
        "POST",
        "/api/posts",
        Some(&token),
        json!({ "title": "a" }),
    )
    .await;
    call(
        &server,
        "PUT",
        "/api/posts/1",
        Some(&token),
        json!({ "title": "b" }),
    )
    .await;
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

#[tokio::test]
async fn a_closed_socket_is_unsubscribed_from_everything() {
    use nextrush::{App, CloseReason, LiveUpdates, Socket};

    let mut app = App::new();
    let live = LiveUpdates::new(app.handle());
    let (gone, mut was_gone) = tokio::sync::mpsc::unbounded_channel();
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| {
        connect.connect(&socket);
        let gone = gone.clone();
        socket.on_close(move |_: Socket, _: CloseReason| gone.send(()));
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/live").await;
    client
        .send_json(json!({ "type": "subscribe", "channel": "posts" }))
        .await;
    client.json().await;
    assert_eq!(live.subscribers("posts"), 1);
    client.close().await;
    within(was_gone.recv()).await;
    assert_eq!(live.subscribers("posts"), 0);
}

#[tokio::test]
async fn a_subscription_is_acknowledged_before_its_first_update() {
    use nextrush::{App, LiveUpdates, Socket};

    let mut app = App::new();
    let live = LiveUpdates::new(app.handle());
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| connect.connect(&socket));
    let server = serve(app).await;
    // From a thread of its own, so that it never waits for the client.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let runtime = tokio::runtime::Handle::current();
    let publishing = std::thread::spawn(move || {
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            runtime.block_on(live.publish("posts", &1)).unwrap();
        }
    });
    let subscribe = json!({ "type": "subscribe", "channel": "posts" });
    for _ in 0..100 {
        let mut client = Client::connect(&server, "/live").await;
        client.send_json(subscribe.clone()).await;
        assert_eq!(client.json().await["type"], "subscribed");
        client.cut();
    }
    drop(stop);
    publishing.join().unwrap();
}
