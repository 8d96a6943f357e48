//! Requests over nodes: executed once, in doubt where a node died, and audiences that are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Path;
use futures_util::FutureExt as _;
use nextrush::socket::Silent;
use nextrush::testing::{Client, Cluster};
use nextrush::{App, AppBuilder, ErrorMessage, Handle, RequestError, Socket, User};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::{join, name};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Command {
    /// Adds 1, and answers so much later.
    Count {
        after_ms: u64,
    },
    Refuse,
    /// Adds 1, and is refused for a while if that is not the third.
    Later,
    Panic,
}

/// The count that the nodes share.
pub(crate) type Total = Arc<AtomicU64>;

pub(crate) fn app(builder: AppBuilder, total: &Total) -> App {
    let mut app = builder.build();
    let total = Arc::clone(total);
    app.ws(
        "/:user",
        async move |socket: Socket, Path(user): Path<String>| {
            socket.identify(User::new(user, ""))?;
            socket.join("all")?;
            let total = Arc::clone(&total);
            socket.on_request(async move |_: Socket, command: Command| match command {
                Command::Count { after_ms } => {
                    let count = total.fetch_add(1, Ordering::Relaxed) + 1;
                    sleep(Duration::from_millis(after_ms)).await;
                    Ok(count)
                }
                Command::Refuse => Err(ErrorMessage::new("no", "No")),
                Command::Later => match total.fetch_add(1, Ordering::Relaxed) + 1 {
                    3 => Ok(3),
                    _ => Err(ErrorMessage::new("busy", "Later").retry_after_ms(100)),
                },
                Command::Panic => panic!("on purpose"),
            });
            Ok::<(), nextrush::room::JoinError>(())
        },
    );
    app
}

fn cluster(nodes: &[&str], total: &Total) -> Cluster {
    let total = Arc::clone(total);
    Cluster::new(1, nodes.iter().copied(), move |builder| {
        app(builder, &total)
    })
}

pub(crate) fn count(id: &str, after_ms: u64) -> Value {
    json!({ "type": "count", "id": id, "after_ms": after_ms })
}

async fn ask(client: &mut Client, request: &Value) -> Value {
    client.send_json(request);
    client.json().await
}

#[tokio::test(start_paused = true)]
async fn a_repeat_at_another_node_gets_the_answer_of_the_first() {
    let total = Total::default();
    let cluster = cluster(&["a", "b"], &total);
    let mut here = join(&cluster.node("a"), "/ada").await;
    let first = ask(&mut here, &count("x", 0)).await;
    assert_eq!(first, json!({ "type": "reply", "id": "x", "data": 1 }));
    let refused = ask(&mut here, &json!({ "type": "refuse", "id": "r" })).await;
    here.cut();
    let mut there = join(&cluster.node("b"), "/ada").await;
    assert_eq!(ask(&mut there, &count("x", 0)).await, first);
    assert_eq!(
        ask(&mut there, &json!({ "type": "refuse", "id": "r" })).await,
        refused
    );
    let other = ask(&mut there, &count("x", 1)).await;
    assert_eq!(other["code"], "id-reused");

    // While it is executed at the one, it waits at the other.
    there.send_json(&count("y", 10_000));
    cluster.settle().await;
    let mut here = join(&cluster.node("a"), "/ada").await;
    here.send_json(&count("y", 10_000));
    cluster.advance(Duration::from_secs(9)).await;
    assert_eq!(here.try_recv(), None);
    assert_eq!(
        here.json().await,
        json!({ "type": "reply", "id": "y", "data": 2 })
    );
    assert_eq!(total.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_between_effect_and_answer_leaves_the_request_in_doubt() {
    let total = Total::default();
    let cluster = cluster(&["a", "b"], &total);
    let here = join(&cluster.node("a"), "/ada").await;
    here.send_json(&count("x", 1000));
    cluster.settle().await;
    assert_eq!(total.load(Ordering::Relaxed), 1);
    cluster.crash("a");

    let mut there = join(&cluster.node("b"), "/ada").await;
    // It may still be running there, for as long as its handler has.
    there.send_json(&count("x", 1000));
    cluster.advance(Duration::from_secs(31)).await;
    let waits = there.json().await;
    assert_eq!(waits["code"], "unavailable");
    assert!(waits["retryAfterMs"].is_u64());
    cluster.advance(Duration::from_secs(10)).await;
    for _ in 0..2 {
        let error = ask(&mut there, &count("x", 1000)).await;
        assert_eq!(error["code"], "in-doubt");
        assert_eq!(error["id"], "x");
    }
    assert_eq!(total.load(Ordering::Relaxed), 1, "it is not executed again");
    let next = ask(&mut there, &count("y", 0)).await;
    assert_eq!(next["data"], 2);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nothing_is_executed() {
    let total = Total::default();
    let cluster = cluster(&["a", "b"], &total);
    let mut client = join(&cluster.node("a"), "/ada").await;
    cluster.cut("a");
    client.send_json(&count("x", 0));
    cluster.advance(Duration::from_secs(40)).await;
    let refused = client.json().await;
    assert_eq!(refused["code"], "unavailable");
    assert_eq!(total.load(Ordering::Relaxed), 0);
    cluster.mend("a");
    cluster.advance(Duration::from_secs(5)).await;
    let answer = ask(&mut client, &count("y", 0)).await;
    assert_eq!(answer["data"], 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_full_nothing_is_executed_and_the_client_comes_again() {
    let total = Total::default();
    let cluster = cluster(&["a"], &total);
    let mut client = join(&cluster.node("a"), "/ada").await;
    cluster.server().set_full(true);
    let refused = ask(&mut client, &count("x", 0)).await;
    assert_eq!(
        (&refused["code"], &refused["retryAfterMs"]),
        (&json!("unavailable"), &json!(10_000))
    );
    cluster.server().set_full(false);
    let answer = ask(&mut client, &count("x", 0)).await;
    assert_eq!(answer, json!({ "type": "reply", "id": "x", "data": 1 }));
}

/// Answers the request that a client was asked.
async fn respond(client: &mut Client, fields: Value) {
    let request = client.json().await;
    assert_eq!(request["type"], "request");
    assert_eq!(
        (&request["name"], &request["data"]),
        (&json!("vote"), &json!("Pizza?"))
    );
    let mut response = json!({ "type": "response", "id": request["id"] });
    let fields = fields.as_object().unwrap().clone();
    response.as_object_mut().unwrap().extend(fields);
    client.send_json(&response);
}

/// The responses with node, user and outcome, and who was silent.
async fn vote(app: &Handle, seconds: u64) -> (Vec<String>, Silent) {
    let timeout = Duration::from_secs(seconds);
    // All are in the room.
    let audience = match seconds {
        10 => app.room("all"),
        _ => app.all(),
    };
    let mut answers = audience.request::<u32>("vote", "Pizza?", timeout).unwrap();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.next().await {
        let user = serde_json::to_string(&answer.user).unwrap();
        let outcome = match answer.result {
            Ok(vote) => vote.to_string(),
            Err(RequestError::Refused { code, .. }) => code,
            Err(RequestError::Invalid(_)) => "invalid".to_owned(),
            Err(other) => panic!("{other}"),
        };
        outcomes.push(format!("{} {user} {outcome}", answer.node));
    }
    outcomes.sort();
    (outcomes, answers.silent().clone())
}

fn begin_vote(cluster: &Cluster, seconds: u64) -> JoinHandle<(Vec<String>, Silent)> {
    let app = cluster.node("a").handle().clone();
    tokio::spawn(async move { vote(&app, seconds).await })
}

#[tokio::test(start_paused = true)]
async fn an_audience_is_asked_on_all_nodes_and_says_who_was_silent() {
    let cluster = cluster(&["a", "b", "c"], &Total::default());
    let mut ada = join(&cluster.node("a"), "/ada").await;
    let mut bob = join(&cluster.node("b"), "/bob").await;
    let mut eve = join(&cluster.node("b"), "/eve").await;
    let mut joe = join(&cluster.node("b"), "/joe").await;
    let _silent = join(&cluster.node("b"), "/sam").await;
    let voting = begin_vote(&cluster, 10);
    respond(&mut ada, json!({ "data": 1 })).await;
    respond(&mut bob, json!({ "data": 2 })).await;
    respond(
        &mut eve,
        json!({ "error": { "code": "no-handler", "message": "No" } }),
    )
    .await;
    respond(&mut joe, json!({ "data": "no number" })).await;
    let (outcomes, silent) = cluster.run_until(voting).await.unwrap();
    assert_eq!(
        outcomes,
        [
            "a \"ada\" 1",
            "b \"bob\" 2",
            "b \"eve\" no-handler",
            "b \"joe\" invalid"
        ]
    );
    assert_eq!(silent.sockets, 1);
    assert!(silent.unanswered.is_empty() && !silent.others_unknown);

    // A node that stops says nothing any more.
    cluster.pause("b");
    let voting = begin_vote(&cluster, 10);
    respond(&mut ada, json!({ "data": 3 })).await;
    let (outcomes, silent) = cluster.run_until(voting).await.unwrap();
    assert_eq!(outcomes, ["a \"ada\" 3"]);
    assert_eq!(silent.unanswered, [name("b")]);
    cluster.resume("b");
    cluster.cut("a");
    let voting = begin_vote(&cluster, 1);
    let (outcomes, silent) = cluster.run_until(voting).await.unwrap();
    assert!(outcomes.is_empty());
    assert_eq!(silent.sockets, 1);
    assert!(silent.others_unknown, "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_large_audience_is_heard_in_batches_and_each_socket_once() {
    let cluster = cluster(&["a", "b"], &Total::default());
    let mut clients = Vec::new();
    for number in 0..300 {
        let node = ["a", "b"][number % 2];
        let client = cluster.node(node).connect(&format!("/{number}")).await;
        clients.push(client.unwrap());
    }
    cluster.settle().await;
    let voting = begin_vote(&cluster, 300);
    let long = "x".repeat(2000);
    for client in &mut clients {
        respond(client, json!({ "error": { "code": long, "message": "" } })).await;
    }
    let (outcomes, silent) = cluster.run_until(voting).await.unwrap();
    assert_eq!(silent, Silent::default());
    assert_eq!(outcomes.len(), 300);
}

#[tokio::test(start_paused = true)]
async fn an_audience_may_be_given_all_the_time_there_is() {
    let cluster = cluster(&["a", "b"], &Total::default());
    let mut bob = join(&cluster.node("b"), "/bob").await;
    let app = cluster.node("a").handle().clone();
    let voting = tokio::spawn(async move {
        let room = app.room("all");
        let mut answers = room
            .request::<u32>("vote", "Pizza?", Duration::MAX)
            .unwrap();
        answers.next().await.unwrap().result
    });
    respond(&mut bob, json!({ "data": 7 })).await;
    assert_eq!(cluster.run_until(voting).await.unwrap(), Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_for_a_while_is_executed_at_another_node() {
    let total = Total::default();
    let cluster = cluster(&["a", "b"], &total);
    let mut here = join(&cluster.node("a"), "/ada").await;
    let later = json!({ "type": "later", "id": "l" });
    for expected in [1, 2] {
        assert_eq!(ask(&mut here, &later).await["code"], "busy");
        assert_eq!(total.load(Ordering::Relaxed), expected);
    }
    let mut there = join(&cluster.node("b"), "/ada").await;
    let done = ask(&mut there, &later).await;
    assert_eq!(done, json!({ "type": "reply", "id": "l", "data": 3 }));
    assert_eq!(ask(&mut here, &later).await, done);
}

/// Lets each client answer with so many bytes.
async fn respond_at_length(clients: &mut [Client], bytes: usize) {
    for client in clients {
        let request = client.json().await;
        let data = "x".repeat(bytes - 2);
        client.send_json(&json!({ "type": "response", "id": request["id"], "data": data }));
    }
}

#[tokio::test(start_paused = true)]
async fn responses_that_nobody_takes_are_dropped_beyond_a_bound_and_are_silent() {
    let cluster = cluster(&["a", "b"], &Total::default());
    let mut clients = Vec::new();
    for number in 0..10 {
        let node = ["a", "b"][number % 2];
        clients.push(join(&cluster.node(node), &format!("/{number}")).await);
    }
    let audience = cluster.node("a").handle().all();
    let ask = |bytes| {
        let timeout = Duration::from_secs(10);
        let answers = audience.request::<String>("photo", "", timeout).unwrap();
        answers.waiting_bytes(bytes)
    };
    let mut outcomes = Vec::new();
    // Each counts 64 bytes more.
    for bytes in [3 * 1064, 10 * 1064, 1063] {
        let mut answers = ask(bytes);
        // Other nodes are asked by whoever waits.
        assert!(answers.next().now_or_never().is_none());
        cluster.settle().await;
        respond_at_length(&mut clients, 1000).await;
        cluster.advance(Duration::from_millis(100)).await;
        let mut taken = 0;
        while let Some(answer) = cluster.run_until(answers.next()).await {
            assert_eq!(answer.result.unwrap().len(), 998);
            taken += 1;
        }
        let Silent {
            sockets, dropped, ..
        } = *answers.silent();
        outcomes.push((taken, sockets, dropped));
    }
    assert_eq!(outcomes, [(3, 7, 7), (10, 0, 0), (0, 10, 10)]);
}

#[tokio::test(start_paused = true)]
async fn responses_that_are_taken_make_room_for_others() {
    let cluster = cluster(&["a"], &Total::default());
    let mut clients = Vec::new();
    for number in 0..10 {
        clients.push(join(&cluster.node("a"), &format!("/{number}")).await);
    }
    let audience = cluster.node("a").handle().all();
    let answers = audience.request::<String>("photo", "", Duration::from_secs(10));
    let mut answers = answers.unwrap().waiting_bytes(2 * 1064);
    let mut taken = 0;
    for client in clients.chunks_mut(2) {
        respond_at_length(client, 1000).await;
        cluster.settle().await;
        for _ in 0..2 {
            taken += usize::from(cluster.run_until(answers.next()).await.is_some());
        }
    }
    assert_eq!(cluster.run_until(answers.next()).await, None);
    assert_eq!((taken, answers.silent()), (10, &Silent::default()));
}
