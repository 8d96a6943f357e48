//! Requests to an application on a simulated network.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use nextrush::testing::{Client, Network};
use serde_json::{Value, json};

/// A key that is long enough.
pub(crate) const KEY: &str = "a key of tests, thirty-two bytes and more";

/// The status, the headers and the text of an answer.
pub(crate) async fn fetch(network: &Network, request: Request) -> (u16, HeaderMap, String) {
    let (parts, body) = network.request(request).await.into_parts();
    let body = network.run_until(to_bytes(body, usize::MAX)).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (parts.status.as_u16(), parts.headers, text)
}

async fn call(
    network: &Network,
    bearer: &str,
    method: Method,
    path: &str,
    body: String,
) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {bearer}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body));
    let (status, _, text) = fetch(network, request.unwrap()).await;
    (status, serde_json::from_str(&text).unwrap_or_default())
}

pub(crate) async fn get(network: &Network, bearer: &str, path: &str) -> (u16, Value) {
    call(network, bearer, Method::GET, path, String::new()).await
}

pub(crate) async fn post(network: &Network, bearer: &str, path: &str, body: Value) -> (u16, Value) {
    call(network, bearer, Method::POST, path, body.to_string()).await
}

/// A ticket of the inspector below a path.
pub(crate) async fn ticket(network: &Network, below: &str) -> String {
    let path = format!("{below}/api/inspect/token");
    let (status, minted) = post(network, KEY, &path, Value::Null).await;
    assert_eq!(status, 201, "{minted}");
    minted["token"].as_str().unwrap().to_owned()
}

/// A client that has subscribed to a channel.
pub(crate) async fn subscribed(network: &Network, path: &str, channel: &str) -> Client {
    let mut client = network.connect(path).await.unwrap();
    client.send_json(&json!({ "type": "subscribe", "channel": channel }));
    assert_eq!(client.json().await["type"], "subscribed");
    client
}
