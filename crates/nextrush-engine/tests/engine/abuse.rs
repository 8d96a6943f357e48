//! Clients that keep to the protocol and are a burden all the same.

use std::time::Duration;

use nextrush_engine::PingLimit;
use nextrush_protocol::{Frame, Opcode};

use crate::support::{Gate, Script, masked, world};

#[test]
fn a_message_that_takes_too_long_closes_with_3008() {
    let mut world = world(1);
    let mut peer = world.connect();
    let message = masked(Opcode::Text, b"slowly");
    for byte in &message[..message.len() - 1] {
        peer.client.send(&[*byte]);
        world.seconds(5);
    }
    assert!(peer.received().is_empty());
    world.seconds(5);
    assert_eq!(peer.received(), ["close 3008 message took too long"]);
    assert_eq!(
        peer.log.take(),
        [
            "open",
            "error: message took too long",
            "close 3008 'message took too long' unclean"
        ]
    );
}

#[test]
fn fragments_do_not_prolong_the_time_for_a_message() {
    let mut world = world(1);
    let mut peer = world.connect();
    // A text message that goes on and on.
    peer.client.send(&[0x01, 0x80, 0, 0, 0, 0]);
    for _ in 0..11 {
        world.seconds(5);
        peer.client.send(&[0x00, 0x80, 0, 0, 0, 0]);
        peer.ping("alive");
        world.run();
        assert_eq!(peer.received(), ["pong alive"]);
    }
    world.seconds(5);
    assert_eq!(peer.received(), ["close 3008 message took too long"]);
}

#[test]
fn each_message_has_its_own_time() {
    let mut world = world(1);
    let peer = world.connect_to(Script::default().options(|options| options.heartbeat = None));
    let message = masked(Opcode::Text, b"cut in two");
    let (first, second) = message.split_at(7);
    for _ in 0..10 {
        peer.client.send(first);
        world.seconds(31);
        // The end of one message and the beginning of the next in one piece.
        peer.client.send(second);
    }
    world.seconds(100);
    assert_eq!(peer.log.take().len(), 11);
}

#[test]
fn a_message_that_is_held_back_has_time() {
    let mut world = world(1);
    let gate = Gate::default();
    let waiting = gate.clone();
    let mut peer = world.connect_to(Script::default().on_message(move |_, _| waiting.wait()));
    peer.text("first");
    let message = masked(Opcode::Text, b"second");
    let (start, end) = message.split_at(7);
    peer.client.send(start);
    world.seconds(200);
    peer.client.send(end);
    gate.open();
    world.seconds(1);
    assert!(peer.received().is_empty());
    assert_eq!(peer.log.take(), ["open", "first", "second"]);
}

#[test]
fn too_many_pings_close_with_1008() {
    let mut world = world(1);
    let mut peer = world.connect();
    for number in 0..200 {
        peer.ping(&number.to_string());
    }
    world.run();
    let received = peer.received();
    assert_eq!(received.len(), 101);
    assert_eq!(received[99], "pong 99");
    assert_eq!(received[100], "close 1008 too many pings");
}

#[test]
fn pings_that_keep_to_the_rate_go_on_for_ever() {
    let mut world = world(1);
    let mut peer = world.connect();
    for _ in 0..5_000 {
        peer.ping("");
        world.millis(100);
    }
    assert_eq!(peer.received().len(), 5_000);
}

#[test]
fn a_slow_stream_of_too_many_pings_is_ended_too() {
    let mut world = world(1);
    let mut peer = world.connect();
    for _ in 0..250 {
        peer.ping("");
        world.millis(50);
    }
    let received = peer.received();
    assert!((150..=210).contains(&received.len()), "{}", received.len());
    assert_eq!(received.last().unwrap(), "close 1008 too many pings");
}

#[test]
fn how_many_pings_may_come_is_an_option() {
    let mut world = world(1);
    let script = Script::default().options(|options| {
        options.pings = PingLimit::default()
            .burst(3)
            .interval(Duration::from_secs(1));
    });
    let mut peer = world.connect_to(script);
    for _ in 0..4 {
        peer.ping("");
    }
    world.run();
    let received = peer.received();
    assert_eq!(received[..3], ["pong", "pong", "pong"]);
    assert_eq!(received[3..], ["close 1008 too many pings"]);
}

#[test]
fn hundreds_of_half_messages_are_held_and_others_served() {
    let mut world = world(2);
    let half: Vec<_> = (0..300).map(|_| world.connect()).collect();
    let message = masked(Opcode::Text, &[b'x'; 60_000]);
    for peer in &half {
        peer.client.send(&message[..50_000]);
    }
    world.run();
    let echo = Script::default().on_message(|connection, text| {
        connection.send(Frame::text(text));
        None
    });
    let mut other = world.connect_to(echo);
    other.text("hello");
    world.run();
    assert_eq!(other.received(), ["hello"]);
    for peer in &half {
        peer.client.send(&message[50_000..]);
    }
    world.run();
    assert!(half.iter().all(|peer| peer.log.take().len() == 2));
}
