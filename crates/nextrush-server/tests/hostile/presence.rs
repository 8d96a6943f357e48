//! Presence for those who want another's place, more than a share, or all of it at once.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use nextrush::{Jwt, Server};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::program::Program;
use crate::support::{Client, Http, SECRET, config, serve, token, unix_seconds, within};

const CHANNEL: &str = "presence-den";

async fn connect(server: &Server, user: &str) -> Client {
    Client::connect(server, &format!("/live?token={}", token(user))).await
}

/// Sends a message with an id and returns its answer; other messages are passed over.
async fn ask(client: &mut Client, mut message: Value) -> Value {
    message["id"] = "a".into();
    client.send(message).await;
    loop {
        let answer = client.json().await;
        if answer["id"] == "a" {
            return answer;
        }
    }
}

async fn subscribe(client: &mut Client, device: Option<&str>) -> Value {
    let message = json!({ "type": "subscribe", "channel": CHANNEL, "device": device });
    let answer = ask(client, message).await;
    assert_eq!(answer["type"], "subscribed", "{answer}");
    answer
}

async fn say(client: &mut Client, data: &Value) -> Value {
    let message = json!({ "type": "presence-update", "channel": CHANNEL, "data": data });
    ask(client, message).await
}

/// The members' devices.
async fn devices(client: &mut Client) -> Vec<Value> {
    let message = json!({ "type": "presence", "channel": CHANNEL });
    devices_in(&ask(client, message).await)
}

fn devices_in(snapshot: &Value) -> Vec<Value> {
    let members = snapshot["members"].as_array().unwrap().iter();
    let devices = |member: &Value| member["devices"].as_array().unwrap().clone();
    members.flat_map(devices).collect()
}

/// Loses the connections of clients, until the server knows it.
async fn lose(server: &Server, clients: Vec<Client>) {
    let count = clients.len();
    let http = Http::with(server, KEY);
    let subscribers =
        async || http.get("/api/v1/channels").await.1["channels"][0]["subscribers"].as_u64();
    let before = subscribers().await.unwrap();
    drop(clients);
    while subscribers().await.unwrap_or_default() > before - count as u64 {
        tokio::task::yield_now().await;
    }
}

const KEY: &str = "the key of these tests, long enough";

async fn serve_with_store(directory: &Path) -> Server {
    let directory = directory.to_str().unwrap();
    serve(&["--store", directory, "--api-key", KEY]).await
}

/// A server with the store of one that has been told to stop.
async fn next_process(directory: &Path) -> Server {
    let directory = directory.to_str().unwrap();
    let config = config(&["--jwt-secret", SECRET, "--store", directory]);
    within(async {
        loop {
            // The last one may not have gone yet.
            match nextrush_server::app(&config).await {
                Ok(app) => break app.listen("127.0.0.1:0").start().await.unwrap(),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_device_that_comes_back_takes_nobody_elses_place_also_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve_with_store(directory.path()).await;
    let mut bob = connect(&server, "bob").await;
    subscribe(&mut bob, Some("bobs")).await;
    let mut ada = Vec::new();
    for device in ["phone", "desk"] {
        let mut client = connect(&server, "ada").await;
        subscribe(&mut client, Some(device)).await;
        ada.push(client);
    }
    // Only one of them says anything.
    assert_eq!(say(&mut ada[0], &json!("phone")).await["type"], "ack");
    let before = devices(&mut bob).await;
    assert_eq!(before[1]["data"], "phone");
    lose(&server, ada).await;

    // The one without data comes first, under the other's name where that is another user's.
    let mut mallory = connect(&server, "mallory").await;
    subscribe(&mut mallory, Some("phone")).await;
    assert_eq!(say(&mut mallory, &json!("mine")).await["type"], "ack");
    let mut desk = connect(&server, "ada").await;
    subscribe(&mut desk, Some("desk")).await;
    assert_eq!(say(&mut desk, &json!("desk")).await["type"], "ack");
    let now = devices(&mut bob).await;
    assert_eq!(now[1], before[1], "the phone is waited for as it was");
    assert_eq!(
        (&now[2]["id"], &now[2]["data"]),
        (&before[2]["id"], &json!("desk"))
    );
    // A second one of the same name is another device.
    let mut tab = connect(&server, "ada").await;
    subscribe(&mut tab, Some("desk")).await;
    let now = devices(&mut bob).await;
    assert_eq!(now.len(), 5);

    let mut clients = vec![bob, mallory, desk, tab];
    let draining = tokio::spawn(server.drain(Duration::ZERO));
    for client in &mut clients {
        assert_eq!(client.end().await.0, 1012);
    }
    drop(clients);
    within(draining).await.unwrap();
    let server = next_process(directory.path()).await;
    let mut phone = connect(&server, "ada").await;
    subscribe(&mut phone, Some("phone")).await;
    assert_eq!(devices(&mut phone).await, now);
    assert_eq!(say(&mut phone, &json!("back")).await["type"], "ack");
    let after = devices(&mut phone).await;
    assert_eq!(
        (&after[1]["id"], &after[1]["data"]),
        (&before[1]["id"], &json!("back"))
    );
    assert_eq!((&after[0], &after[2..]), (&now[0], &now[2..]));
}

#[tokio::test]
async fn deep_data_is_refused_or_read_again_and_costs_nobody_else_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve_with_store(directory.path()).await;
    let nested = |depth: usize| {
        let text = "[".repeat(depth) + &"]".repeat(depth);
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let mut ada = connect(&server, "ada").await;
    subscribe(&mut ada, None).await;
    for depth in [65, 124] {
        assert_eq!(say(&mut ada, &nested(depth)).await["code"], "too-large");
    }
    assert_eq!(say(&mut ada, &nested(64)).await["type"], "ack");
    let mut bob = connect(&server, "bob").await;
    subscribe(&mut bob, None).await;
    assert_eq!(say(&mut bob, &json!("bob")).await["type"], "ack");
    let before = devices(&mut bob).await;
    assert_eq!(before[0]["data"], nested(64));

    let draining = tokio::spawn(server.drain(Duration::ZERO));
    for mut client in [ada, bob] {
        assert_eq!(client.end().await.0, 1012);
    }
    within(draining).await.unwrap();
    let server = next_process(directory.path()).await;
    let mut bob = connect(&server, "bob").await;
    subscribe(&mut bob, None).await;
    assert_eq!(devices(&mut bob).await, before);
}

#[tokio::test]
async fn a_long_id_of_a_user_is_kept_once_for_all_the_channels_of_a_socket() {
    let server = Program::start(&[]).await;
    let mut clients = Vec::new();
    let mut peaks = Vec::new();
    for user in 0..9 {
        // The first four take what any subscription takes, after the one that begins.
        let id = format!("{user}{}", "x".repeat(if user < 5 { 1 } else { 3500 }));
        let claims = json!({ "id": id, "email": "x", "exp": unix_seconds() + 600 });
        let token = Jwt::hs256(SECRET).sign(&claims).unwrap();
        let mut client = Client::connect_to(server.port, &format!("/live?token={token}")).await;
        for channel in 0..100 {
            let channel = format!("presence-{user}-{channel}");
            let message = json!({ "type": "subscribe", "channel": channel });
            assert_eq!(ask(&mut client, message).await["type"], "subscribed");
        }
        clients.push(client);
        peaks.push(server.peak_bytes());
    }
    let (short, long) = (peaks[4] - peaks[0], peaks[8] - peaks[4]);
    let more = long.saturating_sub(short) / 400;
    assert!(
        more < 2000,
        "{more} bytes more for each of 400 subscriptions"
    );
}

/// 4 kB that took a hundred times as much as values.
fn costly() -> Value {
    let one = json!({ "a": { "": { "": 0 } } });
    let count = 4090 / (one.to_string().len() + 1);
    Value::Array(vec![one; count])
}

#[tokio::test]
async fn presence_data_takes_about_the_memory_that_it_has_bytes() {
    let server = Program::start(&[]).await;
    let data = costly();
    let mut clients = Vec::new();
    let mut first = None;
    for user in 0..9 {
        let path = format!("/live?token={}", token(&user.to_string()));
        let mut client = Client::connect_to(server.port, &path).await;
        for channel in 0..100 {
            let channel = format!("presence-{user}-{channel}");
            let subscribe = json!({ "type": "subscribe", "channel": channel });
            client.send(subscribe).await;
            let update =
                json!({ "type": "presence-update", "channel": channel, "data": data, "id": "u" });
            client.send(update).await;
        }
        for _ in 0..100 {
            assert_eq!(client.json_of("ack").await["id"], "u");
        }
        clients.push(client);
        // What any socket and channel takes is there by then, and what is under way.
        first.get_or_insert_with(|| server.peak_bytes());
    }
    let grown = server.peak_bytes() - first.unwrap();
    let said = 8 * 100 * data.to_string().len() as u64;
    assert!(grown < 3 * said, "{grown} bytes for {said}");
}

#[tokio::test]
async fn what_a_users_devices_say_is_bounded_over_all_its_sockets_and_channels() {
    let server = serve(&["--api-key", KEY]).await;
    let data = json!("x".repeat(4094));
    let (mut accepted, mut refused) = (0, 0);
    let mut sockets = Vec::new();
    for socket in 0..5 {
        let mut client = connect(&server, "ada").await;
        for channel in 0..50 {
            let channel = format!("presence-{socket}-{channel}");
            let message = json!({ "type": "subscribe", "channel": channel });
            assert_eq!(ask(&mut client, message).await["type"], "subscribed");
            let message = json!({ "type": "presence-update", "channel": channel, "data": data });
            match ask(&mut client, message).await {
                answer if answer["type"] == "ack" => accepted += 1,
                answer => {
                    assert_eq!(answer["code"], "over-quota");
                    refused += 1;
                }
            }
        }
        sockets.push(client);
    }
    // 512 KiB of 4,096 bytes and 64 more.
    assert_eq!((accepted, refused), (126, 124));
    let mut bob = connect(&server, "bob").await;
    subscribe(&mut bob, None).await;
    assert_eq!(say(&mut bob, &data).await["type"], "ack");
    // All of it is given back.
    for client in sockets {
        client.close().await;
    }
    let mut ada = connect(&server, "ada").await;
    subscribe(&mut ada, None).await;
    while say(&mut ada, &data).await["code"] == "over-quota" {}
}

#[tokio::test]
async fn a_channel_is_told_in_pages_and_whoever_asks_without_end_is_held_back() {
    let server = serve(&["--api-key", KEY]).await;
    let data = json!("x".repeat(4000));
    let crowd = 70;
    // All are there before the first is lost, whose device is kept for 15 s only.
    let mut clients = Vec::new();
    for user in 0..crowd {
        let email = "x".repeat(4500);
        let claims = json!({ "id": user, "email": email, "exp": unix_seconds() + 600 });
        let token = Jwt::hs256(SECRET).sign(&claims).unwrap();
        clients.push(Client::connect(&server, &format!("/live?token={token}")).await);
    }
    for mut client in clients {
        subscribe(&mut client, None).await;
        assert_eq!(say(&mut client, &data).await["type"], "ack");
        // Waited for, and no subscriber that would have to be told of all others.
        lose(&server, vec![client]).await;
    }
    let mut eve = connect(&server, "eve").await;
    subscribe(&mut eve, None).await;
    let question = json!({ "type": "presence", "channel": CHANNEL });
    let whole = ask(&mut eve, question.clone()).await;
    assert!(
        whole.to_string().len() < 513 * 1024,
        "more than half of what may wait"
    );
    assert!(whole["next"].is_u64());

    let (mut after, mut seen) = (0, HashSet::new());
    loop {
        let mut question = question.clone();
        question["after"] = after.into();
        let page = ask(&mut eve, question).await;
        assert!(page.to_string().len() <= 64 * 1024);
        let ids = devices_in(&page);
        seen.extend(ids.iter().map(|device| device["id"].to_string()));
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen.len(), crowd + 1);
    // Another server gets the same.
    let http = Http::with(&server, KEY);
    let (mut after, mut told) = (0, 0);
    loop {
        let path = format!("/api/v1/presence?channel={CHANNEL}&after={after}");
        let (status, page) = http.get(&path).await;
        assert_eq!(status, 200);
        assert!(page.to_string().len() <= 64 * 1024);
        told += devices_in(&page).len();
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(told, crowd + 1);
    let path = format!("/api/v1/presence?channel={CHANNEL}");
    assert_eq!(devices_in(&http.get(&path).await.1).len(), crowd + 1);

    // 60 bytes in, half a megabyte out: as often as 50,000 KiB allow, on however many sockets.
    let begun = Instant::now();
    let mut out = 0;
    let mut sockets = vec![eve];
    for _ in 0..2 {
        let mut eve = connect(&server, "eve").await;
        subscribe(&mut eve, None).await;
        sockets.push(eve);
    }
    let refusal = loop {
        sockets.rotate_left(1);
        let answer = ask(&mut sockets[0], question.clone()).await;
        if answer["type"] == "error" {
            break answer;
        }
        out += answer.to_string().len() as u64;
        let most = (50_000 + 10_000 * (1 + begun.elapsed().as_secs())) * 1024;
        assert!(out <= most, "{out} bytes");
    };
    assert_eq!(refusal["code"], "rate-limited");
    assert!(refusal["retryAfterMs"].as_u64().is_some_and(|ms| ms <= 60));
    let mut bob = connect(&server, "bob").await;
    subscribe(&mut bob, None).await;
    assert_eq!(ask(&mut bob, question).await["type"], "presence");
}

#[tokio::test]
async fn the_sockets_of_one_user_crowd_nobody_out_and_are_shown_when_there_is_room() {
    let server = serve(&["--api-key", KEY]).await;
    let mut ada = Vec::new();
    for device in 0..25 {
        let mut client = connect(&server, "ada").await;
        let shown = subscribe(&mut client, None).await["shown"] != json!(false);
        assert_eq!(shown, device < 20, "{device}");
        ada.push(client);
    }
    let mut bob = connect(&server, "bob").await;
    assert_eq!(subscribe(&mut bob, None).await["shown"], Value::Null);
    assert_eq!(devices(&mut bob).await.len(), 21);
    // As many go as wait.
    for client in ada.drain(..5) {
        client.close().await;
        let change = bob.json_of("presence-diff").await;
        assert_eq!(change["left"].as_array().map(Vec::len), Some(1));
        assert_eq!(change["joined"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(devices(&mut bob).await.len(), 21);
    ada.remove(0).close().await;
    let change = bob.json_of("presence-diff").await;
    assert_eq!(change["joined"], json!([]));
    assert_eq!(devices(&mut bob).await.len(), 20);
}

#[tokio::test]
async fn a_channel_whose_clients_all_come_back_at_once_refuses_none() {
    let server = serve(&[]).await;
    let mut back = Vec::new();
    for user in 0..200 {
        let mut client = connect(&server, &user.to_string()).await;
        subscribe(&mut client, None).await;
        let question = json!({ "type": "presence", "channel": CHANNEL, "after": 0 });
        assert_eq!(ask(&mut client, question).await["type"], "presence");
        back.push(client);
    }
}
