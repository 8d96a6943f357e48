use axum::extract::Path;
use nextrush::room::{JoinError, RoomEvent};
use nextrush::{App, Handle, Message, RoomName, Server, Socket, User, UserId};

use crate::support::{Client, serve, within};

/// A server whose sockets obey: `+room` joins, `-room` leaves, `?` lists the
/// rooms. Each command is answered.
async fn obedient() -> (Server, Handle) {
    let mut app = App::new();
    app.ws("/:user", |socket: Socket, Path(user): Path<String>| {
        socket.identify(User::new(user, "")).unwrap();
        socket.on_message(|socket: Socket, message: Message| {
            let text = message.to_string();
            let answer = match text.split_at_checked(1) {
                Some(("+", room)) => format!("{:?}", socket.join(room)),
                Some(("-", room)) => format!("{:?}", socket.leave(room)),
                _ => {
                    let mut rooms: Vec<_> =
                        socket.rooms().iter().map(ToString::to_string).collect();
                    rooms.sort();
                    rooms.join(" ")
                }
            };
            socket.send(answer);
        });
    });
    let handle = app.handle().clone();
    (serve(app).await, handle)
}

async fn ask(client: &mut Client, command: &str) -> String {
    client.send(command).await;
    client.text().await
}

#[tokio::test]
async fn a_socket_joins_and_leaves_rooms() {
    let (server, app) = obedient().await;
    let mut ada = Client::connect(&server, "/ada").await;
    assert_eq!(ask(&mut ada, "+red").await, "Ok(true)");
    assert_eq!(ask(&mut ada, "+red").await, "Ok(false)");
    assert_eq!(ask(&mut ada, "+blue").await, "Ok(true)");
    assert_eq!(ask(&mut ada, "?").await, "blue red");
    assert_eq!(app.room("red").local_len(), 1);

    let mut names: Vec<_> = app
        .local_room_names()
        .iter()
        .map(ToString::to_string)
        .collect();
    names.sort();
    assert_eq!(names, ["blue", "red"]);

    assert_eq!(ask(&mut ada, "-red").await, "true");
    assert_eq!(ask(&mut ada, "-red").await, "false");
    assert_eq!(ask(&mut ada, "?").await, "blue");
    assert!(!app.room("red").has_local_members());
    assert_eq!(
        ask(&mut ada, "+").await,
        format!(
            "{:?}",
            Err::<bool, _>(JoinError::from(RoomName::new("").unwrap_err()))
        )
    );
}

#[tokio::test]
async fn a_message_to_several_rooms_reaches_each_member_once() {
    let (server, app) = obedient().await;
    let mut both = Client::connect(&server, "/both").await;
    let mut red = Client::connect(&server, "/red").await;
    let mut blue = Client::connect(&server, "/blue").await;
    ask(&mut both, "+red").await;
    ask(&mut both, "+blue").await;
    ask(&mut red, "+red").await;
    ask(&mut blue, "+blue").await;

    let rooms = app.rooms(["red", "blue"]);
    assert_eq!(rooms.local_len(), 3);
    rooms.send("all");
    app.room("red").send("end");
    app.room("blue").send("end");
    for client in [&mut both, &mut red, &mut blue] {
        assert_eq!(client.text().await, "all");
        assert_eq!(client.text().await, "end");
    }
    assert_eq!(both.text().await, "end");

    let member = app.user(&UserId::from("both")).local_members().remove(0);
    rooms.except(&member).send("others");
    assert_eq!(red.text().await, "others");
    assert_eq!(blue.text().await, "others");
    assert_eq!(ask(&mut both, "?").await, "blue red");
}

#[tokio::test]
async fn every_device_of_a_user_is_reached() {
    let (server, app) = obedient().await;
    let mut phone = Client::connect(&server, "/ada").await;
    let mut laptop = Client::connect(&server, "/ada").await;
    let mut bob = Client::connect(&server, "/bob").await;
    // The framework's own rooms are not listed.
    for client in [&mut phone, &mut laptop, &mut bob] {
        assert_eq!(ask(client, "?").await, "");
    }
    let ada = app.user(&UserId::from("ada"));
    assert_eq!(ada.local_len(), 2);
    ada.send("for Ada");
    assert_eq!(phone.text().await, "for Ada");
    assert_eq!(laptop.text().await, "for Ada");

    assert_eq!(ada.len().await.sockets, 2);
    let joined = ada.join("hers").await;
    assert_eq!((joined.sockets, joined.unanswered), (2, Vec::new()));
    assert_eq!(app.room("hers").local_len(), 2);
    app.room("hers").send("hers");
    assert_eq!(phone.text().await, "hers");
    assert_eq!(laptop.text().await, "hers");
    assert_eq!(ada.leave("hers").await.sockets, 2);
    assert_eq!(ada.local_leave("hers"), 0);
    assert!(!app.room("hers").has_local_members());

    assert_eq!(ada.close(4000, "kicked").await.sockets, 2);
    assert_eq!(phone.closed().await, (4000, "kicked".into()));
    assert_eq!(laptop.closed().await, (4000, "kicked".into()));
    assert_eq!(ask(&mut bob, "?").await, "");
}

#[tokio::test]
async fn a_socket_belongs_to_the_user_that_it_was_identified_as_last() {
    let (server, app) = obedient().await;
    let mut client = Client::connect(&server, "/ada").await;
    ask(&mut client, "?").await;
    let (ada, bob) = (app.user(&"ada".into()), app.user(&"bob".into()));
    let socket = ada.local_members().remove(0);
    assert_eq!(socket.user(), Some(User::new("ada", "")));

    socket
        .identify(User::new("bob", "bob@example.com"))
        .unwrap();
    assert_eq!(socket.user(), Some(User::new("bob", "bob@example.com")));
    assert!(!ada.has_local_members());
    assert!(bob.contains(&socket));

    // The same user with another address.
    socket
        .identify(User::new("bob", "new@example.com"))
        .unwrap();
    assert!(bob.contains(&socket));
    client.close().await;
    while bob.has_local_members() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        socket.identify(User::new("eve", "")),
        Err(JoinError::Closed)
    );
    assert!(!app.user(&"eve".into()).has_local_members());
}

#[tokio::test]
async fn rooms_are_heard_of_when_they_come_and_go() {
    let (server, app) = obedient().await;
    let mut events = app.local_room_events();
    let mut ada = Client::connect(&server, "/ada").await;
    let mut bob = Client::connect(&server, "/bob").await;
    ask(&mut ada, "+red").await;
    ask(&mut bob, "+red").await;
    ask(&mut ada, "-red").await;
    ask(&mut ada, "+blue").await;
    bob.close().await;
    ada.cut();
    let red: RoomName = "red".parse().unwrap();
    let blue: RoomName = "blue".parse().unwrap();
    let mut next = async || within(events.next()).await.unwrap();
    assert_eq!(next().await, RoomEvent::Created(red.clone()));
    assert_eq!(next().await, RoomEvent::Created(blue.clone()));
    let ends = [next().await, next().await];
    assert!(ends.contains(&RoomEvent::Emptied(red)), "{ends:?}");
    assert!(ends.contains(&RoomEvent::Emptied(blue)), "{ends:?}");
}

#[tokio::test]
async fn who_does_not_take_the_events_of_rooms_is_told_how_many_it_missed() {
    let (server, app) = obedient().await;
    let mut events = app.local_room_events();
    let mut ada = Client::connect(&server, "/ada").await;
    for number in 0..600 {
        ask(&mut ada, &format!("+{number}")).await;
        ask(&mut ada, &format!("-{number}")).await;
    }
    let next = within(events.next()).await;
    // 1,024 are kept. The room of her own sockets is one of those that came.
    assert_eq!(next, Some(RoomEvent::Missed(1201 - 1024)));
    let next = within(events.next()).await;
    let first: RoomName = "88".parse().unwrap();
    assert_eq!(next, Some(RoomEvent::Created(first)));
}

#[tokio::test]
async fn a_socket_can_be_in_as_many_rooms_as_the_application_says() {
    let mut app: App = App::builder().rooms_per_socket(2).build();
    app.ws("/", |socket: Socket| {
        let joins = ["a", "b", "c", "a"].map(|room| format!("{:?}", socket.join(room)));
        socket.send(joins.join(" "));
    });
    let server = serve(app).await;
    let mut ada = Client::connect(&server, "/").await;
    let refused = format!("{:?}", Err::<bool, _>(JoinError::TooManyRooms { limit: 2 }));
    assert_eq!(
        ada.text().await,
        format!("Ok(true) Ok(true) {refused} Ok(false)")
    );
}

#[tokio::test]
async fn a_socket_can_be_in_a_hundred_rooms() {
    let (server, _) = obedient().await;
    let mut ada = Client::connect(&server, "/ada").await;
    for number in 0..100 {
        assert_eq!(ask(&mut ada, &format!("+{number}")).await, "Ok(true)");
    }
    assert_eq!(
        ask(&mut ada, "+one more").await,
        format!(
            "{:?}",
            Err::<bool, _>(JoinError::TooManyRooms { limit: 100 })
        )
    );
    assert_eq!(ask(&mut ada, "+7").await, "Ok(false)");
}

#[tokio::test]
async fn rooms_can_be_sent_to_from_any_thread() {
    let (server, app) = obedient().await;
    let mut ada = Client::connect(&server, "/ada").await;
    ask(&mut ada, "+red").await;
    let room = app.room("red");
    std::thread::spawn(move || {
        for number in 0..100 {
            room.send(number.to_string());
        }
    })
    .join()
    .unwrap();
    for number in 0..100 {
        assert_eq!(ada.text().await, number.to_string());
    }
}

#[tokio::test]
async fn an_http_handler_takes_the_handle() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.join("news").unwrap();
        socket.send("in");
    });
    app.post("/announce", async |app: Handle, text: String| {
        app.room("news").send(text);
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    assert_eq!(client.text().await, "in");

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut http = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let request =
        "POST /announce HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nnew";
    http.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(http.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(client.text().await, "new");
}
