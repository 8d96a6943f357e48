//! The promises: those that hold always, those when nothing is under way, and those in the end.

use std::collections::BTreeMap;

use rand::Rng;
use serde_json::Value;

use super::channels::{
    CHANNELS, KEPT_LONG, KEPT_SHORT, ROWS, TEAM, USERS, topic_of_channel, topic_of_room,
};
use super::once::WINDOW;
use super::subscriber::Subscriber;
use super::tally::Tally;
use super::world::World;
use super::{CALM, MUCH, ROOMS, SUBSCRIBERS, TALKERS};

/// The rounds of calm after which everything has been answered.
const PATIENCE: usize = 60;

impl World {
    /// Checks what tasks and functions have found out by now.
    pub async fn check_always(&mut self) {
        self.application.posts().check();
        self.application.runs().check();
        for (_, task) in self.tasks.extract_if(.., |(_, task)| task.is_finished()) {
            task.await.unwrap();
        }
        for (_, asked) in self.asking.extract_if(.., |(_, task)| task.is_finished()) {
            if let Err(fault) = asked.await.unwrap() {
                panic!("{fault}");
            }
        }
    }

    /// Waits until everybody has all answers, and checks that nobody is where it may not be.
    pub async fn lull(&mut self) {
        for round in 0.. {
            for subscriber in &mut self.subscribers {
                subscriber.link.resume();
                subscriber.outbox.repeat(&subscriber.link);
            }
            self.pass(CALM).await;
            self.handle_all().await;
            let is_gone = |one: &Subscriber| one.link.client().is_none();
            let mut all = self.subscribers.iter();
            // Rules that are asked again are done by then, too.
            if round >= 5 && all.all(|one| is_gone(one) || one.is_answered()) {
                break;
            }
            assert!(round < PATIENCE, "somebody waits for ever for an answer");
        }
        for subscriber in &self.subscribers {
            subscriber.check_access(&self.application);
        }
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
    pub async fn finish(mut self) -> Tally {
        self.application.times().get_well();
        for user in USERS {
            self.application.allow(user);
        }
        // It takes longer than all the rest.
        if self.random.random_bool(0.25) {
            self.fall_behind().await;
        }
        for round in 0.. {
            for subscriber in &mut self.subscribers {
                subscriber.link.resume();
            }
            for talker in &mut self.talkers {
                talker.link.resume();
            }
            self.calm_down().await;
            self.come_back().await;
            let mut all = self.subscribers.iter();
            // Who was slow may be closed for it only now, and comes back once more.
            if round > 0 && all.all(|one| one.is_answered() && one.is_everywhere()) {
                break;
            }
            if round == PATIENCE {
                break;
            }
        }
        let mut tasks = self.tasks.iter();
        assert!(
            tasks.all(|(_, task)| task.is_finished()),
            "a publisher waits for ever"
        );
        let mut asking = self.asking.iter();
        assert!(
            asking.all(|(_, task)| task.is_finished()),
            "a request waits for ever"
        );
        for subscriber in &self.subscribers {
            subscriber.check_access(&self.application);
            subscriber.check_done(&self.application, &self.oracle);
        }
        for talker in &self.talkers {
            talker.check_done(&self.oracle);
        }
        self.check_log();
        self.check_that_nothing_stays().await
    }

    /// Checks what was published.
    fn check_log(&self) {
        for room in 0..ROOMS {
            let text = |post: &Value| post["text"].to_string();
            self.oracle.check_once(&topic_of_room(room), WINDOW, text);
        }
        let number = |data: &Value| data["number"].to_string();
        for channel in 0..CHANNELS.len() {
            for user in USERS {
                let topic = topic_of_channel(channel, user);
                self.oracle.check_once(&topic, WINDOW, number);
                self.oracle.check_each(&topic, |_: &mut (), data, _| {
                    let number = u32::try_from(data["number"].as_u64().unwrap()).unwrap();
                    let is_refused = self.application.is_never(number);
                    assert!(!is_refused, "refused, and yet published in {topic}: {data}");
                });
            }
        }
        let rows = topic_of_channel(ROWS, "");
        self.oracle
            .check_each(&rows, |last: &mut BTreeMap<_, _>, data, _| {
                let version = data["version"].as_u64().unwrap();
                let before = last.insert(data["row"].as_u64().unwrap(), version);
                let is_newer = before.is_none_or(|before| version > before);
                assert!(is_newer, "an older version after {before:?}: {data}");
            });
    }

    async fn come_back(&mut self) {
        for subscriber in 0..SUBSCRIBERS {
            self.connect_subscriber(subscriber).await;
            let subscriber = &mut self.subscribers[subscriber];
            subscriber.outbox.repeat(&subscriber.link);
            (0..CHANNELS.len()).for_each(|channel| subscriber.subscribe(channel));
        }
        for talker in 0..TALKERS {
            self.connect_talker(talker).await;
        }
        self.calm_down().await;
    }

    async fn calm_down(&mut self) {
        for _ in 0..3 {
            self.pass(CALM).await;
            self.handle_all().await;
        }
    }

    async fn check_that_nothing_stays(mut self) -> Tally {
        // They go while some are on the way to be healed.
        for subscriber in &mut self.subscribers {
            subscriber.link.slow_down(1, true);
        }
        for channel in [KEPT_LONG, KEPT_SHORT, TEAM] {
            self.publish(channel, 25..35, MUCH..MUCH + 1);
        }
        self.pass(CALM).await;
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
        self.bystander.cut();
        self.pass(3 * CALM).await;
        for node in 0..self.nodes.len() {
            self.note_slow_readers(node);
            let node = &self.nodes[node];
            assert_eq!(node.network.handle().local_connections(), 0);
            assert_eq!(node.live.local_channels(), []);
            assert_eq!(node.chat.local_rooms(), []);
        }
        assert_eq!(self.oracle.interesting(), [""; 0], "the broker was told");
        self.tally
    }
}
