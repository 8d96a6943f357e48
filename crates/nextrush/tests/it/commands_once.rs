//! Commands with an id are executed once.

use axum::extract::Path;
use nextrush::broker::{Broker, EmbeddedBroker, MemoryBroker, MemoryLimits};
use nextrush::{App, Authenticated, ChatServer, Jwt, LiveUpdates, RoomName, Server, Socket};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, SECRET, serve, token, without_timestamp};

async fn server(broker: impl Broker) -> Server {
    let mut app = App::builder().broker(broker).build();
    app.jwt(Jwt::hs256(SECRET));
    let chat = ChatServer::new(&app, "chat");
    let live = LiveUpdates::new(&app, "live");
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket, Path(room): Path<RoomName>, user: Authenticated| {
            chat.connect(&socket, room, user.admit(&socket)).await;
        },
    );
    app.ws("/live", move |socket: Socket| live.connect(&socket));
    serve(app).await
}

async fn join(server: &Server, name: &str) -> Client {
    let token = token(name, &format!("{name}@example.com"));
    let mut client = Client::connect(server, &format!("/chat/lobby?token={token}")).await;
    assert_eq!(client.json().await["type"], "room-history");
    client
}

/// The next message of this type.
async fn next(client: &mut Client, kind: &str) -> Value {
    loop {
        let message = client.json().await;
        if message["type"] == kind {
            return message;
        }
    }
}

#[tokio::test]
async fn a_repeated_message_is_said_once_and_answered_alike() {
    let server = server(MemoryBroker::new()).await;
    let mut ada = join(&server, "ada").await;
    let mut bob = join(&server, "bob").await;
    let say = json!({ "type": "chat", "text": "hello", "id": "c1" });
    ada.send_json(say.clone()).await;
    let said = next(&mut ada, "chat-message").await;
    let answer = next(&mut ada, "ack").await;
    assert_eq!(answer["id"], "c1");
    assert_eq!(answer["messageId"], said["id"]);
    assert_eq!(answer["offset"], said["offset"]);
    assert!(answer["epoch"].is_string());
    ada.cut();

    // The connection broke before the answer came, as far as Ada knows.
    let mut ada = join(&server, "ada").await;
    ada.send_json(say.clone()).await;
    assert_eq!(next(&mut ada, "ack").await, answer);
    // The same id of somebody else is another command.
    bob.send_json(say).await;
    let other = next(&mut bob, "ack").await;
    assert_eq!(other["offset"], 2);
    ada.send_json(json!({ "type": "chat", "text": "bye", "id": "c2" }))
        .await;
    let last = next(&mut ada, "ack").await;
    assert_eq!(last["offset"], 3);
}

#[tokio::test]
async fn a_repeated_private_message_reaches_its_target_once() {
    let server = server(MemoryBroker::new()).await;
    let mut ada = join(&server, "ada").await;
    let mut bob = join(&server, "bob").await;
    let whisper = |text: &str, id: &str| json!({ "type": "private", "targetUserId": "bob", "text": text, "id": id });
    ada.send_json(whisper("psst", "p1")).await;
    let answer = next(&mut ada, "private-message-sent").await;
    assert_eq!(
        answer,
        json!({ "type": "private-message-sent", "to": "bob", "text": "psst", "id": "p1" })
    );
    ada.send_json(whisper("psst", "p1")).await;
    assert_eq!(next(&mut ada, "private-message-sent").await, answer);
    ada.send_json(whisper("more", "p2")).await;
    let first = next(&mut bob, "private-message").await;
    assert_eq!(first["text"], "psst");
    let second = without_timestamp(next(&mut bob, "private-message").await);
    assert_eq!(second["text"], "more");
}

#[tokio::test]
async fn an_id_with_another_body_is_refused_and_nothing_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let embedded = EmbeddedBroker::open(directory.path()).unwrap();
    for server in [server(MemoryBroker::new()).await, server(embedded).await] {
        let mut ada = join(&server, "ada").await;
        let say = |text: &str| json!({ "type": "chat", "text": text, "id": "c" });
        ada.send_json(say("one")).await;
        let first = next(&mut ada, "ack").await;
        ada.send_json(say("two")).await;
        let refusal = next(&mut ada, "error").await;
        assert_eq!(
            (&refusal["code"], &refusal["id"]),
            (&json!("id-reused"), &json!("c"))
        );
        ada.send_json(say("one")).await;
        assert_eq!(next(&mut ada, "ack").await, first);
        let whisper = |to: &str, text: &str| json!({ "type": "private", "targetUserId": to, "text": text, "id": "p" });
        ada.send_json(whisper("ada", "psst")).await;
        next(&mut ada, "private-message-sent").await;
        for other in [whisper("ada", "hush"), whisper("bob", "psst")] {
            ada.send_json(other).await;
            assert_eq!(next(&mut ada, "error").await["code"], "id-reused");
        }
        let last = json!({ "type": "chat", "text": "three", "id": "d" });
        ada.send_json(last).await;
        assert_eq!(next(&mut ada, "ack").await["offset"], 2);
    }
}

#[tokio::test]
async fn a_message_with_two_ids_is_refused_and_not_said() {
    let server = server(MemoryBroker::new()).await;
    let mut ada = join(&server, "ada").await;
    ada.send(r#"{"type":"chat","text":"hello","id":"a","id":"b"}"#)
        .await;
    assert_eq!(ada.json().await["code"], "invalid-format");
    ada.send_json(json!({ "type": "chat", "text": "once", "id": "c" }))
        .await;
    assert_eq!(next(&mut ada, "ack").await["offset"], 1);
}

#[tokio::test]
async fn binary_json_that_is_not_utf_8_is_refused_and_not_said() {
    let server = server(MemoryBroker::new()).await;
    let mut ada = join(&server, "ada").await;
    for broken in [
        &b"{\"type\":\"chat\",\"text\":\"a\xff\",\"id\":\"c\"}"[..],
        b"{\"type\":\"chat\",\"text\":\"a\",\"more\":\"\xff\"}",
        b"{\"type\":\"refresh\",\"token\":\"\xff\"}",
    ] {
        let broken = Message::binary(broken.to_vec());
        ada.send_message(broken).await;
        assert_eq!(ada.json().await["code"], "invalid-format");
    }
    let whole = Message::binary("{\"type\":\"chat\",\"text\":\"ä\",\"id\":\"c\"}");
    ada.send_message(whole).await;
    assert_eq!(next(&mut ada, "ack").await["offset"], 1);
}

#[tokio::test]
async fn an_id_stands_for_one_command_in_all_rooms_and_of_all_kinds() {
    let server = server(MemoryBroker::new()).await;
    let mut ada = join(&server, "ada").await;
    let token = token("ada", "ada@example.com");
    let mut elsewhere = Client::connect(&server, &format!("/chat/pantry?token={token}")).await;
    let say = |id: &str| json!({ "type": "chat", "text": "hi", "id": id });
    let whisper =
        |id: &str| json!({ "type": "private", "targetUserId": "ada", "text": "hi", "id": id });
    ada.send_json(say("a")).await;
    let first = next(&mut ada, "ack").await;
    ada.send_json(whisper("b")).await;
    next(&mut ada, "private-message-sent").await;
    for (is_elsewhere, other) in [(true, say("a")), (false, whisper("a")), (false, say("b"))] {
        let client = match is_elsewhere {
            true => &mut elsewhere,
            false => &mut ada,
        };
        client.send_json(other.clone()).await;
        assert_eq!(next(client, "error").await["code"], "id-reused", "{other}");
    }
    // Repeats are answered as before, private ones in every room.
    ada.send_json(say("a")).await;
    assert_eq!(next(&mut ada, "ack").await, first);
    elsewhere.send_json(whisper("b")).await;
    next(&mut elsewhere, "private-message-sent").await;
    elsewhere.send_json(say("c")).await;
    assert_eq!(next(&mut elsewhere, "ack").await["offset"], 1);
}

#[tokio::test]
async fn a_private_message_to_a_text_with_invisible_characters_is_refused() {
    let server = server(MemoryBroker::new()).await;
    let mut ada = join(&server, "ada").await;
    let whisper =
        json!({ "type": "private", "targetUserId": "ada\u{200b}", "text": "psst", "id": "p" });
    ada.send_json(whisper).await;
    assert_eq!(next(&mut ada, "error").await["code"], "invalid-name");
}

#[tokio::test]
async fn a_private_message_to_an_id_that_two_users_could_share_reaches_nobody() {
    let server = server(MemoryBroker::new()).await;
    let mut ada = join(&server, "ada").await;
    // JavaScript writes 9007199254740993 so.
    for to in [json!(9_007_199_254_740_992_i64), json!(1.5)] {
        let whisper = json!({ "type": "private", "targetUserId": to, "text": "psst", "id": "p" });
        ada.send_json(whisper).await;
        let refusal = next(&mut ada, "error").await;
        assert_eq!(refusal["code"], "id-not-exact", "{to}");
        assert_eq!(refusal["id"], "p");
    }
}

#[tokio::test]
async fn a_private_message_whose_answer_could_not_be_remembered_is_not_sent() {
    // Three outcomes of about 290 bytes, and the 5,540 that are asked for before a command.
    let limits = MemoryLimits::default().answer_bytes(6_300);
    let server = server(MemoryBroker::builder().limits(limits).build()).await;
    let mut ada = join(&server, "ada").await;
    let mut bob = join(&server, "bob").await;
    let whisper = |number: usize| {
        let text = format!("{number} {}", "x".repeat(5000));
        json!({ "type": "private", "targetUserId": "bob", "text": text, "id": number.to_string() })
    };
    for number in 0..3 {
        ada.send_json(whisper(number)).await;
        next(&mut ada, "private-message-sent").await;
    }
    ada.send_json(whisper(3)).await;
    assert_eq!(next(&mut ada, "error").await["code"], "unavailable");
    // The repeat is recognised, and there is room for somebody else.
    ada.send_json(whisper(0)).await;
    next(&mut ada, "private-message-sent").await;
    let other = json!({ "type": "private", "targetUserId": "bob", "text": "last", "id": "0" });
    bob.send_json(other).await;
    for start in ["0 ", "1 ", "2 ", "last"] {
        let text = next(&mut bob, "private-message").await["text"].clone();
        assert!(text.as_str().unwrap().starts_with(start), "{text}");
    }
}

#[tokio::test]
async fn commands_without_an_answer_of_their_own_are_acknowledged() {
    let server = server(MemoryBroker::new()).await;
    let mut ada = join(&server, "ada").await;
    ada.send_json(json!({ "type": "typing", "isTyping": true, "id": "t" }))
        .await;
    assert_eq!(ada.json().await, json!({ "type": "ack", "id": "t" }));
}

#[tokio::test]
async fn every_answer_bears_the_id_of_its_command() {
    let server = server(MemoryBroker::new()).await;
    let mut client = Client::connect(&server, "/live").await;
    for (sent, kind) in [
        (
            json!({ "type": "subscribe", "channel": "a", "id": "1" }),
            "subscribed",
        ),
        (
            json!({ "type": "unsubscribe", "channel": "a", "id": "1" }),
            "unsubscribed",
        ),
        (
            json!({ "type": "subscribe", "channel": "", "id": "1" }),
            "error",
        ),
        (json!({ "type": "dance", "id": "1" }), "error"),
        (json!({ "type": "subscribe", "id": "1" }), "error"),
    ] {
        client.send_json(sent.clone()).await;
        let answer = client.json().await;
        assert_eq!(answer["type"], kind, "{sent}");
        assert_eq!(answer["id"], "1", "{sent}");
    }
    for id in [json!(7), json!(""), json!("x".repeat(65)), json!({})] {
        let sent = json!({ "type": "subscribe", "channel": "a", "id": id });
        client.send_json(sent).await;
        let answer = client.json().await;
        assert_eq!(answer["code"], "invalid-format", "{id}");
        assert_eq!(answer.get("id"), None);
    }
}

#[tokio::test]
async fn a_repeat_after_a_restart_gets_the_answer_from_before() {
    let directory = tempfile::tempdir().unwrap();
    let commands = [
        json!({ "type": "chat", "text": "hello", "id": "c1" }),
        json!({ "type": "private", "targetUserId": "nobody", "text": "x", "id": "p1" }),
    ];
    let mut answers: Vec<Vec<Value>> = Vec::new();
    for _ in 0..2 {
        let server = server(EmbeddedBroker::open(directory.path()).unwrap()).await;
        let mut ada = join(&server, "ada").await;
        let mut all = Vec::new();
        for (command, kind) in commands.iter().zip(["ack", "error"]) {
            ada.send_json(command.clone()).await;
            all.push(next(&mut ada, kind).await);
        }
        answers.push(all);
        ada.cut();
        server.close().await;
        // The store is free again when the application has gone.
        while EmbeddedBroker::open(directory.path()).is_err() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(answers[0], answers[1]);
}

/// The bytes of all files below a directory.
fn bytes_below(directory: &std::path::Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() {
            bytes_below(&path)
        } else {
            std::fs::read(path).unwrap()
        });
    }
    bytes
}

#[tokio::test]
async fn the_text_of_a_private_message_is_never_on_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(EmbeddedBroker::open(directory.path()).unwrap()).await;
    let mut ada = join(&server, "ada").await;
    let whisper = |to: &str, id: &str| json!({ "type": "private", "targetUserId": to, "text": "the secret of ada", "id": id });
    ada.send_json(whisper("ada", "p1")).await;
    let answer = next(&mut ada, "private-message-sent").await;
    ada.send_json(whisper("nobody", "p2")).await;
    let offline = next(&mut ada, "error").await;
    assert_eq!(
        (&offline["code"], &offline["id"]),
        (&json!("user-offline"), &json!("p2"))
    );
    ada.send_json(json!({ "type": "chat", "text": "said to all", "id": "c" }))
        .await;
    next(&mut ada, "ack").await;

    let bytes = bytes_below(directory.path());
    let is_there = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(is_there("said to all"));
    assert!(!is_there("the secret of ada"));
    // The repeats are answered alike all the same.
    ada.send_json(whisper("ada", "p1")).await;
    assert_eq!(next(&mut ada, "private-message-sent").await, answer);
    ada.send_json(whisper("nobody", "p2")).await;
    assert_eq!(next(&mut ada, "error").await, offline);
}
