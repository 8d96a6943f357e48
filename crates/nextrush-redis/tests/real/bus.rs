//! The line between nodes, on real servers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nextrush_broker::{
    Asked, BoxFuture, Broker as _, BrokerError, Bus, BusReceiver, Bytes, Leased, NodeName,
    SharedStore, TopicName,
};
use nextrush_redis::{Redis, RedisBus, RedisStore, RedisUrl};
use parking_lot::Mutex;

use crate::faults::quick;
use crate::servers::{ClusterOfThree, Server, eventually, programs};
use crate::store::topic;

/// A node that writes down what is cast to it, and answers with its name and the question.
struct Node {
    bus: RedisBus,
    heard: Arc<Heard>,
}

struct Heard {
    name: String,
    casts: Mutex<Vec<(String, String, String)>>,
}

impl BusReceiver for Heard {
    fn cast(&self, from: &NodeName, room: &TopicName, message: Bytes) {
        let message = String::from_utf8_lossy(&message).into_owned();
        let cast = (from.to_string(), room.to_string(), message);
        self.casts.lock().push(cast);
    }

    fn asked(&self, from: &NodeName, question: Bytes) -> BoxFuture<'static, Option<Bytes>> {
        let question = String::from_utf8_lossy(&question).into_owned();
        let answer = format!("{}: {question} of {from}", self.name);
        let answer = (question != "unknown").then(|| Bytes::from(answer));
        Box::pin(std::future::ready(answer))
    }
}

fn name(name: &str) -> NodeName {
    NodeName::try_from(name).unwrap()
}

impl Node {
    async fn join(url: &RedisUrl, node: &str) -> Self {
        let store = Arc::new(RedisStore::connect(url, quick()).await.unwrap());
        let bus = RedisBus::join(store, name(node)).await.unwrap();
        let heard = Arc::new(Heard {
            name: node.to_owned(),
            casts: Mutex::default(),
        });
        bus.attach(Arc::clone(&heard) as Arc<dyn BusReceiver>);
        Self { bus, heard }
    }

    fn casts(&self) -> Vec<String> {
        let casts = self.heard.casts.lock();
        casts
            .iter()
            .map(|(_, _, message)| message.clone())
            .collect()
    }
}

async fn three(url: &RedisUrl) -> [Node; 3] {
    [
        Node::join(url, "a").await,
        Node::join(url, "b").await,
        Node::join(url, "c").await,
    ]
}

async fn check(url: &RedisUrl) {
    let [a, b, c] = three(url).await;
    let names = ["a", "b", "c"].map(name);
    for node in [&a, &b, &c] {
        assert_eq!(node.bus.nodes().await.unwrap(), names);
    }
    casts_reach_listeners_in_order(&a, &b, &c).await;
    questions_are_answered_or_their_silence_is_told(&a, &b).await;
    members_last_as_long_as_their_nodes(&a, &b).await;
    c.bus.leave().await;
    assert_eq!(a.bus.nodes().await.unwrap(), names[..2]);
}

async fn casts_reach_listeners_in_order(a: &Node, b: &Node, c: &Node) {
    let [room, other] = ["room", "other"].map(topic);
    for node in [a, b] {
        node.bus.listen(&room).await.unwrap();
    }
    c.bus.listen(&other).await.unwrap();
    let expected: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    for text in &expected {
        a.bus.cast(&room, text.clone().into());
    }
    eventually("all casts arrive in order", async || b.casts() == expected).await;
    let first = b.heard.casts.lock()[0].clone();
    assert_eq!(first, ("a".to_owned(), "room".to_owned(), "0".to_owned()));
    assert!(a.casts().is_empty() && c.casts().is_empty());
    // Interests are counted.
    b.bus.listen(&room).await.unwrap();
    b.bus.unlisten(&room).await;
    a.bus.cast(&room, "more".into());
    eventually("one interest is left", async || b.casts().len() == 1001).await;
    b.bus.unlisten(&room).await;
    a.bus.cast(&room, "nobody".into());
    a.bus.cast(&other, "c".into());
    eventually("another room goes on", async || c.casts() == ["c"]).await;
    assert_eq!(b.casts().len(), 1001);
}

async fn questions_are_answered_or_their_silence_is_told(a: &Node, b: &Node) {
    let long = Duration::from_secs(20);
    let ask = async |nodes: Asked, question: &str, deadline| {
        a.bus
            .ask(&nodes, question.to_owned().into(), deadline)
            .await
            .unwrap()
    };
    let all = ask(Asked::All, "who", long).await;
    let answers: Vec<_> = all.answers.iter().map(|(_, answer)| &answer[..]).collect();
    assert_eq!(answers, [b"a: who of a", b"b: who of a", b"c: who of a"]);
    assert!(all.silent.is_empty());
    // Nobody waits for a node that is not there.
    let begun = Instant::now();
    let some = Asked::Nodes(["b", "gone"].map(name).to_vec());
    let answered = ask(some, "who", long).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(answered.answers.len(), 1);
    assert_eq!(answered.silent, [name("gone")]);
    let silent = ask(Asked::All, "unknown", Duration::from_millis(200)).await;
    assert_eq!(silent.silent, ["a", "b", "c"].map(name));
    // Two questions at once have their own answers.
    let two = tokio::join!(
        ask(Asked::All, "one", long),
        b.bus.ask(&Asked::All, "two".into(), long)
    );
    assert_eq!(two.0.answers[1].1, "b: one of a");
    assert_eq!(two.1.unwrap().answers[0].1, "a: two of b");
}

async fn members_last_as_long_as_their_nodes(a: &Node, b: &Node) {
    let set = topic("set");
    let leased = async || b.bus.leased(&set).await.unwrap();
    let member = |node: &str, member: &str, value: &'static str| {
        Leased::new(name(node), member, value.into())
    };
    for (node, text, value) in [(a, "x", "1"), (b, "x", "2"), (a, "y z", "3"), (a, "x", "4")] {
        node.bus.lease(&set, text, value.into()).await.unwrap();
    }
    let expected = [
        member("a", "x", "4"),
        member("a", "y z", "3"),
        member("b", "x", "2"),
    ];
    assert_eq!(leased().await, expected);
    a.bus.release(&set, "x").await.unwrap();
    assert_eq!(leased().await, expected[1..]);
}

#[tokio::test]
async fn nodes_cast_ask_and_hold() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        check(&server.url()).await;
        let cluster = ClusterOfThree::start(program).await;
        check(&cluster.url()).await;
    }
}

#[tokio::test]
async fn a_node_that_counted_as_dead_puts_its_members_again() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let [a, b, _c] = three(&server.url()).await;
        let set = topic("set");
        a.bus.lease(&set, "x", "1".into()).await.unwrap();
        let [nodes]: [String; 1] = server.ask(&["KEYS", "*:nodes:*"]).await;
        // Paused for a while.
        server.ask::<()>(&["ZADD", &nodes, "1", "a"]).await;
        assert_eq!(b.bus.nodes().await.unwrap(), ["b", "c"].map(name));
        assert_eq!(b.bus.leased(&set).await.unwrap(), []);
        eventually("it says that it lives", async || {
            b.bus.nodes().await.unwrap().len() == 3
        })
        .await;
        assert_eq!(b.bus.leased(&set).await.unwrap().len(), 1);
        // For longer than an hour: what it held is gone, until it comes back.
        server.ask::<()>(&["ZREM", &nodes, "a"]).await;
        assert_eq!(b.bus.leased(&set).await.unwrap(), []);
        eventually("its member is there again", async || {
            b.bus.leased(&set).await.unwrap().len() == 1
        })
        .await;
    }
}

#[tokio::test]
async fn nodes_that_a_full_server_forgets_are_unknown_and_never_gone() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (a, b) = (
            Node::join(&server.url(), "a").await,
            Node::join(&server.url(), "b").await,
        );
        let (both, set) = (["a", "b"].map(name), topic("set"));
        for node in [&a, &b] {
            assert_eq!(node.bus.nodes().await.unwrap(), both);
        }
        let [nodes]: [String; 1] = server.ask(&["KEYS", "*:nodes:*"]).await;
        server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
        // One lease ends a little before the other.
        server.ask::<()>(&["ZREM", &nodes, "a"]).await;
        eventually("a list without it is not believed", async || {
            b.bus.nodes().await.is_err()
        })
        .await;
        let until: f64 = server.ask(&["ZSCORE", &nodes, "b"]).await;
        let (seconds, _): (u32, u32) = server.ask(&["TIME"]).await;
        let next_second = f64::from(seconds + 1) * 1000.0;
        assert!(until > next_second, "its own lease has ended");
        for node in [&a, &b] {
            let all = node.bus.nodes().await;
            assert!(matches!(all, Err(BrokerError::Unavailable(_))), "{all:?}");
            let deadline = Duration::from_secs(20);
            let asked = node.bus.ask(&Asked::All, "who".into(), deadline).await;
            assert!(
                matches!(asked, Err(BrokerError::Unavailable(_))),
                "{asked:?}"
            );
            let leased = node.bus.leased(&set).await;
            assert!(
                matches!(leased, Err(BrokerError::Unavailable(_))),
                "{leased:?}"
            );
        }
        server.ask::<()>(&["ZREM", &nodes, "b"]).await;
        server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
        for node in [&a, &b] {
            eventually("the nodes are known again", async || {
                let all = node.bus.nodes().await;
                all.is_ok_and(|all| {
                    assert_eq!(all, both);
                    true
                })
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_node_listens_again_after_a_lost_connection() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let [a, b, _c] = three(&server.url()).await;
        let room = topic("room");
        b.bus.listen(&room).await.unwrap();
        server
            .ask::<i64>(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .await;
        eventually("casts arrive again", async || {
            a.bus.cast(&room, "again".into());
            !b.casts().is_empty()
        })
        .await;
        eventually("questions are answered again", async || {
            let deadline = Duration::from_millis(500);
            let asked = a.bus.ask(&Asked::All, "who".into(), deadline).await;
            asked.unwrap().silent.is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn a_name_is_one_living_nodes_at_a_time() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let connect = async || {
            let options = quick().node(name("a"));
            Redis::with_options(&server.url(), options).await
        };
        let redis = connect().await.unwrap();
        assert_eq!(redis.bus().unwrap().node(), &name("a"));
        let refused = format!("{:?}", connect().await.unwrap_err());
        assert!(
            refused.contains("a living node has the name a"),
            "{refused}"
        );
        redis.shutdown().await;
        drop(redis);
        eventually("the name is free", async || connect().await.is_ok()).await;
    }
}

#[tokio::test]
async fn a_bus_and_its_store_end_together() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let store = Arc::new(RedisStore::connect(&server.url(), quick()).await.unwrap());
        let bus = RedisBus::join(Arc::clone(&store), name("a")).await.unwrap();
        bus.leave().await;
        drop(bus);
        store.shutdown().await;
        eventually("nothing holds the store", async || {
            Arc::strong_count(&store) == 1
        })
        .await;
        eventually("nothing is connected", async || {
            let clients: String = server.ask(&["CLIENT", "LIST"]).await;
            !clients.contains("name=nextrush ")
        })
        .await;
    }
}
