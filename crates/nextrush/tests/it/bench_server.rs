use clap::Parser;
use nextrush::Server;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, serve};

#[path = "../../../../examples/bench_server.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

async fn bench_server() -> Server {
    let arguments = example::Arguments::parse_from(["bench_server", "--shards", "2"]);
    serve(example::app(&arguments).unwrap()).await
}

#[tokio::test]
async fn what_a_member_says_goes_as_it_is_to_all_members_itself_included() {
    let server = bench_server().await;
    let mut member = Client::connect(&server, "/room/a").await;
    let mut stranger = Client::connect(&server, "/room/b").await;
    // Who hears itself is in its room.
    member.send("here").await;
    assert_eq!(member.text().await, "here");
    let mut speaker = Client::connect(&server, "/room/a").await;
    for message in [
        Message::Text("héllo".into()),
        Message::Binary("\0\u{1}".into()),
    ] {
        speaker.send_message(message.clone()).await;
        assert_eq!(speaker.next().await, Some(message.clone()));
        assert_eq!(member.next().await, Some(message));
    }
    stranger.send("mine").await;
    assert_eq!(stranger.text().await, "mine");
}

#[tokio::test]
async fn a_silent_member_of_many_rooms_hears_each_of_them() {
    let server = bench_server().await;
    let mut member = Client::connect(&server, "/rooms/5/2").await;
    assert_eq!(member.text().await, "joined");
    for room in ["/room/room-5", "/room/room-6"] {
        let mut speaker = Client::connect(&server, room).await;
        speaker.send(room).await;
        assert_eq!(member.text().await, room);
    }
}

#[tokio::test]
async fn a_chat_message_is_told_with_its_author() {
    let server = bench_server().await;
    let mut member = Client::connect(&server, "/chat/a?user=7").await;
    assert!(member.text().await.contains("room-history"));
    member
        .send(r#"{"type":"chat","text":"hello"}"#.to_owned())
        .await;
    let told: serde_json::Value = serde_json::from_str(&member.text().await).unwrap();
    assert_eq!(told["text"], "hello");
    assert_eq!(told["user"]["id"], 7);
}
