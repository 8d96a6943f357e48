//! Members of a chat when its store loses messages, and a model of that by seeds.

use std::time::Duration;

use nextrush::broker::TopicName;
use nextrush::broker::simulated::SimulatedFaults;
use nextrush::testing::{Client, Cluster};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::{cluster, for_each_seed, join, routes};

const NODES: [&str; 3] = ["a", "b", "c"];
const SEEDS: u64 = 30;
/// Nothing is missing so long after the last fault: requests without an answer have failed, topics
/// were compared, and what could not be read was read again.
const SETTLED: Duration = Duration::from_secs(30);

/// A member, with the messages that its client shows.
struct Member {
    node: &'static str,
    user: String,
    client: Client,
    shows: Vec<String>,
    epoch: Value,
    offset: u64,
    /// The number of times that the messages were replaced, and by none.
    replaced: usize,
    emptied: usize,
}

impl Member {
    async fn join(cluster: &Cluster, node: &'static str, user: &str) -> Self {
        let client = join(&cluster.node(node), &format!("/chat/{user}")).await;
        client.set_window(16 * 1024);
        Self {
            node,
            user: user.to_owned(),
            client,
            shows: Vec::new(),
            epoch: Value::Null,
            offset: 0,
            replaced: 0,
            emptied: 0,
        }
    }

    fn say(&self, text: &str) {
        self.client
            .send_json(&json!({ "type": "chat", "text": text }));
    }

    /// Takes what has come, as a client does.
    fn take(&mut self) {
        while let Some(message) = self.client.try_recv() {
            let message: Value = serde_json::from_str(&message.to_string()).unwrap();
            note(|| format!("  {} gets {}", self.user, brief(&message)));
            let texts = message["messages"].as_array().into_iter().flatten();
            let texts = texts.map(|message| message["text"].as_str().unwrap().to_owned());
            match message["type"].as_str().unwrap() {
                "room-history" => {
                    if message["recovered"] != true {
                        self.shows.clear();
                        self.replaced += 1;
                        self.emptied += usize::from(message["messages"] == json!([]));
                    }
                    self.shows.extend(texts);
                    self.epoch = message["epoch"].clone();
                    self.offset = message["offset"].as_u64().unwrap();
                }
                "renewed" => {
                    self.epoch = message["epoch"].clone();
                }
                "chat-message" => {
                    let text = message["text"].as_str().unwrap();
                    let expected = self.offset + 1;
                    assert_eq!(message["offset"], expected, "{text} after {:?}", self.shows);
                    self.shows.push(text.to_owned());
                    self.offset = expected;
                }
                _ => {}
            }
        }
    }

    fn begins(&self) -> Vec<&str> {
        self.shows
            .iter()
            .map(|text| text.split(' ').next().unwrap())
            .collect()
    }
}

/// The messages that the store has, as long as no more are kept than are sent to who joins.
fn kept(cluster: &Cluster) -> Vec<String> {
    let room = TopicName::try_from("chat/chat/room").unwrap();
    let kept = cluster.server().kept(&room);
    let kept = kept.into_iter().flat_map(|kept| kept.history.publications);
    kept.map(|kept| {
        let post: Value = serde_json::from_slice(&kept.data).unwrap();
        post["text"].as_str().unwrap().to_owned()
    })
    .collect()
}

/// Shows what happens, where one seed is run alone.
fn note(what: impl FnOnce() -> String) {
    if std::env::var_os("SEED").is_some() {
        eprintln!("{}", what());
    }
}

/// A message without the filling of texts.
fn brief(message: &Value) -> String {
    let text = message.to_string();
    text.replace(&"x".repeat(100), "")
}

async fn settle(cluster: &Cluster, members: &mut [Member]) {
    cluster.settle().await;
    for member in members {
        member.take();
    }
}

/// Ada at one node, who has seen two messages that a failover takes back, and Bob at another one,
/// who has not.
async fn failover() -> (Cluster, [Member; 2]) {
    let cluster = cluster(&["a", "b"]);
    let mut members = [
        Member::join(&cluster, "a", "ada").await,
        Member::join(&cluster, "b", "bob").await,
    ];
    for text in ["one", "two"] {
        members[1].say(text);
        settle(&cluster, &mut members).await;
    }
    cluster.cut("b");
    cluster.server().detach_replica();
    for text in ["lost", "lost too"] {
        members[0].say(text);
        settle(&cluster, &mut members).await;
    }
    assert_eq!(members[0].begins(), ["one", "two", "lost", "lost"]);
    assert_eq!(members[1].begins(), ["one", "two"]);
    (cluster, members)
}

#[tokio::test(start_paused = true)]
async fn after_a_failover_that_takes_messages_back_members_get_those_that_are_kept() {
    let (cluster, [ada, mut bob]) = failover().await;
    let [mut ada, mut members] = [[ada], [bob]].map(Vec::from);
    bob = members.remove(0);
    cluster.server().fail_over();
    cluster.mend("b");
    cluster.advance(Duration::from_secs(2)).await;
    bob.say("three");
    cluster.settle().await;
    bob.take();
    assert_eq!(
        (bob.begins(), bob.replaced),
        (vec!["one", "two", "three"], 1)
    );
    let ada = &mut ada[0];
    let history = loop {
        let message = ada.client.json().await;
        if message["type"] == "room-history" {
            break message;
        }
    };
    assert_eq!(history["recovered"], false);
    assert_eq!(history["offset"], 2);
    assert_eq!(history["userCount"], 2);
    assert_eq!(history["users"].as_array().map(Vec::len), Some(2));
    let texts = history["messages"].as_array().unwrap();
    let texts: Vec<_> = texts.iter().map(|message| &message["text"]).collect();
    assert_eq!(texts, ["one", "two"]);
    let three = ada.client.json().await;
    assert_eq!(
        (&three["text"], &three["offset"]),
        (&"three".into(), &3.into())
    );
    ada.take();
    assert_eq!(ada.replaced, 1, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_reads_slowly_when_messages_are_taken_back_gets_those_that_are_kept() {
    let cluster = cluster(&["a", "b"]);
    let mut members = vec![
        Member::join(&cluster, "a", "ada").await,
        Member::join(&cluster, "b", "bob").await,
    ];
    members[0].client.stall();
    for number in 0..20 {
        if number == 10 {
            cluster.server().detach_replica();
        }
        let text = format!("{number} {}", "x".repeat(20_000));
        members[1].say(&text);
        cluster.settle().await;
    }
    cluster.server().fail_over();
    cluster.advance(Duration::from_secs(2)).await;
    members[1].say("after");
    cluster.settle().await;
    members[0].client.resume();
    settle(&cluster, &mut members).await;
    let expected = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "after"];
    assert_eq!(members[1].begins(), expected);
    // Before it reads it has joined, and then it is given everything at once.
    assert_eq!(members[0].begins(), expected);
    assert_eq!((members[0].replaced, members[0].emptied), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn members_get_what_is_kept_also_if_it_cannot_be_read_at_first() {
    let mut told_twice = 0;
    for moment in 0..50 {
        let cluster = cluster(&["a", "b"]);
        let mut members = vec![
            Member::join(&cluster, "a", "ada").await,
            Member::join(&cluster, "b", "bob").await,
        ];
        members[1].say("one");
        settle(&cluster, &mut members).await;
        let slow = SimulatedFaults::default().delay(Duration::from_millis(150));
        cluster.server().set_faults(slow);
        cluster.server().restart_empty();
        members[1].say("new");
        cluster.advance(Duration::from_millis(moment * 10)).await;
        cluster.cut("a");
        cluster.advance(Duration::from_secs(5)).await;
        let ada = &mut members[0];
        ada.take();
        let was_emptied = ada.emptied;
        // Nobody says that all is well before it is.
        assert!(ada.replaced == 1 || ada.shows != ["one"], "{moment}");
        // Also one that is slow by then.
        let is_slow = moment % 2 == 1;
        if is_slow {
            ada.client.stall();
        }
        cluster.mend("a");
        if is_slow {
            for number in 0..8 {
                members[1].say(&format!("{number} {}", "x".repeat(20_000)));
                cluster.settle().await;
            }
            cluster.advance(Duration::from_secs(6)).await;
            members[0].client.resume();
        }
        cluster.advance(SETTLED).await;
        let ada = &mut members[0];
        ada.take();
        assert_eq!(kept(&cluster).len(), if is_slow { 9 } else { 1 });
        assert!(ada.shows == kept(&cluster), "{moment}: {:?}", ada.begins());
        told_twice += usize::from(was_emptied > 1 && ada.replaced > 2);
    }
    assert!(told_twice > 0, "it could always be read");
}

struct Run {
    seed: u64,
    random: StdRng,
    cluster: Cluster,
    members: Vec<Member>,
    joined: usize,
    said: usize,
    bytes: usize,
    cut: Option<&'static str>,
    is_frozen: bool,
}

impl Run {
    async fn join(&mut self) {
        self.joined += 1;
        let node = NODES.choose(&mut self.random).unwrap();
        let user = format!("u{}", self.joined);
        let member = Member::join(&self.cluster, node, &user).await;
        self.members.push(member);
    }

    async fn step(&mut self) {
        let server = self.cluster.server().clone();
        let step = self.random.random_range(0..30);
        note(|| format!("step {step}"));
        match step {
            0..=9 if self.said < 45 => self.say(),
            10 | 11 if self.members.len() < 7 => self.join().await,
            12 if self.members.len() > 3 => {
                let index = self.random.random_range(0..self.members.len());
                self.members.remove(index);
            }
            13 | 14 => {
                if let Some(member) = self.members.choose(&mut self.random) {
                    member.client.stall();
                }
            }
            15 | 16 => {
                if let Some(member) = self.members.choose(&mut self.random) {
                    member.client.resume();
                }
            }
            17 => server.restart(),
            18 => server.restart_empty(),
            19 | 20 => server.detach_replica(),
            21 | 22 => server.fail_over(),
            23 => {
                let node = NODES.choose(&mut self.random).unwrap();
                match self.cut.take() {
                    Some(cut) => self.cluster.mend(cut),
                    None => {
                        self.cluster.cut(node);
                        self.cut = Some(node);
                    }
                }
            }
            24 => {
                self.is_frozen = !self.is_frozen;
                match self.is_frozen {
                    true => server.freeze(),
                    false => server.thaw(),
                }
            }
            25 => {
                let delay = Duration::from_millis(self.random.random_range(0..300));
                let faults = SimulatedFaults::default()
                    .delay(delay)
                    .push_delay(delay / 2)
                    .lost_push(*[0.0, 0.3].choose(&mut self.random).unwrap())
                    .refused(*[0.0, 0.3].choose(&mut self.random).unwrap());
                server.set_faults(faults);
            }
            _ => {
                let most = *[10, 100, 3000].choose(&mut self.random).unwrap();
                let pause = Duration::from_millis(self.random.random_range(0..most));
                self.cluster.advance(pause).await;
            }
        }
        self.take();
    }

    fn say(&mut self) {
        self.said += 1;
        // All that is kept is sent to who joins.
        let most = (400_000 - self.bytes).min(20_000);
        let filling = *[0, 0, 20_000].choose(&mut self.random).unwrap();
        let filling = filling.min(most);
        self.bytes += filling;
        let text = format!("{} {}", self.said, "x".repeat(filling));
        if let Some(member) = self.members.choose(&mut self.random) {
            member.say(&text);
        }
    }

    fn take(&mut self) {
        for member in &mut self.members {
            member.take();
        }
        self.members.retain(|member| !member.client.is_closed());
    }

    async fn end(&mut self) {
        self.cluster.server().thaw();
        self.cluster.server().set_faults(SimulatedFaults::default());
        if let Some(cut) = self.cut.take() {
            self.cluster.mend(cut);
        }
        for member in &self.members {
            member.client.resume();
        }
        self.cluster.advance(SETTLED).await;
        // Who has read nothing for too long is gone.
        self.take();
        self.join().await;
        self.cluster.settle().await;
        self.members[0].say("last");
        self.cluster.advance(SETTLED).await;
        self.take();
    }
}

async fn run(seed: u64) {
    let mut run = Run {
        seed,
        random: StdRng::seed_from_u64(seed),
        cluster: Cluster::new(seed, NODES, |builder| routes(builder.build())),
        members: Vec::new(),
        joined: 0,
        said: 0,
        bytes: 0,
        cut: None,
        is_frozen: false,
    };
    for _ in 0..4 {
        run.join().await;
    }
    for _ in 0..80 {
        run.step().await;
    }
    run.end().await;
    let kept = kept(&run.cluster);
    assert!(kept.last().is_some_and(|last| last == "last"), "{seed}");
    for member in &run.members {
        assert!(
            member.shows == kept,
            "seed {}: one at {} shows {:?} of {:?}",
            run.seed,
            member.node,
            member.begins(),
            kept.iter()
                .map(|text| text.split(' ').next())
                .collect::<Vec<_>>(),
        );
    }
}

#[test]
fn whatever_the_store_loses_members_end_with_the_messages_that_it_has() {
    for_each_seed(SEEDS, run);
}
