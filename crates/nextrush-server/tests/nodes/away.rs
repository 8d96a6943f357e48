//! A Redis that is away for a while: sockets stay, and everything heals by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::KEY;
use crate::servers::{Program, Server as Redis, eventually, programs};
use crate::support::{Client, Http, SECRET, free_port, token};

/// The time for which the Redis is away.
const AWAY: Duration = Duration::from_secs(30);

/// The program, whose log can be read.
pub(crate) struct Node {
    /// Ends with this.
    pub(crate) program: Child,
    pub(crate) port: u16,
    log: PathBuf,
    _directory: TempDir,
}

impl Node {
    async fn start(redis: &Redis) -> Self {
        Self::named(redis, "node").await
    }

    pub(crate) async fn named(redis: &Redis, name: &str) -> Self {
        Self::at(&redis.url().to_string(), name).await
    }

    /// A node that reaches its Redis at this address.
    pub(crate) async fn at(redis: &str, name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let port = free_port();
        let program = Command::new(env!("CARGO_BIN_EXE_nextrush"))
            .args(["--open-endpoints", "--listen", &format!("127.0.0.1:{port}")])
            .env_clear()
            .env("JWT_SECRET", SECRET)
            .env("NEXTRUSH_API_KEY", KEY)
            .env("NEXTRUSH_NODE", name)
            .env("NEXTRUSH_REDIS", redis)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("the program listens", async || {
            let connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            connected.is_ok()
        })
        .await;
        Self {
            program,
            port,
            log,
            _directory: directory,
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) async fn client(&self, path: &str, user: &str) -> Client {
        let path = format!("{path}?token={}", token(user));
        Client::connect_to(self.port, &path).await
    }

    pub(crate) fn http(&self) -> Http {
        Http::at(self.port, KEY)
    }

    pub(crate) async fn publish(&self, number: u64) -> (u16, http::HeaderMap, Value) {
        let body = json!({ "channel": "posts", "data": number });
        self.http().full("POST", "/api/v1/publish", &body).await
    }
}

/// The clients of a node: two in a channel and a chat, and two in a room that remembers nothing.
struct Clients {
    channel: Client,
    chat: Client,
    room: [Client; 2],
    said: u64,
}

impl Clients {
    async fn of(node: &Node) -> Self {
        let mut channel = node.client("/live", "ada").await;
        channel
            .send(json!({ "type": "subscribe", "channel": "posts" }))
            .await;
        channel.json_of("subscribed").await;
        let mut chat = node.client("/chat/lobby", "ada").await;
        chat.json_of("room-history").await;
        let mut room = [
            node.client("/rooms/a", "ada").await,
            node.client("/rooms/a", "bob").await,
        ];
        for member in &mut room {
            member.text().await;
        }
        Self {
            channel,
            chat,
            room,
            said: 0,
        }
    }

    /// Says something in the room, which has to arrive at once.
    async fn talk(&mut self) {
        self.said += 1;
        let text = self.said.to_string();
        let begun = Instant::now();
        let [ada, bob] = &mut self.room;
        ada.say(&text).await;
        assert_eq!(bob.text().await, text);
        let took = begun.elapsed();
        // It waits for no Redis, which would be for 5 s; a busy machine may take its time.
        assert!(took < Duration::from_secs(4), "{took:?}");
    }

    /// Says something in the chat; the answer.
    async fn say(&mut self, id: &str) -> Value {
        let message = json!({ "type": "chat", "text": id, "id": id });
        self.chat.send(message).await;
        loop {
            let answer = self.chat.json().await;
            if answer["id"] == id && answer["type"] != "chat-message" {
                return answer;
            }
        }
    }
}

/// Uses the node while its Redis is away.
async fn use_without(node: &Node, clients: &mut Clients, begun: Instant) {
    let mut readiness = BTreeMap::<String, Duration>::new();
    let (mut number, mut slow) = (0, 0);
    while begun.elapsed() < AWAY {
        number += 1;
        // Each of these waits for 5 s while the server stands still and nobody knows it yet.
        let say = format!("lost {number}");
        let asked = Instant::now();
        let (refused, answer) = tokio::join!(node.publish(number), clients.say(&say));
        if asked.elapsed() > Duration::from_secs(4) {
            slow += 1;
        }
        let (status, headers, refusal) = refused;
        assert_eq!(status, 503, "{refusal}");
        for refusal in [&refusal, &answer] {
            let code = refusal["code"].as_str().unwrap_or_default();
            let known = ["unavailable", "not-stored", "in-doubt"];
            assert!(known.contains(&code), "{refusal}");
            assert_eq!(refusal["retryAfterMs"], 2000, "{refusal}");
        }
        assert_eq!(headers[RETRY_AFTER], "2");
        if number.is_multiple_of(5) && number <= 15 {
            assert_turned_away(node).await;
            let user = json!({ "userId": "nobody" });
            node.http().post("/api/v1/disconnect", user).await;
        }
        clients.talk().await;
        assert_eq!(node.http().get("/healthz").await.0, 200);
        let (_, ready) = node.http().get("/readyz").await;
        readiness
            .entry(ready.to_string())
            .or_insert(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Most are refused at once; how many they are in this time is also a matter of the machine.
    assert!(number > 20 && slow < 4, "{number} attempts, {slow} waited");
    let unready = r#"{"reasons":["store-away"],"status":"unready"}"#;
    let states: Vec<_> = readiness.keys().collect();
    assert_eq!(states, [unready, r#"{"status":"ok"}"#]);
    let after = readiness[unready].as_secs();
    assert!((15..25).contains(&after), "{after} s");
}

/// Tries to enter a room whose members all nodes count.
async fn assert_turned_away(node: &Node) {
    let mut client = node.client("/private-chat/den", "ada").await;
    let refusal = client.json().await;
    assert_eq!(refusal["code"], "unavailable", "{refusal}");
    assert_eq!(refusal["retryAfterMs"], 2000, "{refusal}");
    assert_eq!(client.closed().await.0, 1013);
}

/// Waits until the node is as it was, with the same sockets.
async fn assert_heals(node: &Node, clients: &mut Clients) -> u64 {
    eventually("a publication is accepted", async || {
        node.publish(0).await.0 == 200
    })
    .await;
    clients.talk().await;
    let answer = clients.say("after").await;
    assert_eq!(answer["type"], "ack", "{answer}");
    let (_, _, published) = node.publish(1_000_000).await;
    eventually("the node is ready", async || {
        node.http().get("/readyz").await.0 == 200
    })
    .await;
    loop {
        let update = clients.channel.json_of("update").await;
        if update["data"] == 1_000_000 {
            assert_eq!(update["offset"], published["offset"]);
            return update["offset"].as_u64().unwrap();
        }
    }
}

fn assert_said_once(log: &str) {
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    for line in ["Redis at", "is lost"] {
        assert!(count(line) > 0, "{log}");
    }
    assert_eq!(count("the connection to Redis at"), 1, "{log}");
    assert_eq!(count("connected to Redis at"), 1, "{log}");
    // Besides those of the start, one for each thing that could not be done. What was done is audited.
    let is_failure = |line: &&str| !line.contains("nextrush::audit");
    let lines = log.lines().filter(is_failure).count();
    assert!(lines <= 16, "{lines} lines: {log}");
}

async fn node_without(
    program: Program,
    stop: impl AsyncFn(&mut Redis),
    go_on: impl AsyncFn(&mut Redis),
) -> (Node, u64) {
    let mut redis = Redis::start(program, &[]).await;
    let node = Node::start(&redis).await;
    let mut clients = Clients::of(&node).await;
    assert_eq!(clients.say("before").await["type"], "ack");
    assert_eq!(node.publish(0).await.0, 200);
    let begun = Instant::now();
    stop(&mut redis).await;
    use_without(&node, &mut clients, begun).await;
    go_on(&mut redis).await;
    let offset = assert_heals(&node, &mut clients).await;
    assert_said_once(&node.log());
    (node, offset)
}

#[tokio::test]
async fn a_redis_that_stands_still_for_30_seconds_costs_no_socket() {
    for program in programs().into_iter().take(1) {
        let pause = async |redis: &mut Redis| redis.pause();
        let resume = async |redis: &mut Redis| redis.resume();
        node_without(program, pause, resume).await;
    }
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_empty_after_30_seconds_costs_no_socket() {
    for program in programs().into_iter().take(1) {
        let kill = async |redis: &mut Redis| redis.kill();
        let restart = async |redis: &mut Redis| redis.restart_empty().await;
        node_without(program, kill, restart).await;
    }
}
