//! A model of nodes that share a store with every fault, in virtual time and by seed.

use std::env;
use std::ops::Range;
use std::panic::AssertUnwindSafe;

use nextrush_broker::simulated::{SimulatedFaults, SimulatedServer};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::nodes::Node;
use super::*;

const NODES: usize = 3;
const STEPS: usize = 80;
/// The time after the last fault within which all nodes agree: a dead node is noticed after 10 s
/// and 3 s, its members are waited for 15 s, and what fails is tried again within 5 s.
const BOUND: Duration = Duration::from_secs(40);

/// A socket of the model.
#[derive(Clone, Debug)]
struct Truth {
    number: u32,
    device: Device,
    /// `true` if it is in the roster; not known while it joins.
    is_in: Arc<Mutex<Option<bool>>>,
}

struct Schedule {
    random: StdRng,
    server: SimulatedServer,
    alive: Alive,
    nodes: Vec<Living>,
    room: usize,
    is_whole: bool,
    grace: Option<Duration>,
    sockets: u32,
    boots: u64,
}

struct Living {
    node: Node,
    sockets: Vec<Truth>,
    watched: Option<Watched<TestRules>>,
    is_cut: bool,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut schedule = Self {
            server: SimulatedServer::new(seed),
            alive: Alive::default(),
            nodes: Vec::new(),
            room: if random.random_bool(0.3) { 4 } else { 1000 },
            is_whole: random.random(),
            grace: random.random_bool(0.7).then_some(GRACE),
            sockets: 0,
            boots: 0,
            random,
        };
        for number in 0..NODES {
            let node = schedule.node(number);
            schedule.nodes.push(node);
        }
        schedule
    }

    fn node(&mut self, number: usize) -> Living {
        self.boots += 1;
        let home = home(&format!("node-{number}"), self.boots);
        let (room, is_whole, grace) = (self.room, self.is_whole, self.grace);
        let rules = |rules| TestRules {
            room,
            is_whole,
            grace,
            ..rules
        };
        let seed = self.random.random();
        Living {
            node: Node::new(&self.server, &self.alive, home, rules, seed),
            sockets: Vec::new(),
            watched: None,
            is_cut: false,
        }
    }

    async fn run(mut self) {
        for _ in 0..STEPS {
            self.step().await;
            let pause = match self.random.random_range(0..10) {
                0..=4 => 0,
                5..=7 => self.random.random_range(0..50),
                8 => self.random.random_range(0..1000),
                _ => self.random.random_range(0..8000),
            };
            if pause > 0 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            self.check_clients();
        }
        self.end_faults().await;
        self.check().await;
    }

    async fn step(&mut self) {
        let number = self.random.random_range(0..NODES);
        match self.random.random_range(0..100) {
            0..=39 => self.join(number),
            40..=54 => self.leave(number),
            55..=64 => self.lose(number),
            65..=72 => self.update(number),
            73..=75 => self.watch(number).await,
            76..=78 => self.crash(number),
            79..=81 => self.set_cut(number),
            82..=83 => self.nodes[number].node.store.deafen(),
            84..=85 => self.nodes[number].node.store.undeafen(),
            86..=87 => self.pause(number).await,
            88 => self.server.restart(),
            89 => self.server.restart_empty(),
            90..=91 => self.server.detach_replica(),
            92..=93 => self.server.fail_over(),
            94 => {
                self.server.freeze();
                let frozen = self.random.random_range(0..7000);
                tokio::time::sleep(Duration::from_millis(frozen)).await;
                self.server.thaw();
            }
            _ => self.set_faults(),
        }
    }

    fn set_faults(&mut self) {
        let mut probability = |most: f64| match self.random.random_bool(0.5) {
            true => self.random.random_range(0.0..most),
            false => 0.0,
        };
        let faults = SimulatedFaults::default()
            .lost_push(probability(0.3))
            .refused(probability(0.2))
            .lost_reply(probability(0.2));
        let delay = self.random.random_range(0..40);
        let push_delay = self.random.random_range(0..150);
        let faults = faults
            .delay(Duration::from_millis(delay))
            .push_delay(Duration::from_millis(push_delay));
        self.server.set_faults(faults);
    }

    fn join(&mut self, number: usize) {
        self.sockets += 1;
        let name = self.random.random_range(0..3);
        let device = device(self.random.random_range(0..5), name);
        let Living { node, sockets, .. } = &mut self.nodes[number];
        let truth = Truth {
            number: self.sockets,
            device: device.clone(),
            is_in: Arc::default(),
        };
        let arrival = node.arrivals.of(truth.number);
        let socket = socket(truth.number);
        let settled = node.rosters.join(&roster(), socket, device, arrival);
        let is_in = Arc::clone(&truth.is_in);
        tokio::spawn(async move {
            let outcome = settled.await.is_ok();
            *is_in.lock() = Some(outcome);
        });
        sockets.push(truth);
    }

    fn pick(&mut self, number: usize) -> Option<Truth> {
        let count = self.nodes[number].sockets.len();
        if count == 0 {
            return None;
        }
        let index = self.random.random_range(0..count);
        Some(self.nodes[number].sockets.remove(index))
    }

    fn leave(&mut self, number: usize) {
        if let Some(truth) = self.pick(number) {
            let rosters = &self.nodes[number].node.rosters;
            rosters.leave(&roster(), socket(truth.number));
        }
    }

    fn lose(&mut self, number: usize) {
        if let Some(truth) = self.pick(number) {
            let rosters = &self.nodes[number].node.rosters;
            rosters.lose(&roster(), socket(truth.number));
        }
    }

    fn update(&mut self, number: usize) {
        let Some(mut truth) = self.pick(number) else {
            return;
        };
        let says = self.random.random_range(1..100);
        truth.device.says = says;
        let Living { node, sockets, .. } = &mut self.nodes[number];
        let device = Arc::new(truth.device.clone());
        drop(node.rosters.update(&roster(), socket(truth.number), device));
        sockets.push(truth);
    }

    async fn watch(&mut self, number: usize) {
        let Living { node, watched, .. } = &mut self.nodes[number];
        *watched = match watched.take() {
            Some(_) => None,
            None => node.rosters.watch(&roster()).await.ok(),
        };
    }

    /// A process ends, and the next one of its name begins. The others notice later.
    fn crash(&mut self, number: usize) {
        let next = self.node(number);
        let crashed = std::mem::replace(&mut self.nodes[number], next);
        crashed.node.store.cut();
        let (alive, home) = (self.alive.clone(), crashed.node.home.clone());
        drop(crashed);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            alive.remove(&home);
        });
    }

    fn set_cut(&mut self, number: usize) {
        let Living { node, is_cut, .. } = &mut self.nodes[number];
        *is_cut = !*is_cut;
        match is_cut {
            true => node.store.cut(),
            false => node.store.mend(),
        }
    }

    /// A process that stands still for so long that the others take it for dead.
    async fn pause(&mut self, number: usize) {
        let node = &self.nodes[number].node;
        let home = node.home.clone();
        node.store.deafen();
        self.alive.remove(&home);
        let paused = self.random.random_range(0..20_000);
        tokio::time::sleep(Duration::from_millis(paused)).await;
        self.alive.insert(&home);
    }

    async fn end_faults(&mut self) {
        self.server.set_faults(SimulatedFaults::default());
        self.server.thaw();
        for living in &self.nodes {
            self.alive.insert(&living.node.home);
            living.node.store.mend();
            living.node.store.undeafen();
        }
        tokio::time::sleep(BOUND).await;
    }

    fn check_clients(&self) {
        for Living { node, .. } in &self.nodes {
            let client = node.client.lock();
            assert_eq!(client.problems, [""; 0], "{:#?}", client.told);
        }
    }

    async fn check(&self) {
        self.check_clients();
        let read = self.nodes[0].node.rosters.host().store.clone().unwrap();
        let stored = read.read(&roster()).await.unwrap();
        let mut there: Vec<u32> = Vec::new();
        for Living { node, sockets, .. } in &self.nodes {
            assert!(node.rosters.host().settled(Duration::ZERO).await);
            for truth in sockets {
                let is_in = truth.is_in.lock().unwrap_or_else(|| {
                    panic!("{truth:?} waits for ever");
                });
                if is_in {
                    there.push(truth.number);
                }
            }
            self.check_arrivals(node);
            let Some(shown) = node.rosters.shown(&roster()) else {
                continue;
            };
            assert_eq!(shown.revision, stored.revision, "{} is behind", node.home);
            assert_eq!(shown.len(), stored.members.len());
            let client = node.client.lock();
            if client.version.is_some() {
                assert_eq!(client.members, members(&shown));
                assert_eq!(client.version, Some(shown.version()));
            }
        }
        self.check_members(&there).await;
    }

    /// Everybody who is there is a member once, as far as there is room, and nobody else.
    async fn check_members(&self, there: &[u32]) {
        let view = self.nodes[0].node.rosters.read(&roster()).await.unwrap();
        let mut seated = Vec::new();
        for (number, record) in view.members() {
            let Place::At { home, socket: at } = &record.place else {
                panic!("{number} is lost and still there: {record:?}");
            };
            let living = self.nodes.iter().find(|living| living.node.home == **home);
            let living = living.unwrap_or_else(|| panic!("{number} is of a dead node: {record:?}"));
            let truth = living
                .sockets
                .iter()
                .find(|truth| socket(truth.number) == *at);
            let truth = truth.unwrap_or_else(|| panic!("{number} has left: {record:?}"));
            assert!(there.contains(&truth.number), "{number} was refused");
            assert_eq!(record.member.user, truth.device.user);
            if truth.device.says != 0 {
                assert_eq!(record.member.says, truth.device.says, "of {number}");
            }
            seated.push(truth.number);
        }
        let count = seated.len();
        seated.sort_unstable();
        seated.dedup();
        assert_eq!(seated.len(), count, "somebody is there twice");
        // A member that was forgotten is put back, whether there is room or not.
        let least = there.len().min(self.room);
        assert!(
            seated.len() >= least,
            "{there:?} are there, {seated:?} are members"
        );
    }

    /// No socket arrives twice.
    fn check_arrivals(&self, node: &Node) {
        let mut arrived: Vec<u32> = node
            .arrivals
            .take()
            .iter()
            .map(|(number, _)| *number)
            .collect();
        let count = arrived.len();
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(arrived.len(), count, "a socket has arrived twice");
    }
}

fn run(seed: u64) {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        in_virtual_time(async { Schedule::new(seed).run().await });
    }));
    if let Err(panic) = outcome {
        eprintln!(
            "seed {seed} fails; again with\n  NEXTRUSH_SEED={seed} cargo test -p nextrush --lib \
             roster::tests::model"
        );
        std::panic::resume_unwind(panic);
    }
}

/// The seeds of a run: one that is given, so many of them, or those that are always run.
fn seeds() -> Range<u64> {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    match (number("NEXTRUSH_SEED"), number("NEXTRUSH_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => 0..seeds,
        (None, None) => 0..200,
    }
}

#[test]
fn all_nodes_end_with_the_same_roster_of_those_who_are_there() {
    for seed in seeds() {
        run(seed);
    }
}
