//! Access that is taken away.

use std::future::pending;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy, SubscribeContext};
use nextrush::testing::Network;
use nextrush::{App, Authenticated, ErrorCode, ErrorMessage, Jwt, LiveUpdates, Socket, User};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{
    Allowed, all, ask, come_back, enter, network, network_with, next, subscribe, taken,
};

fn kicked(channel: &str) -> Value {
    json!({
        "type": "unsubscribed", "channel": channel, "code": "kicked",
        "message": "Removed from the channel",
    })
}

#[tokio::test(start_paused = true)]
async fn a_kicked_client_is_told_and_gets_nothing_more_until_the_rule_lets_it_in() {
    let allowed = Allowed::new(["ada", "bob"]);
    let (network, live) = network("team", allowed.policy());
    let mut ada = enter(&network, "ada").await;
    let mut bob = enter(&network, "bob").await;
    for client in [&mut ada, &mut bob] {
        assert_eq!(subscribe(client, "team").await["type"], "subscribed");
    }
    live.publish("team", "one").await.unwrap();
    allowed.set("ada", false);
    let reached = network.run_until(live.kick(&"ada".into(), "team")).await;
    assert_eq!(reached.sockets, 1);
    assert_eq!(live.local_subscribers("team"), 1);
    live.publish("team", "two").await.unwrap();

    let mut received = taken(&network, &mut ada).await;
    assert_eq!(received.pop(), Some(kicked("team")));
    assert_eq!(all(&received, "data"), ["one"]);
    assert_eq!(
        all(&taken(&network, &mut bob).await, "data"),
        ["one", "two"]
    );
    // The rule is asked again.
    assert_eq!(
        subscribe(&mut ada, "team").await["code"],
        "subscribe-refused"
    );
    allowed.set("ada", true);
    assert_eq!(subscribe(&mut ada, "team").await["type"], "subscribed");
    // Nobody is kicked who is not there.
    let reached = network.run_until(live.kick(&"eve".into(), "team")).await;
    assert_eq!(reached.sockets, 0);
    assert!(taken(&network, &mut bob).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_kicked_while_its_rule_or_hook_runs_does_not_slip_in() {
    let second = Duration::from_secs(1);
    let slow_rule = ChannelPolicy::new().may_subscribe(async move |_: SubscribeContext| {
        sleep(second).await;
        true
    });
    let slow_hook = ChannelPolicy::new().on_subscribe(async move |_: SubscribeContext| {
        sleep(second).await;
        Ok::<_, ErrorMessage>("state")
    });
    let policies = ChannelPolicies::new()
        .policy("rule", slow_rule)
        .policy("hook", slow_hook);
    let (network, live) = network_with(policies);
    let mut ada = enter(&network, "ada").await;
    for channel in ["rule", "hook"] {
        ada.send_json(&json!({ "type": "subscribe", "channel": channel, "id": "1" }));
        network.advance(second / 2).await;
        network.run_until(live.kick(&"ada".into(), channel)).await;
        let refusal = next(&mut ada).await;
        let expected = json!({
            "type": "error", "code": "kicked", "message": "Removed from the channel", "id": "1",
        });
        assert_eq!(refusal, expected, "{channel}");
        assert_eq!(live.local_subscribers(channel), 0);
        // The next attempt is another one.
        assert_eq!(subscribe(&mut ada, channel).await["type"], "subscribed");
    }
    assert!(taken(&network, &mut ada).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn rules_are_asked_again_and_only_who_is_refused_has_to_go() {
    let [team, board] = [Allowed::new(["ada", "bob"]), Allowed::new(["ada", "bob"])];
    let own_word = board.clone();
    let board_policy =
        ChannelPolicy::new().may_subscribe(async move |context: SubscribeContext| {
            match own_word.has(context.user.as_ref()) {
                true => Ok(()),
                false => Err(ErrorMessage::new("not-your-board", "Not your board")),
            }
        });
    let policies = ChannelPolicies::new()
        .policy("team", team.policy())
        .policy("board", board_policy);
    let (network, live) = network_with(policies);
    let mut ada = enter(&network, "ada").await;
    let mut bob = enter(&network, "bob").await;
    for client in [&mut ada, &mut bob] {
        for channel in ["team", "board", "open"] {
            assert_eq!(subscribe(client, channel).await["type"], "subscribed");
        }
    }
    // Nothing has changed.
    let reached = network.run_until(live.recheck(&"ada".into())).await;
    assert_eq!(reached.sockets, 1);
    assert!(taken(&network, &mut ada).await.is_empty());

    board.set("ada", false);
    board.set("bob", false);
    network.run_until(live.recheck(&"ada".into())).await;
    let own = json!({
        "type": "unsubscribed", "channel": "board", "code": "not-your-board",
        "message": "Not your board",
    });
    assert_eq!(taken(&network, &mut ada).await, slice::from_ref(&own));
    assert!(taken(&network, &mut bob).await.is_empty());

    team.set("bob", false);
    let reached = network.run_until(live.recheck_channel("team")).await;
    assert_eq!(reached.sockets, 2);
    let refused = json!({
        "type": "unsubscribed", "channel": "team", "code": "subscribe-refused",
        "message": "Subscription refused",
    });
    assert_eq!(taken(&network, &mut bob).await, [refused]);
    assert!(taken(&network, &mut ada).await.is_empty());
    network.run_until(live.recheck_channel("board")).await;
    assert_eq!(taken(&network, &mut bob).await, [own]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_was_asked_before_a_recheck_is_asked_again() {
    let allowed = Allowed::new(["ada"]);
    let asked = Arc::new(AtomicUsize::new(0));
    let (rule, count) = (allowed.clone(), Arc::clone(&asked));
    let policy = ChannelPolicy::new().may_subscribe(async move |context: SubscribeContext| {
        count.fetch_add(1, Ordering::Relaxed);
        let answer = rule.has(context.user.as_ref());
        sleep(Duration::from_secs(1)).await;
        answer
    });
    let (network, live) = network("team", policy);
    let mut ada = enter(&network, "ada").await;
    for recheck_user in [true, false] {
        asked.store(0, Ordering::Relaxed);
        allowed.set("ada", true);
        ada.send_json(&json!({ "type": "subscribe", "channel": "team" }));
        network.advance(Duration::from_millis(500)).await;
        allowed.set("ada", false);
        let reached = match recheck_user {
            true => network.run_until(live.recheck(&"ada".into())).await,
            false => network.run_until(live.recheck_channel("team")).await,
        };
        assert_eq!(reached.sockets, 1);
        assert_eq!(next(&mut ada).await["code"], "subscribe-refused");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(live.local_subscribers("team"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_fails_when_asked_again_ends_the_subscription_for_now() {
    let hangs = Arc::new(AtomicUsize::new(0));
    let mode = Arc::clone(&hangs);
    let policy = ChannelPolicy::new()
        .history(10, Duration::from_secs(3600))
        .may_subscribe(
            async move |_: SubscribeContext| match mode.load(Ordering::Relaxed) {
                0 => true,
                1 => pending::<bool>().await,
                _ => panic!("on purpose"),
            },
        );
    let (network, live) = network("team", policy);
    let mut ada = enter(&network, "ada").await;
    for (mode, code) in [(1, "unavailable"), (2, "internal")] {
        hangs.store(0, Ordering::Relaxed);
        let mut answer = subscribe(&mut ada, "team").await;
        assert_eq!(answer["type"], "subscribed");
        hangs.store(mode, Ordering::Relaxed);
        network.run_until(live.recheck(&"ada".into())).await;
        let told = next(&mut ada).await;
        assert_eq!(told["type"], "unsubscribed");
        assert_eq!(
            (&told["code"], &told["retryAfterMs"]),
            (&json!(code), &json!(1000))
        );
        // It comes back as after a lost connection.
        hangs.store(0, Ordering::Relaxed);
        live.publish("team", code).await.unwrap();
        answer = come_back(&mut ada, "team", &answer).await;
        assert_eq!(answer["recovered"], true);
        assert_eq!(next(&mut ada).await["data"], code);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_the_socket_go_on_between_rules_that_are_asked_again() {
    let is_slow = Arc::new(AtomicUsize::new(0));
    let slow = Arc::clone(&is_slow);
    let policy = ChannelPolicy::new().may_subscribe(async move |_: SubscribeContext| {
        if slow.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_secs(2)).await;
        }
        true
    });
    let (network, live) = network("slow-:id", policy);
    let mut ada = enter(&network, "ada").await;
    for number in 0..10 {
        subscribe(&mut ada, &format!("slow-{number}")).await;
    }
    is_slow.store(1, Ordering::Relaxed);
    network.run_until(live.recheck(&"ada".into())).await;
    network.settle().await;
    let begun = tokio::time::Instant::now();
    assert_eq!(subscribe(&mut ada, "open").await["type"], "subscribed");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_about_subscriptions_that_code_made() {
    let allowed = Allowed::new([]);
    let mut app = App::new();
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy("team", allowed.policy()))
        .build(&app, "live");
    let connect = live.clone();
    app.ws("/", async move |socket: Socket| {
        connect.connect(&socket);
        connect.subscribe("team", &socket).await.map(drop)
    });
    let network = Network::new(app);
    let mut client = network.connect("/").await.unwrap();
    network.settle().await;
    network.run_until(live.recheck_channel("team")).await;
    live.publish("team", &1).await.unwrap();
    assert_eq!(next(&mut client).await["data"], 1);
}

#[tokio::test(start_paused = true)]
async fn code_that_unsubscribes_tells_the_client_and_an_answer_has_no_code() {
    let mut app = App::new();
    let live = LiveUpdates::new(&app, "live");
    let connect = live.clone();
    app.ws("/", move |socket: Socket| connect.connect(&socket));
    let network = Network::new(app);
    let mut client = network.connect("/").await.unwrap();
    subscribe(&mut client, "news").await;
    let socket = network.handle().local_sockets().remove(0);
    let unsubscribed = live.unsubscribe("news", &socket);
    assert!(network.run_until(unsubscribed).await.unwrap());
    let again = live.unsubscribe("news", &socket);
    assert!(!network.run_until(again).await.unwrap());
    assert_eq!(taken(&network, &mut client).await, [kicked("news")]);
    for _ in 0..2 {
        let answer = ask(
            &mut client,
            json!({ "type": "unsubscribe", "channel": "news" }),
        )
        .await;
        assert_eq!(answer, json!({ "type": "unsubscribed", "channel": "news" }));
        subscribe(&mut client, "news").await;
    }
}

#[tokio::test(start_paused = true)]
async fn rules_are_asked_at_a_reconnect_and_at_a_new_token() {
    let jwt = Jwt::hs256("a secret of at least 32 bytes, for tests");
    let token = || {
        let expires = nextrush::message::Timestamp::now().unix_ms() / 1000 + 3600;
        jwt.sign(&json!({ "id": "ada", "email": "", "exp": expires }))
            .unwrap()
    };
    let allowed = Allowed::new(["ada"]);
    let mut app = App::new();
    app.jwt(jwt.clone());
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy("team", allowed.policy()))
        .build(&app, "live");
    let (connect, refresh) = (live.clone(), jwt.clone());
    app.ws("/", move |socket: Socket, user: Authenticated| {
        user.admit(&socket);
        socket.filter(refresh.refresh());
        connect.connect(&socket);
    });
    let network = Network::new(app);
    let path = format!("/?token={}", token());
    let mut ada = network.connect(&path).await.unwrap();
    let position = subscribe(&mut ada, "team").await;
    let refresh = json!({ "type": "refresh", "token": token() });
    assert_eq!(ask(&mut ada, refresh.clone()).await["type"], "refreshed");
    assert!(taken(&network, &mut ada).await.is_empty());

    allowed.set("ada", false);
    // A token that is refused asks nobody.
    let wrong = json!({ "type": "refresh", "token": "x" });
    assert_eq!(ask(&mut ada, wrong).await["type"], "error");
    assert!(taken(&network, &mut ada).await.is_empty());
    assert_eq!(ask(&mut ada, refresh).await["type"], "refreshed");
    let told = next(&mut ada).await;
    assert_eq!(told["code"], ErrorCode::SubscribeRefused.as_str());
    ada.cut();

    let mut ada = network.connect(&path).await.unwrap();
    let refused = come_back(&mut ada, "team", &position).await;
    assert_eq!(refused["code"], "subscribe-refused");
    assert_eq!(live.local_subscribers("team"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_whose_repeated_subscription_is_refused_is_none_any_more() {
    let allowed = Allowed::new(["ada"]);
    let (network, live) = network("team", allowed.policy());
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "team").await;
    allowed.set("ada", false);
    assert_eq!(
        subscribe(&mut ada, "team").await["code"],
        "subscribe-refused"
    );
    live.publish("team", &1).await.unwrap();
    assert!(taken(&network, &mut ada).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn rules_are_asked_again_of_a_socket_that_is_in_two_live_updates() {
    const SECRET: &str = "a secret of at least 32 bytes, from outside";
    let claims = json!({ "id": "ada", "email": "", "exp": 4_102_444_800_u64 });
    let token = jsonwebtoken::encode(
        &jsonwebtoken::Header::default(),
        &claims,
        &jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes()),
    );
    let token = token.unwrap();
    let refresh = json!({ "type": "refresh", "token": token });
    for by_token in [false, true] {
        let allowed = Allowed::new(["ada"]);
        let jwt = Jwt::hs256(SECRET);
        let mut app = App::new();
        app.jwt(jwt.clone());
        let live = LiveUpdates::builder()
            .policies(ChannelPolicies::new().policy("team", allowed.policy()))
            .build(&app, "live");
        let other = LiveUpdates::new(&app, "other");
        let connect = live.clone();
        app.ws("/", move |socket: Socket, user: Authenticated| {
            user.admit(&socket);
            socket.filter(jwt.refresh());
            connect.connect(&socket);
        });
        let network = Network::new(app);
        let path = format!("/?token={token}");
        let mut ada = network.connect(&path).await.unwrap();
        subscribe(&mut ada, "team").await;
        let socket = network.handle().local_sockets().remove(0);
        let joined = network.run_until(other.join("news", &socket)).await;
        assert!(joined.unwrap());
        next(&mut ada).await;
        allowed.set("ada", false);
        if by_token {
            assert_eq!(ask(&mut ada, refresh.clone()).await["type"], "refreshed");
        } else {
            let asked = network.run_until(live.recheck(&"ada".into())).await;
            assert_eq!(asked.sockets, 1);
        }
        let told = taken(&network, &mut ada).await;
        assert_eq!(all(&told, "code"), ["subscribe-refused"], "{by_token}");
        // The other ones know nothing of it.
        other.publish("news", "on").await.unwrap();
        assert_eq!(next(&mut ada).await["data"], "on");
    }
}

#[tokio::test(start_paused = true)]
async fn rules_are_asked_again_of_a_socket_whose_user_was_found_out_late() {
    let allowed = Allowed::new(["team"]);
    let rule = allowed.clone();
    let policy = ChannelPolicy::new().may_subscribe(async move |context: SubscribeContext| {
        rule.has_name(context.channel.name())
    });
    let mut app = App::new();
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy("team", policy))
        .build(&app, "live");
    let connect = live.clone();
    app.ws("/", move |socket: Socket| connect.connect(&socket));
    let network = Network::new(app);
    let mut ada = network.connect("/").await.unwrap();
    subscribe(&mut ada, "team").await;
    let socket = network.handle().local_sockets().remove(0);
    socket.identify(User::new("ada", "")).unwrap();
    let joined = network.run_until(live.join("news", &socket)).await;
    assert!(joined.unwrap());
    next(&mut ada).await;
    allowed.set("team", false);
    network.run_until(live.recheck(&"ada".into())).await;
    let told = taken(&network, &mut ada).await;
    assert_eq!(all(&told, "code"), ["subscribe-refused"]);
}

#[tokio::test(start_paused = true)]
async fn many_wishes_to_ask_a_slow_rule_again_are_one_and_hold_up_no_message() {
    let asked = Arc::<AtomicUsize>::default();
    let (count, second) = (Arc::clone(&asked), Duration::from_secs(1));
    let allowed = Allowed::new(["ada"]);
    let rule = allowed.clone();
    let policy = ChannelPolicy::new().may_subscribe(async move |context: SubscribeContext| {
        let is_allowed = rule.has(context.user.as_ref());
        if count.fetch_add(1, Ordering::Relaxed) > 0 {
            sleep(second).await;
        }
        is_allowed
    });
    let (network, live) = network("team", policy);
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "team").await;
    allowed.set("ada", false);
    network.run_until(live.recheck(&"ada".into())).await;
    network.advance(second / 2).await;
    // The rule is being asked, and has looked before this.
    allowed.set("ada", true);
    for _ in 0..100 {
        network.run_until(live.recheck_channel("team")).await;
        network.run_until(live.recheck(&"ada".into())).await;
    }
    ada.send_json(&json!({ "type": "unsubscribe", "channel": "other" }));
    network.advance(second * 2).await;
    assert_eq!(all(&taken(&network, &mut ada).await, "channel"), ["other"]);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert_eq!(live.local_subscribers("team"), 1);
    // And again, when something has changed.
    allowed.set("ada", false);
    network.run_until(live.recheck_channel("team")).await;
    network.advance(second).await;
    let told = taken(&network, &mut ada).await;
    assert_eq!(all(&told, "code"), ["subscribe-refused"]);
}
