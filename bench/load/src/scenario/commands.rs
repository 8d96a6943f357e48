//! Commands with an id: each is executed once, told to the room, and acknowledged.

use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use memchr::memmem;

use super::rooms::{MEMBERS, ROOMS};
use super::{DRAIN, Run, SETTLE, chat, new_histogram};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::pool::Outbox;
use crate::stamp::Stamp;

const SIZE: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);
/// The numbers of members that speak in each room, measured in turn.
const SPEAKERS: [usize; 2] = [1, MEMBERS];

pub(super) fn run(run: &mut Run<'_>) -> Result<(), Error> {
    chat::open(run)?;
    thread::sleep(SETTLE);
    let mut talk = Talk {
        ledger: Ledger::new(ROOMS * MEMBERS, MEMBERS),
        said: vec![0; ROOMS * MEMBERS],
        sent: vec![0; ROOMS * MEMBERS],
        acknowledged: 0,
        latency: new_histogram(),
    };
    for speakers in SPEAKERS {
        let label = format!(", {} at once", speakers * ROOMS);
        for socket in (0..ROOMS * MEMBERS).filter(|socket| socket % MEMBERS < speakers) {
            let message = talk.next(socket, run.pool.now());
            let mut frame = Vec::new();
            run.pool.encode(&message, &mut frame);
            run.pool.send(socket, &frame)?;
        }
        talk.listen(run, WARM_UP, true)?;
        talk.latency.reset();
        let warmed = talk.acknowledged;
        let before = run.cpu()?;
        let start = Instant::now();
        talk.listen(run, Duration::from_secs_f64(run.settings.seconds), true)?;
        let elapsed = start.elapsed();
        let messages = talk.acknowledged - warmed;
        run.note_cpu(&label, "message", before, elapsed, messages)?;
        let rate = messages as f64 / elapsed.as_secs_f64();
        run.outcome
            .note(format!("  messages per second{label}"), "", rate);
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let milliseconds = talk.latency.value_at_quantile(quantile) as f64 / 1e6;
            run.outcome
                .note(format!("  acknowledged {name}{label}"), "ms", milliseconds);
        }
        talk.listen(run, DRAIN, false)?;
        let said: u64 = talk.said.iter().sum();
        let faults = talk.ledger.faults(said * MEMBERS as u64);
        if !faults.is_empty() {
            return Err(Error::Faults(faults));
        }
        if talk.acknowledged != said {
            return Err(Error::Unacknowledged(said - talk.acknowledged));
        }
    }
    Ok(())
}

/// The record of what was said, heard and acknowledged.
struct Talk {
    ledger: Ledger,
    /// The number of messages that each socket has sent.
    said: Vec<u64>,
    /// The time at which each socket sent its last message.
    sent: Vec<u64>,
    acknowledged: u64,
    /// The latency of the acknowledgements.
    latency: Histogram<u64>,
}

impl Talk {
    /// Makes the next message of a socket, and notes that it is sent now.
    fn next(&mut self, socket: usize, now: u64) -> Vec<u8> {
        let sequence = self.said[socket];
        self.said[socket] += 1;
        self.sent[socket] = now;
        let stamp = Stamp {
            sender: (socket % MEMBERS) as u32,
            sequence,
            sent: now,
        };
        let text = stamp.to_text(SIZE);
        let id = format!("\",\"id\":\"{socket}-{sequence}\"}}");
        [br#"{"type":"chat","text":""#, &*text, id.as_bytes()].concat()
    }

    /// Listens for so long; without going on, until everything has come.
    fn listen(&mut self, run: &mut Run<'_>, time: Duration, goes_on: bool) -> Result<(), Error> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let mut failed = None;
            run.pool.turn(Some(left), |socket, outbox, message, now| {
                let heard = self.hear(socket, outbox, message, now, goes_on);
                failed = failed.take().or(heard.err());
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            let said: u64 = self.said.iter().sum();
            let has_all =
                self.acknowledged == said && self.ledger.received() >= said * MEMBERS as u64;
            if !goes_on && has_all {
                return Ok(());
            }
        }
        Ok(())
    }

    fn hear(
        &mut self,
        socket: usize,
        outbox: &mut Outbox,
        message: &[u8],
        now: u64,
        goes_on: bool,
    ) -> Result<(), Error> {
        if let Some(stamp) = Stamp::find(message) {
            self.ledger.receive(socket, stamp);
        } else if memmem::find(message, br#""type":"ack""#).is_some() {
            self.acknowledged += 1;
            self.latency
                .saturating_record(now.saturating_sub(self.sent[socket]));
            if goes_on {
                let message = self.next(socket, now);
                return outbox.message(&message);
            }
        }
        Ok(())
    }
}
