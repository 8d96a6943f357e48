//! Samples of the server's memory, time and files, and the figures of a whole run.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::error::Error;
use crate::process;
use crate::soak::crowd::Crowd;

/// The time in which histories, caches and tables fill.
const FILLING: f64 = 600.0;
/// Fewer minutes after that say nothing.
const ENOUGH: f64 = 600.0;

/// A file of samples, and what is needed of them at the end.
#[derive(Debug)]
pub(super) struct Samples {
    file: File,
    server: u32,
    store: PathBuf,
    begun: Instant,
    last: Instant,
    last_cpu: [Duration; 2],
    taken: Vec<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    seconds: f64,
    rss_mb: f64,
    files: usize,
    threads: usize,
    server_percent: f64,
    load_percent: f64,
    echo_p50_us: u64,
    echo_p99_us: u64,
    echo_max_us: u64,
    store_mb: f64,
}

/// A straight line through the samples after [`FILLING`].
#[derive(Clone, Copy, Debug)]
struct Trend {
    /// The memory at the beginning of the line, in megabytes.
    at_ten_minutes: f64,
    mb_an_hour: f64,
    hours: f64,
}

impl Samples {
    pub(super) fn new(out: &Path, server: u32, store: &Path) -> Result<Self, Error> {
        let mut file =
            File::create(out.join("samples.csv")).map_err(Error::io("the file of samples"))?;
        writeln!(
            file,
            "seconds,rss_mb,files,threads,server_percent,load_percent,echo_p50_us,echo_p99_us,\
             echo_max_us,store_mb,connections,received,recovered,faults,hostile"
        )
        .map_err(Error::io("the file of samples"))?;
        let now = Instant::now();
        Ok(Self {
            file,
            server,
            store: store.to_owned(),
            begun: now,
            last: now,
            last_cpu: cpu(server)?,
            taken: Vec::new(),
        })
    }

    pub(super) fn take(
        &mut self,
        echoes: &Histogram<u64>,
        crowd: &Crowd,
        hostile: &str,
        faults: usize,
    ) -> Result<(), Error> {
        let cpu = cpu(self.server)?;
        let passed = self.last.elapsed().as_secs_f64();
        // Threads that have ended are missing, so it may be less than before.
        let [server_percent, load_percent] = [0, 1].map(|of| {
            let used = cpu[of].saturating_sub(self.last_cpu[of]);
            100.0 * used.as_secs_f64() / passed
        });
        self.last = Instant::now();
        self.last_cpu = cpu;
        let echo = |quantile| echoes.value_at_quantile(quantile) / 1000;
        let sample = Sample {
            seconds: self.begun.elapsed().as_secs_f64(),
            rss_mb: process::memory(self.server)?,
            files: process::open_files(self.server)?,
            threads: process::threads(self.server)?,
            server_percent,
            load_percent,
            echo_p50_us: echo(0.5),
            echo_p99_us: echo(0.99),
            echo_max_us: echoes.max() / 1000,
            store_mb: size(&self.store) as f64 / 1e6,
        };
        self.taken.push(sample);
        let tally = crowd.tally();
        writeln!(
            self.file,
            "{:.0},{:.2},{},{},{:.1},{:.1},{},{},{},{:.2},{},{},{},{},{}",
            sample.seconds,
            sample.rss_mb,
            sample.files,
            sample.threads,
            sample.server_percent,
            sample.load_percent,
            sample.echo_p50_us,
            sample.echo_p99_us,
            sample.echo_max_us,
            sample.store_mb,
            crowd.connections(),
            tally.received,
            tally.recovered,
            faults,
            hostile
        )
        .map_err(Error::io("the file of samples"))
    }

    /// The figures of the whole run, a line each.
    pub(super) fn figures(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // A text takes whatever is written to it.
            let _ = writeln!(text, "{name}: {value}");
        };
        let settled: Vec<_> = self.settled().collect();
        let (Some(last), Some(highest)) = (
            self.taken.last(),
            self.taken.iter().map(|one| one.rss_mb).reduce(f64::max),
        ) else {
            return text;
        };
        let mean = |of: fn(&Sample) -> f64| {
            self.taken.iter().map(of).sum::<f64>() / self.taken.len() as f64
        };
        line("seconds", format!("{:.0}", last.seconds));
        line(
            "memory, MB",
            format!("{:.1} at the end, {highest:.1} at most", last.rss_mb),
        );
        if let Some(trend) = self.trend() {
            let Trend {
                at_ten_minutes,
                mb_an_hour,
                ..
            } = trend;
            line(
                "memory after ten minutes, MB",
                format!("{at_ten_minutes:.1}, and {mb_an_hour:+.2} an hour (least squares)"),
            );
        }
        let range = |of: fn(&Sample) -> usize| {
            let all = settled.iter().map(|one| of(one));
            match (all.clone().min(), all.max()) {
                (Some(least), Some(most)) => format!("{least} to {most} after ten minutes"),
                _ => "too early to say".to_owned(),
            }
        };
        line("open files", range(|one| one.files));
        line("threads", range(|one| one.threads));
        line(
            "CPU, percent of a core",
            format!(
                "server {:.1}, clients {:.1}",
                mean(|one| one.server_percent),
                mean(|one| one.load_percent)
            ),
        );
        line(
            "bystander's echo, µs",
            format!(
                "means of 5 s: p50 {:.0}, p99 {:.0}; at most {}",
                mean(|one| one.echo_p50_us as f64),
                mean(|one| one.echo_p99_us as f64),
                self.taken
                    .iter()
                    .map(|one| one.echo_max_us)
                    .max()
                    .unwrap_or(0)
            ),
        );
        line("store, MB", format!("{:.1} at the end", last.store_mb));
        text
    }

    /// The growth of the memory after the first ten minutes, if it is more than so many
    /// percent of what it was then.
    pub(super) fn growth_beyond(&self, percent: f64) -> Option<String> {
        let Trend {
            at_ten_minutes,
            mb_an_hour,
            hours,
        } = self.trend()?;
        let growth = 100.0 * mb_an_hour * hours / at_ten_minutes;
        (growth > percent).then(|| format!("the memory grew by {growth:.1} percent"))
    }

    fn settled(&self) -> impl Iterator<Item = &Sample> {
        self.taken.iter().filter(|one| one.seconds >= FILLING)
    }

    /// `None` if the run was too short for it.
    fn trend(&self) -> Option<Trend> {
        let (first, last) = (self.settled().next()?, self.taken.last()?);
        let seconds = last.seconds - first.seconds;
        if seconds < ENOUGH {
            return None;
        }
        let count = self.settled().count() as f64;
        let mean_time = self.settled().map(|one| one.seconds).sum::<f64>() / count;
        let mean_memory = self.settled().map(|one| one.rss_mb).sum::<f64>() / count;
        let (mut together, mut alone) = (0.0, 0.0);
        for one in self.settled() {
            let time = one.seconds - mean_time;
            together += time * (one.rss_mb - mean_memory);
            alone += time * time;
        }
        let mb_a_second = together / alone;
        Some(Trend {
            at_ten_minutes: mean_memory + mb_a_second * (first.seconds - mean_time),
            mb_an_hour: mb_a_second * 3600.0,
            hours: seconds / 3600.0,
        })
    }
}

/// The CPU time of the server and of this process.
fn cpu(server: u32) -> Result<[Duration; 2], Error> {
    Ok([process::cpu(server)?, process::cpu(std::process::id())?])
}

/// The bytes of the files in a directory. One that goes while they are counted counts as none.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => size(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}
