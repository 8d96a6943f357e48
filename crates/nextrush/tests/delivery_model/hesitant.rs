//! A broker that takes its time, so that things happen meanwhile.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use nextrush::broker::{
    Attempt, BoxFuture, Broker, BrokerError, Bus, Bytes, Claim, Claimed, Deletion, History,
    HistoryQuery, Publish, Published, Rosters, Sink, TopicName,
};
use parking_lot::Mutex;

use super::channels::{TEAM, topic_of_channel};
use super::oracle::Oracle;
use super::times::Times;
use super::trace;

/// Takes its time before and after each step, and tells the oracle what it did.
pub struct Hesitant {
    pub node: &'static str,
    /// The inner broker works in other threads, and not in virtual time.
    pub has_threads: bool,
    pub oracle: Oracle,
    pub times: Times,
    pub process: Arc<Process>,
}

/// The state of the broker's process.
pub struct Process {
    /// `None` if the process has ended: nothing more happens in it, and the store may be opened by
    /// another one, whatever tasks of it are left.
    inner: Mutex<Option<Arc<dyn Broker>>>,
    /// The number of broker operations that other threads have not finished yet.
    pub under_way: AtomicUsize,
}

impl Process {
    pub fn new(inner: Arc<dyn Broker>) -> Self {
        Self {
            inner: Mutex::new(Some(inner)),
            under_way: AtomicUsize::new(0),
        }
    }

    pub fn end(&self) {
        drop(self.inner.lock().take());
    }

    fn inner(&self) -> Option<Arc<dyn Broker>> {
        self.inner.lock().clone()
    }
}

impl Hesitant {
    /// Takes some time; the broker after that.
    async fn hesitate(&self, name: &str) -> Arc<dyn Broker> {
        self.times.hesitate(name).await;
        self.inner().await
    }

    async fn inner(&self) -> Arc<dyn Broker> {
        match self.process.inner() {
            Some(inner) => inner,
            None => pending().await,
        }
    }

    /// Waits for the broker, which is no time that counts: virtual time stands still while
    /// a thread of the runtime is busy.
    async fn wait_for<T>(&self, work: BoxFuture<'_, T>) -> T {
        if !self.has_threads {
            return work.await;
        }
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

impl Broker for Hesitant {
    fn attach(&self, sink: Arc<dyn Sink>) {
        if let Some(inner) = self.process.inner() {
            inner.attach(sink);
        }
    }

    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let name = topic.as_str();
            let inner = self.hesitate(name).await;
            if name == topic_of_channel(TEAM, "") && self.times.fails(name, 6) {
                return Err(BrokerError::Unavailable("on purpose".into()));
            }
            let data: serde_json::Value = serde_json::from_slice(&publish.data).unwrap();
            let retention = publish.retention;
            self.oracle.begun(name, data.clone(), retention);
            let published = self.wait_for(inner.publish(&topic, publish)).await?;
            trace(|| format!("{} {name} {published:?} {data}", self.node));
            if !published.is_repeat && !published.is_outdated {
                let position = published.position;
                self.oracle.published(name, position, data, retention);
            }
            drop(self.hesitate(topic.as_str()).await);
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
            let inner = self.hesitate(topic.as_str()).await;
            let before = self.oracle.top(topic.as_str());
            let history = self.wait_for(inner.history(&topic, query)).await?;
            let position = history.position;
            trace(|| {
                format!(
                    "{} {topic} {query:?} {position:?} {} {:?}",
                    self.node,
                    history.publications.len(),
                    tokio::time::Instant::now()
                )
            });
            self.oracle.read(topic.as_str(), position, before.as_ref());
            drop(self.hesitate(topic.as_str()).await);
            Ok(history)
        })
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        let after = after.cloned();
        Box::pin(async move { self.inner().await.topics(after.as_ref(), limit).await })
    }

    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let inner = self.hesitate(topic.as_str()).await;
            self.wait_for(inner.subscribe(&topic)).await?;
            self.oracle.interest(self.node, topic.as_str(), 1);
            drop(self.hesitate(topic.as_str()).await);
            Ok(())
        })
    }

    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let inner = self.hesitate(topic.as_str()).await;
            self.wait_for(inner.unsubscribe(&topic)).await?;
            self.oracle.interest(self.node, topic.as_str(), -1);
            drop(self.hesitate(topic.as_str()).await);
            Ok(())
        })
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        Box::pin(async move {
            let (key, inner) = (attempt.key.clone(), self.inner().await);
            let claimed = self.wait_for(inner.claim(attempt)).await;
            drop(self.hesitate(key.as_str()).await);
            claimed
        })
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        Box::pin(async move {
            // A process that ends meanwhile has executed the command and not answered.
            let inner = self.hesitate(claimed.attempt.key.as_str()).await;
            self.wait_for(inner.answer(claimed, answer)).await
        })
    }

    fn away(&self) -> Option<Duration> {
        self.process.inner()?.away()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.inner().await.shutdown().await })
    }

    fn bus(&self) -> Option<Arc<dyn Bus>> {
        self.process.inner()?.bus()
    }

    fn rosters(&self) -> Option<Arc<dyn Rosters>> {
        self.process.inner()?.rosters()
    }

    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<usize, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { self.inner().await.delete(&topic, which).await })
    }
}
