use crate::support::{Client, serve};

#[path = "../../../../examples/testing.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[tokio::test]
async fn websocket_connection_and_messaging() {
    let server = example::app().listen(0).start().await.unwrap();
    assert_ne!(server.address().port(), 0);
    server.close().await;

    let server = serve(example::app()).await;
    let mut client = Client::connect(&server, "/test").await;
    client.send("hello").await;
    assert_eq!(client.text().await, "welcome");
    assert_eq!(client.text().await, "echo: hello");
    client.close().await;
    server.close().await;
}
