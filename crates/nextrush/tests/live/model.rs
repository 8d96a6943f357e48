//! A model of channels whose rules and hooks fail, whose clients are kicked and asked about again,
//! and whose publications have versions, by seeds.
//!
//! A schedule is made from its seed alone: `SEED=17 cargo test -p nextrush --all-features --test live
//! model` replays one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy, PublishContext, SubscribeContext};
use nextrush::testing::{Client, Network};
use nextrush::{App, ErrorMessage, LiveUpdates};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Allowed, enter, route, taken};

const SEEDS: u64 = 60;
const STEPS: usize = 120;
const USERS: [&str; 3] = ["ada", "bob", "eve"];
const CHANNEL: &str = "team";
/// Longer than all rules and hooks take.
const CALM: Duration = Duration::from_secs(2);

/// The functions of the application, which take their time and fail as the seed says.
#[derive(Clone)]
struct Functions {
    random: Arc<Mutex<StdRng>>,
    allowed: Allowed,
    /// The decisions of the hook about each id; more than one is wrong.
    decided: Arc<Mutex<HashMap<String, Vec<bool>>>>,
}

impl Functions {
    /// Takes some time; a number below 100.
    async fn hesitate(&self) -> u32 {
        let (pause, number) = {
            let mut random = self.random.lock().unwrap();
            (random.random_range(0..40), random.random_range(0..100))
        };
        if pause < 30 {
            sleep(Duration::from_millis(pause)).await;
        }
        number
    }

    fn policy(&self) -> ChannelPolicy {
        let (rule, hook, load) = (self.clone(), self.clone(), self.clone());
        ChannelPolicy::new()
            .history(40, Duration::from_secs(3600))
            .may_subscribe(async move |context: SubscribeContext| {
                rule.hesitate().await;
                let answer = rule.allowed.has(context.user.as_ref());
                match rule.hesitate().await {
                    0..4 => panic!("on purpose"),
                    _ => answer,
                }
            })
            .on_subscribe(
                async move |_: SubscribeContext| match load.hesitate().await {
                    0..4 => panic!("on purpose"),
                    4..8 => Err(ErrorMessage::new("not-now", "Not now")),
                    _ => Ok("state"),
                },
            )
            .on_publish(async move |context: PublishContext| {
                let fate = hook.hesitate().await;
                let id = serde_json::to_value(&context.id).unwrap();
                let id = id.as_str().unwrap().to_owned();
                let key = format!("{}/{id}", context.user.unwrap().id);
                let mut decided = hook.decided.lock().unwrap();
                decided.entry(key.clone()).or_default().push(fate >= 20);
                drop(decided);
                match fate {
                    0..10 => panic!("on purpose"),
                    10..20 => Err(ErrorMessage::new("not-now", "Not now")),
                    _ => Ok(json!({ "key": key })),
                }
            })
    }
}

/// A client, and what it believes.
struct Device {
    user: &'static str,
    client: Client,
    is_subscribed: bool,
    /// The epoch and the last offset that it knows.
    position: Option<Value>,
    /// The positions that its unanswered subscriptions named.
    since: VecDeque<Option<Value>>,
    /// By offset.
    versions: BTreeMap<u64, u64>,
    keys: HashMap<String, u64>,
    ids: u32,
    answers: HashMap<String, Value>,
}

impl Device {
    fn subscribe(&mut self, with_position: bool) {
        let since = self.position.clone().filter(|_| with_position);
        let subscribe = json!({
            "type": "subscribe", "channel": CHANNEL, "since": since, "id": "s",
        });
        self.since.push_back(since);
        self.client.send_json(&subscribe);
    }

    fn publish(&mut self, is_repeat: bool) {
        self.ids += u32::from(!is_repeat || self.ids == 0);
        let id = format!("p{}", self.ids);
        let publish = json!({ "type": "publish", "channel": CHANNEL, "data": self.ids, "id": id });
        self.client.send_json(&publish);
    }

    fn hear(&mut self, message: &Value) {
        let id = message["id"].as_str().unwrap_or_default();
        let since = match id {
            "s" => self.since.pop_front().unwrap(),
            _ => None,
        };
        match message["type"].as_str().unwrap() {
            "subscribed" => {
                let offset = message["offset"].as_u64().unwrap();
                assert_ne!(
                    (&message["recovered"], message.get("data")),
                    (&json!(true), Some(&json!("state")))
                );
                if self.is_subscribed {
                    assert_eq!(message.get("data"), None, "{message}");
                } else if message["recovered"] == true {
                    self.position = since;
                } else {
                    assert_eq!(message["data"], "state", "{message}");
                    self.position = Some(json!({ "epoch": message["epoch"], "offset": offset }));
                }
                self.is_subscribed = true;
            }
            "unsubscribed" => self.is_subscribed = false,
            "update" => {
                assert!(self.is_subscribed, "{message} to nobody");
                let position = self.position.as_mut().unwrap();
                let expected = position["offset"].as_u64().unwrap() + 1;
                assert_eq!(message["offset"], expected, "{message}");
                position["offset"] = json!(expected);
                let data = &message["data"];
                if let Some(version) = data["version"].as_u64() {
                    // Versions rise with offsets.
                    let newest = self.versions.range(..expected).next_back();
                    assert!(
                        newest.is_none_or(|(_, before)| version > *before),
                        "{message}"
                    );
                    self.versions.insert(expected, version);
                }
                if let Some(key) = data["key"].as_str() {
                    // Who comes back with an old position gets it again, in its place.
                    let place = *self.keys.entry(key.to_owned()).or_insert(expected);
                    assert_eq!(place, expected, "{message} again");
                }
            }
            "error" if id == "s" => {
                // Who may no longer subscribe is no subscriber; a rule that failed says nothing.
                if ["subscribe-refused", "kicked"].contains(&message["code"].as_str().unwrap()) {
                    self.is_subscribed = false;
                }
            }
            "ack" | "error" => {
                let code = message.get("code").cloned().unwrap_or_default();
                let before = self.answers.insert(id.to_owned(), code.clone());
                assert!(before.is_none_or(|before| before == code), "{message}");
            }
            other => panic!("{other}"),
        }
    }
}

async fn run(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let functions = Functions {
        random: Arc::new(Mutex::new(StdRng::seed_from_u64(seed + 1_000_000))),
        allowed: Allowed::new(USERS),
        decided: Arc::default(),
    };
    let mut app = App::new();
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy(CHANNEL, functions.policy()))
        .build(&app, "live");
    route(&mut app, &live);
    let network = Network::new(app);
    let mut devices = Vec::new();
    for user in USERS {
        devices.push(Device {
            user,
            client: enter(&network, user).await,
            is_subscribed: false,
            position: None,
            since: VecDeque::new(),
            versions: BTreeMap::new(),
            keys: HashMap::new(),
            ids: 0,
            answers: HashMap::new(),
        });
    }
    let mut version = 1;
    for _ in 0..STEPS {
        let device = &mut devices[random.random_range(0..USERS.len())];
        match random.random_range(0..20) {
            0..4 => device.subscribe(random.random()),
            4 => device
                .client
                .send_json(&json!({ "type": "unsubscribe", "channel": CHANNEL })),
            5..8 => device.publish(random.random_bool(0.3)),
            8..11 => {
                version += 1;
                let late = random.random_range(0..3).min(version - 1);
                let data = json!({ "version": version - late });
                let published = live.publish_version(CHANNEL, &data, version - late);
                network.run_until(published).await.unwrap();
            }
            11 => functions.allowed.set(device.user, true),
            12..15 => {
                functions.allowed.set(device.user, false);
                let user = device.user.into();
                match random.random_range(0..3) {
                    0 => drop(network.run_until(live.kick(&user, CHANNEL)).await),
                    1 => drop(network.run_until(live.recheck(&user)).await),
                    _ => drop(network.run_until(live.recheck_channel(CHANNEL)).await),
                }
            }
            15 => drop(network.run_until(live.recheck_channel(CHANNEL)).await),
            16 => {
                hear_all(&network, device).await;
                device.client.close(1000, "");
                device.client = enter(&network, device.user).await;
                device.is_subscribed = false;
                device.since.clear();
            }
            _ => {
                network
                    .advance(Duration::from_millis(random.random_range(0..60)))
                    .await;
            }
        }
        if random.random_bool(0.1) {
            network.advance(CALM).await;
            check(&network, &live, &functions, &mut devices).await;
        }
    }
    network.advance(CALM).await;
    check(&network, &live, &functions, &mut devices).await;
}

async fn hear_all(network: &Network, device: &mut Device) {
    for message in taken(network, &mut device.client).await {
        device.hear(&message);
    }
}

/// Checks, when nothing is under way any more, that what clients believe is so, and that nobody is
/// subscribed who has lost the right.
async fn check(
    network: &Network,
    live: &LiveUpdates,
    functions: &Functions,
    devices: &mut [Device],
) {
    let mut subscribed = 0;
    for device in devices {
        hear_all(network, device).await;
        let allowed = functions.allowed.has_name(device.user);
        assert!(
            allowed || !device.is_subscribed,
            "{} is still there",
            device.user
        );
        subscribed += usize::from(device.is_subscribed);
        for (id, code) in &device.answers {
            let decided = functions.decided.lock().unwrap();
            let decided = &decided[&format!("{}/{id}", device.user)];
            assert_eq!(decided.len(), 1, "{id} of {}", device.user);
            assert_eq!(
                decided[0],
                code.is_null(),
                "{id} of {}: {code}",
                device.user
            );
        }
    }
    assert_eq!(live.local_subscribers(CHANNEL), subscribed);
}

#[test]
fn whoever_lost_the_right_is_out_and_knows_it_and_everybody_else_misses_nothing() {
    let one = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    for seed in one.map_or(0..SEEDS, |seed: u64| seed..seed + 1) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        println!("SEED={seed} runs this alone");
        runtime.unwrap().block_on(run(seed));
    }
}
