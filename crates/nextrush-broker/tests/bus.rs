//! Buses: casts, questions and leases between nodes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::simulated::{SimulatedBus, SimulatedNodes};
use nextrush_broker::{Asked, BoxFuture, Bus, BusReceiver, Bytes, NodeName, OneNode, TopicName};
use parking_lot::Mutex;

const SECOND: Duration = Duration::from_secs(1);

/// A receiver that keeps what it hears, and answers with its name.
struct Ear {
    node: NodeName,
    heard: Mutex<Vec<String>>,
}

impl Ear {
    fn at(bus: &impl Bus) -> Arc<Self> {
        let ear = Arc::new(Self {
            node: bus.node().clone(),
            heard: Mutex::default(),
        });
        bus.attach(ear.clone());
        ear
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }
}

impl BusReceiver for Ear {
    fn cast(&self, from: &NodeName, room: &TopicName, message: Bytes) {
        let text = String::from_utf8_lossy(&message);
        self.heard.lock().push(format!("{from} {room} {text}"));
    }

    fn asked(&self, from: &NodeName, question: Bytes) -> BoxFuture<'static, Option<Bytes>> {
        let text = String::from_utf8_lossy(&question).into_owned();
        let answer = format!("{from} asked {} {text}", self.node);
        Box::pin(async move { (text != "unknown").then(|| answer.into()) })
    }
}

fn name(text: &str) -> NodeName {
    NodeName::try_from(text).unwrap()
}

fn room(text: &str) -> TopicName {
    TopicName::try_from(text).unwrap()
}

fn three() -> (SimulatedNodes, [SimulatedBus; 3]) {
    let nodes = SimulatedNodes::new();
    let buses = ["a", "b", "c"].map(|text| nodes.join(name(text)));
    (nodes, buses)
}

#[tokio::test]
async fn a_cast_reaches_the_other_nodes_that_listen() {
    let (_nodes, buses) = three();
    let ears = buses.each_ref().map(Ear::at);
    let lobby = room("lobby");
    for bus in &buses[..2] {
        bus.listen(&lobby).await.unwrap();
        bus.listen(&lobby).await.unwrap();
        bus.unlisten(&lobby).await;
    }
    buses[0].cast(&lobby, "1".into());
    buses[2].cast(&lobby, "2".into());
    buses[2].cast(&room("other"), "3".into());
    buses[1].unlisten(&lobby).await;
    buses[0].cast(&lobby, "4".into());
    assert_eq!(ears[0].heard(), ["c lobby 2"]);
    assert_eq!(ears[1].heard(), ["a lobby 1", "c lobby 2"]);
    assert!(ears[2].heard().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_by_all_who_live_or_says_who_did_not() {
    let (nodes, buses) = three();
    let _ears = buses.each_ref().map(Ear::at);
    let all = buses[0].ask(&Asked::All, "x".into(), SECOND).await.unwrap();
    let expected = ["a", "b", "c"].map(|node| (name(node), format!("a asked {node} x").into()));
    assert_eq!((all.answers, all.silent), (expected.to_vec(), vec![]));

    nodes.set_silent(&name("b"), true);
    nodes.end(&name("c"));
    let begun = tokio::time::Instant::now();
    let all = buses[0].ask(&Asked::All, "x".into(), SECOND).await.unwrap();
    assert_eq!((all.answers.len(), all.silent), (1, vec![name("b")]));
    assert_eq!(begun.elapsed(), SECOND);
    let named = Asked::Nodes(vec![name("gone"), name("a")]);
    let answered = buses[0].ask(&named, "x".into(), SECOND).await.unwrap();
    assert_eq!(
        (answered.answers.len(), answered.silent),
        (1, vec![name("gone")])
    );
    let unknown = buses[0]
        .ask(&named, "unknown".into(), SECOND)
        .await
        .unwrap();
    assert_eq!(unknown.silent, [name("a"), name("gone")]);
}

#[tokio::test]
async fn leases_end_with_their_node() {
    let (nodes, buses) = three();
    let set = room("users");
    for bus in &buses {
        bus.lease(&set, "ada", "old".into()).await.unwrap();
        let value = bus.node().as_str().to_owned();
        bus.lease(&set, "ada", value.into()).await.unwrap();
        bus.lease(&room("other"), "ada", "x".into()).await.unwrap();
    }
    let read = async || {
        let leased = buses[0].leased(&set).await.unwrap();
        let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
        let text = |leased: &nextrush_broker::Leased| {
            format!("{} {} {}", leased.node, leased.member, text(&leased.value))
        };
        leased.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(read().await, ["a ada a", "b ada b", "c ada c"]);
    buses[0].release(&set, "ada").await.unwrap();
    nodes.end(&name("b"));
    assert_eq!(read().await, ["c ada c"]);
    assert!(buses[1].lease(&set, "ada", "x".into()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_says_nothing_counts_as_dead_after_ten_seconds() {
    let (nodes, buses) = three();
    let ears = buses.each_ref().map(Ear::at);
    let [a, b, c] = ["a", "b", "c"].map(name);
    let (lobby, users) = (room("lobby"), room("users"));
    for bus in &buses {
        bus.listen(&lobby).await.unwrap();
        bus.lease(&users, "ada", "x".into()).await.unwrap();
    }
    let living = async |bus: usize| {
        let living = buses[bus].nodes().await.unwrap();
        let leased = buses[bus].leased(&users).await.unwrap();
        let holders: Vec<_> = leased.into_iter().map(|leased| leased.node).collect();
        assert_eq!(holders, living);
        living
    };
    nodes.set_silent(&a, true);
    nodes.set_cut(&b, true);
    nodes.crash(&c);
    assert_eq!(living(0).await, [a.clone(), b.clone(), c.clone()]);
    assert!(buses[1].nodes().await.is_err() && buses[2].leased(&users).await.is_err());
    buses[1].cast(&lobby, "x".into());
    buses[2].cast(&lobby, "x".into());
    tokio::time::sleep(10 * SECOND).await;
    // A list without the one that reads it is none.
    assert!(buses[0].nodes().await.is_err() && buses[0].leased(&users).await.is_err());
    nodes.set_silent(&a, false);
    nodes.set_cut(&b, false);
    nodes.set_silent(&c, false);
    assert_eq!(living(1).await, [a.clone(), b.clone()]);
    // Another node may take the place of the one that has crashed.
    let again = nodes.join(c.clone());
    assert_eq!(again.nodes().await.unwrap(), [a.clone(), b, c]);
    assert_eq!(again.leased(&users).await.unwrap().len(), 2);
    again.cast(&lobby, "y".into());
    assert_eq!(ears[0].heard(), ["c lobby y"]);
    assert_eq!(ears[2].heard(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_single_node_is_all_nodes() {
    let bus = OneNode::new(name("a"));
    let all = bus.ask(&Asked::All, "x".into(), SECOND).await.unwrap();
    assert_eq!(all.silent, [name("a")], "nobody answers yet");
    let ear = Ear::at(&bus);
    bus.listen(&room("lobby")).await.unwrap();
    bus.cast(&room("lobby"), "x".into());
    assert!(ear.heard().is_empty());
    let named = Asked::Nodes(vec![name("a"), name("b")]);
    let answered = bus.ask(&named, "x".into(), SECOND).await.unwrap();
    assert_eq!(answered.answers, [(name("a"), "a asked a x".into())]);
    assert_eq!(answered.silent, [name("b")]);
    bus.lease(&room("users"), "ada", "1".into()).await.unwrap();
    assert_eq!(bus.leased(&room("users")).await.unwrap().len(), 1);
    assert!(bus.leased(&room("other")).await.unwrap().is_empty());
    bus.release(&room("users"), "ada").await.unwrap();
    assert!(bus.leased(&room("users")).await.unwrap().is_empty());
}

#[test]
fn names_of_nodes_are_short_and_plain() {
    for good in ["a", "web-1.example_2", &"x".repeat(64)] {
        assert_eq!(name(good).as_str(), good);
    }
    for bad in ["", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
        assert!(NodeName::try_from(bad).is_err(), "{bad:?}");
    }
}
