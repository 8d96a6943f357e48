//! The guide's "Basic WebSocket Usage", as clients see it on the wire.

use tokio_tungstenite::tungstenite::Message;

use super::server;
use crate::support::Client;

#[tokio::test]
async fn the_echo_greets_and_repeats() {
    let server = server().await;
    let mut client = Client::connect(&server, "/chat").await;

    assert_eq!(client.text().await, "Welcome to the chat!");
    client.send("hello").await;
    assert_eq!(client.text().await, "Echo: hello");
    client.send_message(Message::Binary("bytes".into())).await;
    assert_eq!(client.text().await, "Echo: bytes");

    client.close().await;
}
