//! A server that is killed with kill -9, as those see it who were on it and on another.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::away::Node;
use crate::line::{Line, Proxy};
use crate::servers::{Server as Redis, eventually, programs, url};
use crate::support::Client;

/// Waits for the answer to a request; what came before it is kept.
async fn answer_to(client: &mut Client, id: &str, passed: &mut Vec<Value>) -> Value {
    loop {
        let message = client.json().await;
        let is_answer = message["id"] == id && message["type"] != "chat-message";
        if is_answer {
            return message;
        }
        passed.push(message);
    }
}

/// Sends a request, again and again until it is accepted.
async fn insist(client: &mut Client, request: &Value) -> Value {
    let id = request["id"].as_str().unwrap();
    loop {
        client.send(request.clone()).await;
        let answer = answer_to(client, id, &mut Vec::new()).await;
        if answer["type"] != "error" {
            return answer;
        }
        assert_eq!(answer["code"], "unavailable", "{answer}");
    }
}

fn chat(id: &str) -> Value {
    json!({ "type": "chat", "text": id, "id": id })
}

#[tokio::test]
async fn the_members_of_a_killed_server_leave_once_within_28_seconds() {
    let Some(program) = programs().into_iter().next() else {
        return;
    };
    let redis = Redis::start(program, &[]).await;
    let mut killed = Node::named(&redis, "killed").await;
    let other = Node::named(&redis, "other").await;
    let mut ada = other.client("/chat/lobby", "ada").await;
    ada.json_of("room-history").await;
    let mut theirs = Vec::new();
    for user in ["bob", "bob", "cy"] {
        let mut client = killed.client("/chat/lobby", user).await;
        client.json_of("room-history").await;
        ada.json_of("user-joined").await;
        theirs.push(client);
    }
    let begun = Instant::now();
    killed.program.kill().await.unwrap();
    let mut left = Vec::new();
    eventually("ada is alone", async || {
        ada.send(json!({ "type": "members", "id": "members" }))
            .await;
        let page = answer_to(&mut ada, "members", &mut left).await;
        page["userCount"] == 1
    })
    .await;
    let took = begun.elapsed();
    // It was waited for, and not longer than is said.
    let bounds = Duration::from_secs(8)..Duration::from_secs(28);
    assert!(bounds.contains(&took), "{took:?}");
    let mut of_user = BTreeMap::new();
    for (leave, count) in left.iter().zip([3, 2, 1]) {
        assert_eq!(
            (&leave["type"], &leave["userCount"]),
            (&json!("user-left"), &json!(count))
        );
        *of_user
            .entry(leave["user"]["id"].as_str().unwrap())
            .or_insert(0) += 1;
    }
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(of_user, BTreeMap::from([("bob", 2), ("cy", 1)]));
    // The next that ada hears of them is that one is back.
    let mut cy = other.client("/chat/lobby", "cy").await;
    let history = cy.json_of("room-history").await;
    assert_eq!(history["userCount"], 2);
    let joined = ada.json().await;
    assert_eq!(
        (&joined["type"], &joined["userCount"]),
        (&json!("user-joined"), &json!(2))
    );
}

#[tokio::test]
async fn requests_of_a_killed_server_are_executed_once_at_the_other() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let line = Proxy::start(redis.port).await;
        let mut killed = Node::at(&url(line.port).to_string(), "killed").await;
        let other = Node::named(&redis, "other").await;
        let mut bob = other.client("/chat/lobby", "bob").await;
        bob.json_of("room-history").await;
        let mut ada = killed.client("/chat/lobby", "ada").await;
        ada.json_of("room-history").await;
        // The requests of a socket wait for each other.
        let mut second = killed.client("/chat/lobby", "ada").await;
        second.json_of("room-history").await;
        let private =
            |id: &str| json!({ "type": "private", "targetUserId": "bob", "text": id, "id": id });
        // Its script is there from now on.
        insist(&mut second, &private("first")).await;
        let answered = insist(&mut ada, &chat("answered")).await;
        assert_eq!(bob.json_of("chat-message").await["text"], "answered");

        // Redis does what it is asked for, and the node dies before it knows.
        line.set(Line::HeldBack);
        ada.send(chat("done")).await;
        second.send(private("p")).await;
        let publishing = tokio::spawn({
            let http = killed.http();
            async move {
                let body = json!({ "channel": "posts", "data": "done" });
                http.call_with(
                    ("idempotency-key", "done"),
                    "POST",
                    "/api/v1/publish",
                    &body,
                )
                .await
            }
        });
        assert_eq!(bob.json_of("chat-message").await["text"], "done");
        eventually("the private message is claimed", async || {
            let claims: Vec<String> = redis.ask(&["KEYS", "*:a:*"]).await;
            !claims.is_empty()
        })
        .await;
        let history = async || other.http().get("/api/v1/history?channel=posts").await.1;
        eventually("the update is published", async || {
            history().await["offset"] == 1
        })
        .await;
        killed.program.kill().await.unwrap();
        assert!(publishing.await.is_err(), "nobody answers");

        let mut ada = other.client("/chat/lobby", "ada").await;
        ada.json_of("room-history").await;
        for request in ["answered", "done"] {
            let answer = insist(&mut ada, &chat(request)).await;
            assert_eq!(answer["type"], "ack", "{answer}");
            if request == "answered" {
                assert_eq!(answer, answered);
            }
        }
        // Its claim ends 10 s after the node began with it.
        let sent = insist(&mut ada, &private("p")).await;
        assert_eq!(sent["type"], "private-message-sent", "{sent}");
        let again = insist(&mut ada, &private("p")).await;
        assert_eq!(again, sent);
        let body = json!({ "channel": "posts", "data": "done" });
        let (status, published) = other
            .http()
            .call_with(
                ("idempotency-key", "done"),
                "POST",
                "/api/v1/publish",
                &body,
            )
            .await;
        assert_eq!(
            (status, &published["repeated"]),
            (200, &json!(true)),
            "{published}"
        );
        assert_eq!(history().await["offset"], 1);
        insist(&mut ada, &chat("last")).await;
        let mut heard = Vec::new();
        while heard.last() != Some(&json!("last")) {
            let message = bob.json().await;
            let kind = message["type"].as_str().unwrap_or_default();
            if kind == "chat-message" || kind == "private-message" {
                heard.push(message["text"].clone());
            }
        }
        assert_eq!(heard, ["p", "last"]);
    }
}

#[tokio::test]
async fn what_was_on_its_way_to_a_killed_server_is_said_once_when_it_is_sent_again() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let mut killed = Node::named(&redis, "killed").await;
        let other = Node::named(&redis, "other").await;
        let mut ada = killed.client("/chat/lobby", "ada").await;
        ada.json_of("room-history").await;
        let ids: Vec<_> = (0..60).map(|number| number.to_string()).collect();
        for id in &ids {
            ada.send(chat(id)).await;
        }
        answer_to(&mut ada, &ids[9], &mut Vec::new()).await;
        killed.program.kill().await.unwrap();
        let mut ada = other.client("/chat/lobby", "ada").await;
        ada.json_of("room-history").await;
        for id in &ids {
            insist(&mut ada, &chat(id)).await;
        }
        let mut late = other.client("/chat/lobby", "eve").await;
        late.json_of("room-history").await;
        let page = json!({ "type": "history", "before": 1_000, "limit": 100, "id": "history" });
        late.send(page).await;
        let page = answer_to(&mut late, "history", &mut Vec::new()).await;
        let messages = page["messages"].as_array().unwrap().iter();
        let texts: Vec<_> = messages.map(|one| one["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ids);
    }
}
