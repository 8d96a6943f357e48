//! Presence: the members of a channel.

use std::time::Duration;

use nextrush::broker::EmbeddedBroker;
use nextrush::live::{ChannelPolicies, ChannelPolicy, PresenceLimits};
use nextrush::{App, Authenticated, Jwt, LiveUpdates, Server, Socket};
use serde_json::{Value, json};

use crate::support::{Client, SECRET, serve, token};

async fn server() -> Server {
    serve(app(App::new())).await
}

fn app(app: App) -> App {
    app_with(app, PresenceLimits::default())
}

fn app_with(mut app: App, limits: PresenceLimits) -> App {
    app.jwt(Jwt::hs256(SECRET));
    let channels = ChannelPolicies::new().policy("team", ChannelPolicy::new().presence());
    let live = LiveUpdates::builder()
        .policies(channels)
        .presence_limits(limits)
        .build(&app, "live");
    app.ws("/live", move |socket: Socket, user: Authenticated| {
        user.admit(&socket);
        live.connect(&socket);
    });
    app
}

async fn connect(server: &Server, name: &str) -> Client {
    let token = token(name, &format!("{name}@example.com"));
    Client::connect(server, &format!("/live?token={token}")).await
}

/// Subscribes; what the others and it itself are told follows.
async fn join(server: &Server, name: &str) -> Client {
    let mut client = connect(server, name).await;
    ask(&mut client, "subscribe").await;
    assert_eq!(client.json().await["type"], "subscribed");
    client
}

async fn ask(client: &mut Client, kind: &str) {
    client
        .send_json(json!({ "type": kind, "channel": "team" }))
        .await;
}

async fn snapshot(client: &mut Client) -> Value {
    ask(client, "presence").await;
    let snapshot = client.json().await;
    assert_eq!(snapshot["type"], "presence");
    snapshot
}

async fn diff(client: &mut Client) -> Value {
    let diff = client.json().await;
    assert_eq!(diff["type"], "presence-diff");
    assert_eq!(diff["channel"], "team");
    diff
}

fn names(members: &Value) -> Vec<&str> {
    let members = members.as_array().unwrap().iter();
    members
        .map(|member| member["user"]["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn subscribers_know_who_is_there_and_hear_of_every_change() {
    let server = server().await;
    let mut ada = join(&server, "ada").await;
    assert_eq!(names(&diff(&mut ada).await["joined"]), ["ada"]);
    let mut bob = join(&server, "bob").await;
    let joined = diff(&mut ada).await;
    assert_eq!(names(&joined["joined"]), ["bob"]);
    assert_eq!(diff(&mut bob).await, joined);

    let all = snapshot(&mut ada).await;
    assert_eq!(names(&all["members"]), ["ada", "bob"]);
    assert_eq!(all["version"], joined["version"]);
    let device = &all["members"][1]["devices"][0];
    assert!(crate::support::is_timestamp(&device["since"]));

    bob.send_json(json!({ "type": "presence-update", "channel": "team", "data": [1], "id": "u" }))
        .await;
    let updated = diff(&mut ada).await;
    assert_eq!(updated["updated"][0]["devices"][0]["data"], json!([1]));
    assert_eq!(updated["version"], 3);
    assert_eq!(diff(&mut bob).await, updated);
    assert_eq!(bob.json().await, json!({ "type": "ack", "id": "u" }));

    bob.close().await;
    let left = diff(&mut ada).await;
    assert_eq!(left["left"][0]["user"]["id"], "bob");
    assert_eq!(left["left"][0]["device"], device["id"]);
    assert_eq!(names(&snapshot(&mut ada).await["members"]), ["ada"]);
}

#[tokio::test]
async fn a_short_interruption_is_no_change() {
    let server = server().await;
    let mut ada = join(&server, "ada").await;
    diff(&mut ada).await;
    let mut bob = join(&server, "bob").await;
    diff(&mut bob).await;
    diff(&mut ada).await;
    let before = snapshot(&mut ada).await;
    let id = {
        let sockets = server.handle().user(&"bob".into());
        sockets.local_members()[0].id()
    };
    bob.cut();
    while server.handle().local_socket(id).is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(snapshot(&mut ada).await, before);
    let mut bob = join(&server, "bob").await;
    // The first thing that anybody hears is what is said next.
    assert_eq!(snapshot(&mut bob).await, before);
    assert_eq!(snapshot(&mut ada).await, before);
    ask(&mut bob, "unsubscribe").await;
    assert_eq!(diff(&mut ada).await["left"][0]["user"]["id"], "bob");
}

#[tokio::test]
async fn presence_is_for_subscribers_of_channels_that_have_it() {
    let server = server().await;
    let mut ada = connect(&server, "ada").await;
    ask(&mut ada, "presence").await;
    assert_eq!(ada.json().await["code"], "not-subscribed");
    ada.send_json(json!({ "type": "subscribe", "channel": "other" }))
        .await;
    assert_eq!(ada.json().await["type"], "subscribed");
    ada.send_json(json!({ "type": "presence", "channel": "other" }))
        .await;
    assert_eq!(ada.json().await["code"], "no-presence");
    ask(&mut ada, "subscribe").await;
    ada.json().await;
    diff(&mut ada).await;
    let large = json!({ "type": "presence-update", "channel": "team", "data": "x".repeat(4096) });
    ada.send_json(large).await;
    assert_eq!(ada.json().await["code"], "too-large");
    ada.send_json(json!({ "type": "presence-update", "channel": "team" }))
        .await;
    assert_eq!(ada.json().await["code"], "invalid-format");
}

#[tokio::test]
async fn presence_data_beyond_the_users_share_is_refused_until_a_device_leaves() {
    let limits = PresenceLimits::default().bytes_per_user(1000);
    let server = serve(app_with(App::new(), limits)).await;
    let say = |bytes: usize| json!({ "type": "presence-update", "channel": "team", "data": "x".repeat(bytes), "id": "u" });
    let mut devices = Vec::new();
    for _ in 0..2 {
        let mut ada = join(&server, "ada").await;
        diff(&mut ada).await;
        devices.push(ada);
    }
    let [first, second] = &mut devices[..] else {
        panic!("two devices");
    };
    diff(first).await;
    first.send_json(say(800)).await;
    let updated = diff(first).await;
    assert_eq!(first.json().await["type"], "ack");
    assert_eq!(diff(second).await, updated);
    second.send_json(say(200)).await;
    let refusal = second.json().await;
    assert_eq!(refusal["code"], "over-quota");
    assert_eq!(refusal["id"], "u");
    // Others have shares of their own, and nobody lost what was there.
    let mut bob = join(&server, "bob").await;
    diff(&mut bob).await;
    bob.send_json(say(800)).await;
    diff(&mut bob).await;
    assert_eq!(bob.json().await["type"], "ack");
    let all = snapshot(&mut bob).await;
    let data = &all["members"][0]["devices"][0]["data"];
    assert_eq!(data.as_str().map(str::len), Some(800));
    ask(first, "unsubscribe").await;
    while second.json().await["left"][0]["user"]["id"] != "ada" {}
    second.send_json(say(200)).await;
    assert_eq!(diff(second).await["updated"][0]["user"]["id"], "ada");
    assert_eq!(second.json().await["type"], "ack");
}

#[tokio::test]
async fn a_restart_with_a_drain_is_heard_of_by_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let start = || async {
        let broker = loop {
            // The last one of a restarted node may not have gone yet.
            match EmbeddedBroker::open(directory.path()) {
                Ok(broker) => break broker,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        serve(app(App::builder().broker(broker).build())).await
    };
    let first = start().await;
    let mut ada = join(&first, "ada").await;
    let mut bob = join(&first, "bob").await;
    assert_eq!(names(&diff(&mut bob).await["joined"]), ["bob"]);
    let before = snapshot(&mut bob).await;
    assert_eq!(names(&before["members"]), ["ada", "bob"]);
    let drained = tokio::spawn(first.drain(Duration::ZERO));
    for client in [&mut ada, &mut bob] {
        while client.next().await.is_some() {}
    }
    drained.await.unwrap();

    let second = start().await;
    let mut ada = join(&second, "ada").await;
    assert_eq!(snapshot(&mut ada).await, before);
    let mut bob = join(&second, "bob").await;
    assert_eq!(snapshot(&mut bob).await, before);
    // Nobody was told of anything before this.
    let _carol = join(&second, "carol").await;
    let joined = diff(&mut ada).await;
    assert_eq!(names(&joined["joined"]), ["carol"]);
    let version = before["version"].as_u64().unwrap();
    assert_eq!(joined["version"], version + 1);
    assert_ne!(
        joined["joined"][0]["devices"][0]["id"],
        before["members"][0]["devices"][0]["id"]
    );
}

#[tokio::test]
async fn a_lost_device_that_comes_back_has_its_own_place_and_not_anothers() {
    let server = server().await;
    let subscribe =
        |device: Value| json!({ "type": "subscribe", "channel": "team", "device": device });
    let update = |data: &str| json!({ "type": "presence-update", "channel": "team", "data": data, "id": "u" });
    let mut eve = join(&server, "eve").await;
    let mut returned = Vec::new();
    let mut clients = Vec::new();
    for device in ["phone", "desk"] {
        let mut ada = connect(&server, "ada").await;
        ada.send_json(subscribe(device.into())).await;
        assert_eq!(ada.json().await["type"], "subscribed");
        ada.send_json(update(device)).await;
        while ada.json().await["type"] != "ack" {}
        clients.push(ada);
    }
    let sockets = server.handle().user(&"ada".into()).local_members();
    let ids: Vec<_> = sockets.iter().map(Socket::id).collect();
    drop(sockets);
    for _ in 0..5 {
        diff(&mut eve).await;
    }
    let before = snapshot(&mut eve).await;
    clients.into_iter().for_each(Client::cut);
    while ids
        .iter()
        .any(|id| server.handle().local_socket(*id).is_some())
    {
        tokio::task::yield_now().await;
    }
    // The one that was lost last comes first, and nobody hears of it.
    for device in ["desk", "phone"] {
        let mut ada = connect(&server, "ada").await;
        ada.send_json(subscribe(device.into())).await;
        assert_eq!(ada.json().await["type"], "subscribed");
        assert_eq!(snapshot(&mut ada).await, before);
        returned.push(ada);
    }
    returned[0].send_json(update("here")).await;
    let updated = diff(&mut eve).await;
    let desk = &before["members"][1]["devices"][1];
    assert_eq!(desk["data"], "desk");
    assert_eq!(updated["updated"][0]["devices"][0]["id"], desk["id"]);
    for wrong in [json!(""), json!("x".repeat(65)), json!(7)] {
        let mut ada = connect(&server, "ada").await;
        ada.send_json(subscribe(wrong)).await;
        assert_eq!(ada.json().await["code"], "invalid-format");
    }
}
