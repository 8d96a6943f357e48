//! The promises of the memory broker beyond those of every broker: how long it remembers, and
//! how little it keeps.

use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use nextrush_broker::{
    Attempt, BoxFuture, Broker, BrokerError, Claim, CommandKey, Epoch, History, HistoryQuery,
    ManualClock, MemoryBroker, MemoryLimits, Position, Publication, Publish, Retention, Sink,
    TopicName,
};
use parking_lot::Mutex;

const START_MS: u64 = 1_700_000_000_000;
const ALL: HistoryQuery = HistoryQuery::Latest(usize::MAX);
const NOTHING: Retention = Retention::NOTHING;
/// A time in which every topic is swept once.
const A_ROUND: Duration = Duration::from_secs(64);

struct Fixture {
    broker: MemoryBroker,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new(topics: usize, idle: Duration) -> Self {
        Self::with(MemoryLimits::default().topics(topics).idle(idle))
    }

    fn with(limits: MemoryLimits) -> Self {
        let clock = Arc::new(ManualClock::new(START_MS));
        let broker = MemoryBroker::builder()
            .limits(limits)
            .clock(clock.clone())
            .build();
        Self { broker, clock }
    }

    fn publish(&self, name: &str, retention: Retention) -> Position {
        self.say(name, "x", retention)
    }

    fn say(&self, name: &str, data: impl Into<Bytes>, retention: Retention) -> Position {
        let publish = Publish::new(data).retain(retention);
        done(self.broker.publish(&topic(name), publish)).position
    }

    fn history(&self, name: &str) -> History {
        done(self.broker.history(&topic(name), ALL))
    }

    fn subscribe(&self, name: &str) {
        done(self.broker.subscribe(&topic(name)));
    }

    fn unsubscribe(&self, name: &str) {
        done(self.broker.unsubscribe(&topic(name)));
    }
}

fn done<T>(future: BoxFuture<'_, Result<T, BrokerError>>) -> T {
    future
        .now_or_never()
        .expect("the memory broker never waits")
        .expect("the memory broker never fails")
}

fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).expect("a valid name")
}

#[test]
fn publications_expire_at_their_age_and_the_position_stays() {
    let fixture = Fixture::new(10, Duration::from_secs(3600));
    let retention = Retention::count(10).max_age(Duration::from_secs(5));
    let first = fixture.publish("a", retention);
    fixture.clock.advance(Duration::from_secs(2));
    let second = fixture.publish("a", retention);

    fixture.clock.advance(Duration::from_millis(2999));
    assert_eq!(fixture.history("a").publications.len(), 2);
    fixture.clock.advance(Duration::from_millis(1));
    let history = fixture.history("a");
    assert_eq!(history.publications.len(), 1);
    assert_eq!(history.publications[0].offset, 2);
    assert_eq!(history.publications[0].time_ms, START_MS + 2000);
    fixture.clock.advance(Duration::from_secs(2));
    let history = fixture.history("a");
    assert_eq!(history.publications, []);
    assert_eq!(history.position, second);
    assert_eq!(first.epoch, second.epoch);
}

#[test]
fn an_epoch_tells_when_the_topic_was_first_used() {
    let fixture = Fixture::new(10, Duration::from_secs(3600));
    fixture.clock.advance(Duration::from_secs(7));
    let epoch = fixture.history("a").position.epoch;
    fixture.clock.advance(Duration::from_secs(7));
    assert_eq!(fixture.publish("a", NOTHING).epoch, epoch);
    assert_eq!(epoch.created_ms(), START_MS + 7000);
}

#[test]
fn a_topic_unused_for_the_idle_time_is_forgotten_and_begins_a_new_epoch() {
    let fixture = Fixture::new(10, Duration::from_secs(600));
    let before = fixture.publish("a", NOTHING);

    fixture.clock.advance(Duration::from_secs(599));
    assert_eq!(fixture.history("a").position, before, "reading is use");
    fixture.clock.advance(Duration::from_secs(599));
    assert_eq!(fixture.history("a").position, before);

    fixture.clock.advance(Duration::from_secs(600) + A_ROUND);
    let after = fixture.history("a").position;
    assert_eq!(after.offset, 0);
    assert_ne!(after.epoch, before.epoch);
    assert!(after.epoch > before.epoch);
    assert_eq!(
        fixture.publish("a", NOTHING),
        Position { offset: 1, ..after }
    );
}

#[test]
fn use_of_any_topic_frees_those_that_are_idle() {
    let fixture = Fixture::new(10_000, Duration::from_secs(600));
    for number in 0..1000 {
        fixture.publish(&format!("idle-{number}"), NOTHING);
    }
    assert_eq!(fixture.broker.topic_count(), 1000);
    fixture.clock.advance(Duration::from_secs(600));
    // Each second a publication sweeps some of them.
    for _ in 0..A_ROUND.as_secs() {
        fixture.clock.advance(Duration::from_secs(1));
        fixture.publish("busy", NOTHING);
    }
    assert_eq!(fixture.broker.topic_count(), 1);
}

#[test]
fn expired_publications_are_freed_though_nobody_touches_their_topic() {
    let fixture = Fixture::new(10, Duration::from_secs(3600));
    let payload: Arc<[u8]> = Arc::from([7; 1000]);
    let alive = Arc::downgrade(&payload);
    let retention = Retention::count(10).max_age(Duration::from_secs(60));
    fixture.say("quiet", Bytes::from_owner(payload), retention);
    assert!(alive.upgrade().is_some());

    fixture.clock.advance(A_ROUND);
    fixture.publish("busy", NOTHING);
    assert!(alive.upgrade().is_none());
    assert_eq!(
        fixture.history("quiet").position.offset,
        1,
        "the topic itself is remembered"
    );
}

#[test]
fn the_idle_time_begins_when_the_history_has_expired() {
    let fixture = Fixture::new(10, Duration::from_secs(600));
    let retention = Retention::count(1).max_age(Duration::from_secs(3600));
    let before = fixture.publish("a", retention);
    fixture.clock.advance(Duration::from_secs(3600 + 599));
    fixture.publish("busy", NOTHING);
    assert_eq!(fixture.broker.topic_count(), 2);
    assert_eq!(fixture.history("a").position, before);
}

#[test]
fn history_without_an_age_and_subscribed_topics_are_not_forgotten_with_time() {
    let fixture = Fixture::new(10, Duration::from_secs(600));
    let kept = fixture.publish("kept", Retention::count(1));
    fixture.subscribe("watched");
    let watched = fixture.publish("watched", NOTHING);
    for _ in 0..10 {
        fixture.clock.advance(Duration::from_secs(86_400));
        fixture.publish("busy", NOTHING);
    }
    assert_eq!(fixture.history("kept").position, kept);
    assert_eq!(fixture.history("kept").publications.len(), 1);
    assert_eq!(fixture.history("watched").position, watched);

    fixture.unsubscribe("watched");
    fixture.clock.advance(Duration::from_secs(600) + A_ROUND);
    assert_ne!(fixture.history("watched").position.epoch, watched.epoch);
}

#[test]
fn beyond_the_limit_the_topic_with_least_to_lose_is_forgotten() {
    let fixture = Fixture::new(4, Duration::from_secs(3600));
    let tick = || fixture.clock.advance(Duration::from_millis(1));
    fixture.subscribe("watched");
    tick();
    let old = fixture.publish("history-old", Retention::count(1));
    tick();
    let new = fixture.publish("history-new", Retention::count(1));
    tick();
    let empty = fixture.publish("empty", NOTHING);
    tick();

    fixture.publish("fifth", Retention::count(1));
    assert_eq!(fixture.broker.topic_count(), 4);
    assert_eq!(fixture.history("history-old").position, old);
    tick();
    assert_eq!(fixture.history("history-new").position, new);
    tick();
    assert_eq!(fixture.history("fifth").position.offset, 1);
    tick();
    // The topic without history was forgotten. Coming back it pushes out the longest unused.
    let again = fixture.publish("empty", Retention::count(1));
    assert_ne!(again.epoch, empty.epoch);
    assert_eq!(fixture.broker.topic_count(), 4);
    assert_eq!(fixture.history("history-new").position, new);
    assert_eq!(fixture.history("fifth").position.offset, 1);
    assert_eq!(fixture.history("empty").position, again);
    assert_ne!(fixture.history("history-old").position.epoch, old.epoch);
}

#[test]
fn a_topic_that_was_just_begun_does_not_make_room_for_others() {
    let fixture = Fixture::new(1, Duration::from_secs(3600));
    fixture.publish("with history", Retention::count(1));
    let begun = fixture.history("begun").position;
    assert_eq!(fixture.broker.topic_count(), 1);
    assert_eq!(
        fixture.publish("begun", NOTHING),
        Position { offset: 1, ..begun }
    );
}

#[test]
fn a_flood_of_topics_stays_within_the_limit() {
    let fixture = Fixture::new(1000, Duration::from_secs(3600));
    for number in 0..20_000 {
        fixture.publish(&format!("flood-{number}"), Retention::count(1));
        assert!(
            fixture.broker.topic_count() <= 1000,
            "{} topics",
            fixture.broker.topic_count()
        );
    }
    // A sixteenth was forgotten at a time, and not everything.
    assert!(
        fixture.broker.topic_count() > 900,
        "{} topics",
        fixture.broker.topic_count()
    );
}

#[test]
fn subscribed_topics_come_on_top_of_the_limit() {
    let fixture = Fixture::new(100, Duration::from_secs(3600));
    for number in 0..200 {
        fixture.subscribe(&format!("watched-{number}"));
    }
    let positions: Vec<Position> = (0..200)
        .map(|number| fixture.publish(&format!("watched-{number}"), NOTHING))
        .collect();
    let mut most = 0;
    for number in 0..2000 {
        fixture.publish(&format!("flood-{number}"), NOTHING);
        most = most.max(fixture.broker.topic_count());
    }
    // A new topic causes a look at all only once for each sixteenth.
    assert!((210..=220).contains(&most), "{most} topics");
    for (number, position) in positions.into_iter().enumerate() {
        assert_eq!(
            fixture.history(&format!("watched-{number}")).position,
            position
        );
    }
}

#[test]
fn histories_stay_within_the_bytes_and_positions_stay_with_them() {
    let fixture = Fixture::with(MemoryLimits::default().history_bytes(100_000));
    fixture.subscribe("watched");
    let retention = Retention::count(usize::MAX);
    for round in 0..1000 {
        fixture.clock.advance(Duration::from_millis(1));
        for name in ["watched", "a", "b"] {
            fixture.say(name, vec![0; round % 700], retention);
            assert!(fixture.broker.history_bytes() <= 100_000);
        }
    }
    // A sixteenth was forgotten at a time, and not everything.
    assert!(fixture.broker.history_bytes() > 90_000);
    for name in ["watched", "a", "b"] {
        let history = fixture.history(name);
        assert_eq!(history.position.offset, 1000, "{name}");
        let offsets = history.publications.iter().map(|kept| kept.offset);
        let oldest = 1001 - history.publications.len() as u64;
        assert!(offsets.eq(oldest..=1000), "{name}");
    }
}

#[test]
fn the_largest_histories_are_cut_first_and_small_ones_stay() {
    let fixture = Fixture::with(MemoryLimits::default());
    let retention = Retention::count(usize::MAX);
    for _ in 0..100 {
        fixture.say("small", vec![0; 1000], retention);
    }
    // 310 MiB in 50 rooms, where 256 are kept; in memory they share the bytes.
    let data = Bytes::from(vec![0; 1 << 16]);
    for round in 0..100 {
        fixture.clock.advance(Duration::from_millis(1));
        for number in 0..50 {
            fixture.say(&format!("large-{number}"), data.clone(), retention);
        }
        assert_eq!(fixture.history("small").publications.len(), 100, "{round}");
    }
    for number in 0..50 {
        let kept = fixture
            .history(&format!("large-{number}"))
            .publications
            .len();
        assert!((70..100).contains(&kept), "{kept}");
    }
    assert!(fixture.broker.history_bytes() <= 256 << 20);
}

#[test]
fn what_the_framework_keeps_for_itself_is_neither_cut_nor_forgotten_for_others() {
    let fixture = Fixture::with(MemoryLimits::default().topics(10).history_bytes(100_000));
    let retention = Retention::count(usize::MAX);
    // The largest, the oldest, and without anybody who listens.
    for _ in 0..90 {
        fixture.say("nr.auth/tokens/revoked", vec![0; 1000], retention);
    }
    for round in 0..1000 {
        fixture.clock.advance(Duration::from_millis(1));
        fixture.say(&format!("topic {}", round % 50), vec![0; 700], retention);
    }
    assert!(fixture.broker.topic_count() <= 11);
    let kept = fixture.history("nr.auth/tokens/revoked");
    assert_eq!(kept.publications.len(), 90);
}

#[test]
fn what_is_let_go_of_or_forgotten_counts_no_more() {
    let fixture = Fixture::new(10, Duration::from_secs(600));
    let aged = Retention::count(9).max_age(Duration::from_secs(5));
    fixture.say("aged", vec![0; 1000], aged);
    fixture.say("shrunk", vec![0; 1000], Retention::count(9));
    assert!(fixture.broker.history_bytes() > 2000);
    fixture.say("shrunk", "", NOTHING);
    fixture.clock.advance(Duration::from_secs(5));
    fixture.history("aged");
    assert_eq!(fixture.broker.history_bytes(), 0);
    fixture.say("aged", vec![0; 1000], aged);
    fixture.clock.advance(Duration::from_secs(605) + A_ROUND);
    fixture.publish("busy", NOTHING);
    assert_eq!(fixture.broker.topic_count(), 1);
    assert_eq!(fixture.broker.history_bytes(), 0);
}

#[test]
fn an_answer_is_remembered_until_its_window_ends() {
    let fixture = Fixture::new(10, Duration::from_secs(600));
    let key = CommandKey::try_from("ada/1").unwrap();
    let window = Duration::from_secs(120);
    let attempt = Attempt::new(key.clone()).window(window);
    let remember = |text: &'static str| match done(fixture.broker.claim(attempt.clone())) {
        Claim::Mine(claimed) => {
            let answer = Bytes::from_static(text.as_bytes());
            done(fixture.broker.answer(claimed, answer))
        }
        Claim::Answered(answer) => answer,
        other @ (Claim::Running | Claim::InDoubt) => panic!("nobody executes it: {other:?}"),
    };
    assert_eq!(remember("first"), "first");
    fixture.clock.advance(window - Duration::from_millis(1));
    assert_eq!(remember("second"), "first");
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(remember("third"), "third");

    let name = topic("a");
    let publish = || Publish::new("x").once(key.clone(), window);
    let first = done(fixture.broker.publish(&name, publish()));
    fixture.clock.advance(window - Duration::from_millis(1));
    assert!(done(fixture.broker.publish(&name, publish())).is_repeat);
    fixture.clock.advance(Duration::from_millis(1));
    let next = done(fixture.broker.publish(&name, publish()));
    assert!(!next.is_repeat);
    assert_eq!(next.position.offset, first.position.offset + 1);
}

#[test]
fn a_flood_of_one_owners_answers_is_refused_and_pushes_out_nobodys() {
    let fixture = Fixture::with(MemoryLimits::default());
    let window = Duration::from_secs(120);
    let claim = |key: &CommandKey, bytes: usize| {
        let attempt = Attempt::new(key.clone()).window(window).answer_bytes(bytes);
        let claim = fixture.broker.claim(attempt.lease(Duration::ZERO));
        claim.now_or_never().expect("ready at once")
    };
    let remember = |key: &CommandKey, bytes: usize| {
        let Ok(Claim::Mine(claimed)) = claim(key, bytes) else {
            return false;
        };
        done(fixture.broker.answer(claimed, vec![0; bytes].into()));
        true
    };
    let is_remembered = |key: &CommandKey| matches!(claim(key, 0), Ok(Claim::Answered(_)));
    let key = |owner: &str, number: usize| CommandKey::owned(owner, &number.to_string()).unwrap();
    assert!(remember(&key("carol", 0), 100));
    fixture.clock.advance(Duration::from_secs(1));
    // 38 MiB where 32 are kept.
    let flood: Vec<_> = (0..608).map(|number| key("eve", number)).collect();
    let kept: Vec<_> = flood.iter().map(|key| remember(key, 64 << 10)).collect();
    assert!((500..=512).contains(&kept.iter().filter(|kept| **kept).count()));
    for (key, kept) in flood.iter().zip(&kept) {
        assert_eq!(is_remembered(key), *kept, "what was promised is kept");
        assert_eq!(
            claim(key, 64 << 10).is_ok(),
            *kept,
            "nothing is executed in vain"
        );
    }
    assert!(is_remembered(&key("carol", 0)));
    // There is room for others, at the flood's expense.
    for number in 0..10 {
        assert!(remember(&key("bob", number), 64 << 10));
    }
    assert!((0..10).all(|number| is_remembered(&key("bob", number))));
    assert!(is_remembered(&key("carol", 0)));
    assert!(!is_remembered(&flood[0]));
    // A publication that is to happen once is refused before it is published.
    let topic = topic("a");
    let publish = |owner, number| {
        let once = Publish::new("x").once(key(owner, number), window);
        fixture.broker.publish(&topic, once).now_or_never().unwrap()
    };
    for number in 1000..2000 {
        remember(&key("eve", number), 1);
    }
    assert!(matches!(
        publish("eve", 9999),
        Err(BrokerError::Unavailable(_))
    ));
    assert_eq!(publish("carol", 1).unwrap().position.offset, 1);
    // What ends makes room.
    fixture.clock.advance(window);
    assert!(remember(&flood[0], 64 << 10));
}

#[test]
fn versions_of_any_number_of_keys_are_published_and_the_last_are_remembered() {
    let limits = MemoryLimits::default().answer_bytes(1 << 20);
    let fixture = Fixture::with(limits);
    let topic = topic("a");
    let publish = |number: usize, version| {
        let key = CommandKey::try_from(&*format!("record {number}")).unwrap();
        done(
            fixture
                .broker
                .publish(&topic, Publish::new("x").version_of(key, version)),
        )
    };
    let window = Duration::from_secs(120);
    let claim = |id: &str| {
        let key = CommandKey::owned("ada", id).unwrap();
        done(fixture.broker.claim(Attempt::new(key).window(window)))
    };
    let Claim::Mine(claimed) = claim("1") else {
        panic!("it was not claimed before");
    };
    done(fixture.broker.answer(claimed, "done".into()));
    // Several times what is kept.
    for number in 0..20_000 {
        assert!(!publish(number, 5).is_outdated, "{number}");
        // What changes is not forgotten.
        publish(0, 6 + number as u64);
        fixture.clock.advance(Duration::from_millis(1));
    }
    assert!(publish(19_999, 4).is_outdated);
    assert!(publish(0, 100).is_outdated);
    // One that has not changed for long begins anew.
    assert!(!publish(1, 4).is_outdated);
    // Answers to commands are not pushed out, and there is room for more.
    assert_eq!(claim("1"), Claim::Answered("done".into()));
    assert!(matches!(claim("2"), Claim::Mine(_)));
}

#[test]
fn unsubscribing_from_an_unknown_topic_leaves_no_trace() {
    let fixture = Fixture::new(10, Duration::from_secs(3600));
    fixture.unsubscribe("never seen");
    assert_eq!(fixture.broker.topic_count(), 0);
}

#[test]
fn times_fall_only_where_the_clock_was_wrong_by_more_than_a_minute() {
    const DAY_MS: u64 = 86_400_000;
    let fixture = Fixture::new(10, Duration::from_secs(600));
    let retention = Retention::count(10);
    // It is a day ahead when it is set right.
    for ms in [START_MS + DAY_MS, START_MS, START_MS - 60_000, START_MS + 5] {
        fixture.clock.set(ms);
        fixture.publish("a", retention);
    }
    let times: Vec<u64> = fixture
        .history("a")
        .publications
        .iter()
        .map(|kept| kept.time_ms)
        .collect();
    assert_eq!(times, [START_MS + DAY_MS, START_MS, START_MS, START_MS + 5]);
}

#[test]
fn a_clock_that_is_set_changes_no_age_and_no_window() {
    const HOUR_MS: u64 = 3_600_000;
    let window = Duration::from_secs(120);
    for set_ms in [START_MS + HOUR_MS, START_MS - HOUR_MS] {
        let fixture = Fixture::new(10, Duration::from_secs(600));
        let retention = Retention::count(10).max_age(Duration::from_secs(5));
        let key = CommandKey::try_from("k").unwrap();
        let say = || Publish::new("x").once(key.clone(), window);
        let publish = |name: &str, publish| {
            let published = fixture.broker.publish(&topic(name), publish);
            published.now_or_never().unwrap().unwrap()
        };
        let kept = |count: usize| {
            let history = fixture.history("a");
            assert_eq!(history.publications.len(), count, "{set_ms}");
        };
        fixture.publish("a", retention);
        let idle = fixture.publish("idle", NOTHING);
        publish("once", say());
        fixture.clock.set(set_ms);
        fixture.publish("a", retention);
        fixture.clock.advance(Duration::from_millis(4_999));
        kept(2);
        fixture.clock.advance(Duration::from_millis(1));
        kept(0);
        assert_eq!(fixture.publish("idle", NOTHING).epoch, idle.epoch);
        fixture.clock.advance(Duration::from_millis(114_999));
        assert!(publish("once", say()).is_repeat, "{set_ms}");
        fixture.clock.advance(Duration::from_millis(1));
        assert!(!publish("once", say()).is_repeat, "{set_ms}");

        // Unused topics are forgotten in their time, and begin later than before.
        fixture.clock.advance(Duration::from_secs(600) + A_ROUND);
        let next = fixture.publish("idle", NOTHING);
        assert_ne!(next.epoch, idle.epoch);
        assert!(next.serial() > idle.serial());
    }
}

#[test]
fn nothing_happens_before_a_future_is_polled() {
    let fixture = Fixture::new(10, Duration::from_secs(3600));
    let name = topic("a");
    drop(
        fixture
            .broker
            .publish(&name, Publish::new("").retain(Retention::count(1))),
    );
    drop(fixture.broker.subscribe(&name));
    drop(fixture.broker.history(&name, ALL));
    assert_eq!(fixture.broker.topic_count(), 0);
}

/// A sink that blocks in `deliver` until it is released.
struct Gate {
    entered: mpsc::Sender<()>,
    leave: Mutex<mpsc::Receiver<()>>,
}

impl Sink for Gate {
    fn deliver(&self, topic: &TopicName, _: Epoch, _: &Arc<Publication>) {
        if topic.as_str() == "slow" {
            self.entered.send(()).expect("the test is waiting");
            self.leave.lock().recv().expect("the test lets go");
        }
    }
}

#[test]
fn a_sink_that_is_slow_at_one_topic_holds_up_no_other() {
    let fixture = Fixture::new(2, Duration::from_secs(600));
    let (entered, has_entered) = mpsc::channel();
    let (let_go, leave) = mpsc::channel();
    fixture.broker.attach(Arc::new(Gate {
        entered,
        leave: Mutex::new(leave),
    }));
    fixture.subscribe("slow");
    thread::scope(|scope| {
        let slow = scope.spawn(|| fixture.publish("slow", NOTHING));
        has_entered.recv().unwrap();
        // Publishing, sweeping and evicting all skip the topic in use.
        for number in 0..1000 {
            fixture.publish(&format!("fast-{number}"), Retention::count(1));
        }
        fixture.clock.advance(Duration::from_secs(600) + A_ROUND);
        fixture.publish("fast", NOTHING);
        let_go.send(()).unwrap();
        assert_eq!(slow.join().unwrap().offset, 1);
    });
}

/// A sink that panics at the first publication and keeps the others.
#[derive(Default)]
struct Moody(Mutex<Vec<u64>>);

impl Sink for Moody {
    fn deliver(&self, _: &TopicName, _: Epoch, publication: &Arc<Publication>) {
        assert_ne!(publication.offset, 1, "not in the mood");
        self.0.lock().push(publication.offset);
    }
}

#[test]
fn a_sink_that_panics_does_not_break_its_topic() {
    let fixture = Fixture::new(10, Duration::from_secs(600));
    let sink = Arc::new(Moody::default());
    fixture.broker.attach(sink.clone());
    fixture.subscribe("a");
    thread::scope(|scope| {
        assert!(
            scope
                .spawn(|| fixture.publish("a", Retention::count(9)))
                .join()
                .is_err()
        );
    });
    assert_eq!(fixture.publish("a", Retention::count(9)).offset, 2);
    assert_eq!(*sink.0.lock(), [2]);
    assert_eq!(fixture.history("a").publications.len(), 2);
}

#[test]
fn the_broker_lets_go_of_its_sinks_when_it_is_dropped() {
    let fixture = Fixture::new(10, Duration::from_secs(600));
    let sink = Arc::new(Moody::default());
    let weak: Weak<Moody> = Arc::downgrade(&sink);
    fixture.broker.attach(sink);
    assert!(weak.upgrade().is_some());
    drop(fixture);
    assert!(weak.upgrade().is_none());
}

/// A sink that remembers the last position.
#[derive(Default)]
struct Last(Mutex<Option<Position>>);

impl Sink for Last {
    fn deliver(&self, _: &TopicName, epoch: Epoch, publication: &Arc<Publication>) {
        let offset = publication.offset;
        *self.0.lock() = Some(Position::new(epoch, offset));
    }
}

#[test]
fn a_subscription_holds_though_its_topic_is_being_forgotten_at_that_moment() {
    // Space for one topic, so that each new one pushes out another.
    let fixture = Fixture::new(1, Duration::from_secs(600));
    let sink = Arc::new(Last::default());
    fixture.broker.attach(sink.clone());
    let stop = AtomicBool::new(false);
    let mut lives = HashSet::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                fixture.publish(&format!("flood-{number}"), NOTHING);
            }
        });
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            // As many rounds as a busy machine needs until both threads have met.
            for round in 0..10_000_000 {
                if round >= 30_000 && lives.len() > 1 {
                    break;
                }
                fixture.subscribe("a");
                let position = fixture.publish("a", NOTHING);
                assert_eq!(*sink.0.lock(), Some(position));
                lives.insert(position.epoch);
                fixture.unsubscribe("a");
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(cause) = outcome {
            panic::resume_unwind(cause);
        }
    });
    assert!(lives.len() > 1, "the topic was never forgotten");
}
