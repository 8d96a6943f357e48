//! The engine as a whole: limits, placement, shutdown.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nextrush_engine::sim::Network;
use nextrush_engine::{
    AcceptError, ConnectionState, Engine, EngineConfig, Handover, Placement, SocketOptions,
    Transport, sim,
};
use nextrush_protocol::{CloseCode, CloseFrame};

use crate::support::{Gate, Log, Script, is_done, world};

fn going_away() -> CloseFrame {
    CloseFrame::new(CloseCode::GOING_AWAY, "restart")
}

const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn over_the_limit_connections_are_refused_until_one_is_gone() {
    let mut network = Network::new(
        &EngineConfig::default()
            .shards(NonZeroUsize::new(3).unwrap())
            .connections(2),
    );
    let options = Arc::new(SocketOptions::default());
    let connect =
        |network: &Network| network.connect(&options, Script::default().handler(Log::default()));
    let (first, _) = connect(&network).unwrap();
    let (_second, _) = connect(&network).unwrap();
    network.run();
    assert!(!network.engine().has_capacity());
    assert!(matches!(
        connect(&network),
        Err(AcceptError::TooManyConnections { limit: 2 })
    ));
    assert_eq!(network.engine().connections(), 2);

    first.shutdown();
    network.run();
    assert!(network.engine().has_capacity());
    assert!(connect(&network).is_ok());
}

#[test]
fn connections_are_spread_over_the_shards() {
    let mut world = world(3);
    let peers: Vec<_> = (0..30).map(|_| world.connect()).collect();
    let mut shards = HashMap::<_, u32>::new();
    for peer in &peers {
        let id = peer.connection.id().to_string();
        let shard = id.split('-').next().unwrap().to_owned();
        *shards.entry(shard).or_default() += 1;
    }
    assert_eq!(shards.len(), 3);
    assert!(shards.values().all(|count| *count == 10));
}

#[test]
fn a_place_that_is_kept_free_is_that_connections_and_nobody_elses() {
    let mut network = Network::new(&EngineConfig::default().connections(1));
    let options = Arc::default();
    let script = || Script::default().handler(Log::default());
    let place = network.engine().reserve().unwrap();
    assert!(network.engine().reserve().is_none());
    let other = network.connect_with(&options, Handover::default(), script());
    assert!(matches!(
        other,
        Err(AcceptError::TooManyConnections { limit: 1 })
    ));
    let handover = Handover::default().reservation(place);
    let held = network.connect_with(&options, handover, script());
    let (client, _) = held.unwrap();
    network.run();
    assert_eq!(network.engine().connections(), 1);
    client.shutdown();
    network.run();
    assert_eq!(network.engine().connections(), 0);

    drop(network.engine().reserve());
    let elsewhere = Engine::new(EngineConfig::default()).reserve().unwrap();
    let handover = Handover::default().reservation(elsewhere);
    let held = network.connect_with(&options, handover, script());
    assert!(held.is_ok());
    assert!(!network.engine().has_capacity());
}

#[test]
fn a_shutdown_closes_everything_and_waits_for_it() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let engine = world.engine().clone();
        let mut peers: Vec<_> = (0..6).map(|_| world.connect()).collect();
        let mut shutdown = pin!(engine.shutdown(going_away(), DEADLINE));
        assert!(!is_done(shutdown.as_mut()));
        world.run();
        for peer in &mut peers {
            assert_eq!(peer.received(), ["close 1001 restart"]);
            peer.close(1001, "");
        }
        world.run();
        assert!(!is_done(shutdown.as_mut()));
        for peer in &peers {
            assert_eq!(peer.log.take(), ["open", "close 1001 '' clean"]);
            peer.client.shutdown();
        }
        world.run();
        assert!(is_done(shutdown.as_mut()));
        assert_eq!(engine.connections(), 0);
    }
}

#[test]
fn clients_that_do_not_answer_a_shutdown_are_cut_in_their_close_timeout() {
    let mut world = world(1);
    let engine = world.engine().clone();
    let peer = world.connect();
    let mut shutdown = pin!(engine.shutdown(going_away(), DEADLINE));
    assert!(!is_done(shutdown.as_mut()));
    world.seconds(2);
    assert!(is_done(shutdown.as_mut()));
    assert!(peer.client.is_closed());
}

#[test]
fn a_shutdown_waits_for_the_work_of_handlers_up_to_its_deadline() {
    let mut world = world(1);
    let engine = world.engine().clone();
    let gate = Gate::default();
    let script = |gate: &Gate| {
        let gate = gate.clone();
        Script::default().on_close(move |_| gate.wait())
    };
    let peer = world.connect_to(script(&gate));
    peer.client.shutdown();
    let stuck = world.connect_to(script(&Gate::default()));
    stuck.client.shutdown();
    world.run();
    assert_eq!(engine.connections(), 0);

    let mut shutdown = pin!(engine.shutdown(going_away(), DEADLINE));
    assert!(!is_done(shutdown.as_mut()));
    world.seconds(29);
    gate.open();
    world.run();
    assert!(!is_done(shutdown.as_mut()));
    world.seconds(1);
    assert!(is_done(shutdown.as_mut()));
}

#[test]
fn at_the_deadline_of_a_shutdown_the_rest_is_cut() {
    let mut world = world(3);
    let engine = world.engine().clone();
    let script = Script::default().options(|options| options.close_timeout = DEADLINE * 2);
    let peer = world.connect_to(script);
    let mut shutdown = pin!(engine.shutdown(going_away(), DEADLINE));
    assert!(!is_done(shutdown.as_mut()));
    world.seconds(29);
    assert!(!is_done(shutdown.as_mut()));
    world.seconds(1);
    assert!(is_done(shutdown.as_mut()));
    assert_eq!(
        peer.log.take(),
        ["open", "close 1006 'the engine stopped' unclean"]
    );
    assert!(peer.client.is_closed());
}

#[test]
fn a_stopping_engine_takes_no_connections() {
    let mut world = world(1);
    let engine = world.engine().clone();
    let peer = world.connect();
    let mut shutdown = pin!(engine.shutdown(going_away(), DEADLINE));
    assert!(!is_done(shutdown.as_mut()));
    assert!(!engine.has_capacity());
    let (_client, pipe) = sim::pipe();
    let refused = engine.accept(
        Transport::Simulated(pipe),
        Handover::default(),
        Arc::default(),
        Script::default().handler(Log::default()),
    );
    assert!(matches!(refused, Err(AcceptError::ShuttingDown)));
    drop(peer);
}

#[test]
fn an_engine_without_connections_shuts_down_at_once() {
    let engine = Engine::new(EngineConfig::default());
    let mut shutdown = pin!(engine.shutdown(going_away(), DEADLINE));
    assert!(is_done(shutdown.as_mut()));
}

#[test]
fn a_network_that_is_dropped_tells_its_handlers() {
    let mut world = world(1);
    let room = world.engine().room("lobby");
    let peer = world.connect();
    peer.connection.join(&room).unwrap();
    drop(world);
    assert_eq!(
        peer.log.take(),
        ["open", "close 1006 'the engine stopped' unclean"]
    );
    assert_eq!(peer.connection.state(), ConnectionState::Closed);
    assert!(room.is_empty());
    // Nobody is there to hear these.
    room.publish(nextrush_protocol::Frame::text("hello?"));
    peer.send_text("hello?");
    peer.connection.close(None);
}

#[test]
fn outside_of_a_runtime_a_connection_is_refused() {
    let engine = Engine::new(EngineConfig::default());
    let (_client, pipe) = sim::pipe();
    let refused = engine.accept(
        Transport::Simulated(pipe),
        Handover::default(),
        Arc::default(),
        Script::default().handler(Log::default()),
    );
    assert!(matches!(refused, Err(AcceptError::NoRuntime)));
    assert_eq!(engine.connections(), 0);
}

#[test]
fn connections_are_spread_unless_they_are_placed_by_a_key() {
    let network = Network::new(&EngineConfig::default().shards(NonZeroUsize::new(4).unwrap()));
    let shard_of = |placement: Placement| {
        let handover = Handover::default().placement(placement);
        let handler = Script::default().handler(Log::default());
        let connect = network.connect_with(&Arc::default(), handover, handler);
        let id = connect.unwrap().1.to_string();
        id.split('-').next().unwrap().to_owned()
    };
    let spread: BTreeSet<_> = (0..4)
        .map(|_| shard_of(Placement::LeastConnections))
        .collect();
    assert_eq!(spread.len(), 4);
    let mut all = BTreeSet::new();
    for room in 0..50 {
        let path = format!("/rooms/{room}");
        let shards: BTreeSet<_> = (0..3).map(|_| shard_of(Placement::by(&path))).collect();
        assert_eq!(shards.len(), 1, "{path}");
        all.extend(shards);
    }
    assert_eq!(all.len(), 4);
}
