//! Long messages, both ways, on the simulated network.

use std::borrow::Cow;
use std::sync::Arc;

use nextrush_engine::sim::{Client, Network};
use nextrush_engine::{Connection, EngineConfig, Handler, Incoming, SocketOptions, Work};
use nextrush_protocol::{Frame, Limits, Opcode};

use crate::support::{Log, Script, handover, masked, world};

/// Sends each message back, and writes down whether it was lent.
struct Echo(Log);

impl Handler for Echo {
    fn message(&self, connection: &Connection, message: Incoming<'_>) -> Work {
        let is_lent = matches!(
            message,
            Incoming::Text(Cow::Borrowed(_)) | Incoming::Binary(Cow::Borrowed(_))
        );
        self.0.add(if is_lent { "lent" } else { "owned" });
        connection.send(match message {
            Incoming::Text(text) => Frame::from_text(text.into_owned()),
            Incoming::Binary(data) => Frame::from_binary(data.into_owned()),
        });
        None
    }
}

fn connect(network: &mut Network) -> (Client, Log) {
    let log = Log::default();
    let options = SocketOptions::default().limits(Limits::message(4 << 20));
    let echo = Echo(log.clone());
    let (client, _) = network
        .connect_with(&Arc::new(options), handover(), echo)
        .unwrap();
    client.set_window(usize::MAX);
    network.run();
    (client, log)
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + (at % 23) as u8).collect()
}

#[test]
fn a_long_message_comes_back_whole_however_it_is_cut() {
    let mut network = Network::new(&EngineConfig::default());
    let (client, _) = connect(&mut network);
    let small = masked(Opcode::Text, b"small");
    for opcode in [Opcode::Text, Opcode::Binary] {
        for length in [16 * 1024, 65_536, 70_000, 262_144, 300_000, 1_000_000] {
            for piece in [5_000, 65_550, 65_551, 250_000, usize::MAX] {
                let payload = payload(length);
                let bytes = [masked(opcode, &payload), small.clone()].concat();
                for piece in bytes.chunks(piece) {
                    client.send(piece);
                    network.run();
                }
                let expected = [
                    match opcode {
                        Opcode::Text => Frame::text(std::str::from_utf8(&payload).unwrap()),
                        _ => Frame::binary(&payload),
                    },
                    Frame::text("small"),
                ];
                let expected: Vec<u8> = expected
                    .iter()
                    .flat_map(|frame| frame.as_bytes().into_owned())
                    .collect();
                // Not `assert_eq`: a failure would print all of it.
                assert!(
                    client.take() == expected,
                    "{opcode:?} of {length} in {piece}"
                );
            }
        }
    }
}

#[test]
fn a_message_that_has_come_in_whole_is_lent_from_the_read_buffer() {
    let mut network = Network::new(&EngineConfig::default());
    let (client, log) = connect(&mut network);
    let longest = 256 * 1024 - 14;
    for (length, form) in [
        (64 * 1024, "lent"),
        (70_000, "lent"),
        (longest, "lent"),
        (longest + 1, "owned"),
    ] {
        for opcode in [Opcode::Text, Opcode::Binary] {
            client.send(&masked(opcode, &payload(length)));
            network.run();
            assert_eq!(log.take(), [form], "{length}");
            assert!(client.take().len() > length);
        }
    }
    // Several of them at once, of which none begins where the buffer does.
    client.send(&masked(Opcode::Text, &payload(50_000)).repeat(8));
    network.run();
    assert_eq!(log.take(), ["lent"; 8]);
}

#[test]
fn a_violation_in_the_beginning_of_a_message_comes_before_the_end_of_the_stream() {
    for is_reset in [false, true] {
        let mut world = world(1);
        let peer = world.connect();
        let broken = [b'\xff'; 30_000];
        let bytes = masked(Opcode::Text, &broken);
        peer.client.send(&bytes[..20_000]);
        if is_reset {
            peer.client.reset();
        } else {
            peer.client.shutdown();
        }
        world.run();
        assert_eq!(
            peer.log.take()[1],
            "error: protocol violation",
            "{is_reset}"
        );
    }
}

#[test]
fn a_long_frame_goes_out_in_any_pieces_that_the_client_takes() {
    let long = payload(40_000);
    let frames = [
        Frame::text("before"),
        Frame::from_binary(long.clone()),
        Frame::text("between"),
        Frame::from_text(String::from_utf8(long).unwrap()),
        Frame::text("after"),
    ];
    let expected: Vec<u8> = frames
        .iter()
        .flat_map(|frame| frame.as_bytes().into_owned())
        .collect();
    for window in [1, 2, 3, 9, 11, 1_000, 39_990, 40_010, 100_000] {
        for is_published in [false, true] {
            let mut world = world(1);
            let peer = world.connect_to(Script::default().options(|options| {
                options.backlog.bytes = 1 << 20;
            }));
            peer.client.set_window(window);
            let room = world.engine().room("news");
            peer.connection.join(&room).unwrap();
            for frame in frames.clone() {
                if is_published {
                    room.publish(frame);
                } else {
                    peer.connection.send(frame);
                }
            }
            world.run();
            let mut received = Vec::new();
            while received.len() < expected.len() {
                // By and by more, so that the smallest windows have an end.
                if received.len() > 50 {
                    peer.client.set_window(window.max(1_000));
                }
                let taken = peer.client.take();
                assert!(!taken.is_empty(), "stuck after {}", received.len());
                received.extend(taken);
                world.run();
            }
            // Not `assert_eq`: a failure would print all of it.
            assert!(received == expected, "a window of {window}, {is_published}");
            assert_eq!(peer.connection.buffered(), 0);
        }
    }
}
