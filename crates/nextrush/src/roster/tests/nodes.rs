//! Nodes that share a store, step by step.

use futures_util::future::BoxFuture;
use nextrush_broker::Rosters as Store;
use nextrush_broker::simulated::{SimulatedFaults, SimulatedServer, SimulatedStore};

use super::*;

/// A node of a test.
pub(super) struct Node {
    pub(super) home: Home,
    pub(super) store: SimulatedStore,
    pub(super) rosters: Rosters<TestRules>,
    pub(super) client: Arc<Mutex<Client>>,
    pub(super) arrivals: Arrivals,
}

impl Node {
    pub(super) fn new(
        server: &SimulatedServer,
        alive: &Alive,
        home: Home,
        rules: impl FnOnce(TestRules) -> TestRules,
        seed: u64,
    ) -> Self {
        alive.insert(&home);
        let store = server.connect();
        let rosters: Arc<dyn Store> = Arc::new(store.rosters());
        let living = {
            let alive = alive.clone();
            move || -> BoxFuture<'static, _> {
                Box::pin(std::future::ready(Ok(alive.0.lock().clone())))
            }
        };
        let host = RosterHost::with_seed(Some(rosters), home.clone(), living, seed);
        let client = Arc::default();
        Self {
            home,
            store,
            rosters: Rosters::new(&host, rules(TestRules::new(&client))),
            client,
            arrivals: Arrivals::default(),
        }
    }

    async fn join(&self, number: u32, device: Device) -> Result<(), Unsettled> {
        let arrival = self.arrivals.of(number);
        self.rosters
            .join(&roster(), socket(number), device, arrival)
            .await
    }

    fn told(&self) -> Vec<String> {
        self.client.lock().told()
    }

    fn shown(&self) -> BTreeMap<u64, Device> {
        members(&self.rosters.shown(&roster()).unwrap())
    }
}

struct Nodes {
    server: SimulatedServer,
    alive: Alive,
    nodes: Vec<Node>,
}

fn nodes(count: u64) -> Nodes {
    let server = SimulatedServer::new(7);
    server.set_faults(SimulatedFaults::default().delay(Duration::from_millis(2)));
    let alive = Alive::default();
    let node = |number| {
        let home = home(&format!("node-{number}"), number);
        Node::new(&server, &alive, home, |rules| rules, number)
    };
    let nodes = (1..=count).map(node).collect();
    Nodes {
        server,
        alive,
        nodes,
    }
}

async fn a_while() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[test]
fn all_nodes_tell_of_the_same_changes_in_one_order() {
    in_virtual_time(async {
        let Nodes { nodes, .. } = nodes(3);
        let [a, b, c] = &nodes[..] else { panic!() };
        let watched = c.rosters.watch(&roster()).await.unwrap();
        a.join(1, device(1, None)).await.unwrap();
        b.join(2, device(2, None)).await.unwrap();
        a_while().await;
        a.told();
        assert_eq!(b.told(), ["joined 2 0"]);
        c.told();
        let joins = (10..30).map(|number| {
            let node = [a, b][number as usize % 2];
            node.join(number, device(number, None))
        });
        futures_util::future::try_join_all(joins).await.unwrap();
        a.rosters.leave(&roster(), socket(1));
        a_while().await;
        let told = a.told();
        assert_eq!(told.len(), 21);
        assert_eq!(b.told(), told);
        assert_eq!(c.told(), told);
        assert_eq!(a.shown(), c.shown());
        assert_eq!(a.rosters.shown(&roster()).unwrap().version(), 23);
        drop(watched);
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(c.rosters.followed(), [roster()]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(c.rosters.followed(), []);
    });
}

#[test]
fn who_comes_back_at_another_node_was_never_gone() {
    in_virtual_time(async {
        let Nodes { nodes, .. } = nodes(2);
        let [a, b] = &nodes[..] else { panic!() };
        b.join(9, device(9, 1)).await.unwrap();
        a.join(1, device(1, 1)).await.unwrap();
        a_while().await;
        b.arrivals.take();
        for node in [a, b] {
            node.told();
        }
        a.rosters.lose(&roster(), socket(1));
        tokio::time::sleep(GRACE / 2).await;
        b.join(2, device(1, 1)).await.unwrap();
        assert_eq!(b.arrivals.take(), [(2, Arrives::In(2, 2))]);
        tokio::time::sleep(GRACE * 2).await;
        for node in [a, b] {
            assert_eq!(node.told(), [""; 0]);
        }
        let shown = b.rosters.shown(&roster()).unwrap();
        let place = &shown.get(2).unwrap().place;
        assert_eq!(**place.home().unwrap(), b.home);
        assert_eq!(shown.version(), 2);
    });
}

#[test]
fn members_of_a_dead_node_are_gone_within_the_bound() {
    in_virtual_time(async {
        let Nodes {
            mut nodes, alive, ..
        } = nodes(2);
        let b = nodes.pop().unwrap();
        let a = nodes.pop().unwrap();
        a.join(1, device(1, None)).await.unwrap();
        b.join(2, device(2, None)).await.unwrap();
        a_while().await;
        a.told();
        b.store.cut();
        let dead = b.home.clone();
        drop(b);
        tokio::time::sleep(Duration::from_secs(10)).await;
        alive.remove(&dead);
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(a.told(), [""; 0]);
        tokio::time::sleep(Duration::from_millis(3300)).await;
        assert_eq!(a.told(), ["left 2 0"]);
        assert_eq!(a.shown().len(), 1);
    });
}

#[test]
fn a_node_that_passed_for_dead_puts_its_members_back() {
    in_virtual_time(async {
        let Nodes { nodes, alive, .. } = nodes(2);
        let [a, b] = &nodes[..] else { panic!() };
        a.join(1, device(1, None)).await.unwrap();
        b.join(2, device(2, None)).await.unwrap();
        a_while().await;
        a.told();
        b.told();
        // As after a pause: the others cannot know.
        alive.remove(&b.home);
        tokio::time::sleep(Duration::from_millis(3100)).await;
        alive.insert(&b.home);
        tokio::time::sleep(GRACE * 2).await;
        assert_eq!(a.told(), [""; 0]);
        assert_eq!(b.told(), [""; 0]);
        assert_eq!(a.shown(), b.shown());
        assert_eq!(a.shown().len(), 2);
    });
}

#[test]
fn a_store_that_has_forgotten_everything_gets_it_back_before_anybody_hears_of_it() {
    for forget in [SimulatedServer::restart_empty, SimulatedServer::flush] {
        in_virtual_time(async {
            let Nodes { nodes, server, .. } = nodes(3);
            let [a, b, c] = &nodes[..] else { panic!() };
            let _watched = c.rosters.watch(&roster()).await.unwrap();
            for number in 1..=5 {
                let node = [a, b][number as usize % 2];
                node.join(number, device(number, None)).await.unwrap();
            }
            a_while().await;
            let before = a.shown();
            let version = a.rosters.shown(&roster()).unwrap().version();
            for node in &nodes {
                node.told();
            }
            forget(&server);
            for _ in 0..150 {
                a_while().await;
                for node in &nodes {
                    assert_eq!(node.told(), [""; 0]);
                    let shown = node.rosters.shown(&roster()).unwrap();
                    assert_eq!(
                        (shown.version(), members(&shown)),
                        (version, before.clone())
                    );
                }
            }
            let stored = c.rosters.host().store.clone().unwrap();
            assert_eq!(stored.read(&roster()).await.unwrap().members.len(), 5);
            // What follows is told as always.
            a.join(6, device(6, None)).await.unwrap();
            b.rosters.leave(&roster(), socket(1));
            a_while().await;
            for node in [b, c] {
                assert_eq!(node.told(), ["joined 6 0", "left 1 0"]);
            }
        });
    }
}

#[test]
fn a_node_that_comes_back_when_others_have_put_theirs_back_waits_for_the_rest_too() {
    // Everything is forgotten, or the newest changes.
    for forget in [SimulatedServer::flush, SimulatedServer::fail_over] {
        in_virtual_time(async {
            let Nodes { nodes, server, .. } = nodes(3);
            let [a, b, c] = &nodes[..] else { panic!() };
            a.join(9, device(9, None)).await.unwrap();
            server.detach_replica();
            for (number, node) in (1..).zip(&nodes) {
                node.join(number, device(number, None)).await.unwrap();
            }
            a_while().await;
            for node in &nodes {
                node.told();
            }
            b.store.cut();
            c.store.cut();
            forget(&server);
            // By then it has compared what it has with the store.
            tokio::time::sleep(Duration::from_secs(13)).await;
            c.store.mend();
            tokio::time::sleep(Duration::from_secs(1)).await;
            b.store.mend();
            tokio::time::sleep(Duration::from_secs(20)).await;
            for node in [a, b, c] {
                assert_eq!(node.told(), [""; 0]);
                assert_eq!(node.shown().len(), 4);
            }
        });
    }
}

#[test]
fn who_joins_and_leaves_while_the_store_gets_back_what_it_forgot_is_all_that_is_told() {
    in_virtual_time(async {
        let Nodes { nodes, server, .. } = nodes(2);
        let [a, b] = &nodes[..] else { panic!() };
        for number in 1..=4 {
            let node = [a, b][number as usize % 2];
            node.join(number, device(number, None)).await.unwrap();
        }
        a_while().await;
        a.told();
        b.told();
        server.flush();
        a.rosters.leave(&roster(), socket(2));
        let begun = tokio::time::Instant::now();
        a.join(5, device(5, None)).await.unwrap();
        // Nobody waits for who has left.
        assert!(begun.elapsed() < Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(15)).await;
        let numbers: Vec<_> = a.shown().into_values().map(|device| device.user).collect();
        assert_eq!(numbers, [1, 3, 4, 5]);
        assert_eq!(a.shown(), b.shown());
        for node in [a, b] {
            assert_eq!(node.told(), ["anew"]);
        }
    });
}

#[test]
fn who_does_not_come_back_when_the_store_has_forgotten_everything_has_left() {
    in_virtual_time(async {
        let Nodes {
            mut nodes,
            server,
            alive,
        } = nodes(2);
        let b = nodes.pop().unwrap();
        let a = nodes.pop().unwrap();
        a.join(1, device(1, None)).await.unwrap();
        b.join(2, device(2, None)).await.unwrap();
        a_while().await;
        a.told();
        let dead = b.home.clone();
        b.store.cut();
        drop(b);
        server.restart_empty();
        alive.remove(&dead);
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(a.told(), ["anew"]);
        assert_eq!(a.shown().len(), 1);
    });
}

#[test]
fn who_is_waited_for_is_waited_for_also_by_a_store_that_has_forgotten_it() {
    // The loss is forgotten, or everything.
    for forget in [SimulatedServer::fail_over, SimulatedServer::restart_empty] {
        in_virtual_time(async {
            let Nodes { nodes, server, .. } = nodes(2);
            let [a, b] = &nodes[..] else { panic!() };
            a.join(1, device(1, 1)).await.unwrap();
            a.join(2, device(2, 2)).await.unwrap();
            b.join(3, device(3, 3)).await.unwrap();
            a_while().await;
            a.told();
            b.told();
            server.detach_replica();
            for number in [1, 2] {
                a.rosters.lose(&roster(), socket(number));
            }
            a_while().await;
            forget(&server);
            tokio::time::sleep(GRACE / 2).await;
            b.arrivals.take();
            b.join(4, device(1, 1)).await.unwrap();
            assert_eq!(b.arrivals.take(), [(4, Arrives::In(1, 3))]);
            for node in [a, b] {
                assert_eq!(node.told(), [""; 0]);
            }
            tokio::time::sleep(GRACE / 2 + Duration::from_millis(400)).await;
            for node in [a, b] {
                assert_eq!(node.told(), ["left 2 0"]);
            }
        });
    }
}

#[test]
fn who_has_left_is_not_seen_to_come_when_a_failover_has_forgotten_it() {
    in_virtual_time(async {
        let Nodes { nodes, server, .. } = nodes(2);
        let [a, b] = &nodes[..] else { panic!() };
        a.join(1, device(1, None)).await.unwrap();
        b.join(2, device(2, None)).await.unwrap();
        a_while().await;
        server.detach_replica();
        a.rosters.leave(&roster(), socket(1));
        a_while().await;
        a.told();
        b.told();
        // The node that knows best comes last.
        a.store.cut();
        server.fail_over();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(b.told(), [""; 0]);
        a.store.mend();
        tokio::time::sleep(Duration::from_secs(3)).await;
        for node in [a, b] {
            assert_eq!(node.told(), [""; 0]);
            assert_eq!(node.shown().len(), 1);
        }
    });
}

#[test]
fn numbers_that_the_store_has_forgotten_are_not_given_again() {
    in_virtual_time(async {
        let Nodes { nodes, server, .. } = nodes(1);
        let [a] = &nodes[..] else { panic!() };
        a.join(1, device(1, None)).await.unwrap();
        a.rosters.leave(&roster(), socket(1));
        a_while().await;
        server.flush();
        a.join(2, device(2, None)).await.unwrap();
        let arrivals = [(1, Arrives::In(1, 1)), (2, Arrives::In(2, 1))];
        assert_eq!(a.arrivals.take(), arrivals);
    });
}

#[test]
fn a_change_that_is_in_doubt_is_made_once_and_others_follow() {
    for is_made in [true, false] {
        in_virtual_time(async {
            let Nodes { nodes, server, .. } = nodes(2);
            let [a, b] = &nodes[..] else { panic!() };
            a.join(1, device(1, None)).await.unwrap();
            b.join(2, device(2, None)).await.unwrap();
            a_while().await;
            a.told();
            b.told();
            let faults = SimulatedFaults::default().delay(Duration::from_millis(2));
            if is_made {
                server.set_faults(faults.lost_reply(1.0));
                a.store.deafen();
            } else {
                server.freeze();
            }
            let acted = a.rosters.act(&roster(), |draft| {
                let place = Place::LostUntil(u64::MAX);
                draft.put(7, Record::new(place, Arc::new(device(7, None))));
                let says = draft.view().get(1).map_or(0, |record| record.member.says);
                let place = draft.view().get(1).unwrap().place.clone();
                let member = Device {
                    says: says + 1,
                    ..device(1, None)
                };
                draft.put(1, Record::new(place, Arc::new(member)));
            });
            tokio::time::sleep(Duration::from_secs(1)).await;
            server.set_faults(faults);
            if is_made {
                a.store.undeafen();
            } else {
                server.restart();
            }
            acted.await.unwrap();
            a.rosters.leave(&roster(), socket(1));
            a.join(3, device(3, None)).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            // Nobody said so of its own device, which this node corrects.
            let told = b.told();
            assert_eq!(told.iter().filter(|told| *told == "updated 1 1").count(), 1);
            assert!(!told.contains(&"updated 1 2".to_owned()), "{told:?}");
            assert!(told.contains(&"left 1 0".to_owned()) || told.contains(&"left 1 1".to_owned()));
            assert_eq!(a.shown(), b.shown());
        });
    }
}

#[test]
fn while_the_store_is_away_joins_fail_and_what_has_left_is_told_later() {
    in_virtual_time(async {
        let Nodes { nodes, .. } = nodes(2);
        let [a, b] = &nodes[..] else { panic!() };
        a.join(1, device(1, None)).await.unwrap();
        a.join(3, device(3, None)).await.unwrap();
        b.join(2, device(2, None)).await.unwrap();
        a_while().await;
        a.told();
        b.told();
        a.store.cut();
        let refused = a.join(4, device(4, None)).await;
        assert!(matches!(refused, Err(Unsettled::Store(_))));
        a.rosters.leave(&roster(), socket(1));
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(a.told(), [""; 0]);
        assert_eq!(a.shown().len(), 3);
        // Nobody waits for the next attempt of those before.
        for number in 5..8 {
            let begun = tokio::time::Instant::now();
            let refused = a.join(number, device(4, None)).await;
            assert!(matches!(refused, Err(Unsettled::Store(_))));
            assert_eq!(begun.elapsed(), Duration::ZERO);
        }
        a.store.mend();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(b.told(), ["left 1 0"]);
        assert_eq!(a.told(), ["left 1 0"]);
        a.join(4, device(4, None)).await.unwrap();
        a_while().await;
        assert_eq!(b.told(), ["joined 4 0"]);
    });
}

#[test]
fn a_roster_that_is_not_followed_is_read_without_those_who_are_gone() {
    in_virtual_time(async {
        let Nodes { nodes, alive, .. } = nodes(3);
        let [a, b, c] = &nodes[..] else { panic!() };
        assert!(c.rosters.read(&roster()).await.unwrap().is_empty());
        a.join(1, device(1, None)).await.unwrap();
        b.join(2, device(2, None)).await.unwrap();
        let read = c.rosters.read(&roster()).await.unwrap();
        assert_eq!((read.len(), read.version()), (2, 2));
        assert_eq!(c.rosters.followed(), []);
        a.rosters.lose(&roster(), socket(1));
        a_while().await;
        assert_eq!(c.rosters.read(&roster()).await.unwrap().len(), 2);
        // Nobody is left who could take it out.
        for node in [a, b] {
            node.store.cut();
        }
        tokio::time::sleep(GRACE).await;
        let read = c.rosters.read(&roster()).await.unwrap();
        assert_eq!(
            members(&read).into_values().collect::<Vec<_>>(),
            [device(2, None)]
        );
        drop(alive);
    });
}

#[test]
fn a_lost_push_is_noticed_without_another_change() {
    in_virtual_time(async {
        let Nodes { nodes, .. } = nodes(2);
        let [a, b] = &nodes[..] else { panic!() };
        a.join(1, device(1, None)).await.unwrap();
        b.join(2, device(2, None)).await.unwrap();
        a_while().await;
        b.told();
        b.store.deafen();
        a.join(3, device(3, None)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(13)).await;
        assert_eq!(b.told(), ["anew"]);
        assert_eq!(a.shown(), b.shown());
    });
}

#[test]
fn clocks_of_nodes_that_differ_change_no_grace() {
    in_virtual_time(async {
        let server = SimulatedServer::new(7);
        let alive = Alive::default();
        let a = Node::new(&server, &alive, home("a", 1), |rules| rules, 1);
        a.join(1, device(1, None)).await.unwrap();
        // What a node counts from is its start, an hour later here.
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let b = Node::new(&server, &alive, home("b", 2), |rules| rules, 2);
        b.join(2, device(2, None)).await.unwrap();
        a_while().await;
        a.told();
        let (early, late) = (a.rosters.host().now_ms(), b.rosters.host().now_ms());
        assert!(early.abs_diff(late) <= 10, "{early} {late}");
        b.rosters.lose(&roster(), socket(2));
        tokio::time::sleep(GRACE - Duration::from_millis(50)).await;
        assert_eq!(a.told(), [""; 0]);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(a.told(), ["left 2 0"]);
    });
}
