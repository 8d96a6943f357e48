//! The memory broker's history compared with a plain model.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use nextrush_broker::{
    Broker, HistoryQuery, ManualClock, MemoryBroker, Publish, Retention, TopicName,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Publish { retention: Retention },
    Read(HistoryQuery),
    Pass(u64),
    SetClock(u64),
}

fn retention(count: usize, age: Option<Duration>, bytes: Option<usize>) -> Retention {
    let retention = Retention::count(count);
    let retention = age.map_or(retention, |age| retention.max_age(age));
    bytes.map_or(retention, |bytes| retention.max_bytes(bytes))
}

fn step() -> impl Strategy<Value = Step> {
    let age = prop::option::of((0..50u64).prop_map(Duration::from_millis));
    let count = prop_oneof![0..6usize, Just(usize::MAX)];
    let bytes = prop::option::of(0..12usize);
    let limit = prop_oneof![0..8usize, Just(usize::MAX)];
    let offset = prop_oneof![0..40u64, Just(u64::MAX)];
    prop_oneof![
        3 => (count, age, bytes).prop_map(|(count, age, bytes)| Step::Publish {
            retention: retention(count, age, bytes),
        }),
        1 => limit.clone().prop_map(|limit| Step::Read(HistoryQuery::Latest(limit))),
        2 => (offset, limit)
            .prop_map(|(offset, limit)| Step::Read(HistoryQuery::After { offset, limit })),
        2 => (0..30u64).prop_map(Step::Pass),
        // By little, and by more than a minute.
        1 => prop_oneof![0..200u64, 0..200_000u64].prop_map(Step::SetClock),
    ]
}

/// Every publication so far, and the time since which each is gone.
#[derive(Default)]
struct Model {
    all: Vec<Entry>,
    retention: Retention,
    /// The time of day.
    clock_ms: u64,
    /// The time that has passed.
    passed_ms: u64,
}

#[derive(Clone)]
struct Entry {
    offset: u64,
    time_ms: u64,
    since_ms: u64,
    gone: bool,
}

impl Model {
    fn publish(&mut self, retention: Retention) {
        let offset = self.all.len() as u64 + 1;
        let last_ms = self.all.last().map_or(0, |last| last.time_ms);
        let is_little = self.clock_ms + 60_000 >= last_ms;
        self.all.push(Entry {
            offset,
            time_ms: match is_little {
                true => self.clock_ms.max(last_ms),
                false => self.clock_ms,
            },
            since_ms: self.passed_ms,
            gone: false,
        });
        self.retention = retention;
        self.age();
    }

    fn age(&mut self) {
        let top = self.all.len() as u64;
        // The data of a publication is its offset in decimal.
        let mut bytes = 0;
        for entry in self.all.iter_mut().rev() {
            bytes += entry.offset.to_string().len();
            entry.gone |= self.retention.bytes.is_some_and(|limit| bytes > limit);
            let newer = top - entry.offset;
            let old = Duration::from_millis(self.passed_ms - entry.since_ms);
            entry.gone |= newer >= self.retention.count as u64
                || self.retention.age.is_some_and(|age| old >= age);
        }
    }

    fn read(&mut self, query: HistoryQuery) -> Vec<(u64, u64)> {
        self.age();
        let there = self.all.iter().filter(|entry| !entry.gone);
        let pair = |entry: &Entry| (entry.offset, entry.time_ms);
        match query {
            HistoryQuery::Latest(limit) => {
                let mut newest: Vec<_> = there.rev().take(limit).map(pair).collect();
                newest.reverse();
                newest
            }
            HistoryQuery::After { offset, limit } => there
                .filter(|entry| entry.offset > offset)
                .take(limit)
                .map(pair)
                .collect(),
        }
    }
}

proptest! {
    #[test]
    fn history_is_what_a_plain_model_keeps(steps in prop::collection::vec(step(), 1..60)) {
        let clock = Arc::new(ManualClock::new(0));
        let broker = MemoryBroker::builder().clock(clock.clone()).build();
        let topic = TopicName::try_from("model").unwrap();
        let mut model = Model::default();
        let mut epoch = None;

        for step in steps {
            match step {
                Step::Pass(ms) => {
                    clock.advance(Duration::from_millis(ms));
                    model.clock_ms += ms;
                    model.passed_ms += ms;
                }
                Step::SetClock(ms) => {
                    clock.set(ms);
                    model.clock_ms = ms;
                }
                Step::Publish { retention } => {
                    model.publish(retention);
                    let data = Bytes::from(model.all.len().to_string());
                    let position = broker
                        .publish(&topic, Publish::new(data).retain(retention))
                        .now_or_never()
                        .expect("the memory broker never waits")
                        .unwrap()
                        .position;
                    prop_assert_eq!(position.offset, model.all.len() as u64);
                    prop_assert_eq!(*epoch.get_or_insert(position.epoch), position.epoch);
                }
                Step::Read(query) => {
                    let history = broker
                        .history(&topic, query)
                        .now_or_never()
                        .expect("the memory broker never waits")
                        .unwrap();
                    let kept: Vec<_> = history
                        .publications
                        .iter()
                        .map(|kept| (kept.offset, kept.time_ms))
                        .collect();
                    prop_assert_eq!(kept, model.read(query), "{:?}", query);
                    prop_assert_eq!(history.position.offset, model.all.len() as u64);
                    prop_assert_eq!(*epoch.get_or_insert(history.position.epoch), history.position.epoch);
                    for kept in &history.publications {
                        prop_assert_eq!(&kept.data, &kept.offset.to_string());
                    }
                }
            }
        }
    }
}
