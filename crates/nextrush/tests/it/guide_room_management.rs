use serde_json::json;

use crate::support::{Client, error, serve, without_timestamp};

#[path = "../../../../examples/room_management.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[tokio::test]
async fn joins_and_leaves_are_announced_with_the_count_after_them() {
    let server = serve(example::app()).await;
    let mut ada = Client::connect(&server, "/chat/lobby").await;
    assert_eq!(
        ada.json().await,
        json!({ "type": "room-info", "roomId": "lobby", "userCount": 1 })
    );

    let mut bob = Client::connect(&server, "/chat/lobby").await;
    assert_eq!(
        bob.json().await,
        json!({ "type": "room-info", "roomId": "lobby", "userCount": 2 })
    );
    assert_eq!(
        ada.json().await,
        json!({ "type": "user-joined", "message": "User joined room lobby", "userCount": 2 })
    );

    bob.close().await;
    let left = json!({ "type": "user-left", "message": "User left room lobby", "userCount": 1 });
    assert_eq!(ada.json().await, left);

    let carol = Client::connect(&server, "/chat/lobby").await;
    assert_eq!(ada.json().await["type"], "user-joined");
    carol.cut();
    assert_eq!(ada.json().await, left);
}

#[tokio::test]
async fn a_text_goes_to_everyone_in_the_room_the_sender_included() {
    let server = serve(example::app()).await;
    let mut ada = Client::connect(&server, "/chat/lobby").await;
    assert_eq!(ada.json().await["type"], "room-info");
    let mut bob = Client::connect(&server, "/chat/lobby").await;
    assert_eq!(bob.json().await["type"], "room-info");
    assert_eq!(ada.json().await["type"], "user-joined");

    ada.send_json(json!({ "text": "hi" })).await;
    for client in [&mut ada, &mut bob] {
        assert_eq!(
            without_timestamp(client.json().await),
            json!({ "type": "chat-message", "message": "hi", "roomId": "lobby" })
        );
    }
}

#[tokio::test]
async fn what_is_no_json_is_answered_to_the_sender() {
    let server = serve(example::app()).await;
    let mut client = Client::connect(&server, "/chat/lobby").await;
    client.json().await;
    client.send("{no json").await;
    assert_eq!(
        client.json().await,
        error("invalid-format", "Invalid message format")
    );
}

#[tokio::test]
async fn a_room_exists_while_it_has_members() {
    use nextrush::{App, RoomManager, Socket};

    let mut app = App::new();
    let rooms = RoomManager::new(&app, "rooms");
    let manager = rooms.clone();
    app.ws(
        "/:room",
        async move |socket: Socket, axum::extract::Path(room): axum::extract::Path<String>| {
            let joined = manager.join_room(&room, &socket).await;
            socket.send(if joined.is_ok() { "in" } else { "out" });
            let manager = manager.clone();
            socket.on_message(async move |socket: Socket, _: nextrush::Message| {
                manager.leave_room(&socket).await;
                socket.send("left");
            });
        },
    );
    let server = serve(app).await;
    assert_eq!(rooms.room_users("red").await, 0);

    let mut ada = Client::connect(&server, "/red").await;
    let mut bob = Client::connect(&server, "/blue").await;
    assert_eq!(ada.text().await, "in");
    assert_eq!(bob.text().await, "in");
    assert_eq!(rooms.room_users("red").await, 1);
    let all: Vec<_> = rooms.all_rooms().await.rooms.into_iter().collect();
    let expected = [("blue", 1), ("red", 1)].map(|(name, count)| (name.parse().unwrap(), count));
    assert_eq!(all, expected);

    ada.send("leave").await;
    assert_eq!(ada.text().await, "left");
    assert_eq!(rooms.room_users("red").await, 0);
    assert_eq!(rooms.all_rooms().await.rooms.len(), 1);
}

#[tokio::test]
async fn managers_of_one_application_have_rooms_of_their_own() {
    use nextrush::{App, RoomManager, Socket};

    let mut app = App::new();
    let [red, blue] = ["red", "blue"].map(|name| RoomManager::new(&app, name));
    let managers = [red.clone(), blue.clone()];
    app.ws("/", async move |socket: Socket| {
        for manager in &managers {
            manager.join_room("lobby", &socket).await?;
        }
        managers[1].leave_room(&socket).await;
        socket.send("in");
        Ok::<(), nextrush::room::JoinError>(())
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    assert_eq!(client.text().await, "in");
    assert_eq!(red.room_users("lobby").await, 1);
    assert_eq!(blue.room_users("lobby").await, 0);
    blue.broadcast_to_room("lobby", "for nobody", None);
    red.broadcast_to_room("lobby", "hello", None);
    assert_eq!(client.text().await, "hello");
}

#[test]
#[should_panic(expected = "has a room manager named \"rooms\" already")]
fn two_managers_of_one_application_have_two_names() {
    use nextrush::{App, RoomManager};

    let app: App = App::new();
    let _first = RoomManager::new(&app, "rooms");
    let _second = RoomManager::new(&app, "rooms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_socket_is_in_one_room_whoever_moves_it() {
    use nextrush::{App, RoomManager, Socket};

    let mut app = App::new();
    let rooms = RoomManager::new(&app, "rooms");
    let handle = app.handle().clone();
    app.ws("/", |socket: Socket| socket.send("in"));
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    client.text().await;
    let socket = handle.local_sockets().remove(0);

    let moving = ["red", "green", "blue"].map(|name| {
        let (rooms, socket) = (rooms.clone(), socket.clone());
        tokio::spawn(async move {
            for _ in 0..20_000 {
                rooms.join_room(name, &socket).await.unwrap();
            }
        })
    });
    for moved in moving {
        moved.await.unwrap();
    }
    let all = rooms.all_rooms().await.rooms;
    assert_eq!(all.values().sum::<usize>(), 1, "{all:?}");
    rooms.leave_room(&socket).await;
    assert!(rooms.all_rooms().await.rooms.is_empty());
}
