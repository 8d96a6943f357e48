//! Every subscriber has every publication once and in order, or was told precisely what it
//! missed; whoever is put out of a channel is told so and hears nothing more; every command is
//! executed once and answered once. Random schedules of publishing, coming and going, reading
//! slowly, taking rights away, asking, forgetting and restarting, with functions of the application
//! that refuse, fail, panic and hang, on the simulated network and in virtual time, against a plain
//! model: [`oracle`] and [`once`] are what it knows, [`subscriber`], [`outbox`], [`talker`] and
//! [`asking`] what they check, [`actions`] what happens, and [`checks`] what has to hold in the end.
//!
//! A schedule is made from its seed alone. `SEED=17 cargo test -p nextrush --all-features --test
//! delivery_model` replays one, and `NEXTRUSH_SCHEDULES=100000` in its place runs more.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "the modules are a program of their own")]

mod actions;
mod application;
mod asking;
mod bystander;
mod channels;
mod checks;
mod hesitant;
mod link;
mod node;
mod once;
mod oracle;
mod outbox;
mod subscriber;
mod talker;
mod tally;
mod times;
mod world;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nextrush::{Jwt, User};
use tokio::runtime;

use self::tally::Tally;
use self::world::World;

const SCHEDULES: u64 = 1000;
const STEPS: usize = 120;
const MINUTE: Duration = Duration::from_secs(60);
/// A time that is longer than the broker ever takes.
const CALM: Duration = Duration::from_secs(2);

/// The window of clients that are not slow, in bytes: more than they ever get.
const WINDOW: usize = 256 * 1024;
/// A long message, in bytes: 25 of them are more than may wait for a slow reader.
const MUCH: usize = 3000;
/// The time after which a client that takes nothing is closed: the default of endpoints.
const AGE: Duration = Duration::from_secs(10);
const SUBSCRIBERS: usize = 3;
const ROOMS: usize = 2;
const TALKERS: usize = 4;

/// The place where the broker keeps what it remembers.
#[derive(Clone, Copy)]
enum Storage {
    Memory,
    Disk,
    /// Two nodes on a store that they share.
    Nodes,
}

#[test]
fn every_subscriber_has_everything_once_or_knows_what_it_missed() {
    if let Some(tally) = run_schedules(1, Storage::Memory) {
        tally.assert_all_was_tried();
    }
}

/// These replay as far as the disk has its answers in the same order.
#[test]
fn so_it_is_with_the_durable_broker() {
    run_schedules(100, Storage::Disk);
}

#[test]
fn so_it_is_with_two_nodes() {
    if let Some(tally) = run_schedules(10, Storage::Nodes) {
        tally.assert_all_was_tried();
    }
}

#[test]
fn a_seed_gives_the_same_schedule_again() {
    for storage in [Storage::Memory, Storage::Nodes] {
        for seed in 0..3 {
            let run = || run_schedule(seed, storage);
            assert_eq!(run(), run(), "seed {seed}");
        }
    }
}

/// Runs one of so many schedules; `None` if there is only one, to be replayed.
fn run_schedules(of: u64, storage: Storage) -> Option<Tally> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("SEED") {
        println!("{:?}", run_schedule(seed, storage));
        return None;
    }
    let schedules = number("NEXTRUSH_SCHEDULES").unwrap_or(SCHEDULES) / of;
    let next = AtomicU64::new(0);
    let run_some = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= schedules {
                return tally;
            }
            tally += run_schedule(seed, storage);
        }
    };
    let tally = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run_some)).collect();
        let mut all = Tally::default();
        for thread in running {
            all += thread.join().expect("no schedule fails");
        }
        all
    });
    println!("{schedules} schedules: {tally:?}");
    Some(tally)
}

fn run_schedule(seed: u64, storage: Storage) -> Tally {
    let _named = Named(seed);
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(async {
        let mut world = World::new(seed, storage);
        for _ in 0..STEPS {
            world.step().await;
        }
        world.finish().await
    })
}

/// Says which schedule it was that failed.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("replay this schedule with SEED={}", self.0);
        }
    }
}

/// Prints what happens, where one schedule is replayed.
fn trace(event: impl FnOnce() -> String) {
    static IS_ON: LazyLock<bool> = LazyLock::new(|| std::env::var_os("SEED").is_some());
    if *IS_ON {
        println!("{}", event());
    }
}

fn jwt() -> Jwt {
    Jwt::hs256("a secret of tests, thirty-two bytes and more")
}

/// A token that outlives the schedule.
fn token_of(user: &str) -> String {
    let user = User::new(user, format!("{user}@example.com"));
    let lifetime = Duration::from_secs(1_000_000_000);
    jwt().sign_for(&user, lifetime).expect("a plain user")
}
