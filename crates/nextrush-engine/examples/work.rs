//! A measured amount of work for the engine on the simulated network, to have its
//! instructions counted (`tools/gates`), or to see what a million connections take.
//!
//! `cargo run --profile=dist -p nextrush-engine --example work -- fanout ROUNDS K`,
//! `… -- rooms ROUNDS`, `… -- echo ROUNDS`, or `… -- million`.

use std::env;
use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nextrush_engine::sim::{Client, Network};
use nextrush_engine::{Connection, EngineConfig, Handler, Incoming, SocketOptions, Work};
use nextrush_protocol::{Frame, Opcode, encode_masked};

const MEMBERS: usize = 1_000;
const ROOMS: usize = 100;
const ECHOERS: usize = 200;
const MILLION: usize = 1_000_000;
const TEXT: &str = "sixty-four bytes of text, as in all of the other measurements...";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |index: usize| -> Result<usize, Box<dyn Error>> {
        let number = arguments.get(index).ok_or("a number is missing")?;
        Ok(number.parse()?)
    };
    match arguments.first().map(String::as_str) {
        Some("fanout") => fanout(number(1)?, number(2)?),
        Some("rooms") => rooms(number(1)?),
        Some("echo") => echo(number(1)?),
        Some("million") => million(),
        _ => Err("fanout ROUNDS K, rooms ROUNDS, echo ROUNDS, or million".into()),
    }
}

struct Echo;

impl Handler for Echo {
    fn message(&self, connection: &Connection, message: Incoming<'_>) -> Work {
        if let Incoming::Text(text) = message {
            connection.send(Frame::text(&text));
        }
        None
    }
}

fn network(connections: usize) -> Network {
    Network::new(
        &EngineConfig::default()
            .shards(NonZeroUsize::MIN)
            .connections(connections),
    )
}

fn connect(network: &mut Network, count: usize) -> Result<Vec<Client>, Box<dyn Error>> {
    let options = Arc::new(SocketOptions::default());
    let connect = |_| {
        let (client, _) = network.connect(&options, Echo)?;
        client.ignore();
        Ok(client)
    };
    let clients = (0..count).map(connect).collect();
    network.run();
    clients
}

/// Publishes `at_once` messages to a room of 1,000, in each round.
fn fanout(rounds: usize, at_once: usize) -> Result<(), Box<dyn Error>> {
    let mut network = network(MEMBERS);
    let room = network.engine().room("lobby");
    let _members = connect(&mut network, MEMBERS)?;
    for member in network.engine().all_connections() {
        member.join(&room)?;
    }
    network.run();
    for _ in 0..rounds {
        for _ in 0..at_once {
            room.publish(Frame::text(TEXT));
        }
        network.run();
    }
    Ok(())
}

/// Publishes a message to each of a hundred rooms of ten, in each round: as many as one turn writes.
fn rooms(rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut network = network(10 * ROOMS);
    let rooms: Vec<_> = (0..ROOMS)
        .map(|number| network.engine().room(&format!("room {number}")))
        .collect();
    let _members = connect(&mut network, 10 * ROOMS)?;
    for (at, member) in network.engine().all_connections().iter().enumerate() {
        member.join(&rooms[at % ROOMS])?;
    }
    network.run();
    for _ in 0..rounds {
        for room in &rooms {
            room.publish(Frame::text(TEXT));
        }
        network.run();
    }
    Ok(())
}

/// Echoes a message to each of 200 clients, in each round.
fn echo(rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut network = network(ECHOERS);
    let clients = connect(&mut network, ECHOERS)?;
    let mut frame = Vec::new();
    encode_masked(Opcode::Text, TEXT.as_bytes(), [1, 2, 3, 4], &mut frame);
    network.run();
    for _ in 0..rounds {
        for client in &clients {
            client.send(&frame);
        }
        network.run();
    }
    Ok(())
}

/// Holds a million idle connections for half a minute, in which each is pinged.
fn million() -> Result<(), Box<dyn Error>> {
    let mut network = network(MILLION);
    let before = resident()?;
    let clients = connect(&mut network, MILLION)?;
    // With their clients: the simulation keeps both ends of each pipe.
    let bytes = (resident()? - before) as f64 / MILLION as f64;
    println!("{bytes:.0} bytes for each connection and its simulated client");

    // Before the first ping is due there is nothing to do but to look for it.
    let start = Instant::now();
    network.advance(Duration::from_secs(20));
    let idle = start.elapsed().as_secs_f64() * 1e3 / 20.0;
    println!("{idle:.3} ms of upkeep per second without pings");

    let start = Instant::now();
    network.advance(Duration::from_secs(10));
    let pings = start.elapsed().as_secs_f64() * 1e9 / MILLION as f64;
    println!("{pings:.0} ns for each ping, with all upkeep");
    drop(clients);
    Ok(())
}

/// The memory of this process, in bytes.
fn resident() -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: usize = kib.ok_or("the memory is not told here")?.parse()?;
    Ok(kib * 1024)
}
