//! The fate of an update, for each socket.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use axum::extract::Path;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::{Client, Cluster, Network};
use nextrush::topic::SlowReaders;
use nextrush::trace::Question;
use nextrush::{
    App, Authenticated, ChatServer, Jwt, LiveUpdates, Position, RoomName, Socket, User,
};
use serde_json::{Value, json};

use crate::support::{
    Allowed, all, come_back, enter, network, network_with, next, route, subscribe, taken,
};

const HOUR: Duration = Duration::from_secs(3600);

fn history() -> ChannelPolicy {
    ChannelPolicy::new().history(1000, HOUR)
}

/// The answer to a question, as JSON.
async fn trace(network: &Network, live: &LiveUpdates, question: &Question) -> Value {
    let trace = network.run_until(live.trace("team", question)).await;
    serde_json::to_value(trace.unwrap()).unwrap()
}

/// The verdicts on the sockets of a user.
async fn verdicts(network: &Network, live: &LiveUpdates, at: Position, user: &str) -> Vec<Value> {
    let question = Question::new(at).user(&user.into());
    let mut found = trace(network, live, &question).await;
    let sockets = found["sockets"].as_array_mut().unwrap();
    assert!(all(sockets, "user").iter().all(|found| *found == user));
    std::mem::take(sockets)
}

/// The verdict on the only socket of a user.
async fn verdict(network: &Network, live: &LiveUpdates, at: Position, user: &str) -> Value {
    let mut found = verdicts(network, live, at, user).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

async fn subscribed(network: &Network, user: &str) -> Client {
    let mut client = enter(network, user).await;
    assert_eq!(subscribe(&mut client, "team").await["type"], "subscribed");
    client
}

async fn publish(network: &Network, live: &LiveUpdates, data: &str) -> Position {
    let published = live.publish("team", data).await.unwrap();
    network.settle().await;
    published
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_was_sent_what_came_while_it_was_one() {
    let (network, live) = network("team", history());
    let before = publish(&network, &live, "before").await;
    let mut ada = subscribed(&network, "ada").await;
    let during = publish(&network, &live, "during").await;
    ada.send_json(&json!({ "type": "unsubscribe", "channel": "team" }));
    network.settle().await;
    let after = publish(&network, &live, "after").await;

    let found = verdict(&network, &live, before, "ada").await;
    assert_eq!(found["verdict"], "not-subscribed");
    assert!(
        found["until"].is_string() && found["since"].is_null(),
        "{found}"
    );
    let found = verdict(&network, &live, during, "ada").await;
    assert_eq!(found["verdict"], "sent");
    assert!(found["at"].is_string(), "{found}");
    let found = verdict(&network, &live, after, "ada").await;
    assert_eq!(found["verdict"], "not-subscribed");
    assert_eq!(found["because"], "unsubscribed");
    assert!(
        found["since"].is_string() && found["until"].is_null(),
        "{found}"
    );
    // She comes once more.
    taken(&network, &mut ada).await;
    assert_eq!(subscribe(&mut ada, "team").await["type"], "subscribed");
    let found = verdict(&network, &live, after, "ada").await;
    assert!(
        found["since"].is_string() && found["until"].is_string(),
        "{found}"
    );
    assert_eq!(
        verdict(&network, &live, during, "ada").await["verdict"],
        "sent"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_never_connected_is_not_there_and_whoever_never_subscribed_is() {
    let (network, live) = network("team", history());
    let at = publish(&network, &live, "one").await;
    let bob = enter(&network, "bob").await;
    assert!(verdicts(&network, &live, at, "eve").await.is_empty());
    let found = verdict(&network, &live, at, "bob").await;
    assert_eq!(found["verdict"], "not-subscribed");
    assert!(found["closed"].is_null());
    bob.close(1000, "bye");
    network.settle().await;
    let found = verdict(&network, &live, at, "bob").await;
    assert_eq!(found["verdict"], "not-subscribed");
    assert_eq!(
        (&found["closed"]["code"], &found["closed"]["reason"]),
        (&json!(1000), &json!("bye"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_has_seen_it_or_is_given_it() {
    let (network, live) = network("team", history());
    let ada = subscribed(&network, "ada").await;
    let seen = publish(&network, &live, "seen").await;
    drop(ada);
    network.settle().await;
    let missed = publish(&network, &live, "missed").await;
    let mut ada = enter(&network, "ada").await;
    let back = come_back(&mut ada, "team", &serde_json::to_value(seen).unwrap()).await;
    assert_eq!(back["recovered"], true);
    network.settle().await;

    let found = verdicts(&network, &live, seen, "ada").await;
    assert_eq!(all(&found, "verdict"), ["sent", "seen"]);
    let found = verdicts(&network, &live, missed, "ada").await;
    assert_eq!(all(&found, "verdict"), ["not-subscribed", "healed"]);
    assert_eq!(found[1]["how"], "recovered");
    assert_eq!(found[0]["closed"]["code"], 1006);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_history_is_gone_is_left_out() {
    let (network, live) = network("team", ChannelPolicy::new().history(1, HOUR));
    let ada = subscribed(&network, "ada").await;
    let seen = publish(&network, &live, "seen").await;
    drop(ada);
    network.settle().await;
    let missed = publish(&network, &live, "missed").await;
    publish(&network, &live, "kept").await;
    let mut ada = enter(&network, "ada").await;
    let back = come_back(&mut ada, "team", &serde_json::to_value(seen).unwrap()).await;
    assert_eq!(back["reason"], "history");
    let found = trace(&network, &live, &Question::new(missed)).await;
    assert_eq!(found["published"], "forgotten");
    let sockets = found["sockets"].as_array().unwrap();
    assert_eq!(all(sockets, "verdict"), ["not-subscribed", "left-out"]);
    assert_eq!(sockets[1]["because"], "history");
}

/// A socket that takes nothing more, on a channel with this policy.
async fn stalled(policy: ChannelPolicy) -> (Network, LiveUpdates, Client) {
    let (network, live) = network("team", policy);
    let ada = subscribed(&network, "ada").await;
    ada.set_window(1000);
    ada.stall();
    (network, live, ada)
}

/// Publishes until far more waits than may; the positions.
async fn flood(network: &Network, live: &LiveUpdates) -> Vec<Position> {
    let mut published = Vec::new();
    for _ in 0..30 {
        published.push(publish(network, live, &"x".repeat(10_000)).await);
    }
    published
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_backlog_is_not_called_sent() {
    for policy in [ChannelPolicy::new(), history()] {
        let (network, live, mut ada) = stalled(policy).await;
        let small = publish(&network, &live, "small").await;
        let large = publish(&network, &live, &"x".repeat(5000)).await;
        assert_eq!(
            verdict(&network, &live, small, "ada").await["verdict"],
            "sent"
        );
        assert_eq!(
            verdict(&network, &live, large, "ada").await["verdict"],
            "waiting"
        );
        ada.resume();
        assert_eq!(taken(&network, &mut ada).await.len(), 2);
        assert_eq!(
            verdict(&network, &live, large, "ada").await["verdict"],
            "sent"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_lags_and_heals() {
    let (network, live, mut ada) = stalled(history()).await;
    let published = flood(&network, &live).await;
    let last = *published.last().unwrap();
    assert_eq!(
        verdict(&network, &live, published[0], "ada").await["verdict"],
        "waiting"
    );
    let found = verdict(&network, &live, last, "ada").await;
    assert_eq!(found["verdict"], "lagging");
    assert!(found["since"].is_string(), "{found}");
    ada.resume();
    assert_eq!(taken(&network, &mut ada).await.len(), 30);
    assert_eq!(
        verdict(&network, &live, published[0], "ada").await["verdict"],
        "sent"
    );
    let found = verdict(&network, &live, last, "ada").await;
    assert_eq!(
        (&found["verdict"], &found["how"]),
        (&json!("healed"), &json!("slow-reader"))
    );
    let next = publish(&network, &live, "next").await;
    assert_eq!(
        verdict(&network, &live, next, "ada").await["verdict"],
        "sent"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_left_out_as_the_policy_says() {
    for (policy, because, of_last) in [
        (SlowReaders::Drop, "dropped", "left-out"),
        (SlowReaders::Latest, "latest-value", "healed"),
    ] {
        let (network, live, mut ada) = stalled(ChannelPolicy::new().slow_readers(policy)).await;
        let published = flood(&network, &live).await;
        ada.resume();
        taken(&network, &mut ada).await;
        let found = verdict(&network, &live, published[28], "ada").await;
        assert_eq!(found["verdict"], "left-out", "{found}");
        assert_eq!(found["because"], because);
        let found = verdict(&network, &live, published[29], "ada").await;
        assert_eq!(found["verdict"], of_last, "{found}");
        let next = publish(&network, &live, "next").await;
        assert_eq!(
            verdict(&network, &live, next, "ada").await["verdict"],
            "sent"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_waited_when_a_socket_ended_is_unsent() {
    // One is closed as too slow, the other breaks.
    for is_cut in [false, true] {
        let (network, live, ada) = stalled(ChannelPolicy::new()).await;
        let first = publish(&network, &live, "first").await;
        let waiting = publish(&network, &live, &"x".repeat(5000)).await;
        if is_cut {
            ada.cut();
            network.settle().await;
        } else {
            network.advance(Duration::from_secs(20)).await;
        }
        let after = publish(&network, &live, "after").await;
        assert_eq!(
            verdict(&network, &live, first, "ada").await["verdict"],
            "sent"
        );
        let found = verdict(&network, &live, waiting, "ada").await;
        assert_eq!(found["verdict"], "unsent", "{found}");
        let found = verdict(&network, &live, after, "ada").await;
        assert_eq!(
            (&found["verdict"], &found["because"]),
            (&json!("not-subscribed"), &json!("closed"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_goes_while_it_lags_is_left_behind() {
    let (network, live, ada) = stalled(history()).await;
    let published = flood(&network, &live).await;
    ada.cut();
    network.settle().await;
    let found = verdict(&network, &live, published[29], "ada").await;
    assert_eq!(
        (&found["verdict"], &found["because"]),
        (&json!("left-out"), &json!("left-behind"))
    );
    assert_eq!(
        verdict(&network, &live, published[1], "ada").await["verdict"],
        "unsent"
    );
}

#[tokio::test(start_paused = true)]
async fn the_reason_is_told_of_those_who_were_taken_out_or_not_let_in() {
    let allowed = Allowed::new(["ada", "bob"]);
    let (network, live) = network("team", allowed.policy());
    let _ada = subscribed(&network, "ada").await;
    let _bob = subscribed(&network, "bob").await;
    let mut eve = enter(&network, "eve").await;
    assert_eq!(
        subscribe(&mut eve, "team").await["code"],
        "subscribe-refused"
    );
    network.run_until(live.kick(&"ada".into(), "team")).await;
    allowed.set("bob", false);
    network.run_until(live.recheck(&"bob".into())).await;
    network.settle().await;
    let at = publish(&network, &live, "one").await;
    for (user, because) in [
        ("ada", "kicked"),
        ("bob", "subscribe-refused"),
        ("eve", "subscribe-refused"),
    ] {
        let found = verdict(&network, &live, at, user).await;
        assert_eq!(found["verdict"], "not-subscribed");
        assert_eq!(found["because"], because, "{user}");
        assert_eq!(found["since"].is_string(), user != "eve");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_told_by_its_code() {
    let (network, live) = network_with(ChannelPolicies::new());
    let mut ada = enter(&network, "ada").await;
    for number in 0..100 {
        subscribe(&mut ada, &format!("channel-{number}")).await;
    }
    assert_eq!(
        subscribe(&mut ada, "team").await["code"],
        "too-many-channels"
    );
    let at = publish(&network, &live, "one").await;
    let found = verdict(&network, &live, at, "ada").await;
    assert_eq!(found["because"], "too-many-channels");
}

#[tokio::test(start_paused = true)]
async fn an_ended_token_is_the_reason() {
    let mut app = App::new();
    let jwt = Jwt::hs256("a secret of 32 bytes or more, at least");
    let token = jwt.sign_for(
        &json!({ "id": "ada", "email": "" }),
        Duration::from_secs(60),
    );
    app.jwt(jwt);
    let live = LiveUpdates::new(&app, "live");
    let served = live.clone();
    app.ws("/live", move |socket: Socket, user: Authenticated| {
        user.admit(&socket);
        served.connect(&socket);
    });
    let network = Network::new(app);
    let path = format!("/live?token={}", token.unwrap());
    let mut ada = network.connect(&path).await.unwrap();
    assert_eq!(subscribe(&mut ada, "team").await["type"], "subscribed");
    let before = publish(&network, &live, "before").await;
    network.advance(Duration::from_secs(120)).await;
    let after = publish(&network, &live, "after").await;
    assert_eq!(
        verdict(&network, &live, before, "ada").await["verdict"],
        "sent"
    );
    let found = verdict(&network, &live, after, "ada").await;
    assert_eq!(found["verdict"], "not-subscribed");
    assert_eq!(found["because"], "token-expired");
    assert_eq!(found["closed"]["reason"], "Token expired");
}

#[tokio::test(start_paused = true)]
async fn positions_that_nothing_was_published_at_are_told_apart() {
    let (network, live) = network("team", history());
    let _ada = subscribed(&network, "ada").await;
    let at = publish(&network, &live, "one").await;
    let found = trace(&network, &live, &Question::new(at)).await;
    assert_eq!(found["published"], "kept");
    assert!(found["publishedAt"].is_string());
    assert_eq!(found["counts"], json!({ "sent": 1 }));
    let later = Position::new(at.epoch, 2);
    let found = trace(&network, &live, &Question::new(later)).await;
    assert_eq!(
        (&found["published"], &found["sockets"]),
        (&json!("not-yet"), &json!([]))
    );
    let other = Position::new(nextrush::broker::Epoch::begin(0), 1);
    let found = trace(&network, &live, &Question::new(other)).await;
    assert_eq!(found["published"], "other-epoch");
    assert_eq!(found["counts"].get("sent"), None, "{found}");
    network.run_until(live.purge("team")).await.unwrap();
    let found = trace(&network, &live, &Question::new(at)).await;
    assert_eq!(found["published"], "deleted");
}

#[tokio::test(start_paused = true)]
async fn of_many_sockets_those_that_did_not_get_it_are_listed_first() {
    let (network, live) = network("team", history());
    let mut clients = Vec::new();
    for number in 0..5 {
        clients.push(subscribed(&network, &number.to_string()).await);
    }
    let at = publish(&network, &live, "one").await;
    let mut late = subscribed(&network, "late").await;
    let found = trace(&network, &live, &Question::new(at).limit(2)).await;
    let sockets = found["sockets"].as_array().unwrap();
    assert_eq!(all(sockets, "user"), ["late", "0"]);
    assert_eq!(found["counts"], json!({ "sent": 5, "not-subscribed": 1 }));
    assert!(taken(&network, &mut late).await.is_empty());
}

fn with_record(bytes: usize) -> (Network, LiveUpdates) {
    let mut app: App = App::builder().trace_record(bytes).build();
    let policies = ChannelPolicies::new()
        .policy("team", history())
        .policy("{any}", history());
    let live = LiveUpdates::builder()
        .policies(policies)
        .build(&app, "live");
    route(&mut app, &live);
    (Network::new(app), live)
}

#[tokio::test(start_paused = true)]
async fn without_a_record_nothing_is_claimed() {
    let (network, live) = with_record(0);
    let _ada = subscribed(&network, "ada").await;
    let at = publish(&network, &live, "one").await;
    let found = trace(&network, &live, &Question::new(at)).await;
    assert_eq!(found["counts"], json!({ "unknown": 1 }));
    assert!(found["nodes"][0]["recordSince"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_and_goes_pushes_out_the_record_but_makes_no_verdict_wrong() {
    let (network, live) = with_record(32 * 1024);
    let _ada = subscribed(&network, "ada").await;
    let old = publish(&network, &live, "old").await;
    let late = subscribed(&network, "late").await;
    let mut mallory = enter(&network, "mallory").await;
    for number in 0..300 {
        let channel = format!("{number}-{}", "x".repeat(200));
        subscribe(&mut mallory, &channel).await;
        mallory.send_json(&json!({ "type": "unsubscribe", "channel": channel }));
        next(&mut mallory).await;
    }
    let new = publish(&network, &live, "new").await;
    for user in ["ada", "late"] {
        // Nobody knows any more who was there then.
        assert_eq!(
            verdict(&network, &live, old, user).await["verdict"],
            "unknown"
        );
        assert_eq!(verdict(&network, &live, new, user).await["verdict"], "sent");
    }
    late.close(1000, "");
    network.settle().await;
    assert_eq!(
        verdict(&network, &live, new, "late").await["verdict"],
        "sent"
    );
    let found = trace(&network, &live, &Question::new(new)).await;
    assert!(found["nodes"][0]["recordSince"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_chat_has_what_was_in_its_history() {
    let mut app = App::new();
    let chat = ChatServer::builder().sent(2).build(&app, "chat");
    let served = chat.clone();
    app.ws(
        "/chat/:user",
        async move |socket: Socket, Path(user): Path<String>| {
            let user = User::new(&*user, "");
            socket.identify(user.clone()).unwrap();
            let room = RoomName::new("lobby").unwrap();
            served.connect(&socket, room, user).await;
        },
    );
    let network = Network::new(app);
    let mut ada = network.connect("/chat/ada").await.unwrap();
    next(&mut ada).await;
    let mut position = None;
    for text in ["one", "two", "three"] {
        ada.send_json(&json!({ "type": "chat", "text": text }));
        let said = next(&mut ada).await;
        position.get_or_insert_with(|| said.clone());
    }
    let mut bob = network.connect("/chat/bob").await.unwrap();
    let joined = next(&mut bob).await;
    let epoch = joined["epoch"].as_str().unwrap().parse().unwrap();
    for (offset, of_bob, how) in [
        (1, "not-subscribed", Value::Null),
        (2, "healed", json!("history")),
        (3, "healed", json!("history")),
    ] {
        let question = Question::new(Position::new(epoch, offset)).user(&"bob".into());
        let room = RoomName::new("lobby").unwrap();
        let found = network
            .run_until(chat.trace(&room, &question))
            .await
            .unwrap();
        let found = serde_json::to_value(found).unwrap();
        assert_eq!(found["sockets"][0]["verdict"], of_bob, "{offset}: {found}");
        assert_eq!(found["sockets"][0]["how"], how);
    }
}

/// Two nodes with channels, and the channels of the first.
fn cluster() -> (Cluster, LiveUpdates) {
    let first = Rc::<OnceCell<LiveUpdates>>::default();
    let made = Rc::clone(&first);
    let cluster = Cluster::new(1, ["a", "b"], move |builder| {
        let mut app: App = builder.build();
        let live = LiveUpdates::builder()
            .policies(ChannelPolicies::new().policy("team", history()))
            .build(&app, "live");
        route(&mut app, &live);
        made.get_or_init(|| live);
        app
    });
    let live = first.get().unwrap().clone();
    (cluster, live)
}

#[tokio::test(start_paused = true)]
async fn all_nodes_are_asked_and_a_silent_one_is_named() {
    let (cluster, live) = cluster();
    let mut clients = Vec::new();
    for (node, user) in [("a", "ada"), ("b", "ada"), ("b", "bob")] {
        clients.push(subscribed(&cluster.node(node), user).await);
    }
    let at = cluster
        .run_until(live.publish("team", "one"))
        .await
        .unwrap();
    cluster.advance(Duration::from_millis(100)).await;
    let question = Question::new(at).user(&"ada".into());
    let found = cluster
        .run_until(live.trace("team", &question))
        .await
        .unwrap();
    let found = serde_json::to_value(found).unwrap();
    let sockets = found["sockets"].as_array().unwrap();
    assert_eq!(all(sockets, "node"), ["a", "b"]);
    assert_eq!(all(sockets, "verdict"), ["sent", "sent"]);
    assert_eq!(all(found["nodes"].as_array().unwrap(), "node"), ["a", "b"]);
    assert!(found["nodes"][1]["sentAt"].is_string());
    assert!(found["unanswered"].is_null());

    cluster.pause("b");
    let found = cluster
        .run_until(live.trace("team", &question))
        .await
        .unwrap();
    let found = serde_json::to_value(found).unwrap();
    assert_eq!(found["unanswered"], json!(["b"]));
    assert_eq!(found["counts"], json!({ "sent": 1 }));
}

#[tokio::test(start_paused = true)]
async fn what_a_store_has_lost_is_left_out_for_its_subscribers() {
    let (cluster, live) = cluster();
    let network = cluster.node("a");
    let _ada = subscribed(&network, "ada").await;
    let before = cluster
        .run_until(live.publish("team", "one"))
        .await
        .unwrap();
    cluster.advance(Duration::from_millis(100)).await;
    cluster.server().restart_empty();
    cluster.advance(Duration::from_secs(30)).await;
    let after = cluster
        .run_until(live.publish("team", "two"))
        .await
        .unwrap();
    cluster.advance(Duration::from_millis(100)).await;
    assert_ne!(before.epoch, after.epoch);
    for (at, published) in [(before, "other-epoch"), (after, "kept")] {
        let question = Question::new(at);
        let found = cluster.run_until(live.trace("team", &question));
        let found = serde_json::to_value(found.await.unwrap()).unwrap();
        assert_eq!(found["published"], published);
        assert_eq!(found["counts"], json!({ "sent": 1 }), "{found}");
    }
}
