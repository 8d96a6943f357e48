//! An application inside somebody else's axum server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use nextrush::{App, Message, Socket, SocketOptions};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use tokio_tungstenite::{WebSocketStream, client_async, connect_async, tungstenite};

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

/// A stream that is not TCP, as that of a TLS server, and that tells by its end that the
/// server has let go of it.
struct Stream(
    DuplexStream,
    #[allow(dead_code, reason = "its end is what is watched")] mpsc::UnboundedSender<()>,
);

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// A client of `app` over such a stream, and what hears of the stream's end.
async fn over_a_stream(app: App) -> (WebSocketStream<DuplexStream>, mpsc::UnboundedReceiver<()>) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let (held, end) = mpsc::unbounded_channel();
    let service = TowerToHyperService::new(app.into_router());
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(Stream(theirs, held)), service)
        .with_upgrades();
    tokio::spawn(connection);
    let (client, _) = within(client_async("ws://localhost/", ours)).await.unwrap();
    (client, end)
}

#[tokio::test]
async fn a_stream_that_is_not_tcp_is_bridged() {
    let mut app: App = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    // With the last handle the engine ends, and cuts what is still closing.
    let _handle = app.handle().clone();
    let (mut client, mut end) = over_a_stream(app).await;
    let large = "x".repeat(60_000);
    for text in ["hello", &large] {
        client.send(tungstenite::Message::text(text)).await.unwrap();
        let echo = within(client.next()).await.unwrap().unwrap();
        assert_eq!(echo.into_text().unwrap(), text);
    }
    within(client.close(None)).await.unwrap();
    assert!(within(client.next()).await.unwrap().unwrap().is_close());
    assert!(within(client.next()).await.is_none());
    assert_eq!(within(end.recv()).await, None);
}

#[tokio::test]
async fn a_bridged_client_that_does_not_answer_the_close_is_let_go() {
    let mut app: App = App::new();
    let options = SocketOptions::default().close_timeout(Duration::from_millis(50));
    app.options(options);
    app.ws("/", |socket: Socket| socket.close(4000, "enough"));
    let _handle = app.handle().clone();
    let (client, mut end) = over_a_stream(app).await;
    // It reads nothing and says nothing.
    assert_eq!(within(end.recv()).await, None);
    drop(client);
}
