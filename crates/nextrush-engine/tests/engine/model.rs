//! A model of delivery: whatever happens to other clients, each client gets what was sent to it
//! once, in order, and without a gap.
//!
//! Random schedules run on the simulated network and in the model, which are compared.
//! A schedule is made from its seed alone. `NEXTRUSH_SEED=17 cargo test -p nextrush-engine
//! model` replays one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem;
use std::thread;

use nextrush_engine::{ConnectionState, Room};
use nextrush_protocol::{CloseCode, CloseFrame, Frame};

use crate::support::{Peer, Random, Script, World, world};

const SEEDS: u64 = 3_000;
const STEPS: usize = 120;
const ROOMS: usize = 4;

/// The source of what clients did not cause.
const MAIN: usize = 99;

#[test]
fn everybody_gets_everything_once_and_in_order() {
    if let Ok(seed) = std::env::var("NEXTRUSH_SEED") {
        return run_schedule(seed.parse().unwrap());
    }
    (0..SEEDS).for_each(run_schedule);
}

fn run_schedule(seed: u64) {
    let _named = Named(seed);
    let mut schedule = Schedule::new(seed);
    for _ in 0..STEPS {
        schedule.step();
    }
    schedule.finish();
}

/// Says which schedule it was that failed.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("replay this schedule with NEXTRUSH_SEED={}", self.0);
        }
    }
}

struct Schedule {
    random: Random,
    world: World,
    rooms: Vec<Room>,
    clients: Vec<Client>,
    /// The number of the next message.
    next: u32,
    /// The publications that handlers make when they run next: client, room and message.
    relays: Vec<(usize, usize, String)>,
}

struct Client {
    peer: Peer,
    rooms: BTreeSet<usize>,
    expected: Vec<String>,
    received: Vec<String>,
    window: Option<usize>,
    fate: Fate,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Fate {
    /// Gets all of it.
    Connected,
    /// Closed by the server with 1000: gets all that was sent before, if it reads in time.
    Closed,
    /// Gone by itself: may have got less.
    Cut,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let world = world(1 + random.below(4));
        let rooms = (0..ROOMS).map(|name| world.engine().room(&name.to_string()));
        Self {
            rooms: rooms.collect(),
            random,
            world,
            clients: Vec::new(),
            next: 0,
            relays: Vec::new(),
        }
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0..4 => self.connect(),
            4..9 => self.join(),
            9..12 => self.leave(),
            12..20 => self.publish(),
            20..25 => self.send(),
            25..29 => self.relay(),
            29 => self.close(),
            30 => self.cut(),
            31 => self.stall(),
            32 => self.resume(),
            33..35 => self.read(),
            35 => self.pass_time(),
            _ => self.run(),
        }
    }

    fn connect(&mut self) {
        if self.clients.len() == 16 {
            return;
        }
        let rooms = self.rooms.clone();
        // What a client says is published in the room that it names, by its handler.
        let script = Script::default()
            .on_message(move |_, message| {
                let (room, _) = message.split_once(' ').unwrap();
                let room: usize = room.parse().unwrap();
                rooms[room].publish(Frame::text(message));
                None
            })
            .options(|options| options.heartbeat = None);
        self.run();
        let peer = self.world.connect_to(script);
        self.clients.push(Client {
            peer,
            rooms: BTreeSet::new(),
            expected: Vec::new(),
            received: Vec::new(),
            window: None,
            fate: Fate::Connected,
        });
    }

    fn join(&mut self) {
        let room = self.random.below(ROOMS);
        if let Some(client) = self.any_connected() {
            let client = &mut self.clients[client];
            let is_new = client.peer.connection.join(&self.rooms[room]);
            assert_eq!(is_new, Ok(client.rooms.insert(room)));
        }
    }

    fn leave(&mut self) {
        let room = self.random.below(ROOMS);
        if let Some(client) = self.any_connected() {
            let client = &mut self.clients[client];
            let was_in = client.peer.connection.leave(&self.rooms[room]);
            assert_eq!(was_in, client.rooms.remove(&room));
        }
    }

    fn publish(&mut self) {
        let room = self.random.below(ROOMS);
        let text = self.message(room, MAIN);
        let except = match self.random.below(3) {
            0 => self.any_connected(),
            _ => None,
        };
        self.expect(room, &text, except);
        let frame = Frame::text(&text);
        match except {
            Some(except) => {
                let except = self.clients[except].peer.connection.id();
                self.rooms[room].publish_except(frame, &[except]);
            }
            None => self.rooms[room].publish(frame),
        }
    }

    fn send(&mut self) {
        let text = self.message(ROOMS, MAIN);
        if let Some(client) = self.any_connected() {
            let client = &mut self.clients[client];
            client.peer.send_text(&text);
            client.expected.push(text);
        }
    }

    /// A client says something, which its handler will publish.
    fn relay(&mut self) {
        let room = self.random.below(ROOMS);
        if let Some(client) = self.any_connected() {
            let text = self.message(room, client);
            self.clients[client].peer.text(&text);
            self.relays.push((client, room, text));
        }
    }

    fn close(&mut self) {
        self.run();
        if let Some(client) = self.any_connected() {
            let client = &mut self.clients[client];
            let frame = CloseFrame::new(CloseCode::NORMAL, "");
            client.peer.connection.close(Some(frame));
            client.fate = Fate::Closed;
            client.rooms.clear();
        }
    }

    fn cut(&mut self) {
        self.run();
        if let Some(client) = self.any_connected() {
            let client = &mut self.clients[client];
            if client.window.is_none() {
                client.peer.client.reset();
            } else {
                client.peer.client.shutdown();
            }
            client.fate = Fate::Cut;
            client.rooms.clear();
            self.world.run();
        }
    }

    fn stall(&mut self) {
        let window = self.random.below(40);
        if let Some(client) = self.any_connected() {
            self.clients[client].window = Some(window);
            self.clients[client].peer.client.set_window(window);
        }
    }

    fn resume(&mut self) {
        if let Some(client) = self.any_connected() {
            self.clients[client].window = None;
            self.clients[client].peer.client.set_window(64 * 1024);
        }
    }

    fn read(&mut self) {
        if let Some(client) = self.any_connected() {
            self.clients[client].take();
        }
    }

    fn pass_time(&mut self) {
        self.run();
        self.world.millis(1 + self.random.below(4_000) as u64);
        self.notice_slow_readers();
    }

    fn run(&mut self) {
        for (_, room, text) in mem::take(&mut self.relays) {
            self.expect(room, &text, None);
        }
        self.world.run();
        self.notice_slow_readers();
    }

    /// Notes the clients that were closed as slow readers: they may have got less.
    fn notice_slow_readers(&mut self) {
        for client in &mut self.clients {
            if client.fate == Fate::Connected && !client.is_open() {
                assert!(client.window.is_some(), "a client that reads was closed");
                client.fate = Fate::Cut;
                client.rooms.clear();
            }
        }
    }

    fn finish(mut self) {
        self.run();
        for client in &mut self.clients {
            client.peer.client.set_window(1 << 20);
        }
        self.world.run();
        for client in &mut self.clients {
            client.take();
        }
        for client in &self.clients {
            client.check();
        }
        self.check_order_of_rooms();
        self.check_that_nothing_stays();
    }

    /// All members saw the publications of a room in one order.
    fn check_order_of_rooms(&self) {
        for room in 0..ROOMS {
            let prefix = format!("{room} ");
            let seen = |client: &Client| -> Vec<String> {
                let of_room = |text: &&String| text.starts_with(&prefix);
                client.received.iter().filter(of_room).cloned().collect()
            };
            let seen: Vec<_> = self.clients.iter().map(seen).collect();
            for (index, one) in seen.iter().enumerate() {
                let places: HashMap<_, _> = one.iter().zip(0..).collect();
                for other in &seen[index + 1..] {
                    let common = other.iter().filter_map(|text| places.get(text));
                    assert!(common.is_sorted_by(|a: &&i32, b| a < b), "room {room}");
                }
            }
        }
    }

    fn check_that_nothing_stays(mut self) {
        for client in &self.clients {
            client.peer.client.reset();
        }
        self.world.seconds(5);
        assert_eq!(self.world.engine().connections(), 0);
        assert!(self.rooms.iter().all(Room::is_empty));
    }

    /// A message that names its room (or none), its source and itself.
    fn message(&mut self, room: usize, source: usize) -> String {
        self.next += 1;
        format!("{room} {source} {}", self.next)
    }

    fn expect(&mut self, room: usize, text: &str, except: Option<usize>) {
        for (index, client) in self.clients.iter_mut().enumerate() {
            if client.rooms.contains(&room) && except != Some(index) {
                client.expected.push(text.to_owned());
            }
        }
    }

    fn any_connected(&mut self) -> Option<usize> {
        let connected: Vec<_> = (0..self.clients.len())
            .filter(|index| self.clients[*index].fate == Fate::Connected)
            .collect();
        (!connected.is_empty()).then(|| connected[self.random.below(connected.len())])
    }
}

impl Client {
    fn is_open(&self) -> bool {
        self.peer.connection.state() == ConnectionState::Open
    }

    fn take(&mut self) {
        let received = self.peer.received();
        self.received.extend(received);
    }

    fn check(&self) {
        let mut received = self.received.clone();
        let close = received.pop_if(|last| last.starts_with("close"));
        let unique: HashSet<_> = received.iter().collect();
        assert_eq!(unique.len(), received.len(), "something came twice");
        let expected = by_source(&self.expected);
        let received = by_source(&received);
        assert!(received.keys().all(|source| expected.contains_key(source)));
        for (source, expected) in &expected {
            let received = received.get(source).map_or(&[][..], Vec::as_slice);
            match self.fate {
                Fate::Connected => assert_eq!(received, expected),
                Fate::Closed if self.window.is_none() => assert_eq!(received, expected),
                Fate::Closed | Fate::Cut => assert!(expected.starts_with(received)),
            }
        }
        if self.fate == Fate::Closed && self.window.is_none() {
            assert_eq!(close.as_deref(), Some("close 1000"));
        }
    }
}

/// The texts of each source, which come in its order. No other order is promised.
fn by_source(texts: &[String]) -> HashMap<&str, Vec<&str>> {
    let mut by_source: HashMap<_, Vec<_>> = HashMap::new();
    for text in texts {
        let source = text.split(' ').nth(1).unwrap();
        by_source.entry(source).or_default().push(text.as_str());
    }
    by_source
}
