//! Every subscriber has every publication once and in order, or was told precisely what it
//! missed: random schedules of publishing, coming and going, reading slowly, forgetting and
//! restarting, on the simulated network and in virtual time, against a plain model.
//!
//! A schedule is made from its seed alone.
//! `NEXTRUSH_SCHEDULES=100000 cargo test --release -p nextrush --all-features --test it
//! delivery_model` runs more; `NEXTRUSH_SEED=17` in its place replays one.

mod hesitant;
mod link;
mod oracle;
mod subscriber;
mod talker;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::ops::{AddAssign, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use axum::extract::{Path, Query};
use nextrush::broker::{
    Broker, EmbeddedBroker, EmbeddedOptions, ManualClock, MemoryBroker, MemoryLimits, OpenError,
};
use nextrush::limits::EngineConfig;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::Network;
use nextrush::topic::SlowReaders;
use nextrush::{App, ChatServer, LiveUpdates, RoomName, Since, Socket, User};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime;
use tokio::task::JoinHandle;

use self::hesitant::{Hesitant, Process, Times};
use self::oracle::{IDLE, Oracle};
use self::subscriber::Subscriber;
use self::talker::Talker;

const SCHEDULES: u64 = 1000;
const STEPS: usize = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// A time that is longer than the broker ever takes.
const CALM: Duration = Duration::from_secs(2);

/// The window of clients that are not slow, in bytes: more than they ever get.
const WINDOW: usize = 256 * 1024;

struct Channel {
    name: &'static str,
    /// The number and the age of the publications that the channel keeps; `None` if it keeps
    /// none.
    kept: Option<(usize, Duration)>,
    slow_readers: SlowReaders,
}

const CHANNELS: [Channel; 5] = [
    Channel {
        name: "kept-long",
        kept: Some((400, Duration::from_secs(3600))),
        slow_readers: SlowReaders::Heal,
    },
    Channel {
        name: "kept-short",
        kept: Some((8, MINUTE)),
        slow_readers: SlowReaders::Heal,
    },
    Channel {
        name: "not-kept",
        kept: None,
        slow_readers: SlowReaders::Close,
    },
    Channel {
        name: "dropped",
        kept: None,
        slow_readers: SlowReaders::Drop,
    },
    Channel {
        name: "latest",
        kept: None,
        slow_readers: SlowReaders::Latest,
    },
];
const KEPT_LONG: usize = 0;
const KEPT_SHORT: usize = 1;
/// A long message, in bytes: 25 of them are more than may wait for a slow reader.
const MUCH: usize = 3000;
/// The time after which a client that takes nothing is closed: the default of endpoints.
const AGE: Duration = Duration::from_secs(10);
const SUBSCRIBERS: usize = 3;
const ROOMS: usize = 2;
const TALKERS: usize = 4;

#[test]
fn every_subscriber_has_everything_once_or_knows_what_it_missed() {
    let tally = run_schedules(1, Storage::Memory);
    let Some(tally) = tally else { return };
    let happened = [
        tally.delivered,
        tally.recovered,
        tally.refused,
        tally.healed,
        tally.gaps,
        tally.closed,
    ];
    assert!(
        happened.iter().all(|count| *count > 0),
        "not all was tried: {tally:?}"
    );
}

/// These replay as far as the disk has its answers in the same order.
#[test]
fn so_it_is_with_the_durable_broker() {
    run_schedules(100, Storage::Disk);
}

#[test]
fn a_seed_gives_the_same_schedule_again() {
    for seed in 0..3 {
        let run = || run_schedule(seed, Storage::Memory);
        assert_eq!(run(), run(), "seed {seed}");
    }
}

/// Runs one of so many schedules; `None` if there is only one, to be replayed.
fn run_schedules(of: u64, storage: Storage) -> Option<Tally> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("NEXTRUSH_SEED") {
        println!("{:?}", run_schedule(seed, storage));
        return None;
    }
    let schedules = number("NEXTRUSH_SCHEDULES").unwrap_or(SCHEDULES) / of;
    let next = AtomicU64::new(0);
    let run_some = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= schedules {
                return tally;
            }
            tally += run_schedule(seed, storage);
        }
    };
    let tally = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run_some)).collect();
        let mut all = Tally::default();
        for thread in running {
            all += thread.join().expect("no schedule fails");
        }
        all
    });
    println!("{schedules} schedules: {tally:?}");
    Some(tally)
}

fn run_schedule(seed: u64, storage: Storage) -> Tally {
    let _named = Named(seed);
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(async {
        let mut world = World::new(seed, storage);
        for _ in 0..STEPS {
            world.step().await;
        }
        world.finish().await
    })
}

/// The place where the broker keeps what it remembers.
#[derive(Clone, Copy)]
enum Storage {
    Memory,
    Disk,
}

/// Says which schedule it was that failed.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("replay this schedule with NEXTRUSH_SEED={}", self.0);
        }
    }
}

/// Counts of what happened to all clients.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Tally {
    delivered: u64,
    recovered: u64,
    refused: u64,
    /// Times that somebody who had been slow was live again.
    healed: u64,
    /// Publications that somebody missed who was told so on the way.
    gaps: u64,
    /// Closed by the server, as they read too slowly or it ended.
    closed: u64,
    /// The server is ending just now.
    is_ending: bool,
    /// A hash of everything that was received.
    transcript: u64,
}

impl Tally {
    /// Adds to the transcript what is the same in each run: no epoch.
    fn note(&mut self, message: &Value) {
        let mut hasher = DefaultHasher::new();
        self.transcript.hash(&mut hasher);
        for field in ["type", "channel", "offset", "recovered", "reason", "text"] {
            if let Some(value) = message.get(field) {
                value.to_string().hash(&mut hasher);
            }
        }
        self.transcript = hasher.finish();
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.recovered += other.recovered;
        self.refused += other.refused;
        self.healed += other.healed;
        self.gaps += other.gaps;
        self.closed += other.closed;
        self.transcript ^= other.transcript;
    }
}

pub fn topic_of_channel(channel: usize) -> String {
    format!("live/live/{}", CHANNELS[channel].name)
}

pub fn topic_of_room(room: usize) -> String {
    format!("chat/chat/{room}")
}

struct World {
    random: StdRng,
    clock: Arc<ManualClock>,
    oracle: Oracle,
    times: Times,
    broker: Arc<dyn Broker>,
    /// The directory of the broker's files; `None` if the broker keeps all in memory.
    directory: Option<TempDir>,
    shards: NonZeroUsize,
    node: Node,
    subscribers: Vec<Subscriber>,
    talkers: Vec<Talker>,
    published: u32,
    publishing: Vec<JoinHandle<()>>,
    tally: Tally,
}

/// A process with the application.
struct Node {
    network: Network,
    live: LiveUpdates,
    chat: ChatServer,
    process: Arc<Process>,
}

impl World {
    fn new(seed: u64, storage: Storage) -> Self {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000));
        let oracle = Oracle::new(&clock);
        let times = Times::new(seed);
        let directory = match storage {
            Storage::Memory => None,
            Storage::Disk => Some(tempfile::tempdir().unwrap()),
        };
        let broker = open(directory.as_ref(), &clock).unwrap();
        let mut random = StdRng::seed_from_u64(seed);
        let shards = random.random_range(1..4);
        let shards = NonZeroUsize::new(shards).unwrap();
        Self {
            node: Node::start(shards, &broker, &oracle, &times),
            shards,
            random,
            clock,
            oracle,
            times,
            broker,
            directory,
            subscribers: (0..SUBSCRIBERS).map(|_| Subscriber::default()).collect(),
            talkers: (0..TALKERS)
                .map(|number| Talker::new(number, number % ROOMS))
                .collect(),
            published: 0,
            publishing: Vec::new(),
            tally: Tally::default(),
        }
    }

    async fn step(&mut self) {
        let subscriber = self.random.random_range(0..SUBSCRIBERS);
        let talker = self.random.random_range(0..TALKERS);
        let channel = self.random.random_range(0..CHANNELS.len());
        match self.random.random_range(0..100) {
            0..14 => self.publish(channel, 1..6, 0..20),
            // More than a client is sent that comes back.
            14 => self.publish(KEPT_LONG, 50..300, 0..2),
            // More than may wait for a slow reader.
            15 => self.publish(channel.max(KEPT_SHORT), 20..40, 0..MUCH),
            16..20 => self.press(talker),
            20..22 => self.connect(subscriber, talker).await,
            22..38 => {
                let subscriber = &mut self.subscribers[subscriber];
                subscriber.connect(&self.node.network).await;
                for channel in 0..CHANNELS.len() {
                    if self.random.random_bool(0.4) {
                        subscriber.subscribe(channel);
                    }
                }
            }
            38..42 => self.subscribers[subscriber].unsubscribe(channel),
            42..52 => {
                self.talkers[talker].connect(&self.node.network).await;
                self.say(talker);
            }
            52..55 => self.subscribers[subscriber].cut(),
            55..58 => self.talkers[talker].cut(),
            58..64 => self.slow_down(subscriber, talker),
            64..70 => self.read_a_little(subscriber, talker),
            70..73 => {
                self.subscribers[subscriber].link.resume();
                self.talkers[talker].link.resume();
            }
            73..85 => self.node.network.settle().await,
            85..93 => self.pass_time(1..300).await,
            93 => self.pass_time(1000..12_000).await,
            94..97 => self.clock.advance(MINUTE),
            97..99 => self.clock.advance(IDLE),
            _ => self.restart().await,
        }
        self.handle_some().await;
    }

    async fn connect(&mut self, subscriber: usize, talker: usize) {
        self.subscribers[subscriber]
            .connect(&self.node.network)
            .await;
        self.talkers[talker].connect(&self.node.network).await;
    }

    /// Publishes some messages, one after the other, beside everything else.
    fn publish(&mut self, channel: usize, count: Range<u32>, padding: Range<usize>) {
        let count = self.random.random_range(count);
        let padding = "x".repeat(self.random.random_range(padding));
        let numbers = self.published..self.published + count;
        self.published += count;
        let live = self.node.live.clone();
        self.publishing.push(tokio::spawn(async move {
            for number in numbers {
                let data = json!({ "number": number, "padding": &padding });
                live.publish(CHANNELS[channel].name, &data).await.unwrap();
            }
        }));
    }

    /// Publishes more than may wait, where somebody is slow.
    fn press(&mut self, talker: usize) {
        let is_slow = |subscriber: &&Subscriber| subscriber.link.is_slow();
        let slow = self.subscribers.iter().find(is_slow);
        let channels = slow.map_or(Vec::new(), Subscriber::channels);
        if let Some(channel) = channels.choose(&mut self.random) {
            self.publish(*channel, 25..35, MUCH..MUCH + 1);
        }
        let room = talker % ROOMS;
        let in_room = self.talkers.iter().skip(room).step_by(ROOMS);
        if in_room.into_iter().any(|talker| talker.link.is_slow()) {
            self.talkers[talker].flood();
        }
    }

    fn say(&mut self, talker: usize) {
        let most = if self.random.random_bool(0.1) {
            600
        } else {
            20
        };
        let padding = "x".repeat(self.random.random_range(0..most));
        for _ in 0..self.random.random_range(1..4) {
            self.talkers[talker].say(&padding);
        }
    }

    fn slow_down(&mut self, subscriber: usize, talker: usize) {
        let window = self.random.random_range(1..2000);
        let stalls = self.random.random_bool(0.7);
        self.subscribers[subscriber].link.slow_down(window, stalls);
        self.talkers[talker].link.slow_down(window, stalls);
    }

    fn read_a_little(&mut self, subscriber: usize, talker: usize) {
        let most = if self.random.random_bool(0.5) {
            1000
        } else {
            1 << 17
        };
        let bytes = self.random.random_range(1..most);
        self.subscribers[subscriber].link.read(bytes);
        self.talkers[talker].link.read(bytes);
    }

    async fn pass_time(&mut self, ms: Range<u64>) {
        let ms = self.random.random_range(ms);
        self.node.network.advance(Duration::from_millis(ms)).await;
    }

    /// Lets each client, at random, handle its messages now or keep them for later.
    async fn handle_some(&mut self) {
        self.wait_for_broker().await;
        for subscriber in &mut self.subscribers {
            if self.random.random_bool(0.7) {
                subscriber.handle_all(&self.oracle, &mut self.tally);
            }
        }
        for talker in &mut self.talkers {
            if self.random.random_bool(0.7) {
                talker.handle_all(&self.oracle, &mut self.tally);
            }
        }
    }

    async fn handle_all(&mut self) {
        self.wait_for_broker().await;
        for subscriber in &mut self.subscribers {
            subscriber.handle_all(&self.oracle, &mut self.tally);
        }
        for talker in &mut self.talkers {
            talker.handle_all(&self.oracle, &mut self.tally);
        }
    }

    /// Waits until the broker has finished its work, so that the oracle knows all that clients
    /// are told.
    async fn wait_for_broker(&self) {
        while self.node.process.under_way.load(Ordering::Relaxed) > 0 {
            self.node.network.settle().await;
        }
    }

    fn note_slow_readers(&mut self) {
        let counts = self.node.live.slow_readers().into_iter();
        let healed: u64 = counts.map(|(_, counts)| counts.recovered).sum();
        self.tally.healed += healed + self.node.chat.slow_readers().recovered;
    }

    /// Ends the process, in an orderly way or not, and starts another one: on what the
    /// broker remembers, or on nothing.
    async fn restart(&mut self) {
        let forgets = self.random.random_bool(0.5);
        if self.random.random_bool(0.3) {
            let drain = self.node.network.handle().drain(MINUTE);
            self.node.network.run_until(drain).await;
            self.tally.is_ending = true;
            self.handle_all().await;
            self.tally.is_ending = false;
        }
        for subscriber in &mut self.subscribers {
            subscriber.cut();
        }
        for talker in &mut self.talkers {
            talker.cut();
        }
        // What has reached the broker, the oracle has to know.
        self.wait_for_broker().await;
        for publishing in self.publishing.drain(..) {
            publishing.abort();
        }
        self.note_slow_readers();
        self.node.process.has_ended.store(true, Ordering::Relaxed);
        self.oracle.end_process(forgets);
        if forgets || self.directory.is_some() {
            // Two processes cannot have one store, so the old one has to go first.
            let nothing: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
            self.node = Node::start(self.shards, &nothing, &self.oracle, &self.times);
            self.broker = nothing;
            if forgets && self.directory.is_some() {
                self.directory = Some(tempfile::tempdir().unwrap());
            }
            self.broker = loop {
                match open(self.directory.as_ref(), &self.clock) {
                    Ok(broker) => break broker,
                    // What waits for the old one goes when it is looked at next.
                    Err(_) => self.node.network.settle().await,
                }
            };
        }
        self.node = Node::start(self.shards, &self.broker, &self.oracle, &self.times);
    }

    /// Everybody stalls, is sent more than may wait, and reads again while more is published.
    async fn fall_behind(&mut self) {
        self.come_back().await;
        let window = self.random.random_range(1..5000);
        for subscriber in &mut self.subscribers {
            subscriber.link.slow_down(window, true);
        }
        for talker in &mut self.talkers {
            talker.link.slow_down(window, true);
        }
        for channel in 0..CHANNELS.len() {
            self.publish(channel, 25..35, MUCH..MUCH + 1);
        }
        (0..ROOMS).for_each(|room| self.talkers[room].flood());
        self.pass_time(100..2000).await;
        for _ in 0..10 {
            let channel = self.random.random_range(0..CHANNELS.len());
            self.publish(channel, 1..8, 0..20);
            self.say(channel % TALKERS);
            let number = self.random.random_range(0..SUBSCRIBERS);
            self.subscribers[number].link.resume();
            self.talkers[number].link.resume();
            self.pass_time(1..10).await;
            self.handle_some().await;
        }
    }

    /// Everybody comes back, reads, and has everything.
    async fn finish(mut self) -> Tally {
        // It takes longer than all the rest.
        if self.random.random_bool(0.25) {
            self.fall_behind().await;
        }
        // Who was slow may be closed for it only now, and comes back once more.
        for _ in 0..2 {
            for subscriber in &mut self.subscribers {
                subscriber.link.resume();
            }
            for talker in &mut self.talkers {
                talker.link.resume();
            }
            self.calm_down().await;
            self.come_back().await;
        }
        assert!(self.publishing.iter().all(JoinHandle::is_finished));
        for subscriber in &self.subscribers {
            subscriber.check_done(&self.oracle);
        }
        for talker in &self.talkers {
            talker.check_done(&self.oracle);
        }
        for room in 0..ROOMS {
            let text = |post: &Value| post["text"].to_string();
            self.oracle
                .check_once(&topic_of_room(room), 2 * MINUTE, text);
        }
        self.check_that_nothing_stays().await
    }

    async fn come_back(&mut self) {
        for subscriber in &mut self.subscribers {
            subscriber.connect(&self.node.network).await;
            (0..CHANNELS.len()).for_each(|channel| subscriber.subscribe(channel));
        }
        for talker in &mut self.talkers {
            talker.connect(&self.node.network).await;
        }
        self.calm_down().await;
    }

    async fn calm_down(&mut self) {
        for _ in 0..3 {
            self.node.network.advance(CALM).await;
            self.handle_all().await;
        }
    }

    async fn check_that_nothing_stays(mut self) -> Tally {
        // They go while some are on the way to be healed.
        for subscriber in &mut self.subscribers {
            subscriber.link.slow_down(1, true);
        }
        for channel in [KEPT_LONG, KEPT_SHORT] {
            self.publish(channel, 25..35, MUCH..MUCH + 1);
        }
        self.node.network.advance(CALM).await;
        for subscriber in &mut self.subscribers {
            subscriber.link.resume();
        }
        self.pass_time(1..30).await;
        for subscriber in &mut self.subscribers {
            subscriber.cut();
        }
        for talker in &mut self.talkers {
            talker.cut();
        }
        self.node.network.advance(3 * CALM).await;
        self.note_slow_readers();
        assert_eq!(self.node.network.handle().local_connections(), 0);
        assert_eq!(self.node.live.local_channels(), []);
        assert_eq!(self.node.chat.local_rooms(), []);
        assert_eq!(self.oracle.interesting(), [""; 0], "the broker was told");
        self.tally
    }
}

fn open(
    directory: Option<&TempDir>,
    clock: &Arc<ManualClock>,
) -> Result<Arc<dyn Broker>, OpenError> {
    let clock = Arc::clone(clock);
    let Some(directory) = directory else {
        let limits = MemoryLimits::default().idle(IDLE);
        let builder = MemoryBroker::builder().limits(limits).clock(clock);
        return Ok(Arc::new(builder.build()));
    };
    // So small that histories are read from the disk again and again.
    let options = EmbeddedOptions::default().cache_bytes(2000);
    let broker = EmbeddedBroker::builder(directory)
        .options(options)
        .clock(clock)
        .open()?;
    Ok(Arc::new(broker))
}

impl Node {
    fn start(
        shards: NonZeroUsize,
        broker: &Arc<dyn Broker>,
        oracle: &Oracle,
        times: &Times,
    ) -> Self {
        let process = Arc::new(Process::default());
        let broker = Hesitant {
            process: Arc::clone(&process),
            inner: Arc::clone(broker),
            oracle: oracle.clone(),
            times: times.clone(),
        };
        let config = EngineConfig::default().shards(shards);
        let mut app = App::builder().engine(config).broker(broker).build();
        let mut channels = ChannelPolicies::new();
        for channel in CHANNELS {
            let Channel {
                name,
                kept,
                slow_readers,
            } = channel;
            let policy = ChannelPolicy::new().slow_readers(slow_readers);
            let policy = match kept {
                Some((count, age)) => policy.history(count, age),
                None => policy,
            };
            channels = channels.policy(name, policy);
        }
        let live = LiveUpdates::builder()
            .policies(channels)
            .build(&app, "live");
        let connect = live.clone();
        app.ws("/live", move |socket: Socket| connect.connect(&socket));
        let chat = ChatServer::new(&app, "chat");
        let connect = chat.clone();
        app.ws(
            "/chat/:room",
            async move |socket: Socket,
                        Path(room): Path<RoomName>,
                        since: Option<Since>,
                        Query(Who { user }): Query<Who>| {
                let email = format!("{user}@example.com");
                let user = User::new(user, email);
                connect.connect(&socket, room, user).since(since).await;
            },
        );
        Self {
            network: Network::new(app),
            live,
            chat,
            process,
        }
    }
}

#[derive(Deserialize)]
struct Who {
    user: String,
}
