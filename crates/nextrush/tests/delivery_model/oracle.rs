//! A record of what was published, and the checks of what clients are told against it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nextrush::broker::{Clock, Position, Retention};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

/// The time without a use after which the broker may forget a topic.
pub const IDLE: Duration = Duration::from_secs(600);

/// A client that missed more bytes than these does not recover.
const LIMIT_BYTES: usize = 512 * 1024;

/// Written by the broker's side, read by the clients'.
#[derive(Clone)]
pub struct Oracle {
    clock: Arc<dyn Clock>,
    topics: Arc<Mutex<HashMap<String, Topic>>>,
    /// Nodes share the store: others may hear of a publication before its publisher does, and who
    /// crashes has not heard of what it published.
    is_shared: bool,
}

#[derive(Default)]
struct Topic {
    /// The topic's lives, one after the other; only the last one may go on.
    lives: Vec<Life>,
    /// The broker may have lost everything since its last answer.
    is_lost: bool,
    used_ms: u64,
    /// By node.
    interests: BTreeMap<&'static str, usize>,
    /// The data that somebody has begun to publish, with the time.
    begun: Vec<(u64, Value)>,
    retention: Retention,
}

struct Life {
    epoch: String,
    retention: Retention,
    /// The first one has offset 1. `None`: its publisher has not been told yet.
    published: Vec<Option<Published>>,
}

struct Published {
    data: Value,
    at_ms: u64,
}

/// A position as a client knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    pub epoch: String,
    pub offset: u64,
}

impl Oracle {
    pub fn new(clock: &Arc<dyn Clock>, is_shared: bool) -> Self {
        Self {
            clock: Arc::clone(clock),
            topics: Arc::default(),
            is_shared,
        }
    }

    /// Somebody begins to publish.
    pub fn begun(&self, topic: &str, data: Value, retention: Retention) {
        let now_ms = self.clock.now_ms();
        let mut topics = self.topics();
        let topic = topics.entry(topic.to_owned()).or_default();
        topic.retention = retention;
        if self.is_shared {
            topic.begun.push((now_ms, data));
        }
    }

    /// The broker has numbered a publication.
    pub fn published(&self, topic: &str, position: Position, data: Value, retention: Retention) {
        let at_ms = self.clock.now_ms();
        let mut topics = self.used(topic, &position.epoch.to_string());
        let life = topics.get_mut(topic).unwrap().lives.last_mut().unwrap();
        life.retention = retention;
        let index = usize::try_from(position.offset - 1).unwrap();
        if index >= life.published.len() {
            life.published.resize_with(index + 1, || None);
        }
        let before = life.published[index].replace(Published { data, at_ms });
        match before {
            // Its subscribers have heard of it before its publisher.
            Some(before) if self.is_shared => {
                let now = life.published[index].as_ref();
                assert_eq!(
                    Some(&before.data),
                    now.map(|now| &now.data),
                    "{topic} {index}"
                );
            }
            before => assert!(before.is_none(), "an offset is used once"),
        }
    }

    /// The broker has said where a topic stands; it was asked when the topic was known to be
    /// at `before`. What was acknowledged since may be in it or not.
    pub fn read(&self, topic: &str, position: Position, before: Option<&Seen>) {
        let epoch = position.epoch.to_string();
        drop(self.used(topic, &epoch));
        let top = before.filter(|before| before.epoch == epoch);
        let top = top.map_or(0, |before| before.offset);
        // A node may not have heard yet of what another one was told.
        assert!(
            position.offset >= top || self.is_shared,
            "a history ends at the top"
        );
    }

    pub fn interest(&self, node: &'static str, topic: &str, change: isize) {
        let mut topics = self.topics();
        let topic = topics.entry(topic.to_owned()).or_default();
        let now_ms = self.clock.now_ms();
        topic.is_lost = topic.may_be_lost(now_ms);
        topic.used_ms = now_ms;
        let interests = topic.interests.entry(node).or_default();
        let changed = interests.checked_add_signed(change);
        *interests = changed.expect("no interest is taken back twice");
    }

    /// A process ends, and with it what the broker remembers, if it `forgets`.
    pub fn end_process(&self, node: &str, forgets: bool) {
        for topic in self.topics().values_mut() {
            topic.interests.remove(node);
            topic.is_lost |= forgets;
        }
    }

    /// The topics that the broker has to tell nodes about, but for those of nodes themselves.
    pub fn interesting(&self) -> Vec<String> {
        let topics = self.topics();
        let interesting = topics
            .iter()
            .filter(|(name, topic)| topic.is_interesting() && !name.starts_with("nr.auth/"));
        interesting.map(|(name, _)| name.clone()).collect()
    }

    /// The position of the newest publication; `None` where nobody has asked.
    pub fn top(&self, topic: &str) -> Option<Seen> {
        let topics = self.topics();
        let life = topics.get(topic)?.lives.last()?;
        Some(Seen {
            epoch: life.epoch.clone(),
            offset: life.top(),
        })
    }

    /// The data of the publication at a position. Where it is not known what is there, it has to
    /// be what somebody has published and what `is_told` takes for it.
    pub fn data(&self, topic: &str, at: &Seen, is_told: impl Fn(&Value) -> bool) -> Value {
        if self.is_shared {
            self.learn(topic, at, is_told);
        }
        let topics = self.topics();
        let lives = &topics[topic].lives;
        let life = lives.iter().find(|life| life.epoch == at.epoch);
        let life = life.expect("a known epoch");
        let index = usize::try_from(at.offset - 1).unwrap();
        let published = life.published[index].as_ref();
        published.expect("it was acknowledged").data.clone()
    }

    fn learn(&self, topic: &str, at: &Seen, is_told: impl Fn(&Value) -> bool) {
        let index = usize::try_from(at.offset - 1).unwrap();
        let mut topics = self.used(topic, &at.epoch);
        let known = topics.get_mut(topic).expect("it is used");
        let Topic { lives, begun, .. } = known;
        let life = lives.iter_mut().find(|life| life.epoch == at.epoch);
        let life = life.expect("a known epoch");
        if index >= life.published.len() {
            life.published.resize_with(index + 1, || None);
        }
        if life.published[index].is_none() {
            let told = begun.iter().rfind(|(_, data)| is_told(data));
            let (at_ms, data) = told.expect("somebody has published it").clone();
            life.published[index] = Some(Published { data, at_ms });
        }
    }

    /// Asserts that nothing was published twice within `window`, by what `key` makes of it.
    pub fn check_once(&self, topic: &str, window: Duration, key: impl Fn(&Value) -> String) {
        self.check_each(topic, |last: &mut HashMap<_, _>, data, at_ms| {
            let before = last.insert(key(data), at_ms);
            let is_repeat = before.is_some_and(|before| at_ms - before < whole_ms(window));
            assert!(!is_repeat, "published twice: {data}");
        });
    }

    /// Calls `check` for each publication of each life of a topic, in their order, with something
    /// that begins anew with each life.
    pub fn check_each<T: Default>(&self, topic: &str, check: impl Fn(&mut T, &Value, u64)) {
        let topics = self.topics();
        for life in topics.get(topic).into_iter().flat_map(|topic| &topic.lives) {
            let mut state = T::default();
            for published in &life.published {
                match published {
                    Some(Published { data, at_ms }) => check(&mut state, data, *at_ms),
                    None => assert!(self.is_shared, "no offset is left out"),
                }
            }
        }
    }

    /// The data of all publications of a topic up to a position, as far as they are known.
    pub fn up_to(&self, topic: &str, at: &Seen) -> Vec<Value> {
        let topics = self.topics();
        let lives = topics.get(topic).map_or(&[][..], |topic| &topic.lives);
        let life = lives.iter().find(|life| life.epoch == at.epoch);
        let published = life.into_iter().flat_map(|life| &life.published);
        let count = usize::try_from(at.offset).unwrap();
        published
            .take(count)
            .flatten()
            .map(|published| published.data.clone())
            .collect()
    }

    /// A client with this position was told that it has lost what lies between it and
    /// `now`: whether that can be.
    pub fn check_lost(&self, topic: &str, since: &Seen, now: &Seen, limit: usize) {
        assert_eq!(since.epoch, now.epoch, "another epoch is another reason");
        assert!(since.offset < now.offset, "nothing was missed");
        let topics = self.topics();
        let lives = &topics[topic].lives;
        let life = lives.iter().find(|life| life.epoch == now.epoch).unwrap();
        // The latest moment at which this was the top.
        let next = life.published.get(usize::try_from(now.offset).unwrap());
        let at_ms = next
            .and_then(Option::as_ref)
            .map_or(self.clock.now_ms(), |next| next.at_ms);
        let first = life.first_kept(now.offset, at_ms);
        let [from, to] = [since.offset, now.offset].map(|offset| usize::try_from(offset).unwrap());
        let missed = &life.published[from..to];
        let bytes = missed.iter().flatten();
        let bytes = bytes.map(|missed| missed.data.to_string().len());
        assert!(
            first > since.offset + 1 || missed.len() > limit || bytes.sum::<usize>() > LIMIT_BYTES,
            "{topic} reached back to {first}, so {since:?} could have had all up to {now:?}"
        );
    }

    /// A slow client was told that it will not get what comes before `to`, and that: whether
    /// it is not kept any more.
    pub fn check_gap(&self, topic: &str, to: u64) {
        let topics = self.topics();
        let life = topics[topic].life();
        let first = life.first_kept(life.top(), self.clock.now_ms());
        assert!(
            first > to,
            "{topic} reached back to {first}, no gap to {to}"
        );
    }

    /// Notes a use, and a new epoch, if there may be one.
    fn used(&self, topic: &str, epoch: &str) -> MutexGuard<'_, HashMap<String, Topic>> {
        let now_ms = self.clock.now_ms();
        let mut topics = self.topics();
        let known = topics.entry(topic.to_owned()).or_default();
        if known.lives.last().is_none_or(|life| life.epoch != epoch) {
            let may_begin = known.lives.is_empty() || known.may_be_lost(now_ms);
            assert!(may_begin, "{topic} was forgotten");
            known.lives.push(Life {
                epoch: epoch.to_owned(),
                retention: known.retention,
                published: Vec::new(),
            });
        }
        known.is_lost = false;
        known.used_ms = now_ms;
        topics
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, Topic>> {
        self.topics.lock()
    }
}

impl Topic {
    fn may_be_lost(&self, now_ms: u64) -> bool {
        self.is_lost || (!self.is_interesting() && now_ms - self.used_ms >= whole_ms(IDLE))
    }

    fn is_interesting(&self) -> bool {
        self.interests.values().any(|interests| *interests > 0)
    }

    fn life(&self) -> &Life {
        self.lives.last().unwrap()
    }
}

impl Life {
    fn top(&self) -> u64 {
        self.published.len() as u64
    }

    /// The oldest one that was kept when `top` was the newest and this was the time.
    fn first_kept(&self, top: u64, at_ms: u64) -> u64 {
        let Retention { count, age, .. } = self.retention;
        let by_count = (top + 1).saturating_sub(count as u64).max(1);
        let by_age = self.published.partition_point(|published| {
            let ends = age.zip(published.as_ref());
            ends.is_some_and(|(age, published)| published.at_ms + whole_ms(age) <= at_ms)
        });
        let by_age = by_age as u64 + 1;
        by_count.max(by_age)
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}
