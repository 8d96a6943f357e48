//! WebSocket routes in routers of their own, and the settings that hold for them.

use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use nextrush::limits::Limits;
use nextrush::{App, Message, OriginPolicy, Server, Socket, SocketOptions, ws};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{Client, serve, url, within};

fn messages_of(bytes: usize) -> SocketOptions {
    SocketOptions::default().limits(Limits::message(bytes))
}

fn echo(socket: Socket) {
    socket.on_message(|socket: Socket, message: Message| socket.send(message));
}

/// Returns whether the route takes a message of 20 bytes. Asserts that it takes a shorter one.
async fn takes_twenty(server: &Server, path: &str) -> bool {
    let mut client = Client::connect(server, path).await;
    client.send("short").await;
    assert_eq!(client.text().await, "short");
    client.send("x".repeat(20)).await;
    match client.next().await {
        Some(tokio_tungstenite::tungstenite::Message::Text(_)) => true,
        Some(tokio_tungstenite::tungstenite::Message::Close(Some(frame))) => {
            assert_eq!(u16::from(frame.code), 1009);
            false
        }
        other => panic!("neither an echo nor a close frame: {other:?}"),
    }
}

#[tokio::test]
async fn options_hold_for_all_routes_and_those_of_a_layer_for_its_own() {
    let mut app = App::new();
    app.ws("/before", echo);
    app.options(messages_of(10));
    app.ws("/after", echo);
    app.route("/own", ws(echo).layer(Extension(messages_of(30))));
    let router = Router::new().route("/deep", ws(echo));
    app.nest("/plain", router.clone());
    app.nest("/layered", router.layer(Extension(messages_of(30))));
    let server = serve(app).await;
    for (path, expected) in [
        ("/before", false),
        ("/after", false),
        ("/own", true),
        ("/plain/deep", false),
        ("/layered/deep", true),
    ] {
        assert_eq!(takes_twenty(&server, path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn origins_hold_for_all_routes_and_those_of_a_layer_for_its_own() {
    let mut app = App::new();
    app.ws("/before", echo);
    app.origins(OriginPolicy::list(["https://a.example".parse().unwrap()]));
    app.route("/own", ws(echo).layer(Extension(OriginPolicy::Any)));
    let server = serve(app).await;
    for (path, origin, expected) in [
        ("/before", "https://a.example", None),
        ("/before", "https://b.example", Some(StatusCode::FORBIDDEN)),
        ("/own", "https://b.example", None),
    ] {
        let mut request = url(&server, path).into_client_request().unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        let refused = Client::request(request).await.err();
        let status = refused.map(|response| response.status());
        assert_eq!(status, expected, "{path} {origin}");
    }
}

#[tokio::test]
async fn an_endpoint_is_named_by_its_pattern_unless_its_options_name_it() {
    let name = |socket: Socket| socket.send(socket.endpoint());
    let mut app = App::new();
    app.ws("/rooms/:roomId", name);
    let router = Router::new().route("/{id}", ws(name));
    app.nest("/games", router.clone());
    app.nest("/matches", router);
    let named = SocketOptions::default().name("the lobby");
    app.route("/lobby", ws(name).layer(Extension(named)));
    let server = serve(app).await;
    for (path, expected) in [
        ("/rooms/7", "/rooms/:roomId"),
        ("/games/7", "/games/{id}"),
        ("/matches/7", "/matches/{id}"),
        ("/lobby", "the lobby"),
    ] {
        let mut client = Client::connect(&server, path).await;
        assert_eq!(client.text().await, expected);
    }
}

#[tokio::test]
async fn a_route_outside_of_an_application_needs_a_handle() {
    let app: App = App::new();
    let handle = app.handle().clone();
    let router = Router::new()
        .route("/with", ws(echo).layer(Extension(handle.clone())))
        .route("/without", ws(echo))
        .route("/", get(async || "a page"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, router).into_future());

    let request = |path: &str| format!("ws://{address}{path}").into_client_request();
    let mut client = Client::request(request("/with").unwrap()).await.unwrap();
    client.send("hello").await;
    assert_eq!(client.text().await, "hello");
    let refused = Client::request(request("/without").unwrap()).await.err();
    let refused = refused.unwrap();
    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(refused.headers()["content-type"], "application/json");

    let closing = tokio::spawn(async move { handle.close_all(1001, "").await });
    assert_eq!(client.closed().await.0, 1001);
    assert_eq!(client.next().await, None);
    within(closing).await.unwrap();
    serving.abort();
}
