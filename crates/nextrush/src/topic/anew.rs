//! Subscribers that begin anew: after a loss that concerns all of them they are given the topic as
//! it is now.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nextrush_broker::{BrokerError, History, HistoryQuery};
use nextrush_engine::{ConnectionId, Lag, Refill, Skippable, Work};
use nextrush_protocol::Frame;
use tokio::time::{sleep, timeout};

use super::bounds::newest_within;
use super::dialect::{CatchUp, Dialect, Gap};
use super::heal::{PART, Stream, Subscriber};
use super::local::{LocalTopic, LocalTopics, Ticket, Waiting};
use super::since::Since;
use crate::trace::{Filled, LeftOut};

/// The time for which subscribers get nothing of a topic while its history is read. Then they are
/// told of the loss alone, and get the history when it can be read.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time after which a history is read again that could not be read, at first and at most.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// The source of a topic as it is now, in place of what a subscriber has skipped since the loss.
struct Anew {
    stream: Arc<Stream>,
    /// The first publication after the loss.
    first: u64,
}

impl Refill for Anew {
    fn refill(self: Arc<Self>, lag: Lag) -> Work {
        // What follows the history is given as to any slow reader.
        let is_first = lag.first() == self.first;
        Some(Box::pin(async move {
            self.stream.catch_up(lag, is_first).await;
        }))
    }

    fn lags(&self, member: ConnectionId, first: u64) {
        self.stream.note_lag(member, first);
    }
}

impl Stream {
    /// The way to begin anew for subscribers that are to skip everything from this offset on.
    pub(super) fn anew(self: Arc<Self>, first: u64) -> Skippable {
        let stream = self;
        Skippable::new(first, PART, Arc::new(Anew { stream, first }))
    }
}

/// The subscribers that were told of a loss and not yet given the topic as it is.
#[derive(Default)]
pub(super) struct Owed {
    to: BTreeSet<ConnectionId>,
    /// `true` while the history is tried to be read.
    is_tried: bool,
}

impl Owed {
    /// The subscriber has it, or has left.
    pub(super) fn forget(&mut self, subscriber: ConnectionId) {
        self.to.remove(&subscriber);
    }
}

impl Subscriber<'_> {
    pub(super) fn newest_after_loss(&self) -> usize {
        self.dialect.newest_after_loss(self.local.name())
    }

    /// Returns whether the subscriber is still to be given the topic as it is.
    pub(super) fn is_owed(&self) -> bool {
        self.local.state.lock().owed.to.contains(&self.id())
    }

    /// Gives a subscriber the topic as it is now. Where that cannot be had soon it is told of the
    /// loss, is live again, and gets the rest when it can be had.
    pub(super) async fn begin_anew(mut self, topics: &LocalTopics) {
        loop {
            // From now on what is published is held for it.
            let ticket = self.local.wait(Waiting::lagging());
            let read = read_newest(topics, self.local, self.dialect);
            let history = match timeout(PATIENCE, read).await {
                Ok(Ok(history)) => history,
                Ok(Err(error)) => {
                    tracing::debug!(%error, topic = %self.local.topic, "a history cannot be read");
                    return self.put_off();
                }
                Err(_) => return self.put_off(),
            };
            match self.give_newest(&ticket, &history) {
                Some(subscriber) => self = subscriber,
                None => return,
            }
        }
    }

    /// Gives a subscriber the newest publications, and what was held under the ticket. Gives it back
    /// if they are of a life that has ended meanwhile.
    fn give_newest(self, ticket: &Ticket, history: &History) -> Option<Self> {
        let mut state = self.local.state.lock();
        let held = state.take_held(ticket);
        let position = history.position;
        let stream = state.stream.as_ref();
        if stream.is_some_and(|stream| stream.is_past(position.epoch))
            || state.anew(&held, position).is_some()
        {
            return Some(self);
        }
        let bytes = Since::MAX_BYTES.min(self.lag.capacity());
        let publications = newest_within(&history.publications, self.newest_after_loss(), bytes);
        let oldest = publications
            .first()
            .map_or(position.offset + 1, |oldest| oldest.offset);
        let (deletions, published): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|held| held.position().is_none());
        let published: Vec<Frame> = state.news(published, position).collect();
        let is_last = published.iter().map(Frame::len).sum::<usize>() <= self.part();
        let newest = CatchUp {
            gap: Some(Gap::new(position.epoch, &(1..=oldest - 1))),
            publications,
            position,
            is_last,
            subscriber: None,
        };
        let mut frames = self.frames(&state, newest);
        frames.extend(state.news(deletions, position));
        state.owed.forget(self.id());
        self.note(Filled {
            first: 1,
            oldest,
            last: if is_last {
                state.delivered.max(position.offset)
            } else {
                position.offset
            },
            next: (!is_last).then_some(position.offset + 1),
            only: None,
            because: LeftOut::Lost,
        });
        if is_last {
            frames.extend(published);
            self.fill(&mut state, frames);
        } else {
            self.fill_part(&mut state, frames, position.offset + 1);
        }
        None
    }

    /// Tells a subscriber of the loss and lets it be live again, until the history can be read.
    fn put_off(self) {
        let mut state = self.local.state.lock();
        let Some(epoch) = state.stream.as_ref().map(|stream| stream.epoch()) else {
            return;
        };
        let lost = CatchUp::lost(epoch, &(1..=state.delivered));
        let frames = self.frames(&state, lost);
        self.note_missed(1, state.delivered, LeftOut::Lost);
        state.owed.to.insert(self.id());
        let is_tried = mem::replace(&mut state.owed.is_tried, true);
        let local = Arc::downgrade(self.local);
        self.fill(&mut state, frames);
        if !is_tried {
            tokio::spawn(give_when_it_can_be_had(local));
        }
    }
}

/// Lets subscribers that were told of a loss begin anew once the history can be read.
async fn give_when_it_can_be_had(local: Weak<LocalTopic>) {
    let mut pause = FIRST_RETRY;
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(LAST_RETRY);
        let Some(local) = local.upgrade() else { return };
        let (Some(topics), Some(dialect)) = (local.topics.upgrade(), local.dialect.upgrade())
        else {
            return;
        };
        let read = timeout(PATIENCE, read_newest(&topics, &local, &*dialect)).await;
        let mut state = local.state.lock();
        let Some(stream) = state.stream.clone().filter(|_| !state.owed.to.is_empty()) else {
            state.owed.is_tried = false;
            return;
        };
        if !matches!(read, Ok(Ok(_))) {
            continue;
        }
        state.owed.is_tried = false;
        let anew = stream.anew(state.delivered + 1);
        let members = local.room.members();
        let owed = members
            .iter()
            .filter(|member| state.owed.to.contains(&member.id()));
        // Those who lag meanwhile begin anew when they have taken their backlog.
        owed.for_each(|member| local.room.give(member, Vec::new(), Some(anew.clone())));
        return;
    }
}

/// Reads the newest publications of a topic, without those that were deleted.
async fn read_newest(
    topics: &LocalTopics,
    local: &LocalTopic,
    dialect: &dyn Dialect,
) -> Result<History, BrokerError> {
    let count = dialect.newest_after_loss(local.name());
    let broker = topics.broker();
    let mut history = broker
        .history(&local.topic, HistoryQuery::Latest(count))
        .await?;
    if history.publications.iter().any(|kept| kept.is_deleted) {
        // Older ones take the place of deleted ones.
        let kept = dialect.retention(local.name()).count.max(count);
        let all = broker.history(&local.topic, HistoryQuery::Latest(kept));
        history = all.await?;
        history.publications.retain(|kept| !kept.is_deleted);
    }
    Ok(history)
}
