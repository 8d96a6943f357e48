use std::error::Error;
use std::fs;

use nextrush_bench_codec::{Job, Named, Work};
use rustix::time::{ClockId, clock_gettime};

use crate::table;

/// The least length of a turn in nanoseconds: long against the reading of a clock, short
/// against a turn of the scheduler.
const TURN: f64 = 1_000_000.0;

/// Prints the nanoseconds per message for each of `works`: medians, and the ratios with
/// their quartiles.
pub(crate) fn print(
    codecs: &[Named],
    works: &[Work],
    repetitions: usize,
) -> Result<(), Box<dyn Error>> {
    println!("Load before: {}", load());
    table::heading("ns", codecs);
    for work in works {
        let turns = measure(codecs, work, repetitions.max(1));
        let figures: Vec<f64> = (0..codecs.len())
            .map(|at| quantile(&column(&turns, at), 0.5))
            .collect();
        let best = table::best_peer(codecs, &figures);
        let ratios: Vec<_> = table::ours(codecs)
            .map(|at| ratio(&turns, at, best))
            .collect();
        table::line(work, &figures, &ratios);
    }
    println!("Load after: {}", load());
    Ok(())
}

/// The time that each codec took for a message, by repetition. The codecs take turns, each
/// time another one first, so that what disturbs the machine for a while disturbs them all.
fn measure(codecs: &[Named], work: &Work, repetitions: usize) -> Vec<Vec<f64>> {
    let mut jobs: Vec<Job> = codecs.iter().map(|codec| (codec.job)(work)).collect();
    let mut batches = 1;
    let longest = |jobs: &mut [Job], batches: usize| {
        let times = jobs.iter_mut().map(|job| time(job, work, batches));
        times.fold(0.0, f64::max)
    };
    while longest(&mut jobs, batches) < TURN {
        batches *= 2;
    }

    let mut turns = vec![vec![0.0; jobs.len()]; repetitions];
    for (repetition, turn) in turns.iter_mut().enumerate() {
        for offset in 0..jobs.len() {
            let at = (repetition + offset) % jobs.len();
            turn[at] = time(&mut jobs[at], work, batches) / (batches * work.batch()) as f64;
        }
    }
    turns
}

/// The CPU time of `batches`, in nanoseconds.
fn time(job: &mut Job, work: &Work, batches: usize) -> f64 {
    let start = now();
    for _ in 0..batches {
        job.run(work.batch());
    }
    now() - start
}

/// The CPU time of this thread: what other processes take does not count.
fn now() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

fn ratio(turns: &[Vec<f64>], at: usize, best: usize) -> String {
    let ratios: Vec<f64> = turns.iter().map(|turn| turn[at] / turn[best]).collect();
    format!(
        "{:.2} ({:.2}-{:.2})",
        quantile(&ratios, 0.5),
        quantile(&ratios, 0.25),
        quantile(&ratios, 0.75),
    )
}

fn column(turns: &[Vec<f64>], at: usize) -> Vec<f64> {
    turns.iter().map(|turn| turn[at]).collect()
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").map_or_else(|_| "unknown".into(), |load| load.trim().into())
}
