//! A sample of the application's figures each second.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nextrush::broker::Bytes;
use nextrush::limits::Seldom;
use nextrush::message::Timestamp;
use nextrush::metrics::ShardMetrics;
use nextrush::node::From;
use nextrush::{ChatServer, Handle, LiveUpdates};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::parts::Parts;

/// The channel of the samples.
pub(super) const CHANNEL: &str = "metrics";
/// The kind of what a node tells the others each second while somebody there looks.
const WATCHED: &str = "nr.inspect.watched";
/// The time for which that holds: some of it may be lost on the way.
const WATCH: Duration = Duration::from_secs(5);
/// The time between two samples.
const PERIOD: Duration = Duration::from_secs(1);
/// The number of samples that are kept: those of five minutes.
const KEPT: usize = 300;

/// The work of an application within a second, and its state at the end.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    /// The name of the node.
    node: String,
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

#[derive(Clone, Debug, Deserialize, Serialize)]
struct SlowReaders {
    /// Connections with messages that the kernel does not take.
    waiting: u64,
    /// Connections that are skipped in a channel or room until they have taken what waits for
    /// them.
    lagging: u64,
    /// Connections closed as too slow since the start.
    closed: u64,
}

/// Durations of the shards' turns in microseconds; 0 without any turn.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
}

/// Takes samples, keeps them, and publishes them.
pub(super) struct Sampler {
    pub(super) parts: Parts,
    metrics: LiveUpdates,
    /// The time until which somebody on another node looks.
    watched_until: Mutex<Instant>,
    kept: Mutex<VecDeque<Sample>>,
    not_published: Seldom,
    /// A test's wish that the next sample panics.
    #[cfg(test)]
    end: std::sync::atomic::AtomicBool,
}

impl Sampler {
    /// Takes a sample each second until the returned sampler is dropped.
    pub(super) fn start(parts: Parts, metrics: LiveUpdates) -> Arc<Self> {
        let sampler = Arc::new(Self {
            parts,
            metrics,
            watched_until: Mutex::new(Instant::now()),
            kept: Mutex::default(),
            not_published: Seldom::new(),
            #[cfg(test)]
            end: std::sync::atomic::AtomicBool::default(),
        });
        tokio::spawn(run(Arc::downgrade(&sampler)));
        let weak = Arc::downgrade(&sampler);
        let app = &sampler.parts.app;
        app.hear(WATCHED, move |_: &Handle, _: &From, _: Bytes| {
            if let Some(sampler) = weak.upgrade() {
                *sampler.watched_until.lock() = Instant::now() + WATCH;
            }
        });
        sampler
    }

    /// The kept samples, oldest first.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.kept.lock().iter().cloned().collect()
    }

    pub(super) fn newest(&self) -> Option<Sample> {
        self.kept.lock().back().cloned()
    }

    fn keep(&self, sample: Sample) {
        let mut kept = self.kept.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(sample);
    }

    /// The counts up to now, without the `own` publications of the samples.
    fn total(&self, own: u64) -> Total {
        let metrics = self.parts.app.metrics();
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
        let rooms = self.parts.chats.iter().map(ChatServer::local_room_count);
        let channels = self.parts.live.iter().map(LiveUpdates::local_channel_count);
        Sample {
            at: Timestamp::now(),
            node: self.parts.app.node().to_string(),
            connections: counts.connections,
            rooms: rooms.sum(),
            channels: channels.sum(),
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

    /// Publishes a sample if there are subscribers, on whatever node; returns the number of
    /// publications.
    async fn publish(&self, sample: &Sample) -> u64 {
        if self.metrics.local_subscribers(CHANNEL) > 0 {
            self.parts.app.tell(WATCHED, Bytes::new());
        } else if *self.watched_until.lock() <= Instant::now() {
            // A durable broker would write for nobody.
            return 0;
        }
        match self.metrics.publish(CHANNEL, sample).await {
            Ok(_) => 1,
            Err(error) => {
                if self.not_published.is_due() {
                    tracing::warn!(%error, "a sample could not be published");
                }
                0
            }
        }
    }
}

/// The counts up to some moment.
struct Total {
    shards: ShardMetrics,
    published: u64,
}

/// Takes samples for as long as there is a sampler, also after one that panicked.
async fn run(sampler: Weak<Sampler>) {
    while let Err(error) = tokio::spawn(sample(Weak::clone(&sampler))).await {
        if error.is_cancelled() {
            return;
        }
        tracing::error!(%error, "the samples of the inspector begin anew");
        sleep(PERIOD).await;
    }
}

async fn sample(sampler: Weak<Sampler>) {
    let mut own = 0;
    let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
    // A stall makes one longer sample, not several empty ones.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Some(mut before) = sampler.upgrade().map(|sampler| sampler.total(own)) else {
        return;
    };
    loop {
        ticks.tick().await;
        let Some(sampler) = sampler.upgrade() else {
            return;
        };
        #[cfg(test)]
        assert!(
            !sampler
                .end
                .swap(false, std::sync::atomic::Ordering::Relaxed),
            "ended on purpose"
        );
        let now = sampler.total(own);
        let sample = sampler.sample(&before, &now);
        before = now;
        own += sampler.publish(&sample).await;
        sampler.keep(sample);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use nextrush::App;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sample_that_panics_is_left_out_and_the_next_ones_are_taken() {
        let app = App::<()>::new();
        let live = LiveUpdates::builder().build(&app, "live");
        let sampler = Sampler::start(Parts::new(&app), live);
        sleep(PERIOD * 5 / 2).await;
        assert_eq!(sampler.samples().len(), 2);
        sampler.end.store(true, Ordering::Relaxed);
        sleep(PERIOD).await;
        assert_eq!(sampler.samples().len(), 2);
        // It begins anew after a second, and the first sample takes another one.
        sleep(PERIOD * 2).await;
        assert_eq!(sampler.samples().len(), 3);
        sleep(PERIOD).await;
        assert_eq!(sampler.samples().len(), 4);
    }
}
