//! A model of rooms over nodes under faults, by seeds.

use std::collections::BTreeMap;
use std::time::Duration;

use nextrush::testing::{Client, Cluster};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::support::{for_each_seed, join, routes, taken};

const NODES: [&str; 3] = ["a", "b", "c"];
const ROOMS: [&str; 3] = ["red", "blue", "green"];
const SEEDS: u64 = 60;

/// A client, and what it has seen.
struct Member {
    node: &'static str,
    number: usize,
    rooms: Vec<&'static str>,
    client: Client,
    seen: Vec<String>,
}

/// A message that was sent.
struct Sent {
    by: usize,
    to: Vec<&'static str>,
}

struct Run {
    seed: u64,
    random: StdRng,
    cluster: Cluster,
    members: Vec<Member>,
    joined: usize,
    sent: BTreeMap<String, Sent>,
    /// The node that is cut off or stopped.
    wrong: Option<&'static str>,
    /// The number of deliveries that had to be, and were.
    sure: usize,
}

impl Run {
    fn node(&mut self) -> &'static str {
        NODES.choose(&mut self.random).unwrap()
    }

    fn rooms(&mut self) -> Vec<&'static str> {
        let amount = self.random.random_range(1..=3);
        let rooms = ROOMS.choose_multiple(&mut self.random, amount);
        rooms.copied().collect()
    }

    async fn join(&mut self, node: &'static str) {
        let rooms = self.rooms();
        let path = format!("/rooms/somebody/{}", rooms.join(","));
        self.joined += 1;
        self.members.push(Member {
            node,
            number: self.joined,
            rooms,
            client: join(&self.cluster.node(node), &path).await,
            seen: Vec::new(),
        });
    }

    async fn step(&mut self, step: usize) {
        match (self.random.random_range(0..10), self.wrong) {
            (0, None) if self.members.len() < 9 => {
                let node = self.node();
                self.join(node).await;
            }
            (1, None) => {
                let node = self.node();
                self.cluster.cut(node);
                self.wrong = Some(node);
            }
            (2, None) => {
                let node = self.node();
                self.cluster.pause(node);
                self.wrong = Some(node);
            }
            (3, None) => {
                let node = self.node();
                self.cluster.crash(node);
                self.members.retain(|member| member.node != node);
                self.cluster.start(node);
                self.join(node).await;
            }
            (1..=3, Some(node)) => {
                self.cluster.resume(node);
                self.cluster.mend(node);
                self.cluster.settle().await;
                self.take(None);
                self.wrong = None;
            }
            (4, _) => {
                let seconds = self.random.random_range(1..8);
                self.cluster.advance(Duration::from_secs(seconds)).await;
            }
            (5, None) if self.members.len() > 2 => {
                let index = self.random.random_range(0..self.members.len());
                self.members.remove(index);
            }
            _ => self.say(format!("{step:03}")).await,
        }
    }

    async fn say(&mut self, text: String) {
        let to = self.rooms();
        let Some(member) = self.members.choose(&mut self.random) else {
            return;
        };
        member.client.send(&format!("{} {text}", to.join(",")));
        let by = member.number;
        self.sent.insert(text.clone(), Sent { by, to });
        self.cluster.settle().await;
        self.take(Some(&text));
    }

    /// Takes what has come: each message once, and only by those whom it is meant for. A message
    /// that was sent while nothing was wrong has come to all of them.
    fn take(&mut self, newest: Option<&str>) {
        let seed = self.seed;
        for member in &mut self.members {
            for text in taken(&mut member.client) {
                let Sent { by, to } = &self.sent[&text];
                let is_meant =
                    member.number != *by && member.rooms.iter().any(|room| to.contains(room));
                assert!(is_meant, "seed {seed}: {text} came to {}", member.number);
                assert!(
                    !member.seen.contains(&text),
                    "seed {seed}: {text} came twice"
                );
                member.seen.push(text);
            }
            if let (Some(newest), None) = (newest, self.wrong) {
                let Sent { by, to } = &self.sent[newest];
                let is_meant =
                    member.number != *by && member.rooms.iter().any(|room| to.contains(room));
                let has_come = member.seen.iter().any(|text| text == newest);
                assert_eq!(
                    has_come, is_meant,
                    "seed {seed}: {newest} to {}",
                    member.number
                );
                self.sure += usize::from(has_come);
            }
        }
    }
}

async fn run(seed: u64) {
    let mut run = Run {
        seed,
        random: StdRng::seed_from_u64(seed),
        cluster: Cluster::new(seed, NODES, |builder| routes(builder.build())),
        members: Vec::new(),
        joined: 0,
        sent: BTreeMap::new(),
        wrong: None,
        sure: 0,
    };
    for node in NODES {
        run.join(node).await;
    }
    run.say("begin".to_owned()).await;
    for step in 0..80 {
        run.step(step).await;
    }
    if let Some(node) = run.wrong.take() {
        run.cluster.resume(node);
        run.cluster.mend(node);
        run.cluster.settle().await;
        run.take(None);
    }
    for step in 0..9 {
        run.say(format!("end-{step}")).await;
    }
    assert!(run.sure > 0, "seed {seed} proves nothing");
}

#[test]
fn messages_to_rooms_under_faults_reach_whom_they_are_meant_for_and_nobody_twice() {
    for_each_seed(SEEDS, run);
}
