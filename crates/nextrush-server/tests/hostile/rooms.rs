//! Chat rooms of which one user wants more than a share.

use serde_json::{Value, json};

use crate::support::{Client, serve, token};

/// The joins of one user at once, at 20 of its 50,000 deliveries each.
const AT_ONCE: usize = 2_500;

#[tokio::test]
async fn a_user_that_joins_without_end_is_held_back_and_nobody_else() {
    let server = serve(&[]).await;
    let path = format!("/chat/den?token={}", token("ada"));
    let begun = std::time::Instant::now();
    let mut admitted = 0;
    let refusal = loop {
        let mut client = Client::connect(&server, &path).await;
        let first = client.json().await;
        if first["type"] != "room-history" {
            let closed = client.closed().await;
            assert_eq!(closed, (1013, "Rate limit exceeded".into()));
            break first;
        }
        admitted += 1;
        // 500 more in each second.
        let most = AT_ONCE + 500 * (1 + begun.elapsed().as_secs() as usize);
        assert!(admitted <= most, "{admitted} joins");
        client.close().await;
    };
    assert!(admitted >= AT_ONCE, "{admitted} joins");
    assert_eq!(refusal["code"], "rate-limited");
    assert!(refusal["retryAfterMs"].as_u64().is_some_and(|ms| ms <= 40));

    // Everybody else comes back at once, from the same address.
    let mut back = Vec::new();
    for user in 0..300 {
        let path = format!("/chat/den?token={}", token(&user.to_string()));
        let mut client = Client::connect(&server, &path).await;
        let history: Value = client.json().await;
        assert_eq!(history["type"], "room-history", "{user}: {history}");
        back.push(client);
    }
}

#[tokio::test]
async fn what_a_user_asks_a_room_for_is_bounded_in_bytes_over_all_sockets() {
    let server = serve(&[]).await;
    let path = |user: &str| format!("/chat/den?token={}", token(user));
    let mut ada = Client::connect(&server, &path("ada")).await;
    let text = "x".repeat(10_000);
    for id in 0..100 {
        ada.send(json!({ "type": "chat", "text": text, "id": id.to_string() }))
            .await;
        ada.json_of("ack").await;
    }
    let question = json!({ "type": "history", "before": 101, "id": "h" });
    let begun = std::time::Instant::now();
    let mut bytes = 0;
    let refusal = 'asked: loop {
        // Each socket may ask 100 times a second.
        let mut mallory = Client::connect(&server, &path("mallory")).await;
        bytes += mallory.text().await.len();
        for _ in 0..20 {
            mallory.send(question.clone()).await;
            let answer = mallory.text().await;
            if answer.contains("rate-limited") {
                break 'asked answer;
            }
            bytes += answer.len();
            let most = 60_000_000 + 10_000_000 * begun.elapsed().as_secs() as usize;
            assert!(bytes <= most, "{bytes}");
        }
    };
    assert!(bytes >= 45_000_000, "{bytes}");
    let refusal: Value = serde_json::from_str(&refusal).unwrap();
    assert_eq!(
        (&refusal["code"], &refusal["id"]),
        (&json!("rate-limited"), &json!("h"))
    );
    let mut bob = Client::connect(&server, &path("bob")).await;
    bob.send(question).await;
    assert_eq!(
        bob.json_of("history").await["messages"]
            .as_array()
            .unwrap()
            .len(),
        50
    );
}

#[tokio::test]
async fn a_room_of_more_than_a_thousand_is_told_of_in_parts() {
    const MEMBERS: usize = 1_010;
    let server = serve(&[]).await;
    let path = |user: usize| format!("/chat/hall?token={}", token(&user.to_string()));
    for user in 1..MEMBERS {
        let mut member = Client::connect(&server, &path(user)).await;
        // With its history it is a member, whom those that follow are told of.
        member.text().await;
        tokio::spawn(member.listen());
    }
    let mut last = Client::connect(&server, &path(MEMBERS)).await;
    let history = last.text().await;
    assert!(history.len() < 100_000, "{}", history.len());
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history["users"].as_array().unwrap().len(), 1_000);
    assert_eq!(history["userCount"], MEMBERS);
    let mut users = std::collections::HashSet::new();
    let mut after = json!(0);
    while !after.is_null() {
        last.send(json!({ "type": "members", "after": after }))
            .await;
        let page = last.text().await;
        assert!(page.len() < 200_000, "{}", page.len());
        let page: Value = serde_json::from_str(&page).unwrap();
        let members = page["members"].as_array().unwrap().iter();
        users.extend(members.map(|member| member["user"]["id"].to_string()));
        after = page["next"].clone();
    }
    assert_eq!(users.len(), MEMBERS);
}
