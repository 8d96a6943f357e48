//! The bound of a store's files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use nextrush_broker::{
    Broker, BrokerError, Bytes, EmbeddedBroker, EmbeddedOptions, History, HistoryQuery,
    ManualClock, Owner, Publish, Retention, TopicName,
};
use rand::RngCore;

const MIB: u64 = 1 << 20;
/// Histories have 22 MiB of it, and one owner 1.4 MiB while they are too large.
const LIMIT: u64 = 300 * MIB;
/// The bytes that may be written before the limit is looked at again: a group, and what fills a journal.
const MARGIN: u64 = 80 * MIB;

fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).unwrap()
}

fn size(directory: &Path) -> u64 {
    let sizes = fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        // Files come and go meanwhile.
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        }
    });
    sizes.sum()
}

fn random(bytes: usize) -> Bytes {
    let mut data = vec![0; bytes];
    rand::rng().fill_bytes(&mut data);
    data.into()
}

async fn all(broker: &EmbeddedBroker, name: &str) -> History {
    let all = HistoryQuery::Latest(usize::MAX);
    broker.history(&topic(name), all).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_neither_fills_the_disk_nor_pushes_out_what_others_said() {
    fill(Some(Owner::new("eve"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publications_without_an_owner_do_not_push_out_what_users_said() {
    fill(None).await;
}

fn by(publish: Publish, owner: &Option<Owner>) -> Publish {
    match owner {
        Some(owner) => publish.by(owner.clone()),
        None => publish,
    }
}

async fn fill(eve: Option<Owner>) {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::default().store_bytes(LIMIT);
    let broker = EmbeddedBroker::builder(&directory).options(options).open();
    let broker = broker.unwrap();
    let kept = Retention::count(100);
    let bob = Some(Owner::new("bob"));
    let said = async |name: &str, text: String, owner: &Option<Owner>| {
        let publish = by(Publish::new(text).retain(kept), owner);
        broker.publish(&topic(name), publish).await.unwrap();
    };
    for number in 0..20 {
        said("room of bob", format!("bob {number}"), &bob).await;
        // A word in the room of somebody else is no claim to what is there.
        said("room of all", format!("bob {number}"), &bob).await;
        said("room of all", format!("eve {number}"), &eve).await;
    }
    let before = all(&broker, "room of bob").await;

    let data = random(64 << 10);
    let mut largest = 0;
    let mut refused = 0;
    // 300 MiB, 48 rooms of 100 messages.
    for number in 0..75 {
        let published = (0..64).map(|place| {
            let name = format!("room {} of eve", (number * 64 + place) / 100);
            let publish = Publish::new(data.clone()).retain(kept);
            broker.publish(&topic(&name), by(publish, &eve))
        });
        for published in join_all(published).await {
            match published {
                Ok(_) => {}
                Err(BrokerError::Full(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        largest = largest.max(size(directory.path()));
    }
    assert!(largest <= LIMIT + MARGIN, "{} MiB", largest / MIB);
    assert_eq!(all(&broker, "room of bob").await, before);
    let texts: Vec<_> = all(&broker, "room of all").await.publications;
    let of_bob = texts.iter().filter(|kept| kept.data.starts_with(b"bob"));
    assert_eq!(of_bob.count(), 20);
    // Bob is not refused for what Eve has written.
    // Everybody is while the files are at the limit, which takes moments.
    let mut tries = 0;
    loop {
        let publish = Publish::new("bob again").retain(kept).by(Owner::new("bob"));
        match broker.publish(&topic("room of bob"), publish).await {
            Ok(_) => break,
            Err(BrokerError::Full(_)) if tries < 10_000 => tries += 1,
            Err(error) => panic!("{error} after {tries} tries"),
        }
    }
    // Her first room has lost its messages, and not its position: nobody recovers by mistake.
    let first = all(&broker, "room 0 of eve").await;
    assert_eq!(first.publications, []);
    assert!(first.position.offset + refused >= 100, "{first:?}");
}

#[tokio::test]
async fn the_longest_unused_topics_lose_their_histories_first_and_keep_their_positions() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    // Histories have 16 MiB of it.
    let options = EmbeddedOptions::default().store_bytes(280 * MIB);
    let builder = EmbeddedBroker::builder(&directory).options(options);
    let broker = builder.clock(Arc::clone(&clock)).open().unwrap();
    let data = random(90 << 10);
    broker.subscribe(&topic("0")).await.unwrap();
    for name in 0..30 {
        for _ in 0..10 {
            let owner = Owner::new(&format!("owner {name}"));
            let publish = Publish::new(data.clone()).retain(Retention::count(10));
            let published = broker.publish(&topic(&name.to_string()), publish.by(owner));
            published.await.unwrap();
        }
        clock.advance(Duration::from_secs(1));
    }
    // Each of these gives the writer a turn. Reading a topic would be a use of it.
    for _ in 0..300 {
        let tick = Publish::new("tick").retain(Retention::count(1));
        broker.publish(&topic("tick"), tick).await.unwrap();
    }
    for name in ["1", "2"] {
        let history = all(&broker, name).await;
        assert_eq!(history.publications, [], "{name}");
        assert_eq!(history.position.offset, 10, "{name}");
    }
    // One that somebody listens to is in use.
    for name in ["0", "15", "29"] {
        assert_eq!(all(&broker, name).await.publications.len(), 10, "{name}");
    }
}

#[tokio::test]
async fn what_the_framework_keeps_for_itself_is_neither_shed_nor_cut_nor_refused() {
    const REVOKED: &str = "nr.auth/tokens/revoked";
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let options = EmbeddedOptions::default()
        .store_bytes(280 * MIB)
        .topic_bytes(MIB as usize);
    let builder = EmbeddedBroker::builder(&directory).options(options);
    let broker = builder.clock(Arc::clone(&clock)).open().unwrap();
    let data = random(90 << 10);
    let publish = async |name: &str, owner: Option<Owner>| {
        let publish = Publish::new(data.clone()).retain(Retention::count(100));
        broker.publish(&topic(name), by(publish, &owner)).await
    };
    // The longest unused, more than one owner may have, and more than a topic may.
    for _ in 0..20 {
        publish(REVOKED, None).await.unwrap();
    }
    clock.advance(Duration::from_secs(1));
    for name in 0..40 {
        for _ in 0..10 {
            // Nobody's, as the others, or somebody's.
            let owner = (name % 2 == 0).then(|| Owner::new(&format!("owner {name}")));
            publish(&name.to_string(), owner).await.unwrap();
        }
        clock.advance(Duration::from_secs(1));
    }
    for _ in 0..300 {
        let tick = Publish::new("tick").retain(Retention::count(1));
        broker.publish(&topic("tick"), tick).await.unwrap();
    }
    assert_eq!(all(&broker, "1").await.publications, []);
    assert_eq!(all(&broker, REVOKED).await.publications.len(), 20);
    assert!(publish(REVOKED, None).await.is_ok());
}
