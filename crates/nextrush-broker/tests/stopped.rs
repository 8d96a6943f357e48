//! Stores that are looked into, moved and backed up.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use nextrush_broker::{
    Attempt, Broker, BrokerError, Bytes, Claim, CommandKey, Deletion, EmbeddedBroker, ExportCounts,
    ExportReader, ExportWriter, Fingerprint, History, HistoryQuery, OpenError, Owner, Position,
    Publish, Published, Retention, StoppedStore, StoreImport, TopicName,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::{TempDir, tempdir};

const ALL: HistoryQuery = HistoryQuery::Latest(usize::MAX);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).unwrap()
}

fn key(text: &str) -> CommandKey {
    CommandKey::try_from(text).unwrap()
}

fn kept(data: impl Into<Bytes>) -> Publish {
    Publish::new(data).retain(Retention::count(3).max_age(DAY))
}

async fn publish(broker: &EmbeddedBroker, name: &str, publish: Publish) -> Published {
    broker.publish(&topic(name), publish).await.unwrap()
}

async fn history(broker: &EmbeddedBroker, name: &str) -> History {
    broker.history(&topic(name), ALL).await.unwrap()
}

fn once() -> Publish {
    kept("once")
        .once(key("ada/1"), DAY)
        .fingerprint(Fingerprint::of(b"once"))
}

async fn claim(broker: &EmbeddedBroker, attempt: Attempt) -> Claim {
    broker.claim(attempt).await.unwrap()
}

fn at_most_once() -> Attempt {
    Attempt::new(key("bob/1")).at_most_once().window(DAY)
}

/// Publishes something of each kind.
async fn fill(broker: &EmbeddedBroker) {
    for text in ["1", "2", "3", "4"] {
        publish(broker, "chat/a", kept(text).by(Owner::new("ada"))).await;
    }
    publish(broker, "chat/a", kept(&b"\xff"[..])).await;
    let second = Deletion::Offsets(vec![4]);
    broker.delete(&topic("chat/a"), second).await.unwrap();
    publish(broker, "live/b", once()).await;
    publish(broker, "live/b", kept("v").version(7)).await;
    publish(broker, "live/b", kept("k").version_of(key("card"), 9)).await;
    publish(broker, "quiet", Publish::new("not remembered")).await;
    let command = Attempt::new(key("ada/2")).fingerprint(Fingerprint::of(b"body"));
    let Claim::Mine(claimed) = claim(broker, command.window(DAY)).await else {
        panic!("it is the first");
    };
    broker.answer(claimed, "done".into()).await.unwrap();
    let begun = claim(broker, at_most_once()).await;
    assert!(matches!(begun, Claim::Mine(_)));
}

/// All that a client can see of the store, which is the same after a move.
async fn contents(broker: &EmbeddedBroker) -> Vec<History> {
    let mut all = Vec::new();
    // The last one has no publications.
    for name in ["chat/a", "live/b", "quiet", "unborn"] {
        all.push(history(broker, name).await);
    }
    all
}

/// Checks what is remembered beside histories, and that the store goes on.
async fn check_whole(broker: &EmbeddedBroker, before: &[History]) {
    assert_eq!(contents(broker).await, before);
    let names = ["chat/a", "live/b", "quiet"].map(topic);
    assert_eq!(broker.topics(None, 10).await.unwrap(), names);
    assert_eq!(before[0].publications[1].offset, 4);
    assert!(before[0].publications[1].is_deleted);
    assert_eq!(before[0].publications[0].owner, Some(Owner::new("ada")));

    let repeat = publish(broker, "live/b", once()).await;
    assert!(repeat.is_repeat);
    assert_eq!(repeat.position.offset, 1);
    let other = once().fingerprint(Fingerprint::of(b"other"));
    let reused = broker.publish(&topic("live/b"), other).await;
    assert!(matches!(reused, Err(BrokerError::Reused)));
    for (outdated, offset) in [
        (kept("").version(7), 2),
        (kept("").version_of(key("card"), 9), 3),
    ] {
        let published = publish(broker, "live/b", outdated).await;
        assert!(published.is_outdated);
        assert_eq!(published.position.offset, offset);
    }
    let command = Attempt::new(key("ada/2")).fingerprint(Fingerprint::of(b"body"));
    assert_eq!(claim(broker, command).await, Claim::Answered("done".into()));
    assert_eq!(claim(broker, at_most_once()).await, Claim::InDoubt);

    let next = publish(broker, "chat/a", kept("next")).await;
    assert_eq!(next.position.epoch, before[0].position.epoch);
    assert_eq!(next.position.offset, 6);
    assert_eq!(
        data(&history(broker, "chat/a").await),
        [&b""[..], b"\xff", b"next"]
    );
}

fn data(history: &History) -> Vec<Bytes> {
    let data = history.publications.iter().map(|kept| kept.data.clone());
    data.collect()
}

/// A closed store with something of each kind.
async fn closed() -> (TempDir, Vec<History>) {
    let directory = tempdir().unwrap();
    let broker = EmbeddedBroker::open(&directory).unwrap();
    fill(&broker).await;
    let before = contents(&broker).await;
    (directory, before)
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), fs::read(path).unwrap())),
        }
    }
    found
}

#[tokio::test]
async fn an_exported_store_is_the_same_where_it_is_imported() {
    let (directory, before) = closed().await;
    let untouched = files(directory.path());
    let store = StoppedStore::open(&directory).unwrap();
    let mut writer = ExportWriter::new(Vec::new()).unwrap();
    store.export(&mut writer).unwrap();
    let (lines, counts) = writer.finish().unwrap();
    drop(store);
    assert_eq!(files(directory.path()), untouched);

    let target = tempdir().unwrap();
    // What is in the root of a file system is no obstacle.
    fs::create_dir(target.path().join("lost+found")).unwrap();
    let mut import = StoreImport::new(&target).unwrap();
    for item in ExportReader::new(&*lines) {
        import.add(item.unwrap()).unwrap();
    }
    assert_eq!(import.finish().unwrap(), counts);
    let broker = EmbeddedBroker::open(&target).unwrap();
    check_whole(&broker, &before).await;
    // A new topic is none of the old ones, on the disk either.
    for _ in 0..6 {
        publish(
            &broker,
            "new",
            Publish::new("new").retain(Retention::count(9)),
        )
        .await;
    }
    drop(broker);
    let broker = EmbeddedBroker::open(&target).unwrap();
    assert_eq!(data(&history(&broker, "new").await), ["new"; 6]);
    assert_eq!(data(&history(&broker, "chat/a").await)[2], "next");
}

#[tokio::test]
async fn an_import_that_is_not_finished_leaves_nothing_and_none_is_made_over_a_store() {
    let (directory, _) = closed().await;
    let refused = StoreImport::new(&directory);
    assert!(matches!(refused, Err(OpenError::NotEmpty(_))));
    let target = tempdir().unwrap();
    drop(StoreImport::new(&target).unwrap());
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}

#[tokio::test]
async fn the_sizes_of_a_store_are_those_of_its_contents() {
    let (directory, before) = closed().await;
    let stats = StoppedStore::open(&directory).unwrap().stats(1).unwrap();
    assert_eq!((stats.topics, stats.publications, stats.deleted), (3, 6, 1));
    // "3", "\xff", "once", "v" and "k".
    assert_eq!(stats.data_bytes, 8);
    assert_eq!((stats.once, stats.versions, stats.commands), (1, 2, 2));
    let times = |number: usize| before[number].publications.iter().map(|kept| kept.time_ms);
    let all = || times(0).chain(times(1));
    assert_eq!(stats.oldest_ms, all().min());
    assert_eq!(stats.newest_ms, all().max());
    let [largest] = &stats.largest[..] else {
        panic!("{stats:?}");
    };
    assert_eq!(largest.topic, topic("live/b"));
    assert_eq!((largest.publications, largest.bytes), (3, 6));
    assert!(stats.bytes.journals > 0 && stats.bytes.other > 0);
    assert!(stats.bytes.total() >= stats.bytes.journals + stats.bytes.other);
}

#[tokio::test]
async fn a_whole_store_has_no_damage() {
    let (directory, before) = closed().await;
    let check = StoppedStore::check(&directory).unwrap();
    assert_eq!((&check.damages[..], check.opens), (&[][..], true));
    assert_eq!((check.counts.topics, check.counts.publications), (3, 6));
    check_whole(&EmbeddedBroker::open(&directory).unwrap(), &before).await;
}

#[tokio::test]
async fn damage_is_told_with_the_file_and_what_is_lost() {
    let directory = tempdir().unwrap();
    let broker = EmbeddedBroker::open(&directory).unwrap();
    fill(&broker).await;
    // Beyond the ends of a table, by which it is known when a store is opened, and not compressed.
    let mut random = StdRng::seed_from_u64(1);
    let data: Vec<u8> = (0..100_000).map(|_| random.random()).collect();
    // Others are in another block.
    publish(&broker, "between", kept(data[..20_000].to_vec())).await;
    publish(&broker, "large", kept(data.clone())).await;
    drop(broker);
    // All of it goes to tables.
    StoppedStore::compact(&directory).unwrap();
    let place = |bytes: &[u8]| {
        let middle = &data[50_000..50_016];
        bytes.windows(16).position(|part| part == middle)
    };
    let tables = files(&directory.path().join("data/keyspaces"));
    let (path, good) = tables
        .into_iter()
        .find(|(_, bytes)| place(bytes).is_some())
        .unwrap();
    let name = path.strip_prefix(directory.path()).unwrap();
    let at = place(&good).unwrap();
    let mut bad = good.clone();
    bad[at] ^= 1;
    fs::write(&path, bad).unwrap();
    let untouched = files(directory.path());
    let check = StoppedStore::check(&directory).unwrap();
    assert_eq!(files(directory.path()), untouched);
    let what: Vec<_> = check.damages.iter().map(|damage| &*damage.what).collect();
    let lost: Vec<_> = check.damages.iter().map(|damage| &*damage.lost).collect();
    assert!(what[0].contains(name.to_str().unwrap()), "{check:?}");
    assert!(check.opens);
    assert_eq!(lost[0], "histories of rooms and channels");
    assert!(lost.contains(&"the history of large"), "{check:?}");
    // Who reads the topic before it comes to the damaged block as well.
    assert_eq!((check.counts.topics, check.counts.publications), (3, 6));
    fs::write(&path, good).unwrap();

    // What a broker has noted is told until somebody has put it right.
    fs::write(directory.path().join("DAMAGED"), "data/7.jnl is missing").unwrap();
    let check = StoppedStore::check(&directory).unwrap();
    assert!(!check.opens);
    assert_eq!(check.damages[0].what, "DAMAGED says: data/7.jnl is missing");
    assert_eq!(check.damages.len(), 1);

    fs::remove_file(directory.path().join("DAMAGED")).unwrap();
    fs::remove_file(directory.path().join("FILES")).unwrap();
    let check = StoppedStore::check(&directory).unwrap();
    assert!(!check.opens);
    assert_eq!(check.damages[0].what, "FILES is missing");
}

#[tokio::test]
async fn a_store_is_compacted_and_keeps_what_it_holds() {
    let directory = tempdir().unwrap();
    let broker = EmbeddedBroker::open(&directory).unwrap();
    fill(&broker).await;
    for number in 0..200 {
        publish(&broker, "large", kept(vec![number; 200_000])).await;
    }
    let (before, large) = (contents(&broker).await, history(&broker, "large").await);
    drop(broker);
    let compacted = StoppedStore::compact(&directory).unwrap();
    assert!(compacted.after < compacted.before, "{compacted:?}");
    // What was overwritten is in no file any more.
    let old = |bytes: &[u8]| bytes.windows(100).any(|part| part == [100; 100]);
    assert!(!files(directory.path()).values().any(|bytes| old(bytes)));
    let broker = EmbeddedBroker::open(&directory).unwrap();
    assert_eq!(contents(&broker).await, before);
    assert_eq!(history(&broker, "large").await, large);
}

#[tokio::test]
async fn a_store_in_use_and_a_directory_without_one_are_left_alone() {
    let (directory, _) = closed().await;
    let broker = EmbeddedBroker::open(&directory).unwrap();
    let outcomes = |directory: &Path| {
        [
            StoppedStore::open(directory).map(drop),
            StoppedStore::check(directory).map(drop),
            StoppedStore::compact(directory).map(drop),
        ]
    };
    for outcome in outcomes(directory.path()) {
        assert!(matches!(outcome, Err(OpenError::InUse)), "{outcome:?}");
    }
    drop(broker);
    let store = StoppedStore::open(&directory).unwrap();
    let refused = EmbeddedBroker::open(&directory);
    assert!(matches!(refused, Err(OpenError::InUse)));
    drop(store);

    let empty = tempdir().unwrap();
    for outcome in outcomes(empty.path()) {
        assert!(matches!(outcome, Err(OpenError::Format(_))), "{outcome:?}");
    }
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
}

#[tokio::test]
async fn a_backup_is_a_store_of_its_own_with_all_that_it_had() {
    let directory = tempdir().unwrap();
    let broker = EmbeddedBroker::open(&directory).unwrap();
    publish(&broker, "chat/z", kept("the deleted secret")).await;
    broker
        .delete(&topic("chat/z"), Deletion::All)
        .await
        .unwrap();
    let backups = tempdir().unwrap();
    let into = backups.path().join("first");
    fill(&broker).await;
    let before = contents(&broker).await;
    let backup = broker.back_up(&into).await.unwrap();
    assert_eq!((backup.topics, backup.publications), (4, 7));
    assert!(backup.bytes > 0);
    let secret = |bytes: &[u8]| bytes.windows(18).any(|part| part == b"the deleted secret");
    assert!(!files(&into).values().any(|bytes| secret(bytes)));

    // None is made over another one, and nothing else is left.
    let untouched = files(&into);
    let again = broker.back_up(&into).await;
    assert!(matches!(again, Err(BrokerError::Unavailable(_))));
    assert_eq!(files(&into), untouched);
    let names = fs::read_dir(&backups).unwrap();
    assert_eq!(names.count(), 1);

    let restored = EmbeddedBroker::open(&into).unwrap();
    restored
        .delete(&topic("chat/z"), Deletion::All)
        .await
        .unwrap();
    let after = contents(&restored).await;
    for (old, new) in before.iter().zip(&after) {
        // Its offsets are given out twice, so nobody recovers by mistake.
        assert!(new.position.epoch > old.position.epoch);
        assert_eq!(new.position.offset, old.position.offset);
        assert_eq!(new.publications, old.publications);
    }
    let epoch = after[1].position.epoch;
    let repeat = publish(&restored, "live/b", once()).await;
    assert!(repeat.is_repeat && repeat.position == Position::new(epoch, 1));
    for (late, offset) in [
        (kept("").version(7), 2),
        (kept("").version_of(key("card"), 9), 3),
    ] {
        let published = publish(&restored, "live/b", late).await;
        assert!(published.is_outdated);
        assert_eq!(published.position, Position::new(epoch, offset));
    }
    // The broker goes on by itself.
    let next = publish(&broker, "chat/a", kept("next")).await;
    assert_eq!(next.position.offset, 6);
    assert_eq!(history(&restored, "chat/a").await.position.offset, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_during_publishing_has_each_topic_as_it_was_at_one_moment() {
    let directory = tempdir().unwrap();
    let broker = Arc::new(EmbeddedBroker::open(&directory).unwrap());
    let is_done = Arc::new(AtomicBool::new(false));
    // In pairs: what a publisher writes to the second is in the first already.
    let publishers: Vec<_> = (0..4)
        .map(|pair| {
            let (broker, is_done) = (Arc::clone(&broker), Arc::clone(&is_done));
            tokio::spawn(async move {
                let mut count = 0_u64;
                while !is_done.load(Ordering::Relaxed) {
                    count += 1;
                    for name in ["a", "b"] {
                        let data = format!("{count}{}", " ".repeat(2000));
                        let publish = Publish::new(data).retain(Retention::count(20));
                        let published = broker.publish(&topic(&format!("{name}{pair}")), publish);
                        assert_eq!(published.await.unwrap().position.offset, count);
                    }
                }
            })
        })
        .collect();
    let backups = tempdir().unwrap();
    for number in 0..3 {
        let offset = |name: String| {
            let broker = Arc::clone(&broker);
            async move { history(&broker, &name).await.position.offset }
        };
        let mut least = Vec::new();
        for pair in 0..4 {
            least.push(offset(format!("b{pair}")).await);
        }
        let into = backups.path().join(number.to_string());
        broker.back_up(&into).await.unwrap();
        let restored = EmbeddedBroker::open(&into).unwrap();
        for (pair, least) in least.into_iter().enumerate() {
            let first = history(&restored, &format!("a{pair}")).await;
            let second = history(&restored, &format!("b{pair}")).await;
            let (one, two) = (first.position.offset, second.position.offset);
            assert!(
                two >= least && (one == two || one == two + 1),
                "{one} {two}"
            );
            for kept in first.publications.iter().chain(&second.publications) {
                let text = std::str::from_utf8(&kept.data).unwrap();
                assert_eq!(text.trim_end(), kept.offset.to_string());
            }
        }
        // Publishing has gone on meanwhile, or goes on.
        let before = offset("a0".to_owned()).await;
        while offset("a0".to_owned()).await == before {
            tokio::task::yield_now().await;
        }
    }
    is_done.store(true, Ordering::Relaxed);
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let check = StoppedStore::check(backups.path().join("2")).unwrap();
    assert_eq!(check.damages, []);
    assert_ne!(check.counts, ExportCounts::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_dropped_ends_its_backup_and_leaves_nothing_of_it() {
    let directory = tempdir().unwrap();
    let broker = EmbeddedBroker::open(&directory).unwrap();
    for number in 0..2000 {
        let name = format!("topic {number}");
        publish(&broker, &name, kept(vec![b'x'; 10_000])).await;
    }
    let backups = tempdir().unwrap();
    let into = backups.path().join("backup");
    let mut backup = broker.back_up(&into);
    // Until its files are there.
    while fs::read_dir(&backups).unwrap().count() == 0 {
        assert!((&mut backup).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(backup);
    tokio::task::spawn_blocking(move || drop(broker))
        .await
        .unwrap();
    while fs::read_dir(&backups).unwrap().count() > 0 {
        if into.exists() {
            // It was quicker.
            assert_eq!(StoppedStore::check(&into).unwrap().damages, []);
            return;
        }
        tokio::task::yield_now().await;
    }
}
