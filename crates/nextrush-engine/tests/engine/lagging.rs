//! Members of a room that read too slowly: they lag, and catch up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nextrush_engine::{
    Backlog, ConnectionId, ConnectionState, Lag, Refill, Room, Skippable, Standing, Watch, Work,
};
use nextrush_protocol::Frame;

use crate::support::{Gate, Peer, Random, Script, World, world};

const NOTHING: [&str; 0] = [];
const BUDGET: usize = 4_000;
const OVER: usize = 500;

/// A room whose publications are all kept.
#[derive(Clone)]
struct Stream {
    room: Room,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    texts: Mutex<Vec<String>>,
    /// The gate that holds answers back.
    gate: Mutex<Option<Gate>>,
    /// The most publications that an answer has.
    part: Mutex<Option<usize>>,
    /// The first publication of each lag that it was asked to fill.
    asked: Mutex<Vec<u64>>,
}

impl Kept {
    fn answer(&self, lag: Lag) {
        let texts = self.texts.lock().unwrap();
        let first = usize::try_from(lag.first()).unwrap();
        let missed = &texts[first..];
        let part = self.part.lock().unwrap().unwrap_or(lag.capacity() / 104);
        let frames = missed.iter().take(part).map(|text| Frame::text(text));
        if missed.len() <= part {
            lag.fill(frames.collect());
        } else {
            lag.fill_part(frames.collect(), (first + part) as u64);
        }
    }
}

impl Refill for Kept {
    fn refill(self: Arc<Self>, lag: Lag) -> Work {
        self.asked.lock().unwrap().push(lag.first());
        let gate = self.gate.lock().unwrap().clone();
        match gate {
            None => {
                self.answer(lag);
                None
            }
            Some(gate) => Some(Box::pin(async move {
                if let Some(opened) = gate.wait() {
                    opened.await;
                }
                self.answer(lag);
            })),
        }
    }
}

impl Stream {
    fn new(world: &World) -> Self {
        Self {
            room: world.engine().room("stream"),
            kept: Arc::default(),
        }
    }

    /// Publishes the next text, of some 100 bytes, and returns its number.
    fn publish(&self) -> String {
        self.publish_over(OVER)
    }

    fn publish_over(&self, over: usize) -> String {
        let mut texts = self.kept.texts.lock().unwrap();
        let offset = texts.len();
        let text = format!("{offset:0100}");
        texts.push(text.clone());
        let skippable = Skippable::new(
            offset as u64,
            over,
            Arc::clone(&self.kept) as Arc<dyn Refill>,
        );
        self.room.publish_skippable(Frame::text(&text), skippable);
        offset.to_string()
    }

    /// The numbers of all publications from this one on.
    fn since(&self, first: usize) -> Vec<String> {
        let count = self.kept.texts.lock().unwrap().len();
        (first..count).map(|offset| offset.to_string()).collect()
    }

    fn asked(&self) -> Vec<u64> {
        self.kept.asked.lock().unwrap().clone()
    }

    fn hold(&self) -> Gate {
        let gate = Gate::default();
        *self.kept.gate.lock().unwrap() = Some(gate.clone());
        gate
    }
}

fn script() -> Script {
    Script::default().options(|options| {
        options.backlog = Backlog::default()
            .bytes(BUDGET)
            .age(Duration::from_secs(10));
        options.heartbeat = None;
    })
}

fn slow_member(world: &mut World, stream: &Stream) -> Peer {
    let peer = world.connect_to(script());
    peer.client.set_window(100);
    peer.connection.join(&stream.room).unwrap();
    peer
}

/// Takes what has come to the client: of publications their numbers.
fn take(peer: &mut Peer) -> Vec<String> {
    let short = |text: String| match text.parse::<usize>() {
        Ok(number) => number.to_string(),
        Err(_) => text,
    };
    peer.received().into_iter().map(short).collect()
}

/// Reads until nothing more comes.
fn read_all(world: &mut World, peer: &mut Peer) -> Vec<String> {
    let mut received = Vec::new();
    let mut silent = 0;
    while silent < 3 {
        world.run();
        let came = take(peer);
        silent = if came.is_empty() { silent + 1 } else { 0 };
        received.extend(came);
    }
    received
}

#[test]
fn a_slow_member_is_refilled_in_place_and_misses_nothing() {
    let mut world = world(2);
    let stream = Stream::new(&world);
    let mut slow = slow_member(&mut world, &stream);
    let mut quick = world.connect_to(script());
    quick.connection.join(&stream.room).unwrap();
    for _ in 0..1_000 {
        let text = stream.publish();
        world.run();
        assert_eq!(take(&mut quick), [text]);
        assert!(slow.connection.buffered() <= OVER);
    }
    let counts = world.engine().metrics().total().counts;
    assert_eq!([counts.lagging, counts.lags], [1, 1]);
    slow.client.set_window(1_000);
    assert_eq!(read_all(&mut world, &mut slow), stream.since(0));
    let live = stream.publish();
    world.run();
    assert_eq!(take(&mut slow), [live]);
    assert_eq!(slow.connection.state(), ConnectionState::Open);
    assert_eq!(slow.log.take(), ["open"]);
    assert!(stream.asked().len() > 50);
    let counts = world.engine().metrics().total().counts;
    assert_eq!([counts.lagging, counts.lags], [0, 1]);
}

#[test]
fn a_member_that_lags_still_gets_what_it_is_sent_and_its_other_rooms() {
    let mut world = world(1);
    let stream = Stream::new(&world);
    let other = world.engine().room("other");
    let mut slow = slow_member(&mut world, &stream);
    slow.connection.join(&other).unwrap();
    for _ in 0..20 {
        stream.publish();
        world.run();
    }
    stream.room.publish(Frame::text("left out as well"));
    other.publish(Frame::text("other"));
    slow.send_text("direct");
    slow.ping("ping");
    world.run();
    let received = read_all(&mut world, &mut slow);
    let kinds = |prefix| {
        let of_kind = |text: &&String| text.starts_with(prefix);
        received.iter().filter(of_kind).count()
    };
    let is_published = |text: &&String| text.parse::<usize>().is_ok();
    assert_eq!(received.iter().filter(is_published).count(), 20);
    assert_eq!(
        [kinds("other"), kinds("direct"), kinds("pong ping")],
        [1, 1, 1]
    );
    assert_eq!(kinds("left"), 0);
    stream.room.publish(Frame::text("heard"));
    world.run();
    assert_eq!(take(&mut slow), ["heard"]);
}

#[test]
fn what_is_published_while_a_lag_is_filled_comes_behind_it() {
    let mut world = world(1);
    let stream = Stream::new(&world);
    let gate = stream.hold();
    let mut slow = slow_member(&mut world, &stream);
    for _ in 0..20 {
        stream.publish();
        world.run();
    }
    let mut received = read_all(&mut world, &mut slow);
    assert!(received.len() < 20);
    assert_eq!(stream.asked(), [received.len() as u64]);
    for _ in 0..5 {
        stream.publish();
        world.run();
        assert_eq!(take(&mut slow), NOTHING);
    }
    // The answer and what is published after it are followed in one turn.
    gate.open();
    received.extend(read_all(&mut world, &mut slow));
    stream.publish();
    received.extend(read_all(&mut world, &mut slow));
    assert_eq!(received, stream.since(0));
}

#[test]
fn a_lag_can_be_filled_part_by_part() {
    let mut world = world(1);
    let stream = Stream::new(&world);
    *stream.kept.part.lock().unwrap() = Some(3);
    let mut slow = slow_member(&mut world, &stream);
    for _ in 0..50 {
        stream.publish();
        world.run();
    }
    assert_eq!(read_all(&mut world, &mut slow), stream.since(0));
    assert!(stream.asked().is_sorted_by(|one, other| other - one == 3));
    assert!(stream.asked().len() > 10);
}

#[test]
fn more_in_one_turn_than_may_wait_does_not_close_the_member() {
    for window in [0, 50, 1_000, 5_000, 1 << 20] {
        let mut world = world(1);
        let stream = Stream::new(&world);
        let mut peer = world.connect_to(script());
        peer.connection.join(&stream.room).unwrap();
        peer.client.set_window(window);
        for _ in 0..200 {
            stream.publish();
        }
        world.run();
        assert_eq!(peer.connection.state(), ConnectionState::Open, "{window}");
        assert!(peer.connection.buffered() <= BUDGET);
        peer.client.set_window(1 << 20);
        assert_eq!(read_all(&mut world, &mut peer), stream.since(0), "{window}");
    }
}

#[test]
fn where_nothing_may_wait_a_client_that_reads_along_does_not_lag() {
    let mut world = world(1);
    let stream = Stream::new(&world);
    let mut peer = world.connect_to(script());
    peer.connection.join(&stream.room).unwrap();
    for _ in 0..10 {
        // Three in one turn, and a direct message that has them wait for the turn's end.
        for _ in 0..3 {
            stream.publish_over(0);
        }
        peer.send_text("0 direct");
        world.run();
        assert_eq!(take(&mut peer).len(), 4);
    }
    assert_eq!(stream.asked(), []);
    peer.client.set_window(150);
    for _ in 0..10 {
        stream.publish_over(0);
        world.run();
    }
    // One was taken, and one was begun.
    assert_eq!(peer.connection.buffered(), 54);
    peer.client.set_window(1 << 20);
    assert_eq!(read_all(&mut world, &mut peer), stream.since(30));
}

#[test]
fn a_member_that_leaves_lags_no_more_and_an_answer_that_comes_late_is_dropped() {
    let mut world = world(1);
    let stream = Stream::new(&world);
    let gate = stream.hold();
    let mut slow = slow_member(&mut world, &stream);
    for _ in 0..20 {
        stream.publish();
        world.run();
    }
    let before = read_all(&mut world, &mut slow).len();
    assert_eq!(stream.asked().len(), 1);
    assert!(slow.connection.leave(&stream.room));
    world.run();
    slow.connection.join(&stream.room).unwrap();
    gate.open();
    assert_eq!(read_all(&mut world, &mut slow), NOTHING);
    let live = stream.publish();
    assert_eq!(read_all(&mut world, &mut slow), [live]);
    assert!(before < 20);
}

#[test]
fn a_lag_that_nobody_fills_closes_with_1013_and_one_whose_filling_panics_with_1011() {
    struct Never;
    impl Refill for Never {
        fn refill(self: Arc<Self>, _: Lag) -> Work {
            None
        }
    }
    struct Panics;
    impl Refill for Panics {
        fn refill(self: Arc<Self>, lag: Lag) -> Work {
            Some(Box::pin(async move { panic!("cannot fill {lag:?}") }))
        }
    }
    let cases: [(Arc<dyn Refill>, &str); 2] = [
        (Arc::new(Never), "close 1013 client reads too slowly"),
        (Arc::new(Panics), "close 1011"),
    ];
    for (refill, close) in cases {
        let mut world = world(1);
        let room = world.engine().room("room");
        let mut slow = world.connect_to(script());
        slow.client.set_window(100);
        slow.connection.join(&room).unwrap();
        for offset in 0..20 {
            let skippable = Skippable::new(offset, OVER, Arc::clone(&refill));
            room.publish_skippable(Frame::text(&"x".repeat(100)), skippable);
            world.run();
        }
        let received = read_all(&mut world, &mut slow);
        assert_eq!(received.last().unwrap(), close);
    }
}

#[test]
fn a_member_that_takes_a_little_at_times_is_not_cut_for_its_age() {
    let mut world = world(1);
    let stream = Stream::new(&world);
    let mut slow = slow_member(&mut world, &stream);
    let mut received = Vec::new();
    for _ in 0..50 {
        stream.publish();
        world.seconds(9);
        received.extend(take(&mut slow));
        world.run();
    }
    received.extend(read_all(&mut world, &mut slow));
    assert_eq!(received, stream.since(0));
    for _ in 0..20 {
        stream.publish();
    }
    world.millis(9_999);
    assert_eq!(slow.connection.state(), ConnectionState::Open);
    world.millis(1);
    assert_ne!(slow.connection.state(), ConnectionState::Open);
}

#[test]
fn a_member_can_be_given_what_was_published_before_it_came() {
    let mut world = world(1);
    let stream = Stream::new(&world);
    for _ in 0..50 {
        stream.publish();
    }
    let mut late = slow_member(&mut world, &stream);
    let from = || Skippable::new(10, OVER, Arc::clone(&stream.kept) as Arc<dyn Refill>);
    let ahead = ["8", "9"].map(Frame::text);
    stream
        .room
        .give(&late.connection, ahead.to_vec(), Some(from()));
    for _ in 0..50 {
        stream.publish();
    }
    // Lags already.
    stream.room.give(&late.connection, Vec::new(), Some(from()));
    assert_eq!(read_all(&mut world, &mut late), stream.since(8));
    assert_eq!(late.connection.buffered(), 0);
    let live = stream.publish();
    assert_eq!(read_all(&mut world, &mut late), [live]);
    let outside = world.connect();
    stream
        .room
        .give(&outside.connection, Vec::new(), Some(from()));
    world.run();
    assert_eq!(world.engine().metrics().total().counts.lagging, 0);
}

#[test]
fn a_slow_reader_of_something_else_is_closed_as_ever() {
    let mut world = world(1);
    let stream = Stream::new(&world);
    let slow = slow_member(&mut world, &stream);
    for _ in 0..20 {
        stream.publish();
        world.run();
    }
    for _ in 0..50 {
        slow.send_text(&"x".repeat(100));
        world.run();
    }
    assert_ne!(slow.connection.state(), ConnectionState::Open);
}

/// Tests, with random schedules, that a member that stays gets everything once and in order.
#[test]
fn every_member_gets_every_publication_once_and_in_order_however_slowly_it_reads() {
    for seed in 0..500 {
        run_schedule(seed);
    }
}

fn run_schedule(seed: u64) {
    let mut random = Random(seed);
    let mut world = world(1 + random.below(3));
    let stream = Stream::new(&world);
    let mut gate = None;
    *stream.kept.part.lock().unwrap() = Some(1 + random.below(8));
    let mut members: Vec<(Peer, Option<usize>, Vec<String>)> = (0..4)
        .map(|_| (world.connect_to(script()), None, Vec::new()))
        .collect();
    for _ in 0..150 {
        let chosen = random.below(members.len());
        let (peer, since, received) = &mut members[chosen];
        match random.below(12) {
            0..4 => drop(stream.publish_over(random.below(3) * OVER)),
            4 => {
                for _ in 0..random.below(40) {
                    stream.publish();
                }
            }
            5 => peer.client.set_window(random.below(1_500)),
            6 => received.extend(take(peer)),
            7 => {
                if since.is_none() {
                    peer.connection.join(&stream.room).unwrap();
                    *since = Some(stream.since(0).len());
                }
            }
            8 if random.below(4) == 0 => {
                // Its publications so far have to be right; then it starts again.
                peer.connection.leave(&stream.room);
                world.run();
                peer.client.set_window(2_000);
                received.extend(read_all(&mut world, peer));
                let begun = since.take().unwrap_or_default();
                let expected = stream.since(begun);
                assert!(expected.starts_with(received), "seed {seed}");
                received.clear();
            }
            9 if gate.is_none() => gate = Some(stream.hold()),
            10 => {
                if let Some(gate) = gate.take() {
                    gate.open();
                    *stream.kept.gate.lock().unwrap() = None;
                }
            }
            _ => world.run(),
        }
    }
    if let Some(gate) = gate {
        gate.open();
        *stream.kept.gate.lock().unwrap() = None;
    }
    for (peer, since, received) in &mut members {
        peer.client.set_window(150 + random.below(1_000));
        received.extend(read_all(&mut world, peer));
        assert_eq!(
            peer.connection.state(),
            ConnectionState::Open,
            "seed {seed}"
        );
        let begun = since.unwrap_or_else(|| stream.since(0).len());
        assert_eq!(*received, stream.since(begun), "seed {seed}");
    }
}

/// Numbers of publications that have left, and those that were not sent, as they were told.
#[derive(Default)]
struct Watched(Mutex<Vec<(ConnectionId, u64)>>);

impl Watch for Watched {
    fn left(&self, member: ConnectionId, last: u64) {
        self.0.lock().unwrap().push((member, last));
    }
}

fn standing(world: &mut World, room: &Room, peer: &Peer) -> Standing {
    let told = Arc::new(Mutex::new(None));
    let place = Arc::clone(&told);
    room.look(&peer.connection, move |standing| {
        *place.lock().unwrap() = Some(standing);
    });
    world.run();
    let standing = *told.lock().unwrap();
    standing.expect("the shard tells")
}

#[test]
fn the_standing_of_a_member_says_what_waits_and_from_where_it_lags() {
    let mut world = world(1);
    let stream = Stream::new(&world);
    let mut peer = slow_member(&mut world, &stream);
    let other = world.engine().room("other");
    peer.connection.join(&other).unwrap();
    world.run();
    assert_eq!(
        standing(&mut world, &stream.room, &peer),
        Standing::default()
    );
    // Numbers begin at 1.
    stream.kept.texts.lock().unwrap().push(String::new());
    for _ in 0..20 {
        stream.publish();
        world.run();
    }
    other.publish_numbered(Frame::text("other"), 7);
    world.run();
    let found = standing(&mut world, &stream.room, &peer);
    // The first one is on the way, and 500 bytes wait.
    assert_eq!((found.waits_from, found.lags_from), (Some(1), Some(6)));
    assert!(!found.waits_for_others);
    assert_eq!(standing(&mut world, &other, &peer).waits_from, Some(7));
    read_all(&mut world, &mut peer);
    assert_eq!(
        standing(&mut world, &stream.room, &peer),
        Standing::default()
    );
}

#[test]
fn publications_that_are_numbered_anew_behind_others_count_as_waiting() {
    let mut world = world(1);
    let room = world.engine().room("stream");
    let peer = world.connect_to(script());
    peer.client.set_window(10);
    peer.connection.join(&room).unwrap();
    for number in [900, 901, 1, 2] {
        room.publish_numbered(Frame::text(&"x".repeat(50)), number);
        world.run();
    }
    assert_eq!(standing(&mut world, &room, &peer).waits_from, Some(0));
    peer.connection.send(Frame::text("hello"));
    world.run();
    assert!(standing(&mut world, &room, &peer).waits_for_others);
}

#[test]
fn whoever_leaves_is_told_to_the_watch_with_the_last_publication() {
    let mut world = world(2);
    let room = world.engine().room("stream");
    let watched = Arc::new(Watched::default());
    let watch = Arc::clone(&watched);
    room.watch(move || watch);
    let peers: Vec<_> = (0..4).map(|_| world.connect_to(script())).collect();
    let ids: Vec<_> = peers.iter().map(|peer| peer.connection.id()).collect();
    for peer in &peers {
        peer.connection.join(&room).unwrap();
    }
    room.publish_numbered(Frame::text("x"), 1);
    assert!(peers[0].connection.leave(&room));
    assert!(!peers[0].connection.leave(&room));
    room.publish_numbered(Frame::text("x"), 2);
    peers[1].connection.close(None);
    room.publish_numbered(Frame::text("x"), 3);
    world.run();
    // The transport of one breaks, and nothing was published since.
    peers[2].client.reset();
    world.run();
    assert_eq!(
        *watched.0.lock().unwrap(),
        [(ids[0], 1), (ids[1], 2), (ids[2], 3)]
    );
}

#[test]
fn a_connection_that_ends_tells_what_was_not_sent() {
    for is_broken in [true, false] {
        let mut world = world(1);
        let room = world.engine().room("stream");
        let peer = world.connect_to(script());
        peer.client.set_window(100);
        peer.connection.join(&room).unwrap();
        for number in 1..=5 {
            room.publish_numbered(Frame::text(&"x".repeat(60)), number);
            world.run();
        }
        if is_broken {
            peer.client.reset();
        } else {
            // It reads nothing more, and is closed as a slow reader.
            world.seconds(30);
        }
        world.run();
        let unsent = format!("unsent in {} from 2", room.number());
        assert!(peer.log.take().contains(&unsent), "{is_broken}");
    }
}
