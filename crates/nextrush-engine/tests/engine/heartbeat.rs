//! Clients that go away silently.

use std::time::Duration;

use nextrush_engine::{ConnectionState, Heartbeat};
use nextrush_protocol::Opcode;

use crate::support::{Gate, Peer, Script, world};

const NOTHING: [&str; 0] = [];

#[test]
fn a_silent_client_is_pinged_and_told_that_it_is_closed_when_it_does_not_answer() {
    let mut world = world(1);
    let mut peer = world.connect();
    world.seconds(25);
    assert_eq!(peer.received(), NOTHING);
    world.millis(300);
    assert_eq!(peer.received(), ["ping"]);
    world.millis(9_700);
    assert_eq!(peer.connection.state(), ConnectionState::Open);
    world.millis(500);
    assert_eq!(
        peer.log.take(),
        [
            "open",
            "error: no answer to a ping",
            "close 3008 'no answer to a ping' unclean"
        ]
    );
    assert_eq!(peer.received(), ["close 3008 no answer to a ping"]);
    assert!(!peer.client.is_closed());
    world.seconds(2);
    assert!(peer.client.is_closed());
    assert_eq!(world.engine().connections(), 0);
}

#[test]
fn a_client_that_answers_pings_stays() {
    let mut world = world(1);
    let mut peer = world.connect();
    let mut pings = 0;
    for _ in 0..600 {
        world.seconds(1);
        for ping in peer.received() {
            assert_eq!(ping, "ping");
            pings += 1;
            peer.send(Opcode::Pong, b"");
        }
    }
    assert_eq!(peer.connection.state(), ConnectionState::Open);
    // One for each 25 s of silence, and a little.
    assert!((20..=24).contains(&pings), "{pings}");
}

#[test]
fn a_client_that_reads_slowly_is_there_until_it_reads_no_more() {
    let mut world = world(1);
    let script = Script::default().options(|options| {
        options.backlog.age = Duration::from_secs(3600);
    });
    let peer = world.connect_to(script);
    peer.client.set_window(100);
    peer.send_text(&"x".repeat(60_000));
    // A ping could not be answered in time: it would wait behind all that.
    for _ in 0..600 {
        world.seconds(1);
        assert!(peer.client.take_up_to(50).len() == 50);
    }
    assert_eq!(peer.connection.state(), ConnectionState::Open);
    world.seconds(34);
    assert_eq!(peer.connection.state(), ConnectionState::Open);
    world.seconds(6);
    assert_eq!(world.engine().connections(), 0);
}

#[test]
fn a_client_that_talks_is_not_pinged() {
    let mut world = world(1);
    let mut peer = world.connect();
    for _ in 0..20 {
        world.seconds(20);
        // Any byte counts, even half a frame.
        peer.client.send(&[0x89]);
        world.run();
        peer.client.send(&[0x80, 0, 0, 0, 0]);
        world.run();
        assert_eq!(peer.received(), ["pong"]);
    }
    assert_eq!(peer.log.take(), ["open"]);
}

#[test]
fn a_byte_that_came_in_time_saves_a_pinged_client() {
    let mut world = world(1);
    let mut peer = world.connect();
    world.seconds(26);
    assert_eq!(peer.received(), ["ping"]);
    world.seconds(9);
    peer.text("no pong, but alive");
    world.seconds(20);
    assert_eq!(peer.log.take(), ["open", "no pong, but alive"]);
    assert_eq!(peer.received(), NOTHING);
    world.seconds(6);
    assert_eq!(peer.received(), ["ping"]);
}

#[test]
fn without_a_heartbeat_silence_means_nothing() {
    let mut world = world(1);
    let script = Script::default().options(|options| options.heartbeat = None);
    let mut peer = world.connect_to(script);
    world.seconds(100_000);
    assert_eq!(peer.received(), NOTHING);
    assert_eq!(peer.connection.state(), ConnectionState::Open);
}

#[test]
fn a_client_that_is_not_listened_to_is_not_called_silent() {
    let mut world = world(1);
    let gate = Gate::default();
    let script = {
        let gate = gate.clone();
        Script::default().on_message(move |_, _| gate.wait())
    };
    let mut peer = world.connect_to(script);
    peer.text("takes long");
    world.run();
    peer.text("held back");
    world.seconds(1_000);
    assert_eq!(peer.log.take(), ["open", "takes long"]);
    assert_eq!(peer.received(), NOTHING);
    gate.open();
    world.run();
    assert_eq!(peer.log.take(), ["held back"]);
    world.seconds(27);
    assert_eq!(peer.received(), ["ping"]);
}

#[test]
fn endpoints_have_their_own_rhythm() {
    let mut world = world(1);
    let quick = Heartbeat::default()
        .interval(Duration::from_secs(1))
        .timeout(Duration::from_millis(500));
    let script = Script::default().options(|options| options.heartbeat = Some(quick));
    let mut slow = world.connect();
    let mut fast = world.connect_to(script);
    world.seconds(1);
    assert_eq!(fast.received(), NOTHING);
    world.millis(300);
    assert_eq!(fast.received(), ["ping"]);
    world.millis(800);
    assert_eq!(fast.received(), ["close 3008 no answer to a ping"]);
    assert_eq!(slow.received(), NOTHING);
    world.seconds(24);
    assert_eq!(slow.received(), ["ping"]);
}

#[test]
fn many_silent_clients_are_each_pinged_once_and_not_all_in_one_instant() {
    let mut world = world(1);
    let mut peers: Vec<_> = (0..5_000).map(|_| world.connect()).collect();
    world.millis(25_150);
    let at_once = peers
        .iter_mut()
        .map(Peer::received)
        .filter(|received| *received == ["ping"])
        .count();
    assert!(at_once < 2_500, "{at_once}");
    world.millis(1_300);
    let later = peers
        .iter_mut()
        .map(Peer::received)
        .filter(|received| *received == ["ping"])
        .count();
    assert_eq!(at_once + later, 5_000);
}
