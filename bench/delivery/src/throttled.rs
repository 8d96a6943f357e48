//! A slow reader among many.

use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::clients::{Clients, Heard};
use crate::error::Error;
use crate::follower::{Follower, Message, Tally};
use crate::process;
use crate::server::{Program, Server};
use crate::token;

/// The channel of all readers. The server remembers 300 publications of it.
const CHANNEL: &str = "post-1";
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two reads of the slow reader.
const STEP: Duration = Duration::from_millis(100);
/// The time between two looks at the server's memory.
const SAMPLE: Duration = Duration::from_secs(5);
/// The receive buffer that the slow reader asks its kernel for, in bytes; the kernel doubles it.
const RECEIVE_BUFFER: usize = 4096;

/// The options of this scenario.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// The readers that read at once.
    #[arg(long, default_value_t = 100)]
    readers: usize,
    /// Publications a second.
    #[arg(long, default_value_t = 4.0)]
    rate: f64,
    /// The size of a publication in bytes.
    #[arg(long, default_value_t = 32 * 1024)]
    size: usize,
    /// The time for which the slow reader is slow, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The share that the slow reader reads of what it is sent.
    #[arg(long, default_value_t = 0.01)]
    share: f64,
}

#[derive(Deserialize, Serialize)]
struct Data {
    /// Nanoseconds since the start.
    sent: u64,
    padding: String,
}

pub(crate) fn run(program: &Program, settings: &Settings) -> Result<(), Error> {
    for (name, with_slow) in [("without a slow reader", false), ("with one", true)] {
        let server = program.start()?;
        let mut audience = Audience::new(&server, settings, with_slow)?;
        audience.come()?;
        println!("\n{name}:");
        audience.listen(&server, settings)?;
        println!(
            "the others wait {:.2} ms for half, {:.2} ms for 99 of 100, {:.2} ms at most",
            audience.waits.value_at_quantile(0.5) as f64 / 1e6,
            audience.waits.value_at_quantile(0.99) as f64 / 1e6,
            audience.waits.max() as f64 / 1e6,
        );
        println!("load average: {}", process::load_average()?);
        println!("connections that ended: {}", audience.reconnects);
        audience.tally.judge()?;
    }
    Ok(())
}

struct Audience {
    clients: Clients,
    followers: Vec<Follower>,
    tokens: Vec<String>,
    slow: Option<usize>,
    tally: Tally,
    reconnects: u64,
    waits: Histogram<u64>,
    begun: Instant,
}

impl Audience {
    fn new(server: &Server, settings: &Settings, with_slow: bool) -> Result<Self, Error> {
        let count = settings.readers + usize::from(with_slow);
        Ok(Self {
            clients: Clients::new(server.addr, count)?,
            followers: vec![Follower::default(); count],
            tokens: (0..count).map(token::of_user).collect::<Result<_, _>>()?,
            slow: with_slow.then_some(settings.readers),
            tally: Tally::default(),
            reconnects: 0,
            waits: Histogram::new(3).expect("three digits are possible"),
            begun: Instant::now(),
        })
    }

    fn come(&mut self) -> Result<(), Error> {
        for client in 0..self.followers.len() {
            self.connect(client)?;
        }
        self.until("readers were coming", |audience| {
            audience.followers.iter().all(|follower| follower.is_in)
        })
    }

    fn connect(&mut self, client: usize) -> Result<(), Error> {
        let path = format!("/live?token={}", self.tokens[client]);
        let buffer = (self.slow == Some(client)).then_some(RECEIVE_BUFFER);
        self.followers[client].is_in = false;
        self.clients.connect(client, &path, buffer)
    }

    /// Runs all readers while the slow one reads only its share; then the slow one reads as
    /// the others, and every reader has to get every publication.
    fn listen(&mut self, server: &Server, settings: &Settings) -> Result<(), Error> {
        self.begun = Instant::now();
        let end = self.begun + Duration::from_secs(settings.seconds);
        let publisher = {
            let (api, settings, begun) = (Api::new(server.addr), settings.clone(), self.begun);
            thread::spawn(move || publish(&api, &settings, begun))
        };
        if let Some(slow) = self.slow {
            self.clients.pace(slow, true);
        }
        let bytes = settings.rate * settings.size as f64 * settings.share * STEP.as_secs_f64();
        let (mut next_step, mut next_sample) = (self.begun, self.begun);
        let (mut budget, mut memory) = (0.0, Vec::new());
        while Instant::now() < end {
            self.turn(next_step.min(end))?;
            if Instant::now() >= next_step {
                next_step += STEP;
                budget += bytes;
                budget -= self.read_slowly(budget as usize)? as f64;
            }
            if Instant::now() >= next_sample {
                next_sample += SAMPLE;
                memory.push(format!("{:.1}", process::memory(server.pid())?));
            }
        }
        println!(
            "the server's memory, every 5 s, in MB: {}",
            memory.join(" ")
        );
        let published = publisher.join().expect("the publisher does not panic")?;
        if let Some(slow) = self.slow {
            println!(
                "the slow one has seen {} of {published} publications",
                self.followers[slow].offset()
            );
            self.clients.pace(slow, false);
            self.read_slowly(usize::MAX)?;
        }
        let caught_up = Instant::now();
        self.until("readers caught up", |audience| {
            audience
                .followers
                .iter()
                .all(|follower| follower.offset() == published)
        })?;
        println!(
            "everybody has everything after another {:.2} s; memory {:.1} MB",
            caught_up.elapsed().as_secs_f64(),
            process::memory(server.pid())?
        );
        Ok(())
    }

    fn until(&mut self, doing: &'static str, is_done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(self) {
            if Instant::now() > deadline {
                return Err(Error::Silence(doing));
            }
            self.turn(Instant::now() + STEP)?;
        }
        Ok(())
    }

    fn turn(&mut self, until: Instant) -> Result<(), Error> {
        let mut ended = Vec::new();
        let Self {
            clients,
            followers,
            tally,
            waits,
            begun,
            slow,
            ..
        } = self;
        clients.turn(until, |client, link, heard| match heard {
            Heard::Open => link.text(&followers[client].subscribe(CHANNEL)),
            Heard::Text(text) => {
                let message = Message::read(text)?;
                if let Some(data) = message.data
                    && *slow != Some(client)
                    && let Ok(Data { sent, .. }) = serde_json::from_str(data.get())
                {
                    let now = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    // It grows with what it is given, up to any value.
                    waits
                        .record(now.saturating_sub(sent))
                        .expect("any value is possible");
                }
                followers[client].hear(&message, tally)
            }
            Heard::Closed(close) => {
                println!("client {client} was closed: {close:?}");
                ended.push(client);
                Ok(())
            }
        })?;
        self.come_back(&ended)
    }

    fn read_slowly(&mut self, mut most: usize) -> Result<usize, Error> {
        let (Some(slow), all) = (self.slow, most) else {
            return Ok(0);
        };
        let mut ended = Vec::new();
        let Self {
            clients,
            followers,
            tally,
            ..
        } = self;
        loop {
            let count = clients.read(slow, most, |client, link, heard| match heard {
                Heard::Open => link.text(&followers[client].subscribe(CHANNEL)),
                Heard::Text(text) => followers[client].hear(&Message::read(text)?, tally),
                Heard::Closed(close) => {
                    println!("the slow client was closed: {close:?}");
                    ended.push(client);
                    Ok(())
                }
            })?;
            most -= count;
            if count == 0 || most == 0 {
                break;
            }
        }
        self.come_back(&ended)?;
        Ok(all - most)
    }

    fn come_back(&mut self, ended: &[usize]) -> Result<(), Error> {
        for client in ended {
            self.reconnects += 1;
            self.connect(*client)?;
        }
        Ok(())
    }
}

fn publish(api: &Api, settings: &Settings, begun: Instant) -> Result<u64, Error> {
    let count = (settings.rate * settings.seconds as f64) as u64;
    let padding = "x".repeat(settings.size);
    for number in 0..count {
        let due = begun + Duration::from_secs_f64(number as f64 / settings.rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let data = Data {
            sent,
            padding: padding.clone(),
        };
        api.publish(CHANNEL, &data, &number.to_string())?;
    }
    Ok(count)
}
