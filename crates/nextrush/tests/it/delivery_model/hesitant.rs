//! A broker that takes its time, so that things happen meanwhile.

use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use nextrush::broker::{
    Attempt, BoxFuture, Broker, BrokerError, Bytes, Claim, Claimed, History, HistoryQuery, Publish,
    Published, Sink, TopicName,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::oracle::Oracle;

/// Takes its time before and after each step, and tells the oracle what it did.
pub struct Hesitant {
    pub inner: Arc<dyn Broker>,
    pub oracle: Oracle,
    pub times: Times,
    pub process: Arc<Process>,
}

/// The state of the broker's process.
#[derive(Default)]
pub struct Process {
    /// True if the process has ended: nothing more happens in it.
    pub has_ended: AtomicBool,
    /// The number of broker operations that other threads have not finished yet.
    pub under_way: AtomicUsize,
}

impl Hesitant {
    async fn hesitate(&self, topic: &TopicName) {
        self.times.hesitate(topic.as_str()).await;
        if self.process.has_ended.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }

    /// Waits for the broker, which is no time that counts: virtual time stands still while
    /// a thread of the runtime is busy.
    async fn wait_for<T>(&self, work: BoxFuture<'_, T>) -> T {
        let mut work = work;
        let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context)));
        if let Poll::Ready(done) = first.await {
            return done;
        }
        let under_way = &self.process.under_way;
        under_way.fetch_add(1, Ordering::Relaxed);
        let (is_done, wait) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || wait.recv());
        let done = work.await;
        drop(is_done);
        under_way.fetch_sub(1, Ordering::Relaxed);
        done
    }
}

/// The durations of steps. Each topic has random numbers of its own, as the steps of different
/// topics may come in any order.
#[derive(Clone)]
pub struct Times {
    seed: u64,
    topics: Arc<Mutex<HashMap<String, StdRng>>>,
}

impl Times {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            topics: Arc::default(),
        }
    }

    async fn hesitate(&self, topic: &str) {
        let pause = {
            let mut topics = self.topics.lock();
            let random = topics.entry(topic.to_owned()).or_insert_with(|| {
                let seed = topic.bytes().fold(self.seed, |seed, byte| {
                    seed.wrapping_mul(31).wrapping_add(byte.into())
                });
                StdRng::seed_from_u64(seed)
            });
            match random.random_range(0..10) {
                0..6 => return,
                6..9 => random.random_range(1..20),
                _ => random.random_range(20..200),
            }
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

impl Broker for Hesitant {
    fn attach(&self, sink: Arc<dyn Sink>) {
        self.inner.attach(sink);
    }

    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let name = topic.as_str();
            self.hesitate(&topic).await;
            let data = serde_json::from_slice(&publish.data).unwrap();
            let retention = publish.retention;
            let published = self.wait_for(self.inner.publish(&topic, publish)).await?;
            if !published.is_repeat {
                let position = published.position;
                self.oracle.published(name, position, data, retention);
            }
            self.hesitate(&topic).await;
            Ok(published)
        })
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.hesitate(&topic).await;
            let before = self.oracle.top(topic.as_str());
            let history = self.wait_for(self.inner.history(&topic, query)).await?;
            let position = history.position;
            self.oracle.read(topic.as_str(), position, before.as_ref());
            self.hesitate(&topic).await;
            Ok(history)
        })
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        self.inner.topics(after, limit)
    }

    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.hesitate(&topic).await;
            self.wait_for(self.inner.subscribe(&topic)).await?;
            self.oracle.interest(topic.as_str(), 1);
            self.hesitate(&topic).await;
            Ok(())
        })
    }

    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.hesitate(&topic).await;
            self.wait_for(self.inner.unsubscribe(&topic)).await?;
            self.oracle.interest(topic.as_str(), -1);
            self.hesitate(&topic).await;
            Ok(())
        })
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        Box::pin(self.wait_for(self.inner.claim(attempt)))
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        Box::pin(self.wait_for(self.inner.answer(claimed, answer)))
    }
}
