//! The choice of a subprotocol, and the token among those that are offered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use http::StatusCode;
use nextrush::testing::{Client, Network, Refused};
use nextrush::{App, Authenticated, Jwt, Socket, SocketOptions, User, ws};
use tower::util::MapRequestLayer;

const SECRET: &str = "a secret of tests, thirty-two bytes and more";

/// An application that tells a client its subprotocol, and at `/user` its user.
fn app() -> App {
    let mut app = App::new();
    let tell = |socket: Socket| socket.send(socket.protocol().unwrap_or("none"));
    app.ws("/", tell);
    let graphql = SocketOptions::default().protocols(["graphql-transport-ws", "graphql-ws"]);
    app.route("/graphql", ws(tell).layer(Extension(graphql)));
    app.ws("/user", |socket: Socket, user: Authenticated| {
        socket.send(user.admit(&socket).email);
    });
    app.jwt(Jwt::hs256(SECRET));
    app
}

fn token() -> String {
    let ada = User::new("ada", "ada@example.com");
    let hour = Duration::from_secs(3600);
    Jwt::hs256(SECRET).sign_for(&ada, hour).unwrap()
}

async fn connect(network: &Network, path: &str, offers: &str) -> Result<Client, Refused> {
    let mut request = http::Request::get(path);
    if !offers.is_empty() {
        request = request.header("sec-websocket-protocol", offers);
    }
    network.connect_with(request.body(()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_speaks_the_subprotocol_that_it_likes_best() {
    let network = Network::new(app());
    for (path, offers, chosen) in [
        ("/", "", "none"),
        ("/", "chat, superchat", "chat"),
        ("/", "chat, nextrush.v1", "nextrush.v1"),
        ("/", "nextrush.bearer.a, mqtt", "mqtt"),
        ("/graphql", "", "none"),
        (
            "/graphql",
            "graphql-ws, graphql-transport-ws",
            "graphql-transport-ws",
        ),
        ("/graphql", "nextrush.v1", "none"),
    ] {
        // The client fails unless the answer is one of its offers.
        let mut client = connect(&network, path, offers).await.unwrap();
        assert_eq!(client.text().await, chosen, "{path} {offers}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_comes_beside_a_subprotocol_and_never_alone() {
    let network = Network::new(app());
    let token = token();
    let offers = format!("nextrush.v1, nextrush.bearer.{token}");
    let mut client = connect(&network, "/user", &offers).await.unwrap();
    assert_eq!(client.text().await, "ada@example.com");

    let refused = connect(&network, "/user", "nextrush.v1, nextrush.bearer.x").await;
    assert_eq!(refused.unwrap_err().status, StatusCode::UNAUTHORIZED);

    // A browser would fail it, as nothing could be chosen: it is told before it is let in.
    let alone = connect(&network, "/user", &format!("nextrush.bearer.{token}")).await;
    let alone = alone.unwrap_err();
    assert_eq!(alone.status, StatusCode::BAD_REQUEST);
    assert!(alone.body.contains("nextrush.v1") && !alone.body.contains(&token));
}

#[tokio::test(start_paused = true)]
async fn a_plain_request_is_told_whether_a_token_may_be_a_subprotocol() {
    let network = Network::new(app());
    for (path, status, named) in [
        ("/", StatusCode::UPGRADE_REQUIRED, Some("nextrush.v1")),
        ("/user", StatusCode::UNAUTHORIZED, Some("nextrush.v1")),
        ("/graphql", StatusCode::UPGRADE_REQUIRED, None),
    ] {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        let answer = network.request(request).await;
        let protocol = answer.headers().get("sec-websocket-protocol");
        assert_eq!(answer.status(), status);
        assert_eq!(protocol.map(|value| value.to_str().unwrap()), named);
    }
}

#[tokio::test(start_paused = true)]
async fn layers_that_log_headers_do_not_show_tokens() {
    let seen = Arc::new(Mutex::new(String::new()));
    let mut app = app();
    let log = Arc::clone(&seen);
    app.layer(MapRequestLayer::new(move |request: Request| {
        *log.lock().unwrap() = format!("{:?}", request.headers());
        request
    }));
    let network = Network::new(app);
    let request = http::Request::get("/")
        .header(
            "sec-websocket-protocol",
            "nextrush.v1, nextrush.bearer.secret",
        )
        .header("authorization", "Bearer secret")
        .header("cookie", "session=secret")
        .header("x-other", "shown");
    network
        .connect_with(request.body(()).unwrap())
        .await
        .unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.contains("shown") && !seen.contains("secret"), "{seen}");
}
