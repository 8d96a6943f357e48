//! Topics in the store that no part of the application claims.

use nextrush_broker::{BrokerError, TopicName};

use super::name::{PLAIN, TopicPath};
use crate::socket::handle::Handle;

/// The most topics that are named in a warning.
const LISTED: usize = 20;

impl Handle {
    /// Warns of topics in the store that belong to no part of the application: they are
    /// served to nobody, most likely as a part was renamed.
    pub(crate) async fn warn_of_unclaimed_topics(&self) {
        match self.unclaimed().await {
            Ok(unclaimed) => {
                for topic in unclaimed {
                    tracing::warn!(
                        %topic,
                        "the store has topics like this one that no part of the application \
                         claims; was a part renamed?"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "the topics of the store cannot be listed"),
        }
    }

    /// A topic of each part that the store has and the application has not.
    async fn unclaimed(&self) -> Result<Vec<TopicName>, BrokerError> {
        let mut unclaimed = Vec::new();
        let mut after: Option<TopicName> = None;
        while let Some(topic) = self.broker().topics(after.as_ref(), 1).await?.pop() {
            let is_claimed = match TopicPath::read(&topic) {
                Some(path) if path.kind == PLAIN => true,
                Some(path) => self.kind_of_part(path.part) == Some(path.kind),
                None => false,
            };
            after = Some(last_like(&topic));
            if !is_claimed && unclaimed.len() < LISTED {
                unclaimed.push(topic);
            }
        }
        Ok(unclaimed)
    }
}

/// A name behind those of all topics of the same part, so that one question skips them.
fn last_like(topic: &TopicName) -> TopicName {
    let Some(TopicPath { kind, part, .. }) = TopicPath::read(topic) else {
        return topic.clone();
    };
    let mut prefix = TopicPath::prefix(kind, part);
    // The character after the slash at the end of the prefix.
    prefix.pop();
    prefix.push('0');
    TopicName::try_from(prefix).unwrap_or_else(|_| topic.clone())
}
