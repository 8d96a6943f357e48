//! A model of requests over nodes under faults, by seeds: both ways, with handlers that fail, panic
//! and are slow, clients that come back at any node and repeat, and nodes that die.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use nextrush::testing::{Client, Cluster};
use nextrush::{App, AppBuilder, ErrorMessage, Message, Socket, User};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::for_each_seed;

const NODES: [&str; 3] = ["a", "b", "c"];
const SEEDS: u64 = 60;
const STEPS: usize = 60;
/// The deadline of a handler, short enough that some miss it.
const DEADLINE: Duration = Duration::from_secs(5);
/// A time after which no request is under way.
const CALM: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Command {
    Run { number: u64, how: How, ms: u64 },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    Reply,
    Refuse,
    Fail,
    Panic,
    Hang,
}

/// The number of times that each request was executed.
type Executed = Arc<Mutex<BTreeMap<u64, usize>>>;

async fn execute(executed: &Executed, command: Command) -> Result<u64, ErrorMessage> {
    let Command::Run { number, how, ms } = command;
    *executed.lock().entry(number).or_default() += 1;
    sleep(Duration::from_millis(ms)).await;
    match how {
        How::Reply => Ok(number),
        How::Refuse => Err(ErrorMessage::new("refused", number.to_string())),
        How::Fail => Err(ErrorMessage::new(
            nextrush::ErrorCode::Internal,
            "Internal error",
        )),
        How::Panic => panic!("on purpose"),
        How::Hang => std::future::pending().await,
    }
}

fn app(builder: AppBuilder, executed: &Executed) -> App {
    let mut app = builder.build();
    let executed = Arc::clone(executed);
    app.ws(
        "/:user",
        async move |socket: Socket, Path(user): Path<String>| {
            socket.identify(User::new(user, ""))?;
            let executed = Arc::clone(&executed);
            let run = async move |_: Socket, command: Command| execute(&executed, command).await;
            socket.on_request_within(DEADLINE, run);
            // The other way round: the client is asked for its number, and it is told the outcome.
            socket.on_message(|socket: Socket, message: Message| {
                let number = message.to_string();
                tokio::spawn(async move {
                    let answer = socket.request::<String>("echo", &number, DEADLINE).await;
                    if answer.as_ref().is_ok_and(|echo| *echo != number) {
                        panic!("{answer:?} to {number}");
                    }
                    socket.send(format!("asked {number} {}", answer.is_ok()));
                });
            });
            Ok::<(), nextrush::room::JoinError>(())
        },
    );
    app
}

/// A user with one client at a time, who repeats what was not answered.
struct Person {
    name: &'static str,
    client: Option<(&'static str, Client)>,
    /// The requests without an answer, by number.
    open: BTreeMap<u64, Value>,
    answers: BTreeMap<u64, Value>,
    /// The numbers of the server's requests that the client has echoed.
    echoed: BTreeSet<String>,
    asked: usize,
}

struct Run {
    seed: u64,
    random: StdRng,
    cluster: Cluster,
    executed: Executed,
    users: Vec<Person>,
    numbers: u64,
    wrong: Option<&'static str>,
}

impl Run {
    async fn connect(&mut self, user: usize) {
        let node = *NODES.choose(&mut self.random).unwrap();
        if self.wrong == Some(node) || self.users[user].client.is_some() {
            return;
        }
        let path = format!("/{}", self.users[user].name);
        let client = self.cluster.node(node).connect(&path).await.unwrap();
        for request in self.users[user].open.values() {
            client.send_json(request);
        }
        self.users[user].client = Some((node, client));
    }

    fn send(&mut self, user: usize) {
        self.numbers += 1;
        let number = self.numbers;
        let how = ["reply", "reply", "reply", "refuse", "fail", "panic", "hang"];
        let how = how.choose(&mut self.random).unwrap();
        let ms = self.random.random_range(0..3000);
        let id = number.to_string();
        let request = json!({ "type": "run", "id": id, "number": number, "how": how, "ms": ms });
        let user = &mut self.users[user];
        if let Some((_, client)) = &user.client {
            client.send_json(&request);
        }
        user.open.insert(number, request);
    }

    async fn step(&mut self) {
        let user = self.random.random_range(0..self.users.len());
        match self.random.random_range(0..12) {
            0 => {
                self.users[user].client = None;
            }
            1 if self.wrong.is_none() => {
                let node = *NODES.choose(&mut self.random).unwrap();
                match self.random.random_range(0..3) {
                    0 => self.cluster.cut(node),
                    1 => self.cluster.pause(node),
                    _ => {
                        self.cluster.crash(node);
                        self.drop_clients_of(node);
                        self.cluster.start(node);
                        return;
                    }
                }
                self.wrong = Some(node);
            }
            1 | 2 => self.mend().await,
            3 => {
                let ms = self.random.random_range(100..6000);
                self.cluster.advance(Duration::from_millis(ms)).await;
            }
            4 => self.ask(user),
            5..8 => self.connect(user).await,
            _ => self.send(user),
        }
        self.cluster.settle().await;
        self.take();
    }

    /// Lets the server ask a client.
    fn ask(&mut self, user: usize) {
        self.numbers += 1;
        let number = self.numbers;
        if let Some((_, client)) = &self.users[user].client {
            client.send(&format!("x{number}"));
        }
    }

    fn drop_clients_of(&mut self, node: &str) {
        for user in &mut self.users {
            user.client.take_if(|(at, _)| *at == node);
        }
    }

    async fn mend(&mut self) {
        if let Some(node) = self.wrong.take() {
            self.cluster.resume(node);
            self.cluster.mend(node);
            self.cluster.settle().await;
        }
    }

    /// Takes what has come. One answer for each request, and always the same.
    fn take(&mut self) {
        let seed = self.seed;
        for user in &mut self.users {
            let Some((_, client)) = &mut user.client else {
                continue;
            };
            while let Some(message) = client.try_recv() {
                let text = message.to_string();
                if let Some(outcome) = text.strip_prefix("asked ") {
                    let (number, is_ok) = outcome.split_once(' ').unwrap();
                    let echoed = user.echoed.contains(number);
                    assert!(
                        echoed || is_ok == "false",
                        "seed {seed}: {text} out of nothing"
                    );
                    user.asked += 1;
                    continue;
                }
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["type"] == "request" {
                    user.echoed
                        .insert(message["data"].as_str().unwrap().to_owned());
                    let response = json!({
                        "type": "response", "id": message["id"], "data": message["data"],
                    });
                    client.send_json(&response);
                    continue;
                }
                if message["type"] == "reconnect" {
                    continue;
                }
                let number: u64 = message["id"].as_str().unwrap().parse().unwrap();
                if message["code"] == "unavailable" {
                    assert!(user.open.contains_key(&number), "seed {seed}: {message}");
                    continue;
                }
                if let Some(before) = user.answers.get(&number) {
                    assert_eq!(*before, message, "seed {seed}: two answers");
                    continue;
                }
                let request = user.open.remove(&number).unwrap();
                check(seed, &request, &message);
                user.answers.insert(number, message);
            }
            if client.is_closed() {
                user.client = None;
            }
        }
        for (number, times) in &*self.executed.lock() {
            assert_eq!(
                *times, 1,
                "seed {seed}: request {number} was executed {times} times"
            );
        }
    }
}

/// The answer is the request's own, or its outcome is in doubt.
fn check(seed: u64, request: &Value, answer: &Value) {
    let number = request["number"].as_u64().unwrap();
    if answer["code"] == "in-doubt" {
        return;
    }
    let is_right = match request["how"].as_str().unwrap() {
        "reply" => answer["data"] == number,
        "refuse" => answer["code"] == "refused" && answer["message"] == *number.to_string(),
        "fail" | "panic" => answer["code"] == "internal",
        _ => false,
    };
    assert!(is_right, "seed {seed}: {answer} to {request}");
}

async fn run(seed: u64) {
    let executed = Executed::default();
    let make = Arc::clone(&executed);
    let user = |name| Person {
        name,
        client: None,
        open: BTreeMap::new(),
        answers: BTreeMap::new(),
        echoed: BTreeSet::new(),
        asked: 0,
    };
    let mut run = Run {
        seed,
        random: StdRng::seed_from_u64(seed),
        cluster: Cluster::new(seed, NODES, move |builder| app(builder, &make)),
        executed,
        users: ["ada", "bob", "eve"].map(user).into(),
        numbers: 0,
        wrong: None,
    };
    for step in 0..STEPS {
        if step < run.users.len() {
            run.connect(step).await;
        }
        run.step().await;
    }
    // When all is well again, every request is answered, at the latest when it is repeated.
    run.mend().await;
    for _ in 0..40 {
        for user in 0..run.users.len() {
            run.users[user].client = None;
            run.connect(user).await;
        }
        run.cluster.advance(CALM).await;
        run.take();
        if run.users.iter().all(|user| user.open.is_empty()) {
            break;
        }
    }
    let mut replies = 0;
    for user in &run.users {
        assert!(
            user.open.is_empty(),
            "seed {seed}: {:?} is not answered",
            user.open
        );
        for (number, answer) in &user.answers {
            let was_executed = run.executed.lock().contains_key(number);
            assert!(
                was_executed || answer["code"] == "in-doubt",
                "seed {seed}: {answer}"
            );
            replies += usize::from(answer["type"] == "reply");
        }
    }
    assert!(replies > 0, "seed {seed} proves nothing");
}

#[test]
fn requests_under_faults_are_answered_alike_and_executed_once() {
    for_each_seed(SEEDS, run);
}
