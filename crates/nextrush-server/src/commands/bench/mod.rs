//! `nextrush bench`: a load test of any WebSocket endpoint that sends messages back, or on to a
//! room.

mod connection;
mod error;
mod report;
mod stamp;
mod tally;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::connection::{Connection, Plan};
pub use self::error::{BenchError, InvalidMessage};
pub use self::report::BenchReport;
use self::stamp::Clock;
use self::tally::Tally;
use crate::client::{self, Target};

/// Connections that are opened at a time.
const OPENING: usize = 64;
/// The pause after which no further message is expected, once all are sent.
const QUIET: Duration = Duration::from_millis(500);
/// The time after the last message at which the test ends, however much still comes.
const DRAIN: Duration = Duration::from_secs(10);

/// Load-tests a WebSocket endpoint.
///
/// Each connection sends numbered messages at a steady rate and listens. The endpoint may
/// send them back, or on to others, with any text around them; the latency counts from the
/// moment at which a message should have been sent. The program fails if a connection was
/// lost, or if a message came twice, out of order, or not at all to a connection that had
/// received earlier ones of its sender.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Bench {
    /// The endpoint, as ws://host:port/path.
    ///
    /// `{room}` in it stands for the number of the connection's room.
    pub url: Target,

    /// Connections that stay open for the whole test.
    #[arg(long, short, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub connections: u32,

    /// Messages that each connection sends a second.
    #[arg(long, short, default_value_t = 10.0, value_parser = rate)]
    pub rate: f64,

    /// Bytes of a message, from 49 on.
    #[arg(long, short, default_value_t = 64, value_parser = size)]
    pub size: usize,

    /// The time during which messages are sent.
    #[arg(long, short, default_value = "10s", value_parser = duration)]
    pub duration: Duration,

    /// Spreads the connections over so many rooms.
    ///
    /// Without `{room}` in the URL the number of the room, from 0, is added to its path: 3
    /// rooms of /rooms/load are /rooms/load-0 to /rooms/load-2.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub rooms: Option<u32>,

    /// The text of a message; `{payload}` stands for its numbers.
    ///
    /// For a chat: '{"type":"chat","text":"{payload}"}'
    #[arg(long, default_value = "{payload}", value_parser = message)]
    pub message: String,

    /// A header of the opening handshake, as 'Name: value'; may be repeated.
    #[arg(long = "header", short = 'H', value_name = "HEADER", value_parser = client::header)]
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
}

impl Bench {
    /// Runs the test, and shows its progress on standard error if that is a terminal.
    ///
    /// # Errors
    ///
    /// If a connection cannot be opened. A connection that is lost later is in the report.
    pub async fn run(&self) -> Result<BenchReport, BenchError> {
        let progress = progress();
        let tally = Arc::new(Mutex::new(Tally::default()));
        let clock = Clock::start();
        progress.set_message("connecting");
        let connections = self.open(&progress).await?;

        let start = Instant::now();
        let (finish, finished) = watch::channel(());
        let mut running = JoinSet::new();
        for (number, connection) in (0..).zip(connections) {
            let plan = Plan {
                number,
                start: start + self.stagger(number),
                interval: Duration::from_secs_f64(1.0 / self.rate),
                end: start + self.duration,
                size: self.size,
                message: self.message.clone(),
            };
            let tally = Arc::clone(&tally);
            running.spawn(connection.run(plan, clock, tally, finished.clone()));
        }
        progress.set_length(u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX));
        self.watch(start, &tally, &progress).await;
        drained(&tally, start + self.duration).await;
        finish.send_replace(());
        while let Some(ended) = running.join_next().await {
            ended.map_err(BenchError::Task)?;
        }
        let tally = std::mem::take(&mut *tally.lock());
        progress.finish_and_clear();
        Ok(BenchReport::new(self, tally))
    }

    /// Opens all connections, [`OPENING`] at a time.
    async fn open(&self, progress: &ProgressBar) -> Result<Vec<Connection>, BenchError> {
        progress.set_length(self.connections.into());
        let mut opening = JoinSet::new();
        let mut numbers = 0..self.connections;
        let mut open = Vec::new();
        loop {
            while opening.len() < OPENING
                && let Some(number) = numbers.next()
            {
                let target = match self.rooms {
                    Some(rooms) => self.url.in_room(number % rooms),
                    None => self.url.clone(),
                };
                let headers = self.headers.iter().cloned().collect();
                opening.spawn(async move { (number, Connection::open(&target, headers).await) });
            }
            let Some(opened) = opening.join_next().await else {
                break;
            };
            let (number, connection) = opened.map_err(BenchError::Task)?;
            open.push((number, connection?));
            progress.inc(1);
        }
        open.sort_by_key(|(number, _)| *number);
        Ok(open.into_iter().map(|(_, connection)| connection).collect())
    }

    /// The delay of a connection's first message: the connections take turns.
    fn stagger(&self, number: u32) -> Duration {
        Duration::from_secs_f64(f64::from(number) / f64::from(self.connections) / self.rate)
    }

    async fn watch(&self, start: Instant, tally: &Mutex<Tally>, progress: &ProgressBar) {
        let mut second = tokio::time::interval(Duration::from_millis(200));
        while start.elapsed() < self.duration {
            second.tick().await;
            let (sent, received) = tally.lock().totals();
            let elapsed = start.elapsed().min(self.duration);
            progress.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            progress.set_message(format!("{sent} sent, {received} received"));
        }
    }
}

/// Waits until no further message comes.
async fn drained(tally: &Mutex<Tally>, sent: Instant) {
    let mut before = None;
    while sent.elapsed() < DRAIN {
        let received = tally.lock().totals().1;
        if before == Some(received) {
            return;
        }
        before = Some(received);
        tokio::time::sleep(QUIET).await;
    }
}

fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}")
        .expect("the template is well-formed");
    ProgressBar::new(0).with_style(style)
}

fn rate(text: &str) -> Result<f64, InvalidMessage> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err(InvalidMessage::Rate),
    }
}

fn size(text: &str) -> Result<usize, InvalidMessage> {
    match text.parse() {
        Ok(size) if (stamp::SHORTEST..=16 * 1024 * 1024).contains(&size) => Ok(size),
        _ => Err(InvalidMessage::Size),
    }
}

fn message(text: &str) -> Result<String, InvalidMessage> {
    if text.contains(connection::PAYLOAD) {
        Ok(text.to_owned())
    } else {
        Err(InvalidMessage::NoPayload)
    }
}

/// Parses `10s`, `500ms`, `2m`, or seconds without a unit.
fn duration(text: &str) -> Result<Duration, InvalidMessage> {
    crate::duration::read(text)
        .filter(|duration| *duration >= Duration::from_millis(1))
        .ok_or(InvalidMessage::Duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_or_is_in_seconds() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("250ms", 250),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
            ("3", 3_000),
        ] {
            let expected = Duration::from_millis(milliseconds);
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        for text in ["", "s", "10 s", "10x", "-1s", "0s", "25h", "infs", "NaN"] {
            assert_eq!(duration(text), Err(InvalidMessage::Duration), "{text}");
        }
    }

    #[test]
    fn a_message_without_room_for_the_numbers_is_refused() {
        assert_eq!(message("hello"), Err(InvalidMessage::NoPayload));
        assert_eq!(size("48"), Err(InvalidMessage::Size));
        assert_eq!(size("49"), Ok(49));
        assert_eq!(rate("0"), Err(InvalidMessage::Rate));
    }
}
