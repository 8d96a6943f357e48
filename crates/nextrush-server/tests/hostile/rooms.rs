//! Chat rooms of which one user wants more than a share.

use serde_json::Value;

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
