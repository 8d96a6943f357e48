//! Rosters on real servers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nextrush_broker::conformance::{roster_conformance, roster_pair_conformance};
use nextrush_broker::{
    Broker as _, BrokerError, Committed, NodeName, RosterChange, RosterRevision, RosterSink,
    Rosters, SequencerOptions, TopicName,
};
use nextrush_redis::{Redis, RedisOptions, RedisStore, RedisUrl};
use parking_lot::Mutex;

use crate::faults::quick;
use crate::nodes::Deployment;
use crate::proxy::{Line, Proxy};
use crate::servers::{ClusterOfThree, Server, eventually, programs, replica, sentinels, url};
use crate::store::topic;

/// The rosters of a node, and what its sink was told.
pub(crate) struct Node {
    /// Lets the connections live.
    _redis: Redis,
    pub(crate) rosters: Arc<dyn Rosters>,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    changes: Mutex<Vec<(TopicName, Arc<RosterChange>)>>,
    interruptions: Mutex<usize>,
}

impl RosterSink for Told {
    fn changed(&self, topic: &TopicName, change: &Arc<RosterChange>) {
        let told = (topic.clone(), Arc::clone(change));
        self.changes.lock().push(told);
    }

    fn interrupted(&self) {
        *self.interruptions.lock() += 1;
    }
}

impl Node {
    pub(crate) async fn connect(url: &RedisUrl, options: RedisOptions) -> Self {
        let store = RedisStore::connect(url, options).await.unwrap();
        let redis = Redis::over(store, SequencerOptions::default());
        assert!(redis.rosters().is_none());
        let redis = redis.join(NodeName::random()).await.unwrap();
        let rosters = redis.rosters().unwrap();
        let told = Arc::new(Told::default());
        rosters.attach(told.clone());
        Self {
            _redis: redis,
            rosters,
            told,
        }
    }

    /// Puts a member into a roster, in the next revision.
    pub(crate) async fn put(&self, topic: &TopicName, from: u64, member: &str) -> u64 {
        let change = next(from, member);
        let committed = self.rosters.commit(topic, change).await.unwrap();
        assert!(matches!(committed, Committed::Done { .. }), "{committed:?}");
        from + 1
    }

    /// Puts a member in at last, through whatever happens meanwhile.
    async fn put_at_last(&self, topic: &TopicName, from: u64, member: &str) -> u64 {
        loop {
            match self.rosters.commit(topic, next(from, member)).await {
                Ok(Committed::Conflict { revision }) if revision == number(from + 1) => break,
                Ok(Committed::Conflict { revision }) => panic!("{from}: {revision:?}"),
                Ok(_) => break,
                Err(BrokerError::Unavailable(_) | BrokerError::InDoubt(_)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        from + 1
    }

    async fn revision(&self, topic: &TopicName) -> RosterRevision {
        let revisions = self.rosters.revisions(std::slice::from_ref(topic)).await;
        revisions.unwrap()[0]
    }

    fn told(&self, topic: &TopicName) -> Vec<u64> {
        let changes = self.told.changes.lock();
        let told = changes.iter().filter(|(of, _)| of == topic);
        told.map(|(_, change)| change.to.number).collect()
    }

    async fn until_told(&self, topic: &TopicName, last: u64) {
        eventually("a change is told", async || {
            self.told(topic).last() == Some(&last)
        })
        .await;
    }

    fn interruptions(&self) -> usize {
        *self.told.interruptions.lock()
    }

    async fn until_interrupted(&self, before: usize) {
        eventually("an interruption is told", async || {
            self.interruptions() > before
        })
        .await;
    }
}

fn number(number: u64) -> RosterRevision {
    RosterRevision::new(number, number * 7)
}

fn next(from: u64, member: &str) -> Arc<RosterChange> {
    let mut change = RosterChange::new(number(from), number(from + 1));
    change.put = vec![(from, member.to_owned().into())];
    Arc::new(change)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rosters_on_one_server_keep_every_promise() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let url = server.url();
        roster_conformance(async || Node::connect(&url, quick()).await.rosters).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rosters_on_a_cluster_keep_every_promise() {
    for program in programs() {
        let cluster = ClusterOfThree::start(program).await;
        let url = cluster.url();
        roster_conformance(async || Node::connect(&url, quick()).await.rosters).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rosters_of_nodes_that_share_a_server_keep_every_promise() {
    for program in programs() {
        roster_pair_conformance(async || Deployment::start(program).await).await;
    }
}

#[tokio::test]
async fn a_lost_line_for_pushes_alone_interrupts_and_is_mended() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let node = Node::connect(&server.url(), quick()).await;
        let rosters: Vec<_> = (0..1500).map(|one| topic(&format!("room/{one}"))).collect();
        for watched in join_all(rosters.iter().map(|one| node.rosters.watch(one))).await {
            watched.unwrap();
        }
        let subscriptions = async || {
            let stats = server
                .info("commandstats", "cmdstat_subscribe")
                .await
                .unwrap();
            let calls = stats.strip_prefix("calls=").unwrap();
            calls.split(',').next().unwrap().parse::<u32>().unwrap()
        };
        let first = subscriptions().await;
        assert!(first <= 5, "1,500 rosters go together: {first}");
        assert_eq!(node.interruptions(), 0);
        server
            .ask::<i64>(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .await;
        node.until_interrupted(0).await;
        assert!(subscriptions().await - first <= 5);
        for roster in [&rosters[0], &rosters[1499]] {
            node.put(roster, 0, "ada").await;
            node.until_told(roster, 1).await;
        }
        assert!(node.interruptions() <= 2, "{}", node.interruptions());
        // Nothing is left of those that nobody watches.
        for roster in &rosters {
            node.rosters.unwatch(roster).await;
        }
        eventually("nothing is subscribed to", async || {
            let left: Vec<String> = server.ask(&["PUBSUB", "CHANNELS", "*:p:*"]).await;
            left.is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn sentinels_lead_rosters_to_the_master_of_the_day() {
    for program in programs() {
        let mut master = Server::start(program, &[]).await;
        let replica = replica(program, master.port).await;
        let hosts: Vec<_> = sentinels(program, master.port).await;
        let names: Vec<_> = hosts
            .iter()
            .map(|one| format!("127.0.0.1:{}", one.port))
            .collect();
        let url = format!("redis+sentinel://{}/main", names.join(","));
        let node = Node::connect(&url.parse().unwrap(), quick()).await;
        let roster = topic("sentinel");
        node.rosters.watch(&roster).await.unwrap();
        node.put(&roster, 0, "ada").await;
        let written = master.replicated().await;
        eventually("the replica has it", async || {
            replica.replicated().await >= written
        })
        .await;
        master.kill();
        node.put_at_last(&roster, 1, "bob").await;
        node.until_interrupted(0).await;
        node.put_at_last(&roster, 2, "eve").await;
        node.until_told(&roster, 3).await;
        assert_eq!(node.rosters.read(&roster).await.unwrap().members.len(), 3);
    }
}

#[tokio::test]
async fn a_slot_may_move_while_its_rosters_change() {
    for program in programs() {
        let cluster = ClusterOfThree::start(program).await;
        let [node, watcher] = [
            Node::connect(&cluster.url(), RedisOptions::default()).await,
            Node::connect(&cluster.url(), RedisOptions::default()).await,
        ];
        let roster = topic("moving");
        watcher.rosters.watch(&roster).await.unwrap();
        let mut at = 0;
        for _ in 0..20 {
            at = node.put(&roster, at, "before").await;
        }
        watcher.until_told(&roster, at).await;
        let (_, slot) = cluster.find("*:r:moving").await;
        let to = (cluster.owner(slot).await + 1) % 3;
        let (half, halfway) = tokio::sync::oneshot::channel();
        let midway = async || {
            let source = &cluster.servers[(to + 2) % 3];
            let port = cluster.servers[to].port.to_string();
            let [members]: [String; 1] = source.ask(&["KEYS", "*:m:moving"]).await;
            // The members are there, the revision is still here.
            let migrate = ["MIGRATE", "127.0.0.1", &port, &members, "0", "5000"];
            source.ask::<()>(&migrate).await;
            half.send(()).unwrap();
        };
        let changing = async {
            halfway.await.unwrap();
            for _ in 0..20 {
                at = node.put_at_last(&roster, at, "meanwhile").await;
            }
        };
        tokio::join!(changing, cluster.move_slot(slot, to, midway));
        watcher.until_interrupted(0).await;
        at = node.put_at_last(&roster, at, "after").await;
        watcher.until_told(&roster, at).await;
        let read = watcher.rosters.read(&roster).await.unwrap();
        assert_eq!((read.revision, read.members.len()), (number(41), 41));
        assert_eq!(cluster.owner(slot).await, to);
    }
}

#[tokio::test]
async fn a_master_of_a_cluster_that_is_away_leaves_other_rosters_alone() {
    for program in programs() {
        let cluster = ClusterOfThree::start(program).await;
        for server in &cluster.servers {
            let all = ["CONFIG", "SET", "cluster-require-full-coverage", "no"];
            server.ask::<()>(&all).await;
        }
        let node = Node::connect(&cluster.url(), RedisOptions::default()).await;
        let rosters: Vec<_> = (0..40).map(|one| topic(&format!("room/{one}"))).collect();
        for watched in join_all(rosters.iter().map(|one| node.rosters.watch(one))).await {
            watched.unwrap();
        }
        cluster.servers[0].pause();
        // What waits for the one that stands still.
        let unwatched: Vec<_> = (0..40).map(|one| topic(&format!("late/{one}"))).collect();
        let begun = Instant::now();
        let watches = join_all(unwatched.iter().map(async |one| {
            let watched = node.rosters.watch(one).await;
            (watched.is_ok(), begun.elapsed())
        }))
        .await;
        cluster.servers[0].resume();
        let ok = watches.iter().filter(|(is_ok, _)| *is_ok);
        let quick = ok
            .filter(|(_, after)| *after < Duration::from_secs(1))
            .count();
        assert!((15..40).contains(&quick), "{watches:?}");
    }
}

#[tokio::test]
async fn rosters_that_nobody_watches_are_forgotten() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let idle = RedisOptions::default().idle(Duration::from_secs(2));
        let node = Node::connect(&server.url(), idle).await;
        let [watched, left] = ["watched", "left"].map(topic);
        for roster in [&watched, &left] {
            node.put(roster, 0, "ada").await;
        }
        eventually("one is forgotten, the other asked for", async || {
            assert_eq!(node.revision(&watched).await, number(1));
            let keys: Vec<String> = server.ask(&["KEYS", "*:left"]).await;
            keys.is_empty()
        })
        .await;
        let read = node.rosters.read(&watched).await.unwrap();
        assert_eq!((read.revision, read.members.len()), (number(1), 1));
        assert_eq!(node.revision(&left).await, RosterRevision::default());
        // Its numbers may be taken again, and nothing is left of its members.
        node.put(&left, 0, "bob").await;
        assert_eq!(node.rosters.read(&left).await.unwrap().members.len(), 1);
    }
}

#[tokio::test]
async fn a_roster_of_which_a_part_was_evicted_is_gone() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let node = Node::connect(&server.url(), quick()).await;
        for evicted in ["r", "m"] {
            let roster = topic(&format!("evicted {evicted}"));
            node.put(&roster, 0, "ada").await;
            node.put(&roster, 1, "bob").await;
            let pattern = format!("*:{evicted}:evicted {evicted}");
            let [key]: [String; 1] = server.ask(&["KEYS", &pattern]).await;
            server.ask::<()>(&["DEL", &key]).await;
            eventually("the revision tells", async || {
                node.revision(&roster).await == number(0)
            })
            .await;
            let read = node.rosters.read(&roster).await.unwrap();
            assert_eq!((read.revision, read.members.len()), (number(0), 0));
            let committed = node.rosters.commit(&roster, next(2, "eve")).await;
            let expected = Committed::Conflict {
                revision: number(0),
            };
            assert_eq!(committed.unwrap(), expected);
            let mut back = RosterChange::new(number(0), number(3));
            back.put = vec![(9, "ada".into())];
            node.rosters.commit(&roster, Arc::new(back)).await.unwrap();
            let read = node.rosters.read(&roster).await.unwrap();
            assert_eq!((read.revision, read.members.len()), (number(3), 1));
        }
    }
}

#[tokio::test]
async fn foreign_data_in_a_roster_is_damage() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let node = Node::connect(&server.url(), quick()).await;
        let roster = topic("foreign");
        node.put(&roster, 0, "ada").await;
        let [key]: [String; 1] = server.ask(&["KEYS", "*:r:foreign"]).await;
        let check = async || {
            let read = node.rosters.read(&roster).await;
            assert!(matches!(read, Err(BrokerError::Damaged(_))), "{read:?}");
            let committed = node.rosters.commit(&roster, next(1, "bob")).await;
            assert!(
                matches!(committed, Err(BrokerError::Damaged(_))),
                "{committed:?}"
            );
        };
        server
            .ask::<()>(&["SET", &key, "\u{2}and a version to come"])
            .await;
        check().await;
        server.ask::<()>(&["DEL", &key]).await;
        server.ask::<()>(&["RPUSH", &key, "a list"]).await;
        check().await;
        // A change of a version to come is left out, and those after it are told.
        let other = topic("other");
        node.rosters.watch(&other).await.unwrap();
        let [channel]: [String; 1] = server.ask(&["PUBSUB", "CHANNELS", "*:p:*"]).await;
        server.ask::<()>(&["PUBLISH", &channel, "\u{2}"]).await;
        node.put(&other, 0, "ada").await;
        node.until_told(&other, 1).await;
    }
}

#[tokio::test]
async fn a_line_that_fails_silently_does_not_lose_a_change_untold() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let front = Proxy::start(server.port).await;
        let deaf = Node::connect(&url(front.port), quick()).await;
        let node = Node::connect(&server.url(), quick()).await;
        let roster = topic("silent");
        deaf.rosters.watch(&roster).await.unwrap();
        let mut at = 0;
        for line in [Line::HeldBack, Line::HeldSecond, Line::Cut, Line::Held] {
            let before = deaf.interruptions();
            front.set(line);
            at = node.put(&roster, at, "x").await;
            eventually("the change or an interruption is told", async || {
                if deaf.interruptions() == before && line != Line::HeldSecond {
                    front.set(Line::Up);
                }
                deaf.told(&roster).last() == Some(&at) || deaf.interruptions() > before
            })
            .await;
            front.set(Line::Up);
            at = node.put(&roster, at, "y").await;
            eventually("all goes on", async || {
                deaf.told(&roster).last() == Some(&at) || deaf.interruptions() > before
            })
            .await;
        }
    }
}

/// The figures of `docs/operations.md`: `cargo test -p nextrush-redis --test real -- --nocapture
/// a_roster_takes_little`.
#[tokio::test]
async fn a_roster_takes_little_memory_and_time() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let node = Node::connect(&server.url(), RedisOptions::default()).await;
        let figures = measure(&server, &node).await;
        println!("{program:?}: {figures:#?}");
        assert!(figures.empty <= 450, "{figures:?}");
        assert!(figures.one <= 800, "{figures:?}");
        assert!(figures.each_of_100 <= 250, "{figures:?}");
        assert!(figures.each_of_1000 <= 250, "{figures:?}");
    }
}

/// Bytes, and microseconds of the server.
#[derive(Debug)]
#[expect(dead_code, reason = "some figures are printed only")]
struct Figures {
    empty: usize,
    one: usize,
    each_of_100: usize,
    each_of_1000: usize,
    commit_us: f64,
    commit_in_1000_us: f64,
    conflict_us: f64,
    /// Attempts for each change while so many nodes change one roster without a pause.
    attempts_of_2: f64,
    attempts_of_8: f64,
    read_1000_us: f64,
    read_1000_ms: f64,
    revision_us: f64,
}

/// A member as presence keeps it: home, connection, user and device.
const MEMBER: usize = 128;

async fn measure(server: &Server, node: &Node) -> Figures {
    let used = async || {
        let used = server.info("memory", "used_memory").await.unwrap();
        used.parse::<usize>().unwrap()
    };
    let fill = async |kind: &str, rosters: usize, members: u64| {
        let before = used().await;
        let commits = (0..rosters).map(|one| {
            let mut change = RosterChange::new(number(0), number(1));
            change.head = vec![b'h'; 16].into();
            change.put = (0..members)
                .map(|one| (one, vec![b'm'; MEMBER].into()))
                .collect();
            let roster = topic(&format!("{kind}/{one:04}"));
            async move {
                node.rosters
                    .commit(&roster, Arc::new(change))
                    .await
                    .unwrap()
            }
        });
        join_all(commits).await;
        (used().await - before) / rosters
    };
    let empty = fill("live/presence/empty", 1000, 0).await;
    let one = fill("live/presence/one", 1000, 1).await;
    let each_of_100 = fill("live/presence/few", 100, 100).await / 100;
    let each_of_1000 = fill("live/presence/many", 10, 1000).await / 1000;
    let calls = async |name: &str| {
        let stats = server
            .info("commandstats", &format!("cmdstat_{name}"))
            .await;
        let stats = stats.unwrap();
        let value = |name: &str| -> f64 {
            let field = stats.split(',').find_map(|field| field.strip_prefix(name));
            field.unwrap().parse().unwrap()
        };
        (value("calls="), value("usec="))
    };
    server.ask::<()>(&["CONFIG", "RESETSTAT"]).await;
    let each = async || {
        let (calls, us) = calls("evalsha").await;
        server.ask::<()>(&["CONFIG", "RESETSTAT"]).await;
        us / calls
    };
    let change_many = async |roster: &str| {
        let roster = topic(roster);
        for from in 1..2001 {
            let mut change = RosterChange::new(number(from), number(from + 1));
            change.head = vec![b'h'; 16].into();
            change.removed = vec![from % 1000 + 1];
            change.put = vec![(from % 1000, vec![b'm'; MEMBER].into())];
            let committed = node
                .rosters
                .commit(&roster, Arc::new(change))
                .await
                .unwrap();
            assert!(matches!(committed, Committed::Done { .. }));
        }
        each().await
    };
    let commit_us = change_many("live/presence/one/0000").await;
    let commit_in_1000_us = change_many("live/presence/many/0000").await;
    for _ in 0..2000 {
        let stale = next(1, "x");
        node.rosters
            .commit(&topic("live/presence/one/0000"), stale)
            .await
            .unwrap();
    }
    let conflict_us = each().await;
    let attempts_of = async |nodes: u64| {
        let roster = topic(&format!("live/presence/busy/{nodes}"));
        let attempts = join_all((0..nodes).map(|node_number| {
            let roster = roster.clone();
            async move {
                let (mut from, mut attempts) = (number(0), 0_u32);
                for one in 0..200 {
                    loop {
                        let to =
                            RosterRevision::new(from.number + 1, (node_number << 32) | (one + 1));
                        let change = Arc::new(RosterChange::new(from, to));
                        attempts += 1;
                        match node.rosters.commit(&roster, change).await.unwrap() {
                            Committed::Conflict { revision } => from = revision,
                            _ => break from = to,
                        }
                    }
                }
                attempts
            }
        }));
        let attempts: u32 = attempts.await.into_iter().sum();
        f64::from(attempts) / f64::from(u32::try_from(200 * nodes).unwrap())
    };
    let (attempts_of_2, attempts_of_8) = (attempts_of(2).await, attempts_of(8).await);
    each().await;
    let begun = Instant::now();
    for _ in 0..100 {
        let read = node.rosters.read(&topic("live/presence/many/0001")).await;
        assert_eq!(read.unwrap().members.len(), 1000);
    }
    let read_1000_ms = begun.elapsed().as_secs_f64() * 10.0;
    let read_1000_us = each().await;
    let rosters: Vec<_> = (0..512)
        .map(|one| topic(&format!("live/presence/one/{one:04}")))
        .collect();
    for _ in 0..100 {
        node.rosters.revisions(&rosters).await.unwrap();
    }
    Figures {
        empty,
        one,
        each_of_100,
        each_of_1000,
        commit_us,
        commit_in_1000_us,
        conflict_us,
        attempts_of_2,
        attempts_of_8,
        read_1000_us,
        read_1000_ms,
        revision_us: each().await / 512.0,
    }
}
