//! Who is in a channel, from one process to the next.
//!
//! A process that drains leaves behind who was there, and the next one waits for them as for
//! anybody whose connection is lost.

use nextrush_broker::{BrokerError, HistoryQuery, Publish, Retention, Topic};

use super::LiveUpdates;
use crate::topic::presence::{GRACE, Snapshot};

impl LiveUpdates {
    /// Leaves behind who was in a channel, when everybody has been sent away from it.
    pub(super) async fn hand_over(&self, topic: &Topic) {
        if !self.0.app.is_draining() || self.topics().subscribers(topic) > 0 {
            return;
        }
        let snapshot = self.0.presence.snapshot(topic);
        let Some(left_behind) = left_behind(topic).filter(|_| !snapshot.is_empty()) else {
            return;
        };
        let data = serde_json::to_vec(&snapshot).expect("a snapshot has string keys only");
        let publish = Publish::new(data).retain(Retention::count(1).max_age(GRACE));
        if let Err(error) = self.topics().publish(&left_behind, publish).await {
            tracing::warn!(%error, %topic, "the next process will not know who was there");
        }
    }

    /// Waits for those who were in the channel before a restart. Done once for each channel, and
    /// only while they could be waited for.
    pub(super) async fn take_over(&self, topic: &Topic) {
        let until_ms = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
        if self.now_ms() >= until_ms {
            self.0.taken_over.lock().clear();
            return;
        }
        if self.0.taken_over.lock().contains(topic) {
            return;
        }
        match self.read_left_behind(topic).await {
            Ok(before) => {
                // The first one to have read it.
                if self.0.taken_over.lock().insert(topic.clone())
                    && let Some(before) = before
                {
                    self.0.presence.take_over(topic, before, until_ms);
                    self.wait_for_lost(topic.clone());
                }
            }
            Err(error) => {
                tracing::warn!(%error, %topic, "it cannot be read who was there before");
            }
        }
    }

    async fn read_left_behind(&self, topic: &Topic) -> Result<Option<Snapshot>, BrokerError> {
        let Some(left_behind) = left_behind(topic) else {
            return Ok(None);
        };
        let broker = self.topics().broker();
        let history = broker
            .history(&left_behind, HistoryQuery::Latest(1))
            .await?;
        let newest = history.publications.last();
        let snapshot = newest.map(|newest| serde_json::from_slice(&newest.data));
        Ok(snapshot.transpose().unwrap_or_else(|error| {
            tracing::error!(%error, %topic, "what was left behind is no snapshot");
            None
        }))
    }
}

/// Where it is kept who was in a channel.
fn left_behind(topic: &Topic) -> Option<Topic> {
    Topic::try_from(format!("presence/{topic}")).ok()
}
