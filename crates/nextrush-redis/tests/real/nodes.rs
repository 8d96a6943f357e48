//! Nodes that share a real server, each with its sequencer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use nextrush_broker::conformance::{SharedBrokers, StoreFault, conformance, pair_conformance};
use nextrush_broker::{
    Attempt, Broker, BrokerError, Claim, CommandKey, Epoch, HistoryQuery, Interrupt, Position,
    Publication, SequencerOptions, Sink, TopicName,
};
use nextrush_redis::{Redis, RedisOptions, RedisStore, RedisUrl};
use parking_lot::Mutex;

use crate::faults::quick;
use crate::proxy::{Line, Proxy};
use crate::servers::{ClusterOfThree, Program, Server, eventually, programs, replica, url};
use crate::store::{kept, topic};

/// A node, and what its sinks were told of one topic.
struct Node {
    redis: Redis,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen(Mutex<Vec<Event>>);

#[derive(Clone, Debug, PartialEq)]
enum Event {
    Delivered(Position, String),
    Interrupted(Interrupt),
}

impl Sink for Seen {
    fn deliver(&self, _: &TopicName, epoch: Epoch, publication: &Arc<Publication>) {
        let text = String::from_utf8_lossy(&publication.data).into_owned();
        let position = Position::new(epoch, publication.offset);
        self.0.lock().push(Event::Delivered(position, text));
    }

    fn interrupt(&self, _: &TopicName, interrupt: &Interrupt) {
        self.0.lock().push(Event::Interrupted(interrupt.clone()));
    }
}

impl Node {
    async fn start(url: &RedisUrl) -> Self {
        let store = RedisStore::connect(url, quick()).await.unwrap();
        let sequencer = SequencerOptions::default().check_every(Duration::from_secs(1));
        let redis = Redis::over(store, sequencer);
        let seen = Arc::new(Seen::default());
        redis.attach(Arc::clone(&seen) as Arc<dyn Sink>);
        Self { redis, seen }
    }

    async fn publish(&self, topic: &TopicName, text: &str) -> Position {
        self.redis
            .publish(topic, kept(text))
            .await
            .unwrap()
            .position
    }

    fn texts(&self) -> Vec<String> {
        let seen = self.seen.0.lock();
        let text = |event: &Event| match event {
            Event::Delivered(_, text) => Some(text.clone()),
            Event::Interrupted(_) => None,
        };
        seen.iter().filter_map(text).collect()
    }

    fn interrupts(&self) -> Vec<Interrupt> {
        let seen = self.seen.0.lock();
        let interrupt = |event: &Event| match event {
            Event::Delivered(..) => None,
            Event::Interrupted(interrupt) => Some(interrupt.clone()),
        };
        seen.iter().filter_map(interrupt).collect()
    }

    async fn until_texts(&self, expected: &[&str]) {
        eventually(&format!("{expected:?} is delivered"), async || {
            self.texts() == expected
        })
        .await;
    }

    /// Publishes one text, again and again until the server takes it.
    async fn publish_at_last(&self, topic: &TopicName, text: &str) -> Position {
        loop {
            match self.redis.publish(topic, kept(text)).await {
                Ok(published) => return published.position,
                Err(BrokerError::Unavailable(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_one_server_keeps_every_promise_of_a_broker() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let connect = async || Redis::connect(&server.url().to_string()).await.unwrap();
        conformance(connect).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_a_cluster_keeps_every_promise_of_a_broker() {
    for program in programs() {
        let cluster = ClusterOfThree::start(program).await;
        let url = cluster.url();
        let connect = async || {
            let options = RedisOptions::default();
            Redis::with_options(&url, options).await.unwrap()
        };
        conformance(connect).await;
    }
}

/// A master, its replica, and a line from each node to the master.
pub(crate) struct Deployment {
    servers: tokio::sync::Mutex<[Server; 2]>,
    /// The line on which the replica follows.
    line: Proxy,
    fronts: Vec<Proxy>,
}

impl Deployment {
    pub(crate) async fn start(program: Program) -> Self {
        let disk = ["--appendonly", "yes", "--appendfsync", "always"];
        let master = Server::start(program, &disk).await;
        let line = Proxy::start(master.port).await;
        let replica = replica(program, line.port).await;
        let mut fronts = Vec::new();
        for _ in 0..3 {
            fronts.push(Proxy::start(master.port).await);
        }
        Self {
            servers: tokio::sync::Mutex::new([master, replica]),
            line,
            fronts,
        }
    }
}

impl SharedBrokers for Deployment {
    type Broker = Redis;

    async fn connect(&self, node: usize) -> Redis {
        let url = url(self.fronts[node].port);
        Redis::with_options(&url, quick()).await.unwrap()
    }

    async fn fault(&self, fault: StoreFault) -> bool {
        let mut servers = self.servers.lock().await;
        let [master, replica] = &mut *servers;
        match fault {
            StoreFault::Cut(node) => self.fronts[node].set(Line::Cut),
            StoreFault::Mend(node) => self.fronts[node].set(Line::Up),
            StoreFault::Freeze => master.pause(),
            StoreFault::Thaw => master.resume(),
            StoreFault::Restart => master.restart().await,
            StoreFault::RestartEmpty => master.restart_empty().await,
            StoreFault::DetachReplica => {
                let written = master.replicated().await;
                while replica.replicated().await < written {
                    tokio::task::yield_now().await;
                }
                self.line.set(Line::Cut);
            }
            StoreFault::FailOver => {
                master.kill();
                replica.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
                for front in &self.fronts {
                    front.lead_to(replica.port);
                }
            }
            _ => return false,
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_share_a_server_keep_every_promise() {
    for program in programs() {
        pair_conformance(async || Deployment::start(program).await).await;
    }
}

#[tokio::test]
async fn nodes_see_one_order() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let nodes = join_all((0..3).map(|_| async { Node::start(&server.url()).await })).await;
        let topic = topic("order");
        for node in &nodes {
            node.redis.subscribe(&topic).await.unwrap();
        }
        let nodes: Vec<_> = nodes.into_iter().map(Arc::new).collect();
        // A task each: after 128 steps of one, tokio would hold some of them back.
        let publishing = nodes.iter().enumerate().map(|(index, node)| {
            let (node, topic) = (Arc::clone(node), topic.clone());
            tokio::spawn(async move {
                let texts: Vec<_> = (0..100).map(|number| format!("{index}/{number}")).collect();
                join_all(texts.iter().map(|text| node.publish(&topic, text))).await
            })
        });
        for published in join_all(publishing).await {
            published.unwrap();
        }
        for node in &nodes {
            eventually("all is delivered", async || node.texts().len() == 300).await;
        }
        let events = nodes[0].seen.0.lock().clone();
        assert_eq!(*nodes[1].seen.0.lock(), events);
        assert_eq!(*nodes[2].seen.0.lock(), events);
        // Each publisher's own order is kept as well.
        for index in 0..3 {
            let prefix = format!("{index}/");
            let texts = nodes[0].texts();
            let own: Vec<_> = texts
                .iter()
                .filter_map(|text| text.strip_prefix(&prefix))
                .collect();
            let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
            assert_eq!(own, expected);
        }
    }
}

#[tokio::test]
async fn a_command_is_executed_on_one_node() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let nodes = join_all((0..3).map(|_| async { Node::start(&server.url()).await })).await;
        for command in 0..50 {
            let attempt = Attempt::new(CommandKey::owned("ada", &command.to_string()).unwrap());
            let claims = nodes.iter().map(|node| node.redis.claim(attempt.clone()));
            let claims = join_all(claims).await;
            let mine = claims.into_iter().filter_map(|claim| match claim.unwrap() {
                Claim::Mine(claimed) => Some(claimed),
                Claim::Running => None,
                other @ (Claim::Answered(_) | Claim::InDoubt) => panic!("{other:?} too early"),
            });
            let [claimed] = <[_; 1]>::try_from(mine.collect::<Vec<_>>()).unwrap();
            nodes[0].redis.answer(claimed, "done".into()).await.unwrap();
            let again = nodes[1].redis.claim(attempt).await.unwrap();
            assert_eq!(again, Claim::Answered("done".into()));
        }
    }
}

#[tokio::test]
async fn nobody_is_told_recovered_after_a_failover_who_lacks_anything() {
    for program in programs() {
        let mut master = Server::start(program, &[]).await;
        let line = Proxy::start(master.port).await;
        let replica = replica(program, line.port).await;
        let front = Proxy::start(master.port).await;
        let publisher = Node::start(&url(front.port)).await;
        let ahead = Node::start(&url(front.port)).await;
        let topic = topic("failover");
        publisher.redis.subscribe(&topic).await.unwrap();
        ahead.redis.subscribe(&topic).await.unwrap();
        let mut shared = publisher.publish(&topic, "1").await;
        for text in ["2", "3"] {
            shared = publisher.publish(&topic, text).await;
        }
        let written = master.replicated().await;
        eventually("the replica has all three", async || {
            replica.replicated().await >= written
        })
        .await;
        line.set(Line::Cut);
        for text in ["4", "5", "6"] {
            publisher.publish(&topic, text).await;
        }
        ahead.until_texts(&["1", "2", "3", "4", "5", "6"]).await;
        master.kill();
        replica.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        front.lead_to(replica.port);
        let next = ahead.publish_at_last(&topic, "4'").await;
        assert_eq!(next.offset, 4);
        assert_ne!(next.epoch, shared.epoch);
        let taken_back = (next.epoch, 4..=6);
        for node in [&publisher, &ahead] {
            node.until_texts(&["1", "2", "3", "4", "5", "6", "4'"])
                .await;
            eventually("what was taken back is told", async || {
                let told = node
                    .interrupts()
                    .into_iter()
                    .map(|interrupt| match interrupt {
                        Interrupt::TakenBack { epoch, offsets } => (epoch, offsets),
                        other => panic!("{other:?}"),
                    });
                told.collect::<Vec<_>>() == [taken_back.clone()]
            })
            .await;
            // Those who saw 3 come back without a gap, those who saw 6 do not.
            let all = HistoryQuery::After {
                offset: 0,
                limit: 100,
            };
            let history = node.redis.history(&topic, all).await.unwrap();
            assert_eq!(history.continues, Some(shared));
            assert_eq!(history.position, next);
        }
        // A node that starts now sees the same.
        let late = Node::start(&url(front.port)).await;
        let history = late
            .redis
            .history(&topic, HistoryQuery::Latest(1))
            .await
            .unwrap();
        assert_eq!((history.position, history.continues), (next, Some(shared)));
    }
}

#[tokio::test]
async fn a_restart_that_loses_nothing_loses_nothing() {
    for program in programs() {
        let disk = ["--appendonly", "yes", "--appendfsync", "always"];
        let mut server = Server::start(program, &disk).await;
        let front = Proxy::start(server.port).await;
        let cut_off = Node::start(&url(front.port)).await;
        let publisher = Node::start(&server.url()).await;
        let topic = topic("restart");
        cut_off.redis.subscribe(&topic).await.unwrap();
        let first = publisher.publish(&topic, "1").await;
        cut_off.until_texts(&["1"]).await;
        front.set(Line::Cut);
        let second = publisher.publish(&topic, "2").await;
        assert_eq!(second.epoch, first.epoch);
        server.restart().await;
        let third = publisher.publish_at_last(&topic, "3").await;
        assert_eq!(third.offset, 3);
        front.set(Line::Up);
        cut_off.until_texts(&["1", "2", "3"]).await;
        let interrupts = cut_off.interrupts();
        let [
            Interrupt::Continued {
                epoch, continues, ..
            },
        ] = &interrupts[..]
        else {
            panic!("{interrupts:?}");
        };
        assert_eq!((*epoch, *continues), (third.epoch, second));
    }
}

#[tokio::test]
async fn a_server_that_comes_back_empty_begins_anew() {
    for program in programs() {
        let mut server = Server::start(program, &[]).await;
        let node = Node::start(&server.url()).await;
        let topic = topic("empty");
        node.redis.subscribe(&topic).await.unwrap();
        node.publish(&topic, "1").await;
        node.publish(&topic, "2").await;
        server.restart().await;
        let next = node.publish_at_last(&topic, "1'").await;
        assert_eq!(next.offset, 1);
        node.until_texts(&["1", "2", "1'"]).await;
        let interrupts = node.interrupts();
        let [Interrupt::Began { position }] = &interrupts[..] else {
            panic!("{interrupts:?}");
        };
        assert_eq!(*position, Position::new(next.epoch, 0));
    }
}

#[tokio::test]
async fn what_happens_while_a_node_does_not_hear_is_delivered_later() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let front = Proxy::start(server.port).await;
        let deaf = Node::start(&url(front.port)).await;
        let publisher = Node::start(&server.url()).await;
        let topic = topic("deaf");
        deaf.redis.subscribe(&topic).await.unwrap();
        let mut expected = Vec::new();
        for (round, line) in [Line::HeldBack, Line::Cut, Line::Held]
            .into_iter()
            .enumerate()
        {
            front.set(line);
            for number in 0..20 {
                let text = format!("{round}/{number}");
                publisher.publish(&topic, &text).await;
                expected.push(text);
            }
            front.set(Line::Up);
            eventually("all is delivered in order", async || {
                deaf.texts() == expected
            })
            .await;
        }
        assert_eq!(deaf.interrupts(), []);
        // The connection for pushes alone.
        server
            .ask::<i64>(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .await;
        publisher.publish(&topic, "last").await;
        expected.push("last".to_owned());
        eventually("the last is delivered", async || deaf.texts() == expected).await;
    }
}
