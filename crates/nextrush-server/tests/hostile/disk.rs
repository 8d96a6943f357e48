//! A store of which one user wants all.

use nextrush::Server;
use nextrush_server::{Store, app};
use serde_json::{Value, json};

use crate::support::{Client, SECRET, config, token};

/// The least limit leaves 16 MiB for histories, of which one user has 1 MiB when it is full.
const LIMIT: u64 = 280 << 20;
const ROOMS: usize = 5;
/// The messages of each room; a socket may send 200 at once.
const MESSAGES: usize = 100;
const BYTES: usize = 60_000;

async fn say(client: &mut Client, id: &str, text: &str) {
    let say = json!({ "type": "chat", "text": text, "id": id });
    client.send(say).await;
    loop {
        let message = client.json().await;
        match message["type"].as_str() {
            Some("ack") => return,
            // Near the limit whoever has a large share is refused.
            Some("error") => return assert_eq!(message["code"], "not-stored"),
            _ => {}
        }
    }
}

async fn history(server: &Server, room: &str, user: &str) -> (Client, Value) {
    let path = format!("/chat/{room}?token={}", token(user));
    let mut client = Client::connect(server, &path).await;
    let history = client.json_of("room-history").await;
    (client, history)
}

#[tokio::test]
async fn a_user_that_fills_the_store_loses_its_own_messages() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&["--jwt-secret", SECRET]);
    config.store = Store::Directory(directory.path().to_owned());
    config.store_limit = Some(LIMIT);
    let app = app(&config).await.unwrap();
    let server = app.listen("127.0.0.1:0").start().await.unwrap();
    let (mut bob, _) = history(&server, "bob", "bob").await;
    say(&mut bob, "a", "what bob said").await;
    bob.close().await;

    // 30 MB of letters that do not compress well.
    let letters: String = (0..BYTES)
        .map(|at| char::from(b'a' + (at.wrapping_mul(2_654_435_761) >> 16) as u8 % 26))
        .collect();
    for room in 0..ROOMS {
        let (mut eve, _) = history(&server, &format!("eve-{room}"), "eve").await;
        for number in 0..MESSAGES {
            let id = format!("{room}-{number}");
            say(&mut eve, &id, &format!("{id} {letters}")).await;
        }
        eve.close().await;
    }
    let (_, of_bob) = history(&server, "bob", "bob").await;
    assert_eq!(of_bob["messages"][0]["text"], "what bob said");
    // The position is as it was: who comes back to it has missed nothing.
    let (_, of_eve) = history(&server, "eve-0", "eve").await;
    assert_eq!(of_eve["messages"], json!([]));
    let said = of_eve["offset"].as_u64().unwrap();
    assert!(said > 0);
    let epoch = of_eve["epoch"].as_str().unwrap();
    for (offset, recovered) in [(said, true), (said - 1, false)] {
        let path = format!(
            "/chat/eve-0?token={}&epoch={epoch}&offset={offset}",
            token("eve")
        );
        let mut client = Client::connect(&server, &path).await;
        let history = client.json_of("room-history").await;
        assert_eq!(history["recovered"], recovered, "{offset}");
    }
}
