//! The model: schedules of faults by seed, and the promise that each reader has each publication
//! once and in order, or knows that it is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::simulated::{SimulatedFaults, SimulatedServer};
use nextrush_broker::{
    Broker, BrokerError, CommandKey, Publish, Retention, SequencerOptions, TopicName,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::reader::Reader;
use crate::world::{Node, Truth, in_virtual_time, pass, topic};

const TOPICS: [&str; 3] = ["one", "two", "three"];
const READERS: usize = 3;
const WINDOW: Duration = Duration::from_secs(600);

/// The time by which everything is in step after the last fault: a check and its spread.
const HEALED: Duration = Duration::from_secs(40);

/// The extent of a schedule.
#[derive(Clone, Copy, Debug)]
struct Plan {
    nodes: usize,
    steps: usize,
    /// The history that topics keep; everything, or so little that publications get lost.
    keeps_all: bool,
    /// The process of the server may end and lose what it had.
    loses_data: bool,
    faults: SimulatedFaults,
}

impl Plan {
    fn of(random: &mut StdRng) -> Self {
        let ms = Duration::from_millis;
        let mut probability = |most: f64| {
            if random.random_bool(0.5) {
                random.random_range(0.0..most)
            } else {
                0.0
            }
        };
        let faults = SimulatedFaults::default()
            .lost_push(probability(0.5))
            .doubled_push(probability(0.5))
            .refused(probability(0.1))
            .lost_reply(probability(0.05));
        let delays = [0, 3, 40, 400];
        let faults = faults
            .delay(ms(any(random, &delays[..3])))
            .push_delay(ms(any(random, &delays)));
        Self {
            nodes: random.random_range(1..=3),
            steps: random.random_range(20..120),
            keeps_all: random.random_bool(0.7),
            loses_data: random.random_bool(0.5),
            faults,
        }
    }

    fn retention(&self) -> Retention {
        match self.keeps_all {
            true => Retention::count(100_000),
            false => Retention::count(2),
        }
    }
}

/// The fates of the publications.
#[derive(Default)]
struct Fates {
    /// The texts that were acknowledged.
    acknowledged: BTreeSet<String>,
    /// The texts that carry a key, and so may be published once only.
    keyed: BTreeSet<String>,
}

struct Schedule {
    plan: Plan,
    random: StdRng,
    server: SimulatedServer,
    nodes: Vec<Arc<Node>>,
    /// The readers without a seat.
    away: Vec<(TopicName, usize, Option<Box<Reader>>)>,
    /// The nodes of the readers with one.
    seated: BTreeMap<(TopicName, usize), usize>,
    fates: Arc<Mutex<Fates>>,
    published: u64,
    has_lost: bool,
    restarts: u32,
    has_replica: bool,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let plan = Plan::of(&mut random);
        let server = SimulatedServer::new(seed);
        let tail_bytes = any(&mut random, &[600, 64 << 20]);
        let nodes = (0..plan.nodes)
            .map(|number| {
                let options = SequencerOptions::default()
                    .seed(seed + number as u64)
                    .tail_bytes(tail_bytes);
                Arc::new(Node::new(&server, options))
            })
            .collect();
        let readers = TOPICS
            .iter()
            .flat_map(|name| (0..READERS).map(|number| (topic(name), number, None)));
        Self {
            plan,
            random,
            server,
            nodes,
            away: readers.collect(),
            seated: BTreeMap::new(),
            fates: Arc::default(),
            published: 0,
            has_lost: false,
            restarts: 0,
            has_replica: false,
        }
    }

    async fn run(&mut self) {
        while !self.away.is_empty() {
            self.come_back().await;
        }
        self.server.set_faults(self.plan.faults);
        for _ in 0..self.plan.steps {
            self.step().await;
        }
        self.heal();
        pass(HEALED).await;
        while !self.away.is_empty() {
            self.come_back().await;
        }
        // Something new reaches everybody.
        for name in TOPICS {
            self.publish(&topic(name));
        }
        pass(HEALED).await;
        self.compare().await;
    }

    async fn step(&mut self) {
        let name = topic(any(&mut self.random, &TOPICS));
        match self.random.random_range(0..100) {
            0..45 => {
                for _ in 0..self.random.random_range(1..6) {
                    self.publish(&name);
                }
            }
            45..60 => {
                let time = any(&mut self.random, &[1, 10, 60, 200, 2_000, 15_000]);
                pass(Duration::from_millis(time)).await;
            }
            60..68 => self.go_away().await,
            68..76 => self.come_back().await,
            76..80 => self.any_node().store().cut(),
            80..84 => self.any_node().store().mend(),
            84..87 => self.any_node().store().deafen(),
            87..89 => self.any_node().store().undeafen(),
            89..92 => self.any_node().store().unwatch_suddenly(vec![name]),
            92..94 => self.server.freeze(),
            94..96 => self.server.thaw(),
            96 => {
                self.restarts += 1;
                self.server.restart();
            }
            97 if self.plan.loses_data => {
                self.has_lost = true;
                self.server.restart_empty();
            }
            98 => {
                self.has_replica = true;
                self.server.detach_replica();
            }
            _ if self.plan.loses_data && self.has_replica => {
                self.has_lost = true;
                self.has_replica = false;
                self.server.fail_over();
            }
            _ => self.server.thaw(),
        }
    }

    fn heal(&self) {
        self.server.set_faults(SimulatedFaults::default());
        self.server.thaw();
        for node in &self.nodes {
            node.store().mend();
            node.store().undeafen();
        }
    }

    fn any_node(&mut self) -> &Arc<Node> {
        let node = self.random.random_range(0..self.nodes.len());
        &self.nodes[node]
    }

    /// Publishes from some node, and repeats what has a key until it is acknowledged.
    fn publish(&mut self, topic: &TopicName) {
        self.published += 1;
        let text = format!("{}", self.published);
        let node = Arc::clone(self.any_node());
        let mut publish = Publish::new(text.clone()).retain(self.plan.retention());
        let has_key = self.random.random_bool(0.5);
        if has_key {
            let key = CommandKey::try_from(&*text).expect("a short key");
            publish = publish.once(key, WINDOW);
            self.fates.lock().keyed.insert(text.clone());
        }
        let fates = Arc::clone(&self.fates);
        let topic = topic.clone();
        tokio::spawn(async move {
            for _ in 0..if has_key { 4 } else { 1 } {
                match node.broker.publish(&topic, publish.clone()).await {
                    Ok(_) => {
                        fates.lock().acknowledged.insert(text);
                        return;
                    }
                    Err(BrokerError::InDoubt(_) | BrokerError::Unavailable(_)) => {
                        pass(Duration::from_millis(500)).await;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
    }

    async fn go_away(&mut self) {
        if self.seated.is_empty() {
            return;
        }
        let place = self.random.random_range(0..self.seated.len());
        let seats = self.seated.iter();
        let (seat, node) = seats.clone().nth(place).expect("it is one of them");
        let (seat, node) = (seat.clone(), *node);
        self.seated.remove(&seat);
        let (topic, number) = seat;
        let reader = self.nodes[node].leave(&topic, number).await;
        assert!(reader.is_some(), "a seated reader is live");
        self.away.push((topic, number, reader));
    }

    async fn come_back(&mut self) {
        if self.away.is_empty() {
            return;
        }
        let place = self.random.random_range(0..self.away.len());
        let (topic, number, reader) = self.away.swap_remove(place);
        let node = self.random.random_range(0..self.nodes.len());
        match self.nodes[node].seat(&topic, number, reader).await {
            Ok(()) => {
                self.seated.insert((topic, number), node);
            }
            Err(reader) => self.away.push((topic, number, reader)),
        }
    }

    async fn compare(&mut self) {
        let truths = self.truths();
        for ((name, number), node) in std::mem::take(&mut self.seated) {
            let reader = self.nodes[node].leave(&name, number).await;
            self.compare_reader(&reader.expect("a seated reader is live"), &truths[&name]);
        }
    }

    /// The topics of the server in the end; nothing with a key may be there twice.
    fn truths(&self) -> BTreeMap<TopicName, Truth> {
        let fates = self.fates.lock();
        let mut kept = BTreeSet::new();
        let mut truths = BTreeMap::new();
        for name in TOPICS.map(topic) {
            let truth = Truth::of(&self.server, &name).expect("it was published to");
            for text in truth.texts.values() {
                let is_new = kept.insert(text.clone());
                assert!(
                    is_new || !fates.keyed.contains(text),
                    "{text} happened twice"
                );
            }
            truths.insert(name, truth);
        }
        if self.plan.keeps_all && !self.has_lost {
            let missing = fates.acknowledged.difference(&kept).next();
            assert_eq!(missing, None, "acknowledged and not kept");
        }
        truths
    }

    fn compare_reader(&self, reader: &Reader, truth: &Truth) {
        reader.compare(truth.end, self.plan.keeps_all.then_some(&truth.texts));
        if self.plan.keeps_all {
            assert_eq!(reader.lost, 0, "the history has everything: {reader:?}");
        }
        if !self.has_lost {
            assert_eq!(reader.taken_back, 0, "{reader:?}");
            // A topic knows one life before its own.
            if self.restarts < 2 {
                assert_eq!(reader.began, 0, "{reader:?}");
                if self.plan.keeps_all {
                    assert_eq!(reader.refused, 0, "{reader:?}");
                }
            }
        }
    }
}

fn any<T: Copy>(random: &mut StdRng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())]
}

fn run(seed: u64) {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        in_virtual_time(async { Schedule::new(seed).run().await });
    }));
    if let Err(panic) = outcome {
        eprintln!(
            "seed {seed} fails; again with\n  NEXTRUSH_SEED={seed} cargo test -p nextrush-broker \
             --test sequencer model"
        );
        std::panic::resume_unwind(panic);
    }
}

/// The seeds of a run: one that is given, so many of them, or those that are always run.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    match (number("NEXTRUSH_SEED"), number("NEXTRUSH_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => 0..seeds,
        (None, None) => 0..200,
    }
}

#[test]
fn every_reader_has_everything_once_or_knows_what_is_missing() {
    for seed in seeds() {
        run(seed);
    }
}
