//! The cost of a durable publish beside that of one in memory.
//!
//! Tasks publish as fast as they are acknowledged, to many rooms that keep the last 100
//! messages of 220 bytes. The two brokers take turns, so that whatever else the machine
//! does meets both; the processor time of a publication does not depend on it.
//!
//! ```sh
//! cargo run --release --manifest-path bench/broker/Cargo.toml [directory]
//! ```
//!
//! `--fill N` publishes so many instead, to rooms that keep the last 300, and says how large
//! the directory and the process are meanwhile, and how long opening takes afterwards.

mod fill;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nextrush_broker::{
    Broker, Bytes, EmbeddedBroker, HistoryQuery, MemoryBroker, Publish, Retention, TopicName,
};

const ROOMS: usize = 1000;
const KEPT: Retention = Retention::count(100);
const DATA: usize = 220;
const TURN: Duration = Duration::from_millis(1500);
const TURNS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let fill = match arguments.iter().position(|argument| argument == "--fill") {
        Some(at) => {
            let count = arguments
                .get(at + 1)
                .ok_or("--fill takes a number")?
                .parse()?;
            arguments.drain(at..at + 2);
            Some(count)
        }
        None => None,
    };
    let directory = arguments.first().map(PathBuf::from);
    let directory = directory.unwrap_or_else(|| std::env::temp_dir().join("nextrush-bench"));
    let runtime = tokio::runtime::Runtime::new()?;
    match fill {
        Some(count) => runtime.block_on(fill::run(&directory, count))?,
        None => runtime.block_on(run(&directory))?,
    }
    drop(runtime);
    Ok(())
}

async fn run(directory: &Path) -> Outcome<()> {
    println!("acknowledged publications per second, and CPU time of each; median of {TURNS} turns");
    println!(
        "{:>8} {:>12} {:>12} {:>7} {:>9} {:>9} {:>7}",
        "tasks", "memory/s", "durable/s", "ratio", "memory us", "durable", "ratio"
    );
    for tasks in [1, 8, 64, 512, 4096] {
        let mut turns: [Vec<Turn>; 2] = Default::default();
        let memory: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
        let durable: Arc<dyn Broker> = Arc::new(EmbeddedBroker::open(directory)?);
        for _ in 0..TURNS {
            turns[0].push(measure(&memory, tasks).await?);
            turns[1].push(measure(&durable, tasks).await?);
        }
        let [memory, durable] = turns
            .each_ref()
            .map(|turns| median(turns, |turn| turn.rate));
        let [memory_us, durable_us] = turns.map(|turns| median(&turns, |turn| turn.cpu_us));
        println!(
            "{tasks:>8} {memory:>12.0} {durable:>12.0} {:>7.3} {memory_us:>9.2} {durable_us:>9.2} {:>7.2}",
            durable / memory,
            memory_us / durable_us,
        );
    }
    println!("files: {} MiB", size(directory)? >> 20);
    let begun = Instant::now();
    let broker = EmbeddedBroker::open(directory)?;
    println!("opening again: {} ms", begun.elapsed().as_millis());
    let begun = Instant::now();
    for room in 0..ROOMS {
        broker
            .history(&topic(room)?, HistoryQuery::Latest(100))
            .await?;
    }
    let each = begun.elapsed() / ROOMS as u32;
    println!("reading 100 from the disk: {} us", each.as_micros());
    drop(broker);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

struct Turn {
    /// Publications per second.
    rate: f64,
    /// Microseconds of processor time of each, of all threads and the system's part.
    cpu_us: f64,
}

async fn measure(broker: &Arc<dyn Broker>, tasks: usize) -> Outcome<Turn> {
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let cpu_before = cpu_time()?;
    let publishers: Vec<_> = (0..tasks)
        .map(|task| {
            let (broker, count) = (Arc::clone(broker), Arc::clone(&count));
            tokio::spawn(async move {
                let data = Bytes::from(noise(task as u64));
                for number in 0.. {
                    if begun.elapsed() >= TURN {
                        break;
                    }
                    let topic = topic(task * 31 + number)?;
                    let publish = Publish::new(data.clone()).retain(KEPT);
                    broker.publish(&topic, publish).await?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Outcome::Ok(())
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await??;
    }
    let count = count.load(Ordering::Relaxed) as f64;
    Ok(Turn {
        rate: count / begun.elapsed().as_secs_f64(),
        cpu_us: (cpu_time()? - cpu_before).as_secs_f64() * 1e6 / count,
    })
}

/// The CPU time that this process has used, on all processors.
fn cpu_time() -> Outcome<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name before may hold spaces; from the state on these are fields 3, 4, ...
    let fields = stat.rsplit_once(')').ok_or("no /proc/self/stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    // USER_HZ is 100 on every Linux.
    Ok(Duration::from_millis(ticks * 10))
}

/// Text that does not compress, as real messages hardly do.
fn noise(mut seed: u64) -> Vec<u8> {
    let letters = std::iter::repeat_with(|| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        b' ' + (seed >> 58) as u8
    });
    letters.take(DATA).collect()
}

fn topic(number: usize) -> Outcome<TopicName> {
    Ok(TopicName::try_from(format!("room-{}", number % ROOMS))?)
}

fn median(turns: &[Turn], figure: impl Fn(&Turn) -> f64) -> f64 {
    let mut figures: Vec<f64> = turns.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn size(directory: &Path) -> std::io::Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() {
            size(&entry.path())?
        } else {
            blocks(&metadata)
        };
    }
    Ok(total)
}

/// The bytes that a file takes on the disk. Its length is no measure: journals are as long as
/// they may become from the start.
#[cfg(unix)]
fn blocks(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn blocks(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}
