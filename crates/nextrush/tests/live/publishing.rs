//! Hooks that see what clients publish.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nextrush::broker::{Broker, HistoryQuery, ManualClock, MemoryBroker};
use nextrush::live::{Accepted, ChannelPolicies, ChannelPolicy, PublishContext};
use nextrush::testing::Network;
use nextrush::{App, ErrorCode, ErrorMessage, LiveUpdates};
use serde_json::{Value, json};

use crate::support::{Faulty, all, ask, enter, network, network_with, route, subscribe, taken};

fn publish(channel: &str, data: &Value, id: &str) -> Value {
    json!({ "type": "publish", "channel": channel, "data": data, "id": id })
}

/// A table to which a hook adds what clients publish, and which can fail.
#[derive(Clone, Default)]
struct Table(Arc<Rows>);

#[derive(Default)]
struct Rows {
    is_full: AtomicBool,
    rows: Mutex<Vec<String>>,
}

impl Table {
    fn insert(&self, data: &str) -> Result<usize, ErrorMessage> {
        if self.0.is_full.load(Ordering::Relaxed) {
            return Err(ErrorMessage::new("table-full", "The table is full"));
        }
        let mut rows = self.0.rows.lock().unwrap();
        rows.push(data.to_owned());
        Ok(rows.len())
    }

    fn len(&self) -> usize {
        self.0.rows.lock().unwrap().len()
    }

    fn policy(&self) -> ChannelPolicy {
        let table = self.clone();
        ChannelPolicy::new()
            .history(10, Duration::from_secs(3600))
            .on_publish(async move |context: PublishContext| {
                let row = table.insert(context.data.get())?;
                Ok::<_, ErrorMessage>(json!({ "row": row, "by": context.user.map(|user| user.id) }))
            })
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_stores_what_a_client_publishes_and_has_something_else_published() {
    let table = Table::default();
    let (network, _) = network("wall", table.policy());
    let mut ada = enter(&network, "ada").await;
    let mut bob = enter(&network, "bob").await;
    subscribe(&mut bob, "wall").await;
    let ack = ask(&mut ada, publish("wall", &json!("hello"), "1")).await;
    assert_eq!((&ack["type"], &ack["offset"]), (&json!("ack"), &json!(1)));
    let received = taken(&network, &mut bob).await;
    assert_eq!(all(&received, "data"), [&json!({ "row": 1, "by": "ada" })]);
    assert_eq!(*table.0.rows.lock().unwrap(), ["\"hello\""]);

    // A repeat is stored once and answered alike; another id is another publication.
    assert_eq!(
        ask(&mut ada, publish("wall", &json!("hello"), "1")).await,
        ack
    );
    let reused = ask(&mut ada, publish("wall", &json!("bye"), "1")).await;
    assert_eq!(reused["code"], "id-reused");
    assert_eq!(table.len(), 1);
    ask(&mut ada, publish("wall", &json!("hello"), "2")).await;
    assert_eq!(table.len(), 2);
    assert_eq!(taken(&network, &mut bob).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_where_the_store_fails_and_a_repeat_gets_the_same_answer() {
    let table = Table::default();
    let (network, live) = network("wall", table.policy());
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "wall").await;
    let message = publish("wall", &json!(1), "1");
    table.0.is_full.store(true, Ordering::Relaxed);
    let refusal = ask(&mut ada, message.clone()).await;
    assert_eq!(
        (&refusal["code"], &refusal["id"]),
        (&json!("table-full"), &json!("1"))
    );
    let without_id = json!({ "type": "publish", "channel": "wall", "data": 1 });
    assert_eq!(ask(&mut ada, without_id).await["code"], "table-full");
    // That was the decision about this id, for which the hook is not asked again.
    table.0.is_full.store(false, Ordering::Relaxed);
    assert_eq!(ask(&mut ada, message).await, refusal);
    assert_eq!(table.len(), 0);
    assert!(taken(&network, &mut ada).await.is_empty());
    let history = live.history("wall", HistoryQuery::Latest(9)).await.unwrap();
    assert_eq!(history.position.offset, 0);
}

#[tokio::test(start_paused = true)]
async fn a_hook_reads_a_type_of_its_own_and_refuses_with_a_code_alone() {
    let policy = ChannelPolicy::new().on_publish(async |context: PublishContext| {
        let (x, y): (i32, i32) = context.json().map_err(|_| ErrorCode::InvalidFormat)?;
        Ok::<_, ErrorCode>(json!({ "x": x, "y": y }))
    });
    let (network, _) = network("canvas", policy);
    let mut ada = enter(&network, "ada").await;
    let mut bob = enter(&network, "bob").await;
    subscribe(&mut bob, "canvas").await;
    let refusal = ask(&mut ada, publish("canvas", &json!([1, "2"]), "1")).await;
    assert_eq!(
        refusal,
        json!({ "type": "error", "id": "1", "code": "invalid-format", "message": "invalid format" })
    );
    ask(&mut ada, publish("canvas", &json!([1, 2]), "2")).await;
    let received = taken(&network, &mut bob).await;
    assert_eq!(all(&received, "data"), [&json!({ "x": 1, "y": 2 })]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_passes_on_refuses_or_gives_a_version() {
    let policy = ChannelPolicy::new().on_publish(async |context: PublishContext| {
        let data: Value = context.json().unwrap();
        match data["version"].as_u64() {
            Some(version) => Ok(Accepted::new().version(version)),
            None => Err(ErrorMessage::new("no-version", "A version is missing")),
        }
    });
    let (network, _) = network("row-:id", policy);
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "row-1").await;
    let mut outdated = Vec::new();
    for (id, version) in [("1", 2), ("2", 1), ("3", 3)] {
        let data = json!({ "version": version, "exact": "as it came" });
        ada.send_json(&publish("row-1", &data, id));
        let received = taken(&network, &mut ada).await;
        let ack = received.iter().find(|message| message["type"] == "ack");
        outdated.push(ack.unwrap()["outdated"] == true);
        let updates = received
            .iter()
            .filter(|message| message["type"] == "update");
        let data = match version {
            1 => vec![],
            _ => vec![data],
        };
        assert!(
            updates.map(|update| &update["data"]).eq(&data),
            "{received:?}"
        );
    }
    assert_eq!(outdated, [false, true, false]);
    let refusal = ask(&mut ada, publish("row-1", &json!({}), "4")).await;
    assert_eq!(refusal["code"], "no-version");
}

#[tokio::test(start_paused = true)]
async fn a_rule_comes_before_the_hook_which_alone_lets_clients_publish() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let both = ChannelPolicy::new()
        .may_publish(async |context: PublishContext| {
            context.user.is_some_and(|user| user.id == "ada".into())
        })
        .on_publish(async move |_: PublishContext| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, ErrorMessage>(())
        });
    let (network, _) = network_with(ChannelPolicies::new().policy("both", both));
    let mut bob = enter(&network, "bob").await;
    let refusal = ask(&mut bob, publish("both", &json!(1), "1")).await;
    assert_eq!(refusal["code"], "publish-refused");
    let refusal = ask(&mut bob, publish("other", &json!(1), "2")).await;
    assert_eq!(refusal["code"], "publish-refused");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let mut ada = enter(&network, "ada").await;
    assert_eq!(
        ask(&mut ada, publish("both", &json!(1), "1")).await["type"],
        "ack"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_gives_no_answer_is_asked_again_later_and_one_that_panics_is_not() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let policy = ChannelPolicy::new().on_publish(async move |context: PublishContext| {
        match (count.fetch_add(1, Ordering::Relaxed), context.data.get()) {
            (_, "\"panic\"") => panic!("on purpose"),
            (0, _) => pending::<Result<(), ErrorMessage>>().await,
            _ => Ok(()),
        }
    });
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let broker = MemoryBroker::builder().clock(Arc::clone(&clock)).build();
    let network = over(broker, policy);
    let mut ada = enter(&network, "ada").await;
    let message = publish("wall", &json!(1), "1");
    let late = ask(&mut ada, message.clone()).await;
    assert_eq!(late["code"], "unavailable");
    let after = late["retryAfterMs"].as_u64().unwrap();
    clock.advance(Duration::from_millis(after));
    assert_eq!(ask(&mut ada, message).await["type"], "ack");
    assert_eq!(asked.load(Ordering::Relaxed), 2);

    for _ in 0..2 {
        let answer = ask(&mut ada, publish("wall", &json!("panic"), "2")).await;
        assert_eq!(answer["code"], "internal");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

/// The channel `wall` over a broker.
fn over(broker: impl Broker, policy: ChannelPolicy) -> Network {
    let mut app = App::builder().broker(broker).build();
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy("wall", policy))
        .build(&app, "live");
    route(&mut app, &live);
    Network::new(app)
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_and_not_published_is_published_by_a_repeat_and_stored_once() {
    let broker = Faulty::default();
    let faults = Arc::clone(&broker.faults);
    let table = Table::default();
    let network = over(broker, table.policy());
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "wall").await;

    faults.publishing_fails.store(true, Ordering::Relaxed);
    let message = publish("wall", &json!("hello"), "1");
    for _ in 0..2 {
        let answer = ask(&mut ada, message.clone()).await;
        assert_eq!(answer["code"], "not-published");
        assert!(answer["retryAfterMs"].is_u64(), "{answer}");
    }
    assert_eq!(table.len(), 1);
    faults.publishing_fails.store(false, Ordering::Relaxed);
    // Another table would not take it now; it has been taken.
    table.0.is_full.store(true, Ordering::Relaxed);
    ada.send_json(&message);
    let received = taken(&network, &mut ada).await;
    let mut kinds = all(&received, "type");
    kinds.sort_by_key(ToString::to_string);
    assert_eq!(kinds, ["ack", "update"]);
    assert_eq!(table.len(), 1);
    assert_eq!(ask(&mut ada, message).await["type"], "ack");
    assert!(taken(&network, &mut ada).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_a_hook_refuses_for_a_while_is_decided_again() {
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    let policy = ChannelPolicy::new().on_publish(async move |_: PublishContext| {
        match count.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err(ErrorMessage::new("busy", "Later").retry_after_ms(100)),
            _ => Ok(()),
        }
    });
    let (network, _) = network("wall", policy);
    let mut ada = enter(&network, "ada").await;
    let message = publish("wall", &json!("hello"), "1");
    for _ in 0..2 {
        let refusal = ask(&mut ada, message.clone()).await;
        assert_eq!(
            (&refusal["code"], &refusal["retryAfterMs"]),
            (&json!("busy"), &json!(100))
        );
    }
    let ack = ask(&mut ada, message.clone()).await;
    assert_eq!(ack["type"], "ack");
    assert_eq!(ask(&mut ada, message).await, ack);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
