use std::env;
use std::error::Error;
use std::process::Command;

use nextrush_bench_codec::{Named, Work};

use crate::table;

/// Bytes of payload to count over; few messages of 64 B would leave out the refills of a
/// read buffer.
const BYTES: usize = 8 * 1024 * 1024;
const MESSAGES: usize = 10_000;

/// Keeps glibc from copying with `rep movsb`, of which every byte would be counted as an
/// instruction.
const COPY_IN_WORDS: &str = "glibc.cpu.x86_rep_movsb_threshold=1000000000";

/// Prints the instructions per message for each of `works`.
pub(crate) fn print(codecs: &[Named], works: &[Work]) -> Result<(), Box<dyn Error>> {
    table::heading("instructions", codecs);
    for work in works {
        let figures = codecs
            .iter()
            .map(|codec| per_message(codec, work))
            .collect::<Result<Vec<_>, _>>()?;
        let best = figures[table::best_peer(codecs, &figures)];
        let ratios: Vec<_> = table::ours(codecs)
            .map(|at| format!("{:.2}", figures[at] / best))
            .collect();
        table::line(work, &figures, &ratios);
    }
    Ok(())
}

/// The difference that more messages make, so that starting and stopping do not count.
fn per_message(codec: &Named, work: &Work) -> Result<f64, Box<dyn Error>> {
    let count = MESSAGES.min(BYTES / work.size);
    let once = total(codec, work, count)?;
    let thrice = total(codec, work, 3 * count)?;
    Ok((thrice - once) as f64 / (2 * count) as f64)
}

/// The instructions of a whole process that handles `count` messages.
fn total(codec: &Named, work: &Work, count: usize) -> Result<i64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .env("GLIBC_TUNABLES", COPY_IN_WORDS)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["run", codec.name, &work.to_string(), &count.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind ended with {}: {said}", output.status).into());
    }
    let (_, collected) = said
        .rsplit_once("Collected :")
        .ok_or("valgrind does not say what it collected")?;
    Ok(collected
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .parse()?)
}
