//! A topic on a node, with the state of its pushes.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::sequence::{Need, Sequence};
use crate::history::{History, HistoryQuery};
use crate::position::Position;
use crate::topic_name::TopicName;

/// The time for which a topic counts as in step after the store was last seen to agree: the
/// longest time between two checks, and as much as a check may take.
const IN_STEP: Duration = Duration::from_secs(15);

/// A topic that this node watches or is about to watch.
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) state: Mutex<State>,
    /// Wakes those who wait for a change of state.
    pub(super) changed: Notify,
    /// Wakes a read that waits for what may be on its way.
    pub(super) urgent: Notify,
    /// Held while a history is read for a caller, so that others find it in the tail.
    pub(super) reading: tokio::sync::Mutex<()>,
}

impl Topic {
    pub(super) fn new(name: TopicName) -> Self {
        Self {
            name,
            state: Mutex::new(State {
                sequence: Sequence::default(),
                interests: 0,
                left: None,
                is_watched: false,
                breaks: 0,
                confirmed: None,
                compared: None,
                is_repairing: false,
                is_gone: false,
                used: Instant::now(),
            }),
            changed: Notify::new(),
            urgent: Notify::new(),
            reading: tokio::sync::Mutex::new(()),
        }
    }
}

pub(super) struct State {
    pub(super) sequence: Sequence,
    pub(super) interests: usize,
    /// The time at which the last interest was taken back.
    pub(super) left: Option<Instant>,
    /// `true` if the store pushes what is published.
    pub(super) is_watched: bool,
    /// The number of times that the store has ceased to push.
    pub(super) breaks: u64,
    /// The last time at which this node was known to have everything.
    confirmed: Option<Instant>,
    /// The time of the latest comparison with the store that found nothing missing.
    compared: Option<Instant>,
    pub(super) is_repairing: bool,
    /// `true` once the topic has left the table: a caller looks it up again.
    pub(super) is_gone: bool,
    pub(super) used: Instant,
}

impl State {
    /// Returns `true` if the topic may be answered for from memory.
    pub(super) fn is_in_step(&self) -> bool {
        self.is_watched
            && self.sequence.position().is_some()
            && self.sequence.need() != Need::Now
            && self
                .confirmed
                .is_some_and(|confirmed| confirmed.elapsed() < IN_STEP)
    }

    pub(super) fn confirm(&mut self, at: Instant) {
        self.confirmed = self.confirmed.max(Some(at));
    }

    /// Takes note that pushes may be missing: the topic is out of step until it was compared.
    pub(super) fn unconfirm(&mut self) {
        (self.confirmed, self.compared) = (None, None);
    }

    /// Takes note that a question to the store at this time found nothing missing.
    pub(super) fn compared(&mut self, at: Instant) {
        self.confirm(at);
        self.compared = self.compared.max(Some(at));
    }

    /// The answer to a query from memory, if that has it. Somebody who has seen more than this node
    /// has not had a push yet that may be lost: the store decides, unless it was asked since.
    pub(super) fn answer(
        &mut self,
        query: HistoryQuery,
        since: Instant,
        now_ms: u64,
    ) -> Option<History> {
        let position = self.sequence.position()?;
        let HistoryQuery::After { offset, limit } = query else {
            return self.sequence.answer(query, now_ms);
        };
        if offset > position.offset && self.compared.is_none_or(|compared| compared < since) {
            return None;
        }
        let offset = offset.min(position.offset);
        let query = HistoryQuery::After { offset, limit };
        self.sequence.answer(query, now_ms)
    }

    pub(super) fn has_delivered(&self, published: Position) -> Delivered {
        let Some(position) = self.sequence.position() else {
            return Delivered::Yes;
        };
        if self.interests == 0 || !self.is_watched || self.is_gone {
            return Delivered::Yes;
        }
        if position.epoch != published.epoch {
            return match self.sequence.continues() {
                Some(end) if end.epoch == published.epoch => {
                    if published.offset > end.offset {
                        Delivered::TakenBack
                    } else if published.offset > position.offset {
                        Delivered::NotYet
                    } else {
                        Delivered::Yes
                    }
                }
                _ => Delivered::NotYet,
            };
        }
        if published.offset > position.offset {
            Delivered::NotYet
        } else {
            Delivered::Yes
        }
    }
}

/// The relation of a publication to what the sinks of this node have had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Delivered {
    /// They have it, were told of it, or want nothing of this topic.
    Yes,
    /// An earlier one is missing.
    NotYet,
    /// The store has lost it since.
    TakenBack,
}
