//! Limits of a user or an address, over sockets and requests.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use http::{Request, StatusCode};
use nextrush::limits::{ClientLimit, SlidingWindow, rate_limit};
use nextrush::testing::{Client, Network};
use nextrush::{App, Authenticated, Message, Socket, User};
use serde_json::Value;

const HOUR: Duration = Duration::from_secs(3600);

/// An application in which `?name` or the header `x-user` names the user, and one limit holds for
/// its sockets and its requests.
fn app(limit: &ClientLimit<SlidingWindow>) -> App {
    let mut app = App::new();
    app.authenticate(async |request: Parts| {
        let header = request
            .headers
            .get("x-user")
            .and_then(|name| name.to_str().ok());
        let name = request.uri.query().or(header)?;
        Some(User::new(name, ""))
    });
    let sockets = limit.clone();
    app.get("/limited", async || "fine");
    app.layer(limit.clone());
    app.ws("/", move |socket: Socket, user: Option<Authenticated>| {
        user.map(|user| user.admit(&socket));
        socket.filter(sockets.filter());
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    app.get("/free", async || "fine");
    app
}

async fn get(network: &Network, path: &str, user: &str) -> (StatusCode, Option<u64>, Value) {
    let request = Request::get(path).header("x-user", user);
    let answer = network.request(request.body(Body::empty()).unwrap()).await;
    let status = answer.status();
    let after = answer.headers().get("retry-after");
    let after = after.map(|after| after.to_str().unwrap().parse().unwrap());
    let body = to_bytes(answer.into_body(), 1024).await.unwrap();
    (
        status,
        after,
        serde_json::from_slice(&body).unwrap_or_default(),
    )
}

async fn is_let_through(client: &mut Client) -> bool {
    client.send("hello");
    client.text().await == "hello"
}

#[tokio::test(start_paused = true)]
async fn a_user_has_one_limit_however_many_sockets_it_has() {
    let limit = ClientLimit::per_user(SlidingWindow::new(3, HOUR));
    let network = Network::new(app(&limit));
    let mut phone = network.connect("/?ada").await.unwrap();
    let mut laptop = network.connect("/?ada").await.unwrap();
    let mut bob = network.connect("/?bob").await.unwrap();
    assert!(is_let_through(&mut phone).await);
    assert!(is_let_through(&mut laptop).await);
    assert_eq!(get(&network, "/limited", "ada").await.0, StatusCode::OK);

    // All of it is used up, everywhere, and nobody else pays for it.
    phone.send("one more");
    let refused = phone.json().await;
    assert_eq!(refused["code"], "rate-limited");
    let after_ms = refused["retryAfterMs"].as_u64().unwrap();
    assert!((3_590_000..=3_600_000).contains(&after_ms), "{after_ms}");
    let (status, after, body) = get(&network, "/limited", "ada").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        (&body["code"], &body["type"]),
        (&"rate-limited".into(), &"error".into())
    );
    let body_seconds = body["retryAfterMs"].as_u64().unwrap().div_ceil(1000);
    assert_eq!(after, Some(body_seconds));
    assert_eq!(get(&network, "/free", "ada").await.0, StatusCode::OK);
    assert!(is_let_through(&mut bob).await);
    assert_eq!(get(&network, "/limited", "bob").await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_one_limit_whoever_its_users_are() {
    let limit = ClientLimit::per_address(SlidingWindow::new(2, HOUR));
    let network = Network::new(app(&limit));
    assert_eq!(get(&network, "/limited", "ada").await.0, StatusCode::OK);
    assert_eq!(get(&network, "/limited", "bob").await.0, StatusCode::OK);
    let refused = get(&network, "/limited", "eve").await.0;
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn who_has_neither_user_nor_address_counts_by_socket() {
    for limit in [ClientLimit::per_user, ClientLimit::per_address] {
        let limit = limit(SlidingWindow::new(1, HOUR));
        let network = Network::new(app(&limit));
        let mut one = network.connect("/").await.unwrap();
        let mut other = network.connect("/").await.unwrap();
        assert!(is_let_through(&mut one).await);
        assert!(is_let_through(&mut other).await);
        assert!(!is_let_through(&mut one).await);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_socket_a_user_and_an_address_stand_beside_each_other() {
    let per_user = ClientLimit::per_user(SlidingWindow::new(3, HOUR));
    let mut app = App::new();
    app.ws("/", move |socket: Socket| {
        socket.identify(User::new("ada", "")).unwrap();
        socket.filter(rate_limit(SlidingWindow::new(2, HOUR)));
        socket.filter(per_user.filter());
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    let network = Network::new(app);
    let mut one = network.connect("/").await.unwrap();
    let mut other = network.connect("/").await.unwrap();
    assert!(is_let_through(&mut one).await && is_let_through(&mut one).await);
    assert!(!is_let_through(&mut one).await);
    // What the socket's own limit has refused does not count for the user.
    assert!(is_let_through(&mut other).await);
    assert!(!is_let_through(&mut other).await);
}
