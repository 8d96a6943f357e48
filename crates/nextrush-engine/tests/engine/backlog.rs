//! Clients that read more slowly than they are sent to.

use std::num::NonZeroUsize;
use std::time::Duration;

use nextrush_engine::{Backlog, ConnectionState, EngineConfig};
use nextrush_protocol::Frame;

use crate::support::{Peer, Script, World, world};

const NOTHING: [&str; 0] = [];

fn bounded(bytes: usize, seconds: u64) -> Script {
    Script::default().options(|options| {
        options.backlog = Backlog::default()
            .bytes(bytes)
            .age(Duration::from_secs(seconds));
        options.heartbeat = None;
    })
}

/// A text frame of this length in bytes, with its header.
fn frame_of(bytes: usize) -> Frame {
    let header = if bytes - 2 < 126 { 2 } else { 4 };
    let frame = Frame::binary(&vec![0; bytes - header]);
    assert_eq!(frame.len(), bytes);
    frame
}

#[test]
fn what_the_kernel_does_not_take_waits_and_arrives_in_order() {
    let mut world = world(1);
    let mut peer = world.connect_to(bounded(1 << 20, 10));
    peer.client.set_window(100);
    let texts: Vec<_> = (0..200).map(|number| format!("message {number}")).collect();
    let all: usize = texts.iter().map(|text| Frame::text(text).len()).sum();
    for text in &texts {
        peer.send_text(text);
    }
    assert_eq!(peer.connection.buffered(), all);
    world.run();
    assert_eq!(peer.connection.buffered(), all - 100);
    let mut received = Vec::new();
    while peer.connection.buffered() > 0 {
        received.extend(peer.received());
        world.run();
    }
    received.extend(peer.received());
    assert_eq!(received, texts);
}

#[test]
fn over_the_bound_in_bytes_the_client_is_closed_with_1013() {
    let mut world = world(1);
    let room = world.engine().room("news");
    let mut slow = world.connect_to(bounded(10_000, 10));
    slow.client.set_window(1_000);
    let mut quick = world.connect();
    slow.connection.join(&room).unwrap();
    quick.connection.join(&room).unwrap();

    let mut delivered = 0;
    for _ in 0..11 {
        room.publish(frame_of(1_000));
        world.run();
        delivered += quick.received().len();
    }
    // One has been taken, ten wait.
    assert_eq!(slow.connection.buffered(), 10_000);
    assert_eq!(slow.connection.state(), ConnectionState::Open);

    room.publish(frame_of(1_000));
    world.run();
    delivered += quick.received().len();
    assert_eq!(
        slow.log.take(),
        [
            "open",
            "error: client reads too slowly",
            "close 1013 'client reads too slowly' unclean"
        ]
    );
    assert_eq!(room.len(), 1);
    assert_eq!(delivered, 12);

    // The frame that was taken whole, and the close frame right behind it.
    assert_eq!(slow.received(), ["binary of 996"]);
    world.run();
    assert_eq!(slow.received(), ["close 1013 client reads too slowly"]);
    world.seconds(2);
    assert!(slow.client.is_closed());
}

#[test]
fn a_frame_that_was_begun_is_finished_before_the_close_frame() {
    let mut world = world(1);
    let mut peer = world.connect_to(bounded(1_000, 10));
    peer.client.set_window(500);
    peer.connection.send(frame_of(800));
    world.run();
    peer.connection.send(frame_of(800));
    world.run();
    assert_eq!(peer.log.take()[1], "error: client reads too slowly");
    assert_eq!(peer.received(), NOTHING);
    world.run();
    assert_eq!(
        peer.received(),
        ["binary of 796", "close 1013 client reads too slowly"]
    );
}

#[test]
fn one_long_frame_may_wait_alone() {
    let mut world = world(1);
    let mut peer = world.connect_to(bounded(1_000, 10));
    peer.client.set_window(100);
    peer.connection.send(frame_of(5_000));
    world.run();
    assert_eq!(peer.connection.buffered(), 4_900);
    assert_eq!(peer.connection.state(), ConnectionState::Open);
    peer.client.set_window(10_000);
    world.run();
    assert_eq!(peer.received(), ["binary of 4996"]);
}

#[test]
fn sends_are_bounded_even_before_the_shard_takes_them() {
    let mut world = world(1);
    let peer = world.connect();
    let mut sent = 0;
    while peer.connection.state() == ConnectionState::Open {
        peer.connection.send(frame_of(60_000));
        sent += 1;
    }
    // 1 MiB, and what exceeds it by one frame.
    assert_eq!(sent, 19);
    world.run();
    assert_eq!(peer.log.take()[1], "error: client reads too slowly");
}

#[test]
fn a_frame_that_waits_too_long_closes_with_1013() {
    let mut world = world(1);
    let mut peer = world.connect_to(bounded(10_000, 10));
    peer.client.set_window(100);
    peer.connection.send(frame_of(120));
    world.seconds(5);
    peer.connection.send(frame_of(120));
    world.millis(4_999);
    assert_eq!(peer.connection.state(), ConnectionState::Open);
    world.millis(1);
    assert_eq!(
        peer.log.take()[1..],
        [
            "error: client reads too slowly",
            "close 1013 'client reads too slowly' unclean"
        ]
    );
    assert_eq!(peer.received(), NOTHING);
    world.run();
    assert_eq!(
        peer.received(),
        ["binary of 118", "close 1013 client reads too slowly"]
    );
}

#[test]
fn a_client_that_reads_along_is_not_cut_for_its_age() {
    let mut world = world(1);
    let mut peer = world.connect_to(bounded(10_000, 10));
    peer.client.set_window(100);
    // Never without a backlog, but each frame waits only some 9 s.
    for _ in 0..9 {
        peer.connection.send(frame_of(100));
    }
    for _ in 0..60 {
        peer.connection.send(frame_of(100));
        world.seconds(1);
        assert!(peer.connection.buffered() > 0);
        assert_eq!(peer.received(), ["binary of 98"]);
        world.run();
    }
    assert_eq!(peer.connection.state(), ConnectionState::Open);
}

#[test]
fn only_the_newest_ping_is_answered_while_the_client_does_not_read() {
    let mut world = world(1);
    let mut peer = world.connect();
    peer.client.set_window(50);
    peer.connection.send(frame_of(60));
    peer.send_text("behind");
    world.run();
    for number in 0..100 {
        peer.ping(&number.to_string());
        world.run();
    }
    assert_eq!(peer.connection.buffered(), 10 + 8);
    assert_eq!(peer.received(), NOTHING);
    world.run();
    // Behind the frame that was begun, ahead of the one that was not.
    assert_eq!(peer.received(), ["binary of 58", "pong 99", "behind"]);
    world.seconds(1);
    peer.ping("again");
    world.run();
    assert_eq!(peer.received(), ["pong again"]);
}

#[test]
fn a_blocked_client_that_leaves_is_forgotten() {
    let mut world = world(1);
    let peer = world.connect();
    peer.client.set_window(10);
    peer.connection.send(frame_of(60_000));
    world.run();
    peer.close(1000, "");
    peer.client.shutdown();
    world.seconds(2);
    assert!(peer.client.is_closed());
    assert_eq!(world.engine().connections(), 0);
    assert_eq!(peer.log.take(), ["open", "close 1000 '' clean"]);
}

#[test]
fn a_slow_member_of_a_busy_room_is_dropped_with_1013_and_the_others_miss_nothing() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let mut members: Vec<_> = (0..20)
            .map(|_| world.connect_to(bounded(2_000, 10)))
            .collect();
        let room = world.engine().room("busy");
        for member in &members {
            member.connection.join(&room).unwrap();
        }
        members[0].client.set_window(100);
        for number in 0..100 {
            room.publish(Frame::text(&format!(
                "publication {number:03} of a busy room"
            )));
            world.run();
            for member in &mut members[1..] {
                assert_eq!(member.received().len(), 1);
            }
        }
        assert_ne!(members[0].connection.state(), ConnectionState::Open);
        members[0].client.set_window(1_000_000);
        world.run();
        let received = members[0].received();
        assert!(received.last().unwrap().starts_with("close 1013"));
        assert!(received.len() < 100);
    }
}

#[test]
fn over_the_bound_of_all_together_no_frame_that_was_begun_is_kept_for_who_does_not_read() {
    const TOTAL: usize = 100 * 1024;
    let config = EngineConfig::default().backlog_total(TOTAL);
    // One that is open, and one that has closed and is to read what was sent before.
    for has_closed in [false, true] {
        let mut world = World::of(&config);
        let unread = world.connect_to(bounded(1 << 20, 10));
        unread.client.set_window(100);
        unread.connection.send(frame_of(60 * 1024));
        if has_closed {
            unread.close(1000, "");
        }
        world.run();
        assert!(!unread.client.is_closed());
        let next = world.connect_to(bounded(1 << 20, 10));
        next.client.set_window(100);
        next.connection.send(frame_of(50 * 1024));
        world.run();
        world.run();
        assert!(unread.client.is_closed(), "closed: {has_closed}");
        assert_eq!(next.connection.state(), ConnectionState::Open);
    }
}

#[test]
fn over_the_bound_of_all_together_the_largest_backlogs_are_closed_first() {
    const BLOCK: usize = 16 * 1024;
    for shards in [1, 3] {
        let config = EngineConfig::default()
            .shards(NonZeroUsize::new(shards).unwrap())
            .backlog_total(10 * BLOCK);
        let mut world = World::of(&config);
        let mut peers: Vec<_> = (1..=4)
            .map(|size| {
                let peer = world.connect_to(bounded(1 << 20, 10));
                peer.client.set_window(0);
                (size, peer)
            })
            .collect();
        // One to four blocks: ten in all.
        for (size, peer) in &peers {
            peer.connection.send(frame_of(size * BLOCK));
        }
        world.run();
        let open = |peers: &[(usize, Peer)]| -> Vec<usize> {
            peers
                .iter()
                .filter(|(_, peer)| peer.connection.state() == ConnectionState::Open)
                .map(|(size, _)| *size)
                .collect()
        };
        assert_eq!(open(&peers), [1, 2, 3, 4], "{shards} shards");

        peers[0].1.connection.send(frame_of(100));
        world.run();
        assert_eq!(open(&peers), [1, 2, 3], "{shards} shards");
        let (_, largest) = peers.last_mut().unwrap();
        largest.client.set_window(1 << 20);
        world.run();
        assert_eq!(largest.received(), ["close 1013 client reads too slowly"]);

        // More than is free: the largest one is enough.
        for blocks in [3, 4] {
            peers[1].1.connection.send(frame_of(blocks * BLOCK));
        }
        world.run();
        assert_eq!(open(&peers), [1, 3], "{shards} shards");
        let waiting: usize = peers
            .iter()
            .map(|(_, peer)| peer.connection.buffered())
            .sum();
        assert_eq!(waiting, 4 * BLOCK + 100, "{shards} shards");
    }
}
