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
use crate::proxy::{Line, Proxy};
use crate::servers::{ClusterOfThree, Server, eventually, programs, url};
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

/// The ends of the lease of a node and of the present, in milliseconds of the server.
async fn lease_and_now(server: &Server, node: &str) -> (f64, f64) {
    let [nodes]: [String; 1] = server.ask(&["KEYS", "*:nodes:*"]).await;
    let until: Option<f64> = server.ask(&["ZSCORE", &nodes, node]).await;
    let (seconds, micros): (u32, u32) = server.ask(&["TIME"]).await;
    let now = f64::from(seconds) * 1000.0 + f64::from(micros) / 1000.0;
    (until.unwrap_or_default(), now)
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
        assert!(refused.contains("NameTaken"), "{refused}");
        redis.shutdown().await;
        drop(redis);
        connect().await.unwrap().shutdown().await;
        // Of two at once one gets it.
        let (one, other) = tokio::join!(connect(), connect());
        assert_ne!(one.is_ok(), other.is_ok(), "{one:?} {other:?}");
        // A crash closes the connections, so nobody waits for the end of the lease.
        drop((one, other));
        eventually("the connections are closed", async || {
            let clients: String = server.ask(&["CLIENT", "LIST"]).await;
            !clients.contains("name=a-pushes ")
        })
        .await;
        let _next = connect().await.unwrap();
        let (until, now) = lease_and_now(&server, "a").await;
        assert!(until > now + 5_000.0, "{until} {now}");
    }
}

#[tokio::test]
async fn the_name_of_a_node_that_a_power_cut_ended_is_free_when_its_lease_is_over() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let line = Proxy::start(server.port).await;
        let options = quick().node(name("a"));
        let before = Redis::with_options(&url(line.port), options.clone()).await;
        let before = before.unwrap();
        let (bus, set) = (before.bus().unwrap(), topic("set"));
        bus.lease(&set, "x", "before".into()).await.unwrap();
        // No word comes through, also not that the connections are closed.
        line.set(Line::Held);
        let (until, now) = lease_and_now(&server, "a").await;
        assert!(now < until);
        let after = Redis::with_options(&server.url(), options).await.unwrap();
        let (_, now) = lease_and_now(&server, "a").await;
        assert!(now >= until, "its lease was not over: {now} {until}");
        let b = Node::join(&server.url(), "b").await;
        let _c = Node::join(&server.url(), "c").await;
        let names = ["a", "b", "c"].map(name);
        assert_eq!(b.bus.nodes().await.unwrap(), names);
        after
            .bus()
            .unwrap()
            .lease(&set, "x", "after".into())
            .await
            .unwrap();
        // It was no power cut but a long pause: who has the name keeps it.
        line.set(Line::Up);
        let ended = before.failed().await;
        assert_eq!(ended, "the lease of the node's name");
        for refused in [
            bus.lease(&set, "x", "again".into()).await,
            bus.release(&set, "x").await,
            bus.nodes().await.map(drop),
            bus.leased(&set).await.map(drop),
        ] {
            let refused = format!("{refused:?}");
            assert!(refused.contains("NameTaken"), "{refused}");
        }
        before.shutdown().await;
        assert_eq!(b.bus.nodes().await.unwrap(), names);
        let leased = Leased::new(name("a"), "x", "after".into());
        assert_eq!(b.bus.leased(&set).await.unwrap(), [leased]);
    }
}

#[tokio::test]
async fn nodes_that_come_back_late_after_a_pause_of_the_server_are_unknown_and_never_gone() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let line = Proxy::start(server.port).await;
        let (a, _b) = (
            Node::join(&server.url(), "a").await,
            Node::join(&url(line.port), "b").await,
        );
        let both = ["a", "b"].map(name);
        assert_eq!(a.bus.nodes().await.unwrap(), both);
        line.set(Line::Cut);
        server.pause();
        eventually("the server is missed", async || {
            a.bus.nodes().await.is_err()
        })
        .await;
        server.resume();
        // All leases are over, as after a longer pause.
        let [nodes]: [String; 1] = server.ask(&["KEYS", "*:nodes:*"]).await;
        server
            .ask::<()>(&["ZADD", &nodes, "1", "a", "1", "b"])
            .await;
        let mut last = 1.0;
        for _ in 0..3 {
            eventually("a says again that it lives", async || {
                let (until, _) = lease_and_now(&server, "a").await;
                std::mem::replace(&mut last, until) != until
            })
            .await;
            let known = a.bus.nodes().await;
            assert!(
                matches!(known, Err(BrokerError::Unavailable(_))),
                "{known:?}"
            );
        }
        line.set(Line::Up);
        eventually("both are known again", async || {
            a.bus.nodes().await.is_ok_and(|known| known == both)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_is_left_and_entered_at_once_is_heard() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (a, b) = (
            Node::join(&server.url(), "a").await,
            Arc::new(Node::join(&server.url(), "b").await),
        );
        let room = topic("room");
        b.bus.listen(&room).await.unwrap();
        for round in 0..300 {
            let begun = Instant::now();
            let (node, left) = (Arc::clone(&b), room.clone());
            let leaving = tokio::spawn(async move { node.bus.unlisten(&left).await });
            let (node, entered) = (Arc::clone(&b), room.clone());
            let entering = tokio::spawn(async move { node.bus.listen(&entered).await });
            leaving.await.unwrap();
            entering.await.unwrap().unwrap();
            let text = round.to_string();
            a.bus.cast(&room, text.clone().into());
            eventually(&format!("{round} is heard"), async || {
                b.casts().last() == Some(&text)
            })
            .await;
            assert_eq!(b.casts().len(), round + 1);
            assert!(
                begun.elapsed() < Duration::from_millis(900),
                "it stood still"
            );
        }
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
