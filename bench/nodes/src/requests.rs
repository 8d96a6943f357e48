//! The other requests of nodes to their Redis.

use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{
    Asked, Attempt, BoxFuture, Broker, BusReceiver, Bytes, Claim, CommandKey, NodeName,
    RosterChange, RosterRevision, TopicName,
};

use crate::Outcome;
use crate::engine::Engine;
use crate::publishing::topic;
use crate::table::Table;

const COUNT: u32 = 2000;

struct Echo;

impl BusReceiver for Echo {
    fn cast(&self, _: &NodeName, _: &TopicName, _: Bytes) {}

    fn asked(&self, _: &NodeName, question: Bytes) -> BoxFuture<'static, Option<Bytes>> {
        Box::pin(std::future::ready(Some(question)))
    }
}

pub(crate) async fn time_of_the_server(engine: &Engine, table: &mut Table) -> Outcome<()> {
    let node = engine.node().await?;
    let before = engine.work().await?;
    for number in 0..COUNT {
        let attempt = Attempt::new(CommandKey::owned("ada", &number.to_string())?);
        let Claim::Mine(claimed) = node.claim(attempt).await? else {
            return Err("somebody else has claimed a command".into());
        };
        node.answer(claimed, Bytes::from_static(&[b'x'; 128]))
            .await?;
    }
    let (_, done) = engine.since(before).await?;
    let each = done.cpu_us / f64::from(2 * COUNT);
    table.note("Redis per claim, and per answer to it", each, "us");

    let rosters = node.rosters().ok_or("no rosters")?;
    let roster = topic("roster", 0)?;
    let revision = |number: u64| RosterRevision::new(number, number);
    let before = engine.work().await?;
    for from in 0..u64::from(COUNT) {
        let mut change = RosterChange::new(revision(from), revision(from + 1));
        change.put = vec![(from, Bytes::from_static(&[b'm'; 128]))];
        change.removed = from.checked_sub(1000).into_iter().collect();
        rosters.commit(&roster, Arc::new(change)).await?;
    }
    let (_, done) = engine.since(before).await?;
    let each = done.cpu_us / f64::from(COUNT);
    table.note("Redis per change of a roster of 1,000", each, "us");

    let other = engine.node().await?;
    for node in [&node, &other] {
        node.bus().ok_or("no bus")?.attach(Arc::new(Echo));
    }
    let bus = node.bus().ok_or("no bus")?;
    let before = engine.work().await?;
    for _ in 0..COUNT {
        let question = Bytes::from_static(&[b'q'; 128]);
        let answered = bus
            .ask(&Asked::All, question, Duration::from_secs(10))
            .await?;
        if !answered.silent.is_empty() {
            return Err("a node does not answer".into());
        }
    }
    let (_, done) = engine.since(before).await?;
    table.note(
        "Redis per question of two nodes and its answers",
        done.cpu_us / f64::from(COUNT),
        "us",
    );
    table.note("  commands", done.commands / f64::from(COUNT), "");
    Ok(())
}
