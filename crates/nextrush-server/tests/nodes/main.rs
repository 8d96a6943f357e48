//! Several servers of the program on one Redis.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests share fails by panicking, as they do"
)]

mod away;
mod example;
mod failover;
mod inspect;
mod killed;
mod posts;
mod proxy;
mod slow;
// The suite of nextrush-redis starts the servers, and breaks the lines to them.
#[allow(dead_code, reason = "other tests use more")]
#[path = "../../../nextrush-redis/tests/real/proxy.rs"]
mod line;
#[allow(dead_code, reason = "other tests use more")]
#[path = "../../../nextrush-redis/tests/real/servers.rs"]
mod servers;
#[allow(dead_code, reason = "other tests use more")]
#[path = "../it/support.rs"]
mod support;

mod presence;
mod private;

use nextrush::Server;
use serde_json::{Value, json};

use crate::servers::{Server as Redis, programs};
use crate::support::{Client, Http, serve, token, within};

const KEY: &str = "the key of the API, also of 32 bytes or more";

/// Two servers that share topics.
async fn two(redis: &Redis) -> [Server; 2] {
    let url = redis.url().to_string();
    let arguments = ["--redis", &url, "--api-key", KEY];
    [serve(&arguments).await, serve(&arguments).await]
}

async fn publish(server: &Server, key: &str, data: Value) -> Value {
    let body = json!({ "channel": "posts", "data": data });
    let (status, published) = Http::with(server, KEY)
        .call_with(("idempotency-key", key), "POST", "/api/v1/publish", &body)
        .await;
    assert_eq!(status, 200, "{published}");
    published
}

#[tokio::test]
async fn a_channel_is_one_on_all_servers() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let [one, two] = two(&redis).await;
        let path = format!("/live?token={}", token("ada"));
        let mut ada = Client::connect(&two, &path).await;
        ada.send(json!({ "type": "subscribe", "channel": "posts" }))
            .await;
        ada.json_of("subscribed").await;
        let first = publish(&one, "a", json!({ "n": 1 })).await;
        let update = ada.json_of("update").await;
        assert_eq!(update["data"], json!({ "n": 1 }));
        assert_eq!(update["offset"], first["offset"]);
        // A repeat on the other server publishes nothing.
        let again = publish(&two, "a", json!({ "n": 1 })).await;
        assert_eq!(
            (&again["repeated"], &again["offset"]),
            (&json!(true), &first["offset"])
        );
        publish(&two, "b", json!({ "n": 2 })).await;
        assert_eq!(ada.json_of("update").await["data"], json!({ "n": 2 }));
        for server in [&one, &two] {
            let http = Http::with(server, KEY);
            let (_, history) = http.get("/api/v1/history?channel=posts").await;
            assert_eq!(history["offset"], 2);
            assert_eq!(history["publications"].as_array().unwrap().len(), 2);
        }
    }
}

#[tokio::test]
async fn a_chat_is_one_on_all_servers_and_comes_back_on_another() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let [one, two] = two(&redis).await;
        let path = |user: &str, since: &str| format!("/chat/lobby?token={}{since}", token(user));
        let mut ada = Client::connect(&one, &path("ada", "")).await;
        ada.json_of("room-history").await;
        let mut bob = Client::connect(&two, &path("bob", "")).await;
        let history = bob.json_of("room-history").await;
        let message = |text: &str| json!({ "type": "chat", "text": text });
        ada.send(message("one")).await;
        assert_eq!(bob.json_of("chat-message").await["text"], "one");
        assert_eq!(ada.json_of("chat-message").await["text"], "one");
        bob.send(message("two")).await;
        assert_eq!(ada.json_of("chat-message").await["text"], "two");
        let last = bob.json_of("chat-message").await;
        bob.close().await;
        ada.send(message("three")).await;
        ada.json_of("chat-message").await;
        // Bob comes back, on the other server.
        let (epoch, offset) = (history["epoch"].as_str().unwrap(), &last["offset"]);
        let since = format!("&epoch={epoch}&offset={offset}");
        let mut bob = Client::connect(&one, &path("bob", &since)).await;
        let history = bob.json_of("room-history").await;
        assert_eq!(history["recovered"], true, "{history}");
        let texts: Vec<_> = history["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["text"])
            .collect();
        assert_eq!(texts, ["three"]);
    }
}

#[tokio::test]
async fn the_program_says_what_is_wrong_with_its_redis_and_shows_no_password() {
    let nobody = servers::free_port();
    let url = format!("redis://:hunter2@127.0.0.1:{nobody}");
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_nextrush"));
    program
        .args(["--listen", "127.0.0.1:0", "--jwt-secret", support::SECRET])
        .env_clear()
        .env("NEXTRUSH_REDIS", url)
        .kill_on_drop(true);
    let output = within(program.output()).await.unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("cannot share topics on Redis"), "{errors}");
    assert!(errors.contains(&format!("127.0.0.1:{nobody}")), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[tokio::test]
async fn whoever_is_sent_away_by_a_drain_has_left_its_room_for_all_servers() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let [one, two] = two(&redis).await;
        let path = |user: &str| format!("/chat/lobby?token={}", token(user));
        let mut eve = Client::connect(&two, &path("eve")).await;
        eve.json_of("room-history").await;
        let mut others = Vec::new();
        for user in ["ada", "bob", "dan"] {
            let mut client = Client::connect(&one, &path(user)).await;
            let history = client.json_of("room-history").await;
            assert_eq!(history["userCount"], others.len() + 2);
            assert_eq!(eve.json_of("user-joined").await["user"]["id"], user);
            others.push(client);
        }
        // Long before this server is missed, which takes 10 s at least.
        let drained = std::time::Instant::now();
        one.drain(std::time::Duration::ZERO).await;
        for count in [3, 2, 1] {
            assert_eq!(eve.json_of("user-left").await["userCount"], count);
        }
        assert!(drained.elapsed() < std::time::Duration::from_secs(8));
    }
}

#[tokio::test]
async fn the_members_of_a_room_are_one_list_on_all_servers() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let [one, two] = two(&redis).await;
        let path = |user: &str| format!("/chat/hall?token={}", token(user));
        let mut ada = Client::connect(&one, &path("ada")).await;
        ada.json_of("room-history").await;
        let mut bob = Client::connect(&two, &path("bob")).await;
        let history = bob.json_of("room-history").await;
        let ids = |history: &Value| -> Vec<Value> {
            let users = history["users"].as_array().unwrap();
            users.iter().map(|user| user["id"].clone()).collect()
        };
        assert_eq!(ids(&history), ["ada", "bob"]);
        assert_eq!(
            (&history["userCount"], &history["usersVersion"]),
            (&json!(2), &json!(2))
        );
        assert_eq!(ada.json_of("user-joined").await["userCount"], 2);
        // The same user once more, on the other server.
        let mut phone = Client::connect(&two, &path("ada")).await;
        phone.json_of("room-history").await;
        for client in [&mut ada, &mut bob] {
            assert_eq!(client.json_of("user-joined").await["userCount"], 3);
        }
        ada.send(json!({ "type": "members", "id": "1" })).await;
        let page = ada.json_of("members").await;
        let sockets = |id: &str| {
            let members = page["members"].as_array().unwrap();
            let of_user = members.iter().find(|member| member["user"]["id"] == id);
            of_user.unwrap()["sockets"].clone()
        };
        assert_eq!((sockets("ada"), sockets("bob")), (json!(2), json!(1)));
        phone.close().await;
        for client in [&mut ada, &mut bob] {
            assert_eq!(client.json_of("user-left").await["userCount"], 2);
        }
    }
}
