//! The codecs are compared on the same work, so they have to do the same.

use nextrush_bench_codec::codecs::{
    FastWebSockets, NextRush, NextRushOwned, TokioWebSockets, Tungstenite, Yawc,
};
use nextrush_bench_codec::{CODECS, Codec, Coding, Connection, Direction, Sample, Socket, Work};

fn works(coding: Coding, wanted: &[Direction]) -> Vec<Work> {
    let mut works = Work::all();
    works.retain(|work| work.coding == coding && wanted.contains(&work.direction));
    works
}

/// A number of messages that is larger than the socket has in store, so that it repeats them.
fn enough(work: &Work) -> usize {
    2 * (256 * 1024 / work.size) + 3
}

fn every_message_comes_out<C: Codec>(coding: Coding) {
    for work in works(
        coding,
        &[Direction::ServerReceives, Direction::ClientReceives],
    ) {
        let sample = Sample::new(work.kind, work.size);
        let mut connection = C::connect(&work, Socket::new(&work));
        for count in [1, 0, enough(&work)] {
            let mut received = 0;
            connection.receive(count, |payload| {
                assert!(payload == sample.payload(), "{}: {work}", C::NAME);
                received += 1;
            });
            assert_eq!(received, count, "{}: {work}", C::NAME);
        }
    }
}

fn the_wire_gets_every_message<C: Codec>() {
    for work in works(
        Coding::Plain,
        &[Direction::ServerSends, Direction::ClientSends],
    ) {
        let sample = Sample::new(work.kind, work.size);
        let mut connection = C::connect(&work, Socket::new(&work));
        let message = C::Connection::outgoing(&sample);
        let count = if work.size > 64 * 1024 { 1 } else { 3 };
        connection.send(&message, count);

        let socket = connection.into_socket().expect("its own");
        let mut wire = socket.outgoing();
        for _ in 0..count {
            let mask = match work.direction {
                Direction::ClientSends => Some(mask_of(wire)),
                _ => None,
            };
            let frame = sample.frame(mask);
            assert!(wire.starts_with(&frame), "{}: {work}", C::NAME);
            wire = &wire[frame.len()..];
        }
        assert!(wire.is_empty(), "{}: {work}", C::NAME);
    }
}

fn mask_of(frame: &[u8]) -> [u8; 4] {
    let at = match frame[1] & 0x7F {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    frame[at..at + 4].try_into().expect("four bytes")
}

macro_rules! tests {
    ($($name:ident: $codec:ty;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn every_message_that_is_received_comes_out_whole() {
                every_message_comes_out::<$codec>(Coding::Plain);
            }

            #[test]
            fn the_wire_gets_every_message_that_is_sent() {
                the_wire_gets_every_message::<$codec>();
            }
        }
    )*};
}

tests! {
    nextrush: NextRush;
    nextrush_owned: NextRushOwned;
    fastwebsockets: FastWebSockets;
    tokio_websockets: TokioWebSockets;
    tungstenite: Tungstenite;
}

#[test]
fn every_compressed_message_that_is_received_comes_out_whole() {
    every_message_comes_out::<NextRush>(Coding::Deflate);
    every_message_comes_out::<NextRushOwned>(Coding::Deflate);
    every_message_comes_out::<Yawc>(Coding::Deflate);
}

#[test]
fn the_wire_gets_compressed_messages() {
    for work in works(
        Coding::Deflate,
        &[Direction::ServerSends, Direction::ClientSends],
    ) {
        let sample = Sample::new(work.kind, work.size);
        let mut connection = NextRush::connect(&work, Socket::new(&work));
        connection.send(&<NextRush as Codec>::Connection::outgoing(&sample), 1);
        let socket = connection.into_socket().expect("its own");
        let wire = socket.outgoing();
        assert_eq!(wire[0], 0xC1, "{work}");
        assert!(wire.len() < work.size * 2 / 3, "{work}");
    }
}

#[test]
fn every_work_is_found_by_its_name() {
    for work in Work::all() {
        assert_eq!(work.to_string().parse(), Ok(work));
    }
}

#[test]
fn no_two_codecs_share_a_name() {
    let mut names = CODECS.map(|codec| codec.name);
    names.sort_unstable();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}
