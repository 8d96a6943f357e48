//! The limit on connections from one client address.

use http::StatusCode;
use nextrush::{App, Server, Socket};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{Client, url, within};
use crate::ways::Streams;

async fn server(limit: usize) -> Server {
    let mut app = App::new();
    app.ws("/", |socket: Socket| socket.send("welcome"));
    let listen = app.listen("127.0.0.1:0");
    let listen = listen.connections_per_address(limit);
    listen.start().await.unwrap()
}

async fn connect(server: &Server) -> Result<Client, StatusCode> {
    let request = url(server, "/").into_client_request().unwrap();
    let connected = Box::pin(Client::request(request)).await;
    connected.map_err(|refusal| refusal.status())
}

/// Tries until a place has become free.
async fn connect_at_last(server: &Server) -> Client {
    within(async {
        loop {
            if let Ok(client) = connect(server).await {
                return client;
            }
        }
    })
    .await
}

#[tokio::test]
async fn one_connection_too_many_is_refused_until_a_socket_has_ended() {
    let server = server(2).await;
    let first = connect_at_last(&server).await;
    let mut second = connect_at_last(&server).await;
    let refused = connect(&server).await.err();
    assert_eq!(refused, Some(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(second.text().await, "welcome");

    first.close().await;
    let mut third = connect_at_last(&server).await;
    assert_eq!(third.text().await, "welcome");
}

#[tokio::test]
async fn sockets_over_http2_are_counted_beside_their_connection() {
    let server = server(3).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let streams = Streams::open(stream).await;
    let first = streams.connect("/").await.unwrap();
    let _second = streams.connect("/").await.unwrap();
    let refused = streams.connect("/").await.err().unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        connect(&server).await.err(),
        Some(StatusCode::TOO_MANY_REQUESTS)
    );
    drop(first);
    connect_at_last(&server).await;
}
