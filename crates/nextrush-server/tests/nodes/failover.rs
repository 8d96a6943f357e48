//! A failover that loses what was acknowledged, as the clients of two servers see it.

use std::time::{Duration, Instant};

use nextrush::Server;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::KEY;
use crate::line::{Line, Proxy};
use crate::servers::{Server as Redis, eventually, programs, replica, url};
use crate::support::{Client, Http, serve, token};

const CHANNEL: &str = "presence-hall";

/// The time between two attempts at what is refused for the time being.
const PACE: Duration = Duration::from_millis(100);

/// A user with a socket in the chat `hall` and one that is subscribed to [`CHANNEL`].
struct User {
    name: &'static str,
    chat: Client,
    live: Client,
    /// The answers to its coming.
    history: Value,
    subscribed: Value,
    /// The epochs of the chat and of the channel.
    epochs: [String; 2],
}

impl User {
    /// Comes, or comes back with the last offset that it has had of both.
    async fn at(server: &Server, name: &'static str, since: Option<(&[String; 2], u64)>) -> Self {
        let mut path = format!("/chat/hall?token={}", token(name));
        let mut subscribe = json!({ "type": "subscribe", "channel": CHANNEL, "device": name });
        if let Some(([chat, live], offset)) = since {
            path += &format!("&epoch={chat}&offset={offset}");
            subscribe["since"] = json!({ "epoch": live, "offset": offset });
        }
        let mut chat = Client::connect(server, &path).await;
        let history = chat.json_of("room-history").await;
        let path = format!("/live?token={}", token(name));
        let mut live = Client::connect(server, &path).await;
        live.send(subscribe).await;
        let subscribed = live.json_of("subscribed").await;
        let epoch = |answer: &Value| answer["epoch"].as_str().unwrap().to_owned();
        let epochs = [epoch(&history), epoch(&subscribed)];
        Self {
            name,
            chat,
            live,
            history,
            subscribed,
            epochs,
        }
    }

    /// Says something once in the chat, again and again until that is sure; the answer.
    async fn say(&mut self, text: &str) -> Value {
        loop {
            let message = json!({ "type": "chat", "text": text, "id": text });
            self.chat.send(message).await;
            let answer = loop {
                let answer = self.chat.json().await;
                if answer["id"] == text && answer["type"] != "chat-message" {
                    break answer;
                }
            };
            if answer["type"] == "ack" {
                return answer;
            }
            assert_eq!(answer["retryAfterMs"], 2000, "{answer}");
            sleep(PACE).await;
        }
    }

    /// Reads until both have told of this one.
    async fn hears(&mut self, text: &str) {
        while self.chat.json_of("chat-message").await["text"] != text {}
        while self.live.json_of("update").await["data"] != text {}
    }

    async fn leaves(self) {
        self.chat.close().await;
        self.live.close().await;
    }

    /// The users in the chat and their number, as this one's server counts them.
    async fn members(&mut self) -> (Vec<String>, u64) {
        self.chat.send(json!({ "type": "members" })).await;
        let page = self.chat.json_of("members").await;
        let members = page["members"].as_array().unwrap().iter();
        let names = members.map(|one| one["user"]["id"].as_str().unwrap().to_owned());
        (sorted(names), page["userCount"].as_u64().unwrap())
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn texts(messages: &Value) -> Vec<String> {
    let messages = messages.as_array().unwrap().iter();
    messages
        .map(|one| one["text"].as_str().unwrap().to_owned())
        .collect()
}

/// The users in the channel, as a server says.
async fn present(server: &Server) -> Vec<String> {
    let path = format!("/api/v1/presence?channel={CHANNEL}");
    let (status, answer) = Http::with(server, KEY).get(&path).await;
    // A server that has just lost its Redis says so.
    if status != 200 {
        return Vec::new();
    }
    let members = answer["members"].as_array().unwrap().iter();
    sorted(members.map(|one| one["user"]["id"].as_str().unwrap().to_owned()))
}

/// Publishes something once in the channel, until that is sure.
async fn publish(server: &Server, text: &str) -> Value {
    let body = json!({ "channel": CHANNEL, "data": text });
    loop {
        let (status, answer) = Http::with(server, KEY)
            .call_with(("idempotency-key", text), "POST", "/api/v1/publish", &body)
            .await;
        if status == 200 {
            return answer;
        }
        assert_eq!(answer["retryAfterMs"], 2000, "{answer}");
        sleep(PACE).await;
    }
}

/// Waits until both servers have the same members everywhere.
async fn all_see(servers: [&Server; 2], users: [&mut User; 2], expected: &[&str]) {
    let [ada, bob] = users;
    eventually(&format!("all see {expected:?}"), async || {
        let count = u64::try_from(expected.len()).unwrap();
        for user in [&mut *ada, &mut *bob] {
            let (names, sockets) = user.members().await;
            if names != expected || sockets != count {
                return false;
            }
        }
        for server in servers {
            if present(server).await != expected {
                return false;
            }
        }
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_nobody_lacks_anything_untold_and_members_are_the_same_everywhere() {
    for program in programs() {
        let mut master = Redis::start(program, &[]).await;
        let line = Proxy::start(master.port).await;
        let replica = replica(program, line.port).await;
        let front = Proxy::start(master.port).await;
        let url = url(front.port).to_string();
        let arguments = ["--redis", &url, "--api-key", KEY];
        let [one, two] = [serve(&arguments).await, serve(&arguments).await];
        let mut ada = User::at(&one, "ada", None).await;
        let mut bob = User::at(&two, "bob", None).await;
        let mut dan = User::at(&one, "dan", None).await;
        let mut eve = User::at(&two, "eve", None).await;
        let fay = User::at(&two, "fay", None).await;
        for text in ["1", "2", "3"] {
            ada.say(text).await;
            publish(&one, text).await;
        }
        // Eve goes with what all have.
        eve.hears("3").await;
        let epochs = eve.epochs.clone();
        assert_eq!(ada.epochs, epochs);
        eve.leaves().await;
        let all = [&one, &two];
        all_see(all, [&mut ada, &mut bob], &["ada", "bob", "dan", "fay"]).await;
        let written = master.replicated().await;
        eventually("the replica has all", async || {
            replica.replicated().await >= written
        })
        .await;

        line.set(Line::Cut);
        for text in ["4", "5", "6"] {
            let said = ada.say(text).await;
            assert_eq!(said["epoch"], *epochs[0]);
            publish(&one, text).await;
        }
        for user in [&mut bob, &mut dan] {
            user.hears("6").await;
        }
        // These go and come in vain.
        fay.leaves().await;
        dan.leaves().await;
        let mut cy = User::at(&one, "cy", None).await;
        assert_eq!(cy.history["offset"], 6);
        all_see(all, [&mut ada, &mut bob], &["ada", "bob", "cy"]).await;
        master.kill();
        replica.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        front.lead_to(replica.port);
        let begun = Instant::now();

        // What was acknowledged is gone, and its numbers are given out again.
        let said = ada.say("4'").await;
        assert_eq!(said["offset"], 4);
        assert_ne!(said["epoch"], *epochs[0]);
        let published = publish(&two, "4'").await;
        assert_eq!(published["offset"], 4);
        for user in [&mut ada, &mut bob, &mut cy] {
            // Ada may have been told while she waited for her answer.
            if user.name != "ada" {
                let told = user.chat.json_of("room-history").await;
                let what = (&told["recovered"], &told["epoch"]);
                assert_eq!(what, (&json!(false), &said["epoch"]), "{}", user.name);
                let mut heard = texts(&told["messages"]);
                while heard.last().is_none_or(|last| last != "4'") {
                    let message = user.chat.json().await;
                    match message["type"].as_str() {
                        Some("chat-message") => {
                            heard.push(message["text"].as_str().unwrap().to_owned());
                        }
                        // What is kept, once it can be read.
                        Some("room-history") => heard = texts(&message["messages"]),
                        _ => {}
                    }
                }
                let kept = ["1", "2", "3", "4'"];
                let heard: Vec<_> = heard.iter().map(String::as_str).collect();
                assert!(kept.ends_with(&heard), "{heard:?}");
            }
            let told = user.live.json_of("gap").await;
            assert_eq!(told["epoch"], published["epoch"], "{}", user.name);
            let update = user.live.json_of("update").await;
            assert_eq!(
                (&update["data"], &update["offset"]),
                (&json!("4'"), &json!(4))
            );
        }
        // Who lacks nothing comes back without a gap, at either server.
        for (server, name) in [(&one, "eve"), (&two, "gus")] {
            let mut back = User::at(server, name, Some((&epochs, 3))).await;
            assert_eq!(back.history["recovered"], true, "{}", back.history);
            assert_eq!(texts(&back.history["messages"]), ["4'"]);
            assert_eq!(back.subscribed["recovered"], true, "{}", back.subscribed);
            let update = back.live.json_of("update").await;
            assert_eq!(
                (&update["data"], &update["offset"]),
                (&json!("4'"), &json!(4))
            );
            back.leaves().await;
        }
        // Who has seen what is gone is told so.
        let dan = User::at(&two, "dan", Some((&epochs, 6))).await;
        assert_eq!(dan.history["recovered"], false, "{}", dan.history);
        assert_eq!(dan.subscribed["recovered"], false, "{}", dan.subscribed);

        all_see(all, [&mut ada, &mut bob], &["ada", "bob", "cy", "dan"]).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(28), "{took:?}");
    }
}
