//! The scenarios to measure. Each runs against one server that has just been started.

mod chat;
mod commands;
mod deflate;
mod echo;
mod fanout;
mod growth;
mod idle;
mod rooms;
mod stalled;
mod upgrade;

use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use hdrhistogram::Histogram;

use crate::error::Error;
use crate::ledger::{Faults, Ledger};
use crate::outcome::Outcome;
use crate::pool::Pool;
use crate::process::Cpu;
use crate::server::Target;
use crate::stamp::Stamp;

/// A scenario's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Scenario {
    /// 200 sockets, each sends 64 bytes and waits for them to come back.
    Echo,
    /// A room of 1,000; one member publishes K messages of 64 bytes every 25 ms.
    Fanout,
    /// 200 rooms of 10; every 25 ms one member of each room says 64 bytes.
    ManyRooms,
    /// The same as many-rooms, through a chat that parses what is said, and stores it if it
    /// can.
    Chat,
    /// 200 rooms of 10; members say 64 bytes with an id, and the next when that was
    /// acknowledged.
    Commands,
    /// Memory per socket that does nothing.
    Idle,
    /// Memory per socket that is in one room, of up to 1,000.
    RoomIdle,
    /// CPU time per accepted upgrade.
    Upgrade,
    /// A room of 1,000; 1 KiB of JSON every 25 ms, without and with permessage-deflate.
    Deflate,
    /// The bytes that the kernel holds for a member who stopped reading.
    Stalled,
    /// The cost of a delivery beside 1 to 100,000 other rooms.
    RoomsTable,
    /// The cost of a delivery beside 0 to 15,000 idle sockets.
    IdleTable,
}

/// The options of a scenario.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// The time for which a figure is measured, in seconds.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// The numbers of messages that are published at once (fanout).
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8])]
    pub per_turn: Vec<usize>,
    /// The numbers of sockets at which memory is read (idle, room-idle).
    #[arg(long, value_delimiter = ',', default_values_t = [2_000, 5_000, 10_000, 19_000])]
    pub sockets: Vec<usize>,
    /// The generator never sleeps, so that the server never wakes it.
    #[arg(long)]
    pub spin: bool,
}

impl Scenario {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Fanout => "fanout",
            Self::ManyRooms => "many-rooms",
            Self::Chat => "chat",
            Self::Commands => "commands",
            Self::Idle => "idle",
            Self::RoomIdle => "room-idle",
            Self::Upgrade => "upgrade",
            Self::Deflate => "deflate",
            Self::Stalled => "stalled",
            Self::RoomsTable => "rooms-table",
            Self::IdleTable => "idle-table",
        }
    }

    /// Measures a server.
    ///
    /// # Errors
    ///
    /// If the server does not keep to the protocol, or something is not delivered once and in
    /// order.
    pub fn run(self, target: Target, settings: &Settings) -> Result<Outcome, Error> {
        let mut pool = Pool::new(target.addr, target.dialect, settings.spin)?;
        let mut run = Run {
            pool: &mut pool,
            target,
            settings,
            outcome: Outcome::default(),
        };
        match self {
            Self::Echo => echo::run(&mut run),
            Self::Fanout => fanout::run(&mut run),
            Self::ManyRooms => rooms::run(&mut run),
            Self::Chat => chat::run(&mut run),
            Self::Commands => commands::run(&mut run),
            Self::Idle => idle::run(&mut run, |_| "/idle".to_owned()),
            Self::RoomIdle => idle::run(&mut run, |index| format!("/room/room-{}", index / 1000)),
            Self::Upgrade => upgrade::run(&mut run),
            Self::Deflate => deflate::run(&mut run),
            Self::Stalled => stalled::run(&mut run),
            Self::RoomsTable => growth::rooms(&mut run),
            Self::IdleTable => growth::idle(&mut run),
        }?;
        Ok(run.outcome)
    }
}

/// A run of one scenario against one server.
struct Run<'a> {
    pool: &'a mut Pool,
    target: Target,
    settings: &'a Settings,
    outcome: Outcome,
}

/// The time between two publications.
const TICK: Duration = Duration::from_millis(25);
/// The time that the last member may take to join after its upgrade.
const SETTLE: Duration = Duration::from_millis(500);
/// The silence after which messages that are still under way count as lost.
const DRAIN: Duration = Duration::from_secs(10);

/// The speakers, their messages and their receivers in a [ticking](Run::tick) scenario.
struct Talk<'a> {
    /// Added to the names of the figures.
    label: &'a str,
    /// The sockets that send at each tick, each with its number among the senders that its
    /// receivers hear.
    speakers: Vec<Speaker>,
    /// Messages that each speaker sends at once.
    at_once: usize,
    /// The number of senders that a receiver hears.
    senders: usize,
    /// The number of sockets that hear each message.
    receivers: usize,
    /// Makes a message.
    encode: &'a dyn Fn(Stamp) -> Vec<u8>,
}

/// A socket that sends.
struct Speaker {
    socket: usize,
    sender: u32,
}

impl Run<'_> {
    /// CPU time of the server and of this process.
    fn cpu(&self) -> Result<(Option<Cpu>, Cpu), Error> {
        let server = self.target.pid.map(Cpu::of).transpose()?;
        Ok((server, Cpu::of(std::process::id())?))
    }

    /// Notes CPU per unit of work since `before`, and how busy both sides were.
    fn note_cpu(
        &mut self,
        label: &str,
        unit: &str,
        before: (Option<Cpu>, Cpu),
        elapsed: Duration,
        count: u64,
    ) -> Result<(), Error> {
        let (server, load) = self.cpu()?;
        let per_unit = |cpu: Duration| cpu.as_nanos() as f64 / count.max(1) as f64;
        let busy = |cpu: Duration| 100.0 * cpu.as_secs_f64() / elapsed.as_secs_f64();
        let outcome = &mut self.outcome;
        if let (Some(after), Some(before)) = (server, before.0) {
            let used = after - before;
            outcome.note(format!("CPU per {unit}{label}"), "ns", per_unit(used.total));
            outcome.note(
                format!("  in user space{label}"),
                "ns",
                per_unit(used.user()),
            );
            outcome.note(
                format!("  server's core busy{label}"),
                "%",
                busy(used.total),
            );
        }
        let used = (load - before.1).total;
        outcome.note(format!("  generator's core busy{label}"), "%", busy(used));
        Ok(())
    }

    /// Sends at every tick, first to warm up and then to measure, and checks that everything
    /// arrives.
    fn tick(&mut self, talk: &Talk<'_>) -> Result<(), Error> {
        let seconds = self.settings.seconds;
        let ticks = (seconds / TICK.as_secs_f64()).ceil().max(1.0) as u64;
        let mut ledger = Ledger::new(self.pool.len(), talk.senders);
        let mut sequence = vec![0; talk.speakers.len()];
        // A client is told of the upgrade before the server's handler has joined the room.
        thread::sleep(SETTLE);
        self.ticks(talk, 20, &mut sequence, &mut ledger, &mut new_histogram())?;

        let mut latency = new_histogram();
        let warmed = ledger.received();
        let before = self.cpu()?;
        let start = Instant::now();
        self.ticks(talk, ticks, &mut sequence, &mut ledger, &mut latency)?;
        let elapsed = start.elapsed();
        let delivered = ledger.received() - warmed;
        self.note_cpu(talk.label, "delivery", before, elapsed, delivered)?;
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let milliseconds = latency.value_at_quantile(quantile) as f64 / 1e6;
            let name = format!("  latency {name}{}", talk.label);
            self.outcome.note(name, "ms", milliseconds);
        }
        Ok(())
    }

    fn ticks(
        &mut self,
        talk: &Talk<'_>,
        ticks: u64,
        sequence: &mut [u64],
        ledger: &mut Ledger,
        latency: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let mut frames = Vec::new();
        for tick in 0..ticks {
            let sent = self.pool.now();
            for (speaker, next) in talk.speakers.iter().zip(&mut *sequence) {
                frames.clear();
                for _ in 0..talk.at_once {
                    let message = (talk.encode)(Stamp {
                        sender: speaker.sender,
                        sequence: *next,
                        sent,
                    });
                    self.pool.encode(&message, &mut frames);
                    *next += 1;
                }
                self.pool.send(speaker.socket, &frames)?;
            }
            let end = start + TICK * u32::try_from(tick + 1).unwrap_or(u32::MAX);
            while let Some(left) = end.checked_duration_since(Instant::now()) {
                listen(self.pool, Some(left), ledger, latency)?;
            }
        }
        let sent: u64 = sequence.iter().sum();
        self.drain(sent * talk.receivers as u64, ledger, latency)
    }

    /// Waits for the messages under way.
    fn drain(
        &mut self,
        expected: u64,
        ledger: &mut Ledger,
        latency: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        let mut deadline = Instant::now() + DRAIN;
        while ledger.received() < expected
            && let Some(left) = deadline.checked_duration_since(Instant::now())
        {
            let before = ledger.received();
            listen(self.pool, Some(left), ledger, latency)?;
            if ledger.received() > before {
                deadline = Instant::now() + DRAIN;
            }
        }
        let faults: Faults = ledger.faults(expected);
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Faults(faults))
        }
    }
}

fn listen(
    pool: &mut Pool,
    timeout: Option<Duration>,
    ledger: &mut Ledger,
    latency: &mut Histogram<u64>,
) -> Result<(), Error> {
    pool.turn(timeout, |receiver, _, message, now| {
        if let Some(stamp) = Stamp::find(message) {
            ledger.receive(receiver, stamp);
            latency.saturating_record(now.saturating_sub(stamp.sent));
        }
    })
}

/// Nanoseconds up to a minute, to a percent.
fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are in order")
}
