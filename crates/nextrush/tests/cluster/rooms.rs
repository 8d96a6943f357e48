//! Rooms, users and chats over several nodes, as their clients see them.

use std::time::Duration;

use nextrush::broker::{Asked, Bytes};
use nextrush::testing::{Client, Cluster};
use nextrush::{Handle, Message, UserId};
use serde_json::json;

use crate::support::{all, cluster, join, name, on, routes, taken};

#[tokio::test(start_paused = true)]
async fn a_message_to_rooms_reaches_each_member_on_all_nodes_once() {
    let cluster = cluster(&["a", "b", "c"]);
    let [a, b, c] = ["a", "b", "c"].map(|node| cluster.node(node));
    let mut ada = join(&a, "/rooms/ada/red").await;
    let mut both = join(&b, "/rooms/bob/red,blue").await;
    let mut blue = join(&b, "/rooms/eve/blue").await;
    let mut green = join(&c, "/rooms/joe/green").await;

    ada.send("red one");
    cluster.settle().await;
    both.send("red,blue two");
    cluster.settle().await;
    ada.send("red,blue three");
    ada.send("blue,red four");
    cluster.settle().await;
    assert_eq!(taken(&mut ada), ["two"]);
    assert_eq!(taken(&mut both), ["one", "three", "four"]);
    assert_eq!(taken(&mut blue), ["two", "three", "four"]);
    assert_eq!(taken(&mut green), Vec::<String>::new());

    a.handle().room("blue").local().send("nobody is here");
    a.handle().user(&"bob".into()).send("for Bob");
    let long = "over and ".repeat(10_000);
    c.handle().room("blue").send(Bytes::from(long.clone()));
    cluster.settle().await;
    let binary = Message::Binary(long.into());
    assert_eq!(both.try_recv(), Some(Message::Text("for Bob".into())));
    assert_eq!(both.try_recv(), Some(binary.clone()));
    assert_eq!(blue.try_recv(), Some(binary));
    assert_eq!(blue.try_recv(), None);
}

#[tokio::test(start_paused = true)]
async fn an_application_may_keep_its_rooms_to_each_node() {
    let make = |builder: nextrush::AppBuilder| routes(builder.local_rooms().build());
    let cluster = Cluster::new(1, ["a", "b"], make);
    let mut ada = join(&cluster.node("a"), "/rooms/ada/red").await;
    let mut bob = join(&cluster.node("b"), "/rooms/bob/red").await;
    cluster.node("a").handle().room("red").send("here");
    cluster.node("a").handle().all().send("and here");
    cluster.settle().await;
    assert_eq!(taken(&mut ada), ["here", "and here"]);
    assert!(taken(&mut bob).is_empty());
    let red = async |app: &Handle| app.room("red").len().await;
    assert_eq!(on(&cluster, "a", red).await, all(1));
}

#[tokio::test(start_paused = true)]
async fn all_sockets_of_all_nodes_are_reached_without_a_room() {
    let cluster = cluster(&["a", "b", "c"]);
    let [a, b, c] = ["a", "b", "c"].map(|node| cluster.node(node));
    let mut ada = join(&a, "/rooms/ada/red").await;
    let mut bob = join(&b, "/chat/bob").await;
    let mut eve = join(&c, "/rooms/eve/blue").await;
    taken(&mut bob);
    let socket = a.handle().user(&"ada".into()).local_members().remove(0);

    a.handle().all().send("one");
    cluster.settle().await;
    c.handle().all().send("two");
    cluster.settle().await;
    b.handle().all().local().send("three");
    a.handle().all().except(&socket).send("four");
    cluster.settle().await;
    assert_eq!(taken(&mut ada), ["one", "two"]);
    assert_eq!(taken(&mut bob), ["one", "two", "three", "four"]);
    assert_eq!(taken(&mut eve), ["one", "two", "four"]);

    let everybody = a.handle().all();
    assert!(everybody.contains(&socket) && !everybody.clone().except(&socket).contains(&socket));
    assert_eq!(everybody.local_len(), 1);
    let len = async |app: &Handle| app.all().len().await;
    assert_eq!(on(&cluster, "b", len).await, all(3));
    let join = async |app: &Handle| app.all().join("everybody").await;
    assert_eq!(on(&cluster, "b", join).await, all(3));
    let room = async |app: &Handle| app.room("everybody").len().await;
    assert_eq!(on(&cluster, "c", room).await, all(3));
    let deliver = async |app: &Handle| app.all().deliver("five").await;
    assert_eq!(on(&cluster, "c", deliver).await, all(3));
    cluster.settle().await;
    for client in [&mut ada, &mut bob, &mut eve] {
        assert_eq!(taken(client), ["five"]);
    }

    assert_eq!(c.handle().all().local_close(4000, "here"), 1);
    assert_eq!(eve.closed().await.unwrap().reason(), "here");
    cluster.pause("b");
    let close = async |app: &Handle| app.all().close(4001, "end").await;
    let closed = on(&cluster, "a", close).await;
    assert_eq!((closed.sockets, closed.unanswered), (1, vec![name("b")]));
    assert_eq!(ada.closed().await.unwrap().reason(), "end");
}

#[tokio::test(start_paused = true)]
async fn what_is_done_to_a_room_is_done_on_all_nodes_and_says_who_did_not_answer() {
    let cluster = cluster(&["a", "b", "c"]);
    let mut ada = join(&cluster.node("a"), "/rooms/ada/red").await;
    let mut bob = join(&cluster.node("b"), "/rooms/bob/red,blue").await;
    let mut eve = join(&cluster.node("c"), "/rooms/eve/blue").await;
    let colours = async |app: &Handle| app.rooms(["red", "blue"]).len().await;
    assert_eq!(on(&cluster, "b", colours).await, all(3));
    assert_eq!(
        on(&cluster, "c", async |app| app.room("red").join("all").await).await,
        all(2)
    );
    assert_eq!(
        on(&cluster, "a", async |app| app
            .room("all")
            .deliver("hi")
            .await)
        .await,
        all(2)
    );
    cluster.settle().await;
    assert_eq!(taken(&mut ada), ["hi"]);
    assert_eq!(taken(&mut bob), ["hi"]);
    let leave = async |app: &Handle| app.user(&"bob".into()).leave("all").await;
    assert_eq!(on(&cluster, "c", leave).await, all(1));
    assert_eq!(
        on(&cluster, "b", async |app| app.room("all").len().await).await,
        all(1)
    );

    cluster.pause("b");
    let before = tokio::time::Instant::now();
    let closed = on(&cluster, "a", async |app| {
        app.rooms(["red", "blue"]).close(4000, "end").await
    });
    let closed = closed.await;
    assert_eq!((closed.sockets, closed.unanswered), (2, vec![name("b")]));
    assert!(before.elapsed() < Duration::from_secs(3));
    for client in [&mut ada, &mut eve] {
        assert_eq!(client.closed().await.unwrap().reason(), "end");
    }
    // A node that counts as dead is not asked any more.
    cluster.advance(Duration::from_secs(10)).await;
    assert_eq!(
        on(&cluster, "a", async |app| app.room("red").len().await).await,
        all(0)
    );
    cluster.resume("b");
    assert_eq!(
        on(&cluster, "a", async |app| app.room("red").len().await).await,
        all(1)
    );

    // Who cannot ask knows at least who was there.
    cluster.advance(Duration::from_secs(4)).await;
    cluster.cut("a");
    let cut = on(&cluster, "a", async |app| app.room("red").len().await).await;
    assert_eq!(
        (cut.sockets, cut.unanswered),
        (0, vec![name("b"), name("c")])
    );
    assert!(cut.others_unknown);
}

#[tokio::test(start_paused = true)]
async fn a_disconnected_user_is_closed_on_all_nodes_and_denied_for_10_s() {
    let cluster = cluster(&["a", "b", "c"]);
    let mut phone = join(&cluster.node("a"), "/rooms/ada/red").await;
    let mut laptop = join(&cluster.node("b"), "/rooms/ada/red").await;
    let mut bob = join(&cluster.node("b"), "/rooms/bob/red").await;
    cluster.cut("c");
    let mut cut = join(&cluster.node("c"), "/rooms/ada/red").await;
    let ada = UserId::from("ada");
    let disconnect = async |app: &Handle| app.disconnect(&ada, 4001, "kicked").await;
    let reached = on(&cluster, "a", disconnect).await;
    assert_eq!((reached.sockets, reached.unanswered), (2, vec![name("c")]));
    for client in [&mut phone, &mut laptop] {
        assert_eq!(client.closed().await.unwrap().reason(), "kicked");
    }
    // A node that did not hear it hears it when it is back.
    assert!(!cut.is_closed());
    cluster.mend("c");
    cluster.advance(Duration::from_secs(3)).await;
    assert_eq!(cut.closed().await.unwrap().reason(), "kicked");

    for node in ["a", "b", "c"] {
        let mut again = join(&cluster.node(node), "/rooms/ada/red").await;
        assert_eq!(again.closed().await.unwrap().reason(), "kicked", "{node}");
    }
    cluster.start("d");
    cluster.settle().await;
    let mut elsewhere = join(&cluster.node("d"), "/rooms/ada/red").await;
    assert_eq!(elsewhere.closed().await.unwrap().reason(), "kicked");
    cluster.advance(Duration::from_secs(11)).await;
    let back = join(&cluster.node("b"), "/rooms/ada/red").await;
    cluster.advance(Duration::from_secs(5)).await;
    back.send("red I am back");
    assert_eq!(bob.text().await, "I am back");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_ends_on_all_nodes_and_the_user_s_others_stay() {
    let cluster = cluster(&["a", "b", "c"]);
    let mut laptop = join(&cluster.node("a"), "/sessions/ada/1").await;
    let mut tab = join(&cluster.node("b"), "/sessions/ada/1").await;
    let phone = join(&cluster.node("b"), "/sessions/ada/2").await;
    let all_of_it = async |app: &Handle| app.session("1").len().await;
    assert_eq!(on(&cluster, "c", all_of_it).await, all(2));
    let disconnect = async |app: &Handle| app.disconnect_session("1", 1008, "Signed out").await;
    assert_eq!(on(&cluster, "c", disconnect).await, all(2));
    for client in [&mut laptop, &mut tab] {
        assert_eq!(client.closed().await.unwrap().reason(), "Signed out");
    }
    // One that was on its way to a node meanwhile.
    let mut late = join(&cluster.node("a"), "/sessions/ada/1").await;
    assert_eq!(late.closed().await.unwrap().reason(), "Signed out");
    assert!(!phone.is_closed());
    let everywhere = async |app: &Handle| app.disconnect(&"ada".into(), 1008, "bye").await;
    assert_eq!(on(&cluster, "a", everywhere).await, all(1));
}

async fn whisper(client: &mut Client, to: &str, text: &str, id: &str) -> serde_json::Value {
    let whisper = json!({ "type": "private", "targetUserId": to, "text": text, "id": id });
    client.send_json(&whisper);
    loop {
        let answer = client.json().await;
        if answer["id"] == id {
            return answer;
        }
    }
}

async fn next_of(client: &mut Client, kind: &str) -> serde_json::Value {
    loop {
        let message = client.json().await;
        if message["type"] == kind {
            return message;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn private_messages_and_typing_reach_other_nodes() {
    let cluster = cluster(&["a", "b", "c"]);
    let mut ada = join(&cluster.node("a"), "/chat/ada").await;
    let mut phone = join(&cluster.node("b"), "/chat/bob").await;
    let mut laptop = join(&cluster.node("c"), "/chat/bob").await;

    ada.send_json(&json!({ "type": "typing", "isTyping": true }));
    for bob in [&mut phone, &mut laptop] {
        let typing = next_of(bob, "typing").await;
        assert_eq!(
            (&typing["user"]["id"], &typing["isTyping"]),
            (&json!("ada"), &json!(true))
        );
    }

    assert_eq!(
        whisper(&mut ada, "bob", "psst", "1").await["type"],
        "private-message-sent"
    );
    for bob in [&mut phone, &mut laptop] {
        assert_eq!(next_of(bob, "private-message").await["text"], "psst");
    }
    // A repeat is sent to nobody again.
    assert_eq!(
        whisper(&mut ada, "bob", "psst", "1").await["type"],
        "private-message-sent"
    );
    assert_eq!(
        whisper(&mut ada, "bob", "last", "2").await["type"],
        "private-message-sent"
    );
    assert_eq!(next_of(&mut phone, "private-message").await["text"], "last");
    assert_eq!(
        whisper(&mut ada, "eve", "psst", "3").await["code"],
        "user-offline"
    );
    // A node that hears nothing may have her.
    cluster.pause("c");
    assert_eq!(
        whisper(&mut ada, "eve", "psst", "4").await["code"],
        "unavailable"
    );
    assert_eq!(
        whisper(&mut ada, "bob", "still", "5").await["type"],
        "private-message-sent"
    );
    cluster.crash("c");
    cluster.advance(Duration::from_secs(10)).await;
    assert_eq!(
        whisper(&mut ada, "eve", "psst", "4").await["code"],
        "user-offline"
    );
}

#[tokio::test(start_paused = true)]
async fn others_that_were_never_known_are_unknown_and_not_none() {
    let cluster = cluster(&["a", "b"]);
    let mut ada = join(&cluster.node("a"), "/chat/ada").await;
    let _bob = join(&cluster.node("b"), "/chat/bob").await;
    // Before the first has looked again.
    cluster.cut("a");
    let bob = UserId::from("bob");
    let reached = on(&cluster, "a", async |app| {
        app.disconnect(&bob, 4001, "kicked").await
    })
    .await;
    assert_eq!((reached.sockets, reached.unanswered.len()), (0, 0));
    assert!(reached.others_unknown);
    ada.send_json(&json!({ "type": "private", "targetUserId": "bob", "text": "psst" }));
    assert_eq!(next_of(&mut ada, "error").await["code"], "unavailable");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_count_as_living_does_not_know_the_others() {
    let cluster = cluster(&["a", "b"]);
    let nodes = cluster.server().nodes();
    nodes.set_silent(&name("a"), true);
    cluster.advance(Duration::from_secs(11)).await;
    let app = cluster.node("a").handle().clone();
    assert!(app.nodes().await.is_err() && app.living_nodes().await.is_err());
    let reached = app.room("red").len().await;
    assert_eq!(reached.unanswered, [name("b")]);
    assert!(reached.others_unknown);
    nodes.set_silent(&name("a"), false);
    assert!(!app.room("red").len().await.others_unknown);
}

#[tokio::test(start_paused = true)]
async fn nodes_ask_and_tell_each_other() {
    let cluster = cluster(&["a", "b"]);
    for node in ["a", "b"] {
        let app = cluster.node(node).handle().clone();
        app.answer(
            "name",
            async |app: Handle, from: nextrush::node::From, question: Bytes| {
                assert_eq!(from.is_this, from.node == *app.node());
                (question == "who").then(|| app.node().to_string().into())
            },
        );
        app.hear(
            "said",
            |app: &Handle, from: &nextrush::node::From, text: Bytes| {
                let text = String::from_utf8_lossy(&text);
                app.room("red")
                    .local()
                    .send(format!("{} says {text}", from.node));
            },
        );
    }
    cluster.settle().await;
    let mut ada = join(&cluster.node("a"), "/rooms/ada/red").await;
    let mut bob = join(&cluster.node("b"), "/rooms/bob/red").await;
    cluster.node("b").handle().tell("said", "hello".into());
    cluster.settle().await;
    assert_eq!(taken(&mut ada), ["b says hello"]);
    assert!(taken(&mut bob).is_empty());

    let ask = async |kind: &'static str, question: &'static str| {
        let ask = async |app: &Handle| app.ask(kind, &Asked::All, question.into()).await;
        on(&cluster, "a", ask).await.unwrap()
    };
    let answered = ask("name", "who").await;
    let expected = ["a", "b"].map(|node| (name(node), Bytes::from(node)));
    assert_eq!(
        (answered.answers.as_slice(), answered.silent.len()),
        (&expected[..], 0)
    );
    assert_eq!(ask("name", "what").await.silent, [name("a"), name("b")]);
    assert_eq!(ask("another kind", "").await.silent, [name("a"), name("b")]);
    assert_eq!(cluster.node("a").handle().node(), &name("a"));
    let nodes = on(&cluster, "a", async |app| app.nodes().await.unwrap()).await;
    assert_eq!(nodes, [name("a"), name("b")]);

    let living = async |app: &Handle| app.living_nodes().await.unwrap();
    let before = on(&cluster, "a", living).await;
    cluster.crash("b");
    cluster.start("b");
    cluster.settle().await;
    let after = on(&cluster, "a", living).await;
    assert_eq!(before[0], after[0]);
    assert_eq!((after.len(), &after[1].node), (2, &name("b")));
    assert_ne!(before[1].boot, after[1].boot);
}

#[tokio::test(start_paused = true)]
async fn nodes_of_two_versions_understand_each_other_and_a_third_does_not_start() {
    // The old one is started first, then one after the other is updated.
    let version = std::rc::Rc::new(std::cell::Cell::new(1));
    let set = std::rc::Rc::clone(&version);
    let cluster = Cluster::new(1, ["a", "b"], move |builder| {
        routes(builder.node_version(version.get()).build())
    });
    let talk = async || {
        let mut ada = join(&cluster.node("a"), "/rooms/ada/red").await;
        let mut bob = join(&cluster.node("b"), "/rooms/bob/red").await;
        ada.send("red from a");
        bob.send("red from b");
        cluster.settle().await;
        assert_eq!(
            (taken(&mut ada), taken(&mut bob)),
            (vec!["from b".into()], vec!["from a".into()])
        );
        assert_eq!(
            on(&cluster, "b", async |app| app.room("red").len().await).await,
            all(2)
        );
        drop((ada, bob));
        cluster.settle().await;
    };
    talk().await;
    set.set(2);
    cluster.stop("a", Duration::ZERO).await;
    cluster.start("a");
    cluster.settle().await;
    talk().await;
    cluster.stop("b", Duration::ZERO).await;
    cluster.start("b");
    cluster.settle().await;
    cluster.advance(Duration::from_secs(4)).await;
    // Both write the new version from now on, which the old one would not understand.
    talk().await;
    set.set(1);
    cluster.start("c");
    cluster.settle().await;
    cluster.advance(Duration::from_secs(4)).await;
    let mut late = join(&cluster.node("c"), "/rooms/eve/red").await;
    cluster
        .node("a")
        .handle()
        .room("red")
        .send("in the old version again");
    assert_eq!(late.text().await, "in the old version again");

    drop(late);
    set.set(4);
    let stranger = cluster.start("d");
    cluster.settle().await;
    assert_eq!(
        stranger.handle().failure(),
        Some("its place among the nodes")
    );
    assert!(stranger.connect("/rooms/joe/red").await.is_err());
    // Its process ends, and the others notice.
    cluster.crash("d");
    cluster.advance(Duration::from_secs(10)).await;
    talk().await;
}

#[tokio::test(start_paused = true)]
async fn nodes_that_are_drained_together_send_their_clients_back_one_after_the_other() {
    let cluster = cluster(&["a", "b", "c"]);
    cluster.advance(Duration::from_secs(60)).await;
    let mut clients = Vec::new();
    for node in ["a", "b"] {
        for _ in 0..2 {
            clients.push(join(&cluster.node(node), "/rooms/ada/red").await);
        }
    }
    let (a, b) = (cluster.node("a"), cluster.node("b"));
    let window = Duration::from_secs(10);
    let both = async { tokio::join!(a.handle().drain(window), b.handle().drain(window)) };
    cluster.run_until(both).await;
    let mut after = Vec::new();
    for client in &mut clients {
        let frame = client.closed().await.unwrap();
        let reason = frame.reason().strip_prefix("reconnect after ").unwrap();
        after.push(reason.strip_suffix(" ms").unwrap().parse::<u64>().unwrap());
    }
    after.sort_unstable();
    let spread = [0, 5_000, 10_000, 15_000];
    for (after, expected) in after.iter().zip(spread) {
        assert!(after.abs_diff(expected) < 100, "{after} ms, not {expected}");
    }
}
