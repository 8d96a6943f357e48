//! The members of rooms, and the publications that they get, in order.

use std::collections::BTreeSet;
use std::thread;

use nextrush_engine::{Connection, JoinError};
use nextrush_protocol::Frame;

use crate::support::{Log, Peer, Script, World, world};

const NOTHING: [&str; 0] = [];

fn members(world: &mut World, count: usize, room: &str) -> Vec<Peer> {
    let room = world.engine().room(room);
    let peers: Vec<_> = (0..count).map(|_| world.connect()).collect();
    for peer in &peers {
        assert_eq!(peer.connection.join(&room), Ok(true));
    }
    peers
}

#[test]
fn a_publication_reaches_each_member_once_and_nobody_else() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let mut inside = members(&mut world, 7, "lobby");
        let mut outside = members(&mut world, 7, "garden");
        world.engine().room("lobby").publish(Frame::text("news"));
        world.run();
        for peer in &mut inside {
            assert_eq!(peer.received(), ["news"]);
        }
        for peer in &mut outside {
            assert_eq!(peer.received(), NOTHING);
        }
    }
}

#[test]
fn a_publication_can_leave_members_out() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let mut peers = members(&mut world, 7, "lobby");
        let except: Vec<_> = [5, 2, 3].map(|index| peers[index].connection.id()).into();
        world
            .engine()
            .room("lobby")
            .publish_except(Frame::text("news"), &except);
        world.run();
        let got: Vec<_> = peers
            .iter_mut()
            .map(|peer| peer.received() == ["news"])
            .collect();
        assert_eq!(got, [true, true, false, false, true, false, true]);
    }
}

#[test]
fn a_broadcast_reaches_every_open_connection_once_but_the_exceptions() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let mut peers = members(&mut world, 5, "lobby");
        peers.extend(members(&mut world, 5, "garden"));
        peers.extend((0..4).map(|_| world.connect()));
        peers[3].connection.close(None);
        let except: Vec<_> = [12, 2].map(|index| peers[index].connection.id()).into();
        let engine = world.engine();
        engine.broadcast_except(&Frame::text("news"), &except);
        world.run();
        let late = world.connect();
        peers.push(late);
        for (index, peer) in peers.iter_mut().enumerate() {
            let got = peer.received().iter().any(|text| text == "news");
            assert_eq!(got, ![2, 3, 12, 14].contains(&index), "{index}");
        }
    }
}

#[test]
fn broadcasts_keep_their_place_among_sends_and_publications_of_their_task() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let rooms = ["lobby", "garden"].map(|name| world.engine().room(name));
        let mut peers: Vec<_> = (0..2 * shards).map(|_| world.connect()).collect();
        for peer in &peers {
            for room in &rooms {
                peer.connection.join(room).unwrap();
            }
        }
        let mut expected = Vec::new();
        for number in 0..100 {
            let text = format!("{number}");
            match number % 4 {
                0 => world.engine().broadcast_except(&Frame::text(&text), &[]),
                1 => peers.iter().for_each(|peer| peer.send_text(&text)),
                other => rooms[other - 2].publish(Frame::text(&text)),
            }
            expected.push(text);
            if number == 50 {
                world.run();
            }
        }
        world.run();
        for peer in &mut peers {
            assert_eq!(peer.received(), expected);
        }
    }
}

#[test]
fn all_connections_see_the_broadcasts_of_many_threads_in_one_order() {
    let mut world = world(3);
    let mut peers: Vec<_> = (0..6).map(|_| world.connect()).collect();
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let engine = world.engine().clone();
            scope.spawn(move || {
                for number in 0..200 {
                    engine.broadcast_except(&Frame::text(&format!("{name}{number}")), &[]);
                }
            });
        }
    });
    world.run();
    let first = peers[0].received();
    assert_eq!(first.len(), 600);
    for peer in &mut peers[1..] {
        assert_eq!(peer.received(), first);
    }
}

#[test]
fn a_room_knows_its_members_at_once() {
    let mut world = world(3);
    let room = world.engine().room("lobby");
    let peers = members(&mut world, 4, "lobby");
    assert_eq!(room.name(), "lobby");
    assert_eq!(room.len(), 4);
    let ids: BTreeSet<_> = room.members().iter().map(Connection::id).collect();
    assert_eq!(ids, peers.iter().map(|peer| peer.connection.id()).collect());
    assert!(room.contains(peers[0].connection.id()));
    assert_eq!(peers[0].connection.rooms(), std::slice::from_ref(&room));

    assert_eq!(peers[0].connection.join(&room), Ok(false));
    assert!(peers[0].connection.leave(&room));
    assert!(!peers[0].connection.leave(&room));
    assert!(!room.contains(peers[0].connection.id()));
    assert_eq!(peers[0].connection.rooms(), []);
    assert_eq!(room.len(), 3);
}

#[test]
fn membership_counts_from_the_join_to_the_leave() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let room = world.engine().room("lobby");
        let mut peers: Vec<_> = (0..shards).map(|_| world.connect()).collect();
        room.publish(Frame::text("before"));
        for peer in &peers {
            peer.connection.join(&room).unwrap();
        }
        room.publish(Frame::text("inside"));
        for peer in &peers {
            peer.connection.leave(&room);
        }
        room.publish(Frame::text("after"));
        world.run();
        for peer in &mut peers {
            assert_eq!(peer.received(), ["inside"]);
        }
    }
}

#[test]
fn sends_and_publications_of_one_task_arrive_in_their_order() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let room = world.engine().room("lobby");
        let mut peers = members(&mut world, 2 * shards, "lobby");
        let mut expected = Vec::new();
        for number in 0..100 {
            let text = format!("{number}");
            if number % 3 == 0 {
                room.publish(Frame::text(&text));
            } else {
                for peer in &peers {
                    peer.send_text(&text);
                }
            }
            expected.push(text);
        }
        world.run();
        for peer in &mut peers {
            assert_eq!(peer.received(), expected);
        }
    }
}

#[test]
fn a_handler_s_sends_and_publications_arrive_in_their_order() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let mut listeners = members(&mut world, 3, "lobby");
        let room = world.engine().room("lobby");
        let mut speaker =
            world.connect_to(Script::default().on_message(move |connection, text| {
                connection.send(Frame::text(&format!("1 {text}")));
                room.publish(Frame::text(&format!("2 {text}")));
                connection.send(Frame::text(&format!("3 {text}")));
                room.publish(Frame::text(&format!("4 {text}")));
                None
            }));
        let room = world.engine().room("lobby");
        speaker.connection.join(&room).unwrap();
        speaker.text("a");
        speaker.text("b");
        world.run();
        assert_eq!(
            speaker.received(),
            ["1 a", "2 a", "3 a", "4 a", "1 b", "2 b", "3 b", "4 b"]
        );
        for listener in &mut listeners {
            assert_eq!(listener.received(), ["2 a", "4 a", "2 b", "4 b"]);
        }
    }
}

#[test]
fn all_members_see_the_publications_of_many_threads_in_one_order() {
    let mut world = world(3);
    let mut peers = members(&mut world, 9, "lobby");
    let room = world.engine().room("lobby");
    thread::scope(|scope| {
        for thread in 0..4 {
            let room = &room;
            scope.spawn(move || {
                for number in 0..200 {
                    room.publish(Frame::text(&format!("{thread}: {number}")));
                }
            });
        }
    });
    world.run();
    let first = peers[0].received();
    assert_eq!(first.len(), 800);
    for peer in &mut peers[1..] {
        assert_eq!(peer.received(), first);
    }
    for thread in 0..4 {
        let own: Vec<_> = first
            .iter()
            .filter(|text| text.starts_with(&format!("{thread}: ")))
            .cloned()
            .collect();
        let expected: Vec<_> = (0..200)
            .map(|number| format!("{thread}: {number}"))
            .collect();
        assert_eq!(own, expected);
    }
}

#[test]
fn a_closed_connection_is_no_member_when_its_handler_is_told() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let room = world.engine().room("lobby");
        let mut stays = members(&mut world, 1, "lobby");
        let counted = Log::default();
        let script = {
            let (room, counted) = (room.clone(), counted.clone());
            Script::default().on_close(move |connection| {
                counted.add(room.len().to_string());
                assert!(connection.rooms().is_empty());
                room.publish(Frame::text("left"));
                None
            })
        };
        let leaves = world.connect_to(script);
        leaves.connection.join(&room).unwrap();
        assert_eq!(room.len(), 2);
        leaves.client.shutdown();
        world.run();
        assert_eq!(counted.take(), ["1"]);
        assert_eq!(stays[0].received(), ["left"]);
    }
}

#[test]
fn a_room_without_members_and_handles_is_gone() {
    let mut world = world(1);
    let engine = world.engine().clone();
    assert_eq!(engine.find_room("lobby"), None);
    let room = engine.room("lobby");
    assert_eq!(engine.find_room("lobby"), Some(room.clone()));
    assert_eq!(engine.rooms(), []);

    let peer = world.connect();
    peer.connection.join(&room).unwrap();
    assert_eq!(engine.rooms(), std::slice::from_ref(&room));
    drop(room);
    assert!(engine.find_room("lobby").is_some());
    peer.client.shutdown();
    world.run();
    assert_eq!(engine.find_room("lobby"), None);
    assert_eq!(engine.rooms(), []);
}

#[test]
fn a_room_of_another_engine_is_refused() {
    let mut one = world(1);
    let other = world(1);
    let peer = one.connect();
    let room = other.engine().room("lobby");
    assert_eq!(peer.connection.join(&room), Err(JoinError::ForeignRoom));
    assert!(!peer.connection.leave(&room));
}

#[test]
fn after_many_joins_and_leaves_everybody_is_where_they_should_be() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let rooms: Vec<_> = (0..5)
            .map(|number| world.engine().room(&number.to_string()))
            .collect();
        let mut peers: Vec<_> = (0..20).map(|_| world.connect()).collect();
        let mut model = [[false; 5]; 20];
        // A linear congruential generator: the same run each time.
        let mut seed = 7u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        for step in 0..3_000 {
            let (peer, room) = (random(20), random(5));
            let inside = &mut model[peer][room];
            let connection = &peers[peer].connection;
            if *inside {
                assert!(connection.leave(&rooms[room]));
            } else {
                assert_eq!(connection.join(&rooms[room]), Ok(true));
            }
            *inside = !*inside;
            if step % 100 == 0 {
                world.run();
            }
        }
        for (number, room) in rooms.iter().enumerate() {
            room.publish(Frame::text(&number.to_string()));
        }
        world.run();
        for (peer, inside) in peers.iter_mut().zip(model) {
            let expected: Vec<_> = (0..5)
                .filter(|room| inside[*room])
                .map(|room| room.to_string())
                .collect();
            assert_eq!(peer.received(), expected);
        }
    }
}
