//! Random schedules of publishing, coming and going, restarting and forgetting, against a
//! plain model: every subscriber has every publication once and in order, or was told
//! what it missed.
//!
//! `NEXTRUSH_SCHEDULES=1000 cargo test -p nextrush --test it delivery_on_disk` runs more;
//! `NEXTRUSH_SEED` repeats the one that failed.

use std::sync::Arc;
use std::time::Duration;

use nextrush::broker::{EmbeddedBroker, EmbeddedOptions, ManualClock};
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::{App, LiveUpdates, Server, Socket};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::support::{Client, serve};

const CHANNELS: [&str; 3] = ["kept-long", "kept-short", "not-kept"];
const CLIENTS: usize = 4;
const STEPS: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);

struct World {
    random: StdRng,
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    node: Node,
    subscribers: Vec<Subscriber>,
    /// The number of publications to each channel; each publication has its number as data.
    published: [u64; 3],
    /// The subscriptions that recovered everything; `refused` counts those that could not.
    recovered: u64,
    refused: u64,
}

struct Node {
    server: Server,
    live: LiveUpdates,
}

impl Node {
    async fn start(directory: &std::path::Path, clock: &Arc<ManualClock>) -> Self {
        // So small that histories are read from the disk again and again.
        let options = EmbeddedOptions::default().cache_bytes(2000);
        let broker = loop {
            // The last one of a restarted node may not have gone yet.
            match EmbeddedBroker::builder(directory)
                .options(options)
                .clock(Arc::clone(clock))
                .open()
            {
                Ok(broker) => break broker,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let mut app = App::builder().broker(broker).build();
        let channels = ChannelPolicies::new()
            .policy("kept-long", ChannelPolicy::new().history(200, 60 * MINUTE))
            .policy("kept-short", ChannelPolicy::new().history(5, MINUTE));
        let live = LiveUpdates::builder()
            .policies(channels)
            .build(&app, "live");
        let connect = live.clone();
        app.ws("/live", move |socket: Socket| connect.connect(&socket));
        let server = serve(app).await;
        Self { server, live }
    }
}

#[derive(Default)]
struct Subscriber {
    client: Option<Client>,
    /// By channel: whether it is subscribed, and the position up to which it has seen.
    channels: [(bool, Option<Seen>); 3],
}

#[derive(Clone, Debug)]
struct Seen {
    epoch: String,
    offset: u64,
}

impl World {
    async fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(1_700_000_000_000));
        Self {
            random: StdRng::seed_from_u64(seed),
            node: Node::start(directory.path(), &clock).await,
            directory,
            clock,
            subscribers: (0..CLIENTS).map(|_| Subscriber::default()).collect(),
            published: [0; 3],
            recovered: 0,
            refused: 0,
        }
    }

    async fn run(&mut self) {
        for _ in 0..STEPS {
            let subscriber = self.random.random_range(0..CLIENTS);
            let channel = self.random.random_range(0..CHANNELS.len());
            match self.random.random_range(0..20) {
                0..8 => self.publish(channel).await,
                8..13 => self.subscribe(subscriber, channel).await,
                13 => self.unsubscribe(subscriber, channel).await,
                14..17 => self.cut(subscriber),
                17 => self.read(subscriber).await,
                18 => self.clock.advance(MINUTE),
                _ => self.restart().await,
            }
        }
        for subscriber in 0..CLIENTS {
            self.read(subscriber).await;
        }
    }

    async fn publish(&mut self, channel: usize) {
        for _ in 0..self.random.random_range(1..6) {
            self.published[channel] += 1;
            let number = self.published[channel];
            let published = self.node.live.publish(CHANNELS[channel], &number).await;
            assert_eq!(published.unwrap().offset, number);
        }
    }

    /// Comes back to a channel, with the position that it knows.
    async fn subscribe(&mut self, subscriber: usize, channel: usize) {
        self.read(subscriber).await;
        let top = self.published[channel];
        let subscriber = &mut self.subscribers[subscriber];
        if subscriber.client.is_none() {
            subscriber.client = Some(Client::connect(&self.node.server, "/live").await);
        }
        let client = subscriber.client.as_mut().unwrap();
        let (is_subscribed, seen) = &mut subscriber.channels[channel];
        let mut message = json!({ "type": "subscribe", "channel": CHANNELS[channel] });
        if let Some(seen) = &*seen {
            message["since"] = json!({ "epoch": seen.epoch, "offset": seen.offset });
        }
        client.send_json(message).await;
        let answer = client.json().await;
        assert_eq!(answer["type"], "subscribed");
        assert_eq!(answer["offset"], top, "it is told the top");
        let epoch = answer["epoch"].as_str().unwrap().to_owned();
        if *is_subscribed || seen.is_none() {
            assert_eq!(answer.get("recovered"), None);
            *seen = Some(Seen { epoch, offset: top });
        } else if answer["recovered"] == true {
            self.recovered += 1;
            assert_eq!(seen.as_ref().unwrap().epoch, epoch);
            // What it missed follows, and is checked as it is read.
        } else {
            self.refused += 1;
            let old = seen.as_ref().unwrap();
            match answer["reason"].as_str().unwrap() {
                "history" => {
                    assert_eq!(old.epoch, epoch);
                    assert!(old.offset < top, "something was missed");
                    assert_ne!(CHANNELS[channel], "kept-long", "its history reaches back");
                }
                reason => panic!("{reason} for {old:?} at {top}"),
            }
            *seen = Some(Seen { epoch, offset: top });
        }
        *is_subscribed = true;
    }

    async fn unsubscribe(&mut self, subscriber: usize, channel: usize) {
        self.read(subscriber).await;
        let subscriber = &mut self.subscribers[subscriber];
        let Some(client) = &mut subscriber.client else {
            return;
        };
        let message = json!({ "type": "unsubscribe", "channel": CHANNELS[channel] });
        client.send_json(message).await;
        assert_eq!(client.json().await["type"], "unsubscribed");
        subscriber.channels[channel].0 = false;
    }

    /// Ends a connection; what was under way to it is lost.
    fn cut(&mut self, subscriber: usize) {
        let subscriber = &mut self.subscribers[subscriber];
        if let Some(client) = subscriber.client.take() {
            client.cut();
        }
        for (is_subscribed, _) in &mut subscriber.channels {
            *is_subscribed = false;
        }
    }

    /// Reads until it has everything of all its channels, each once and in order.
    async fn read(&mut self, subscriber: usize) {
        let subscriber = &mut self.subscribers[subscriber];
        let Some(client) = &mut subscriber.client else {
            return;
        };
        let published = self.published;
        let is_behind = |channels: &[(bool, Option<Seen>); 3]| {
            channels.iter().zip(published).any(|((is_in, seen), top)| {
                *is_in && seen.as_ref().is_some_and(|seen| seen.offset < top)
            })
        };
        while is_behind(&subscriber.channels) {
            let update: Value = client.json().await;
            assert_eq!(update["type"], "update", "{update}");
            let name = update["channel"].as_str().unwrap();
            let channel = CHANNELS.iter().position(|known| *known == name).unwrap();
            let (is_subscribed, seen) = &mut subscriber.channels[channel];
            assert!(*is_subscribed);
            let seen = seen.as_mut().unwrap();
            assert_eq!(update["offset"], seen.offset + 1, "each once and in order");
            assert_eq!(update["data"], update["offset"], "what was published there");
            seen.offset += 1;
        }
    }

    async fn restart(&mut self) {
        for subscriber in 0..CLIENTS {
            self.cut(subscriber);
        }
        // Replaced only when the old one has gone, as both need the store.
        let old = std::mem::replace(&mut self.node, Node::nowhere().await);
        old.server.close().await;
        drop(old.live);
        self.node = Node::start(self.directory.path(), &self.clock).await;
    }
}

impl Node {
    /// A node without the store: it stands in while one node has ended and the next has not
    /// started.
    async fn nowhere() -> Self {
        let app = App::new();
        let live = LiveUpdates::new(&app, "live");
        Self {
            server: serve(app).await,
            live,
        }
    }
}

#[tokio::test]
async fn every_subscriber_has_everything_once_or_knows_what_it_missed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let schedules = number("NEXTRUSH_SCHEDULES").unwrap_or(8);
    let seeds: Vec<u64> = match number("NEXTRUSH_SEED") {
        Some(seed) => vec![seed],
        None => (0..schedules).map(|_| rand::rng().random()).collect(),
    };
    let (mut recovered, mut refused) = (0, 0);
    for seed in &seeds {
        println!("NEXTRUSH_SEED={seed}");
        let mut world = World::new(*seed).await;
        world.run().await;
        recovered += world.recovered;
        refused += world.refused;
    }
    println!(
        "{} schedules: {recovered} recovered, {refused} refused",
        seeds.len()
    );
    assert!(recovered > 0 || seeds.len() == 1, "nobody came back");
}
