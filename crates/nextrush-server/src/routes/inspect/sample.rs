//! Figures of each second.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nextrush::{LiveUpdates, ShardMetrics, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Inspected;

/// Where each sample is published.
pub(super) const CHANNEL: &str = "metrics";
/// How often there is a new one.
const PERIOD: Duration = Duration::from_secs(1);
/// How many are kept: those of five minutes.
const KEPT: usize = 300;

/// What an application did within a second, and what it held at its end.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    at: Timestamp,
    connections: u64,
    rooms: usize,
    channels: usize,
    messages_in: u64,
    messages_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    published: u64,
    slow_readers: SlowReaders,
    backlog_bytes: u64,
    turn: Turn,
}

#[derive(Clone, Debug, Serialize)]
struct SlowReaders {
    /// Connections for which something waits that the kernel does not take.
    waiting: u64,
    /// Connections that get nothing of one channel or room at least until they have taken what
    /// waits.
    lagging: u64,
    /// Since the start.
    closed: u64,
}

/// How long the shards' turns took, in microseconds; 0 without any.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
}

/// Takes samples, keeps them, and publishes them to those who look.
pub(super) struct Sampler {
    inspected: Inspected,
    metrics: LiveUpdates,
    kept: Mutex<VecDeque<Sample>>,
}

impl Sampler {
    /// Takes a sample each second as long as somebody holds what this returns.
    pub(super) fn start(inspected: Inspected, metrics: LiveUpdates) -> Arc<Self> {
        let sampler = Arc::new(Self {
            inspected,
            metrics,
            kept: Mutex::default(),
        });
        tokio::spawn(run(Arc::downgrade(&sampler)));
        sampler
    }

    /// The samples of the last minutes, oldest first.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.kept.lock().iter().cloned().collect()
    }

    fn keep(&self, sample: Sample) {
        let mut kept = self.kept.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(sample);
    }

    /// All that was counted up to now, without the samples' own publications.
    fn total(&self, own: u64) -> Total {
        let metrics = self.inspected.app.metrics();
        Total {
            shards: metrics.engine.total(),
            published: metrics.published - own,
        }
    }

    fn sample(&self, before: &Total, now: &Total) -> Sample {
        let (counts, earlier) = (now.shards.counts, before.shards.counts);
        let turns = now.shards.turns.since(&before.shards.turns);
        let micros = |duration: Option<Duration>| {
            let micros = duration.unwrap_or_default().as_micros();
            u64::try_from(micros).unwrap_or(u64::MAX)
        };
        Sample {
            at: Timestamp::now(),
            connections: counts.connections,
            rooms: self.inspected.chat.local_room_count(),
            channels: self.inspected.live.local_channel_count(),
            messages_in: counts.messages_in - earlier.messages_in,
            messages_out: counts.messages_out - earlier.messages_out,
            bytes_in: counts.bytes_in - earlier.bytes_in,
            bytes_out: counts.bytes_out - earlier.bytes_out,
            published: now.published - before.published,
            slow_readers: SlowReaders {
                waiting: counts.waiting,
                lagging: counts.lagging,
                closed: counts.slow_readers_closed,
            },
            backlog_bytes: counts.backlog_bytes,
            turn: Turn {
                p50_us: micros(turns.within(0.5)),
                p99_us: micros(turns.within(0.99)),
                max_us: micros(turns.max()),
            },
        }
    }

    /// Publishes a sample if somebody wants it; returns how many publications that was.
    async fn publish(&self, sample: &Sample) -> u64 {
        // Without subscribers a durable broker would write for nobody.
        if self.metrics.local_subscribers(CHANNEL) == 0 {
            return 0;
        }
        match self.metrics.publish(CHANNEL, sample).await {
            Ok(_) => 1,
            Err(error) => {
                tracing::warn!(%error, "a sample could not be published");
                0
            }
        }
    }
}

/// All that was counted up to some moment.
struct Total {
    shards: ShardMetrics,
    published: u64,
}

async fn run(sampler: Weak<Sampler>) {
    let mut own = 0;
    let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
    // After a stall there is one longer sample, and not several without anything.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Some(mut before) = sampler.upgrade().map(|sampler| sampler.total(own)) else {
        return;
    };
    loop {
        ticks.tick().await;
        let Some(sampler) = sampler.upgrade() else {
            return;
        };
        let now = sampler.total(own);
        let sample = sampler.sample(&before, &now);
        before = now;
        own += sampler.publish(&sample).await;
        sampler.keep(sample);
    }
}
