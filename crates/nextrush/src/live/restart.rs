//! The members of a channel, from one process to the next.
//!
//! A process that drains leaves behind who was there, and the next one waits for them as for
//! anybody whose connection is lost. Nodes that share a store need none of it: there everybody is
//! waited for who was at a node that has ended.

use nextrush_broker::{BrokerError, HistoryQuery, Retention, TopicName};

use super::devices::GRACE;
use super::dialect::{KIND, Live};
use super::left_behind::LeftBehind;
use crate::topic::{InvalidTopicName, Topic, TopicPath};

impl Live {
    /// Leaves behind who was in a channel, when everybody has been sent away from it.
    pub(super) async fn hand_over(&self, channel: &str) {
        if !self.app.is_sending_away()
            || !self.presence.is_alone()
            || !self.policies.has_presence(channel)
        {
            return;
        }
        let roster = self.roster(channel);
        let Some(members) = roster.and_then(|roster| self.presence.leave_behind(&roster)) else {
            return;
        };
        let Ok(topic) = self.left_behind(channel) else {
            return;
        };
        let topic = topic.retain(Retention::count(1).max_age(GRACE));
        if let Err(error) = topic.publish(&members).await {
            tracing::warn!(%error, channel, "the next process will not know who was there");
        }
    }

    /// Waits for those who were in the channel before a restart. Done once for each channel, and
    /// only while they could be waited for.
    pub(super) async fn take_over(&self, topic: &Topic<Self>) {
        if !self.presence.is_alone() {
            return;
        }
        let channel = topic.name();
        let until_ms = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
        if self.presence.now_ms() >= until_ms {
            self.taken_over.lock().clear();
            return;
        }
        if self.taken_over.lock().contains(channel) {
            return;
        }
        match self.read_left_behind(channel).await {
            Ok(before) => {
                // Only the first one to have read it goes on.
                if self.taken_over.lock().insert(channel.to_owned())
                    && let Some(before) = before
                {
                    let roster = topic.stored_name();
                    self.presence.take_over(roster, &before, until_ms);
                }
            }
            Err(error) => {
                tracing::warn!(%error, channel, "it cannot be read who was there before");
            }
        }
    }

    async fn read_left_behind(&self, channel: &str) -> Result<Option<LeftBehind>, BrokerError> {
        let Ok(topic) = self.left_behind(channel) else {
            return Ok(None);
        };
        let history = topic.history(HistoryQuery::Latest(1)).await?;
        let newest = history.publications.last();
        let newest = newest.filter(|newest| !newest.is_deleted);
        let members = newest.map(|newest| serde_json::from_slice(&newest.data));
        Ok(members.transpose().unwrap_or_else(|error| {
            tracing::error!(channel, %error, "the members that were left behind cannot be read");
            None
        }))
    }

    /// Deletes who was in channels before a restart, once they are waited for no longer.
    pub(super) async fn forget_left_behind(&self) -> Result<(), BrokerError> {
        let until_ms = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
        if self.presence.now_ms() >= until_ms {
            self.records.purge().await?;
        }
        Ok(())
    }

    /// The name of a channel's roster.
    pub(super) fn roster(&self, channel: &str) -> Option<TopicName> {
        let path = TopicPath {
            kind: KIND,
            part: self.records.name(),
            name: channel,
        };
        path.topic()
    }

    /// The topic that keeps who was in a channel.
    fn left_behind(&self, channel: &str) -> Result<Topic, InvalidTopicName> {
        self.records.topic(channel)
    }
}
