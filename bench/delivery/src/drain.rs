//! The server is replaced while its clients listen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::api::Api;
use crate::clients::{Clients, Heard};
use crate::error::Error;
use crate::follower::{Follower, Message, Tally};
use crate::process;
use crate::server::{Program, Server};
use crate::token;

const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two attempts of a client that was refused.
const RETRY: Duration = Duration::from_millis(200);
/// The time to listen when all are back: after 15 s the server would say that a client has
/// left.
const GRACE: Duration = Duration::from_secs(17);
const BEFORE: Duration = Duration::from_secs(2);
const AT_ONCE: usize = 256;
/// The width of the histogram's bins.
const BIN: Duration = Duration::from_millis(500);

/// The options of this scenario.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// The clients.
    #[arg(long, default_value_t = 5_000)]
    clients: usize,
    /// The channels with presence that they are spread over.
    #[arg(long, default_value_t = 50)]
    channels: usize,
    /// Publications a second, in all.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
}

pub(crate) fn run(program: &Program, settings: &Settings) -> Result<(), Error> {
    let mut server = program.start()?;
    let mut crowd = Crowd::new(&server, settings)?;
    crowd.come()?;
    let publisher = Publisher::start(&server, settings);
    crowd.listen(BEFORE)?;

    println!("{} clients; the server is told to stop", settings.clients);
    server.terminate()?;
    crowd.stopped = Some(Instant::now());
    let mut ended = None;
    while ended.is_none() {
        crowd.turn(Instant::now() + Duration::from_millis(5))?;
        ended = server.ended()?;
        if crowd
            .stopped
            .is_some_and(|stopped| stopped.elapsed() > PATIENCE)
        {
            return Err(Error::Silence("the server was stopping"));
        }
    }
    let gone = crowd.since_stop();
    let server = program.start()?;
    println!(
        "it was gone after {:.2} s ({:?}), the next one listened after {:.2} s",
        gone.as_secs_f64(),
        ended,
        crowd.since_stop().as_secs_f64()
    );
    crowd.until("clients came back", |crowd| {
        crowd.followers.iter().all(|follower| follower.is_in)
    })?;
    println!(
        "all were back after {:.2} s",
        crowd.since_stop().as_secs_f64()
    );
    crowd.listen(GRACE)?;
    let tops = publisher.stop()?;
    let channels = settings.channels;
    crowd.until("the last publications came", |crowd| {
        let followers = crowd.followers.iter().enumerate();
        let mut caught_up =
            followers.map(|(client, follower)| follower.offset() >= tops[client % channels]);
        caught_up.all(|caught_up| caught_up)
    })?;
    crowd.print();
    println!(
        "the new server's memory: at most {:.0} MB; load average: {}",
        process::peak_memory(server.pid())?,
        process::load_average()?
    );
    crowd.tally.judge()?;
    if program.keeps() && crowd.tally.refused > 0 {
        return Err(Error::Broken("a kept stream was not recovered".to_owned()));
    }
    if crowd.presence.left > 0 {
        return Err(Error::Broken("somebody was said to have left".to_owned()));
    }
    Ok(())
}

struct Crowd<'a> {
    settings: &'a Settings,
    clients: Clients,
    followers: Vec<Follower>,
    tokens: Vec<String>,
    tally: Tally,
    presence: Presence,
    stopped: Option<Instant>,
    /// The clients that are to connect, each with its time; the earliest first.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    told_ms: Vec<Option<u64>>,
    came_back: Vec<Duration>,
    refused: u64,
}

/// The news that clients get of each other.
#[derive(Debug, Default)]
struct Presence {
    /// Diffs since the server was told to stop.
    left: u64,
    joined: u64,
    /// The number of members that each client saw right when it came back.
    members: Vec<usize>,
}

impl<'a> Crowd<'a> {
    fn new(server: &Server, settings: &'a Settings) -> Result<Self, Error> {
        let count = settings.clients;
        Ok(Self {
            settings,
            clients: Clients::new(server.addr, count)?,
            followers: vec![Follower::default(); count],
            tokens: (0..count).map(token::of_user).collect::<Result<_, _>>()?,
            tally: Tally::default(),
            presence: Presence::default(),
            stopped: None,
            due: BinaryHeap::new(),
            told_ms: vec![None; count],
            came_back: Vec::new(),
            refused: 0,
        })
    }

    fn come(&mut self) -> Result<(), Error> {
        let count = self.settings.clients;
        for first in (0..count).step_by(AT_ONCE) {
            let some = first..count.min(first + AT_ONCE);
            for client in some.clone() {
                self.connect(client)?;
            }
            self.until("clients were coming", |crowd| {
                crowd.followers[some.clone()]
                    .iter()
                    .all(|follower| follower.is_in)
            })?;
        }
        Ok(())
    }

    fn connect(&mut self, client: usize) -> Result<(), Error> {
        let path = format!("/live?token={}", self.tokens[client]);
        self.clients.connect(client, &path, None)
    }

    fn since_stop(&self) -> Duration {
        self.stopped
            .map_or(Duration::ZERO, |stopped| stopped.elapsed())
    }

    fn listen(&mut self, duration: Duration) -> Result<(), Error> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.turn(end)?;
        }
        Ok(())
    }

    fn until(&mut self, doing: &'static str, is_done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(self) {
            if Instant::now() > deadline {
                return Err(Error::Silence(doing));
            }
            self.turn(Instant::now() + Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Hands out what clients receive, at most until `until`, and connects those that are due.
    fn turn(&mut self, until: Instant) -> Result<(), Error> {
        let next = self.due.peek().map(|Reverse((due, _))| *due);
        let until = next.map_or(until, |next| until.min(next));
        let Self {
            settings,
            clients,
            followers,
            tally,
            presence,
            stopped,
            due,
            told_ms,
            came_back,
            refused,
            ..
        } = self;
        clients.turn(until, |client, link, heard| {
            let follower = &mut followers[client];
            let channel = channel(client % settings.channels);
            match heard {
                Heard::Open => {
                    if let Some(stopped) = stopped {
                        came_back.push(stopped.elapsed());
                    }
                    link.text(&follower.subscribe(&channel))
                }
                Heard::Text(text) => {
                    let message = Message::read(text)?;
                    match &*message.r#type {
                        "reconnect" => told_ms[client] = message.after_ms,
                        "subscribed" if stopped.is_some() => {
                            link.text(
                                &json!({ "type": "presence", "channel": channel }).to_string(),
                            )?;
                        }
                        "presence" => {
                            presence
                                .members
                                .push(message.members.as_ref().map_or(0, Vec::len));
                        }
                        "presence-diff" if stopped.is_some() => {
                            presence.left += count(message.left.as_ref());
                            presence.joined += count(message.joined.as_ref());
                        }
                        _ => {}
                    }
                    follower.hear(&message, tally)
                }
                Heard::Closed(close) => {
                    let Some(after_ms) = told_ms[client] else {
                        return Err(Error::Broken(format!("client {client}: {close:?}")));
                    };
                    let after = match std::mem::take(&mut follower.is_in) {
                        true => Duration::from_millis(after_ms),
                        // It had come too early.
                        false => RETRY,
                    };
                    *refused += u64::from(after == RETRY && close.is_none());
                    due.push(Reverse((Instant::now() + after, client)));
                    Ok(())
                }
            }
        })?;
        while let Some(Reverse((due, client))) = self.due.peek().copied()
            && due <= Instant::now()
        {
            self.due.pop();
            self.connect(client)?;
        }
        Ok(())
    }

    fn print(&mut self) {
        println!(
            "clients that were told when to come: {}",
            self.told_ms.iter().flatten().count()
        );
        println!("attempts that came too early: {}", self.refused);
        println!("came back, in each half second after the server was told to stop:");
        let mut bins = Vec::new();
        for came_back in &self.came_back {
            let bin = (came_back.as_secs_f64() / BIN.as_secs_f64()) as usize;
            if bins.len() <= bin {
                bins.resize(bin + 1, 0);
            }
            bins[bin] += 1;
        }
        for (bin, count) in bins.iter().enumerate() {
            let from = BIN.as_secs_f64() * bin as f64;
            println!("  {from:>4.1} s {count:>6} {}", "#".repeat(count / 20));
        }
        let Presence {
            left,
            joined,
            members,
        } = &mut self.presence;
        members.sort_unstable();
        let at = |part: usize| members.get(members.len().saturating_sub(1) * part / 100);
        println!("presence: said to have left {left}, to have joined {joined}");
        println!(
            "members that were seen on coming back: {:?} at least, {:?} by half, {:?} at most, of {}",
            at(0),
            at(50),
            at(100),
            self.settings.clients / self.settings.channels
        );
    }
}

fn count(members: Option<&Vec<&serde_json::value::RawValue>>) -> u64 {
    members.map_or(0, |members| members.len() as u64)
}

fn channel(number: usize) -> String {
    format!("presence-{number}")
}

/// Publishes without a pause, and repeats each publication until it is acknowledged.
struct Publisher {
    has_to_stop: Arc<AtomicBool>,
    running: JoinHandle<Result<Vec<u64>, Error>>,
}

impl Publisher {
    fn start(server: &Server, settings: &Settings) -> Self {
        let has_to_stop = Arc::new(AtomicBool::new(false));
        let (stop, api) = (Arc::clone(&has_to_stop), Api::new(server.addr));
        let Settings { channels, rate, .. } = *settings;
        let running = thread::spawn(move || {
            let pause = Duration::from_secs_f64(1.0 / rate);
            let mut tops = vec![0; channels];
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let at = number % channels;
                let data = json!({ "number": number });
                let deadline = Instant::now() + PATIENCE;
                tops[at] = loop {
                    match api.publish(&channel(at), &data, &number.to_string()) {
                        Ok(position) => break position.offset,
                        Err(error) if Instant::now() > deadline => return Err(error),
                        Err(_) => thread::sleep(Duration::from_millis(20)),
                    }
                };
                thread::sleep(pause);
            }
            Ok(tops)
        });
        Self {
            has_to_stop,
            running,
        }
    }

    /// The offset of the last publication of each channel.
    fn stop(self) -> Result<Vec<u64>, Error> {
        self.has_to_stop.store(true, Ordering::Relaxed);
        self.running.join().expect("the publisher does not panic")
    }
}
