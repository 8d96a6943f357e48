//! The example of the guide's "Live Chat Application".

use futures_util::FutureExt;
use nextrush::{App, ChatServer, Jwt, RoomName, Server, Socket, User};
use serde_json::{Value, json};

use crate::support::{Client, SECRET, serve};

#[path = "../../../../examples/live_chat.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[path = "../guide/live_chat.rs"]
mod suite;

use self::suite::join;

async fn server() -> Server {
    serve(example::app(Jwt::hs256(SECRET))).await
}

#[tokio::test]
async fn a_text_is_as_long_as_the_chat_lets_it_be() {
    let mut app = App::new();
    let chat = ChatServer::builder().text_bytes(5).build(&app, "chat");
    app.ws("/", async move |socket: Socket| {
        let ada = User::new("ada", "ada@example.com");
        chat.connect(&socket, RoomName::new("den").unwrap(), ada)
            .await;
    });
    let server = serve(app).await;
    let mut ada = Client::connect(&server, "/").await;
    ada.json().await;
    for (text, kind, code) in [
        ("12345", "chat-message", Value::Null),
        ("123456", "error", json!("too-large")),
        ("äöü", "error", json!("too-large")),
    ] {
        ada.send_json(json!({ "type": "chat", "text": text })).await;
        let told = ada.json().await;
        assert_eq!(
            (&told["type"], &told["code"]),
            (&json!(kind), &code),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_history_comes_first_while_others_type_and_whisper() {
    let server = server().await;
    let (mut ada, _) = join(&server, "lobby", "ada").await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let typing = tokio::spawn(async move {
        let typing = json!({ "type": "typing", "isTyping": true });
        let private = json!({ "type": "private", "targetUserId": "bob", "text": "psst" });
        tokio::pin!(stopped);
        while stopped.as_mut().now_or_never().is_none() {
            for _ in 0..10 {
                ada.send_json(typing.clone()).await;
                ada.send_json(private.clone()).await;
            }
            // One answer for each of the private messages, and the news of Bob.
            let mut answers = 0;
            while answers < 10 {
                let answer = ada.json().await;
                let answer = answer["type"].as_str().unwrap();
                answers += usize::from(matches!(answer, "error" | "private-message-sent"));
            }
        }
    });
    for _ in 0..100 {
        let (bob, first) = join(&server, "lobby", "bob").await;
        assert_eq!(first["type"], "room-history");
        bob.close().await;
    }
    stop.send(()).unwrap();
    typing.await.unwrap();
}
