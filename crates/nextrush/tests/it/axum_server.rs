//! An application inside somebody else's axum server.

use axum::Router;
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::routing::get;
use nextrush::{App, Message, Socket};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite;

use futures_util::{SinkExt, StreamExt};

use crate::support::{Client, serve, within};

#[tokio::test]
async fn an_application_is_served_by_axums_own_server() {
    let mut app: App = App::new();
    app.ws("/echo", |socket: Socket| {
        socket.send("welcome");
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    let handle = app.handle().clone();
    let router = Router::new()
        .route("/", get(async || "not ours"))
        .nest("/live", app.into_router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, router).into_future());

    let url = format!("ws://{address}/live/echo");
    let (mut client, _) = within(connect_async(url)).await.unwrap();
    let welcome = within(client.next()).await.unwrap().unwrap();
    assert_eq!(welcome.into_text().unwrap(), "welcome");
    client
        .send(tungstenite::Message::text("hello"))
        .await
        .unwrap();
    let echo = within(client.next()).await.unwrap().unwrap();
    assert_eq!(echo.into_text().unwrap(), "hello");

    let closing = tokio::spawn(async move { handle.close_all(1001, "").await });
    let close = within(client.next()).await.unwrap().unwrap();
    assert!(close.is_close());
    while within(client.next()).await.is_some() {}
    within(closing).await.unwrap();
    serving.abort();
}

#[tokio::test]
async fn state_layers_merged_and_nested_routes_work_as_in_axum() {
    #[derive(Clone)]
    struct Greeting(&'static str);

    async fn refuse_odd(request: axum::extract::Request, next: Next) -> axum::response::Response {
        use axum::response::IntoResponse;
        if request.uri().query() == Some("odd") {
            return http::StatusCode::PAYMENT_REQUIRED.into_response();
        }
        next.run(request).await
    }

    let mut app = App::new();
    app.ws(
        "/ws",
        |socket: Socket, State(Greeting(text)): State<Greeting>| socket.send(text),
    );
    app.layer(middleware::from_fn(refuse_odd));
    app.merge(Router::new().route("/merged", get(async |State(Greeting(text))| text)));
    app.nest(
        "/nested",
        Router::new().route("/page", get(async || "nested")),
    );
    let server = serve(app.with_state(Greeting("bonjour"))).await;

    let mut client = Client::connect(&server, "/ws").await;
    assert_eq!(client.text().await, "bonjour");
    let refused = Client::refused(&server, "/ws?odd").await;
    assert_eq!(refused, http::StatusCode::PAYMENT_REQUIRED);
    for (path, expected) in [("/merged", 200), ("/nested/page", 200), ("/nested", 404)] {
        assert_eq!(Client::refused(&server, path).await, expected, "{path}");
    }
}
