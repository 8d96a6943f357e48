//! The members of chat rooms and of announced rooms that two nodes share.

use std::time::Duration;

use axum::extract::Path;
use nextrush::broker::simulated::{SimulatedNode, SimulatedServer};
use nextrush::broker::{NodeName, SequencerOptions};
use nextrush::testing::{Client, Network};
use nextrush::topic::Profile;
use nextrush::{App, ChatServer, RoomManager, RoomName, Socket, User};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::schema::check_sent;

/// A lease and a look at who is alive.
const DEAD: Duration = Duration::from_secs(13);

struct Node {
    broker: SimulatedNode,
    network: Network,
    chat: ChatServer,
    rooms: RoomManager,
}

impl Node {
    fn new(server: &SimulatedServer, name: &str) -> Self {
        let name = NodeName::try_from(name).unwrap();
        let broker = server.join(name, SequencerOptions::default().seed(1));
        let mut app: App = App::builder().broker(broker.clone()).build();
        let chat = ChatServer::builder().listed(3).build(&app, "chat");
        let connect = chat.clone();
        app.ws(
            "/chat/:room/:user",
            async move |socket: Socket, Path((room, user)): Path<(RoomName, String)>| {
                let user = User::new(user, "");
                socket.identify(user.clone()).unwrap();
                connect.connect(&socket, room, user).await;
            },
        );
        let rooms = RoomManager::new(&app, "rooms");
        let enter = rooms.clone();
        app.ws(
            "/rooms/:room",
            async move |socket: Socket, Path(room): Path<RoomName>| {
                if let Err(error) = enter.join_room(room.as_str(), &socket).await {
                    socket.send(error.to_string());
                }
            },
        );
        app.ws(
            "/topics/:name/:user",
            async |socket: Socket, Path((name, user)): Path<(String, String)>| {
                socket.identify(User::new(user, "")).unwrap();
                let subscribed = socket.app().topic(&name).subscribe(&socket, None).await;
                assert!(subscribed.is_ok(), "{subscribed:?}");
            },
        );
        app.ws(
            "/given-up/:name/:user",
            async |socket: Socket, Path((name, user)): Path<(String, String)>| {
                let topic = socket.app().topic(&name);
                let mut wish = topic.wish(&socket).await.unwrap();
                let user = User::new(user, "");
                wish.seat(&user.id, Profile::from(&user)).await.unwrap();
                socket.send("seated");
            },
        );
        Self {
            broker,
            network: Network::new(app),
            chat,
            rooms,
        }
    }

    /// A member of the lobby, with the history that it got.
    async fn join(&self, user: &str) -> (Client, Value) {
        let path = format!("/chat/lobby/{user}");
        let mut client = self.network.connect(&path).await.unwrap();
        let history = client.json().await;
        check_sent(&history);
        (client, history)
    }

    /// The users of the lobby, as the application is told.
    async fn users(&self) -> Vec<String> {
        self.settle().await;
        let room = RoomName::new("lobby").unwrap();
        let users = self.network.run_until(self.chat.room_users(&room)).await;
        let ids = users.iter().map(|user| {
            let user: Value = serde_json::from_str(user.as_json()).unwrap();
            user["id"].as_str().unwrap().to_owned()
        });
        ids.collect()
    }

    async fn settle(&self) {
        self.network.settle().await;
    }
}

fn two() -> (SimulatedServer, Node, Node) {
    let server = SimulatedServer::new(1);
    let here = Node::new(&server, "here");
    let there = Node::new(&server, "there");
    (server, here, there)
}

/// The users of a history, their number and the version of their list.
fn told(history: &Value) -> (Vec<&str>, u64, u64) {
    let users = history["users"].as_array().unwrap();
    (
        users
            .iter()
            .map(|user| user["id"].as_str().unwrap())
            .collect(),
        history["userCount"].as_u64().unwrap(),
        history["usersVersion"].as_u64().unwrap(),
    )
}

async fn assert_heard(client: &mut Client, kind: &str, user: &str, count: u64) {
    let heard = client.json().await;
    check_sent(&heard);
    let user = json!({ "id": user, "email": "" });
    assert_eq!(
        heard,
        json!({ "type": kind, "user": user, "userCount": count })
    );
}

#[tokio::test(start_paused = true)]
async fn a_room_has_one_list_of_members_on_all_nodes() {
    let (_server, here, there) = two();
    let (mut ada, history) = here.join("ada").await;
    assert_eq!(told(&history), (vec!["ada"], 1, 1));
    let (mut bob, history) = there.join("bob").await;
    assert_eq!(told(&history), (vec!["ada", "bob"], 2, 2));
    assert_heard(&mut ada, "user-joined", "bob", 2).await;
    let (mut eve, history) = here.join("eve").await;
    assert_eq!(told(&history), (vec!["ada", "bob", "eve"], 3, 3));
    for client in [&mut ada, &mut bob] {
        assert_heard(client, "user-joined", "eve", 3).await;
    }
    for node in [&here, &there] {
        assert_eq!(node.users().await, ["ada", "bob", "eve"]);
    }

    bob.cut();
    there.settle().await;
    for client in [&mut ada, &mut eve] {
        assert_heard(client, "user-left", "bob", 2).await;
    }
    for node in [&here, &there] {
        assert_eq!(node.users().await, ["ada", "eve"]);
    }
    // Whoever comes now is told of the list after these four changes.
    let (_dan, history) = there.join("dan").await;
    assert_eq!(told(&history), (vec!["ada", "eve", "dan"], 3, 5));
}

#[tokio::test(start_paused = true)]
async fn a_user_on_two_nodes_is_one_user_with_two_sockets() {
    let (_server, here, there) = two();
    let (mut ada, _) = here.join("ada").await;
    let (mut bob, _) = there.join("bob").await;
    let (phone, history) = there.join("ada").await;
    assert_eq!(told(&history), (vec!["ada", "bob", "ada"], 3, 3));
    assert_heard(&mut ada, "user-joined", "bob", 2).await;
    for client in [&mut ada, &mut bob] {
        assert_heard(client, "user-joined", "ada", 3).await;
        client.send_json(&json!({ "type": "members", "id": "1" }));
        let page = client.json().await;
        check_sent(&page);
        let user = |id: &str, sockets: u64| json!({ "user": { "id": id, "email": "" }, "sockets": sockets });
        assert_eq!(
            page,
            json!({
                "type": "members", "id": "1", "userCount": 3, "usersVersion": 3,
                "members": [user("ada", 2), user("bob", 1)],
            })
        );
    }
    phone.cut();
    there.settle().await;
    for client in [&mut ada, &mut bob] {
        assert_heard(client, "user-left", "ada", 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_node_that_crashed_leave_within_13_s() {
    let (_server, here, there) = two();
    let (mut ada, _) = here.join("ada").await;
    let (_bob, _) = there.join("bob").await;
    let (_eve, _) = there.join("eve").await;
    assert_heard(&mut ada, "user-joined", "bob", 2).await;
    assert_heard(&mut ada, "user-joined", "eve", 3).await;
    there.broker.crash();
    here.network.advance(Duration::from_secs(5)).await;
    assert_eq!(ada.try_recv(), None);
    here.network.advance(DEAD - Duration::from_secs(5)).await;
    assert_heard(&mut ada, "user-left", "bob", 2).await;
    assert_heard(&mut ada, "user-left", "eve", 1).await;
    assert_eq!(here.users().await, ["ada"]);
}

#[tokio::test(start_paused = true)]
async fn without_the_store_who_is_there_stays_and_nobody_joins() {
    let (_server, here, there) = two();
    let (mut ada, _) = here.join("ada").await;
    let (bob, _) = here.join("bob").await;
    assert_heard(&mut ada, "user-joined", "bob", 2).await;
    let (mut eve, _) = there.join("eve").await;
    assert_heard(&mut ada, "user-joined", "eve", 3).await;

    here.broker.cut();
    let mut dan = here.network.connect("/chat/lobby/dan").await.unwrap();
    let refusal = dan.json().await;
    assert_eq!(refusal["message"], "Room unavailable");
    assert_eq!(dan.closed().await.unwrap().code(), 1013.into());
    // Who comes later does not wait, and neither do those who want to look back.
    let begun = Instant::now();
    let mut dan = here.network.connect("/chat/lobby/dan").await.unwrap();
    let refusal = dan.json().await;
    assert_eq!(
        (&refusal["code"], &refusal["retryAfterMs"]),
        (&json!("unavailable"), &json!(2000))
    );
    ada.send_json(&json!({ "type": "history", "before": 5 }));
    assert_eq!(ada.json().await["code"], "unavailable");
    assert!(begun.elapsed() < Duration::from_millis(100));
    let all = here.network.run_until(here.rooms.all_rooms()).await;
    assert!(all.others_unknown && all.rooms.is_empty(), "{all:?}");
    bob.cut();
    here.settle().await;
    assert_eq!(
        ada.try_recv(),
        None,
        "it is not known yet that bob has left"
    );
    assert!(!ada.is_closed());

    // The other node has taken this one for dead; and it learns of it.
    there.network.advance(DEAD).await;
    assert_heard(&mut eve, "user-left", "ada", 2).await;
    assert_heard(&mut eve, "user-left", "bob", 1).await;
    here.broker.mend();
    here.network.advance(DEAD).await;
    there.settle().await;
    assert_heard(&mut eve, "user-joined", "ada", 2).await;
    // It has the place that it had.
    for node in [&here, &there] {
        assert_eq!(node.users().await, ["ada", "eve"]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_while_the_store_is_full_is_told_so_and_comes_back_later() {
    let (server, here, _there) = two();
    let (mut ada, _) = here.join("ada").await;
    server.set_full(true);
    for _ in 0..2 {
        let begun = Instant::now();
        let mut bob = here.network.connect("/chat/lobby/bob").await.unwrap();
        let refusal = bob.json().await;
        check_sent(&refusal);
        assert_eq!(
            refusal,
            json!({ "type": "error", "message": "Room unavailable", "code": "not-stored" })
        );
        assert_eq!(bob.closed().await.unwrap().code(), 1013.into());
        assert!(begun.elapsed() < Duration::from_millis(100));
    }
    server.set_full(false);
    let (_bob, _) = here.join("bob").await;
    assert_heard(&mut ada, "user-joined", "bob", 2).await;
}

/// A member of a room of the room manager, with what it has been told since it joined.
async fn enter(node: &Node, room: &str) -> Client {
    let path = format!("/rooms/{room}");
    node.network.connect(&path).await.unwrap()
}

async fn assert_count(client: &mut Client, kind: &str, room: &str, count: u64) {
    let heard = client.json().await;
    let verb = kind.strip_prefix("user-").unwrap();
    assert_eq!(
        heard,
        json!({ "type": kind, "message": format!("User {verb} room {room}"), "userCount": count })
    );
}

#[tokio::test(start_paused = true)]
async fn an_announced_room_has_one_count_on_all_nodes() {
    let (_server, here, there) = two();
    let mut ada = enter(&here, "red").await;
    here.settle().await;
    let bob = enter(&there, "red").await;
    there.settle().await;
    let mut eve = enter(&here, "red").await;
    here.settle().await;
    let dan = enter(&there, "blue").await;
    there.settle().await;
    assert_count(&mut ada, "user-joined", "red", 2).await;
    assert_count(&mut ada, "user-joined", "red", 3).await;
    for node in [&here, &there] {
        let rooms = &node.rooms;
        let red = node.network.run_until(rooms.room_users("red")).await;
        assert_eq!(red, 3);
        let all = node.network.run_until(rooms.all_rooms()).await;
        assert!(all.unanswered.is_empty() && !all.others_unknown);
        let all: Vec<_> = all
            .rooms
            .iter()
            .map(|(room, count)| (room.as_str(), *count))
            .collect();
        assert_eq!(all, [("blue", 1), ("red", 3)]);
    }
    bob.cut();
    there.settle().await;
    for client in [&mut ada, &mut eve] {
        assert_count(client, "user-left", "red", 2).await;
    }

    let _fay = enter(&there, "red").await;
    there.settle().await;
    for client in [&mut ada, &mut eve] {
        assert_count(client, "user-joined", "red", 3).await;
    }
    // Who is said to have come hears what is said from then on, wherever.
    there.broker.crash();
    here.network.advance(DEAD).await;
    for client in [&mut ada, &mut eve] {
        assert_count(client, "user-left", "red", 2).await;
    }
    drop(dan);
}

#[tokio::test(start_paused = true)]
async fn an_announced_room_is_not_joined_without_the_store() {
    let (_server, here, _there) = two();
    let mut ada = enter(&here, "red").await;
    here.settle().await;
    here.broker.cut();
    let mut bob = enter(&here, "red").await;
    assert_eq!(bob.text().await, "the room is unavailable");
    here.broker.mend();
    here.network.advance(DEAD).await;
    assert_eq!(ada.try_recv(), None, "nobody has joined");
    assert_eq!(
        here.network.run_until(here.rooms.room_users("red")).await,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_before_the_store_has_answered_stays_nowhere() {
    let (_server, here, there) = two();
    let (mut ada, _) = there.join("ada").await;
    // The handler has begun, and waits for the store.
    let bob = here.network.connect("/chat/lobby/bob").await.unwrap();
    bob.cut();
    let eve = enter(&here, "red").await;
    eve.cut();
    here.network.advance(Duration::from_secs(1)).await;
    for node in [&here, &there] {
        assert_eq!(node.users().await, ["ada"]);
        assert_eq!(
            node.network.run_until(node.rooms.room_users("red")).await,
            0
        );
    }
    // Whoever heard of his coming heard of his going.
    let mut count = 1;
    while let Some(heard) = ada.try_recv() {
        let heard: Value = serde_json::from_str(&heard.to_string()).unwrap();
        count = heard["userCount"].as_u64().unwrap();
    }
    assert_eq!(count, 1);
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_topic_are_those_of_all_nodes() {
    let (_server, here, there) = two();
    let ada = here.network.connect("/topics/orders/ada").await.unwrap();
    let _bob = there.network.connect("/topics/orders/bob").await.unwrap();
    here.settle().await;
    there.settle().await;
    let members = async |node: &Node| -> Vec<Value> {
        let topic = node.network.handle().topic("orders");
        let members = node.network.run_until(topic.members()).await;
        let read = |member: &Profile| serde_json::from_str(member.as_json()).unwrap();
        members.iter().map(read).collect()
    };
    let user = |id: &str| json!({ "id": id, "email": "" });
    for node in [&here, &there] {
        assert_eq!(members(node).await, [user("ada"), user("bob")]);
    }
    ada.cut();
    here.settle().await;
    there.settle().await;
    for node in [&here, &there] {
        assert_eq!(members(node).await, [user("bob")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_is_given_up_is_left_though_the_socket_stays() {
    let (_server, here, there) = two();
    let mut ada = here.network.connect("/given-up/orders/ada").await.unwrap();
    assert_eq!(ada.text().await, "seated");
    here.settle().await;
    for node in [&here, &there] {
        let topic = node.network.handle().topic("orders");
        let members = node.network.run_until(topic.members()).await;
        assert_eq!(members, []);
    }
    assert!(!ada.is_closed());
}
