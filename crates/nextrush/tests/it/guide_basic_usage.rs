use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, serve};

#[path = "../../../../examples/basic_usage.rs"]
#[allow(dead_code)]
mod example;

#[tokio::test]
async fn the_echo_greets_and_repeats() {
    let server = serve(example::app()).await;
    let mut client = Client::connect(&server, "/chat").await;

    assert_eq!(client.text().await, "Welcome to the chat!");
    client.send("hello").await;
    assert_eq!(client.text().await, "Echo: hello");
    client.send_message(Message::Binary("bytes".into())).await;
    assert_eq!(client.text().await, "Echo: bytes");

    client.close().await;
}
