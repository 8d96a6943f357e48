//! The growth of a store, and the time that it takes to open.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nextrush_broker::{
    Broker, Bytes, CommandKey, EmbeddedBroker, HistoryQuery, Publish, Retention,
};

use crate::{Outcome, ROOMS, noise, size, topic};

const KEPT: Retention = Retention::count(300);
const TASKS: u64 = 4096;
const STEPS: u64 = 10;
/// The time for which a key is remembered, as the chat asks for.
const WINDOW: Duration = Duration::from_secs(120);

/// Publishes `count` times, each publication once by its own key.
pub async fn run(directory: &Path, count: u64) -> Outcome<()> {
    let broker = Arc::new(EmbeddedBroker::open(directory)?);
    println!(
        "{:>12} {:>10} {:>12} {:>10}",
        "publications", "per second", "directory", "process"
    );
    for step in 1..=STEPS {
        let begun = Instant::now();
        publish(&broker, count / STEPS, step).await?;
        println!(
            "{:>12} {:>10.0} {:>8} MiB {:>6} MiB",
            count / STEPS * step,
            (count / STEPS) as f64 / begun.elapsed().as_secs_f64(),
            size(directory)? >> 20,
            resident()? >> 20
        );
    }
    drop(broker);
    let begun = Instant::now();
    let broker = EmbeddedBroker::open(directory)?;
    println!("opening: {} ms", begun.elapsed().as_millis());
    let begun = Instant::now();
    for room in 0..ROOMS {
        let all = broker
            .history(&topic(room)?, HistoryQuery::Latest(usize::MAX))
            .await?;
        if all.publications.len() as u64 != 300.min(count / ROOMS as u64) {
            return Err(format!("room {room} has {}", all.publications.len()).into());
        }
    }
    let each = begun.elapsed() / ROOMS as u32;
    println!("reading 300 from the disk: {} us", each.as_micros());
    drop(broker);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

async fn publish(broker: &Arc<EmbeddedBroker>, count: u64, step: u64) -> Outcome<()> {
    let next = Arc::new(AtomicU64::new(0));
    let publishers: Vec<_> = (0..TASKS)
        .map(|task| {
            let (broker, next) = (Arc::clone(broker), Arc::clone(&next));
            tokio::spawn(async move {
                let data = Bytes::from(noise(task));
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Outcome::Ok(());
                    }
                    let key = CommandKey::try_from(&*format!("chat/0/{task}/{step}-{number}"))?;
                    let publish = Publish::new(data.clone()).retain(KEPT).once(key, WINDOW);
                    broker.publish(&topic(number as usize)?, publish).await?;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await??;
    }
    Ok(())
}

/// The bytes of memory that this process has.
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no VmRSS")?.trim().parse::<u64>()? << 10)
}
