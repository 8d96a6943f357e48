//! The host that a request is for.

use http::Request;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nextrush::Server;
use tokio::net::TcpStream;

use crate::support::{serve_with, status_of, within};

async fn development() -> Server {
    serve_with(&["--dev", "--no-store", "--jwt-secret", ""]).await
}

#[tokio::test]
async fn over_http_2_the_authority_is_the_host_of_development_mode() {
    let server = development().await;
    for (authority, expected) in [("localhost", 200), ("evil.example", 403)] {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let stream = TokioIo::new(stream);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
        let (mut sender, connection) = within(handshake).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(format!("http://{authority}/api/dev"));
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = within(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{authority}");
    }
}

#[tokio::test]
async fn a_request_with_two_hosts_or_none_is_refused_at_every_route() {
    let server = development().await;
    for path in ["/api/dev", "/healthz", "/", "/chat", "/nowhere"] {
        for hosts in [
            "",
            "Host: localhost\r\nHost: localhost\r\n",
            "Host: localhost\r\nHost: evil.example\r\n",
        ] {
            let request = format!("GET {path} HTTP/1.1\r\n{hosts}\r\n");
            assert_eq!(
                status_of(&server, request.as_bytes()).await,
                400,
                "{request}"
            );
        }
    }
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(status_of(&server, request.as_bytes()).await, 200);
}
