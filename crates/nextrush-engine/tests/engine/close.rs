//! How connections end, each way.

use crate::support::{Script, close_frame, masked, world};
use nextrush_engine::State;
use nextrush_protocol::{Frame, Opcode};

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
    assert_eq!(peer.connection.state(), State::Closed);

    peer.client.shutdown();
    world.run();
    assert!(peer.client.is_closed());
    assert_eq!(world.engine().connections(), 0);
    assert_eq!(peer.log.take(), [""; 0]);
}
