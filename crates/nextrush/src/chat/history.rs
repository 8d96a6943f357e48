//! Going back in a room: messages older than those that a member has.

use std::sync::Arc;

use nextrush_broker::{BrokerError, Epoch, HistoryQuery, Publication};
use serde::{Deserialize, Serialize};

use super::{ChatMessage, KEPT, Member, SENT, SENT_BYTES};
use crate::message::Outgoing;
use crate::message::request::{Answer, CommandId};

/// Which messages a member asks for.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Older {
    /// The offset of the oldest message that it has.
    before: u64,
    /// How many, at most; there are no more than 100 in any case.
    #[serde(default = "default_limit")]
    limit: usize,
}

fn default_limit() -> usize {
    SENT
}

/// The answer: what stood before, oldest first.
#[derive(Serialize)]
#[serde(tag = "type", rename = "history")]
struct Page<'a> {
    messages: Vec<ChatMessage<'a>>,
    /// The stream that the offsets belong to: the room may have begun anew meanwhile.
    epoch: String,
    /// Whether there are older ones still.
    more: bool,
}

impl Member {
    /// The answer to a question for older messages.
    pub(super) async fn look_back(
        &self,
        older: Older,
        id: Option<&CommandId>,
    ) -> Result<Outgoing, BrokerError> {
        // All that is kept: the query of the broker goes forward from an offset, and where
        // the history begins is known by reading it alone.
        let broker = self.chat.topics().broker();
        let history = broker.history(&self.topic, HistoryQuery::Latest(KEPT));
        let history = history.await?;
        let kept = &history.publications;
        let end = kept.partition_point(|publication| publication.offset < older.before);
        let page = newest(&kept[..end], older.limit);
        let epoch = history.position.epoch;
        let page = Page {
            messages: messages(epoch, page),
            epoch: epoch.to_string(),
            more: page.len() < end,
        };
        Ok(Answer::new(page, id).into())
    }
}

/// Publications as they are sent, without those that cannot be read.
pub(super) fn messages(epoch: Epoch, publications: &[Arc<Publication>]) -> Vec<ChatMessage<'_>> {
    let read = |publication| {
        ChatMessage::new(epoch, publication)
            .inspect_err(|error| tracing::error!(%error, "a kept chat message cannot be read"))
            .ok()
    };
    publications
        .iter()
        .map(AsRef::as_ref)
        .filter_map(read)
        .collect()
}

/// The newest publications, at most so many, and no more than are sent at once.
pub(super) fn newest(publications: &[Arc<Publication>], limit: usize) -> &[Arc<Publication>] {
    let mut left = SENT_BYTES;
    let fits = |publication: &&Arc<Publication>| {
        let after = left.checked_sub(publication.data.len());
        left = after.unwrap_or_default();
        after.is_some()
    };
    let newest = publications.iter().rev().take(limit);
    let count = newest.take_while(fits).count();
    &publications[publications.len() - count..]
}
