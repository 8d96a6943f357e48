//! Moves from a store to a Redis, on to another one, and back.

use std::time::Duration;

use nextrush_broker::{
    Attempt, Broker, Bytes, Claim, CommandKey, Deletion, EmbeddedBroker, ExportError, ExportReader,
    ExportWriter, Fingerprint, History, HistoryQuery, Owner, Publish, Retention, StoppedStore,
    StoreImport, TopicName,
};
use nextrush_redis::{Redis, RedisOptions, RedisStore};

use crate::servers::{ClusterOfThree, Program, Server, programs};
use crate::store::{ALL, topic};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn key(text: &str) -> CommandKey {
    CommandKey::try_from(text).unwrap()
}

fn kept(data: impl Into<Bytes>) -> Publish {
    Publish::new(data).retain(Retention::count(4).max_age(DAY).max_bytes(1 << 20))
}

fn once() -> Publish {
    let key = CommandKey::owned("live/ada", "1").unwrap();
    kept("once")
        .once(key, DAY)
        .fingerprint(Fingerprint::of(b"once"))
}

fn command(owner: &str) -> Attempt {
    let key = CommandKey::owned(owner, "1").unwrap();
    Attempt::new(key)
        .window(DAY)
        .fingerprint(Fingerprint::of(b"body"))
}

/// Publishes something of each kind.
async fn fill(broker: &dyn Broker) {
    let publish = async |name: &str, publish| {
        broker.publish(&topic(name), publish).await.unwrap();
    };
    for text in ["1", "2", "3", "4"] {
        publish("chat/a", kept(text).by(Owner::new("ada"))).await;
    }
    publish("chat/a", kept(&b"\xff"[..])).await;
    let some = Deletion::Offsets(vec![4]);
    broker.delete(&topic("chat/a"), some).await.unwrap();
    publish("live/b", once()).await;
    publish("live/b", kept("v").version(7)).await;
    publish("live/b", kept("k").version_of(key("card"), 9)).await;
    let large = Publish::new(vec![b'x'; 300_000]).retain(Retention::count(usize::MAX));
    for _ in 0..4 {
        publish("large", large.clone()).await;
    }
    publish("quiet", Publish::new("not remembered")).await;
    for owner in ["chat/b/ada", "bob"] {
        let Claim::Mine(claimed) = broker.claim(command(owner)).await.unwrap() else {
            panic!("it is the first");
        };
        broker
            .answer(claimed, format!("to {owner}").into())
            .await
            .unwrap();
    }
    let begun = broker.claim(command("eve").at_most_once().lease(Duration::ZERO));
    assert!(matches!(begun.await.unwrap(), Claim::Mine(_)));
}

fn names() -> [TopicName; 4] {
    ["chat/a", "large", "live/b", "quiet"].map(topic)
}

async fn contents(broker: &dyn Broker) -> Vec<History> {
    let mut all = Vec::new();
    for name in names() {
        all.push(broker.history(&name, ALL).await.unwrap());
    }
    all
}

/// Checks that all is as it was, and goes on.
async fn check(broker: &dyn Broker, before: &[History]) {
    assert_eq!(broker.topics(None, 10).await.unwrap(), names());
    assert_eq!(contents(broker).await, before);
    let publish = async |name: &str, publish| broker.publish(&topic(name), publish).await;
    let repeat = publish("live/b", once()).await.unwrap();
    assert!(repeat.is_repeat && repeat.position.offset == 1);
    let other = once().fingerprint(Fingerprint::of(b"other"));
    assert!(publish("live/b", other).await.is_err());
    for (late, offset) in [
        (kept("").version(7), 2),
        (kept("").version_of(key("card"), 9), 3),
    ] {
        let published = publish("live/b", late).await.unwrap();
        assert!(published.is_outdated);
        assert_eq!(published.position.offset, offset);
    }
    for owner in ["chat/b/ada", "bob"] {
        let answered = Claim::Answered(format!("to {owner}").into());
        assert_eq!(broker.claim(command(owner)).await.unwrap(), answered);
    }
    let doubtful = broker.claim(command("eve").at_most_once()).await;
    assert_eq!(doubtful.unwrap(), Claim::InDoubt);
}

async fn check_goes_on(broker: &dyn Broker, before: &[History]) {
    let next = broker
        .publish(&topic("chat/a"), kept("next"))
        .await
        .unwrap();
    assert_eq!(next.position.epoch, before[0].position.epoch);
    assert_eq!(next.position.offset, 6);
    let seen = HistoryQuery::After {
        offset: 5,
        limit: 10,
    };
    let history = broker.history(&topic("chat/a"), seen).await.unwrap();
    assert_eq!(history.publications[0].data, "next");
    let all = broker.history(&topic("chat/a"), ALL).await.unwrap();
    // The bounds hold as before.
    assert_eq!(all.publications[0].offset, 3);
}

async fn exported(store: &RedisStore) -> Vec<u8> {
    let mut writer = ExportWriter::new(Vec::new()).unwrap();
    store.export(&mut writer).await.unwrap();
    writer.finish().unwrap().0
}

async fn import(store: &RedisStore, lines: &[u8]) {
    store.check_empty().await.unwrap();
    for item in ExportReader::new(lines) {
        store.import(item.unwrap()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_holds_moves_to_a_redis_to_another_one_and_back() {
    for program in programs() {
        let directory = tempfile::tempdir().unwrap();
        let broker = EmbeddedBroker::open(&directory).unwrap();
        fill(&broker).await;
        let before = contents(&broker).await;
        drop(broker);
        let mut writer = ExportWriter::new(Vec::new()).unwrap();
        let store = StoppedStore::open(&directory).unwrap();
        store.export(&mut writer).unwrap();
        let (mut lines, counts) = writer.finish().unwrap();

        for prefix in ["first", "second"] {
            let server = Server::start(program, &[]).await;
            let options = || RedisOptions::default().prefix(prefix);
            let store = RedisStore::connect(&server.url(), options()).await.unwrap();
            import(&store, &lines).await;
            let refused = store.check_empty().await;
            assert!(matches!(refused, Err(ExportError::NotEmpty(_))));
            let redis = Redis::over(store, Default::default());
            check(&redis, &before).await;
            redis.shutdown().await;
            let store = RedisStore::connect(&server.url(), options()).await.unwrap();
            lines = exported(&store).await;
            let redis = Redis::over(store, Default::default());
            check_goes_on(&redis, &before).await;
            redis.shutdown().await;
        }

        let target = tempfile::tempdir().unwrap();
        let mut import = StoreImport::new(&target).unwrap();
        for item in ExportReader::new(&*lines) {
            import.add(item.unwrap()).unwrap();
        }
        assert_eq!(import.finish().unwrap(), counts);
        let broker = EmbeddedBroker::open(&target).unwrap();
        check(&broker, &before).await;
        check_goes_on(&broker, &before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_to_a_cluster_is_found_there() {
    if !programs().contains(&Program::Redis) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::open(&directory).unwrap();
    fill(&broker).await;
    let before = contents(&broker).await;
    drop(broker);
    let mut writer = ExportWriter::new(Vec::new()).unwrap();
    let store = StoppedStore::open(&directory).unwrap();
    store.export(&mut writer).unwrap();
    let (lines, counts) = writer.finish().unwrap();

    let cluster = ClusterOfThree::start(Program::Redis).await;
    let url = cluster.url();
    let store = RedisStore::connect(&url, RedisOptions::default());
    let store = store.await.unwrap();
    import(&store, &lines).await;
    let again = exported(&store).await;
    let mut reader = ExportReader::new(&*again);
    for item in &mut reader {
        item.unwrap();
    }
    assert_eq!(reader.counts(), counts);
    let redis = Redis::over(store, Default::default());
    check(&redis, &before).await;
    check_goes_on(&redis, &before).await;
    redis.shutdown().await;
}
