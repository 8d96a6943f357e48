//! The metrics of an engine.

use std::thread;
use std::time::Duration;

use futures_util::SinkExt;
use nextrush_engine::{Backlog, Counts};
use nextrush_protocol::Frame;
use tokio_tungstenite::tungstenite::Message;

use crate::real::{client, engine, next, serve, tcp_pair};
use crate::support::{Log, Script, World, masked, world};

fn counts(world: &World) -> Counts {
    world.engine().metrics().total().counts
}

#[test]
fn messages_and_bytes_are_counted_as_they_go_over_the_wire() {
    let mut world = world(2);
    let echo = |connection: &nextrush_engine::Connection, text: &str| {
        connection.send(Frame::text(text));
        None
    };
    let peers: Vec<_> = (0..4)
        .map(|_| world.connect_to(Script::default().on_message(echo)))
        .collect();
    let room = world.engine().room("lobby");
    for peer in &peers {
        peer.connection.join(&room).unwrap();
        peer.text("hello");
        peer.ping("x");
    }
    world.run();
    let after_echo = counts(&world);
    assert_eq!((after_echo.connections, after_echo.accepted), (4, 4));
    // Pings are bytes, but no messages.
    assert_eq!((after_echo.messages_in, after_echo.messages_out), (4, 4));
    let hello = masked(nextrush_protocol::Opcode::Text, b"hello").len() as u64;
    let ping = masked(nextrush_protocol::Opcode::Ping, b"x").len() as u64;
    assert_eq!(after_echo.bytes_in, 4 * (hello + ping));
    assert_eq!(after_echo.bytes_out, 4 * (7 + 3));

    room.publish(Frame::text("to all"));
    room.publish(Frame::text("again"));
    room.publish_except(Frame::text("not to one"), &[peers[0].connection.id()]);
    world.run();
    let after_room = counts(&world);
    assert_eq!(after_room.messages_out - after_echo.messages_out, 4 + 4 + 3);
    let bytes = 4 * 8 + 4 * 7 + 3 * 12;
    assert_eq!(after_room.bytes_out - after_echo.bytes_out, bytes);

    let shards = world.engine().metrics().shards;
    let per_shard: Vec<_> = shards.iter().map(|shard| shard.counts.accepted).collect();
    assert_eq!(per_shard, [2, 2]);
}

#[test]
fn a_slow_reader_is_waited_for_until_it_reads_or_goes() {
    let mut world = world(1);
    let slow_script = || {
        Script::default().options(|options| {
            options.backlog = Backlog::default().bytes(1_000).age(Duration::from_secs(60));
        })
    };
    let mut reads_later = world.connect_to(slow_script());
    let goes = world.connect_to(slow_script());
    let is_cut = world.connect_to(slow_script());
    let quick = world.connect();
    let room = world.engine().room("news");
    for peer in [&reads_later, &goes, &is_cut] {
        peer.client.set_window(100);
    }
    for peer in [&reads_later, &goes, &is_cut, &quick] {
        peer.connection.join(&room).unwrap();
    }
    // 250 bytes each on the wire, of which the slow ones take 100.
    for _ in 0..2 {
        room.publish(Frame::text(&"x".repeat(246)));
        world.run();
    }
    let now = counts(&world);
    assert_eq!((now.waiting, now.backlog_bytes), (3, 3 * 400));
    assert_eq!(now.bytes_out, 3 * 100 + 500);

    while reads_later.connection.buffered() > 0 {
        reads_later.received();
        world.run();
    }
    let now = counts(&world);
    assert_eq!((now.waiting, now.backlog_bytes), (2, 2 * 400));

    goes.client.reset();
    world.run();
    let now = counts(&world);
    assert_eq!((now.waiting, now.backlog_bytes), (1, 400));
    assert_eq!((now.connections, now.slow_readers_closed), (3, 0));

    for _ in 0..4 {
        is_cut.send_text(&"x".repeat(246));
        world.run();
    }
    let now = counts(&world);
    assert_eq!(now.slow_readers_closed, 1);
    world.seconds(10);
    let now = counts(&world);
    assert_eq!((now.waiting, now.backlog_bytes), (0, 0));
    assert_eq!((now.connections, now.accepted), (2, 4));
}

#[test]
fn after_the_end_nothing_is_held() {
    let mut world = world(1);
    let peer = world.connect();
    peer.client.set_window(10);
    peer.send_text("more than the window");
    world.run();
    assert_eq!(counts(&world).waiting, 1);
    let engine = world.engine().clone();
    drop(world);
    let held = engine.metrics().total().counts;
    assert_eq!(
        (held.connections, held.waiting, held.backlog_bytes),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn a_turn_in_which_a_handler_blocks_is_a_long_one() {
    let engine = engine(1);
    let blocked = Duration::from_millis(30);
    let script = Script::default().on_message(move |connection, text| {
        if text == "block" {
            thread::sleep(blocked);
        }
        connection.send(Frame::text(text));
        None
    });
    let (stream, transport) = tcp_pair().await;
    serve(&engine, transport, script, Log::default()).await;
    let mut client = client(stream).await;
    // A turn is counted before the next one begins.
    let mut exchange = async |text: &'static str| {
        client.send(Message::text(text)).await.unwrap();
        next(&mut client).await
    };
    exchange("block").await;
    exchange("pass").await;
    let blocking = engine.metrics().total().turns;
    assert!(blocking.max() > Some(blocked), "{blocking:?}");
    assert!(blocking.within(0.1) < Some(blocked), "{blocking:?}");
    exchange("pass").await;
    let since = engine.metrics().total().turns.since(&blocking);
    assert!(since.count() >= 1, "{since:?}");
}

#[test]
fn what_a_counted_connection_has_carried_is_told_at_its_end() {
    let mut world = world(1);
    let echo = |connection: &nextrush_engine::Connection, text: &str| {
        connection.send(Frame::text(text));
        None
    };
    let room = world.engine().room("lobby");
    let counted = world.connect_to(Script::default().on_message(echo).counted());
    let other = world.connect_to(Script::default().on_message(echo));
    for peer in [&counted, &other] {
        peer.connection.join(&room).unwrap();
        peer.text("hello");
    }
    world.run();
    // As a member of a room, too, and at once with others.
    room.publish(Frame::text("to all"));
    room.publish(Frame::text("again"));
    world.run();
    counted.close(1000, "");
    other.close(1000, "");
    world.run();
    let masked = |opcode, payload: &[u8]| masked(opcode, payload).len();
    let hello = masked(nextrush_protocol::Opcode::Text, b"hello");
    let close = masked(nextrush_protocol::Opcode::Close, &[3, 232]);
    let (bytes_in, bytes_out) = (hello + close, 7 + 8 + 7);
    let log = counted.log.take();
    let told = format!("ended 1000: {bytes_in} in, {bytes_out} out");
    assert_eq!(
        log[log.len() - 2..],
        [told, "close 1000 '' clean".to_owned()]
    );
    assert!(
        other
            .log
            .take()
            .iter()
            .all(|entry| !entry.starts_with("ended"))
    );
}
