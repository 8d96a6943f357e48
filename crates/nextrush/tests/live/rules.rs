//! Rules and hooks that fail.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy, PublishContext, SubscribeContext};
use nextrush::{BoxError, ErrorCode, ErrorMessage};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Log, ask, enter, network_with, next, subscribe, taken};

/// Channels whose rules never answer, panic, or answer after a second.
fn policies() -> ChannelPolicies {
    let hangs = ChannelPolicy::new()
        .may_subscribe(async |_: SubscribeContext| pending::<bool>().await)
        .may_publish(async |_: PublishContext| pending::<bool>().await);
    let panics = ChannelPolicy::new()
        .may_subscribe(async |context: SubscribeContext| -> bool {
            panic!("no such channel: {}", context.channel.name())
        })
        .may_publish(async |_: PublishContext| -> bool { panic!("on purpose") });
    let slow = ChannelPolicy::new().may_subscribe(async |_: SubscribeContext| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        true
    });
    ChannelPolicies::new()
        .policy("hangs", hangs)
        .policy("panics", panics)
        .policy("slow", slow)
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_hangs_refuses_its_request_after_5_s_and_changes_nothing_else() {
    let log = Log::capture();
    let (network, _) = network_with(policies());
    let mut ada = enter(&network, "ada-hangs").await;
    let mut bob = enter(&network, "bob").await;
    let begun = Instant::now();
    ada.send_json(&json!({ "type": "subscribe", "channel": "hangs", "id": "1" }));
    ada.send_json(&json!({ "type": "subscribe", "channel": "news", "id": "2" }));
    // Nobody else waits for it.
    assert_eq!(subscribe(&mut bob, "news").await["type"], "subscribed");
    assert!(begun.elapsed() < Duration::from_secs(1));

    let refusal = next(&mut ada).await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    let expected = json!({
        "type": "error", "code": "unavailable", "message": "Channel unavailable", "id": "1",
        "details": "the application did not answer in time", "retryAfterMs": 1000,
    });
    assert_eq!(refusal, expected);
    // In its order, on the same socket.
    assert_eq!(next(&mut ada).await["id"], "2");
    let line = log.line_with("ada-hangs");
    for word in [
        "ERROR",
        "/live/:user",
        "hangs",
        "did not answer in time",
        "5s",
    ] {
        assert!(line.contains(word), "{word} in {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_panics_refuses_its_request_and_the_socket_goes_on() {
    let log = Log::capture();
    let (network, _) = network_with(policies());
    let mut ada = enter(&network, "ada-panics").await;
    let publish = json!({ "type": "publish", "channel": "panics", "data": 1, "id": "1" });
    let subscribe_to = json!({ "type": "subscribe", "channel": "panics", "id": "1" });
    for message in [publish, subscribe_to] {
        let refusal = ask(&mut ada, message).await;
        let expected = json!({
            "type": "error", "code": "internal", "message": "The application failed", "id": "1",
        });
        assert_eq!(refusal, expected);
    }
    assert_eq!(subscribe(&mut ada, "news").await["type"], "subscribed");
    let line = log.line_with("ada-panics");
    for word in ["ERROR", "/live/:user", "panics", "panicked"] {
        assert!(line.contains(word), "{word} in {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_a_setting() {
    let (network, _) = network_with(policies().deadline(Duration::from_millis(200)));
    let mut ada = enter(&network, "ada").await;
    let begun = Instant::now();
    let publish = json!({ "type": "publish", "channel": "hangs", "data": 1 });
    assert_eq!(ask(&mut ada, publish).await["code"], "unavailable");
    assert_eq!(begun.elapsed().as_millis(), 200);
    assert_eq!(subscribe(&mut ada, "slow").await["code"], "unavailable");

    let (network, _) = network_with(policies());
    let mut ada = enter(&network, "ada").await;
    assert_eq!(subscribe(&mut ada, "slow").await["type"], "subscribed");
    assert!(taken(&network, &mut ada).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_may_be_never() {
    let accepts = ChannelPolicy::new()
        .may_subscribe(async |_: SubscribeContext| true)
        .on_publish(async |_: PublishContext| Ok::<_, ErrorCode>(()));
    let policies = ChannelPolicies::new().policy("wall", accepts);
    let (network, _) = network_with(policies.deadline(Duration::MAX));
    let mut ada = enter(&network, "ada").await;
    let publish = json!({ "type": "publish", "channel": "wall", "data": 1, "id": "1" });
    assert_eq!(ask(&mut ada, publish).await["type"], "ack");
    assert_eq!(subscribe(&mut ada, "wall").await["type"], "subscribed");
}

fn no_database<T>(detail: &str) -> io::Result<T> {
    Err(io::Error::other(format!("no database: {detail}")))
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_not_for_the_client_is_told_as_internal_and_logged() {
    let log = Log::capture();
    let rules = ChannelPolicy::new()
        .may_subscribe(async |_: SubscribeContext| no_database::<bool>("of 1"))
        .may_publish(async |_: PublishContext| no_database::<()>("of 2"));
    let hooks = ChannelPolicy::new()
        .on_subscribe(async |_: SubscribeContext| no_database::<u8>("of 3"))
        .on_publish(async |_: PublishContext| no_database::<()>("of 4"));
    let codes = ChannelPolicy::new()
        .may_subscribe(async |_: SubscribeContext| Err::<(), _>(ErrorCode::NotFound))
        .on_publish(async |_: PublishContext| Err::<(), _>(ErrorCode::TooLarge));
    let policies = ChannelPolicies::new()
        .policy("rules", rules)
        .policy("hooks", hooks)
        .policy("codes", codes);
    let (network, _) = network_with(policies);
    let mut ada = enter(&network, "ada-fails").await;
    let mut id = 0;
    for (channel, told) in [
        ("rules", [("internal", "The application failed"); 2]),
        ("hooks", [("internal", "The application failed"); 2]),
        (
            "codes",
            [("not-found", "not found"), ("too-large", "too large")],
        ),
    ] {
        for (kind, (code, text)) in ["subscribe", "publish"].into_iter().zip(told) {
            id += 1;
            let id = id.to_string();
            let message = json!({ "type": kind, "channel": channel, "data": 1, "id": id });
            let expected = json!({ "type": "error", "code": code, "message": text, "id": id });
            // A repeat gets the same.
            assert_eq!(ask(&mut ada, message.clone()).await, expected);
            assert_eq!(ask(&mut ada, message).await, expected);
        }
    }
    for (number, what) in [
        (1, "a rule for"),
        (2, "a rule for"),
        (3, "a hook for"),
        (4, "a hook for"),
    ] {
        let line = log.line_with(&format!("no database: of {number}"));
        for word in ["ERROR", "/live/:user", "ada-fails", what, "failed"] {
            assert!(line.contains(word), "{word} in {line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_fails_when_it_is_asked_again_takes_nothing_away_for_good() {
    let fails = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&fails);
    let policy = ChannelPolicy::new().may_subscribe(async move |_: SubscribeContext| {
        match now.load(Ordering::Relaxed) {
            true => no_database("now"),
            false => Ok(()),
        }
    });
    let (network, live) = network_with(ChannelPolicies::new().policy("team", policy));
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "team").await;
    fails.store(true, Ordering::Relaxed);
    live.recheck(&"ada".into()).await;
    let expected = json!({
        "type": "unsubscribed", "channel": "team", "code": "internal",
        "message": "The application failed", "retryAfterMs": 1000,
    });
    assert_eq!(next(&mut ada).await, expected);
}

/// A database's answer: a number, a refusal in words for the client, or an error for the log.
fn ask_database(text: &str) -> Result<u64, BoxError> {
    match text {
        "full" => Err(ErrorMessage::new("full", "No room").into()),
        text => Ok(text.parse()?),
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_refuses_in_its_own_words_among_any_errors() {
    let log = Log::capture();
    let may = ChannelPolicy::new().may_subscribe(async |context: SubscribeContext| {
        ask_database(context.channel.name()).map(|places| places > 1)
    });
    let loaded = ChannelPolicy::new().on_subscribe(async |context: SubscribeContext| {
        ask_database(context.channel.param("text").unwrap_or_default())
    });
    let policies = ChannelPolicies::new()
        .policy("loaded-:text", loaded)
        .policy(":text", may);
    let (network, _) = network_with(policies);
    let mut ada = enter(&network, "ada-asks").await;
    for (channel, code) in [
        ("2", json!(null)),
        ("1", json!("subscribe-refused")),
        ("full", json!("full")),
        ("secret", json!("internal")),
        ("loaded-3", json!(null)),
        ("loaded-full", json!("full")),
        ("loaded-secret", json!("internal")),
    ] {
        let answer = subscribe(&mut ada, channel).await;
        assert_eq!(answer["code"], code, "{channel}: {answer}");
        assert!(!answer.to_string().contains("digit"), "{answer}");
    }
    let line = log.line_with("ada-asks");
    assert!(line.contains("invalid digit"), "{line}");
}
