//! Names of parts: what is in a store is found by them, whatever else an application has.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use axum::extract::Path as Parameters;
use nextrush::broker::HistoryQuery;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::{App, ChatServer, Handle, LiveUpdates, RoomManager, RoomName, Server, Socket, User};
use nextrush_broker::{EmbeddedBroker, History, MemoryBroker, TopicName};
use serde_json::{Value, json};

use crate::log::Log;
use crate::support::{Client, serve, within};

/// Opens the store when the application before has gone.
async fn open(directory: &Path) -> EmbeddedBroker {
    let opened = async {
        loop {
            match EmbeddedBroker::open(directory) {
                Ok(broker) => return broker,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    within(opened).await
}

/// Live updates whose channels remember ten publications.
fn live(app: &App, name: &str) -> LiveUpdates {
    let policy = ChannelPolicy::new().history(10, Duration::from_secs(3600));
    LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy(":channel", policy))
        .build(app, name)
}

/// Adds a chat under a name.
fn mount(app: &mut App, path: &str, name: &str) {
    let chat = ChatServer::new(app, name);
    app.ws(
        path,
        async move |socket: Socket, Parameters(room): Parameters<RoomName>| {
            let ada = User::new("ada", "ada@example.com");
            chat.connect(&socket, room, ada).await;
        },
    );
}

/// A served application with a chat, live updates and posts.
struct Program {
    server: Server,
    live: LiveUpdates,
    posts: LiveUpdates,
}

impl Program {
    async fn start(directory: &Path) -> Self {
        let mut app = App::builder().broker(open(directory).await).build();
        mount(&mut app, "/chat/:room", "a");
        let live_updates = live(&app, "live");
        let posts = live(&app, "posts");
        Self {
            live: live_updates,
            posts,
            server: serve(app).await,
        }
    }

    /// Starts with another chat in front, other live updates before the first ones, a room
    /// manager in between, and the rest in another order.
    async fn start_with_more(directory: &Path) -> Self {
        let mut app = App::builder().broker(open(directory).await).build();
        mount(&mut app, "/front/:room", "front");
        let _before = live(&app, "before");
        let posts = live(&app, "posts");
        let _rooms = RoomManager::new(&app, "rooms");
        let live_updates = live(&app, "live");
        mount(&mut app, "/chat/:room", "a");
        Self {
            live: live_updates,
            posts,
            server: serve(app).await,
        }
    }

    async fn close(self) {
        let Self { server, .. } = self;
        server.close().await;
    }

    /// Writes to each part; three messages, two updates, two states of a post, one order.
    async fn write(&self) {
        let (mut ada, _) = self.join("/chat/lobby").await;
        for number in 1..=3 {
            self.say(&mut ada, number).await;
        }
        for number in 1..=2 {
            self.live.publish("news", &number).await.unwrap();
            self.posts.publish("7", &number).await.unwrap();
        }
        let orders = self.server.handle().topic("orders");
        orders.publish("a dozen").await.unwrap();
        ada.close().await;
    }

    /// Says a number, or repeats it; the answer.
    async fn say(&self, client: &mut Client, number: u32) -> Value {
        let id = format!("c{number}");
        let say = json!({ "type": "chat", "text": number.to_string(), "id": id });
        client.send_json(say).await;
        loop {
            let answer = client.json().await;
            if answer["type"] == "ack" {
                return answer;
            }
        }
    }

    async fn join(&self, path: &str) -> (Client, Value) {
        let mut client = Client::connect(&self.server, path).await;
        let history = client.json().await;
        assert_eq!(history["type"], "room-history");
        (client, history)
    }

    /// Everything that was written, and where.
    async fn written(&self) -> Vec<Value> {
        let (client, mut lobby) = self.join("/chat/lobby").await;
        client.close().await;
        lobby.as_object_mut().unwrap().remove("users");
        let all = HistoryQuery::Latest(100);
        let news = self.live.history("news", all).await.unwrap();
        let post = self.posts.history("7", all).await.unwrap();
        let orders = self.server.handle().topic("orders");
        let orders = orders.history(all).await.unwrap();
        vec![lobby, shown(&news), shown(&post), shown(&orders)]
    }
}

fn shown(history: &History) -> Value {
    let data = |data: &[u8]| serde_json::from_slice::<Value>(data).unwrap();
    let kept = history.publications.iter();
    let kept: Vec<_> = kept.map(|kept| (kept.offset, data(&kept.data))).collect();
    json!({
        "epoch": history.position.epoch.to_string(),
        "offset": history.position.offset,
        "kept": kept,
    })
}

#[tokio::test]
async fn with_another_chat_in_front_everything_is_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path()).await;
    program.write().await;
    let before = program.written().await;
    let offsets: Vec<_> = before.iter().map(|part| &part["offset"]).collect();
    assert_eq!(offsets, [3, 2, 2, 1]);
    program.close().await;

    let program = Program::start_with_more(directory.path()).await;
    assert_eq!(program.written().await, before);
    // A repeat from before the restart is recognised, and the next message comes after it.
    let (mut ada, _) = program.join("/chat/lobby").await;
    for (number, offset) in [(1, 1), (4, 4)] {
        let answer = program.say(&mut ada, number).await;
        assert_eq!(answer["offset"], offset);
        assert_eq!(answer["epoch"], before[0]["epoch"]);
    }
    let (mut ada, empty) = program.join("/front/lobby").await;
    assert_eq!(empty["messages"], json!([]));
    assert_eq!(program.say(&mut ada, 1).await["offset"], 1);
}

#[tokio::test]
async fn parts_that_were_left_out_or_renamed_are_named_in_a_warning() {
    const WARNING: &str = "the store has topics like this one that no part of the application \
                           claims; was a part renamed?";
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log::capture();
    let program = Program::start(directory.path()).await;
    program.write().await;
    program.close().await;
    let program = Program::start_with_more(directory.path()).await;
    program.close().await;
    assert_eq!(log.lines_with(WARNING), Vec::<String>::new());

    let app = App::builder().broker(open(directory.path()).await).build();
    let _renamed = ChatServer::new(&app, "b");
    let _live = live(&app, "live");
    let server = serve(app).await;
    let unclaimed = server.handle().unclaimed_topics().await.unwrap();
    let unclaimed: Vec<_> = unclaimed.iter().map(TopicName::as_str).collect();
    assert_eq!(unclaimed, ["chat/a/lobby", "live/posts/7"]);
    server.close().await;
    let warnings = log.lines_with(WARNING);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, topic) in warnings.iter().zip(unclaimed) {
        assert!(warning.contains(&format!("topic={topic}")), "{warning}");
    }
}

/// The next two messages of a type, as one of their fields.
async fn two(client: &mut Client, kind: &str, field: &str) -> [Value; 2] {
    let mut two = [Value::Null, Value::Null];
    for value in &mut two {
        let mut message = client.json().await;
        assert_eq!(message["type"], kind, "{message}");
        *value = message[field].take();
    }
    two
}

#[tokio::test]
async fn a_chat_a_live_channel_and_a_topic_of_one_name_never_meet() {
    let broker = MemoryBroker::new();
    let mut app = App::builder().broker(broker).build();
    mount(&mut app, "/chat/:room", "x");
    let live = live(&app, "y");
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| connect.connect(&socket));
    app.ws(
        "/topic/*name",
        async |socket: Socket, app: Handle, Parameters(name): Parameters<String>| {
            app.topic(&name).subscribe(&socket, None).await.map(drop)
        },
    );
    let server = serve(app).await;
    let app = server.handle();

    let mut in_chat = Client::connect(&server, "/chat/x").await;
    assert_eq!(in_chat.json().await["type"], "room-history");
    let mut in_live = Client::connect(&server, "/live").await;
    in_live
        .send_json(json!({ "type": "subscribe", "channel": "x" }))
        .await;
    assert_eq!(in_live.json().await["type"], "subscribed");
    // The last is the name that the room has in the broker.
    let names = ["x", "x/x", "y/x", "chat/x/x"];
    let mut in_topics = Vec::new();
    for name in names {
        let mut client = Client::connect(&server, &format!("/topic/{name}")).await;
        // The schema has the messages of live channels alone.
        let answer = client.text().await;
        assert!(answer.contains(r#""type":"subscribed""#), "{answer}");
        in_topics.push(client);
    }

    for round in 1..=2 {
        in_chat
            .send_json(json!({ "type": "chat", "text": format!("chat {round}") }))
            .await;
        // Its own message: it is published.
        assert_eq!(in_chat.json().await["text"], format!("chat {round}"));
        live.publish("x", &format!("live {round}")).await.unwrap();
        for name in names {
            let topic = app.topic(name);
            topic.publish(&format!("{name} {round}")).await.unwrap();
        }
    }

    assert_eq!(
        two(&mut in_live, "update", "data").await,
        ["live 1", "live 2"]
    );
    for (client, name) in in_topics.iter_mut().zip(names) {
        let expected = [format!("{name} 1"), format!("{name} 2")];
        assert_eq!(two(client, "publication", "data").await, expected);
        let topic = app
            .topic(name)
            .history(HistoryQuery::Latest(100))
            .await
            .unwrap();
        let expected = json!([[1, format!("{name} 1")], [2, format!("{name} 2")]]);
        assert_eq!(shown(&topic)["kept"], expected);
    }
    let channel = live.history("x", HistoryQuery::Latest(100)).await.unwrap();
    assert_eq!(
        shown(&channel)["kept"],
        json!([[1, "live 1"], [2, "live 2"]])
    );
    let mut late = Client::connect(&server, "/chat/x").await;
    let history = late.json().await;
    let texts: Vec<_> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| &said["text"])
        .collect();
    assert_eq!(texts, ["chat 1", "chat 2"]);
}

thread_local! {
    /// The file in which this thread panicked last.
    static PANICKED_IN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The message of a panic, and the file of its place.
fn panic_of(panicking: impl FnOnce()) -> (String, String) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let file = info.location().map_or("", |place| place.file());
            PANICKED_IN.set(file.to_owned());
            before(info);
        }));
    });
    let payload = catch_unwind(AssertUnwindSafe(panicking)).unwrap_err();
    (*payload.downcast().unwrap(), PANICKED_IN.take())
}

#[tokio::test]
async fn a_name_that_is_taken_or_none_panics_at_the_place_of_the_caller() {
    let app: App = App::new();
    let _chat = ChatServer::new(&app, "a");
    let _live = LiveUpdates::new(&app, "b");
    let _rooms = RoomManager::new(&app, "c");
    let taken = |kind: &str, name: &str| {
        format!(
            "the application has a {kind} named {name:?} already; clones of it are the same one"
        )
    };
    let invalid = |kind: &str| {
        format!("a {kind} cannot be named \"A\": a name has 1 to 32 characters of a-z, 0-9 and -")
    };
    type Make = fn(&App);
    let cases: [(Make, String); 10] = [
        (|app| drop(ChatServer::new(app, "a")), taken("chat", "a")),
        (|app| drop(LiveUpdates::new(app, "a")), taken("chat", "a")),
        (|app| drop(RoomManager::new(app, "a")), taken("chat", "a")),
        (
            |app| drop(ChatServer::builder().build(app, "b")),
            taken("live", "b"),
        ),
        (
            |app| drop(LiveUpdates::builder().build(app, "b")),
            taken("live", "b"),
        ),
        (
            |app| drop(LiveUpdates::new(app, "c")),
            taken("room manager", "c"),
        ),
        (|app| drop(ChatServer::new(app, "A")), invalid("chat")),
        (|app| drop(LiveUpdates::new(app, "A")), invalid("part")),
        (
            |app| drop(RoomManager::new(app, "A")),
            invalid("room manager"),
        ),
        (
            |app| drop(app.handle().topic("")),
            "\"\" names no topic: a topic's name has 1 to 255 bytes and no invisible characters"
                .to_owned(),
        ),
    ];
    for (make, message) in cases {
        assert_eq!(panic_of(|| make(&app)), (message, file!().to_owned()));
    }
}
