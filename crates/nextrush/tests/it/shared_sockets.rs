//! Several features on one socket claim messages by their type.

use std::sync::{Arc, Mutex};

use nextrush::broker::{Broker, MemoryBroker};
use nextrush::{
    App, Authenticated, ChatServer, Jwt, LiveUpdates, Message, RoomName, Server, Socket,
};
use serde::Deserialize;
use serde_json::json;

use crate::support::{Client, SECRET, serve, token};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Move {
    Left {
        steps: u32,
    },
    #[serde(alias = "leap")]
    Jump,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Paint {
    Colour { name: String },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Dance {
    Jump,
    Turn,
}

fn moved(socket: Socket, step: Move) {
    socket.send(match step {
        Move::Left { steps } => format!("left {steps}"),
        Move::Jump => "jump".to_owned(),
    });
}

fn painted(socket: Socket, Paint::Colour { name }: Paint) {
    socket.send(name);
}

#[tokio::test]
async fn each_message_goes_to_the_function_that_claimed_its_type() {
    let mut app = App::new();
    let live = LiveUpdates::new(&app, "live");
    app.ws("/rest", {
        let live = live.clone();
        move |socket: Socket| {
            socket.on_command(moved);
            live.connect(&socket);
            socket.on_command(painted);
            socket.on_message(|socket: Socket, message: Message| {
                socket.send(format!("rest {message}"));
            });
        }
    });
    app.ws("/", move |socket: Socket| {
        socket.on_command(painted);
        socket.on_command(moved);
        live.connect(&socket);
    });
    let server = serve(app).await;
    for path in ["/", "/rest"] {
        let mut client = Client::connect(&server, path).await;
        for (message, answer) in [
            (r#"{"type":"left","steps":2}"#, "left 2"),
            (r#"{"steps":3,"type":"left"}"#, "left 3"),
            (r#"{"type":"jump"}"#, "jump"),
            (r#"{"type":"leap"}"#, "jump"),
            (r#"{"type":"colour","name":"red"}"#, "red"),
            (
                r#"{"type":"unsubscribe","channel":"news"}"#,
                r#"{"type":"unsubscribed","channel":"news"}"#,
            ),
            (
                r#"{"type":"left","id":"a"}"#,
                r#"{"type":"error","message":"Invalid message format","code":"invalid-format","id":"a"}"#,
            ),
        ] {
            client.send(message).await;
            assert_eq!(client.text().await, answer, "{path} {message}");
        }
    }

    let mut rest = Client::connect(&server, "/rest").await;
    for message in ["hello", "{}", r#"{"type":"ping"}"#, r#"{"type":7}"#, "[]"] {
        rest.send(message).await;
        assert_eq!(rest.text().await, format!("rest {message}"));
    }
    let mut strict = Client::connect(&server, "/").await;
    for (message, code) in [
        (r#"{"type":"dance","id":"a"}"#, json!(["unknown-type", "a"])),
        (r#"{"id":"a"}"#, json!(["unknown-type", "a"])),
        (r#"{"type":7}"#, json!(["unknown-type", null])),
        ("hello", json!(["invalid-format", null])),
        (r#"["jump"]"#, json!(["invalid-format", null])),
    ] {
        strict.send(message).await;
        let refusal = strict.json().await;
        assert_eq!(json!([refusal["code"], refusal["id"]]), code, "{message}");
    }
    // Live updates answer what a client has to know, also beside others.
    strict.send(r#"{"type":"ping","id":"p"}"#).await;
    assert_eq!(strict.json().await, json!({ "type": "pong", "id": "p" }));
    strict.send(r#"{"type":"hello"}"#).await;
    assert_eq!(strict.json().await["type"], "hello");
}

/// The panics of the endpoint's handler, which registers functions.
async fn panic_of(register: impl Fn(&Socket) + Send + Sync + 'static) -> String {
    let told = Arc::new(Mutex::new(None));
    let heard = Arc::clone(&told);
    let mut app = App::new();
    app.ws("/", move |socket: Socket| {
        let register = std::panic::AssertUnwindSafe(|| register(&socket));
        let panic = std::panic::catch_unwind(register).unwrap_err();
        *heard.lock().unwrap() = panic.downcast::<String>().ok();
        socket.close(1000, "");
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    client.closed().await;
    let told = told.lock().unwrap().take();
    *told.unwrap()
}

#[tokio::test]
async fn two_claims_to_one_type_panic_when_registered_and_name_both() {
    let name = |kind: &str| format!("on_command::<it::shared_sockets::{kind}>");
    let twice = panic_of(|socket| {
        socket.on_command(moved);
        socket.on_command(painted);
        socket.on_command(|_: Socket, _: Dance| ());
    });
    let expected = format!(
        "`{}` takes the messages of this socket of type \"jump\", and so does `{}`",
        name("Move"),
        name("Dance")
    );
    assert_eq!(twice.await, expected);
    let rest = panic_of(|socket| {
        socket.on_message(|_: Socket, _: Message| ());
        socket.on_command(moved);
        socket.on_message(|_: Socket, _: Message| ());
    });
    assert_eq!(
        rest.await,
        "`on_message` takes all messages of this socket that nothing else takes, and so does \
         `on_message`"
    );
    // A type without a tag takes any message.
    let untagged = panic_of(|socket| {
        socket.on_command(|_: Socket, _: serde_json::Value| ());
        socket.on_message(|_: Socket, _: Message| ());
    });
    let untagged = untagged.await;
    assert!(
        untagged.starts_with("`on_command::<serde_json::value::Value>` takes all"),
        "{untagged}"
    );
    let live = panic_of(|socket| {
        LiveUpdates::new(socket.app(), "one").connect(socket);
        LiveUpdates::new(socket.app(), "two").connect(socket);
    });
    assert_eq!(
        live.await,
        "`LiveUpdates::connect` takes the messages of this socket of type \"subscribe\", and so \
         does `LiveUpdates::connect`"
    );
}

async fn chat(broker: impl Broker) -> Server {
    let mut app = App::builder().broker(broker).build();
    app.jwt(Jwt::hs256(SECRET));
    let chat = ChatServer::new(&app, "chat");
    let live = LiveUpdates::new(&app, "live");
    app.ws("/", async move |socket: Socket, user: Authenticated| {
        let user = user.admit(&socket);
        live.connect(&socket);
        socket.on_command(moved);
        let [lobby, other] = ["lobby", "other"].map(|room| RoomName::new(room).unwrap());
        chat.connect(&socket, lobby, user.clone()).await;
        chat.connect(&socket, other, user).await;
    });
    serve(app).await
}

#[tokio::test]
async fn a_chat_shares_its_socket_and_a_second_room_does_not_join() {
    let server = chat(MemoryBroker::new()).await;
    let token = token("ada", "ada@example.com");
    let mut client = Client::connect(&server, &format!("/?token={token}")).await;
    assert_eq!(client.json().await["type"], "room-history");
    // The panic of the second one ends the socket.
    assert_eq!(client.closed().await.0, 1011);
}

#[tokio::test]
async fn what_a_client_asks_about_its_connection_is_answered_beside_any_other_function() {
    let mut app = App::new();
    let live = LiveUpdates::new(&app, "live");
    let other = live.clone();
    app.ws("/message", move |socket: Socket| {
        live.connect(&socket);
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    app.ws("/loop", async move |socket: Socket| {
        socket.on_command(moved);
        other.connect(&socket);
        while let Some(message) = socket.recv().await {
            socket.send(message);
        }
    });
    let server = serve(app).await;
    for path in ["/message", "/loop"] {
        let mut client = Client::connect(&server, path).await;
        // A client that is not answered takes its connection for lost.
        client.send(r#"{"type":"hello","id":"h"}"#).await;
        let hello = client.json().await;
        assert_eq!(
            (&hello["type"], &hello["id"]),
            (&json!("hello"), &json!("h"))
        );
        assert!(hello["windowMs"].is_u64(), "{path} {hello}");
        client.send(r#"{"type":"ping","id":"p"}"#).await;
        assert_eq!(client.json().await, json!({ "type": "pong", "id": "p" }));
        for own in [
            r#"{"type":"ping"}"#,
            r#"{"type":"dance","id":"d"}"#,
            "hello",
        ] {
            client.send(own).await;
            assert_eq!(client.text().await, own, "{path}");
        }
    }
}

#[tokio::test]
async fn a_loop_receives_what_nothing_else_has_claimed() {
    let mut app = App::new();
    let live = LiveUpdates::new(&app, "live");
    app.ws("/", async move |socket: Socket| {
        let first = socket.recv().await;
        socket.on_command(moved);
        live.connect(&socket);
        socket.send(format!("first {}", first.unwrap()));
        while let Some(message) = socket.recv().await {
            socket.send(format!("loop {message}"));
        }
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    client.send(r#"{"type":"jump"}"#).await;
    assert_eq!(client.text().await, r#"first {"type":"jump"}"#);
    for (message, answer) in [
        (r#"{"type":"jump"}"#, "jump"),
        ("hello", "loop hello"),
        (
            r#"{"type":"unsubscribe","channel":"news"}"#,
            r#"{"type":"unsubscribed","channel":"news"}"#,
        ),
        (r#"{"type":"turn"}"#, r#"loop {"type":"turn"}"#),
    ] {
        client.send(message).await;
        assert_eq!(client.text().await, answer);
    }
}
