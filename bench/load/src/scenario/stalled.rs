use std::time::{Duration, Instant};

use super::Run;
use crate::error::Error;
use crate::process;
use crate::stamp::Stamp;

const SIZE: usize = 1024;
/// The messages that are sent: more than any kernel holds for one socket by default.
const MESSAGES: u64 = 12 * 1024;
const AT_ONCE: u64 = 32;

/// Socket 0 speaks, socket 1 hears it, socket 2 stopped reading.
pub(super) fn run(run: &mut Run<'_>) -> Result<(), Error> {
    run.pool
        .open((0..3).map(|_| "/room/load".to_owned()), None)?;
    run.pool.pause(2)?;
    let memory = |run: &Run<'_>| run.target.pid.map(process::memory).transpose();
    let before = memory(run)?;
    let (server, client) = (run.target.addr.port(), run.pool.port(2)?);
    let mut heard = 0;
    let mut most = (0, 0);
    let mut delay = Duration::ZERO;
    let mut sequence = 0;
    while sequence < MESSAGES {
        let mut frames = Vec::new();
        for _ in 0..AT_ONCE {
            let stamp = Stamp {
                sender: 0,
                sequence,
                sent: run.pool.now(),
            };
            run.pool.encode(&stamp.to_json(SIZE), &mut frames);
            sequence += 1;
        }
        let start = Instant::now();
        run.pool.send(0, &frames)?;
        while heard < sequence {
            run.pool.turn(None, |socket, _, message, _| {
                heard += u64::from(socket == 1 && Stamp::find(message).is_some());
            })?;
        }
        delay = delay.max(start.elapsed());
        let (sending, receiving) = process::kernel_queues(server, client)?;
        most = (most.0.max(sending), most.1.max(receiving));
    }
    let outcome = &mut run.outcome;
    outcome.note("kernel's send queue, most", "KB", most.0 as f64 / 1e3);
    outcome.note("  kernel's receive queue, most", "KB", most.1 as f64 / 1e3);
    outcome.note(
        "  longest wait of the others",
        "ms",
        delay.as_secs_f64() * 1e3,
    );
    if let (Some(before), Some(after)) = (before, memory(run)?) {
        let grown = after.saturating_sub(before) as f64 / 1e3;
        run.outcome.note("  server's memory grown by", "KB", grown);
    }
    Ok(())
}
