//! A record of what was published, and the checks of what clients are told against it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nextrush::broker::{Clock, ManualClock, Position, Retention};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

/// The time without a use after which the broker may forget a topic.
pub const IDLE: Duration = Duration::from_secs(600);

/// A client that missed more bytes than these does not recover.
const LIMIT_BYTES: usize = 512 * 1024;

/// Written by the broker's side, read by the clients'.
#[derive(Clone)]
pub struct Oracle {
    clock: Arc<ManualClock>,
    topics: Arc<Mutex<HashMap<String, Topic>>>,
}

#[derive(Default)]
struct Topic {
    /// The topic's lives, one after the other; only the last one may go on.
    lives: Vec<Life>,
    /// The broker may have lost everything since its last answer.
    is_lost: bool,
    used_ms: u64,
    interests: usize,
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
    pub fn new(clock: &Arc<ManualClock>) -> Self {
        Self {
            clock: Arc::clone(clock),
            topics: Arc::default(),
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
        assert!(before.is_none(), "an offset is used once");
    }

    /// The broker has said where a topic stands; it was asked when the topic was known to be
    /// at `before`. What was acknowledged since may be in it or not.
    pub fn read(&self, topic: &str, position: Position, before: Option<&Seen>) {
        let epoch = position.epoch.to_string();
        drop(self.used(topic, &epoch));
        let top = before.filter(|before| before.epoch == epoch);
        let top = top.map_or(0, |before| before.offset);
        assert!(position.offset >= top, "a history ends at the top");
    }

    pub fn interest(&self, topic: &str, change: isize) {
        let mut topics = self.topics();
        let topic = topics.entry(topic.to_owned()).or_default();
        let now_ms = self.clock.now_ms();
        topic.is_lost = topic.may_be_lost(now_ms);
        topic.used_ms = now_ms;
        let interests = topic.interests.checked_add_signed(change);
        topic.interests = interests.expect("no interest is taken back twice");
    }

    /// The process ends, and with it what the broker remembers, if it `forgets`.
    pub fn end_process(&self, forgets: bool) {
        for topic in self.topics().values_mut() {
            topic.interests = 0;
            topic.is_lost |= forgets;
        }
    }

    /// The topics that the broker has to tell the node about.
    pub fn interesting(&self) -> Vec<String> {
        let topics = self.topics();
        let interesting = topics.iter().filter(|(_, topic)| topic.interests > 0);
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

    /// The data of the publication at a position.
    pub fn data(&self, topic: &str, at: &Seen) -> Value {
        let topics = self.topics();
        let lives = &topics[topic].lives;
        let life = lives.iter().find(|life| life.epoch == at.epoch);
        let life = life.expect("a known epoch");
        let index = usize::try_from(at.offset - 1).unwrap();
        let published = life.published[index].as_ref();
        published.expect("it was acknowledged").data.clone()
    }

    /// Asserts that nothing was published twice within `window`, by what `key` makes of it.
    pub fn check_once(&self, topic: &str, window: Duration, key: impl Fn(&Value) -> String) {
        let topics = self.topics();
        for life in topics.get(topic).into_iter().flat_map(|topic| &topic.lives) {
            let mut last = HashMap::new();
            for published in &life.published {
                let Published { data, at_ms } = published.as_ref().expect("no offset is left out");
                let before = last.insert(key(data), *at_ms);
                let is_repeat = before.is_some_and(|before| at_ms - before < whole_ms(window));
                assert!(!is_repeat, "published twice: {data}");
            }
        }
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
                retention: Retention::NOTHING,
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
        self.is_lost || (self.interests == 0 && now_ms - self.used_ms >= whole_ms(IDLE))
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
