//! Access and channels of users over two nodes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::{Client, Cluster};
use nextrush::{App, LiveUpdates};

use crate::support::{Allowed, all, come_back, enter, next, route, subscribe};

/// Two nodes whose rule lets in the same users.
struct Nodes {
    cluster: Cluster,
    live: Rc<RefCell<BTreeMap<String, LiveUpdates>>>,
}

impl Nodes {
    fn new(allowed: &Allowed) -> Self {
        let live = Rc::<RefCell<BTreeMap<String, LiveUpdates>>>::default();
        let (made, allowed) = (Rc::clone(&live), allowed.clone());
        let cluster = Cluster::new(1, ["a", "b"], move |builder| {
            let mut app: App = builder.build();
            let hour = Duration::from_secs(3600);
            let policies = ChannelPolicies::new()
                .policy("team", allowed.policy())
                .policy("user:{id}", ChannelPolicy::new().history(100, hour));
            let live = LiveUpdates::builder()
                .policies(policies)
                .user_channel("user:{id}")
                .build(&app, "live");
            route(&mut app, &live);
            let node = app.handle().node().to_string();
            made.borrow_mut().insert(node, live);
            app
        });
        Self { cluster, live }
    }

    fn live(&self, node: &str) -> LiveUpdates {
        self.live.borrow()[node].clone()
    }

    /// A user's client that has the answer to its subscription.
    async fn subscribed(&self, node: &str, user: &str) -> Client {
        let mut client = enter(&self.cluster.node(node), user).await;
        assert_eq!(next(&mut client).await["joined"], true);
        assert_eq!(subscribe(&mut client, "team").await["type"], "subscribed");
        client
    }

    async fn taken(&self, client: &mut Client) -> Vec<serde_json::Value> {
        self.cluster.advance(Duration::from_millis(100)).await;
        std::iter::from_fn(|| client.try_recv())
            .map(|message| serde_json::from_str(&message.to_string()).unwrap())
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_kick_reaches_the_sockets_of_a_user_on_all_nodes() {
    let allowed = Allowed::new(["ada", "bob"]);
    let nodes = Nodes::new(&allowed);
    let mut ada = [
        nodes.subscribed("a", "ada").await,
        nodes.subscribed("b", "ada").await,
    ];
    let mut bob = nodes.subscribed("b", "bob").await;
    allowed.set("ada", false);
    let live = nodes.live("a");
    let kicked = nodes
        .cluster
        .run_until(live.kick(&"ada".into(), "team"))
        .await;
    assert_eq!((kicked.sockets, kicked.unanswered.len()), (2, 0));
    assert!(!kicked.others_unknown);
    nodes
        .cluster
        .run_until(live.publish("team", "after"))
        .await
        .unwrap();
    for ada in &mut ada {
        assert_eq!(all(&nodes.taken(ada).await, "code"), ["kicked"]);
    }
    assert_eq!(all(&nodes.taken(&mut bob).await, "data"), ["after"]);
    // Whatever node she comes to, the rule is asked.
    assert_eq!(
        subscribe(&mut ada[1], "team").await["code"],
        "subscribe-refused"
    );
    let kicked = nodes
        .cluster
        .run_until(live.kick(&"bob".into(), "other"))
        .await;
    assert_eq!(kicked.sockets, 0);
}

#[tokio::test(start_paused = true)]
async fn rules_are_asked_again_on_all_nodes() {
    let allowed = Allowed::new(["ada", "bob"]);
    let nodes = Nodes::new(&allowed);
    let mut ada = [
        nodes.subscribed("a", "ada").await,
        nodes.subscribed("b", "ada").await,
    ];
    let mut bob = nodes.subscribed("b", "bob").await;
    let live = nodes.live("a");
    let asked = nodes.cluster.run_until(live.recheck(&"ada".into())).await;
    assert_eq!(asked.sockets, 2);
    allowed.set("ada", false);
    nodes.cluster.run_until(live.recheck(&"ada".into())).await;
    for ada in &mut ada {
        assert_eq!(all(&nodes.taken(ada).await, "code"), ["subscribe-refused"]);
    }
    assert!(nodes.taken(&mut bob).await.is_empty());
    allowed.set("bob", false);
    let asked = nodes.cluster.run_until(live.recheck_channel("team")).await;
    assert_eq!(asked.sockets, 1);
    assert_eq!(
        all(&nodes.taken(&mut bob).await, "code"),
        ["subscribe-refused"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_is_named_and_does_it_when_it_goes_on() {
    let allowed = Allowed::new(["ada"]);
    let nodes = Nodes::new(&allowed);
    let mut here = nodes.subscribed("a", "ada").await;
    let mut there = nodes.subscribed("b", "ada").await;
    nodes.cluster.pause("b");
    let live = nodes.live("a");
    let kicked = nodes
        .cluster
        .run_until(live.kick(&"ada".into(), "team"))
        .await;
    assert_eq!(kicked.sockets, 1);
    let unanswered: Vec<_> = kicked.unanswered.iter().map(ToString::to_string).collect();
    assert_eq!(unanswered, ["b"]);
    assert_eq!(all(&nodes.taken(&mut here).await, "code"), ["kicked"]);
    // Nobody knows whether it has; asked again it does.
    nodes.cluster.resume("b");
    nodes.cluster.advance(Duration::from_secs(5)).await;
    let again = nodes
        .cluster
        .run_until(live.kick(&"ada".into(), "team"))
        .await;
    assert!(again.unanswered.is_empty(), "{again:?}");
    assert_eq!(all(&nodes.taken(&mut there).await, "code"), ["kicked"]);

    nodes.cluster.cut("a");
    let cut = nodes
        .cluster
        .run_until(live.kick(&"ada".into(), "team"))
        .await;
    assert!(cut.others_unknown || !cut.unanswered.is_empty(), "{cut:?}");
}

#[tokio::test(start_paused = true)]
async fn a_channel_of_a_user_is_one_on_all_nodes() {
    let nodes = Nodes::new(&Allowed::new([]));
    let mut clients = Vec::new();
    for node in ["a", "b"] {
        let mut client = enter(&nodes.cluster.node(node), "ada").await;
        assert_eq!(next(&mut client).await["channel"], "user:ada");
        clients.push(client);
    }
    let live = nodes.live("b");
    let channel = live.user_channel(&"ada".into()).unwrap();
    nodes
        .cluster
        .run_until(live.publish(&channel, "hello"))
        .await
        .unwrap();
    for client in &mut clients {
        assert_eq!(all(&nodes.taken(client).await, "data"), ["hello"]);
    }
    let mut eve = enter(&nodes.cluster.node("b"), "eve").await;
    next(&mut eve).await;
    assert_eq!(
        subscribe(&mut eve, "user:ada").await["code"],
        "subscribe-refused"
    );
}

#[tokio::test(start_paused = true)]
async fn the_channels_in_use_are_those_of_all_nodes_that_answer() {
    let allowed = Allowed::new(["ada", "bob"]);
    let nodes = Nodes::new(&allowed);
    let _ada = nodes.subscribed("a", "ada").await;
    let _bob = nodes.subscribed("b", "bob").await;
    let channels = async |node: &str| {
        let live = nodes.live(node);
        nodes.cluster.run_until(live.channels()).await
    };
    let of = |counts: &[(&str, usize)]| -> Vec<(String, usize)> {
        let count = |&(channel, subscribers): &(&str, _)| (channel.to_owned(), subscribers);
        counts.iter().map(count).collect()
    };
    let everywhere = of(&[("team", 2), ("user:ada", 1), ("user:bob", 1)]);
    for node in ["a", "b"] {
        let found = channels(node).await;
        assert_eq!(found.channels, everywhere, "{node}");
        assert!(found.unanswered.is_empty() && !found.others_unknown);
    }
    let here = of(&[("team", 1), ("user:ada", 1)]);
    nodes.cluster.pause("b");
    let found = channels("a").await;
    assert_eq!(found.channels, here);
    let unanswered: Vec<_> = found.unanswered.iter().map(ToString::to_string).collect();
    assert_eq!(
        (unanswered, found.others_unknown),
        (vec!["b".to_owned()], false)
    );
    nodes.cluster.resume("b");
    nodes.cluster.cut("a");
    nodes.cluster.advance(Duration::from_secs(30)).await;
    let found = channels("a").await;
    assert_eq!((found.channels, found.others_unknown), (here, true));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_heard_of_no_publication_yet_has_the_history_and_its_ages() {
    let allowed = Allowed::new(["ada"]);
    let nodes = Nodes::new(&allowed);
    let mut ada = enter(&nodes.cluster.node("a"), "ada").await;
    assert_eq!(next(&mut ada).await["joined"], true);
    let position = subscribe(&mut ada, "team").await;
    let live = nodes.live("a");
    nodes
        .cluster
        .run_until(live.publish("team", "one"))
        .await
        .unwrap();
    ada.cut();
    for (seconds, recovered) in [(1800, true), (1801, false)] {
        nodes.cluster.advance(Duration::from_secs(seconds)).await;
        let mut ada = enter(&nodes.cluster.node("b"), "ada").await;
        assert_eq!(next(&mut ada).await["joined"], true);
        let answer = come_back(&mut ada, "team", &position).await;
        assert_eq!(answer["recovered"], recovered, "{answer}");
    }
}
