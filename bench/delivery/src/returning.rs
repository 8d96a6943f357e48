//! Everybody comes back at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::api::Api;
use crate::clients::{Clients, Heard};
use crate::error::Error;
use crate::follower::{Follower, Message, Tally};
use crate::process;
use crate::server::{Program, Server};
use crate::token;

const PATIENCE: Duration = Duration::from_secs(120);
/// The time to wait for something that should not come.
const AFTERWARDS: Duration = Duration::from_millis(500);
/// The clients that connect at a time when they come for the first time.
const AT_ONCE: usize = 256;

/// The options of this scenario.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// The clients.
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// The publications that each client misses.
    #[arg(long, default_value_t = 100)]
    missed: u64,
    /// The channels that they are spread over.
    #[arg(long, default_value_t = 1)]
    channels: usize,
    /// Chat rooms in place of channels.
    #[arg(long)]
    chat: bool,
}

pub(crate) fn run(program: &Program, settings: &Settings) -> Result<(), Error> {
    let server = program.start()?;
    let mut crowd = Crowd::new(&server, settings)?;
    crowd.come(AT_ONCE)?;
    crowd.go(&server)?;
    let missed = Instant::now();
    crowd.miss(&server)?;
    println!(
        "{} clients miss {} messages each, published in {:.1} s",
        settings.clients,
        settings.missed,
        missed.elapsed().as_secs_f64()
    );
    let memory = process::memory(server.pid())?;
    process::forget_peak(server.pid())?;
    let cpu = process::cpu(server.pid())?;
    let begun = Instant::now();
    crowd.come(usize::MAX)?;
    let took = begun.elapsed();
    let cpu = process::cpu(server.pid())? - cpu;
    crowd.hear_nothing_more()?;
    println!(
        "all connected after {:.2} s",
        crowd.connected_in.as_secs_f64()
    );
    println!("all recovered after {:.2} s", took.as_secs_f64());
    crowd.print_times();
    println!("the server's CPU time: {:.2} s", cpu.as_secs_f64());
    println!(
        "the server's memory: {memory:.0} MB before, at most {:.0} MB",
        process::peak_memory(server.pid())?
    );
    println!("load average: {}", process::load_average()?);
    crowd.tally.judge()?;
    if crowd.tally.recovered != settings.clients as u64 {
        return Err(Error::Broken("not everybody has recovered".to_owned()));
    }
    Ok(())
}

/// All clients, each in one channel or room.
struct Crowd<'a> {
    settings: &'a Settings,
    clients: Clients,
    followers: Vec<Follower>,
    tokens: Vec<String>,
    tally: Tally,
    /// The offset at which a client has everything.
    top: u64,
    connected_in: Duration,
    /// The times that the clients took until they had everything.
    done: Vec<Duration>,
}

impl<'a> Crowd<'a> {
    fn new(server: &Server, settings: &'a Settings) -> Result<Self, Error> {
        // Beside the crowd one for each room, who talks.
        let count = settings.clients + settings.channels;
        Ok(Self {
            settings,
            clients: Clients::new(server.addr, count)?,
            followers: vec![Follower::default(); settings.clients],
            tokens: (0..count).map(token::of_user).collect::<Result<_, _>>()?,
            tally: Tally::default(),
            top: 0,
            connected_in: Duration::ZERO,
            done: Vec::new(),
        })
    }

    /// Connects all clients, `at_once` at a time, and waits until each has what it missed.
    fn come(&mut self, at_once: usize) -> Result<(), Error> {
        let begun = Instant::now();
        let count = self.settings.clients;
        let (mut begun_clients, mut open) = (0, 0);
        self.done = Vec::with_capacity(count);
        while self.done.len() < count {
            while begun_clients < count && begun_clients - self.done.len() < at_once {
                self.clients
                    .connect(begun_clients, &self.path(begun_clients), None)?;
                begun_clients += 1;
            }
            let wait = match begun_clients < count && begun_clients - self.done.len() < at_once {
                true => Duration::ZERO,
                false => PATIENCE,
            };
            let before = (open, self.done.len());
            let heard_before = self.tally.received;
            self.turn(Instant::now() + wait, begun, &mut open)?;
            let is_silent =
                before == (open, self.done.len()) && heard_before == self.tally.received;
            if is_silent && begun.elapsed() > PATIENCE {
                return Err(Error::Silence("clients were coming"));
            }
        }
        Ok(())
    }

    fn turn(&mut self, until: Instant, begun: Instant, open: &mut usize) -> Result<(), Error> {
        let Self {
            settings,
            clients,
            followers,
            tally,
            top,
            done,
            connected_in,
            ..
        } = self;
        clients.turn(until, |client, link, heard| {
            let Some(follower) = followers.get_mut(client) else {
                return Ok(());
            };
            match heard {
                Heard::Open => {
                    *open += 1;
                    *connected_in = begun.elapsed();
                    if !settings.chat {
                        link.text(&follower.subscribe(&channel(client % settings.channels)))?;
                    }
                }
                Heard::Text(text) => {
                    let was_done = follower.is_in && follower.offset() >= *top;
                    follower.hear(&Message::read(text)?, tally)?;
                    if !was_done && follower.is_in && follower.offset() >= *top {
                        done.push(begun.elapsed());
                    }
                }
                Heard::Closed(close) => {
                    return Err(Error::Broken(format!(
                        "client {client} was closed: {close:?}"
                    )));
                }
            }
            Ok(())
        })
    }

    fn path(&self, client: usize) -> String {
        let token = &self.tokens[client];
        match self.settings.chat {
            true => self.followers[client].chat(&room(client % self.settings.channels), token),
            false => format!("/live?token={token}"),
        }
    }

    /// Cuts all connections, and waits until the server has noticed.
    fn go(&mut self, server: &Server) -> Result<(), Error> {
        for client in 0..self.settings.clients {
            self.clients.cut(client);
            self.followers[client].is_in = false;
        }
        let deadline = Instant::now() + PATIENCE;
        let api = Api::new(server.addr);
        // In rooms the talkers see for themselves.
        while !self.settings.chat && api.subscriptions()? > 0 {
            if Instant::now() > deadline {
                return Err(Error::Silence("clients were going"));
            }
        }
        Ok(())
    }

    fn miss(&mut self, server: &Server) -> Result<(), Error> {
        self.top = self.settings.missed;
        if self.settings.chat {
            return self.talk();
        }
        let api = Api::new(server.addr);
        for number in 1..=self.settings.missed {
            for channel_number in 0..self.settings.channels {
                let data = json!({ "number": number, "text": "x".repeat(100) });
                let key = format!("{channel_number}-{number}");
                api.publish(&channel(channel_number), &data, &key)?;
            }
        }
        Ok(())
    }

    /// Fills each empty room with the messages that its members will miss.
    fn talk(&mut self) -> Result<(), Error> {
        let first = self.settings.clients;
        let rooms = self.settings.channels;
        let missed = self.settings.missed;
        let deadline = Instant::now() + PATIENCE;
        let (mut alone, mut acknowledged) = (0, 0);
        let mut again = Vec::new();
        for number in 0..rooms {
            let path = Follower::default().chat(&room(number), &self.tokens[first + number]);
            self.clients.connect(first + number, &path, None)?;
        }
        while alone < rooms || acknowledged < missed * rooms as u64 {
            if Instant::now() > deadline {
                return Err(Error::Silence("somebody was talking"));
            }
            let until = Instant::now() + Duration::from_millis(100);
            self.clients.turn(until, |client, link, heard| {
                let Heard::Text(text) = heard else {
                    return Ok(());
                };
                let message = Message::read(text)?;
                match &*message.r#type {
                    "room-history"
                        if message.users.as_ref().is_some_and(|users| users.len() > 1) =>
                    {
                        again.push(client);
                    }
                    "room-history" => {
                        alone += 1;
                        for number in 0..missed {
                            let text = format!("{number} {}", "x".repeat(100));
                            let say =
                                json!({ "type": "chat", "id": number.to_string(), "text": text });
                            link.text(&say.to_string())?;
                        }
                    }
                    "ack" => acknowledged += 1,
                    "error" => return Err(Error::Broken(text.to_owned())),
                    _ => {}
                }
                Ok(())
            })?;
            for client in again.drain(..) {
                let number = client - first;
                let path = Follower::default().chat(&room(number), &self.tokens[client]);
                self.clients.connect(client, &path, None)?;
            }
        }
        for number in 0..rooms {
            self.clients.cut(first + number);
        }
        Ok(())
    }

    /// Waits for messages that should not come.
    fn hear_nothing_more(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let until = begun + AFTERWARDS;
        while Instant::now() < until {
            self.turn(until, begun, &mut 0)?;
        }
        Ok(())
    }

    fn print_times(&mut self) {
        self.done.sort_unstable();
        let at = |part: usize| self.done[(self.done.len() - 1) * part / 100].as_secs_f64();
        println!(
            "half of them after {:.2} s, 99 of 100 after {:.2} s",
            at(50),
            at(99)
        );
    }
}

fn channel(number: usize) -> String {
    format!("post-{number}")
}

fn room(number: usize) -> String {
    format!("room-{number}")
}
