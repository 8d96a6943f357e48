//! Timers of connections.

use std::sync::Arc;
use std::time::Duration;

use nextrush_engine::{Connection, TimerId};
use nextrush_protocol::Frame;

use crate::support::{Gate, Log, Script, world};

const NOTHING: [&str; 0] = [];

fn note(connection: &Connection, millis: u64, log: &Log, entry: &'static str) -> TimerId {
    let log = log.clone();
    connection.set_timer(
        Duration::from_millis(millis),
        Box::new(move || {
            log.add(entry);
            None
        }),
    )
}

#[test]
fn a_timer_runs_once_at_its_time() {
    let mut world = world(1);
    let log = Log::default();
    let peer = world.connect();
    note(&peer.connection, 1_000, &log, "ran");
    world.millis(999);
    assert_eq!(log.take(), NOTHING);
    world.millis(1);
    assert_eq!(log.take(), ["ran"]);
    world.seconds(10);
    assert_eq!(log.take(), NOTHING);
}

#[test]
fn timers_run_in_the_order_of_their_times_then_of_their_setting() {
    let mut world = world(1);
    let log = Log::default();
    let peer = world.connect();
    note(&peer.connection, 300, &log, "third");
    note(&peer.connection, 100, &log, "first");
    note(&peer.connection, 100, &log, "second");
    note(&peer.connection, 0, &log, "at once");
    world.seconds(1);
    assert_eq!(log.take(), ["at once", "first", "second", "third"]);
}

#[test]
fn a_cancelled_timer_does_not_run_and_is_dropped() {
    let mut world = world(1);
    let peer = world.connect();
    let held = Arc::new(());
    let timer = {
        let held = Arc::clone(&held);
        peer.connection.set_timer(
            Duration::from_secs(1),
            Box::new(move || panic!("cancelled: {held:?}")),
        )
    };
    world.run();
    assert_eq!(Arc::strong_count(&held), 2);
    peer.connection.cancel_timer(timer);
    peer.connection.cancel_timer(timer);
    world.run();
    assert_eq!(Arc::strong_count(&held), 1);
    world.seconds(2);
    assert_eq!(peer.log.take(), ["open"]);
}

#[test]
fn a_timer_can_be_cancelled_by_one_of_the_same_time() {
    let mut world = world(1);
    let log = Log::default();
    let peer = world.connect();
    let connection = peer.connection.clone();
    let slot = Arc::new(std::sync::Mutex::new(None));
    let first = Arc::clone(&slot);
    peer.connection.set_timer(
        Duration::from_secs(1),
        Box::new(move || {
            connection.cancel_timer(first.lock().unwrap().unwrap());
            None
        }),
    );
    *slot.lock().unwrap() = Some(note(&peer.connection, 1_000, &log, "cancelled"));
    world.seconds(2);
    assert_eq!(log.take(), NOTHING);
}

#[test]
fn a_message_of_the_same_instant_comes_before_the_timer_that_it_cancels() {
    let mut world = world(1);
    let timer = Arc::new(std::sync::Mutex::new(None));
    let script = {
        let timer = Arc::clone(&timer);
        Script::default().on_message(move |connection, _| {
            connection.cancel_timer(timer.lock().unwrap().unwrap());
            None
        })
    };
    let peer = world.connect_to(script);
    let log = peer.log.clone();
    *timer.lock().unwrap() = Some(note(&peer.connection, 1_000, &log, "too late"));
    world.millis(999);
    peer.text("in time");
    world.millis(1);
    assert_eq!(peer.log.take(), ["open", "in time"]);
}

#[test]
fn timers_are_dropped_when_their_connection_closes() {
    let mut world = world(1);
    let peer = world.connect();
    let held = Arc::new(());
    for _ in 0..2 {
        let held = Arc::clone(&held);
        peer.connection.set_timer(
            Duration::from_secs(1),
            Box::new(move || panic!("closed: {held:?}")),
        );
    }
    world.run();
    assert_eq!(Arc::strong_count(&held), 3);
    peer.close(1000, "");
    world.run();
    assert_eq!(Arc::strong_count(&held), 1);
    world.seconds(2);
    assert_eq!(peer.log.take(), ["open", "close 1000 '' clean"]);
}

#[test]
fn a_timer_may_set_itself_again_without_a_pause_and_others_get_their_turn() {
    fn again(connection: &Connection, left: u32) {
        let next = connection.clone();
        connection.set_timer(
            Duration::ZERO,
            Box::new(move || {
                if left == 0 {
                    next.send(Frame::text("enough"));
                } else {
                    again(&next, left - 1);
                }
                None
            }),
        );
    }

    let mut world = world(1);
    let mut peer = world.connect();
    again(&peer.connection, 1_000);
    peer.ping("still there?");
    // The next one is due later, if only by a nanosecond: never in the same turn.
    world.run();
    assert_eq!(peer.received(), ["pong still there?"]);
    world.millis(1);
    assert_eq!(peer.received(), ["enough"]);
}

#[test]
fn the_work_of_a_timer_does_not_hold_reading_back() {
    let mut world = world(1);
    let peer = world.connect();
    let (gate, log) = (Gate::default(), peer.log.clone());
    let wait = gate.clone();
    peer.connection.set_timer(
        Duration::from_secs(1),
        Box::new(move || {
            Some(Box::pin(async move {
                wait.await;
                log.add("timer done");
            }))
        }),
    );
    world.seconds(1);
    peer.text("meanwhile");
    world.run();
    gate.open();
    world.run();
    assert_eq!(peer.log.take(), ["open", "meanwhile", "timer done"]);
}

#[test]
fn a_panic_in_a_timer_closes_its_connection_with_1011() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.connection.set_timer(
        Duration::from_secs(1),
        Box::new(|| panic!("this panic is part of the test")),
    );
    world.seconds(1);
    assert_eq!(peer.received(), ["close 1011"]);
    assert_eq!(peer.log.take().len(), 3);
}
