//! Data and messages of layout 1, as they were recorded: later versions have to read them.

use std::path::Path;
use std::time::Duration;

use nextrush_broker::{
    Attempt, Claim, CommandKey, Deletion, Owner, Publish, SharedStore as _, TopicName,
};
use nextrush_redis::{RedisOptions, RedisStore};

use crate::recorder::connect;
use crate::rosters::Node;
use crate::servers::{Program, Server, programs};
use crate::store::{ALL, kept, read, texts, topic, watch};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/layout-1");
const DAY: Duration = Duration::from_secs(24 * 3600);

fn key(text: &str) -> CommandKey {
    CommandKey::owned("ada", text).unwrap()
}

/// A publication of each kind.
fn publications() -> Vec<Publish> {
    vec![
        kept("plain"),
        kept("owned").by(Owner::new("ada")),
        kept("deleted").by(Owner::new("bob")),
        kept("once").once(key("1"), DAY),
        kept("versioned").version(5),
        kept("keyed").version_of(key("card"), 6),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// Writes the file: `NEXTRUSH_RECORD=1 cargo test -p nextrush-redis --test real recorded`. For a
/// new layout, into another file.
async fn record(server: &Server) {
    let (store, _) = connect(&server.url(), RedisOptions::default()).await;
    let recorded = topic("recorded");
    let (pushes, mut pushed) = tokio::sync::mpsc::unbounded_channel();
    let config = redis::AsyncConnectionConfig::new().set_push_sender(pushes);
    let url = format!("redis://127.0.0.1:{}/?protocol=resp3", server.port);
    let client = redis::Client::open(url).unwrap();
    let mut subscription = client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap();
    subscription.psubscribe("*:c:*").await.unwrap();
    store.publish(&recorded, publications()).await.unwrap();
    let by_bob = Deletion::By(Owner::new("bob"));
    store.delete(&recorded, by_bob).await.unwrap();
    let attempt = Attempt::new(key("command")).window(DAY);
    let Claim::Mine(claimed) = store.claim(attempt).await.unwrap() else {
        panic!("nobody has claimed it");
    };
    store.answer(claimed, "done".into()).await.unwrap();
    let node = Node::connect(&server.url(), RedisOptions::default()).await;
    let at = node.put(&recorded, 0, "ada").await;
    node.put(&recorded, at, "bob").await;
    let mut lines = Vec::new();
    let connection = server.connect().await;
    let keys: Vec<Vec<u8>> = server.ask(&["KEYS", "*"]).await;
    for name in keys {
        let query = async |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            command.arg(&name).arg(&words[1..]);
            let mut connection = connection.clone();
            let found: Vec<Vec<u8>> = command.query_async(&mut connection).await.unwrap();
            found
        };
        let kind: String = redis::cmd("TYPE")
            .arg(&name)
            .query_async(&mut connection.clone())
            .await
            .unwrap();
        let values = match kind.as_str() {
            "string" => {
                let mut get = redis::cmd("GET");
                let mut connection = connection.clone();
                vec![get.arg(&name).query_async(&mut connection).await.unwrap()]
            }
            "list" => query(&["LRANGE", "0", "-1"]).await,
            "hash" => query(&["HGETALL"]).await,
            // The nodes that lived then.
            _ => continue,
        };
        let values = values.iter().map(|value| hex(value));
        let values: Vec<_> = values.collect();
        lines.push(format!("{kind} {} {}", hex(&name), values.join(" ")));
    }
    while let Ok(push) = pushed.try_recv() {
        if let [
            ..,
            redis::Value::BulkString(channel),
            redis::Value::BulkString(message),
        ] = &push.data[..]
        {
            lines.push(format!("push {} {}", hex(channel), hex(message)));
        }
    }
    lines.sort();
    std::fs::create_dir_all(Path::new(FILE).parent().unwrap()).unwrap();
    std::fs::write(FILE, lines.join("\n") + "\n").unwrap();
}

/// Puts into the server what was recorded, and returns the pushes.
async fn replay(server: &Server) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut connection = server.connect().await;
    let mut pushes = Vec::new();
    for line in std::fs::read_to_string(FILE).unwrap().lines() {
        let mut words = line.split(' ');
        let kind = words.next().unwrap();
        let mut words = words.map(bytes);
        let command = match kind {
            "string" => "SET",
            "list" => "RPUSH",
            "hash" => "HSET",
            "push" => {
                pushes.push((words.next().unwrap(), words.next().unwrap()));
                continue;
            }
            _ => panic!("{line}"),
        };
        let mut command = redis::cmd(command);
        command.arg(words.collect::<Vec<_>>());
        command.exec_async(&mut connection).await.unwrap();
    }
    pushes
}

#[tokio::test]
async fn what_was_recorded_with_layout_1_is_read() {
    if std::env::var_os("NEXTRUSH_RECORD").is_some() {
        record(&Server::start(Program::Redis, &[]).await).await;
    }
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let pushes = replay(&server).await;
        let (store, recorder) = connect(&server.url(), RedisOptions::default()).await;
        check(&server, &store).await;
        let recorded = topic("recorded");
        watch(&store, [&recorded]).await;
        assert_eq!(pushes.len(), 2);
        let mut connection = server.connect().await;
        for (channel, message) in &pushes {
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(channel).arg(message);
            publish.exec_async(&mut connection).await.unwrap();
        }
        let told = ["plain", "owned", "deleted", "once", "versioned", "keyed"];
        recorder.until_texts(&recorded, &told).await;
        let node = Node::connect(&server.url(), RedisOptions::default()).await;
        node.put(&recorded, 2, "eve").await;
        let roster = node.rosters.read(&recorded).await.unwrap();
        let members = [(0, "ada".into()), (1, "bob".into()), (2, "eve".into())];
        assert_eq!(roster.members, members);
    }
}

/// Acts on the list of nodes as a node named by the newest layout that its program knows. Returns the
/// number of living nodes and the layout that is written.
async fn act(server: &Server, newest: u8, act: &str, is_steady: bool) -> (usize, u8) {
    let mut process = vec![newest; 16];
    process.push(newest);
    let mut call = redis::cmd("EVAL");
    call.arg(include_str!("../../src/scripts/nodes.lua")).arg(3);
    call.arg(&["nodes", "processes", "layout"]);
    call.arg(10_000)
        .arg(newest)
        .arg(process)
        .arg(act)
        .arg(0)
        .arg(256)
        .arg(u8::from(is_steady));
    let mut connection = server.connect().await;
    let (taken, _, living, _, layout) = call
        .query_async::<(u64, u8, Vec<String>, Vec<String>, u8)>(&mut connection)
        .await
        .unwrap();
    assert_eq!(taken, 0);
    (living.len(), layout)
}

#[tokio::test]
async fn a_layout_is_written_when_all_living_nodes_know_it() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let kept = async || server.ask::<String>(&["GET", "layout"]).await;
        for (newest, doing, living, layout) in [
            (1, "join", 1, 1),
            (1, "live", 1, 1),
            (2, "join", 2, 1),
            (2, "live", 2, 1),
            (1, "live", 2, 1),
            (1, "leave", 1, 1),
            (2, "read", 1, 1),
            (2, "live", 1, 2),
            // It would write what nobody reads any more, and is no node.
            (1, "join", 0, 2),
            (1, "live", 0, 2),
            (3, "join", 2, 2),
            (3, "live", 2, 2),
        ] {
            let found = act(&server, newest, doing, true).await;
            assert_eq!(found, (living, layout), "{newest} {doing}");
        }
        assert_eq!(kept().await, "2 256");
        // A server that has lost everything is written to as the others may read, who come later.
        server.ask::<()>(&["FLUSHALL"]).await;
        assert_eq!(act(&server, 3, "live", false).await, (1, 2));
        assert_eq!(kept().await, "2 256");
        assert_eq!(act(&server, 2, "live", false).await, (2, 2));
        assert_eq!(act(&server, 3, "live", true).await, (2, 2));
    }
}

async fn check(server: &Server, store: &RedisStore) {
    let recorded: TopicName = topic("recorded");
    let history = read(store, &recorded, ALL).await;
    assert_eq!(
        texts(&history),
        ["plain", "owned", "", "once", "versioned", "keyed"]
    );
    let kept = &history.history.publications;
    assert_eq!(kept[1].owner, Some(Owner::new("ada")));
    assert!(kept[2].is_deleted);
    let ended = history.history.continues.unwrap();
    assert_eq!(ended.offset, 6);
    let again = store.publish(&recorded, publications()).await.unwrap();
    let outcomes: Vec<_> = again
        .outcomes
        .into_iter()
        .map(|outcome| {
            let stored = outcome.unwrap();
            (stored.is_repeat, stored.is_outdated, stored.position.offset)
        })
        .collect();
    let (new, repeat, outdated) = ((false, false), (true, false), (false, true));
    let expected = [
        (new, 7),
        (new, 8),
        (new, 9),
        (repeat, 4),
        (outdated, 5),
        (outdated, 6),
    ];
    assert_eq!(
        outcomes,
        expected.map(|((one, other), at)| (one, other, at))
    );
    let claim = store.claim(Attempt::new(key("command"))).await.unwrap();
    assert_eq!(claim, Claim::Answered("done".into()));
    let layout: Vec<String> = server.ask(&["KEYS", "*:layout:"]).await;
    let layout: String = server.ask(&["GET", &layout[0]]).await;
    assert_eq!(layout, "1 256");
}
