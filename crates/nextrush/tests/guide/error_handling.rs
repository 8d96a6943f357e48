//! The guide's "Error Handling & Reconnection", as clients see it on the wire.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::server;
use crate::support::Client;

#[tokio::test]
async fn invalid_messages_are_answered_with_details() {
    let server = server().await;
    let mut client = Client::connect(&server, "/robust-chat/lobby").await;
    for sent in ["{}", r#"{"type":7}"#, r#"{"type":""}"#, "null", "7", "[]"] {
        client.send(sent).await;
        assert_eq!(
            client.json().await,
            json!({
                "type": "error",
                "message": "Invalid message format",
                "details": "Invalid message type",
                "code": "invalid-format",
            }),
            "{sent}"
        );
    }
    client.send("{no json").await;
    let answer = client.json().await;
    assert_eq!(answer["message"], "Invalid message format");
    assert!(answer["details"].as_str().unwrap().contains("line 1"));
}

#[tokio::test]
async fn the_sixty_first_message_of_a_minute_is_refused_and_the_connection_stays() {
    let server = server().await;
    let mut other = Client::connect(&server, "/robust-chat/lobby").await;
    let mut client = Client::connect(&server, "/robust-chat/lobby").await;
    // Once this is answered they are in the room; and invalid ones don't count.
    for client in [&mut other, &mut client] {
        client.send("{}").await;
        assert_eq!(client.json().await["message"], "Invalid message format");
    }
    for number in 0..61 {
        client
            .send_json(json!({ "type": "n", "number": number }))
            .await;
    }
    let answer = client.json().await;
    assert_eq!(answer["type"], "error");
    assert_eq!(answer["message"], "Rate limit exceeded");
    assert_eq!(answer["code"], "rate-limited");

    for number in 0..60 {
        assert_eq!(other.json().await["number"], number);
    }
    // Still there, and still hears others; the message above the limit is gone.
    other.send_json(json!({ "type": "greeting" })).await;
    assert_eq!(client.json().await, json!({ "type": "greeting" }));
    client.close().await;
}

#[tokio::test]
async fn a_failing_connection_says_so_before_it_is_closed() {
    let server = server().await;
    let mut client = Client::connect(&server, "/robust-chat/lobby").await;
    client
        .send_message(Message::Binary(vec![0; 70_000].into()))
        .await;
    let answer = client.json().await;
    assert_eq!(answer["type"], "error");
    assert_eq!(answer["message"], "Connection error occurred");
    assert_eq!(answer["code"], "MESSAGE_TOO_BIG");
    assert_eq!(client.closed().await.0, 1009);
}
