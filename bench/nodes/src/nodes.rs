//! The delivery between nodes, and the cost of doing nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use nextrush_broker::{
    Broker, Epoch, HistoryQuery, Interrupt, MemoryBroker, Publication, Retention, Sink, TopicName,
};
use nextrush_redis::Redis;
use tokio::sync::mpsc;

use crate::Outcome;
use crate::engine::Engine;
use crate::publishing::{cpu, publish, topic};
use crate::table::Table;

/// Tells when something is delivered.
struct Arrivals(mpsc::UnboundedSender<Instant>);

impl Sink for Arrivals {
    fn deliver(&self, _: &TopicName, _: Epoch, _: &Arc<Publication>) {
        // Nobody waits for those of the end.
        let _ = self.0.send(Instant::now());
    }

    fn interrupt(&self, _: &TopicName, _: &Interrupt) {}
}

fn arrivals(node: &Redis) -> mpsc::UnboundedReceiver<Instant> {
    let (sender, receiver) = mpsc::unbounded_channel();
    node.attach(Arc::new(Arrivals(sender)));
    receiver
}

pub(crate) async fn delivery(engine: &Engine, table: &mut Table) -> Outcome<()> {
    const COUNT: usize = 2000;
    let (here, there) = (engine.node().await?, engine.node().await?);
    let (mut at_once, mut at_other) = (arrivals(&here), arrivals(&there));
    let topic = topic("delivery", 0)?;
    here.subscribe(&topic).await?;
    there.subscribe(&topic).await?;
    let mut later = Vec::new();
    for _ in 0..COUNT {
        here.publish(&topic, publish(Retention::count(100))).await?;
        let (Some(first), Some(second)) = (at_once.recv().await, at_other.recv().await) else {
            return Err("a sink is gone".into());
        };
        later.push(second.saturating_duration_since(first).as_secs_f64() * 1e3);
    }
    later.sort_by(f64::total_cmp);
    table.note("* another node has it later, p50", later[COUNT / 2], "ms");
    table.at_most(
        "* another node has it later, p99",
        later[COUNT * 99 / 100],
        0.5,
        "ms",
    );
    Ok(())
}

pub(crate) async fn returning(engine: &Engine, table: &mut Table) -> Outcome<()> {
    const CLIENTS: usize = 10_000;
    let topic = topic("returning", 0)?;
    let memory = MemoryBroker::new();
    let node = engine.node().await?;
    let mut times = Vec::new();
    let brokers: [&dyn Broker; 2] = [&memory, &node];
    for broker in brokers {
        broker.subscribe(&topic).await?;
        for _ in 0..100 {
            broker
                .publish(&topic, publish(Retention::count(100)))
                .await?;
        }
        let query = HistoryQuery::After {
            offset: 50,
            limit: 100,
        };
        let begun = Instant::now();
        let histories = (0..CLIENTS).map(|_| broker.history(&topic, query));
        for history in try_join_all(histories).await? {
            if history.publications.len() != 50 {
                return Err("a history is not whole".into());
            }
        }
        times.push(begun.elapsed().as_secs_f64());
    }
    let reads = node.counts().reads as f64;
    table.at_most(
        "histories read from Redis for 10,000 who come back",
        reads,
        1.0,
        "",
    );
    table.at_most(
        "* the time of that beside memory",
        times[1] / times[0],
        1.3,
        "x",
    );
    Ok(())
}

pub(crate) async fn many_topics(engine: &Engine, table: &mut Table) -> Outcome<()> {
    const TOPICS: usize = 100_000;
    const QUIET: Duration = Duration::from_secs(20);
    let node = engine.node().await?;
    idle(engine, table, "of a node without topics", 20.0, QUIET).await?;
    for first in (0..TOPICS).step_by(1000) {
        let topics = (first..first + 1000).map(|number| topic("quiet", number));
        let topics = topics.collect::<Outcome<Vec<_>>>()?;
        try_join_all(topics.iter().map(|topic| node.subscribe(topic))).await?;
    }
    // A look at all of them every 10 s may cost 200 commands.
    idle(
        engine,
        table,
        "of a node with 100,000 quiet topics",
        40.0,
        QUIET,
    )
    .await?;

    let (unwatched, work, used) = (node.counts().unwatched, engine.work().await?, cpu()?);
    let begun = Instant::now();
    engine.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?;
    while node.counts().unwatched < unwatched + TOPICS as u64
        || engine.number("stats", "pubsub_channels").await? < TOPICS as f64
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The last has been compared when its history is answered from memory again.
    let last = topic("quiet", TOPICS - 1)?;
    node.history(&last, HistoryQuery::Latest(1)).await?;
    let took = begun.elapsed().as_secs_f64();
    let (_, done) = engine.since(work).await?;
    let core = (cpu()? - used).as_secs_f64() / took;
    table.at_most(
        "* 100,000 topics subscribed anew after a lost connection",
        took,
        6.0,
        "s",
    );
    table.at_most("* of a core of the node meanwhile", core * 100.0, 25.0, "%");
    table.note("Redis for that, in all", done.cpu_us / 1e6, "s");
    Ok(())
}

async fn idle(
    engine: &Engine,
    table: &mut Table,
    whose: &str,
    wanted: f64,
    time: Duration,
) -> Outcome<()> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = engine.work().await?;
    tokio::time::sleep(time).await;
    let (took, done) = engine.since(before).await?;
    let each = done.commands / took.as_secs_f64();
    table.at_most(&format!("commands a second {whose}"), each, wanted, "");
    let core = done.cpu_us / took.as_secs_f64() / 1e4;
    table.note("  of the core of Redis", core, "%");
    Ok(())
}
