//! The promises of the store on a server that works.

use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{
    Attempt, BrokerError, Claim, CommandKey, Deletion, Fingerprint, HistoryQuery, Owner, Position,
    Publication, Publish, Push, Retention, SharedStore, Stored, StoredHistory, Top, TopicName,
};
use nextrush_redis::{ConnectError, RedisOptions, RedisStore};

use crate::recorder::connect;
use crate::servers::{ClusterOfThree, Program, Server, eventually, programs};

pub(crate) const KEEP: Retention = Retention::count(10_000);
pub(crate) const ALL: HistoryQuery = HistoryQuery::Latest(usize::MAX);
const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).unwrap()
}

pub(crate) fn kept(text: &str) -> Publish {
    Publish::new(text.to_owned()).retain(KEEP)
}

fn once(text: &str, key: &str) -> Publish {
    let print = Fingerprint::of(text.as_bytes());
    let key = CommandKey::owned("ada", key).unwrap();
    kept(text).once(key, LONG).fingerprint(print)
}

/// Publishes one text and returns its position.
pub(crate) async fn publish(store: &RedisStore, topic: &TopicName, text: &str) -> Position {
    let appended = store.publish(topic, vec![kept(text)]).await.unwrap();
    appended
        .outcomes
        .into_iter()
        .next()
        .unwrap()
        .unwrap()
        .position
}

pub(crate) async fn read(
    store: &RedisStore,
    topic: &TopicName,
    query: HistoryQuery,
) -> StoredHistory {
    store.history(topic, query).await.unwrap()
}

/// Watches topics, all of them.
pub(crate) async fn watch(store: &RedisStore, topics: impl IntoIterator<Item = &TopicName>) {
    let topics: Vec<_> = topics.into_iter().cloned().collect();
    for watched in store.watch(&topics).await {
        watched.unwrap();
    }
}

pub(crate) async fn tops(
    store: &RedisStore,
    topics: impl IntoIterator<Item = &TopicName>,
) -> Vec<Option<Top>> {
    let topics: Vec<_> = topics.into_iter().cloned().collect();
    let tops = store.tops(&topics).await;
    tops.into_iter().map(Result::unwrap).collect()
}

pub(crate) fn texts(history: &StoredHistory) -> Vec<String> {
    let publications = history.history.publications.iter();
    publications
        .map(|one| String::from_utf8_lossy(&one.data).into_owned())
        .collect()
}

fn offsets(history: &StoredHistory) -> Vec<u64> {
    let publications = history.history.publications.iter();
    publications.map(|one| one.offset).collect()
}

/// Runs a check on a store of its own, on each program alone and on a cluster.
async fn on_all(check: impl AsyncFn(&RedisStore, &crate::recorder::Recorder)) {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, recorder) = connect(&server.url(), RedisOptions::default()).await;
        check(&store, &recorder).await;
        store.shutdown().await;
    }
    for program in programs() {
        let cluster = ClusterOfThree::start(program).await;
        let (store, recorder) = connect(&cluster.url(), RedisOptions::default()).await;
        check(&store, &recorder).await;
        store.shutdown().await;
    }
}

#[tokio::test]
async fn a_store_keeps_its_promises() {
    on_all(async |store, recorder| {
        a_group_has_an_outcome_each(store).await;
        bounds_hold_for_the_whole_topic(store).await;
        long_histories_come_whole(store).await;
        positions_are_there_before_the_first_publication(store).await;
        claims_are_one_nodes(store).await;
        an_owner_has_a_share(store).await;
        an_owner_has_a_share_of_keys(store).await;
        what_is_watched_is_pushed(store, recorder).await;
        what_is_deleted_leaves_its_offset(store, recorder).await;
    })
    .await;
}

async fn a_group_has_an_outcome_each(store: &RedisStore) {
    let topic = topic("group");
    let group = vec![
        kept("a"),
        once("b", "1"),
        once("b", "1"),
        once("c", "1"),
        kept("d"),
    ];
    let appended = store.publish(&topic, group).await.unwrap();
    let outcome = |outcome| match outcome {
        &Ok(Stored {
            position,
            is_repeat,
            ..
        }) => Some((position.offset, is_repeat)),
        Err(BrokerError::Reused) => None,
        Err(error) => panic!("{error}"),
    };
    let outcomes: Vec<_> = appended.outcomes.iter().map(outcome).collect();
    let expected = [
        Some((1, false)),
        Some((2, false)),
        Some((2, true)),
        None,
        Some((3, false)),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(appended.continues, None);
    // Also later, and without a fingerprint.
    let group = vec![
        once("b", "1"),
        once("c", "1"),
        kept("b").once(CommandKey::owned("ada", "1").unwrap(), LONG),
    ];
    let appended = store.publish(&topic, group).await.unwrap();
    let outcome = |index: usize| appended.outcomes[index].as_ref().map(|one| one.is_repeat);
    assert!(matches!(outcome(0), Ok(true)));
    assert!(matches!(outcome(1), Err(BrokerError::Reused)));
    assert!(matches!(outcome(2), Ok(true)));
    // With no window nothing is a repeat, nor in another topic.
    let key = CommandKey::owned("ada", "2").unwrap();
    let group = vec![
        kept("e").once(key.clone(), Duration::ZERO),
        kept("f").once(key, Duration::ZERO),
    ];
    store.publish(&topic, group).await.unwrap();
    let other = crate::store::topic("group of others");
    let appended = store.publish(&other, vec![once("b", "1")]).await.unwrap();
    assert!(!appended.outcomes[0].as_ref().unwrap().is_repeat);
    let history = read(store, &topic, ALL).await;
    assert_eq!(texts(&history), ["a", "b", "d", "e", "f"]);
    assert_eq!(offsets(&history), [1, 2, 3, 4, 5]);
    let times: Vec<_> = history
        .history
        .publications
        .iter()
        .map(|one| one.time_ms)
        .collect();
    assert!(times.is_sorted() && times[0] > 1_700_000_000_000);
    assert!(appended.outcomes[0].as_ref().unwrap().time_ms >= times[4]);
}

async fn bounds_hold_for_the_whole_topic(store: &RedisStore) {
    let topic = topic("bounds");
    let with = async |text: &str, retention: Retention| {
        let publish = Publish::new(text.to_owned()).retain(retention);
        let appended = store.publish(&topic, vec![publish]).await.unwrap();
        appended.outcomes[0].as_ref().unwrap();
        let history = read(store, &topic, ALL).await;
        let bounds = history.retention.unwrap();
        assert_eq!(
            (bounds.count, bounds.bytes),
            (retention.count, retention.bytes)
        );
        texts(&history).join(" ")
    };
    for text in ["a", "b", "c", "d"] {
        with(text, KEEP).await;
    }
    assert_eq!(with("e", Retention::count(3)).await, "c d e");
    assert_eq!(with("four", KEEP.max_bytes(6)).await, "d e four");
    assert_eq!(with("f", KEEP.max_bytes(5)).await, "four f");
    assert_eq!(with("larger", KEEP.max_bytes(5)).await, "");
    assert_eq!(with("g", KEEP).await, "g");
    assert_eq!(with("h", Retention::NOTHING).await, "");
    assert_eq!(with("i", KEEP).await, "i");
    let day = Duration::from_secs(86_400);
    assert_eq!(with("j", KEEP.max_age(day)).await, "i j");
    assert_eq!(with("k", KEEP.max_age(Duration::MAX)).await, "i j k");
}

async fn long_histories_come_whole(store: &RedisStore) {
    let topic = topic("long");
    let long = "x".repeat(10_000);
    for part in 0..20 {
        let group = (0..50).map(|number| kept(&format!("{} {long}", part * 50 + number)));
        store.publish(&topic, group.collect()).await.unwrap();
    }
    let history = read(store, &topic, ALL).await;
    assert_eq!(offsets(&history), (1..=1000).collect::<Vec<u64>>());
    assert!(texts(&history)[999].starts_with("999 x"));
    let query = HistoryQuery::Latest(700);
    assert_eq!(
        offsets(&read(store, &topic, query).await),
        (301..=1000).collect::<Vec<u64>>()
    );
    let query = |offset, limit| HistoryQuery::After { offset, limit };
    let after = async |offset, limit| offsets(&read(store, &topic, query(offset, limit)).await);
    assert_eq!(after(10, 3).await, [11, 12, 13]);
    assert_eq!(after(10, 600).await, (11..=610).collect::<Vec<u64>>());
    assert_eq!(after(998, usize::MAX).await, [999, 1000]);
    assert_eq!(after(1000, 5).await, [0_u64; 0]);
    assert_eq!(after(u64::MAX, 5).await, [0_u64; 0]);
    assert_eq!(
        read(store, &topic, HistoryQuery::Latest(0))
            .await
            .history
            .position
            .offset,
        1000
    );
}

async fn positions_are_there_before_the_first_publication(store: &RedisStore) {
    let (unborn, born) = (topic("unborn"), topic("born"));
    let before = tops(store, [&unborn, &born]).await;
    assert_eq!(before, [None, None]);
    let position = read(store, &born, HistoryQuery::Latest(0))
        .await
        .history
        .position;
    assert_eq!(position.offset, 0);
    let first = publish(store, &born, "a").await;
    assert_eq!(first, Position::new(position.epoch, 1));
    let after = tops(store, [&unborn, &born]).await;
    assert_eq!(after[0], None);
    let top = after[1].unwrap();
    assert_eq!(
        (top.position, top.continues, top.deletions),
        (first, None, 0)
    );
    // As many as the sequencer asks for.
    let many: Vec<_> = (0..512)
        .map(|number| topic(&format!("many {number}")))
        .collect();
    publish(store, &many[511], "a").await;
    let after = tops(store, &many).await;
    assert_eq!(after.iter().position(Option::is_some), Some(511));
}

async fn claims_are_one_nodes(store: &RedisStore) {
    let attempt = |key: &str, print: &[u8]| {
        Attempt::new(CommandKey::owned("ada", key).unwrap()).fingerprint(Fingerprint::of(print))
    };
    let claim = async |attempt: Attempt| store.claim(attempt).await;
    let Claim::Mine(first) = claim(attempt("1", b"a")).await.unwrap() else {
        panic!("the first claim");
    };
    assert_eq!(claim(attempt("1", b"a")).await.unwrap(), Claim::Running);
    assert!(matches!(
        claim(attempt("1", b"b")).await,
        Err(BrokerError::Reused)
    ));
    assert_eq!(
        store.answer(first.clone(), "yes".into()).await.unwrap(),
        "yes"
    );
    assert_eq!(
        claim(attempt("1", b"a")).await.unwrap(),
        Claim::Answered("yes".into())
    );
    assert!(matches!(
        claim(attempt("1", b"b")).await,
        Err(BrokerError::Reused)
    ));
    assert_eq!(store.answer(first, "no".into()).await.unwrap(), "yes");
    // A lease that ends lets another node begin.
    let short = attempt("2", b"a").lease(Duration::from_millis(50));
    let Claim::Mine(late) = claim(short.clone()).await.unwrap() else {
        panic!("the first claim");
    };
    eventually("the lease ends", async || {
        matches!(claim(short.clone()).await.unwrap(), Claim::Mine(_))
    })
    .await;
    assert_eq!(store.answer(late, "late".into()).await.unwrap(), "late");
    assert_eq!(claim(short).await.unwrap(), Claim::Answered("late".into()));
    // One that is executed at most once is in doubt then, and its holder may answer after all.
    let once = attempt("4", b"a").at_most_once();
    let short = once.clone().lease(Duration::from_millis(50));
    let Claim::Mine(late) = claim(short.clone()).await.unwrap() else {
        panic!("the first claim");
    };
    eventually("the lease ends", async || {
        match claim(short.clone()).await.unwrap() {
            Claim::Running => false,
            claim => {
                assert_eq!(claim, Claim::InDoubt);
                true
            }
        }
    })
    .await;
    assert_eq!(claim(once).await.unwrap(), Claim::InDoubt);
    assert!(matches!(
        claim(attempt("4", b"b")).await,
        Err(BrokerError::Reused)
    ));
    assert_eq!(store.answer(late, "late".into()).await.unwrap(), "late");
    assert_eq!(claim(short).await.unwrap(), Claim::Answered("late".into()));
    // Without a window nothing is remembered.
    let Claim::Mine(claimed) = claim(attempt("3", b"a").window(Duration::ZERO))
        .await
        .unwrap()
    else {
        panic!("the first claim");
    };
    assert_eq!(store.answer(claimed, "once".into()).await.unwrap(), "once");
    assert!(matches!(
        claim(attempt("3", b"b")).await.unwrap(),
        Claim::Mine(_)
    ));
}

async fn an_owner_has_a_share(store: &RedisStore) {
    let answered = async |owner: &str, key: &str| {
        let attempt = Attempt::new(CommandKey::owned(owner, key).unwrap()).answer_bytes(1 << 20);
        match store.claim(attempt).await {
            Ok(Claim::Mine(claimed)) => {
                let answer = "x".repeat(1 << 20);
                store.answer(claimed, answer.into()).await.unwrap();
                true
            }
            Err(BrokerError::Full(_)) => false,
            other => panic!("{other:?}"),
        }
    };
    let mut answers = 0;
    while answered("bea", &answers.to_string()).await {
        answers += 1;
    }
    assert_eq!(answers, 3);
    assert!(answered("cem", "0").await);
}

async fn an_owner_has_a_share_of_keys(store: &RedisStore) {
    let topic = topic("share");
    let publish = |owner: &str, number: usize| {
        let key = CommandKey::owned(owner, &format!("{number:0>900}")).unwrap();
        Publish::new("x").once(key, LONG)
    };
    let mut published = 0;
    let refused = loop {
        let group = (0..64).map(|one| publish("dan", published + one)).collect();
        let outcomes = store.publish(&topic, group).await.unwrap().outcomes;
        let refused = outcomes.iter().position(Result::is_err);
        published += refused.unwrap_or(64);
        if let Some(first) = refused {
            break outcomes.into_iter().skip(first).collect::<Vec<_>>();
        }
    };
    // 4 MiB, of about 1,100 bytes each.
    assert!((3_000..4_500).contains(&published), "{published}");
    for outcome in refused {
        let text = match outcome {
            Err(BrokerError::Full(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(text.contains("share"), "{text}");
    }
    let group = vec![publish("eve", 0), publish("dan", 0), kept("without a key")];
    let outcomes = store.publish(&topic, group).await.unwrap().outcomes;
    let [other, repeat, without] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    let offset = |stored: &Stored| stored.position.offset;
    let next = u64::try_from(published).unwrap() + 1;
    assert_eq!(other.as_ref().map(offset).ok(), Some(next));
    assert!(repeat.as_ref().is_ok_and(|repeat| repeat.is_repeat));
    assert_eq!(without.as_ref().map(offset).ok(), Some(next + 1));
}

async fn what_is_watched_is_pushed(store: &RedisStore, recorder: &crate::recorder::Recorder) {
    let [a, b, c] = ["watched", "too", "not"].map(topic);
    watch(store, [&a, &b]).await;
    watch(store, [&a]).await;
    publish(store, &c, "0").await;
    store.publish(&a, vec![kept("1"), kept("2")]).await.unwrap();
    publish(store, &a, "3").await;
    publish(store, &b, "4").await;
    recorder.until_texts(&a, &["1", "2", "3"]).await;
    recorder.until_texts(&b, &["4"]).await;
    assert_eq!(recorder.texts(&c), [""; 0]);
    let groups = recorder.groups(&a);
    let offsets: Vec<Vec<u64>> = groups
        .iter()
        .map(|group| group.publications.iter().map(|one| one.offset).collect())
        .collect();
    assert_eq!(offsets, [vec![1, 2], vec![3]]);
    assert_eq!(groups[0].retention, Some(KEEP));
    assert_eq!(groups[0].continues, None);
    let history = read(store, &a, ALL).await.history;
    assert_eq!(groups[1].epoch, history.position.epoch);
    assert_eq!(groups[1].publications[0], history.publications[2]);
    store.unwatch(std::slice::from_ref(&a)).await;
    publish(store, &a, "5").await;
    publish(store, &b, "6").await;
    recorder.until_texts(&b, &["4", "6"]).await;
    assert_eq!(recorder.texts(&a).len(), 3);
}

async fn what_is_deleted_leaves_its_offset(
    store: &RedisStore,
    recorder: &crate::recorder::Recorder,
) {
    let topic = topic("purged");
    watch(store, [&topic]).await;
    let [ada, bea] = ["ada", "bea"].map(Owner::new);
    let group = vec![
        kept("a"),
        kept("b").by(ada.clone()),
        kept("c"),
        kept("d").by(ada.clone()),
        kept("e").by(bea.clone()),
    ];
    store.publish(&topic, group).await.unwrap();
    let delete = async |which: Deletion| {
        let deleted = store.delete(&topic, which).await.unwrap();
        assert!(deleted.offsets.is_sorted());
        deleted.offsets.len()
    };
    let owners = |publications: &[Arc<Publication>]| {
        let owners = publications.iter().map(|one| one.owner.clone());
        owners.collect::<Vec<_>>()
    };
    let expected = [None, Some(ada.clone()), None, Some(ada), Some(bea)];
    let history = read(store, &topic, ALL).await.history;
    assert_eq!(owners(&history.publications), expected);
    eventually("owners are pushed", async || {
        let groups = recorder.groups(&topic);
        groups.len() == 1 && owners(&groups[0].publications) == expected
    })
    .await;
    assert_eq!(delete(Deletion::By(Owner::new("ada"))).await, 2);
    assert_eq!(delete(Deletion::By(Owner::new("cem"))).await, 0);
    assert_eq!(delete(Deletion::Offsets(vec![9, 2, 1, u64::MAX])).await, 1);
    let history = read(store, &topic, ALL).await;
    assert_eq!(offsets(&history), [1, 2, 3, 4, 5]);
    assert_eq!(texts(&history), ["", "", "c", "", "e"]);
    let deleted = history
        .history
        .publications
        .iter()
        .filter(|one| one.is_deleted);
    assert_eq!(deleted.count(), 3);
    assert_eq!(publish(store, &topic, "f").await.offset, 6);
    let after = HistoryQuery::After {
        offset: 3,
        limit: 2,
    };
    assert_eq!(texts(&read(store, &topic, after).await), ["", "e"]);
    assert_eq!(tops(store, [&topic]).await[0].unwrap().deletions, 2);
    assert_eq!(delete(Deletion::Unowned).await, 2);
    assert_eq!(delete(Deletion::All).await, 1);
    assert_eq!(texts(&read(store, &topic, ALL).await), [""; 6]);
    let expected = [vec![2, 4], vec![1], vec![3, 6], vec![5]];
    eventually("deletions are pushed", async || {
        let pushes = recorder.pushes.lock();
        let deleted = pushes.iter().filter_map(|(pushed, push)| match push {
            Push::Deleted(deleted) if *pushed == topic => Some(deleted.offsets.clone()),
            _ => None,
        });
        deleted.collect::<Vec<_>>() == expected
    })
    .await;
    // Trimming goes on as if nothing had been deleted.
    let retention = Retention::count(2).max_bytes(2);
    let group = ["g", "h", "i"].map(|text| Publish::new(text).retain(retention));
    store.publish(&topic, group.to_vec()).await.unwrap();
    assert_eq!(texts(&read(store, &topic, ALL).await), ["h", "i"]);
}

#[tokio::test]
async fn old_publications_expire_one_by_one() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, _) = connect(&server.url(), RedisOptions::default()).await;
        let topic = topic("aging");
        let age = Duration::from_millis(1500);
        let old = Publish::new("old").retain(KEEP.max_age(age));
        for _ in 0..5 {
            store.publish(&topic, vec![old.clone()]).await.unwrap();
        }
        let first = read(&store, &topic, ALL).await;
        assert_eq!(offsets(&first), [1, 2, 3, 4, 5]);
        let begun = first.history.publications[4].time_ms;
        eventually("half of the age is over", async || {
            let time: (u64, u64) = server.ask(&["TIME"]).await;
            time.0 * 1000 + time.1 / 1000 >= begun + 750
        })
        .await;
        store.publish(&topic, vec![old]).await.unwrap();
        eventually("the first expire", async || {
            offsets(&read(&store, &topic, ALL).await) == [6]
        })
        .await;
        let after = HistoryQuery::After {
            offset: 2,
            limit: 2,
        };
        assert_eq!(offsets(&read(&store, &topic, after).await), [6]);
    }
}

#[tokio::test]
async fn topics_that_nobody_uses_are_forgotten_unless_somebody_asks() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let options = RedisOptions::default().idle(Duration::from_millis(2000));
        let (store, _) = connect(&server.url(), options).await;
        let [used, unused, lasting] = ["used", "unused", "lasting"].map(topic);
        for topic in [&used, &unused] {
            store.publish(topic, vec![Publish::new("a")]).await.unwrap();
        }
        publish(&store, &lasting, "a").await;
        eventually("what is not used is forgotten", async || {
            assert!(tops(&store, [&used]).await[0].is_some());
            let keys: Vec<String> = server.ask(&["KEYS", "*unused"]).await;
            keys.is_empty()
        })
        .await;
        assert_eq!(texts(&read(&store, &lasting, ALL).await), ["a"]);
        // What has a history with an age lasts longer than that.
        let hour = Duration::from_secs(3600);
        let aging = Publish::new("a").retain(KEEP.max_age(hour));
        store.publish(&unused, vec![aging]).await.unwrap();
        let [key]: [String; 1] = server.ask(&["KEYS", "*:t:unused"]).await;
        let left: i64 = server.ask(&["PTTL", &key]).await;
        assert!(left > 7_100_000, "{left}");
    }
}

#[tokio::test]
async fn a_topic_takes_little_memory() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, _) = connect(&server.url(), RedisOptions::default()).await;
        let used = async || {
            let used = server.info("memory", "used_memory").await.unwrap();
            used.parse::<usize>().unwrap()
        };
        let each = async |prefix: &str, retention: Retention| {
            let before = used().await;
            let topics = (0..4096).map(|number| topic(&format!("{prefix}/room/{number:04}")));
            let publish = Publish::new("x".repeat(128)).retain(retention);
            let published = topics.map(|topic| store.publish(&topic, vec![publish.clone()]));
            for appended in futures_util::future::join_all(published).await {
                appended.unwrap();
            }
            (used().await - before) / 4096
        };
        let without = each("chat", Retention::NOTHING).await;
        let with = each("talk", Retention::count(100)).await;
        println!("{program:?}: {without} bytes without history, {with} with one publication");
        assert!(without <= 400, "{without}");
        assert!(with <= 800, "{with}");
    }
}

#[tokio::test]
async fn a_node_refuses_data_of_another_layout() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, _) = connect(&server.url(), RedisOptions::default()).await;
        store.shutdown().await;
        // Another start finds what this one wrote.
        connect(&server.url(), RedisOptions::default()).await;
        let [key]: [String; 1] = server.ask(&["KEYS", "*layout*"]).await;
        for layout in ["2 256", "3 256", "1 512", "something else"] {
            server.ask::<()>(&["SET", &key, layout]).await;
            let refused = RedisStore::connect(&server.url(), RedisOptions::default()).await;
            let Err(ConnectError::Layout { found, prefix, .. }) = &refused else {
                panic!("{refused:?}");
            };
            assert_eq!((&**found, &**prefix), (layout, "nextrush"));
            let text = refused.unwrap_err().to_string();
            assert!(text.contains(layout) && text.contains("1 256"), "{text}");
        }
        let elsewhere = RedisOptions::default().prefix("elsewhere");
        connect(&server.url(), elsewhere).await;
        let bad = RedisOptions::default().prefix("{bad}");
        let refused = RedisStore::connect(&server.url(), bad).await;
        assert!(matches!(refused, Err(ConnectError::Prefix)));
    }
}

#[tokio::test]
async fn databases_of_one_server_do_not_hear_each_other() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let url = |database: u8| format!("{}/{database}", server.url()).parse().unwrap();
        let (one, one_hears) = connect(&url(1), RedisOptions::default()).await;
        let (two, two_hears) = connect(&url(2), RedisOptions::default()).await;
        let topic = topic("same");
        watch(&one, [&topic]).await;
        watch(&two, [&topic]).await;
        publish(&one, &topic, "1").await;
        publish(&two, &topic, "2").await;
        one_hears.until_texts(&topic, &["1"]).await;
        two_hears.until_texts(&topic, &["2"]).await;
        assert_eq!(texts(&read(&two, &topic, ALL).await), ["2"]);
    }
}

#[tokio::test]
async fn foreign_data_under_our_keys_is_damage() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, _) = connect(&server.url(), RedisOptions::default()).await;
        let topic = topic("damaged");
        publish(&store, &topic, "1").await;
        let [key]: [String; 1] = server.ask(&["KEYS", "*:t:damaged"]).await;
        server.ask::<()>(&["SET", &key, "something else"]).await;
        let appended = store.publish(&topic, vec![kept("2")]).await;
        assert!(
            matches!(appended, Err(BrokerError::Damaged(_))),
            "{appended:?}"
        );
        let history = store.history(&topic, ALL).await;
        assert!(
            matches!(history, Err(BrokerError::Damaged(_))),
            "{history:?}"
        );
        server.ask::<()>(&["DEL", &key]).await;
        server.ask::<()>(&["RPUSH", &key, "a list"]).await;
        let appended = store.publish(&topic, vec![kept("2")]).await;
        assert!(
            matches!(appended, Err(BrokerError::Damaged(_))),
            "{appended:?}"
        );
    }
}

#[tokio::test]
async fn passwords_and_tls_are_spoken_and_never_shown() {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ca = file("ca.pem", &certificate.cert.pem());
    let key = file("key.pem", &certificate.signing_key.serialize_pem());
    for program in programs() {
        // Valkey's wheel is built without TLS.
        let has_tls = program == Program::Redis;
        let tls_port = crate::servers::free_port();
        let tls = tls_port.to_string();
        let mut settings = vec!["--requirepass", "hunter2"];
        if has_tls {
            settings.extend([
                "--tls-port",
                &tls,
                "--tls-cert-file",
                &ca,
                "--tls-key-file",
                &key,
            ]);
            settings.extend(["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"]);
        }
        let server = Server::start(program, &settings).await;
        let plain = format!("redis://:hunter2@localhost:{}", server.port);
        let mut urls = vec![plain];
        if has_tls {
            urls.push(format!(
                "rediss://default:hunter2@localhost:{tls_port}?ca={ca}"
            ));
        }
        for url in urls {
            let (store, recorder) = connect(&url.parse().unwrap(), RedisOptions::default()).await;
            let topic = topic(&format!("secret {}", url.len()));
            watch(&store, [&topic]).await;
            publish(&store, &topic, "a").await;
            recorder.until_texts(&topic, &["a"]).await;
            assert!(!format!("{store:?}").contains("hunter2"));
        }
        let wrong = [
            format!("redis://:hunter3@localhost:{}", server.port),
            format!("redis://localhost:{}", server.port),
            format!("rediss://:hunter3@localhost:{tls_port}?ca={ca}"),
            // Its authority is not one of the system's.
            format!("rediss://:hunter3@localhost:{tls_port}"),
        ];
        for url in wrong {
            let refused = RedisStore::connect(&url.parse().unwrap(), RedisOptions::default()).await;
            let refused = format!("{:?}", refused.unwrap_err());
            assert!(!refused.contains("hunter"), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_user_who_may_do_little_is_enough() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let user = "ACL SETUSER app on >hunter2 ~nextrush:* &nextrush:* \
            +@read +@write +@pubsub +@scripting +@connection +time +info -@dangerous +info";
        let user: Vec<_> = user.split_ascii_whitespace().collect();
        server.ask::<()>(&user).await;
        let url = format!("redis://app:hunter2@127.0.0.1:{}", server.port);
        let quick = crate::faults::quick();
        let (store, recorder) = connect(&url.parse().unwrap(), quick).await;
        let topic = topic("little");
        watch(&store, [&topic]).await;
        publish(&store, &topic, "a").await;
        recorder.until_texts(&topic, &["a"]).await;
        // Signs of life are asked for with commands that this user may not use.
        let calls = async || {
            let stats = server.info("commandstats", "cmdstat_role").await;
            let rejected = stats
                .as_deref()
                .and_then(|stats| stats.split_once("rejected_calls="));
            rejected.map_or(0, |(_, rest)| {
                rest.split(',').next().unwrap().parse().unwrap()
            })
        };
        eventually("the role was asked for thrice", async || {
            calls().await >= 3_u32
        })
        .await;
        publish(&store, &topic, "b").await;
        recorder.until_texts(&topic, &["a", "b"]).await;
        assert!(recorder.unwatched.lock().is_empty());
    }
}

#[tokio::test]
async fn a_topic_of_an_earlier_program_has_no_version_and_keeps_what_a_later_one_adds() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, _) = connect(&server.url(), RedisOptions::default()).await;
        let topic = topic("earlier");
        let before = publish(&store, &topic, "1").await;
        let [key]: [String; 1] = server.ask(&["KEYS", "*:t:earlier"]).await;
        // As programs before versions wrote it.
        let record: Vec<u8> = server.ask(&["GETRANGE", &key, "0", "108"]).await;
        assert_eq!(record.len(), 109);
        let set = async |record: &[u8]| {
            let mut set = redis::cmd("SET");
            let mut connection = server.connect().await;
            set.arg(&key).arg(record);
            set.query_async::<()>(&mut connection).await.unwrap();
        };
        set(&record).await;
        let version = async |number: u64| {
            let group = vec![kept("x").version(number)];
            let appended = store.publish(&topic, group).await.unwrap();
            appended.outcomes.into_iter().next().unwrap().unwrap()
        };
        let second = version(7).await;
        assert_eq!(second.position, Position::new(before.epoch, 2));
        assert_eq!(version(7).await, Stored::outdated(second.position));
        // As programs to come may write it.
        let mut record: Vec<u8> = server.ask(&["GET", &key]).await;
        record.extend(b"more");
        set(&record).await;
        assert_eq!(version(6).await, Stored::outdated(second.position));
        assert!(version(8).await.is_new());
        let record: Vec<u8> = server.ask(&["GET", &key]).await;
        assert!(record.ends_with(b"more"));
    }
}
