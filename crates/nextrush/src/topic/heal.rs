//! Subscribers that lag, and how they catch up.

use std::sync::{Arc, Weak};

use nextrush_broker::{BrokerError, Epoch, HistoryQuery, Position};
use nextrush_engine::{ConnectionId, Lag, Refill, Skippable, Work};
use nextrush_protocol::Frame;
use parking_lot::{Mutex, MutexGuard};

use super::bounds::{first_bytes, weight};
use super::dialect::{CatchUp, Dialect, Gap};
use super::local::{LocalTopic, LocalTopics, State, Waiting};
use super::slow_readers::SlowReaders;
use crate::message::Outgoing;
use crate::trace::{Filled, LeftOut, What};

/// The bytes that may wait for a subscriber before it lags, and the bytes of history that it
/// is then given at once.
pub(crate) const PART: usize = 64 * 1024;

/// The number of publications that are read at once for a subscriber that lags.
const PUBLICATIONS: usize = 256;

/// A topic between two losses of its history, as its subscribers on this node see it.
pub(super) struct Stream {
    local: Weak<LocalTopic>,
    lives: Mutex<Lives>,
}

/// The epochs of a stream: it gets another one where a life continues the one before.
struct Lives {
    present: Epoch,
    before: Option<Epoch>,
}

impl Stream {
    pub(super) fn new(local: &Arc<LocalTopic>, epoch: Epoch) -> Self {
        Self {
            local: Arc::downgrade(local),
            lives: Mutex::new(Lives {
                present: epoch,
                before: None,
            }),
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.lives.lock().present
    }

    /// Goes on under another epoch. Offsets stay what they are.
    pub(super) fn renew(&self, epoch: Epoch) {
        let mut lives = self.lives.lock();
        lives.before = Some(lives.present);
        lives.present = epoch;
    }

    /// `true` if the stream had this epoch before.
    pub(super) fn is_past(&self, epoch: Epoch) -> bool {
        self.lives.lock().before == Some(epoch)
    }

    /// Notes that a subscriber skips the publications from this one on.
    pub(super) fn note_lag(&self, member: ConnectionId, first: u64) {
        if let Some(local) = self.local.upgrade() {
            local.note(member, What::Lagged { first });
        }
    }

    /// A publication that a subscriber can be given later, if more than so much waits for it.
    pub(super) fn skippable(self: Arc<Self>, offset: u64, over: usize) -> Skippable {
        Skippable::new(offset, over, self)
    }

    /// Gives a subscriber what it missed, or the topic as it is now.
    pub(super) async fn catch_up(&self, lag: Lag, is_to_begin_anew: bool) {
        let Some(local) = self.local.upgrade() else {
            return;
        };
        let (Some(topics), Some(dialect)) = (local.topics.upgrade(), local.dialect.upgrade())
        else {
            return;
        };
        let subscriber = Subscriber {
            stream: self,
            local: &local,
            dialect: &*dialect,
            lag,
        };
        let is_to_begin_anew = is_to_begin_anew || subscriber.is_owed();
        let outcome = match local.policy.slow_readers {
            _ if is_to_begin_anew => Ok(Some(subscriber)),
            SlowReaders::Latest => Ok(subscriber.send_newest()),
            SlowReaders::Drop => Ok(subscriber.tell_of_loss()),
            // It gets from the history what it missed while it was away.
            SlowReaders::Heal | SlowReaders::Close => subscriber.heal(&topics).await,
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(subscriber)) => subscriber.begin_anew(&topics).await,
            Err(error) => {
                // The lag is dropped, which closes the socket: its client comes back and
                // is told.
                tracing::warn!(%error, topic = %local.topic, "a slow reader cannot have what it missed");
            }
        }
    }
}

impl Refill for Stream {
    fn refill(self: Arc<Self>, lag: Lag) -> Work {
        Some(Box::pin(async move { self.catch_up(lag, false).await }))
    }

    fn lags(&self, member: ConnectionId, first: u64) {
        self.note_lag(member, first);
    }
}

/// A subscriber that lags.
pub(super) struct Subscriber<'a> {
    stream: &'a Stream,
    pub(super) local: &'a Arc<LocalTopic>,
    pub(super) dialect: &'a dyn Dialect,
    pub(super) lag: Lag,
}

impl Subscriber<'_> {
    /// Sends what was missed from the history, part by part. Gives back a subscriber that has to
    /// begin anew.
    async fn heal(self, topics: &LocalTopics) -> Result<Option<Self>, BrokerError> {
        let first = self.lag.first();
        let topic = &self.local.topic;
        // Giving the ticket back takes the lock of the state, and so comes after it.
        let (_ticket, history, mut state, held) = loop {
            // From now on what is published is held for it.
            let ticket = self.local.wait(Waiting::lagging());
            let query = HistoryQuery::After {
                offset: first.saturating_sub(1),
                limit: PUBLICATIONS,
            };
            let history = topics.broker().history(topic, query).await?;
            let mut state = self.local.state.lock();
            // A life ended while it was read, and the next one may not have all of it.
            if !self.stream.is_past(history.position.epoch) {
                let held = state.take_held(&ticket);
                break (ticket, history, state, held);
            }
        };
        let Position { epoch, offset: top } = history.position;
        if epoch != self.stream.epoch() {
            let offset = state.delivered_in(epoch).max(top);
            return Ok(self.restart(&mut state, epoch, offset));
        }
        if state.anew(&held, history.position).is_some() {
            return Ok(Some(self));
        }
        let publications = first_bytes(&history.publications, self.part());
        let oldest = publications.first().map_or(top + 1, |oldest| oldest.offset);
        let last = publications.last().map_or(top, |last| last.offset);
        // Of deletions it is told below.
        let held = held.into_iter().filter(|held| held.position().is_some());
        let held: Vec<Frame> = state.news(held.collect(), history.position).collect();
        let bytes: usize = publications.iter().map(|given| weight(given)).sum();
        let held_bytes: usize = held.iter().map(Frame::len).sum();
        let is_last = last == top && (held.is_empty() || bytes + held_bytes <= self.part());
        let counters = &self.local.policy.counters;
        counters.sent_later(publications.len());
        counters.missed(oldest - first);
        let behind = CatchUp {
            gap: (first < oldest).then(|| Gap::new(epoch, &(first..=oldest - 1))),
            publications,
            position: Position {
                epoch,
                offset: last,
            },
            is_last,
            subscriber: None,
        };
        let mut frames = self.frames(&state, behind);
        let deleted = state
            .deletions
            .missed(self.id(), &(first..=last), publications);
        self.note(Filled {
            first,
            oldest,
            last: if is_last {
                state.delivered.max(last)
            } else {
                last
            },
            next: (!is_last).then_some(last + 1),
            only: None,
            because: LeftOut::History,
        });
        if is_last {
            counters.sent_later(held.len());
            counters.recovered();
            frames.extend(held);
            frames.extend(deleted);
            self.fill(&mut state, frames);
        } else {
            frames.extend(deleted);
            self.fill_part(&mut state, frames, last + 1);
        }
        Ok(None)
    }

    /// Sends the newest publications. Gives back a subscriber that has to begin anew.
    fn send_newest(self) -> Option<Self> {
        let mut state = self.local.state.lock();
        let current = state.stream.as_ref()?;
        let counters = &self.local.policy.counters;
        let epoch = current.epoch();
        if epoch != self.stream.epoch() {
            let offset = state.delivered;
            return self.restart(&mut state, epoch, offset);
        }
        let first = self.lag.first();
        let offset = state.delivered;
        let mut frames = state.deletions.missed(self.id(), &(first..=offset), &[]);
        let mut bytes = 0;
        let mut rest = None;
        let mut given = Vec::new();
        for (offset, frame) in state.newest.since(first) {
            bytes += frame.len();
            if bytes > self.part() && bytes > frame.len() {
                rest = Some(offset);
                break;
            }
            counters.sent_later(1);
            given.push(offset);
            frames.push(frame.clone());
        }
        self.note(Filled {
            first,
            oldest: first,
            last: rest.map_or(offset, |rest| rest - 1),
            next: rest,
            only: Some(given.into()),
            because: LeftOut::LatestValue,
        });
        if let Some(rest) = rest {
            self.fill_part(&mut state, frames, rest);
            return None;
        }
        let behind = CatchUp::nothing(Position { epoch, offset });
        frames.extend(self.frames(&state, behind));
        counters.recovered();
        self.fill(&mut state, frames);
        None
    }

    /// Tells what will not come. Gives back a subscriber that has to begin anew.
    fn tell_of_loss(self) -> Option<Self> {
        let mut state = self.local.state.lock();
        let current = state.stream.as_ref()?;
        if current.epoch() != self.stream.epoch() {
            let (epoch, offset) = (current.epoch(), state.delivered);
            return self.restart(&mut state, epoch, offset);
        }
        let lost = self.lag.first()..=state.delivered;
        let counters = &self.local.policy.counters;
        counters.missed(state.delivered + 1 - self.lag.first());
        counters.recovered();
        self.note_missed(*lost.start(), state.delivered, LeftOut::Dropped);
        let mut frames = self.frames(&state, CatchUp::lost(current.epoch(), &lost));
        frames.extend(state.deletions.missed(self.id(), &lost, &[]));
        self.fill(&mut state, frames);
        None
    }

    /// The topic's history was lost while the subscriber lagged. Gives it back if it has to begin
    /// anew.
    fn restart(self, state: &mut MutexGuard<'_, State>, epoch: Epoch, offset: u64) -> Option<Self> {
        let counters = &self.local.policy.counters;
        counters.missed(offset);
        counters.recovered();
        if self.newest_after_loss() > 0 {
            return Some(self);
        }
        self.note_missed(1, offset, LeftOut::Lost);
        let frames = self.frames(state, CatchUp::lost(epoch, &(1..=offset)));
        self.fill(state, frames);
        None
    }

    pub(super) fn note(&self, filled: Filled) {
        self.local.note(self.id(), What::Filled(Box::new(filled)));
    }

    /// Notes that it is live again, without the publications up to the last one.
    pub(super) fn note_missed(&self, first: u64, last: u64, because: LeftOut) {
        self.note(Filled {
            first,
            oldest: last + 1,
            last,
            next: None,
            only: None,
            because,
        });
    }

    /// Gives it the last of what it missed.
    pub(super) fn fill(self, state: &mut MutexGuard<'_, State>, frames: Vec<Frame>) {
        state.deletions.forget(self.id());
        self.lag.fill(frames);
    }

    /// Gives it a part of what it missed, which ends before the publication `next`.
    pub(super) fn fill_part(
        self,
        state: &mut MutexGuard<'_, State>,
        frames: Vec<Frame>,
        next: u64,
    ) {
        state.deletions.told(self.id());
        self.lag.fill_part(frames, next);
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.lag.connection().id()
    }

    /// The bytes that it is given at once.
    pub(super) fn part(&self) -> usize {
        PART.min(self.lag.capacity() / 2)
    }

    pub(super) fn frames(&self, state: &MutexGuard<'_, State>, behind: CatchUp<'_>) -> Vec<Frame> {
        let behind = behind.of(self.id());
        self.dialect
            .catch_up(&self.local.locked(state), &behind)
            .into_iter()
            .map(Outgoing::into_frame)
            .collect()
    }
}
