//! A model of who is there over nodes under faults, by seeds.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::Path;
use nextrush::broker::simulated::{SimulatedFaults, SimulatedServer};
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::{Client, Cluster, Network};
use nextrush::{App, AppBuilder, ChatServer, LiveUpdates, Message, RoomName, Socket, User};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::for_each_seed;

const NODES: [&str; 3] = ["a", "b", "c"];
const SEEDS: u64 = 40;
/// Everything is in order so long after the last fault: a lease has ended, others have looked, the
/// grace period is over, and quiet rosters were compared.
const SETTLED: Duration = Duration::from_secs(60);

/// The part of the application in which it is seen who is there.
#[derive(Clone, Copy, Debug)]
enum Part {
    Channel,
    Chat,
}

fn routes(builder: AppBuilder) -> App {
    let mut app = builder.build();
    let policies = ChannelPolicies::new().policy("team", ChannelPolicy::new().presence());
    let live = LiveUpdates::builder()
        .policies(policies)
        .build(&app, "live");
    app.ws(
        "/live/:user",
        move |socket: Socket, Path(user): Path<String>| {
            let identified = socket.identify(User::new(&*user, ""));
            assert!(identified.is_ok(), "{identified:?}");
            live.connect(&socket);
        },
    );
    let chat = ChatServer::new(&app, "chat");
    app.ws(
        "/chat/:user",
        async move |socket: Socket, Path(user): Path<String>| {
            let team = RoomName::new("team").unwrap();
            chat.connect(&socket, team, User::new(&*user, "")).await;
        },
    );
    app
}

/// A client with what it believes.
struct Watcher {
    node: &'static str,
    user: String,
    client: Client,
    believes: BTreeSet<String>,
    version: u64,
}

fn users(members: &Value) -> impl Iterator<Item = String> + '_ {
    let members = members.as_array().into_iter().flatten();
    members.map(|member| {
        // A chat shows users, a channel users with devices.
        let id = member.pointer("/user/id").or_else(|| member.get("id"));
        id.unwrap().as_str().unwrap().to_owned()
    })
}

impl Watcher {
    /// `None` if the store does not let it in now.
    async fn join(part: Part, node: &'static str, network: &Network, user: &str) -> Option<Self> {
        let path = match part {
            Part::Channel => format!("/live/{user}"),
            Part::Chat => format!("/chat/{user}"),
        };
        let mut watcher = Self {
            node,
            user: user.to_owned(),
            client: network.connect(&path).await.unwrap(),
            believes: BTreeSet::new(),
            version: 0,
        };
        if matches!(part, Part::Channel) {
            let subscribe = json!({ "type": "subscribe", "channel": "team" });
            watcher.client.send_json(&subscribe);
            let presence = json!({ "type": "presence", "channel": "team" });
            watcher.client.send_json(&presence);
        }
        while watcher.believes.is_empty() {
            let message = watcher.client.json().await;
            if message["type"] == "error" {
                assert_eq!(message["code"], "unavailable", "{message}");
                return None;
            }
            if message["type"] != "presence-diff" {
                watcher.hear(&message);
            }
        }
        Some(watcher)
    }

    fn hear(&mut self, message: &Value) {
        match message["type"].as_str().unwrap() {
            "presence" => {
                let version = message["version"].as_u64().unwrap();
                assert!(version >= self.version, "{message} after {}", self.version);
                self.believes = users(&message["members"]).collect();
                self.version = version;
            }
            "presence-diff" => {
                let version = message["version"].as_u64().unwrap();
                assert_eq!(version, self.version + 1, "{message}");
                for user in users(&message["left"]) {
                    self.believes.remove(&user);
                }
                self.believes.extend(users(&message["joined"]));
                self.version = version;
            }
            "room-history" => {
                self.believes = users(&message["users"]).collect();
                assert_eq!(message["userCount"], self.believes.len(), "{message}");
            }
            "user-joined" | "user-left" => {
                let user = message["user"]["id"].as_str().unwrap();
                if message["type"] == "user-joined" {
                    self.believes.insert(user.to_owned());
                } else {
                    self.believes.remove(user);
                }
                assert_eq!(message["userCount"], self.believes.len(), "{message}");
            }
            _ => {}
        }
    }

    fn take(&mut self) {
        while let Some(Message::Text(text)) = self.client.try_recv() {
            self.hear(&serde_json::from_str(&text).unwrap());
        }
    }
}

struct Run {
    part: Part,
    random: StdRng,
    cluster: Cluster,
    watchers: Vec<Watcher>,
    joined: usize,
    wrong: Option<&'static str>,
    is_detached: bool,
    trace: Vec<String>,
}

impl Run {
    fn node(&mut self) -> &'static str {
        NODES.choose(&mut self.random).unwrap()
    }

    async fn join(&mut self, node: &'static str) {
        self.joined += 1;
        let user = format!("u{}", self.joined);
        self.note(format!("{user} joins at {node}"));
        let network = self.cluster.node(node);
        self.watchers
            .extend(Watcher::join(self.part, node, &network, &user).await);
    }

    async fn step(&mut self) {
        match (self.random.random_range(0..12), self.wrong) {
            (0 | 1, None) if self.watchers.len() < 8 => {
                let node = self.node();
                self.join(node).await;
            }
            (2, _) if self.watchers.len() > 1 => {
                let index = self.random.random_range(0..self.watchers.len());
                let watcher = self.watchers.swap_remove(index);
                self.note(format!("{} leaves", watcher.user));
                watcher.client.close(1000, "");
                self.cluster.settle().await;
            }
            (3, _) if self.watchers.len() > 1 => {
                let index = self.random.random_range(0..self.watchers.len());
                let watcher = self.watchers.swap_remove(index);
                self.note(format!("{} is lost", watcher.user));
                watcher.client.cut();
            }
            (4, None) => {
                let node = self.node();
                self.note(format!("{node} is cut off"));
                self.cluster.cut(node);
                self.wrong = Some(node);
            }
            (5, None) => {
                let node = self.node();
                self.note(format!("{node} is paused"));
                self.cluster.pause(node);
                self.wrong = Some(node);
            }
            (6, None) => {
                let node = self.node();
                self.note(format!("{node} crashes and starts"));
                self.cluster.crash(node);
                self.watchers.retain(|watcher| watcher.node != node);
                self.cluster.start(node);
                self.cluster.settle().await;
            }
            (4..=6, Some(node)) => self.heal(node).await,
            (7, _) => self.store(),
            _ => {
                let seconds = self.random.random_range(1..12);
                self.note(format!("{seconds} s pass"));
                self.cluster.advance(Duration::from_secs(seconds)).await;
            }
        }
        self.take();
    }

    fn note(&mut self, what: String) {
        if std::env::var_os("SEED").is_some() {
            eprintln!("{what}");
        }
        self.trace.push(what);
    }

    /// Lets something happen to the store.
    fn store(&mut self) {
        let server = self.cluster.server();
        let what = match (self.random.random_range(0..4), self.is_detached) {
            (0, _) => {
                server.restart();
                "restarts"
            }
            (1, _) => {
                let lost = *[0.0, 0.3].choose(&mut self.random).unwrap();
                server.set_faults(SimulatedFaults::default().lost_push(lost));
                "loses pushes, or no more"
            }
            (_, false) => {
                server.detach_replica();
                self.is_detached = true;
                "has a replica that is behind"
            }
            (_, true) => {
                server.fail_over();
                self.is_detached = false;
                "fails over"
            }
        };
        self.note(format!("the store {what}"));
    }

    async fn heal(&mut self, node: &'static str) {
        self.note(format!("{node} goes on"));
        self.cluster.resume(node);
        self.cluster.mend(node);
        self.cluster.settle().await;
        self.wrong = None;
    }

    /// Takes what has come, and forgets those whose sockets have ended.
    fn take(&mut self) {
        for watcher in &mut self.watchers {
            watcher.take();
        }
        self.watchers.retain(|watcher| !watcher.client.is_closed());
    }
}

async fn run(part: Part, seed: u64) {
    let mut run = Run {
        part,
        random: StdRng::seed_from_u64(seed),
        cluster: Cluster::new(seed, NODES, routes),
        watchers: Vec::new(),
        joined: 0,
        wrong: None,
        is_detached: false,
        trace: Vec::new(),
    };
    for node in NODES {
        run.join(node).await;
    }
    for _ in 0..40 {
        run.step().await;
    }
    if let Some(node) = run.wrong {
        run.heal(node).await;
    }
    run.cluster.server().set_faults(SimulatedFaults::default());
    // Where nobody watched, those of a node that crashed are only now looked for.
    for node in NODES {
        let before = run.watchers.len();
        run.join(node).await;
        assert_eq!(run.watchers.len(), before + 1, "seed {seed}");
    }
    run.cluster.advance(SETTLED).await;
    run.take();
    let there: BTreeSet<_> = run.watchers.iter().map(|watcher| &*watcher.user).collect();
    for watcher in &run.watchers {
        let believes: BTreeSet<_> = watcher.believes.iter().map(|user| &**user).collect();
        let (user, node) = (&watcher.user, watcher.node);
        let trace = run.trace.join("\n");
        assert_eq!(believes, there, "seed {seed}, {user} at {node}:\n{trace}");
    }
}

#[test]
fn after_faults_all_nodes_and_clients_agree_on_who_is_in_a_channel() {
    for_each_seed(SEEDS, |seed| run(Part::Channel, seed));
}

#[test]
fn after_faults_all_nodes_and_clients_agree_on_who_is_in_a_chat_room() {
    for_each_seed(SEEDS, |seed| run(Part::Chat, seed));
}

#[tokio::test(start_paused = true)]
async fn while_a_store_gets_back_what_it_has_forgotten_nobody_is_seen_to_leave_or_come() {
    for part in [Part::Channel, Part::Chat] {
        for forget in [SimulatedServer::flush, SimulatedServer::restart_empty] {
            let cluster = Cluster::new(1, NODES, routes);
            let mut watchers = Vec::new();
            for (node, user) in NODES.into_iter().zip(["ada", "bob", "cyn"]) {
                let network = cluster.node(node);
                let watcher = Watcher::join(part, node, &network, user).await;
                watchers.push(watcher.unwrap());
                cluster.settle().await;
            }
            for watcher in &mut watchers {
                watcher.take();
                assert_eq!(watcher.believes.len(), 3);
            }
            forget(cluster.server());
            cluster.advance(SETTLED).await;
            for watcher in &mut watchers {
                while let Some(Message::Text(text)) = watcher.client.try_recv() {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    // It may be told everybody again, and nothing of anybody.
                    let tells = ["user-joined", "user-left", "presence-diff"];
                    let kind = message["type"].as_str().unwrap();
                    assert!(!tells.contains(&kind), "{message}");
                    watcher.hear(&message);
                    assert_eq!(watcher.believes.len(), 3, "{message}");
                }
            }
            let network = cluster.node("b");
            let dan = Watcher::join(part, "b", &network, "dan").await.unwrap();
            assert_eq!(dan.believes.len(), 4);
            cluster.settle().await;
            for watcher in &mut watchers {
                watcher.take();
                assert_eq!(watcher.believes.len(), 4);
            }
        }
    }
}
