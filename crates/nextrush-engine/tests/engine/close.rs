//! The ends of connections, in each way.

use nextrush_engine::{ConnectionState, JoinError};
use nextrush_protocol::{Frame, Opcode};

use crate::support::{Script, World, close_frame, masked, world};

const NOTHING: [&str; 0] = [];

fn echo() -> Script {
    Script::default().on_message(|connection, text| {
        connection.send(Frame::text(text));
        None
    })
}

fn assert_gone(world: &World) {
    assert_eq!(world.engine().connections(), 0);
}

#[test]
fn a_client_that_closes_gets_its_code_back_and_the_end_of_the_stream() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.close(1000, "bye");
    world.run();
    assert_eq!(peer.log.take(), ["open", "close 1000 'bye' clean"]);
    assert_eq!(peer.received(), ["close 1000"]);
    assert!(peer.client.is_shut());
    assert!(!peer.client.is_closed());
    assert_eq!(peer.connection.state(), ConnectionState::Closed);

    peer.client.shutdown();
    world.run();
    assert!(peer.client.is_closed());
    assert_gone(&world);
    assert_eq!(peer.log.take(), NOTHING);
}

#[test]
fn what_was_sent_still_arrives_at_a_client_that_has_only_shut_its_side() {
    let mut world = world(1);
    let mut peer = world.connect_to(echo());
    peer.text("last words");
    peer.client.shutdown();
    world.run();
    assert_eq!(
        peer.log.take(),
        ["open", "last words", "close 1006 '' unclean"]
    );
    assert_eq!(peer.received(), ["last words"]);
    assert!(peer.client.is_closed());
    assert_gone(&world);
}

#[test]
fn a_client_that_has_shut_its_side_and_does_not_read_is_cut_after_the_close_timeout() {
    let mut world = world(1);
    let mut peer = world.connect_to(echo());
    peer.client.set_window(10);
    peer.text("longer than the window");
    peer.client.shutdown();
    world.millis(1_999);
    assert_eq!(
        peer.log.take(),
        ["open", "longer than the window", "close 1006 '' unclean"]
    );
    assert!(!peer.client.is_closed());
    world.millis(1);
    assert!(peer.client.is_closed());
    assert_eq!(peer.received(), NOTHING);
    assert_gone(&world);
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.send(Opcode::Close, &[]);
    world.run();
    assert_eq!(peer.log.take(), ["open", "close 1005 '' clean"]);
    assert_eq!(peer.received(), ["close"]);
}

#[test]
fn what_was_sent_before_a_close_arrives_before_it() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.send_text("one");
    peer.send_text("two");
    peer.connection.close(close_frame(4000, "enough"));
    peer.send_text("too late");
    assert_eq!(peer.connection.state(), ConnectionState::Closing);
    world.run();
    assert_eq!(peer.received(), ["one", "two", "close 4000 enough"]);
    assert_eq!(peer.log.take(), ["open"]);
    assert!(!peer.client.is_shut());
}

#[test]
fn the_answer_to_our_close_is_what_the_handler_is_told() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.connection.close(close_frame(4000, "enough"));
    world.run();
    peer.close(4000, "as you like");
    world.run();
    assert_eq!(peer.log.take(), ["open", "close 4000 'as you like' clean"]);
    assert!(peer.client.is_shut());
    peer.client.shutdown();
    world.run();
    assert_eq!(peer.received(), ["close 4000 enough"]);
    assert_gone(&world);
}

#[test]
fn a_client_that_does_not_answer_our_close_is_cut_after_the_close_timeout() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.connection.close(close_frame(1001, ""));
    world.millis(1_999);
    assert_eq!(peer.log.take(), ["open"]);
    assert!(!peer.client.is_closed());
    world.millis(1);
    assert_eq!(
        peer.log.take(),
        ["close 1006 'no answer to the close frame' unclean"]
    );
    assert!(peer.client.is_closed());
    assert_eq!(peer.received(), ["close 1001"]);
    assert_gone(&world);
}

#[test]
fn the_close_timeout_begins_when_the_close_frame_has_left() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.client.set_window(10);
    peer.send_text("longer than the window");
    peer.connection.close(None);
    world.seconds(5);
    assert_eq!(peer.log.take(), ["open"]);
    assert_eq!(peer.received(), [""; 0]);
    world.run();
    assert_eq!(peer.received(), [""; 0]);
    world.run();
    assert_eq!(peer.received(), ["longer than the window", "close"]);
    world.millis(1_999);
    assert!(!peer.client.is_closed());
    world.millis(1);
    assert!(peer.client.is_closed());
}

#[test]
fn when_both_sides_close_at_once_each_sends_one_close_frame() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.connection.close(close_frame(4001, "server"));
    peer.close(4002, "client");
    world.run();
    assert_eq!(peer.received(), ["close 4001 server"]);
    assert_eq!(peer.log.take(), ["open", "close 4002 'client' clean"]);
    assert!(peer.client.is_shut());
}

#[test]
fn messages_ahead_of_a_close_are_answered_before_it() {
    let mut world = world(1);
    let mut peer = world.connect_to(echo());
    let mut bytes = masked(Opcode::Text, b"one");
    bytes.extend(masked(Opcode::Text, b"two"));
    bytes.extend(masked(Opcode::Close, &1000u16.to_be_bytes()));
    bytes.extend(masked(Opcode::Text, b"after the end"));
    peer.client.send(&bytes);
    world.run();
    assert_eq!(peer.received(), ["one", "two", "close 1000"]);
    assert_eq!(
        peer.log.take(),
        ["open", "one", "two", "close 1000 '' clean"]
    );
}

#[test]
fn messages_behind_our_close_are_not_received() {
    let mut world = world(1);
    let script = Script::default().on_message(|connection, _| {
        connection.close(None);
        None
    });
    let mut peer = world.connect_to(script);
    let mut bytes = masked(Opcode::Text, b"close me");
    bytes.extend(masked(Opcode::Text, b"in the same piece"));
    bytes.extend(masked(Opcode::Ping, b"in the same piece"));
    peer.client.send(&bytes);
    world.run();
    peer.text("later");
    world.run();
    peer.close(1000, "");
    world.run();
    assert_eq!(peer.log.take(), ["open", "close me", "close 1000 '' clean"]);
    assert_eq!(peer.received(), ["close"]);
}

#[test]
fn a_stream_that_ends_without_a_close_frame_is_an_abnormal_end() {
    let mut world = world(1);
    let peer = world.connect();
    peer.text("half a good");
    peer.client.shutdown();
    world.run();
    assert_eq!(
        peer.log.take(),
        ["open", "half a good", "close 1006 '' unclean"]
    );
    assert!(peer.client.is_closed());
    assert_gone(&world);
}

#[test]
fn a_reset_is_an_error_and_an_abnormal_end() {
    let mut world = world(1);
    let peer = world.connect();
    peer.client.reset();
    world.run();
    assert_eq!(
        peer.log.take(),
        [
            "open",
            "error: transport failed",
            "close 1006 'transport failed' unclean"
        ]
    );
    assert_gone(&world);
}

#[test]
fn a_connection_that_cannot_be_written_any_more_fails() {
    let mut world = world(1);
    // Held back by a message, so only the write can find out.
    let script = Script::default().on_message(|_, _| Some(Box::pin(std::future::pending())));
    let peer = world.connect_to(script);
    peer.text("hold on");
    world.run();
    peer.client.reset();
    peer.send_text("into the void");
    world.run();
    assert_eq!(
        peer.log.take(),
        [
            "open",
            "hold on",
            "error: transport failed",
            "close 1006 'transport failed' unclean"
        ]
    );
    assert_eq!(peer.connection.buffered(), 0);
    assert_gone(&world);
}

#[test]
fn a_client_that_never_shuts_its_side_is_dropped_after_the_close_timeout() {
    let mut world = world(1);
    let peer = world.connect();
    peer.close(1000, "");
    world.millis(1_999);
    peer.client.send(&[0xff; 100_000]);
    assert!(!peer.client.is_closed());
    world.millis(1);
    assert!(peer.client.is_closed());
    assert_eq!(peer.log.take(), ["open", "close 1000 '' clean"]);
}

#[test]
fn an_end_of_stream_behind_a_close_does_not_cost_the_client_the_answer() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.client.set_window(1);
    peer.close(1000, "");
    peer.client.shutdown();
    world.run();
    assert!(!peer.client.is_closed());
    peer.client.set_window(100);
    world.run();
    assert_eq!(peer.received(), ["close 1000"]);
    assert!(peer.client.is_closed());
}

#[test]
fn a_connection_has_left_its_rooms_when_it_begins_to_close() {
    let mut world = world(1);
    let room = world.engine().room("lobby");
    let peer = world.connect();
    assert_eq!(peer.connection.join(&room), Ok(true));
    peer.connection.close(None);
    assert!(room.is_empty());
    assert_eq!(peer.connection.rooms(), []);
    assert_eq!(peer.connection.join(&room), Err(JoinError::Closed));
}

#[test]
fn stale_handles_are_harmless() {
    let mut world = world(1);
    let room = world.engine().room("lobby");
    let gone = world.connect();
    gone.client.shutdown();
    world.run();
    assert_gone(&world);

    // Takes the same slot.
    let mut next = world.connect();
    assert_ne!(gone.connection.id(), next.connection.id());
    assert_eq!(gone.connection.id().to_string(), "0-0-0");
    assert_eq!(next.connection.id().to_string(), "0-0-1");

    gone.send_text("for nobody");
    gone.connection.start_reading();
    gone.connection.close(None);
    assert!(!gone.connection.leave(&room));
    assert_eq!(gone.connection.join(&room), Err(JoinError::Closed));
    let log = gone.log.clone();
    let timer = gone.connection.set_timer(
        std::time::Duration::ZERO,
        Box::new(move || {
            log.add("timer");
            None
        }),
    );
    gone.connection.cancel_timer(timer);
    world.seconds(1);
    assert_eq!(next.received(), NOTHING);
    assert_eq!(next.log.take(), ["open"]);
    assert_eq!(next.connection.state(), ConnectionState::Open);
    assert_eq!(gone.log.take(), ["open", "close 1006 '' unclean"]);
}

#[test]
fn a_client_that_only_sends_while_its_close_lingers_is_cut_after_16_mib() {
    let flood = masked(Opcode::Binary, &vec![0; 60_000]);
    // Closed by us, by the client, and by its violation of the protocol.
    type End = fn(&mut World, &mut crate::support::Peer);
    let ends: [End; 3] = [
        |_, peer| peer.connection.close(None),
        |_, peer| peer.close(1000, ""),
        |_, peer| peer.client.send(&[0xff; 10]),
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut world = world(1);
        let mut peer = world.connect();
        end(&mut world, &mut peer);
        world.run();
        let mut sent = 0;
        while !peer.client.is_closed() {
            assert!(sent < 20 << 20, "{number}: {sent} bytes");
            peer.client.send(&flood);
            world.run();
            sent += flood.len();
        }
        assert!(sent > 15 << 20, "{number}: {sent} bytes");
        assert_gone(&world);
    }
}
