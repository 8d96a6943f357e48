//! Presence of channels over servers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::servers::{Server as Redis, eventually, programs};
use crate::support::{Client, Http, SECRET, free_port, serve, signal, token, within};
use crate::{KEY, two};

const CHANNEL: &str = "presence-lobby";

/// The program itself, which may be killed, and its port.
async fn run(redis: &Redis) -> (Child, u16) {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let url = redis.url().to_string();
    let program = Command::new(env!("CARGO_BIN_EXE_nextrush"))
        .args(["--listen", &listen, "--jwt-secret", SECRET, "--redis", &url])
        .env_clear()
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("the program listens", async || {
        TcpStream::connect(&listen).await.is_ok()
    })
    .await;
    (program, port)
}

/// A client that has subscribed; what it and others are told of that follows.
async fn join(port: u16, user: &str, device: &str) -> Client {
    let path = format!("/live?token={}", token(user));
    let mut client = Client::connect_to(port, &path).await;
    client
        .send(json!({ "type": "subscribe", "channel": CHANNEL, "device": device }))
        .await;
    client.json_of("subscribed").await;
    client
}

async fn ask(client: &mut Client) -> Value {
    client
        .send(json!({ "type": "presence", "channel": CHANNEL }))
        .await;
    let all = client.json().await;
    assert_eq!(all["type"], "presence", "{all}");
    all
}

async fn members(server: &nextrush::Server) -> Value {
    let http = Http::with(server, KEY);
    let path = format!("/api/v1/presence?channel={CHANNEL}");
    let (status, members) = http.get(&path).await;
    assert_eq!(status, 200, "{members}");
    members
}

fn names(members: &Value) -> Vec<&str> {
    let members = members.as_array().unwrap().iter();
    members
        .map(|member| member["user"]["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn who_is_in_a_channel_is_the_same_on_all_servers() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let [one, two] = two(&redis).await;
        let [here, there] = [&one, &two].map(|server| server.address().port());
        let mut ada = join(here, "ada", "a").await;
        let joined = ada.json_of("presence-diff").await;
        assert_eq!(names(&joined["joined"]), ["ada"]);
        let mut bob = join(there, "bob", "b").await;
        let joined = ada.json_of("presence-diff").await;
        assert_eq!(
            (names(&joined["joined"]), &joined["version"]),
            (vec!["bob"], &2.into())
        );
        assert_eq!(bob.json_of("presence-diff").await, joined);
        let update = json!({ "type": "presence-update", "channel": CHANNEL, "data": { "n": 1 } });
        bob.send(update).await;
        let updated = ada.json_of("presence-diff").await;
        assert_eq!(
            updated["updated"][0]["devices"][0]["data"],
            json!({ "n": 1 })
        );
        assert_eq!(bob.json_of("presence-diff").await, updated);
        assert_eq!(ask(&mut ada).await, ask(&mut bob).await);

        bob.close().await;
        let left = ada.json_of("presence-diff").await;
        assert_eq!(left["left"][0]["user"]["id"], "bob");
        // Also on the server where nobody is subscribed any more.
        let expected = members(&one).await;
        assert_eq!(names(&expected["members"]), ["ada"]);
        assert_eq!(members(&two).await, expected);
    }
}

#[tokio::test]
async fn who_was_at_a_killed_server_is_gone_after_28_seconds() {
    let Some(program) = programs().into_iter().next() else {
        return;
    };
    let redis = Redis::start(program, &[]).await;
    let (mut killed, port) = run(&redis).await;
    let url = redis.url().to_string();
    let other = serve(&["--redis", &url, "--api-key", KEY]).await;
    let _bob = join(port, "bob", "b").await;
    let mut ada = join(other.address().port(), "ada", "a").await;
    assert_eq!(
        names(&ask_after_diffs(&mut ada).await["members"]),
        ["bob", "ada"]
    );
    let begun = Instant::now();
    killed.kill().await.unwrap();
    eventually("the killed server's device is gone", async || {
        names(&members(&other).await["members"]) == ["ada"]
    })
    .await;
    let took = begun.elapsed();
    // It was waited for, and not longer than is said.
    let bounds = Duration::from_secs(15)..Duration::from_secs(29);
    assert!(bounds.contains(&took), "{took:?}");
    let left = ada.json_of("presence-diff").await;
    assert_eq!(left["left"][0]["user"]["id"], "bob");
}

#[tokio::test]
async fn who_moves_from_a_server_that_is_stopped_was_never_gone() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let (mut stopped, port) = run(&redis).await;
        let url = redis.url().to_string();
        let other = serve(&["--redis", &url, "--api-key", KEY]).await;
        let there = other.address().port();
        let mut bob = join(port, "bob", "b").await;
        let mut ada = join(there, "ada", "a").await;
        let before = ask_after_diffs(&mut ada).await;
        assert_eq!(names(&before["members"]), ["bob", "ada"]);
        signal(&stopped, "INT").await;
        bob.end().await;
        let mut bob = join(there, "bob", "b").await;
        assert_eq!(ask(&mut bob).await, before);
        assert!(within(stopped.wait()).await.unwrap().success());
        // The next that is heard is what happens next.
        let _carol = join(there, "carol", "c").await;
        let joined = ada.json().await;
        assert_eq!(joined["type"], "presence-diff", "{joined}");
        assert_eq!(names(&joined["joined"]), ["carol"]);
        assert_eq!(
            joined["version"].as_u64(),
            before["version"].as_u64().map(|version| version + 1)
        );
    }
}

/// The members, behind whatever was told before.
async fn ask_after_diffs(client: &mut Client) -> Value {
    client
        .send(json!({ "type": "presence", "channel": CHANNEL }))
        .await;
    client.json_of("presence").await
}
