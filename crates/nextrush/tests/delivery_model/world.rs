//! The nodes, their clients and the time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nextrush::broker::{Broker, Clock, ManualClock, MemoryBroker};
use nextrush::testing::Network;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::application::Application;
use super::bystander::Bystander;
use super::channels::USERS;
use super::node::{NODES, Node, Nodes, Parts, open};
use super::oracle::Oracle;
use super::subscriber::Subscriber;
use super::talker::Talker;
use super::tally::Tally;
use super::times::Times;
use super::{MINUTE, ROOMS, SUBSCRIBERS, Storage, TALKERS};

pub struct World {
    pub random: StdRng,
    pub application: Application,
    pub oracle: Oracle,
    pub nodes: Vec<Node>,
    parts: Parts,
    store: Store,
    pub subscribers: Vec<Subscriber>,
    pub talkers: Vec<Talker>,
    pub bystander: Bystander,
    /// The number of the next publication, request or question.
    pub next: u32,
    /// The tasks of nodes, by the name of the node.
    pub tasks: Vec<(&'static str, JoinHandle<()>)>,
    /// The requests of the server that are under way.
    pub asking: Vec<(&'static str, JoinHandle<Result<usize, String>>)>,
    pub tally: Tally,
}

/// The place where what is remembered is kept, with its clock.
enum Store {
    /// The store of one node, in memory or in a directory.
    Own {
        clock: Arc<ManualClock>,
        broker: Arc<dyn Broker>,
        directory: Option<TempDir>,
    },
    Shared(Nodes),
}

/// The time of the runtime, for a store that keeps to it.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

impl World {
    pub fn new(seed: u64, storage: Storage) -> Self {
        let manual = Arc::new(ManualClock::new(1_700_000_000_000));
        let is_shared = matches!(storage, Storage::Nodes);
        let clock: Arc<dyn Clock> = match is_shared {
            true => Arc::new(Virtual(Instant::now())),
            false => Arc::<ManualClock>::clone(&manual),
        };
        let mut random = StdRng::seed_from_u64(seed);
        let shards = random.random_range(1..4);
        let parts = Parts {
            application: Application::new(&Times::new(seed), &clock),
            oracle: Oracle::new(&clock, is_shared),
            shards: NonZeroUsize::new(shards).unwrap(),
            has_threads: matches!(storage, Storage::Disk),
        };
        let directory = matches!(storage, Storage::Disk).then(|| tempfile::tempdir().unwrap());
        let (store, nodes) = match is_shared {
            true => {
                let shared = Nodes::new(seed, parts.clone());
                let nodes = NODES.map(|name| shared.start(name));
                (Store::Shared(shared), Vec::from(nodes))
            }
            false => {
                let broker = open(directory.as_ref(), &manual).unwrap();
                let node = Node::alone(&parts, &broker);
                let store = Store::Own {
                    clock: manual,
                    broker,
                    directory,
                };
                (store, vec![node])
            }
        };
        let users = USERS.iter().cycle().take(SUBSCRIBERS);
        Self {
            application: parts.application.clone(),
            oracle: parts.oracle.clone(),
            nodes,
            parts,
            store,
            random,
            subscribers: users.map(|user| Subscriber::new(user)).collect(),
            talkers: (0..TALKERS)
                .map(|number| Talker::new(number, number % ROOMS))
                .collect(),
            bystander: Bystander::default(),
            next: 0,
            tasks: Vec::new(),
            asking: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Any node.
    pub fn node(&mut self) -> usize {
        match self.nodes.len() {
            1 => 0,
            nodes => self.random.random_range(0..nodes),
        }
    }

    /// Any network; all of them run together.
    pub fn network(&self) -> &Network {
        &self.nodes[0].network
    }

    /// Numbers for so many publications, requests or questions.
    pub fn numbers(&mut self, count: u32) -> std::ops::Range<u32> {
        let first = self.next;
        self.next += count;
        first..self.next
    }

    pub fn number(&mut self) -> u32 {
        self.numbers(1).start
    }

    pub fn spawn(&mut self, node: usize, task: impl Future<Output = ()> + Send + 'static) {
        let name = self.nodes[node].name;
        self.tasks.push((name, tokio::spawn(task)));
    }

    /// Lets time pass, for the nodes and their store.
    pub async fn pass(&self, time: Duration) {
        self.network().advance(time).await;
        if let Store::Own { clock, .. } = &self.store {
            clock.advance(time);
        }
    }

    /// Lets the store's clock jump, or where nodes share it so much time pass.
    pub async fn jump(&mut self, time: Duration) {
        super::trace(|| format!("jump by {time:?}"));
        match &self.store {
            Store::Own { clock, .. } => clock.advance(time),
            Store::Shared(_) => self.network().advance(time).await,
        }
        self.disturb();
    }

    fn disturb(&mut self) {
        for subscriber in &mut self.subscribers {
            subscriber.outbox.disturb();
        }
    }

    /// Lets each client, at random, handle its messages now or keep them for later.
    pub async fn handle_some(&mut self) {
        self.wait_for_broker().await;
        let Self {
            application,
            oracle,
            tally,
            random,
            ..
        } = self;
        for subscriber in &mut self.subscribers {
            if random.random_bool(0.7) {
                subscriber.handle_all(application, oracle, tally);
            }
        }
        for talker in &mut self.talkers {
            if random.random_bool(0.7) {
                talker.handle_all(oracle, tally);
            }
        }
        self.bystander.handle_all(application, oracle, tally);
        self.check_always().await;
    }

    pub async fn handle_all(&mut self) {
        self.wait_for_broker().await;
        let Self {
            application,
            oracle,
            tally,
            ..
        } = self;
        for subscriber in &mut self.subscribers {
            subscriber.handle_all(application, oracle, tally);
        }
        for talker in &mut self.talkers {
            talker.handle_all(oracle, tally);
        }
        self.bystander.handle_all(application, oracle, tally);
        self.check_always().await;
    }

    /// Waits until the broker has finished its work, so that the oracle knows all that clients
    /// are told.
    async fn wait_for_broker(&self) {
        let is_busy = |node: &Node| node.process.under_way.load(Ordering::Relaxed) > 0;
        while self.nodes.iter().any(is_busy) {
            self.network().settle().await;
        }
    }

    pub fn note_slow_readers(&mut self, node: usize) {
        let Node { live, chat, .. } = &self.nodes[node];
        let counts = live.slow_readers().into_iter();
        let healed: u64 = counts.map(|(_, counts)| counts.recovered).sum();
        self.tally.healed += healed + chat.slow_readers().recovered;
    }

    /// Ends a process, in an orderly way or not, and starts another one: on what the
    /// broker remembers, or on nothing.
    pub async fn restart(&mut self) {
        let node = self.node();
        let forgets = self.random.random_bool(0.5) && matches!(self.store, Store::Own { .. });
        if self.random.random_bool(0.3) {
            let network = &self.nodes[node].network;
            let drain = network.handle().drain(MINUTE);
            network.run_until(drain).await;
            self.tally.is_ending = true;
            self.handle_all().await;
            self.tally.is_ending = false;
        }
        let name = self.nodes[node].name;
        for subscriber in self
            .subscribers
            .iter_mut()
            .filter(|one| one.link.is_at(name))
        {
            subscriber.cut();
        }
        for talker in self.talkers.iter_mut().filter(|one| one.link.is_at(name)) {
            talker.cut();
        }
        if self.bystander.link.is_at(name) {
            self.bystander.cut();
        }
        // What has reached the broker, the oracle has to know.
        self.wait_for_broker().await;
        for (_, task) in self.tasks.extract_if(.., |(at, _)| *at == name) {
            task.abort();
        }
        for (_, task) in self.asking.extract_if(.., |(at, _)| *at == name) {
            task.abort();
        }
        self.note_slow_readers(node);
        self.nodes[node].process.end();
        self.oracle.end_process(name, forgets);
        self.application.posts().end_process(forgets);
        self.application.runs().end_process(forgets);
        self.disturb();
        self.start_anew(node, forgets).await;
        self.publish_rows_again(node);
    }

    async fn start_anew(&mut self, node: usize, forgets: bool) {
        let parts = &self.parts;
        match &mut self.store {
            Store::Shared(shared) => {
                let name = self.nodes[node].name;
                shared.cluster.crash(name);
                self.nodes[node] = shared.start(name);
            }
            Store::Own {
                clock,
                broker,
                directory,
            } => {
                if forgets || directory.is_some() {
                    // Two processes cannot have one store, so the old one has to go first.
                    let nothing: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
                    self.nodes[node] = Node::alone(parts, &nothing);
                    *broker = nothing;
                    if forgets && directory.is_some() {
                        *directory = Some(tempfile::tempdir().unwrap());
                    }
                    *broker = loop {
                        match open(directory.as_ref(), clock) {
                            Ok(broker) => break broker,
                            // What waits for the old one goes when it is looked at next.
                            Err(_) => self.nodes[node].network.settle().await,
                        }
                    };
                }
                self.nodes[node] = Node::alone(parts, broker);
            }
        }
    }

    /// Any of the users.
    pub fn user(&mut self) -> &'static str {
        USERS.choose(&mut self.random).unwrap()
    }
}
