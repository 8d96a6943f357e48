//! Messages that make more work than they cost.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, serve, token};

/// The deliveries of up to 1 KiB that one user may cause at once, and in a second.
const AT_ONCE: usize = 50_000;
const A_SECOND: usize = 10_000;

async fn join(server: &nextrush::Server, room: &str, user: &str) -> Client {
    let mut client = Client::connect(server, &format!("/chat/{room}?token={}", token(user))).await;
    assert_eq!(client.json().await["type"], "room-history", "{user}");
    client
}

#[tokio::test]
async fn a_join_costs_as_many_deliveries_as_sockets_are_told() {
    const TOLD: usize = 250;
    let server = serve(&[]).await;
    let members = (0..TOLD).map(async |user| join(&server, "den", &user.to_string()).await);
    let members = join_all(members).await;
    let begun = std::time::Instant::now();
    let path = format!("/chat/den?token={}", token("mallory"));
    let mut admitted = 0;
    loop {
        let mut mallory = Client::connect(&server, &path).await;
        let first: Value = mallory.json().await;
        if first["type"] == "error" {
            assert_eq!(first["code"], "rate-limited");
            break;
        }
        admitted += 1;
        let seconds = 1 + begun.elapsed().as_secs() as usize;
        let most = (AT_ONCE + seconds * A_SECOND) / TOLD;
        assert!(admitted <= most, "{admitted} joins that {TOLD} were told");
        mallory.close().await;
    }
    assert!(admitted >= AT_ONCE / (2 * TOLD), "{admitted}");
    // Nobody else is held back for it.
    join(&server, "den", "bob").await;
    drop(members);
}

#[tokio::test]
async fn a_private_message_costs_by_its_length_and_its_receivers_sockets() {
    const SOCKETS: usize = 50;
    const KIB: usize = 40;
    let server = serve(&[]).await;
    let receivers = (0..SOCKETS).map(async |_| join(&server, "den", "bob").await);
    let mut receivers = join_all(receivers).await;
    let mut mallory = join(&server, "den", "mallory").await;
    let begun = std::time::Instant::now();
    let text = "x".repeat(KIB * 1024 - 1);
    let mut taken = 0;
    let refusal = loop {
        let id = taken.to_string();
        let message = json!({ "type": "private", "targetUserId": "bob", "text": text, "id": id });
        mallory.send(message).await;
        let answer = loop {
            let answer = mallory.json().await;
            if answer["id"] == *id {
                break answer;
            }
        };
        if answer["type"] == "error" {
            break answer;
        }
        taken += 1;
        for receiver in &mut receivers {
            receiver.json_of("private-message").await;
        }
        let seconds = 1 + begun.elapsed().as_secs() as usize;
        let most = (AT_ONCE + seconds * A_SECOND) / (SOCKETS * KIB);
        assert!(
            taken <= most,
            "{taken} messages of {KIB} KiB to {SOCKETS} sockets"
        );
    };
    assert_eq!(refusal["code"], "rate-limited");
    assert!(
        refusal["retryAfterMs"]
            .as_u64()
            .is_some_and(|ms| ms <= 5_000),
        "{refusal}"
    );
    assert!(taken >= AT_ONCE / (2 * SOCKETS * KIB), "{taken}");
}
