//! The actions of a schedule.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::json;
use tokio::time::timeout;

use super::application::{Fate, Post, ROWS_STORED};
use super::asking;
use super::channels::{CHANNELS, KEPT_LONG, KEPT_SHORT, Kind, OPEN, OWN, ROWS, TEAM, name_of};
use super::node::Node;
use super::oracle::IDLE;
use super::outbox::{Command, How, Run};
use super::subscriber::Subscriber;
use super::trace;
use super::world::World;
use super::{CALM, MINUTE, MUCH, ROOMS, SUBSCRIBERS, TALKERS};

impl World {
    pub async fn step(&mut self) {
        let subscriber = self.random.random_range(0..SUBSCRIBERS);
        let talker = self.random.random_range(0..TALKERS);
        let channel = self.random.random_range(0..CHANNELS.len());
        match self.random.random_range(0..150) {
            0..14 => self.publish(channel, 1..6, 0..20),
            // More than a client is sent that comes back.
            14 => self.publish(KEPT_LONG, 50..300, 0..2),
            // More than may wait for a slow reader.
            15 => self.publish(channel.max(KEPT_SHORT), 20..40, 0..MUCH),
            16..20 => self.press(talker),
            20..22 => {
                self.connect_subscriber(subscriber).await;
                self.connect_talker(talker).await;
            }
            22..38 => {
                self.connect_subscriber(subscriber).await;
                for channel in 0..CHANNELS.len() {
                    if self.random.random_bool(0.4) {
                        self.subscribers[subscriber].subscribe(channel);
                    }
                }
            }
            38..42 => self.subscribers[subscriber].unsubscribe(channel),
            42..52 => {
                self.connect_talker(talker).await;
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
            73..85 => self.network().settle().await,
            85..93 => self.pass_time(1..300).await,
            93 => self.pass_time(1000..12_000).await,
            94..97 => self.jump(MINUTE).await,
            97..99 => self.jump(IDLE).await,
            99 => self.restart().await,
            100..112 => self.post(subscriber),
            112..114 => self.repeat(subscriber),
            114..118 => self.publish_by_http(channel).await,
            118..122 => self.kick(subscriber).await,
            122..126 => self.take_away(subscriber).await,
            126..130 => {
                let user = self.user();
                self.application.allow(user);
            }
            130..132 => self.recheck().await,
            132..134 => self.subscribers[subscriber].refresh(),
            134..137 => self.join_or_leave().await,
            137..144 => self.run(subscriber),
            144..146 => self.ask(),
            146..148 => self.ask_now().await,
            148 => self.restart_often().await,
            _ => self.lull().await,
        }
        if self.random.random_bool(0.3) {
            self.probe().await;
        }
        self.handle_some().await;
    }

    pub async fn connect_subscriber(&mut self, subscriber: usize) {
        let node = self.node();
        let Self {
            application,
            subscribers,
            nodes,
            ..
        } = self;
        subscribers[subscriber]
            .connect(&nodes[node], application)
            .await;
    }

    pub async fn connect_talker(&mut self, talker: usize) {
        let node = self.node();
        let node = &self.nodes[node];
        self.talkers[talker].connect(node).await;
    }

    /// Publishes some messages, one after the other, beside everything else.
    pub fn publish(&mut self, channel: usize, count: Range<u32>, padding: Range<usize>) {
        let count = self.random.random_range(count);
        let padding = "x".repeat(self.random.random_range(padding));
        let numbers = self.numbers(count);
        let (node, user) = (self.node(), self.user());
        let row = self.random.random_range(0..ROWS_STORED);
        let name = name_of(channel, user);
        let (live, application) = (self.nodes[node].live.clone(), self.application.clone());
        self.spawn(node, async move {
            for number in numbers {
                let data = json!({ "number": number, "padding": &padding });
                match CHANNELS[channel].kind {
                    Kind::Open | Kind::Own => {
                        live.publish(&name, &data).await.unwrap();
                    }
                    Kind::Team => {
                        application.store_post(number);
                        if live.publish(&name, &data).await.is_err() {
                            application.never(number);
                        }
                    }
                    Kind::Rows => {
                        let version = application.commit_row(row);
                        // Another writer may overtake it.
                        application.times().hesitate("writers").await;
                        let data = json!({
                            "number": number, "row": row, "version": version, "padding": &padding,
                        });
                        live.publish_version(&name, &data, version).await.unwrap();
                    }
                }
            }
        });
    }

    /// Publishes the newest version of each row, as those who had to publish it may have ended.
    pub fn publish_rows_again(&mut self, node: usize) {
        let versions = self.application.rows();
        for (row, version) in versions.into_iter().enumerate() {
            if version > 0 {
                let number = self.number();
                let live = self.nodes[node].live.clone();
                let data = json!({ "number": number, "row": row, "version": version });
                self.spawn(node, async move {
                    let name = name_of(ROWS, "");
                    live.publish_version(&name, &data, version).await.unwrap();
                });
            }
        }
    }

    async fn publish_by_http(&mut self, channel: usize) {
        let channel = match channel {
            0..OPEN => channel,
            _ => TEAM,
        };
        let (number, node) = (self.number(), self.node());
        if channel == TEAM {
            self.application.store_post(number);
        }
        let path = format!("/publish/{}", name_of(channel, ""));
        let request = Request::post(path).header("content-type", "application/json");
        let data = json!({ "number": number, "by": "HTTP" });
        let request = request.body(Body::from(data.to_string())).unwrap();
        let answer = self.nodes[node].network.request(request).await;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::SERVICE_UNAVAILABLE if channel == TEAM => self.application.never(number),
            status => panic!("{status} for {data}"),
        }
    }

    /// Lets a client publish.
    fn post(&mut self, subscriber: usize) {
        let fates = [
            Fate::Accept,
            Fate::Accept,
            Fate::Accept,
            Fate::Replace,
            Fate::Replace,
            Fate::Refuse,
            Fate::Fail,
            Fate::Panic,
            Fate::Hang,
        ];
        let fate = *fates.choose(&mut self.random).unwrap();
        let row = self.random.random_range(0..ROWS_STORED);
        let channel = *[TEAM, TEAM, ROWS].choose(&mut self.random).unwrap();
        let post = Post {
            number: self.number(),
            fate,
            row: (channel == ROWS).then_some(row),
            padding: "x".repeat(self.random.random_range(0..20)),
        };
        if matches!(fate, Fate::Refuse | Fate::Fail | Fate::Panic) {
            self.application.never(post.number);
        }
        self.send(subscriber, Command::Publish(channel, post));
    }

    fn run(&mut self, subscriber: usize) {
        let ways = [
            How::Reply,
            How::Reply,
            How::Reply,
            How::Refuse,
            How::Fail,
            How::Panic,
            How::Hang,
        ];
        let run = Run {
            number: self.number(),
            how: *ways.choose(&mut self.random).unwrap(),
            ms: self.random.random_range(0..300),
        };
        self.send(subscriber, Command::Run(run));
    }

    fn send(&mut self, subscriber: usize, command: Command) {
        let Subscriber { link, outbox, .. } = &mut self.subscribers[subscriber];
        // Who waits for many that hang waits for long.
        if outbox.hanging() < 3 {
            outbox.send(link, command);
        }
    }

    fn repeat(&mut self, subscriber: usize) {
        let Subscriber { link, outbox, .. } = &mut self.subscribers[subscriber];
        outbox.repeat(link);
    }

    /// Kicks a user out of a channel, who may come again, while something is being published.
    async fn kick(&mut self, subscriber: usize) {
        let user = self.subscribers[subscriber].user;
        let there = self.subscribers[subscriber].channels();
        let stored: Vec<_> = there
            .into_iter()
            .filter(|channel| CHANNELS[*channel].is_stored())
            .collect();
        let channel = stored.choose(&mut self.random).copied().unwrap_or(TEAM);
        self.publish(channel, 1..4, 0..20);
        self.kick_out(user, channel).await;
        self.publish(channel, 1..4, 0..20);
    }

    async fn kick_out(&mut self, user: &'static str, channel: usize) {
        let node = self.node();
        // Who was asking to come in is told twice.
        self.application.note_verdict(user, "kicked", 2);
        let Node { live, network, .. } = &self.nodes[node];
        let (name, id) = (name_of(channel, user), user.into());
        let kicked = network.run_until(live.kick(&id, &name)).await;
        trace(|| format!("kick {user} {name} {kicked:?}, next {}", self.next));
        if kicked.others_unknown || !kicked.unanswered.is_empty() {
            return;
        }
        self.tally.kicked += kicked.sockets as u64;
        self.is_out(user, channel);
    }

    /// Notes that what is published from now on is not for this user.
    fn is_out(&mut self, user: &str, channel: usize) {
        let Self {
            application,
            subscribers,
            next,
            ..
        } = self;
        for subscriber in subscribers.iter_mut().filter(|one| one.user == user) {
            subscriber.is_out(channel, *next, application);
        }
    }

    /// Takes the right of a user away, in one of the ways that there are.
    async fn take_away(&mut self, subscriber: usize) {
        let user = self.subscribers[subscriber].user;
        self.application.bar(user);
        let node = self.node();
        for channel in [TEAM, ROWS] {
            self.publish(channel, 1..3, 0..20);
        }
        match self.random.random_range(0..4) {
            0 => {
                for channel in [TEAM, ROWS] {
                    self.kick_out(user, channel).await;
                }
            }
            1 => {
                let Node { live, network, .. } = &self.nodes[node];
                network.run_until(live.recheck(&user.into())).await;
            }
            2 => {
                let Node { live, network, .. } = &self.nodes[node];
                for channel in [TEAM, ROWS] {
                    let name = name_of(channel, user);
                    network.run_until(live.recheck_channel(&name)).await;
                }
            }
            _ => {
                for subscriber in &mut self.subscribers {
                    subscriber.refresh();
                }
            }
        }
        if self.random.random_bool(0.4) {
            self.lull().await;
        }
    }

    /// Lets the rules be asked again, whatever they say by now.
    async fn recheck(&mut self) {
        let (node, user) = (self.node(), self.user());
        let by_user = self.random.random_bool(0.5);
        let Node { live, network, .. } = &self.nodes[node];
        match by_user {
            true => network.run_until(live.recheck(&user.into())).await,
            false => network.run_until(live.recheck_channel("team")).await,
        };
    }

    /// Lets the server take the sockets of a user out of its own channel, or bring them in.
    async fn join_or_leave(&mut self) {
        let user = self.user();
        let own = name_of(OWN, user);
        let joins = self.random.random_bool(0.6);
        trace(|| format!("{own} joins: {joins}"));
        for node in 0..self.nodes.len() {
            let Node { live, network, .. } = &self.nodes[node];
            for socket in network.handle().user(&user.into()).local_members() {
                if joins {
                    let joined = timeout(MINUTE, live.join(&own, &socket));
                    let joined = network.run_until(joined).await;
                    assert!(joined.is_ok(), "somebody waits for ever to be let in");
                } else {
                    self.application.note_verdict(user, "kicked", 1);
                    // Who was coming in by itself.
                    self.application.note_verdict(user, "subscribe-refused", 1);
                    let left = network.run_until(live.unsubscribe(&own, &socket)).await;
                    left.unwrap();
                }
            }
        }
        if !joins {
            self.is_out(user, OWN);
        }
    }

    /// Asks all sockets of a user something, beside everything else.
    fn ask(&mut self) {
        let (node, user, number) = (self.node(), self.user(), self.number());
        let Node { name, network, .. } = &self.nodes[node];
        let audience = network.handle().user(&user.into());
        let asking = tokio::spawn(asking::ask(audience, number));
        self.asking.push((name, asking));
    }

    /// Asks all sockets of a user something that those answer at once who read.
    async fn ask_now(&mut self) {
        let (node, user, number) = (self.node(), self.user(), self.number());
        let Node { network, .. } = &self.nodes[node];
        let asking = tokio::spawn(asking::ask(network.handle().user(&user.into()), number));
        let is_there = |one: &&Subscriber| {
            one.user == user && one.link.client().is_some() && !one.link.is_slow()
        };
        let before = self.subscribers.iter().filter(is_there).count();
        // The way there and back, over other nodes too.
        self.pass(Duration::from_millis(50)).await;
        self.handle_all().await;
        self.pass(2 * asking::PATIENCE + CALM).await;
        self.handle_all().await;
        let after = self.subscribers.iter().filter(is_there).count();
        let answers = asking.await.unwrap().unwrap();
        if asking::is_answered(number) {
            let expected = before.min(after);
            assert!(
                answers >= expected,
                "{answers} of {expected} clients have answered {number} in time"
            );
            self.tally.asked += answers as u64;
        }
    }

    /// Asks for something that has nothing to do with what others wait for.
    pub async fn probe(&mut self) {
        let (node, number) = (self.node(), self.number());
        self.application.never(number);
        let node = &self.nodes[node];
        let Self {
            bystander,
            application,
            oracle,
            tally,
            ..
        } = self;
        bystander.connect(node).await;
        bystander
            .probe(number, &node.network, application, oracle, tally)
            .await;
    }

    /// Processes end one after the other, so that what was under way is repeated again and again.
    async fn restart_often(&mut self) {
        for _ in 0..2 {
            self.restart().await;
            for subscriber in 0..SUBSCRIBERS {
                self.connect_subscriber(subscriber).await;
                self.run(subscriber);
                self.post(subscriber);
            }
            self.pass_time(1..400).await;
            self.handle_some().await;
        }
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

    pub fn say(&mut self, talker: usize) {
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

    pub async fn pass_time(&mut self, ms: Range<u64>) {
        let ms = self.random.random_range(ms);
        self.pass(Duration::from_millis(ms)).await;
    }
}
