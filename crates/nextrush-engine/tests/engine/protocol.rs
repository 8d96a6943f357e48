//! The frames that clients send, and their effect.

use std::sync::Arc;

use nextrush_engine::{SocketOptions, Transport, sim};
use nextrush_protocol::{Frame, FrameHead, Limits, Opcode, encode_masked};

use crate::support::{Script, close_frame, handover, masked, world};

#[test]
fn a_violation_is_told_to_the_handler_and_closes_with_its_code() {
    let oversized = {
        let mut header = vec![0x82, 0xff];
        header.extend((64 * 1024 + 1u64).to_be_bytes());
        header.extend([0; 4]);
        header
    };
    let cases: [(&str, Vec<u8>, u16); 5] = [
        ("unmasked", vec![0x81, 0x02, b'h', b'i'], 1002),
        ("reserved bit", vec![0xc1, 0x80, 0, 0, 0, 0], 1002),
        ("reserved opcode", vec![0x83, 0x80, 0, 0, 0, 0], 1002),
        ("not UTF-8", masked(Opcode::Text, b"\xff\xfe"), 1007),
        ("too long, by the header alone", oversized, 1009),
    ];
    for (case, bytes, code) in cases {
        let mut world = world(1);
        let mut other = world.connect();
        let mut peer = world.connect_to(Script::default().on_message(|connection, text| {
            connection.send(Frame::text(text));
            None
        }));
        peer.client.send(&masked(Opcode::Text, b"before"));
        peer.client.send(&bytes);
        peer.client.send(&masked(Opcode::Text, b"behind"));
        world.run();
        let log = peer.log.take();
        assert_eq!(
            log[..3],
            ["open", "before", "error: protocol violation"],
            "{case}"
        );
        assert!(
            log[3].starts_with(&format!("close {code} '")),
            "{case}: {log:?}"
        );
        assert!(log[3].ends_with(" unclean"), "{case}");
        assert_eq!(log.len(), 4, "{case}");

        let received = peer.received();
        assert_eq!(received[0], "before", "{case}");
        assert!(
            received[1].starts_with(&format!("close {code} ")),
            "{case}: {received:?}"
        );
        assert_eq!(received.len(), 2, "{case}");
        assert!(peer.client.is_shut(), "{case}");

        // The client goes on; nobody listens.
        peer.text("and on");
        world.millis(1_999);
        assert!(!peer.client.is_closed(), "{case}");
        world.millis(1);
        assert!(peer.client.is_closed(), "{case}");

        other.send_text("still here");
        world.run();
        assert_eq!(other.received(), ["still here"], "{case}");
    }
}

#[test]
fn an_endpoint_has_its_own_limits() {
    let mut world = world(1);
    let script = || Script::default().options(|options| options.limits = Limits::message(10));
    let exact = world.connect_to(script());
    exact.text("ten bytes!");
    let over = world.connect_to(script());
    over.text("eleven byte");
    world.run();
    assert_eq!(exact.log.take(), ["open", "ten bytes!"]);
    assert_eq!(
        over.log.take()[1..],
        [
            "error: protocol violation",
            "close 1009 'message longer than 10 bytes' unclean"
        ]
    );
}

#[test]
fn messages_arrive_however_their_bytes_are_cut() {
    let mut world = world(1);
    let peer = world.connect();
    for byte in [
        masked(Opcode::Text, "größer".as_bytes()),
        masked(Opcode::Binary, &[7; 300]),
    ]
    .concat()
    {
        peer.client.send(&[byte]);
        world.run();
    }
    assert_eq!(peer.log.take(), ["open", "größer", "binary of 300"]);
}

#[test]
fn a_message_larger_than_the_read_buffer_arrives_whole() {
    let mut world = world(1);
    let script = Script::default().options(|options| options.limits = Limits::message(1 << 20));
    let peer = world.connect_to(script);
    peer.send(Opcode::Binary, &vec![1; 1 << 20]);
    peer.text("behind");
    world.run();
    assert_eq!(peer.log.take(), ["open", "binary of 1048576", "behind"]);
}

#[test]
fn a_ping_inside_a_fragmented_message_is_answered_at_once() {
    let mut world = world(1);
    let mut peer = world.connect();
    let fragment = |fin, opcode, payload: &[u8]| {
        let mut bytes = Vec::new();
        let head = FrameHead::from(opcode).fin(fin);
        encode_masked(head, payload, [1, 2, 3, 4], &mut bytes);
        bytes
    };
    peer.client.send(&fragment(false, Opcode::Text, b"one "));
    peer.ping("now");
    world.run();
    assert_eq!(peer.received(), ["pong now"]);
    assert_eq!(peer.log.take(), ["open"]);
    peer.client
        .send(&fragment(true, Opcode::Continuation, b"two"));
    world.run();
    assert_eq!(peer.log.take(), ["one two"]);
}

#[test]
fn each_of_several_pings_is_answered_while_the_client_reads() {
    let mut world = world(1);
    let mut peer = world.connect();
    for number in 0..10 {
        peer.ping(&number.to_string());
    }
    world.run();
    let expected: Vec<_> = (0..10).map(|number| format!("pong {number}")).collect();
    assert_eq!(peer.received(), expected);
}

#[test]
fn pongs_are_told_to_the_handler() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.connection.send(Frame::ping(b"you there?").unwrap());
    world.run();
    assert_eq!(peer.received(), ["ping you there?"]);
    peer.send(Opcode::Pong, b"you there?");
    world.run();
    assert_eq!(peer.log.take(), ["open", "pong you there?"]);
}

#[test]
fn what_was_read_behind_the_handshake_comes_first() {
    let mut world = world(1);
    let log = crate::support::Log::default();
    let (client, pipe) = sim::pipe();
    let mut ahead = masked(Opcode::Text, b"ahead");
    let next = masked(Opcode::Text, b"cut in two");
    ahead.extend(&next[..5]);
    client.send(&next[5..]);
    client.send(&masked(Opcode::Text, b"last"));
    world
        .engine()
        .accept(
            Transport::Simulated(pipe),
            handover().read_ahead(ahead),
            Arc::new(SocketOptions::default()),
            Script::default().handler(log.clone()),
        )
        .unwrap();
    world.run();
    assert_eq!(log.take(), ["open", "ahead", "cut in two", "last"]);
}

#[test]
fn a_violation_with_the_end_of_the_stream_behind_it_is_still_answered() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.client.send(&[0x81, 0x00]);
    peer.client.shutdown();
    world.run();
    assert_eq!(peer.received(), ["close 1002 unmasked frame from a client"]);
    assert_eq!(
        peer.log.take()[1..],
        [
            "error: protocol violation",
            "close 1002 'unmasked frame from a client' unclean"
        ]
    );
    assert!(peer.client.is_closed());
}

#[test]
fn what_a_handler_sends_when_it_is_told_of_a_violation_arrives_before_the_close() {
    let mut world = world(1);
    let mut peer = world.connect_to(Script::default().on_error(|connection| {
        connection.send(Frame::text("you cannot do that"));
        None
    }));
    peer.client.send(&[0x81, 0x00]);
    world.run();
    assert_eq!(
        peer.received(),
        [
            "you cannot do that",
            "close 1002 unmasked frame from a client"
        ]
    );
}

#[test]
fn a_handler_may_close_with_its_own_code_when_it_is_told_of_a_violation() {
    let mut world = world(1);
    let mut peer = world.connect_to(Script::default().on_error(|connection| {
        connection.close(close_frame(4002, "broken client"));
        None
    }));
    peer.client.send(&[0x81, 0x00]);
    world.run();
    assert_eq!(peer.received(), ["close 4002 broken client"]);
    // At once: an answer could not be understood.
    assert_eq!(peer.log.take().len(), 3);
    assert!(peer.client.is_shut());
}
