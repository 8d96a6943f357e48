use std::time::{Duration, Instant};

use super::{Run, new_histogram};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::stamp::Stamp;

const SOCKETS: usize = 200;
const SIZE: usize = 64;
const WARM_UP: Duration = Duration::from_millis(500);

pub(super) fn run(run: &mut Run<'_>) -> Result<(), Error> {
    run.pool
        .open((0..SOCKETS).map(|_| "/echo".to_owned()), None)?;
    let mut ledger = Ledger::new(SOCKETS, 1);
    let mut next = vec![0; SOCKETS];
    for (socket, next) in next.iter_mut().enumerate() {
        let mut frame = Vec::new();
        let message = stamp(next, run.pool.now()).to_json(SIZE);
        run.pool.encode(&message, &mut frame);
        run.pool.send(socket, &frame)?;
    }
    let mut latency = new_histogram();
    let mut exchange = |run: &mut Run<'_>, time: Duration, goes_on: bool| {
        latency.reset();
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let mut failed = None;
            run.pool.turn(Some(left), |socket, outbox, message, now| {
                let Some(received) = Stamp::find(message) else {
                    return;
                };
                ledger.receive(socket, received);
                latency.saturating_record(now.saturating_sub(received.sent));
                if goes_on {
                    let message = stamp(&mut next[socket], now).to_json(SIZE);
                    failed = outbox.message(&message).err().or(failed.take());
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            let sent: u64 = next.iter().sum();
            if !goes_on && ledger.received() >= sent {
                break;
            }
        }
        let faults = ledger.faults(if goes_on { 0 } else { next.iter().sum() });
        if !faults.is_empty() {
            return Err(Error::Faults(faults));
        }
        let p99 = latency.value_at_quantile(0.99) as f64 / 1e6;
        Ok((ledger.received(), p99))
    };

    let (warmed, _) = exchange(run, WARM_UP, true)?;
    let before = run.cpu()?;
    let start = Instant::now();
    let time = Duration::from_secs_f64(run.settings.seconds);
    let (received, p99) = exchange(run, time, true)?;
    let elapsed = start.elapsed();
    let echoes = received - warmed;
    run.note_cpu("", "echo", before, elapsed, echoes)?;
    let rate = echoes as f64 / elapsed.as_secs_f64();
    run.outcome.note("  echoes per second", "", rate);
    run.outcome.note("  latency p99", "ms", p99);
    exchange(run, super::DRAIN, false)?;
    Ok(())
}

fn stamp(next: &mut u64, sent: u64) -> Stamp {
    let sequence = *next;
    *next += 1;
    Stamp {
        sender: 0,
        sequence,
        sent,
    }
}
