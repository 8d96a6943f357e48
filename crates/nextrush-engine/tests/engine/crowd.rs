//! Many connections at once.

use std::num::NonZeroUsize;
use std::sync::Arc;

use nextrush_engine::sim::{Client, Network};
use nextrush_engine::{EngineConfig, Handler, SocketOptions};
use nextrush_protocol::Frame;

struct Silent;

impl Handler for Silent {}

fn crowd(size: usize) -> (Network, Vec<Client>) {
    let mut network = Network::new(
        &EngineConfig::default()
            .shards(NonZeroUsize::new(2).unwrap())
            .connections(size),
    );
    let options = Arc::new(SocketOptions::default().heartbeat(None));
    let connect = |_| network.connect(&options, Silent).unwrap().0;
    let clients = (0..size).map(connect).collect();
    network.run();
    let room = network.engine().room("crowd");
    for connection in network.engine().all_connections() {
        connection.join(&room).unwrap();
    }
    network.run();
    (network, clients)
}

#[test]
fn a_room_that_is_larger_than_what_a_turn_writes_gets_everything_in_order() {
    let (mut network, clients) = crowd(5_000);
    let room = network.engine().room("crowd");
    let mut expected = Vec::new();
    for round in 0..3 {
        for number in 0..3 {
            let frame = Frame::text(&format!("{round} {number}"));
            expected.extend_from_slice(&frame.as_bytes());
            room.publish(frame);
        }
        network.run();
    }
    assert!(clients.iter().all(|client| client.take() == expected));
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_message_to_a_crowd_that_does_not_read_is_kept_once() {
    fn resident_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().trim().strip_suffix(" kB").unwrap();
        number.parse().unwrap()
    }

    let (mut network, clients) = crowd(10_000);
    for client in &clients {
        client.set_window(0);
    }
    let before = resident_kib();
    let long = vec![7; 1024 * 1024];
    network.engine().room("crowd").publish(Frame::binary(&long));
    network.run();
    // A copy for each member would be 10 GiB. Other tests run beside this one.
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 500 * 1024, "{grown} KiB");
    let connections = network.engine().all_connections();
    assert!(
        connections
            .iter()
            .all(|connection| connection.buffered() > long.len())
    );
}
