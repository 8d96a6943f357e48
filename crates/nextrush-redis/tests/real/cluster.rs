//! Nodes on a cluster whose slots move and whose masters die, while they publish all the time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use nextrush_broker::{
    Broker as _, BrokerError, CommandKey, Epoch, Interrupt, Position, Publication,
    SequencerOptions, Sink, TopicName,
};
use nextrush_redis::{Redis, RedisOptions, RedisStore, RedisUrl};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::faults::quick;
use crate::recorder::connect;
use crate::servers::{ClusterOfThree, Program, Server, eventually, programs};
use crate::store::{ALL, kept, read, topic};

/// The time between two publications of a publisher.
const PACE: Duration = Duration::from_millis(5);

/// The subscribers of all topics on a node, one each, with what the node says.
#[derive(Default)]
struct Subscribers(Mutex<HashMap<TopicName, Subscriber>>);

#[derive(Default)]
struct Subscriber {
    at: Option<Position>,
    has: BTreeMap<u64, String>,
    taken_back: HashSet<String>,
    /// Events that no subscriber may be told of here.
    wrong: Vec<String>,
}

impl Sink for Subscribers {
    fn deliver(&self, topic: &TopicName, epoch: Epoch, publication: &Arc<Publication>) {
        let mut subscribers = self.0.lock();
        let subscriber = subscribers.entry(topic.clone()).or_default();
        let position = Position::new(epoch, publication.offset);
        let expected = match subscriber.at {
            Some(at) => Position::new(at.epoch, at.offset + 1),
            None => Position::new(epoch, 1),
        };
        if position != expected {
            let wrong = format!("{position:?} in place of {expected:?}");
            subscriber.wrong.push(wrong);
        }
        subscriber.at = Some(position);
        let text = String::from_utf8_lossy(&publication.data).into_owned();
        subscriber.has.insert(publication.offset, text);
    }

    fn interrupt(&self, topic: &TopicName, interrupt: &Interrupt) {
        let mut subscribers = self.0.lock();
        let subscriber = subscribers.entry(topic.clone()).or_default();
        let last = subscriber.at.map_or(0, |at| at.offset);
        match interrupt {
            Interrupt::Continued { offset, .. } if *offset == last => {}
            Interrupt::TakenBack { offsets, .. } if *offsets.end() == last => {
                let taken_back = subscriber.has.split_off(offsets.start());
                subscriber.taken_back.extend(taken_back.into_values());
            }
            other => {
                let wrong = format!("{other:?} at {:?}", subscriber.at);
                subscriber.wrong.push(wrong);
            }
        }
        subscriber.at = Some(interrupt.position());
    }
}

struct Node {
    redis: Redis,
    subscribers: Arc<Subscribers>,
    /// The texts that were acknowledged, by topic.
    acknowledged: Mutex<HashMap<TopicName, Vec<String>>>,
}

impl Node {
    async fn start(url: &RedisUrl, options: RedisOptions) -> Arc<Self> {
        let store = RedisStore::connect(url, options).await.unwrap();
        let sequencer = SequencerOptions::default().check_every(Duration::from_secs(1));
        let redis = Redis::over(store, sequencer);
        let subscribers = Arc::new(Subscribers::default());
        redis.attach(Arc::clone(&subscribers) as Arc<dyn Sink>);
        Arc::new(Self {
            redis,
            subscribers,
            acknowledged: Mutex::default(),
        })
    }

    /// Publishes a text once, again and again until that is sure.
    async fn publish(&self, topic: &TopicName, text: &str) {
        let key = CommandKey::owned("ada", text).unwrap();
        let publish = kept(text).once(key, Duration::from_secs(600));
        loop {
            match self.redis.publish(topic, publish.clone()).await {
                Ok(_) => break,
                Err(BrokerError::Unavailable(_) | BrokerError::InDoubt(_)) => {
                    tokio::time::sleep(PACE).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        let mut acknowledged = self.acknowledged.lock();
        let of_topic = acknowledged.entry(topic.clone()).or_default();
        of_topic.push(text.to_owned());
    }

    /// The number of publications of a topic that were acknowledged here.
    fn published(&self, topic: &TopicName) -> usize {
        self.acknowledged.lock().get(topic).map_or(0, Vec::len)
    }
}

/// Two nodes with subscribers of each topic, which publish to all of them until they are ended.
struct Traffic {
    url: RedisUrl,
    nodes: Vec<Arc<Node>>,
    topics: Vec<TopicName>,
    end: tokio::sync::watch::Sender<bool>,
    publishers: Vec<JoinHandle<()>>,
}

impl Traffic {
    async fn start(cluster: &ClusterOfThree, options: &RedisOptions, topics: usize) -> Self {
        let url = cluster.url();
        let nodes = join_all((0..2).map(|_| Node::start(&url, options.clone()))).await;
        let topics: Vec<_> = (0..topics).map(|one| topic(&format!("t{one}"))).collect();
        let (end, is_ended) = tokio::sync::watch::channel(false);
        let mut publishers = Vec::new();
        for node in &nodes {
            for topic in &topics {
                node.redis.subscribe(topic).await.unwrap();
            }
        }
        for (index, node) in nodes.iter().enumerate() {
            for topic in &topics {
                let (node, topic, is_ended) = (Arc::clone(node), topic.clone(), is_ended.clone());
                publishers.push(tokio::spawn(async move {
                    for number in 0.. {
                        if *is_ended.borrow() {
                            break;
                        }
                        let text = format!("{topic}/{index}/{number}");
                        node.publish(&topic, &text).await;
                        tokio::time::sleep(PACE).await;
                    }
                }));
            }
        }
        let traffic = Self {
            url,
            nodes,
            topics,
            end,
            publishers,
        };
        traffic.goes_on(&traffic.topics).await;
        traffic
    }

    /// Waits until each of these topics has got more publications from each node.
    async fn goes_on(&self, topics: &[TopicName]) {
        for node in &self.nodes {
            let before: Vec<_> = topics.iter().map(|one| node.published(one)).collect();
            eventually("publications are acknowledged", async || {
                let now = topics.iter().map(|one| node.published(one));
                now.zip(&before).all(|(now, before)| now >= before + 5)
            })
            .await;
        }
    }

    /// Ends publishing and waits until all have everything. Returns the number of acknowledged
    /// publications that are gone, each of which was told.
    async fn end(self) -> usize {
        self.end.send_replace(true);
        for publisher in self.publishers {
            publisher.await.unwrap();
        }
        // A node answers from what its subscribers have had so far.
        let (store, _) = connect(&self.url, RedisOptions::default()).await;
        let mut gone = 0;
        for topic in &self.topics {
            let history = read(&store, topic, ALL).await.history;
            let kept: BTreeMap<_, _> = history
                .publications
                .iter()
                .map(|one| (one.offset, String::from_utf8_lossy(&one.data).into_owned()))
                .collect();
            let texts: HashSet<_> = kept.values().collect();
            assert_eq!(texts.len(), kept.len(), "{topic} has something twice");
            for node in &self.nodes {
                eventually("all is delivered", async || {
                    let subscribers = node.subscribers.0.lock();
                    subscribers[topic].at == Some(history.position)
                })
                .await;
                let subscribers = node.subscribers.0.lock();
                let subscriber = &subscribers[topic];
                assert_eq!(subscriber.wrong, [] as [String; 0], "{topic}");
                assert_eq!(subscriber.has, kept, "{topic}");
                for text in &node.acknowledged.lock()[topic] {
                    if !texts.contains(text) {
                        gone += 1;
                        let is_told = subscriber.taken_back.contains(text);
                        assert!(is_told, "{text} is gone untold");
                    }
                }
            }
        }
        gone
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publications_keep_their_order_while_slots_move() {
    for program in programs() {
        let cluster = ClusterOfThree::start(program).await;
        let traffic = Traffic::start(&cluster, &RedisOptions::default(), 6).await;
        let (moving, staying) = traffic.topics.split_at(3);
        for round in 0..2 {
            for topic in moving {
                let (_, slot) = cluster.find(&format!("*:t:{topic}")).await;
                let to = (cluster.owner(slot).await + 1) % 3;
                // Those of the moving slot have to wait: their keys do not exist yet.
                let midway = async || traffic.goes_on(staying).await;
                cluster.move_slot(slot, to, midway).await;
                assert_eq!(cluster.owner(slot).await, to, "{round}");
                traffic.goes_on(std::slice::from_ref(topic)).await;
            }
        }
        assert_eq!(
            traffic.end().await,
            0,
            "nothing that was acknowledged is gone"
        );
    }
}

/// A cluster that notices within a second or so that a master is dead, and a replica of one.
async fn with_replica(program: Program) -> (ClusterOfThree, Server) {
    let settings = ["--cluster-node-timeout", "1000"];
    let cluster = ClusterOfThree::start_with(program, &settings).await;
    let replica = cluster.replica_of(2).await;
    (cluster, replica)
}

/// Waits until a replica is given what is written. A master begins with that up to a second after it
/// has sent all that there was.
async fn follows(replica: &Server, master: &Server) {
    eventually("the replica has all keys", async || {
        let keys: i64 = replica.ask(&["DBSIZE"]).await;
        let all: i64 = master.ask(&["DBSIZE"]).await;
        keys == all && all > 0
    })
    .await;
}

async fn is_master(replica: &Server) -> bool {
    let role = replica.info("replication", "role").await;
    role.as_deref() == Some("master")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_of_a_cluster_that_dies_is_replaced_and_what_is_gone_is_told() {
    for program in programs() {
        let (mut cluster, replica) = with_replica(program).await;
        let traffic = Traffic::start(&cluster, &quick(), 12).await;
        follows(&replica, &cluster.servers[2]).await;
        cluster.servers[2].kill();
        eventually("the replica is a master", async || {
            is_master(&replica).await
        })
        .await;
        traffic.goes_on(&traffic.topics).await;
        // The newest may be, of each publisher the one that it was just told of.
        let gone = traffic.end().await;
        assert!(gone <= 24, "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_of_a_cluster_never_got_is_taken_back() {
    for program in programs() {
        let (mut cluster, replica) = with_replica(program).await;
        let traffic = Traffic::start(&cluster, &quick(), 12).await;
        let master = &cluster.servers[2];
        follows(&replica, master).await;
        // The replica may not follow any more; nobody else is concerned.
        let refuse = ["ACL", "SETUSER", "default", "-psync", "-sync", "-replconf"];
        master.ask::<()>(&refuse).await;
        master
            .ask::<i64>(&["CLIENT", "KILL", "TYPE", "replica"])
            .await;
        traffic.goes_on(&traffic.topics).await;
        cluster.servers[2].kill();
        eventually("the replica is a master", async || {
            is_master(&replica).await
        })
        .await;
        traffic.goes_on(&traffic.topics).await;
        let gone = traffic.end().await;
        assert!(gone >= 5, "{gone}");
    }
}
