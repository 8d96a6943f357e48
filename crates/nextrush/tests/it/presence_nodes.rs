//! Presence over the nodes of an application, in virtual time.

use std::time::Duration;

use axum::extract::Path;
use nextrush::broker::simulated::{SimulatedNode, SimulatedServer};
use nextrush::broker::{NodeName, SequencerOptions};
use nextrush::live::{ChannelPolicies, ChannelPolicy, PresenceLimits};
use nextrush::testing::{Client, Network};
use nextrush::{App, CloseCode, LiveUpdates, Socket, User};
use serde_json::{Value, json};

use crate::schema;

const CHANNEL: &str = "team";
/// A lease that has ended, a look at who is alive, and the grace period.
const AFTER_A_CRASH: Duration = Duration::from_secs(28);

/// A node with live channels.
struct Node {
    node: SimulatedNode,
    network: Network,
    live: LiveUpdates,
}

impl Node {
    fn new(server: &SimulatedServer, name: &str) -> Self {
        Self::with_limits(server, name, PresenceLimits::default())
    }

    fn with_limits(server: &SimulatedServer, name: &str, limits: PresenceLimits) -> Self {
        let name = NodeName::try_from(name).unwrap();
        let node = server.join(name, SequencerOptions::default().seed(1));
        let mut app: App = App::builder().broker(node.clone()).build();
        let policies = ChannelPolicies::new().policy(CHANNEL, ChannelPolicy::new().presence());
        let live = LiveUpdates::builder()
            .policies(policies)
            .presence_limits(limits)
            .build(&app, "live");
        let connect = live.clone();
        app.ws(
            "/live/:name",
            move |socket: Socket, Path(name): Path<String>| {
                // Others only watch.
                if name != "nobody" {
                    let email = format!("{name}@example.com");
                    socket.identify(User::new(name, email)).unwrap();
                }
                connect.connect(&socket);
            },
        );
        let network = Network::new(app);
        Self {
            node,
            network,
            live,
        }
    }

    /// A client that has subscribed; what it and the others are told of that follows.
    async fn join(&self, user: &str) -> Client {
        self.join_as(user, Value::Null).await.0
    }

    async fn join_as(&self, user: &str, device: Value) -> (Client, Value) {
        let path = format!("/live/{user}");
        let mut client = self.network.connect(&path).await.unwrap();
        let subscribe = json!({ "type": "subscribe", "channel": CHANNEL, "device": device });
        client.send_json(&subscribe);
        let answer = client.json().await;
        assert_eq!(answer["type"], "subscribed", "{answer}");
        (client, answer)
    }

    /// The members, for code.
    async fn members(&self) -> Value {
        let members = self.network.run_until(self.live.members(CHANNEL)).await;
        serde_json::from_str(&serde_json::to_string(&members.unwrap()).unwrap()).unwrap()
    }
}

async fn diff(client: &mut Client) -> Value {
    let diff = client.json().await;
    assert_eq!(diff["type"], "presence-diff", "{diff}");
    schema::check_sent(&diff);
    diff
}

async fn snapshot(client: &mut Client) -> Value {
    client.send_json(&json!({ "type": "presence", "channel": CHANNEL, "id": "p" }));
    let snapshot = client.json().await;
    assert_eq!(snapshot["type"], "presence", "{snapshot}");
    snapshot
}

fn names(members: &Value) -> Vec<&str> {
    let members = members.as_array().unwrap().iter();
    members
        .map(|member| member["user"]["id"].as_str().unwrap())
        .collect()
}

/// Lets time pass at all nodes.
async fn pass(nodes: &[&Node], time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(Duration::from_millis(100));
        for node in nodes {
            node.network.settle().await;
        }
        nodes[0].network.advance(step).await;
        left -= step;
    }
    for node in nodes {
        node.network.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_is_seen_on_all_nodes_and_its_changes_have_one_order() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let mut ada = here.join("ada").await;
    let joined = diff(&mut ada).await;
    assert_eq!(
        (names(&joined["joined"]), &joined["version"]),
        (vec!["ada"], &1.into())
    );
    let mut bob = there.join("bob").await;
    let joined = diff(&mut bob).await;
    assert_eq!(
        (names(&joined["joined"]), &joined["version"]),
        (vec!["bob"], &2.into())
    );
    assert_eq!(diff(&mut ada).await, joined);

    let all = snapshot(&mut bob).await;
    assert_eq!(names(&all["members"]), ["ada", "bob"]);
    assert_eq!(snapshot(&mut ada).await, all);
    let update = json!({ "type": "presence-update", "channel": CHANNEL, "data": [1], "id": "u" });
    ada.send_json(&update);
    here.network.settle().await;
    let updated = diff(&mut bob).await;
    assert_eq!(updated["updated"][0]["devices"][0]["data"], json!([1]));
    assert_eq!(updated["version"], 3);
    assert_eq!(diff(&mut ada).await, updated);
    assert_eq!(ada.json().await, json!({ "type": "ack", "id": "u" }));
    // Who says the same again is heard again.
    ada.send_json(&update);
    here.network.settle().await;
    assert_eq!(diff(&mut bob).await["version"], 4);
    assert_eq!(diff(&mut ada).await["version"], 4);
    assert_eq!(ada.json().await["type"], "ack");

    bob.close(CloseCode::NORMAL, "");
    there.network.settle().await;
    let left = diff(&mut ada).await;
    assert_eq!(
        (&left["left"][0]["user"]["id"], &left["version"]),
        (&"bob".into(), &5.into())
    );
    // Also for code, on the node that does not follow the channel any more.
    let members = there.members().await;
    assert_eq!(
        (names(&members["members"]), &members["version"]),
        (vec!["ada"], &5.into())
    );
    assert_eq!(here.members().await, members);
}

#[tokio::test(start_paused = true)]
async fn who_only_watches_hears_of_other_nodes_too() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let mut watcher = here.join("nobody").await;
    let ada = there.join("ada").await;
    assert_eq!(names(&diff(&mut watcher).await["joined"]), ["ada"]);
    assert_eq!(names(&snapshot(&mut watcher).await["members"]), ["ada"]);
    ada.close(CloseCode::NORMAL, "");
    there.network.settle().await;
    assert_eq!(diff(&mut watcher).await["left"][0]["user"]["id"], "ada");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_comes_back_at_another_node_was_never_gone() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let mut ada = there.join("ada").await;
    diff(&mut ada).await;
    for (device, other) in [(Value::Null, "x"), ("phone".into(), "y")] {
        let (bob, _) = here.join_as("bob", device.clone()).await;
        let update = json!({ "type": "presence-update", "channel": CHANNEL, "data": other });
        bob.send_json(&update);
        here.network.settle().await;
        assert_eq!(names(&diff(&mut ada).await["joined"]), ["bob"]);
        assert_eq!(names(&diff(&mut ada).await["updated"]), ["bob"]);
        let before = snapshot(&mut ada).await;
        bob.cut();
        pass(&[&here, &there], Duration::from_secs(14)).await;
        let (mut bob, _) = there.join_as("bob", device).await;
        assert_eq!(snapshot(&mut bob).await, before);
        pass(&[&here, &there], Duration::from_secs(40)).await;
        assert_eq!(
            ada.try_recv(),
            None,
            "nobody hears of the way between nodes"
        );
        // It is the device, also for its new node.
        bob.send_json(&update);
        let updated = diff(&mut ada).await;
        assert_eq!(
            updated["updated"][0]["devices"][0]["id"],
            before["members"][1]["devices"][0]["id"]
        );
        bob.close(CloseCode::NORMAL, "");
        assert_eq!(diff(&mut ada).await["left"][0]["user"]["id"], "bob");
    }
}

#[tokio::test(start_paused = true)]
async fn the_devices_of_a_dead_node_are_gone_after_28_seconds_on_all_others() {
    let server = SimulatedServer::new(1);
    let dead = Node::new(&server, "a");
    let others = [Node::new(&server, "b"), Node::new(&server, "c")];
    let _bob = dead.join("bob").await;
    let mut carol = others[0].join("carol").await;
    let mut dora = others[1].join("dora").await;
    pass(&[&dead, &others[0], &others[1]], Duration::from_secs(5)).await;
    while carol.try_recv().is_some() {}
    while dora.try_recv().is_some() {}

    dead.node.crash();
    pass(&[&others[0], &others[1]], Duration::from_secs(20)).await;
    assert_eq!((carol.try_recv(), dora.try_recv()), (None, None));
    pass(
        &[&others[0], &others[1]],
        AFTER_A_CRASH - Duration::from_secs(20),
    )
    .await;
    let left = diff(&mut carol).await;
    assert_eq!(left["left"][0]["user"]["id"], "bob");
    assert_eq!(diff(&mut dora).await, left);
    assert_eq!((carol.try_recv(), dora.try_recv()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_from_a_dead_node_was_never_gone() {
    let server = SimulatedServer::new(1);
    let [dead, other] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let _bob = dead.join("bob").await;
    let mut ada = other.join("ada").await;
    pass(&[&dead, &other], Duration::from_secs(5)).await;
    while ada.try_recv().is_some() {}
    let before = snapshot(&mut ada).await;
    dead.node.crash();
    // Its lease has ended, and the grace period has begun.
    pass(&[&other], Duration::from_secs(15)).await;
    assert_eq!(ada.try_recv(), None);
    let mut bob = other.join("bob").await;
    pass(&[&other], Duration::from_secs(40)).await;
    assert_eq!(ada.try_recv(), None, "nobody hears of the crash");
    let after = snapshot(&mut bob).await;
    assert_eq!(after["members"], before["members"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_comes_back_before_its_node_is_missed_is_the_same() {
    let server = SimulatedServer::new(1);
    let [dead, other] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let (_bob, _) = dead.join_as("bob", "phone".into()).await;
    let mut ada = other.join("ada").await;
    pass(&[&dead, &other], Duration::from_secs(1)).await;
    while ada.try_recv().is_some() {}
    let before = snapshot(&mut ada).await;
    dead.node.crash();
    // At once: nobody else knows yet that the node is dead.
    let (mut bob, _) = other.join_as("bob", "phone".into()).await;
    assert_eq!(snapshot(&mut bob).await, before);
    pass(&[&other], Duration::from_secs(60)).await;
    assert_eq!((ada.try_recv(), bob.try_recv()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_faster_than_the_word_of_its_leaving_is_the_same() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let (bob, _) = here.join_as("bob", "phone".into()).await;
    let mut ada = there.join("ada").await;
    pass(&[&here, &there], Duration::from_secs(1)).await;
    while ada.try_recv().is_some() {}
    let before = snapshot(&mut ada).await;
    // Its own node notices nothing for a while.
    bob.fall_silent();
    let (mut again, _) = there.join_as("bob", "phone".into()).await;
    pass(&[&here, &there], Duration::from_secs(1)).await;
    bob.cut();
    pass(&[&here, &there], Duration::from_secs(60)).await;
    assert_eq!(ada.try_recv(), None, "nobody hears of it");
    assert_eq!(snapshot(&mut again).await, before);
}

#[tokio::test(start_paused = true)]
async fn of_two_devices_of_one_name_at_two_nodes_the_earlier_one_waits_for_the_other() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let (mut one, _) = here.join_as("ada", "tab".into()).await;
    diff(&mut one).await;
    let (mut other, _) = there.join_as("ada", "tab".into()).await;
    pass(&[&here, &there], Duration::from_secs(60)).await;
    // They do not take each other's place for ever.
    assert_eq!((one.try_recv(), other.try_recv()), (None, None));
    let all = snapshot(&mut one).await;
    assert_eq!(all["members"][0]["devices"].as_array().unwrap().len(), 1);
    other.close(CloseCode::NORMAL, "");
    pass(&[&here, &there], Duration::from_secs(1)).await;
    assert_eq!(diff(&mut one).await["left"][0]["user"]["id"], "ada");
    assert_eq!(names(&diff(&mut one).await["joined"]), ["ada"]);
}

#[tokio::test(start_paused = true)]
async fn a_rolling_drain_changes_nothing_that_others_see() {
    let server = SimulatedServer::new(1);
    let [first, second, third] = ["a", "b", "c"].map(|name| Node::new(&server, name));
    let mut ada = third.join("ada").await;
    diff(&mut ada).await;
    let mut clients = Vec::new();
    for name in ["bob", "carol"] {
        clients.push((name, first.join(name).await));
        diff(&mut ada).await;
    }
    let before = snapshot(&mut ada).await;
    assert_eq!(names(&before["members"]), ["ada", "bob", "carol"]);
    // Away from one node, and then from the next.
    for (from, to) in [(&first, &second), (&second, &third)] {
        from.network
            .run_until(from.network.handle().drain(Duration::ZERO))
            .await;
        pass(&[&first, &second, &third], Duration::from_secs(2)).await;
        let mut moved = Vec::new();
        for (name, client) in clients {
            drop(client);
            moved.push((name, to.join(name).await));
        }
        clients = moved;
        from.node.crash();
        pass(&[&second, &third], Duration::from_secs(40)).await;
    }
    assert_eq!(ada.try_recv(), None, "nobody hears of the deploy");
    let (_, mut carol) = clients.pop().unwrap();
    assert_eq!(snapshot(&mut carol).await, before);
}

#[tokio::test(start_paused = true)]
async fn devices_beyond_the_limit_wait_at_their_node_until_any_node_has_room() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let mut watcher = there.join("nobody").await;
    let mut devices = Vec::new();
    for _ in 0..20 {
        devices.push(here.join("ada").await);
        diff(&mut watcher).await;
    }
    let (_waiting, answer) = there.join_as("ada", Value::Null).await;
    assert_eq!(answer["shown"], false, "{answer}");
    devices.pop().unwrap().close(CloseCode::NORMAL, "");
    here.network.settle().await;
    let mut seen = (0, 0);
    while seen != (1, 1) {
        let diff = diff(&mut watcher).await;
        let count = |what: &str| diff[what].as_array().unwrap().len();
        seen = (seen.0 + count("left"), seen.1 + count("joined"));
    }
}

#[tokio::test(start_paused = true)]
async fn presence_stands_still_while_the_store_is_away_and_nothing_is_lost() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let mut ada = here.join("ada").await;
    diff(&mut ada).await;
    let bob = here.join("bob").await;
    diff(&mut ada).await;
    let mut carol = there.join("carol").await;
    diff(&mut ada).await;
    diff(&mut carol).await;

    here.node.store().cut();
    bob.close(CloseCode::NORMAL, "");
    let update = json!({ "type": "presence-update", "channel": CHANNEL, "data": 7, "id": "u" });
    ada.send_json(&update);
    pass(&[&here, &there], Duration::from_secs(4)).await;
    // Who is there stays there, and what it wants is not forgotten.
    assert_eq!(
        names(&snapshot(&mut carol).await["members"]),
        ["ada", "bob", "carol"]
    );
    here.node.store().mend();
    pass(&[&here, &there], Duration::from_secs(8)).await;
    let all = there.members().await;
    assert_eq!(names(&all["members"]), ["ada", "carol"]);
    assert_eq!(all["members"][0]["devices"][0]["data"], 7);
}

#[tokio::test(start_paused = true)]
async fn no_client_sees_anybody_leave_or_come_when_the_store_has_forgotten_who_is_there() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let mut ada = here.join("ada").await;
    diff(&mut ada).await;
    let mut bob = there.join("bob").await;
    diff(&mut ada).await;
    diff(&mut bob).await;
    server.restart_empty();
    pass(&[&here, &there], Duration::from_secs(30)).await;
    for client in [&mut ada, &mut bob] {
        while let Some(message) = client.try_recv() {
            let message: Value = serde_json::from_str(&message.to_string()).unwrap();
            assert_ne!(message["type"], "presence-diff", "{message}");
        }
        let all = snapshot(client).await;
        assert_eq!(names(&all["members"]), ["ada", "bob"]);
        assert_eq!(all["version"], 2, "{all}");
    }
    assert_eq!(snapshot(&mut ada).await, snapshot(&mut bob).await);
    // Both are in the store again, for who comes now.
    let mut carol = there.join("carol").await;
    diff(&mut carol).await;
    assert_eq!(names(&snapshot(&mut carol).await["members"]).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn each_node_counts_the_data_of_its_own_devices() {
    let server = SimulatedServer::new(1);
    let limits = PresenceLimits::default().bytes_per_user(1000);
    let [here, there] = ["a", "b"].map(|name| Node::with_limits(&server, name, limits));
    let say = |bytes: usize| json!({ "type": "presence-update", "channel": CHANNEL, "data": "x".repeat(bytes), "id": "u" });
    let answer = async |client: &mut Client, bytes: usize| -> Value {
        client.send_json(&say(bytes));
        loop {
            let message = client.json().await;
            if message["id"] == "u" {
                return message;
            }
        }
    };
    let (mut phone, _) = here.join_as("ada", "phone".into()).await;
    assert_eq!(answer(&mut phone, 800).await["type"], "ack");
    let (mut desk, _) = here.join_as("ada", "desk".into()).await;
    assert_eq!(answer(&mut desk, 200).await["code"], "over-quota");
    // Elsewhere another node counts.
    let (mut other, _) = there.join_as("ada", "other".into()).await;
    assert_eq!(answer(&mut other, 200).await["type"], "ack");
    // A device takes what it has said to the node where it comes back.
    phone.cut();
    pass(&[&here, &there], Duration::from_secs(14)).await;
    let (mut phone, _) = there.join_as("ada", "phone".into()).await;
    pass(&[&here, &there], Duration::from_secs(1)).await;
    assert_eq!(answer(&mut desk, 200).await["type"], "ack");
    assert_eq!(answer(&mut other, 300).await["code"], "over-quota");
    assert_eq!(answer(&mut phone, 10).await["type"], "ack");
    assert_eq!(answer(&mut other, 300).await["type"], "ack");
}

#[tokio::test(start_paused = true)]
async fn those_who_come_by_one_change_hear_of_it_each_once_and_in_order() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server, "a"), Node::new(&server, "b")];
    let mut watcher = there.join("nobody").await;
    let mut clients = Vec::new();
    for name in ["ada", "bob", "carol", "dora"] {
        let path = format!("/live/{name}");
        clients.push((name, here.network.connect(&path).await.unwrap()));
    }
    // All at once: the first is on its way to the store when the others come.
    for (_, client) in &clients {
        client.send_json(&json!({ "type": "subscribe", "channel": CHANNEL }));
    }
    pass(&[&here, &there], Duration::from_secs(1)).await;
    let mut versions = Vec::new();
    while let Some(message) = watcher.try_recv() {
        let message: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
        versions.push(message["version"].as_u64().unwrap());
    }
    let last = versions.len() as u64;
    assert_eq!(versions, (1..=last).collect::<Vec<_>>());
    assert!(last < 4, "several came by one change");
    for (name, client) in &mut clients {
        assert_eq!(client.json().await["type"], "subscribed");
        let first = diff(client).await;
        assert!(names(&first["joined"]).contains(name), "{name}: {first}");
        let mut version = first["version"].as_u64().unwrap();
        while version < last {
            version += 1;
            assert_eq!(diff(client).await["version"], version);
        }
        assert_eq!(client.try_recv(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_whose_clocks_are_an_hour_apart_wait_equally_long() {
    let server = SimulatedServer::new(1);
    let old = Node::new(&server, "a");
    pass(&[&old], Duration::from_secs(1)).await;
    old.network.advance(Duration::from_secs(3600)).await;
    let new = Node::new(&server, "b");
    for (from, other) in [(&old, &new), (&new, &old)] {
        let mut ada = other.join("ada").await;
        diff(&mut ada).await;
        let bob = from.join("bob").await;
        diff(&mut ada).await;
        bob.cut();
        pass(&[from, other], Duration::from_millis(14_500)).await;
        assert_eq!(ada.try_recv(), None);
        pass(&[from, other], Duration::from_secs(1)).await;
        assert_eq!(diff(&mut ada).await["left"][0]["user"]["id"], "bob");
        ada.close(CloseCode::NORMAL, "");
        pass(&[from, other], Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_while_the_store_is_full_is_told_when_to_ask_again() {
    let server = SimulatedServer::new(1);
    let here = Node::new(&server, "a");
    let mut ada = here.network.connect("/live/ada").await.unwrap();
    server.set_full(true);
    let subscribe = json!({ "type": "subscribe", "channel": CHANNEL, "id": "s" });
    ada.send_json(&subscribe);
    let refusal = ada.json().await;
    schema::check_sent(&refusal);
    assert_eq!(
        (&refusal["code"], &refusal["retryAfterMs"], &refusal["id"]),
        (&"not-stored".into(), &10_000.into(), &"s".into())
    );
    server.set_full(false);
    ada.send_json(&subscribe);
    assert_eq!(ada.json().await["type"], "subscribed");
}
