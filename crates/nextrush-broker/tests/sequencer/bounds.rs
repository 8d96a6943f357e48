//! The times that things take, and the requests that they cost the store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use nextrush_broker::conformance::{
    SharedBrokers, StoreFault, conformance, deletion, pair_conformance,
};
use nextrush_broker::simulated::{SimulatedFaults, SimulatedServer, SimulatedStore};
use nextrush_broker::{
    Broker, BrokerError, HistoryQuery, Publish, Retention, SequencedBroker, SequencerOptions,
};
use tokio::time::Instant;

use crate::world::{Node, in_virtual_time, pass, topic};

const KEEP: Retention = Retention::count(1000);
const MS: Duration = Duration::from_millis(1);

fn node(server: &SimulatedServer) -> Node {
    Node::new(server, SequencerOptions::default().seed(1))
}

async fn say(node: &Node, text: &str) -> Result<(), BrokerError> {
    let publish = Publish::new(text.to_owned()).retain(KEEP);
    node.broker.publish(&topic("a"), publish).await.map(drop)
}

async fn seat(node: &Node) {
    let seated = node.seat(&topic("a"), 0, None).await;
    assert!(seated.is_ok(), "subscribing fails");
}

/// The offset up to which the reader at a node has been given or told everything.
async fn reached(node: &Node) -> u64 {
    let name = topic("a");
    let reader = node.leave(&name, 0).await.expect("a reader is seated");
    let offset = reader.position().offset;
    let seated = node.seat(&name, 0, Some(reader)).await;
    assert!(seated.is_ok(), "subscribing fails");
    offset
}

fn sequenced(server: &SimulatedServer) -> SequencedBroker<SimulatedStore> {
    SequencedBroker::new(Arc::new(server.connect()), SequencerOptions::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sequenced_broker_keeps_every_promise() {
    let server = SimulatedServer::new(1);
    for _ in 0..3 {
        conformance(async || sequenced(&server)).await;
        deletion(async || sequenced(&server)).await;
    }
}

#[test]
fn a_sequenced_broker_keeps_every_promise_over_slow_lines() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let faults = SimulatedFaults::default();
        server.set_faults(faults.delay(5 * MS).push_delay(20 * MS).doubled_push(0.3));
        conformance(async || sequenced(&server)).await;
    });
}

/// Pairs of brokers on a simulated server.
struct Pairs {
    server: SimulatedServer,
    stores: [Arc<SimulatedStore>; 2],
}

impl Pairs {
    fn new(faults: SimulatedFaults) -> Self {
        let server = SimulatedServer::new(1);
        server.set_faults(faults);
        let stores = [0, 1].map(|_| Arc::new(server.connect()));
        Self { server, stores }
    }
}

impl SharedBrokers for Pairs {
    type Broker = SequencedBroker<SimulatedStore>;

    async fn connect(&self, node: usize) -> Self::Broker {
        let options = SequencerOptions::default().seed(node as u64);
        SequencedBroker::new(Arc::clone(&self.stores[node]), options)
    }

    async fn fault(&self, fault: StoreFault) -> bool {
        match fault {
            StoreFault::Cut(node) => self.stores[node].cut(),
            StoreFault::Mend(node) => self.stores[node].mend(),
            StoreFault::Freeze => self.server.freeze(),
            StoreFault::Thaw => self.server.thaw(),
            StoreFault::Restart => self.server.restart(),
            StoreFault::RestartEmpty => self.server.restart_empty(),
            StoreFault::DetachReplica => self.server.detach_replica(),
            StoreFault::FailOver => self.server.fail_over(),
            _ => return false,
        }
        true
    }
}

#[test]
fn sequenced_brokers_on_one_store_keep_every_promise() {
    let none = SimulatedFaults::default();
    let some = none.delay(3 * MS).push_delay(30 * MS).doubled_push(0.3);
    for faults in [none, some, some.lost_push(0.3)] {
        in_virtual_time(pair_conformance(async || Pairs::new(faults)));
    }
}

#[test]
fn who_comes_while_the_store_is_known_to_be_away_is_refused_at_once() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let broker = sequenced(&server);
        broker.subscribe(&topic("watched")).await.unwrap();
        broker.store().cut();
        let waits = async |name: &str, is_read: bool| {
            let (name, begun) = (topic(name), Instant::now());
            let refused = match is_read {
                true => broker.history(&name, HistoryQuery::Latest(1)).await.err(),
                false => broker.subscribe(&name).await.err(),
            };
            assert!(
                matches!(refused, Some(BrokerError::Unavailable(_))),
                "{refused:?}"
            );
            begun.elapsed()
        };
        assert_eq!(waits("first", false).await, Duration::from_secs(5));
        for name in ["second", "watched", "third"] {
            for is_read in [false, true] {
                assert_eq!(waits(name, is_read).await, Duration::ZERO, "{name}");
            }
        }
        broker.store().mend();
        for name in ["first", "watched"] {
            broker.subscribe(&topic(name)).await.unwrap();
        }
        // One that is away again has the whole time to come back.
        broker.store().cut();
        let (_, subscribed) = tokio::join!(
            async {
                pass(Duration::from_secs(3)).await;
                broker.store().mend();
            },
            broker.subscribe(&topic("fourth"))
        );
        subscribed.unwrap();
    });
}

#[test]
fn a_publication_without_history_that_is_on_its_way_is_not_given_up() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [here, there] = [node(&server), node(&server)];
        seat(&there).await;
        server.set_faults(SimulatedFaults::default().push_delay(40 * MS));
        for number in 0..2000 {
            here.broker
                .publish(&topic("a"), Publish::new(number.to_string()))
                .await
                .unwrap();
            pass(7 * MS).await;
        }
        pass(100 * MS).await;
        assert_eq!(there.position(&topic("a"), 0).offset, 2000);
        assert_eq!(there.broker.counts().lost, 0);
    });
}

#[test]
fn a_lost_push_is_found_within_100_ms_if_another_one_follows() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [here, there] = [node(&server), node(&server)];
        seat(&there).await;
        there.store().deafen();
        say(&here, "lost").await.unwrap();
        there.store().undeafen();
        say(&here, "follows").await.unwrap();
        assert_eq!(there.position(&topic("a"), 0).offset, 0);
        pass(100 * MS).await;
        assert_eq!(there.position(&topic("a"), 0).offset, 2);
        assert_eq!(there.broker.counts().lost, 0);
    });
}

#[test]
fn a_lost_push_is_found_within_12_s_if_none_follows() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [here, there] = [node(&server), node(&server)];
        seat(&there).await;
        for number in 0..20 {
            pass(Duration::from_millis(1700)).await;
            there.store().deafen();
            say(&here, "lost").await.unwrap();
            there.store().undeafen();
            pass(12 * 1000 * MS + 100 * MS).await;
            let position = there.position(&topic("a"), 0);
            assert_eq!(position.offset, number + 1);
        }
    });
}

#[test]
fn what_was_missed_behind_a_lost_line_is_read_at_once() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [here, there] = [node(&server), node(&server)];
        seat(&there).await;
        pass(11_000 * MS).await;
        there.store().cut();
        say(&here, "missed").await.unwrap();
        there.store().mend();
        pass(200 * MS).await;
        assert_eq!(there.position(&topic("a"), 0).offset, 1);
    });
}

#[test]
fn a_topic_that_ceases_to_be_pushed_while_it_is_watched_is_watched_again() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [here, there] = [node(&server), node(&server)];
        server.set_faults(SimulatedFaults::default().delay(200 * MS));
        for round in 0..20 {
            let name = topic(&format!("topic {round}"));
            let subscribed = async {
                there.broker.subscribe(&name).await.unwrap();
            };
            let ceased = async {
                pass(round * 10 * MS).await;
                there.store().unwatch_suddenly(vec![name.clone()]);
            };
            tokio::join!(subscribed, ceased);
            assert!(there.seat(&name, 0, None).await.is_ok());
            let publish = Publish::new("x").retain(KEEP);
            here.broker.publish(&name, publish).await.unwrap();
            pass(500 * MS).await;
            assert_eq!(there.position(&name, 0).offset, 1, "{round}");
        }
    });
}

#[test]
fn publish_resolves_when_this_nodes_readers_have_it() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [here, there] = [node(&server), node(&server)];
        seat(&there).await;
        there.store().deafen();
        say(&here, "lost").await.unwrap();
        say(&there, "own").await.unwrap();
        assert_eq!(there.position(&topic("a"), 0).offset, 2);
    });
}

#[test]
fn a_failover_that_loses_publications_tells_only_those_who_had_them() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [ahead, behind] = [node(&server), node(&server)];
        seat(&ahead).await;
        for text in ["1", "2", "3"] {
            say(&ahead, text).await.unwrap();
        }
        seat(&behind).await;
        behind.store().cut();
        server.detach_replica();
        for text in ["4", "5", "6"] {
            say(&ahead, text).await.unwrap();
        }
        server.fail_over();
        behind.store().mend();
        pass(15_000 * MS).await;
        assert_eq!(ahead.broker.counts().taken_back, 1);
        assert_eq!(behind.broker.counts().taken_back, 0);
        assert_eq!(behind.broker.counts().continued, 1);
        say(&behind, "4 again").await.unwrap();
        assert_eq!(reached(&ahead).await, 4);
        assert_eq!(reached(&behind).await, 4);
    });
}

#[test]
fn ten_thousand_who_come_back_cost_the_store_one_read() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [here, there] = [node(&server), node(&server)];
        for number in 0..200 {
            say(&here, &number.to_string()).await.unwrap();
        }
        let name = topic("a");
        let come_back = async || {
            there.broker.subscribe(&name).await.unwrap();
            let query = HistoryQuery::After {
                offset: 150,
                limit: 300,
            };
            let history = there.broker.history(&name, query).await.unwrap();
            assert_eq!(history.publications.len(), 50);
        };
        join_all((0..10_000).map(|_| come_back())).await;
        assert_eq!(there.broker.counts().reads, 1);
    });
}

#[test]
fn a_topic_that_was_not_pushed_is_compared_before_anybody_is_answered() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [here, there] = [node(&server), node(&server)];
        let name = topic("a");
        for node in [&here, &there] {
            node.broker.subscribe(&name).await.unwrap();
        }
        say(&here, "1").await.unwrap();
        pass(100 * MS).await;
        there.store().cut();
        server.restart();
        while say(&here, "2").await.is_err() {
            pass(100 * MS).await;
        }
        // It is watched again some time before it is compared.
        server.set_faults(SimulatedFaults::default().delay(300 * MS));
        there.store().mend();
        let query = HistoryQuery::After {
            offset: 1,
            limit: 300,
        };
        let history = there.broker.history(&name, query).await.unwrap();
        let truth = here.broker.history(&name, query).await.unwrap();
        assert_eq!(history.position, truth.position);
        assert_eq!(history.publications.len(), 1);
    });
}

#[test]
fn whoever_has_seen_more_than_a_node_recovers_there() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let [here, there] = [node(&server), node(&server)];
        let name = topic("a");
        there.broker.subscribe(&name).await.unwrap();
        seat(&here).await;
        for number in 1..=10 {
            say(&here, "heard").await.unwrap();
            pass(1000 * MS).await;
            there.store().deafen();
            say(&here, "lost").await.unwrap();
            there.store().undeafen();
            // The reader goes over there, where nobody knows of the last one.
            let reader = here.leave(&name, 0).await;
            assert!(there.seat(&name, 0, reader).await.is_ok());
            let reader = there.leave(&name, 0).await.unwrap();
            assert_eq!((reader.recovered, reader.refused), (2 * number, 0));
            assert!(here.seat(&name, 0, Some(reader)).await.is_ok());
        }
        // Who claims to have seen what was never published is told so, all of them by one read.
        pass(1000 * MS).await;
        let reads = there.broker.counts().reads;
        let query = HistoryQuery::After {
            offset: 1000,
            limit: 300,
        };
        let histories = (0..10_000).map(|_| there.broker.history(&name, query));
        for history in join_all(histories).await {
            assert_eq!(history.unwrap().position.offset, 20);
        }
        assert_eq!(there.broker.counts().reads, reads + 1);
    });
}

#[test]
fn a_topic_that_is_left_and_wanted_again_is_not_read_again() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let node = node(&server);
        let name = topic("a");
        for _ in 0..10 {
            node.broker.subscribe(&name).await.unwrap();
            node.broker.unsubscribe(&name).await.unwrap();
            pass(4_000 * MS).await;
        }
        assert_eq!(node.broker.counts().reads, 1);
        pass(2_000 * MS).await;
        assert_eq!(node.broker.counts().topics, 0);
    });
}

#[test]
fn a_hundred_thousand_topics_are_in_step_6_s_after_a_lost_connection() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let node = node(&server);
        let names: Vec<_> = (0..100_000).map(|n| topic(&format!("topic {n}"))).collect();
        join_all(names.iter().map(|name| node.broker.subscribe(name)))
            .await
            .into_iter()
            .for_each(|subscribed| subscribed.unwrap());
        server.restart();
        let begun = Instant::now();
        join_all(
            names
                .iter()
                .map(|name| async { while node.broker.subscribe(name).await.is_err() {} }),
        )
        .await;
        let time = begun.elapsed();
        assert!(time <= 6_000 * MS, "{time:?}");
        assert!(time >= 4_000 * MS, "the store is not spared: {time:?}");
    });
}

#[test]
fn without_the_store_callers_wait_for_5_s_and_all_heals_by_itself() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let node = node(&server);
        seat(&node).await;
        node.store().cut();
        let begun = Instant::now();
        let subscribed = node.broker.subscribe(&topic("b")).await;
        assert!(matches!(subscribed, Err(BrokerError::Unavailable(_))));
        assert_eq!(begun.elapsed().as_secs(), 5);
        let published = say(&node, "not sent").await;
        assert!(matches!(published, Err(BrokerError::Unavailable(_))));
        pass(30_000 * MS).await;
        node.store().mend();
        pass(500 * MS).await;
        say(&node, "sent").await.unwrap();
        assert_eq!(node.position(&topic("a"), 0).offset, 1);
    });
}

#[test]
fn a_publication_without_a_reply_is_in_doubt_and_delivered_if_it_happened() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let node = node(&server);
        seat(&node).await;
        server.freeze();
        let published = say(&node, "in doubt").await;
        assert!(matches!(published, Err(BrokerError::InDoubt(_))));
        assert_eq!(node.position(&topic("a"), 0).offset, 0);
        server.thaw();
        pass(MS).await;
        assert_eq!(node.position(&topic("a"), 0).offset, 1);
    });
}

#[test]
fn publications_to_a_busy_topic_share_requests_in_their_order() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let node = node(&server);
        seat(&node).await;
        server.set_faults(SimulatedFaults::default().delay(40 * MS));
        let begun = Instant::now();
        join_all((1..=100).map(async |number: u64| {
            let publish = Publish::new(number.to_string()).retain(KEEP);
            let published = node.broker.publish(&topic("a"), publish).await.unwrap();
            assert_eq!(published.position.offset, number);
        }))
        .await;
        // Each on its own would take some 4 s.
        assert!(begun.elapsed() < 500 * MS, "{:?}", begun.elapsed());
    });
}

#[test]
fn the_memory_for_tails_is_bounded() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        let options = SequencerOptions::default().tail_bytes(100_000).seed(1);
        let node = Node::new(&server, options);
        for number in 0..50 {
            let name = topic(&format!("topic {number}"));
            node.broker.subscribe(&name).await.unwrap();
            for _ in 0..10 {
                let publish = Publish::new(vec![0; 1000]).retain(KEEP);
                node.broker.publish(&name, publish).await.unwrap();
            }
            let history = node.broker.history(&name, HistoryQuery::Latest(99)).await;
            assert_eq!(history.unwrap().publications.len(), 10);
            assert!(node.broker.counts().tail_bytes <= 102_000);
        }
        let first = node
            .broker
            .history(&topic("topic 0"), HistoryQuery::Latest(99));
        assert_eq!(first.await.unwrap().publications.len(), 10);
    });
}

#[test]
fn what_was_accepted_is_sent_before_the_node_leaves() {
    in_virtual_time(async {
        let server = SimulatedServer::new(1);
        server.set_faults(SimulatedFaults::default().delay(100 * MS));
        let node = node(&server);
        let publish = Publish::new("last words").retain(KEEP);
        let published = node.broker.publish(&topic("a"), publish);
        let ((), published) = tokio::join!(
            async {
                pass(MS).await;
                node.broker.shutdown().await;
            },
            published
        );
        published.unwrap();
        assert!(say(&node, "too late").await.is_err());
        assert_eq!(server.kept(&topic("a")).unwrap().history.position.offset, 1);
    });
}
