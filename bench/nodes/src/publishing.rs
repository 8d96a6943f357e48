//! The cost of a publication.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use nextrush_broker::{Broker, MemoryBroker, Publish, Retention, TopicName};
use redis::cmd;

use crate::Outcome;
use crate::engine::Engine;
use crate::table::Table;

/// The bytes of a publication.
const BYTES: usize = 128;
const KEPT: Retention = Retention::count(100);
const TOPICS: usize = 100;
/// The publications that wait at a time.
const WAITING: usize = 64;
const COUNT: usize = 100_000;

/// The least that could be done: a number, an entry, a push.
const BARE: &str = "local n = redis.call('HINCRBY', KEYS[1], 's', 1)\n\
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', '100', '*', 'd', ARGV[1])\n\
    redis.call('PUBLISH', KEYS[1], ARGV[1])\n\
    return n";

pub(crate) fn topic(kind: &str, number: usize) -> Outcome<TopicName> {
    Ok(TopicName::try_from(format!("{kind}/{number:06}"))?)
}

pub(crate) fn publish(retention: Retention) -> Publish {
    Publish::new("x".repeat(BYTES)).retain(retention)
}

pub(crate) async fn memory_of_topics(engine: &Engine, table: &mut Table) -> Outcome<()> {
    let node = engine.node().await?;
    for (kind, retention, wanted) in [("none", Retention::NOTHING, 300.0), ("kept", KEPT, 800.0)] {
        const TOPICS: usize = 4096;
        let before = engine.number("memory", "used_memory").await?;
        for number in 0..TOPICS {
            node.publish(&topic(kind, number)?, publish(retention))
                .await?;
        }
        let after = engine.number("memory", "used_memory").await?;
        let each = (after - before) / TOPICS as f64;
        let what = match kind {
            "none" => "memory of a topic without history",
            _ => "memory of a topic with one publication of 128 bytes",
        };
        table.at_most(what, each, wanted, "B");
    }
    Ok(())
}

/// Publishes so many, always with as many under way.
async fn publish_all(
    broker: &Arc<dyn Broker>,
    kind: &'static str,
    topics: usize,
    under_way: usize,
    count: usize,
) -> Outcome<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let tasks = (0..under_way).map(|_| {
        let (broker, next) = (Arc::clone(broker), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Outcome::Ok(());
                }
                let topic = topic(kind, number % topics)?;
                broker.publish(&topic, publish(KEPT)).await?;
            }
        })
    });
    for task in join_all(tasks).await {
        task??;
    }
    Ok(())
}

async fn bare(engine: &Engine, count: usize) -> Outcome<()> {
    let load = cmd("SCRIPT").arg("LOAD").arg(BARE).to_owned();
    let hash: String = load.query_async(&mut engine.connection.clone()).await?;
    let next = AtomicUsize::new(0);
    let data = "x".repeat(BYTES);
    let tasks = (0..WAITING).map(async |_| {
        let mut connection = engine.connection.clone();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Outcome::Ok(());
            }
            let mut call = cmd("EVALSHA");
            let (hash_key, stream) = (number % TOPICS, number % TOPICS);
            call.arg(&hash)
                .arg(2)
                .arg(format!("bare/{hash_key}"))
                .arg(format!("stream/{stream}"));
            call.arg(&data);
            let () = call.query_async(&mut connection).await?;
        }
    });
    try_join_all(tasks).await?;
    Ok(())
}

pub(crate) async fn time_of_the_server(engine: &Engine, table: &mut Table) -> Outcome<()> {
    let node: Arc<dyn Broker> = Arc::new(engine.node().await?);
    let mut each = Vec::new();
    for kind in ["bare", "many", "hot"] {
        engine.forget_times().await?;
        let before = engine.work().await?;
        match kind {
            "bare" => bare(engine, COUNT).await?,
            "many" => publish_all(&node, "many", TOPICS, WAITING, COUNT).await?,
            _ => publish_all(&node, "hot", 1, WAITING, COUNT).await?,
        }
        let (_, done) = engine.since(before).await?;
        each.push((done.cpu_us / COUNT as f64, engine.each_us("evalsha").await?));
    }
    let [(bare, bare_script), (many, script), (hot, _)] = each[..] else {
        return Err("three figures".into());
    };
    let waiting = "Redis per publication, 64 waiting";
    table.note(&format!("{waiting}: a bare script"), bare, "us");
    table.note(
        &format!("{waiting}: of which in the script"),
        bare_script,
        "us",
    );
    table.note(&format!("{waiting} over 100 topics"), many, "us");
    table.note(
        &format!("{waiting} over 100 topics: of which in the script"),
        script,
        "us",
    );
    table.note(&format!("{waiting} for one topic"), hot, "us");
    table.at_most(
        "  over 100 topics beside a bare script",
        many / bare,
        1.1,
        "x",
    );
    table.at_most("  for one topic beside a bare script", hot / bare, 0.4, "x");
    Ok(())
}

/// The processor time that this process has used.
pub(crate) fn cpu() -> Outcome<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name before may hold spaces; from the state on these are fields 3, 4, …
    let fields = stat.rsplit_once(')').ok_or("no /proc/self/stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    // USER_HZ is 100 on every Linux.
    Ok(Duration::from_millis(ticks * 10))
}

pub(crate) async fn time_of_a_node(engine: &Engine, table: &mut Table) -> Outcome<()> {
    const UNDER_WAY: usize = 2000;
    let shared: Arc<dyn Broker> = Arc::new(engine.node().await?);
    let memory: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
    let mut each = Vec::new();
    for broker in [&memory, &shared] {
        publish_all(broker, "warm", TOPICS, UNDER_WAY, COUNT / 10).await?;
        let before = cpu()?;
        publish_all(broker, "node", TOPICS, UNDER_WAY, COUNT).await?;
        each.push((cpu()? - before).as_secs_f64() * 1e6 / COUNT as f64);
    }
    table.note(
        "node per publication, 2,000 under way, in memory",
        each[0],
        "us",
    );
    table.note(
        "node per publication, 2,000 under way, on Redis",
        each[1],
        "us",
    );
    table.at_most("  beside memory", each[1] / each[0], 2.0, "x");
    Ok(())
}
