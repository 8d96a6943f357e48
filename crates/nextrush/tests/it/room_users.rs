//! The users of a room, to a client that keeps their list.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::Path;
use nextrush::testing::{Client, Network};
use nextrush::{App, ChatServer, RoomName, Socket, User};
use serde_json::{Value, json};

use crate::schema::check_sent;

/// A chat that tells of three users at a time.
fn network() -> Network {
    let mut app = App::new();
    let chat = ChatServer::builder().listed(3).build(&app, "chat");
    app.ws(
        "/chat/:room/:user",
        async move |socket: Socket, Path((room, user)): Path<(RoomName, String)>| {
            let user = User::new(user, "");
            socket.identify(user.clone()).unwrap();
            chat.connect(&socket, room, user).await;
        },
    );
    Network::new(app)
}

async fn join(network: &Network, user: &str) -> (Client, Value) {
    let path = format!("/chat/lobby/{user}");
    let mut client = network.connect(&path).await.unwrap();
    let history = client.json().await;
    check_sent(&history);
    (client, history)
}

async fn ask(client: &mut Client, question: Value) -> Value {
    client.send_json(&question);
    loop {
        let message = client.json().await;
        check_sent(&message);
        if message["id"] == question["id"] {
            return message;
        }
    }
}

/// The users and their sockets, page by page.
async fn pages(client: &mut Client) -> Vec<Vec<(String, u64)>> {
    let mut pages = Vec::new();
    let mut after = Some(0);
    while let Some(from) = after {
        let question = json!({ "type": "members", "after": from, "id": from.to_string() });
        let page = ask(client, question).await;
        let members = page["members"].as_array().unwrap().iter();
        pages.push(
            members
                .map(|member| {
                    let id = member["user"]["id"].as_str().unwrap();
                    (id.to_owned(), member["sockets"].as_u64().unwrap())
                })
                .collect(),
        );
        after = page.get("next").map(|next| next.as_u64().unwrap());
    }
    pages
}

#[tokio::test(start_paused = true)]
async fn whoever_joins_is_told_of_the_first_users_and_asks_for_the_rest() {
    let network = network();
    let mut clients = Vec::new();
    for user in ["ada", "bob", "ada", "eve", "dan"] {
        clients.push(join(&network, user).await.0);
    }
    let (mut client, history) = join(&network, "fay").await;
    let ids: Vec<_> = history["users"].as_array().unwrap().iter().collect();
    let ids: Vec<_> = ids
        .iter()
        .map(|user| user["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["ada", "bob", "ada"]);
    assert_eq!(
        (&history["userCount"], &history["usersVersion"]),
        (&json!(6), &json!(6))
    );
    let user = |id: &str, sockets| (id.to_owned(), sockets);
    assert_eq!(
        pages(&mut client).await,
        [
            vec![user("ada", 2), user("bob", 1), user("eve", 1)],
            vec![user("dan", 1), user("fay", 1)]
        ]
    );
    clients.remove(0).cut();
    network.settle().await;
    let first = ask(&mut client, json!({ "type": "members", "id": "m" })).await;
    assert_eq!(first["members"][0]["sockets"], 1);
    assert_eq!(
        (&first["userCount"], &first["usersVersion"]),
        (&json!(5), &json!(7))
    );
    let beyond = ask(
        &mut client,
        json!({ "type": "members", "after": u64::MAX, "id": "n" }),
    )
    .await;
    assert_eq!(beyond["members"], json!([]));
    let wrong = ask(
        &mut client,
        json!({ "type": "members", "after": -1, "id": "o" }),
    )
    .await;
    assert_eq!(wrong["code"], "invalid-format");
}

#[tokio::test(start_paused = true)]
async fn a_page_comes_between_the_joins_before_and_after_it() {
    let network = network();
    let (mut ada, history) = join(&network, "ada").await;
    let mut version = history["usersVersion"].as_u64().unwrap();
    let mut here = BTreeMap::from([("ada".to_owned(), 1)]);
    let mut clients = Vec::new();
    for round in 0..20 {
        ada.send_json(&json!({ "type": "members" }));
        if round % 3 == 2 {
            drop(clients.remove(0));
        } else {
            clients.push(
                network
                    .connect(&format!("/chat/lobby/user-{}", round % 2))
                    .await
                    .unwrap(),
            );
        }
        ada.send_json(&json!({ "type": "members" }));
        network.settle().await;
        let mut whole = 0;
        while let Some(message) = ada.try_recv() {
            let message: Value = serde_json::from_str(message.to_utf8().unwrap()).unwrap();
            let id = || message["user"]["id"].as_str().unwrap().to_owned();
            match message["type"].as_str().unwrap() {
                "user-joined" => *here.entry(id()).or_default() += 1,
                "user-left" => *here.get_mut(&id()).unwrap() -= 1,
                _ => {
                    whole += 1;
                    assert_eq!(message["usersVersion"], version, "{message}");
                    let members = message["members"].as_array().unwrap().iter();
                    let members = members.map(|member| {
                        let id = member["user"]["id"].as_str().unwrap().to_owned();
                        (id, member["sockets"].as_u64().unwrap())
                    });
                    here.retain(|_, sockets| *sockets > 0);
                    assert_eq!(members.collect::<BTreeMap<_, _>>(), here);
                    continue;
                }
            }
            version += 1;
        }
        assert_eq!(whole, 2);
    }
}

/// The histories that a member gets that lags behind 200 messages of 1,000 bytes, while somebody joins.
async fn healed(hello: Value) -> Vec<Value> {
    let network = network();
    let (mut slow, _) = join(&network, "slow").await;
    ask(&mut slow, hello).await;
    let (busy, _) = join(&network, "busy").await;
    network.settle().await;
    while slow.try_recv().is_some() {}
    slow.set_window(1_000);
    slow.stall();
    let text = "x".repeat(1_000);
    for _ in 0..2 {
        for _ in 0..100 {
            busy.send_json(&json!({ "type": "chat", "text": text }));
        }
        network.advance(Duration::from_secs(1)).await;
    }
    let (_third, _) = join(&network, "third").await;
    network.settle().await;
    slow.resume();
    network.settle().await;
    let mut parts = Vec::new();
    while let Some(message) = slow.try_recv() {
        let message: Value = serde_json::from_str(message.to_utf8().unwrap()).unwrap();
        check_sent(&message);
        if message["type"] == "room-history" {
            parts.push(message);
        }
    }
    parts
}

#[tokio::test(start_paused = true)]
async fn a_member_that_catches_up_gets_no_list_if_it_keeps_one() {
    let plain = healed(json!({ "type": "hello", "id": "h" })).await;
    let kept = healed(json!({ "type": "hello", "id": "h", "keepsUsers": true })).await;
    assert!(
        plain.len() > 1 && plain.len() == kept.len(),
        "{}",
        plain.len()
    );
    for part in &plain {
        assert_eq!(part["users"].as_array().unwrap().len(), 3);
    }
    let versions: Vec<_> = kept.iter().map(|part| part.get("usersVersion")).collect();
    let (last, before) = versions.split_last().unwrap();
    // By the last part it sees that somebody has joined meanwhile.
    assert_eq!(*last, Some(&json!(3)));
    assert!(before.iter().all(Option::is_none));
    for part in &kept {
        assert_eq!((part.get("users"), &part["userCount"]), (None, &json!(3)));
    }
}

#[tokio::test(start_paused = true)]
async fn questions_count_by_what_is_sent() {
    let network = network();
    let (mut ada, _) = join(&network, "ada").await;
    let text = "x".repeat(10_000);
    for _ in 0..100 {
        ada.send_json(&json!({ "type": "chat", "text": text }));
    }
    network.settle().await;
    while ada.try_recv().is_some() {}
    for (question, at_most) in [
        // About 500 KiB each.
        (json!({ "type": "history", "before": 101, "id": "h" }), 100),
        (json!({ "type": "members", "id": "m" }), 2_500),
    ] {
        network.advance(Duration::from_secs(10)).await;
        let mut answered = 0;
        let refusal = loop {
            let answer = ask(&mut ada, question.clone()).await;
            if answer["type"] == "error" {
                break answer;
            }
            answered += 1;
            assert!(answered <= at_most, "{question}");
        };
        assert!(answered >= at_most * 9 / 10, "{answered} {question}");
        assert_eq!(refusal["code"], "rate-limited");
        assert!(refusal["retryAfterMs"].as_u64().unwrap() <= 60);
    }
}
