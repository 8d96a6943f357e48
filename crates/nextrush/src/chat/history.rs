//! Going back in a room: messages older than those that a member has.

use nextrush_broker::{Epoch, HistoryQuery};
use serde::{Deserialize, Serialize};

use super::member::{Member, Unread};
use super::messages::{Item, messages, present};
use crate::message::Outgoing;
use crate::message::request::{Answer, CommandId};
use crate::topic::{Since, newest_within};

/// The messages that a member asks for.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Older {
    /// The offset of the oldest message that it has.
    before: u64,
    /// The most messages wanted; a room has no more than it keeps. By default as many as
    /// somebody who joins gets.
    limit: Option<usize>,
}

/// The answer: the messages before, oldest first.
#[derive(Serialize)]
#[serde(tag = "type", rename = "history")]
struct Page<'a> {
    messages: Vec<Item<'a>>,
    /// The epoch that the offsets belong to: the room may have a new one meanwhile.
    epoch: Epoch,
    /// `true` if there are older ones still.
    more: bool,
}

impl Member {
    /// The answer to a question for older messages.
    pub(super) async fn look_back(
        &self,
        older: Older,
        id: Option<&CommandId>,
    ) -> Result<Outgoing, Unread> {
        // All that is kept: the query of the broker goes forward from an offset, and where
        // the history begins is known by reading it alone.
        let chat = self.topic.topics().dialect();
        chat.allow_question(&self.user.id)?;
        let history = self.topic.history(HistoryQuery::Latest(chat.kept)).await?;
        let kept = present(&history.publications);
        let end = kept.partition_point(|publication| publication.offset < older.before);
        let limit = older.limit.unwrap_or(chat.sent);
        let page = newest_within(&kept[..end], limit, Since::MAX_BYTES);
        chat.allow_history(&self.user.id, page)?;
        let epoch = history.position.epoch;
        let page = Page {
            messages: messages(epoch, page),
            epoch,
            more: page.len() < end,
        };
        Ok(Answer::new(page, id).into())
    }
}
