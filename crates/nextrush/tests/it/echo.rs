use clap::Parser;
use nextrush::Server;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::support::{Client, serve, url};

#[path = "../../../../examples/echo.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

async fn echo(arguments: &[&str]) -> Server {
    let arguments = ["echo"].iter().chain(arguments);
    serve(example::app(&example::Arguments::parse_from(arguments))).await
}

#[tokio::test]
async fn every_message_comes_back_as_it_was() {
    let server = echo(&[]).await;
    let mut client = Client::connect(&server, "/echo").await;
    for message in [
        Message::Text("hello".into()),
        Message::Text("ünï©ødé 𝄞".into()),
        Message::Text("".into()),
        Message::Binary("\0\u{1}bytes".into()),
        Message::Binary("".into()),
        Message::Text("x".repeat(1024 * 1024).into()),
        Message::Binary((0..1024 * 1024).map(|n| n as u8).collect()),
    ] {
        client.send_message(message.clone()).await;
        // Not `assert_eq`: a failure would print the megabyte.
        assert!(client.next().await == Some(message));
    }
    client.close().await;
}

#[tokio::test]
async fn a_message_in_fragments_comes_back_in_one() {
    let server = echo(&[]).await;
    let mut client = Client::connect(&server, "/echo").await;
    let euro = "€".as_bytes();
    for (opcode, payload, fin) in [
        (Data::Text, &euro[..1], false),
        (Data::Continue, &[], false),
        (Data::Continue, &euro[1..2], false),
        (Data::Continue, &euro[2..], true),
    ] {
        let frame = Frame::message(payload.to_vec(), OpCode::Data(opcode), fin);
        client.send_message(Message::Frame(frame)).await;
    }
    assert_eq!(client.text().await, "€");
}

#[tokio::test]
async fn the_limit_of_messages_is_a_choice() {
    let server = echo(&["--max-message", "5"]).await;
    let mut client = Client::connect(&server, "/echo").await;
    client.send("12345").await;
    assert_eq!(client.text().await, "12345");
    client.send("123456").await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn pages_of_other_origins_connect_only_if_they_are_allowed() {
    let request = |server: &Server, origin: &str| {
        let mut request = url(server, "/echo").into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("Origin", origin.parse().unwrap());
        request
    };
    let server = echo(&[]).await;
    let own = format!("http://{}", server.address());
    assert!(Client::request(request(&server, &own)).await.is_ok());
    let foreign = request(&server, "https://example.com");
    let refusal = Client::request(foreign).await.err().unwrap();
    assert_eq!(refusal.status(), 403);

    let allowed = ["https://example.com", "https://example.org"];
    let [first, second] = allowed;
    let server = echo(&["--allow-origin", first, "--allow-origin", second]).await;
    for origin in allowed {
        assert!(Client::request(request(&server, origin)).await.is_ok());
    }
}
