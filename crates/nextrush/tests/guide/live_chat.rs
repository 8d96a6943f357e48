//! The guide's "Live Chat Application", as clients see it on the wire.

use nextrush::Server;
use serde_json::{Value, json};

use super::server;
use crate::support::{Client, token, without_position, without_timestamp};

fn user(name: &str) -> Value {
    json!({ "id": name, "email": format!("{name}@example.com") })
}

/// Joins and returns the client with its first message.
pub async fn join(server: &Server, room: &str, name: &str) -> (Client, Value) {
    let token = token(name, &format!("{name}@example.com"));
    let mut client = Client::connect(server, &format!("/chat/{room}?token={token}")).await;
    let history = client.json().await;
    (client, history)
}

fn error(code: &str, message: &str) -> Value {
    json!({ "type": "error", "message": message, "code": code })
}

#[tokio::test]
async fn whoever_joins_gets_the_history_first_and_the_others_hear_of_it() {
    let server = server().await;
    let (mut ada, history) = join(&server, "lobby", "ada").await;
    assert_eq!(
        without_position(history),
        json!({ "type": "room-history", "messages": [], "users": [user("ada")] })
    );

    let (bob, history) = join(&server, "lobby", "bob").await;
    assert_eq!(history["users"], json!([user("ada"), user("bob")]));
    assert_eq!(
        ada.json().await,
        json!({ "type": "user-joined", "user": user("bob"), "userCount": 2 })
    );

    bob.close().await;
    let left = json!({ "type": "user-left", "user": user("bob"), "userCount": 1 });
    assert_eq!(ada.json().await, left);

    // One that dies without a close frame has left too.
    let (bob, _) = join(&server, "lobby", "bob").await;
    assert_eq!(ada.json().await["type"], "user-joined");
    bob.cut();
    assert_eq!(ada.json().await, left);
}

#[tokio::test]
async fn a_message_goes_to_everyone_and_into_the_history() {
    let server = server().await;
    let (mut ada, _) = join(&server, "lobby", "ada").await;
    let (mut bob, _) = join(&server, "lobby", "bob").await;
    ada.json().await;

    ada.send_json(json!({ "type": "chat", "text": "first" }))
        .await;
    let mut seen = ada.json().await;
    assert_eq!(bob.json().await, seen);
    assert!(seen["id"].is_u64());
    let kept = seen.clone();
    seen.as_object_mut().unwrap().remove("id");
    assert_eq!(
        without_timestamp(without_position(seen)),
        json!({ "type": "chat-message", "text": "first", "user": user("ada") })
    );

    let (_carol, history) = join(&server, "lobby", "carol").await;
    assert_eq!(history["messages"], json!([kept]));
    let (_dave, history) = join(&server, "another", "dave").await;
    assert_eq!(history["messages"], json!([]));
}

#[tokio::test]
async fn the_last_fifty_messages_are_sent_oldest_first_with_rising_ids() {
    let server = server().await;
    let (mut ada, _) = join(&server, "lobby", "ada").await;
    for number in 0..120 {
        ada.send_json(json!({ "type": "chat", "text": number.to_string() }))
            .await;
    }
    for _ in 0..120 {
        ada.json().await;
    }
    let (_bob, history) = join(&server, "lobby", "bob").await;
    let messages = history["messages"].as_array().unwrap();
    let texts: Vec<_> = messages
        .iter()
        .map(|message| message["text"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = (70..120).map(|number| number.to_string()).collect();
    assert_eq!(texts, expected);
    let ids: Vec<_> = messages
        .iter()
        .map(|message| message["id"].as_u64().unwrap())
        .collect();
    assert!(ids.is_sorted_by(|one, next| one < next));
}

#[tokio::test]
async fn a_long_history_does_not_push_out_who_joins() {
    let server = server().await;
    let (mut ada, _) = join(&server, "lobby", "ada").await;
    for number in 0..50 {
        let text = format!("{number} {}", "x".repeat(60_000));
        ada.send_json(json!({ "type": "chat", "text": text })).await;
        ada.json().await;
    }
    // Bob is slow: he reads nothing before the next message has been sent to him.
    let path = format!("/chat/lobby?token={}", token("bob", "bob@example.com"));
    let mut bob = Client::connect(&server, &path).await;
    assert_eq!(ada.json().await["type"], "user-joined");
    for text in ["one", "two"] {
        ada.send_json(json!({ "type": "chat", "text": text })).await;
        ada.json().await;
    }
    let history = bob.json().await;
    let messages = history["messages"].as_array().unwrap();
    let first = |message: &Value| message["text"].as_str().unwrap()[..2].trim().to_owned();
    let texts: Vec<_> = messages.iter().map(first).collect();
    let expected: Vec<_> = (42..50).map(|number| number.to_string()).collect();
    assert_eq!(texts, expected);
    // He is given what he fell behind with in a further history.
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let message = bob.json().await;
        match message["messages"].as_array() {
            Some(messages) => texts.extend(messages.iter().map(first)),
            None => texts.push(first(&message)),
        }
    }
    assert_eq!(texts, ["on", "tw"]);
}

#[tokio::test]
async fn a_member_goes_back_in_the_history_page_by_page_to_its_begin() {
    let server = server().await;
    let (mut ada, _) = join(&server, "lobby", "ada").await;
    for number in 1..=120 {
        ada.send_json(json!({ "type": "chat", "text": number.to_string() }))
            .await;
    }
    for _ in 1..=120 {
        ada.json().await;
    }
    let texts = |answer: &Value| -> Vec<u64> {
        let messages = answer["messages"].as_array().unwrap().iter();
        let text = |message: &Value| message["text"].as_str().unwrap().parse().unwrap();
        messages.map(text).collect()
    };
    // Of 120 the last 100 are kept.
    for (asked, expected, more) in [
        (json!({ "before": 71, "id": "a" }), 21..=70, false),
        (json!({ "before": 71, "limit": 20 }), 51..=70, true),
        (json!({ "before": 51, "limit": 1_000 }), 21..=50, false),
        (json!({ "before": 31, "limit": 9 }), 22..=30, true),
        (json!({ "before": 1_000, "limit": 2 }), 119..=120, true),
    ] {
        let mut command = asked.clone();
        command["type"] = json!("history");
        ada.send_json(command).await;
        let answer = ada.json().await;
        assert_eq!(answer["type"], "history", "{answer}");
        assert_eq!(answer["id"], asked["id"]);
        assert!(texts(&answer).into_iter().eq(expected), "{asked}: {answer}");
        assert_eq!(answer["more"], more, "{asked}");
    }
    for before in [0, 1, 21] {
        ada.send_json(json!({ "type": "history", "before": before }))
            .await;
        let answer = ada.json().await;
        assert_eq!((texts(&answer), &answer["more"]), (vec![], &json!(false)));
    }
    ada.send_json(json!({ "type": "history", "before": -1 }))
        .await;
    assert_eq!(ada.json().await["code"], "invalid-format");
}

#[tokio::test]
async fn typing_is_announced_to_the_others() {
    let server = server().await;
    let (mut ada, _) = join(&server, "lobby", "ada").await;
    let (mut bob, _) = join(&server, "lobby", "bob").await;
    ada.json().await;
    for is_typing in [true, false] {
        ada.send_json(json!({ "type": "typing", "isTyping": is_typing }))
            .await;
        assert_eq!(
            bob.json().await,
            json!({ "type": "typing", "user": user("ada"), "isTyping": is_typing })
        );
    }
    // Ada got neither: the next message she sees is Bob's.
    bob.send_json(json!({ "type": "chat", "text": "I see" }))
        .await;
    assert_eq!(ada.json().await["text"], "I see");
}

#[tokio::test]
async fn a_private_message_reaches_every_socket_of_its_target_and_nobody_else() {
    let server = server().await;
    let (mut ada, _) = join(&server, "lobby", "ada").await;
    let (mut bob, _) = join(&server, "lobby", "bob").await;
    ada.json().await;
    // Bob's second device is in another room.
    let (mut bobs_phone, _) = join(&server, "elsewhere", "bob").await;
    let (mut carol, _) = join(&server, "elsewhere", "carol").await;
    bobs_phone.json().await;

    ada.send_json(json!({ "type": "private", "targetUserId": "bob", "text": "psst" }))
        .await;
    for device in [&mut bob, &mut bobs_phone] {
        assert_eq!(
            without_timestamp(device.json().await),
            json!({ "type": "private-message", "text": "psst", "from": user("ada") })
        );
    }
    assert_eq!(
        ada.json().await,
        json!({ "type": "private-message-sent", "to": "bob", "text": "psst" })
    );

    bobs_phone
        .send_json(json!({ "type": "chat", "text": "loud" }))
        .await;
    assert_eq!(carol.json().await["text"], "loud");
}

#[tokio::test]
async fn a_private_message_to_somebody_absent_is_an_error() {
    let server = server().await;
    let (mut ada, _) = join(&server, "lobby", "ada").await;
    let (bob, _) = join(&server, "lobby", "bob").await;
    ada.json().await;
    bob.close().await;
    assert_eq!(ada.json().await["type"], "user-left");
    // Text and number are different ids, as in the guide.
    for target in [json!("bob"), json!("nobody"), json!(7)] {
        ada.send_json(json!({ "type": "private", "targetUserId": target, "text": "?" }))
            .await;
        assert_eq!(
            ada.json().await,
            error("user-offline", "User not found or offline")
        );
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_answered_to_the_sender() {
    let server = server().await;
    let (mut ada, _) = join(&server, "lobby", "ada").await;
    let unknown = error("unknown-type", "Unknown message type");
    let invalid = error("invalid-format", "Invalid message format");
    let cases = [
        (r#"{"type":"dance"}"#, &unknown),
        (r#"{"text":"no type"}"#, &unknown),
        (r#"{"type":7}"#, &unknown),
        ("{no json", &invalid),
        ("", &invalid),
        ("null", &invalid),
        ("[]", &invalid),
        (r#""chat""#, &invalid),
        (r#"{"type":"chat"}"#, &invalid),
        (r#"{"type":"chat","text":7}"#, &invalid),
    ];
    for (sent, expected) in cases {
        ada.send(sent).await;
        assert_eq!(ada.json().await, *expected, "{sent}");
    }
}

#[tokio::test]
async fn members_that_are_closed_together_have_all_left() {
    let server = server().await;
    for _ in 0..20 {
        let (mut ada, _) = join(&server, "lobby", "ada").await;
        let (mut bob, _) = join(&server, "lobby", "bob").await;
        for socket in server.handle().local_sockets() {
            socket.close(4000, "kicked");
        }
        for client in [&mut ada, &mut bob] {
            while client.next().await.is_some() {}
        }
        let (carol, history) = join(&server, "lobby", "carol").await;
        assert_eq!(history["users"], json!([user("carol")]));
        carol.close().await;
    }
}
