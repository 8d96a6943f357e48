//! Channels that the server subscribes clients to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy, SubscribeContext};
use nextrush::testing::Network;
use nextrush::{App, ErrorMessage, LiveUpdates, Socket, User};
use serde_json::json;

use crate::support::{Faulty, all, ask, come_back, enter, next, route, subscribe, taken};

/// Each user has a channel of its own.
fn network() -> (Network, LiveUpdates) {
    network_over(Faulty::default())
}

fn network_over(broker: Faulty) -> (Network, LiveUpdates) {
    let hour = Duration::from_secs(3600);
    let own = ChannelPolicy::new().history(100, hour);
    let state = ChannelPolicy::new()
        .may_subscribe(async |_: SubscribeContext| false)
        .on_subscribe(async |_: SubscribeContext| Ok::<_, ErrorMessage>("state"));
    let policies = ChannelPolicies::new()
        .policy("user:{id}", own)
        .policy("state", state);
    let mut app: App = App::builder().broker(broker).build();
    let live = LiveUpdates::builder()
        .policies(policies)
        .user_channel("user:{id}")
        .build(&app, "live");
    route(&mut app, &live);
    let anonymous = live.clone();
    app.ws("/anonymous", move |socket: Socket| {
        anonymous.connect(&socket);
    });
    (Network::new(app), live)
}

#[tokio::test(start_paused = true)]
async fn a_user_is_in_a_channel_of_its_own_which_nobody_else_gets_into() {
    let (network, live) = network();
    let mut ada = enter(&network, "ada").await;
    let joined = next(&mut ada).await;
    assert_eq!(
        (&joined["channel"], &joined["joined"], &joined["offset"]),
        (&json!("user:ada"), &json!(true), &json!(0))
    );
    assert_eq!(
        live.user_channel(&"ada".into()).as_deref(),
        Some("user:ada")
    );
    let mut bob = enter(&network, "bob").await;
    assert_eq!(next(&mut bob).await["channel"], "user:bob");
    assert_eq!(
        subscribe(&mut bob, "user:ada").await["code"],
        "subscribe-refused"
    );
    let mut nobody = network.connect("/anonymous").await.unwrap();
    assert_eq!(
        subscribe(&mut nobody, "user:ada").await["code"],
        "subscribe-refused"
    );
    live.publish("user:ada", "for ada").await.unwrap();
    assert_eq!(next(&mut ada).await["data"], "for ada");
    assert!(taken(&network, &mut bob).await.is_empty());
    assert!(taken(&network, &mut nobody).await.is_empty());

    // Its client may leave, and come again.
    let left = ask(
        &mut ada,
        json!({ "type": "unsubscribe", "channel": "user:ada" }),
    )
    .await;
    assert_eq!(
        left,
        json!({ "type": "unsubscribed", "channel": "user:ada" })
    );
    assert_eq!(subscribe(&mut ada, "user:ada").await["type"], "subscribed");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_gets_what_its_own_channel_had_meanwhile() {
    let (network, live) = network();
    let mut ada = enter(&network, "ada").await;
    let joined = next(&mut ada).await;
    ada.cut();
    live.publish("user:ada", "one").await.unwrap();
    live.publish("user:ada", "two").await.unwrap();
    let mut ada = enter(&network, "ada").await;
    assert_eq!(next(&mut ada).await["offset"], 2);
    live.publish("user:ada", "three").await.unwrap();
    assert_eq!(next(&mut ada).await["offset"], 3);
    // What it has seen it has; all is there in its order behind the answer.
    let answer = come_back(&mut ada, "user:ada", &joined).await;
    assert_eq!(
        (&answer["recovered"], &answer["offset"]),
        (&json!(true), &json!(3))
    );
    let received = taken(&network, &mut ada).await;
    assert_eq!(all(&received, "data"), ["one", "two", "three"]);
    live.publish("user:ada", "four").await.unwrap();
    assert_eq!(next(&mut ada).await["offset"], 4);
    // Now it has subscribed, and misses nothing.
    come_back(&mut ada, "user:ada", &joined).await;
    assert!(taken(&network, &mut ada).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_client_comes_back_is_behind_its_answer_too() {
    let broker = Faulty::default();
    let faults = Arc::clone(&broker.faults);
    let (network, live) = network_over(broker);
    let mut ada = enter(&network, "ada").await;
    let joined = next(&mut ada).await;
    ada.cut();
    live.publish("user:ada", "one").await.unwrap();
    let mut ada = enter(&network, "ada").await;
    next(&mut ada).await;
    faults.histories_are_late.store(true, Ordering::Relaxed);
    let since = json!({ "epoch": joined["epoch"], "offset": joined["offset"] });
    ada.send_json(&json!({ "type": "subscribe", "channel": "user:ada", "since": since }));
    network.advance(Duration::from_millis(500)).await;
    live.publish("user:ada", "two").await.unwrap();
    network.advance(Duration::from_secs(1)).await;
    let received = taken(&network, &mut ada).await;
    assert_eq!(all(&received, "offset"), [2, 2, 1, 2], "{received:?}");
    assert_eq!(received[1]["recovered"], true);
}

#[tokio::test(start_paused = true)]
async fn code_joins_a_socket_with_the_channels_state_and_without_its_rule() {
    let (network, live) = network();
    let mut ada = enter(&network, "ada").await;
    next(&mut ada).await;
    let socket = network.handle().local_sockets().remove(0);
    assert!(
        network
            .run_until(live.join("state", &socket))
            .await
            .unwrap()
    );
    let joined = next(&mut ada).await;
    assert_eq!(
        (&joined["joined"], &joined["data"]),
        (&json!(true), &json!("state"))
    );
    assert!(
        !network
            .run_until(live.join("state", &socket))
            .await
            .unwrap()
    );
    // Its rule is not asked of what the server did.
    network.run_until(live.recheck_channel("state")).await;
    live.publish("state", &1).await.unwrap();
    assert_eq!(next(&mut ada).await["data"], 1);
    ada.cut();
    network.settle().await;
    let closed = network.run_until(live.join("state", &socket)).await;
    assert!(closed.is_err(), "{closed:?}");
    let invalid = network.run_until(live.join("", &socket)).await;
    assert!(invalid.is_err(), "{invalid:?}");
}

#[test]
#[should_panic(expected = "has 0 parameters")]
fn a_channel_of_users_has_their_id_in_its_name() {
    drop(LiveUpdates::builder().user_channel("user"));
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_into_the_channel_of_a_user_whose_id_looks_like_its_end() {
    let mut app = App::new();
    let live = LiveUpdates::builder()
        .user_channel("user:{id}:inbox")
        .build(&app, "live");
    route(&mut app, &live);
    let named = live.clone();
    app.ws("/nameless", move |socket: Socket| {
        socket.identify(User::new("", "")).unwrap();
        named.connect(&socket);
    });
    let network = Network::new(app);
    let mut bob = enter(&network, "bob:inbox").await;
    assert_eq!(next(&mut bob).await["channel"], "user:bob:inbox:inbox");
    let mut nameless = network.connect("/nameless").await.unwrap();
    assert_eq!(next(&mut nameless).await["channel"], "user::inbox");
    let mut eve = enter(&network, "eve").await;
    next(&mut eve).await;
    for channel in ["user:bob:inbox:inbox", "user::inbox"] {
        let refused = subscribe(&mut eve, channel).await;
        assert_eq!(refused["code"], "subscribe-refused", "{channel}");
    }
    // Not the channel of any user.
    assert_eq!(subscribe(&mut eve, "user:").await["type"], "subscribed");
}

#[tokio::test(start_paused = true)]
async fn a_user_comes_back_to_its_own_channel_where_no_policy_opens_it() {
    let mut app = App::new();
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().refuse_others())
        .user_channel("user:{id}")
        .build(&app, "live");
    route(&mut app, &live);
    let network = Network::new(app);
    let mut ada = enter(&network, "ada").await;
    let joined = next(&mut ada).await;
    ada.cut();
    let mut ada = enter(&network, "ada").await;
    next(&mut ada).await;
    let back = come_back(&mut ada, "user:ada", &joined).await;
    assert_eq!(back["type"], "subscribed", "{back}");
    for other in ["user:bob", "news"] {
        let refused = subscribe(&mut ada, other).await;
        assert_eq!(refused["code"], "subscribe-refused", "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_connects_while_the_broker_is_away_is_in_its_channel_afterwards() {
    let broker = Faulty::default();
    let faults = Arc::clone(&broker.faults);
    let (network, live) = network_over(broker);
    faults.reading_fails.store(true, Ordering::Relaxed);
    let mut ada = enter(&network, "ada").await;
    let gone = enter(&network, "bob").await;
    network.advance(Duration::from_secs(20)).await;
    assert!(taken(&network, &mut ada).await.is_empty());
    gone.cut();
    faults.reading_fails.store(false, Ordering::Relaxed);
    network.advance(Duration::from_secs(30)).await;
    let joined = next(&mut ada).await;
    assert_eq!(
        (&joined["channel"], &joined["joined"]),
        (&json!("user:ada"), &json!(true))
    );
    live.publish("user:ada", "hello").await.unwrap();
    assert_eq!(next(&mut ada).await["data"], "hello");
    assert_eq!(live.local_subscribers("user:bob"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_refuses_a_user_for_a_while_is_asked_again() {
    let [asked, never] = [Arc::<AtomicUsize>::default(), Arc::default()];
    let counts = [Arc::clone(&asked), Arc::clone(&never)];
    let own = ChannelPolicy::new().on_subscribe(async move |context: SubscribeContext| {
        let [asked, never] = &counts;
        if context.channel.param("id") == Some("eve") {
            never.fetch_add(1, Ordering::Relaxed);
            return Err(ErrorMessage::new("no", "No"));
        }
        match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Err(ErrorMessage::new("busy", "Later").retry_after_ms(500)),
            _ => Ok("state"),
        }
    });
    let policies = ChannelPolicies::new().policy("user:{id}", own);
    let mut app = App::new();
    let live = LiveUpdates::builder()
        .policies(policies)
        .user_channel("user:{id}")
        .build(&app, "live");
    route(&mut app, &live);
    let network = Network::new(app);
    let mut ada = enter(&network, "ada").await;
    let _eve = enter(&network, "eve").await;
    network.settle().await;
    network.advance(Duration::from_millis(490)).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    network.advance(Duration::from_millis(10)).await;
    assert_eq!(next(&mut ada).await["data"], "state");
    // A refusal for good is one.
    network.advance(Duration::from_secs(100)).await;
    assert_eq!(never.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_code_has_joined_late_comes_back_with_its_position_and_misses_nothing() {
    let hour = Duration::from_secs(3600);
    let mut app = App::new();
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy("news", ChannelPolicy::new().history(10, hour)))
        .build(&app, "live");
    route(&mut app, &live);
    let network = Network::new(app);
    live.publish("news", "before").await.unwrap();
    let mut ada = enter(&network, "ada").await;
    let known = subscribe(&mut ada, "news").await;
    ada.cut();
    live.publish("news", "missed").await.unwrap();

    let mut ada = enter(&network, "ada").await;
    network.settle().await;
    let socket = network.handle().local_sockets().remove(0);
    let joined = network.run_until(live.join("news", &socket)).await;
    assert!(joined.unwrap());
    assert_eq!(next(&mut ada).await["joined"], true);
    let back = come_back(&mut ada, "news", &known).await;
    assert_eq!(back["recovered"], true, "{back}");
    assert_eq!(all(&taken(&network, &mut ada).await, "data"), ["missed"]);
}
