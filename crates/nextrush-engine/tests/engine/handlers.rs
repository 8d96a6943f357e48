//! Calls of handlers, and the effect of their work on the connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use nextrush_engine::{ConnectionState, Work};
use nextrush_protocol::{Frame, Limits, Opcode};

use crate::support::{Gate, Log, Script, close_frame, masked, world};

const NOTHING: [&str; 0] = [];

#[test]
fn reading_begins_when_the_work_of_open_is_done() {
    let mut world = world(1);
    let gate = Gate::default();
    let script = {
        let gate = gate.clone();
        Script::default().on_open(move |_| gate.wait())
    };
    let mut peer = world.connect_to(script);
    peer.text("early");
    peer.send_text("out it goes");
    world.run();
    assert_eq!(peer.log.take(), ["open"]);
    assert_eq!(peer.received(), ["out it goes"]);
    gate.open();
    world.run();
    assert_eq!(peer.log.take(), ["early"]);
}

#[test]
fn reading_begins_when_it_is_asked_for() {
    let mut world = world(1);
    let script = Script::default().on_open(|_| Some(Box::pin(std::future::pending())));
    let peer = world.connect_to(script);
    peer.text("early");
    world.run();
    assert_eq!(peer.log.take(), ["open"]);
    peer.connection.start_reading();
    peer.connection.start_reading();
    world.run();
    assert_eq!(peer.log.take(), ["early"]);
}

#[test]
fn nothing_is_read_behind_the_first_message_and_no_broadcast_is_sent_before_the_client_is_known() {
    let mut world = world(1);
    let gate = Gate::default();
    let stranger = || {
        let gate = gate.clone();
        let script = Script::default().first_message(Limits::message(10));
        script.on_open(move |_| gate.wait())
    };
    let mut peer = world.connect_to(stranger());
    let mut other = world.connect_to(stranger());
    peer.ping("served?");
    world
        .engine()
        .broadcast_except(&Frame::text("for all"), &[]);
    world.run();
    assert_eq!(peer.received(), ["pong served?"]);
    let long = "x".repeat(100);
    peer.text("!it is me");
    peer.text(&long);
    other.text("!it is me as well");
    world.run();
    assert_eq!(peer.log.take(), ["open", "overtook !it is me"]);
    let closed = other.received();
    assert!(closed[0].starts_with("close 1009"), "{closed:?}");
    // Where the work of `open` ends, the order to go on is still on its way.
    gate.open();
    world
        .engine()
        .broadcast_except(&Frame::text("for all"), &[]);
    world.run();
    assert_eq!(peer.log.take(), NOTHING);
    peer.connection.admit();
    peer.connection.admit();
    world.run();
    assert_eq!(peer.log.take(), [long]);
    assert_eq!(peer.received(), NOTHING);
    world
        .engine()
        .broadcast_except(&Frame::text("for all"), &[]);
    world.run();
    assert_eq!(peer.received(), ["for all"]);
}

#[test]
fn a_client_is_looked_after_before_its_messages_are_wanted() {
    let mut world = world(1);
    let forever = || Script::default().on_open(|_| Some(Box::pin(std::future::pending())));
    let mut peer = world.connect_to(forever());
    peer.ping("served?");
    world.run();
    assert_eq!(peer.received(), ["pong served?"]);
    peer.client.shutdown();
    world.run();
    assert_eq!(peer.log.take(), ["open", "close 1006 '' unclean"]);

    let mut silent = world.connect_to(forever());
    world.seconds(39);
    assert_eq!(
        silent.received(),
        ["ping", "close 3008 no answer to a ping"]
    );
    assert!(silent.client.is_closed());
}

#[test]
fn nothing_is_read_past_a_message_that_nobody_wants_yet() {
    let mut world = world(1);
    let gate = Gate::default();
    let script = {
        let gate = gate.clone();
        Script::default().on_open(move |_| gate.wait())
    };
    let peer = world.connect_to(script);
    for number in 0..100 {
        peer.text(&format!("{number} {}", "x".repeat(10_000)));
        world.run();
    }
    assert_eq!(peer.log.take(), ["open"]);
    assert!(peer.client.unread() >= 98 * 10_000);
    gate.open();
    world.run();
    let numbers: Vec<_> = peer
        .log
        .take()
        .iter()
        .map(|text| text.split(' ').next().unwrap().parse::<u32>().unwrap())
        .collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_message_that_came_early_is_not_handed_over_once_the_connection_closes() {
    let mut world = world(1);
    let gate = Gate::default();
    let script = {
        let gate = gate.clone();
        Script::default().on_open(move |connection| {
            let (gate, connection) = (gate.clone(), connection.clone());
            Some(Box::pin(async move {
                gate.await;
                connection.close(close_frame(1008, "not you"));
            }))
        })
    };
    let mut peer = world.connect_to(script);
    peer.text("early");
    world.run();
    gate.open();
    world.run();
    assert_eq!(peer.received(), ["close 1008 not you"]);
    peer.close(1008, "");
    world.run();
    assert_eq!(peer.log.take(), ["open", "close 1008 '' clean"]);
}

#[test]
fn pending_work_of_a_message_holds_the_next_messages_back() {
    let mut world = world(1);
    let gates: Vec<Gate> = (0..3).map(|_| Gate::default()).collect();
    let script = {
        let mut next = gates.clone().into_iter();
        Script::default().on_message(move |_, _| next.next().and_then(|gate| gate.wait()))
    };
    let mut peer = world.connect_to(script);
    let texts = ["one", "two", "three", "four"];
    let bytes: Vec<u8> = texts
        .iter()
        .flat_map(|text| masked(Opcode::Text, text.as_bytes()))
        .collect();
    peer.client.send(&bytes);
    world.run();
    assert_eq!(peer.log.take(), ["open", "one"]);

    // Outbound traffic and other connections flow on.
    let mut other = world.connect();
    peer.send_text("meanwhile");
    other.ping("meanwhile");
    world.run();
    assert_eq!(peer.received(), ["meanwhile"]);
    assert_eq!(other.received(), ["pong meanwhile"]);

    peer.text("five");
    gates[0].open();
    world.run();
    assert_eq!(peer.log.take(), ["two"]);
    gates[1].open();
    world.run();
    assert_eq!(peer.log.take(), ["three"]);
    gates[2].open();
    world.run();
    assert_eq!(peer.log.take(), ["four", "five"]);
}

#[test]
fn a_connection_that_is_held_back_leaves_bytes_in_the_transport() {
    let mut world = world(1);
    let gate = Gate::default();
    let script = {
        let gate = gate.clone();
        Script::default().on_message(move |_, _| gate.wait())
    };
    let peer = world.connect_to(script);
    for _ in 0..100 {
        peer.text(&"x".repeat(10_000));
        world.run();
    }
    // The read buffer's worth at most has been taken.
    assert!(peer.client.unread() >= 100 * 10_000 - 64 * 1024);
    assert_eq!(peer.log.take().len(), 2);
    gate.open();
    world.run();
    assert_eq!(peer.client.unread(), 0);
    assert_eq!(peer.log.take().len(), 99);
}

/// A handler whose work waits for the gates, while reading goes on.
fn reads_on(gates: &[Gate]) -> Script {
    let mut next = Vec::from(gates).into_iter();
    Script::default().on_message(move |connection, _| {
        let work = next.next()?.wait();
        connection.read_on();
        work
    })
}

#[test]
fn where_reading_goes_on_a_message_may_overtake_and_the_others_keep_their_order() {
    let mut world = world(1);
    let gates: Vec<Gate> = (0..2).map(|_| Gate::default()).collect();
    let peer = world.connect_to(reads_on(&gates));
    peer.text("one");
    world.run();
    for text in ["two", "!a", "three", "!b"] {
        peer.text(text);
    }
    world.run();
    assert_eq!(
        peer.log.take(),
        ["open", "one", "overtook !a", "overtook !b"]
    );
    gates[0].open();
    world.run();
    assert_eq!(peer.log.take(), ["two"]);
    peer.text("!c");
    world.run();
    assert_eq!(peer.log.take(), ["overtook !c"]);
    gates[1].open();
    peer.text("four");
    world.run();
    assert_eq!(peer.log.take(), ["three", "four"]);
    // Nothing is pending: what overtakes is a message like any other.
    peer.text("!d");
    world.run();
    assert_eq!(peer.log.take(), ["!d"]);
    peer.close(1000, "");
    world.run();
    assert_eq!(peer.log.take(), ["close 1000 '' clean"]);
}

#[test]
fn messages_that_wait_for_pending_work_are_bounded() {
    let mut world = world(1);
    for (messages, bytes, waiting) in [(200, 10, 64), (100, 10_000, 7)] {
        let gate = Gate::default();
        let peer = world.connect_to(reads_on(std::slice::from_ref(&gate)));
        peer.text("first");
        world.run();
        for _ in 0..messages {
            peer.text(&"x".repeat(bytes));
            world.run();
        }
        peer.text("!last");
        world.run();
        assert_eq!(
            peer.log.take(),
            ["open", "first"],
            "nothing is read any more"
        );
        let taken = waiting * bytes + 64 * 1024;
        assert!(peer.client.unread() + taken >= messages * bytes);
        gate.open();
        world.run();
        assert_eq!(peer.client.unread(), 0);
        let log = peer.log.take();
        assert_eq!(log.len(), messages + 1);
        assert_eq!(log.last().map(String::as_str), Some("!last"));
    }
}

#[test]
fn a_handler_that_is_pending_can_close_its_connection() {
    let mut world = world(1);
    let script = Script::default().on_message(|connection, _| {
        connection.close(close_frame(4000, ""));
        Some(Box::pin(std::future::pending()))
    });
    let mut peer = world.connect_to(script);
    let mut bytes = masked(Opcode::Text, b"close me");
    bytes.extend(masked(Opcode::Text, b"behind"));
    peer.client.send(&bytes);
    world.run();
    assert_eq!(peer.received(), ["close 4000"]);
    peer.close(4000, "");
    world.run();
    assert_eq!(peer.log.take(), ["open", "close me", "close 4000 '' clean"]);
}

#[test]
fn work_of_a_connection_that_is_gone_runs_to_its_end() {
    let mut world = world(1);
    let gate = Gate::default();
    let done = Log::default();
    let script = {
        let (gate, done) = (gate.clone(), done.clone());
        Script::default().on_message(move |_, _| {
            let (gate, done) = (gate.clone(), done.clone());
            Some(Box::pin(async move {
                gate.await;
                done.add("stored");
            }))
        })
    };
    let peer = world.connect_to(script);
    peer.text("store this");
    world.run();
    peer.connection.close(None);
    world.seconds(10);
    assert!(peer.client.is_closed());
    assert_eq!(done.take(), NOTHING);
    gate.open();
    world.run();
    assert_eq!(done.take(), ["stored"]);
}

#[test]
fn work_may_wake_itself_and_be_woken_by_other_threads() {
    let mut world = world(1);
    let gate = Gate::default();
    let script = {
        let gate = gate.clone();
        Script::default().on_message(move |connection, _| {
            let (gate, connection) = (gate.clone(), connection.clone());
            Some(Box::pin(async move {
                for _ in 0..1_000 {
                    yield_now().await;
                }
                connection.send(Frame::text("yielded"));
                gate.await;
                connection.send(Frame::text("woken"));
            }))
        })
    };
    let mut peer = world.connect_to(script);
    peer.text("go");
    world.run();
    assert_eq!(peer.received(), ["yielded"]);
    thread::spawn(move || gate.open()).join().unwrap();
    world.run();
    assert_eq!(peer.received(), ["woken"]);
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn a_greedy_client_does_not_keep_others_waiting() {
    let mut world = world(1);
    let order = Log::default();
    let script = |name: &'static str| {
        let order = order.clone();
        Script::default().on_message(move |_, _| {
            order.add(name);
            None
        })
    };
    let greedy = world.connect_to(script("greedy"));
    let modest = world.connect_to(script("modest"));
    let flood = masked(Opcode::Text, &[b'x'; 1_000]).repeat(1_000);
    greedy.client.send(&flood);
    modest.text("me too");
    world.run();
    let order = order.take();
    assert_eq!(order.len(), 1_001);
    // 64 KiB of a turn hold some 64 messages.
    let position = order.iter().position(|name| name == "modest").unwrap();
    assert!(position < 70, "{position}");
}

/// A script whose handler panics in one place.
fn panicking(place: &'static str) -> Script {
    let panics = move |at: &str| -> Work {
        assert_ne!(at, place, "this panic is part of the test");
        None
    };
    let panics_later = move |at: &'static str| -> Work {
        if at != place {
            return None;
        }
        Some(Box::pin(async move {
            yield_now().await;
            panic!("this panic is part of the test");
        }))
    };
    Script::default()
        .on_open(move |_| panics("open").or_else(|| panics_later("work of open")))
        .on_message(move |_, _| panics("message").or_else(|| panics_later("work of message")))
        .on_close(move |_| panics("close").or_else(|| panics_later("work of close")))
        .on_error(move |_| panics("error").or_else(|| panics_later("work of error")))
}

#[test]
fn a_panic_closes_its_own_connection_with_1011_and_no_other() {
    for place in ["open", "work of open", "message", "work of message"] {
        for shards in [1, 3] {
            let mut world = world(shards);
            let room = world.engine().room("all");
            let mut others: Vec<_> = (0..3).map(|_| world.connect()).collect();
            let mut peer = world.connect_to(panicking(place));
            for other in &others {
                other.connection.join(&room).unwrap();
            }
            peer.connection.join(&room).ok();
            peer.text("hello");
            peer.text("behind");
            world.run();
            let log = peer.log.take();
            let told = [
                "error: handler panicked",
                "close 1011 'handler panicked' unclean",
            ];
            assert_eq!(log[log.len() - 2..], told, "{place}");
            assert!(!log.contains(&"behind".into()), "{place}");
            assert_eq!(peer.received(), ["close 1011"], "{place}");
            room.publish(Frame::text("still here"));
            world.run();
            for other in &mut others {
                assert_eq!(other.received(), ["still here"], "{place}");
            }
            peer.client.shutdown();
            world.run();
            assert_eq!(world.engine().connections(), 3, "{place}");
        }
    }
}

#[test]
fn a_panic_in_error_or_close_changes_nothing_about_the_end() {
    for place in ["error", "work of error", "close", "work of close"] {
        let mut world = world(1);
        let mut peer = world.connect_to(panicking(place));
        peer.client.send(&[0x81, 0x00]);
        world.run();
        let log = peer.log.take();
        assert_eq!(log.len(), 3, "{place}: {log:?}");
        assert!(log[2].starts_with("close 1002"), "{place}: {log:?}");
        assert!(peer.received()[0].starts_with("close 1002"), "{place}");
        peer.client.shutdown();
        world.run();
        assert_eq!(world.engine().connections(), 0, "{place}");
    }
}

#[test]
fn a_handler_goes_with_the_last_handle_of_a_connection_that_has_ended() {
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let mut world = world(1);
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Counted(Arc::clone(&drops));
    let peer = world.connect_to(Script::default().on_close(move |_| {
        let _held = &counted;
        None
    }));
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    peer.close(1000, "");
    peer.client.shutdown();
    world.run();
    assert_eq!(peer.connection.state(), ConnectionState::Closed);
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    drop(peer);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}
