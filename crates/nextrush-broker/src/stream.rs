//! A topic in memory: its newest publications and its subscribers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Now, whole_ms};
use crate::deletion::Deletion;
use crate::history::{History, HistoryQuery};
use crate::owner::Owner;
use crate::position::{Epoch, Position};
use crate::publication::Publication;
use crate::retention::Retention;
use crate::table::Entry;

/// The approximate cost of a publication in memory beside its data.
const OVERHEAD: usize = 104;

/// A remembered publication, and the steady time from which its age counts.
struct Kept {
    publication: Arc<Publication>,
    since_ms: u64,
}

/// A life of a topic: its newest publications and its subscribers.
pub(crate) struct Stream {
    epoch: Epoch,
    /// The offset of the newest publication, 0 before the first.
    top: u64,
    /// The remembered publications: without a gap, up to the top.
    kept: VecDeque<Kept>,
    /// The bytes of data in `kept`.
    kept_bytes: usize,
    /// The bounds that came with the newest publication.
    retention: Retention,
    /// The time of the newest publication, as it is shown.
    stamped_ms: u64,
    /// The steady time of the newest publication.
    published_ms: u64,
    /// The steady time of the last use.
    used_ms: u64,
    interests: usize,
    forgotten: bool,
}

impl Stream {
    /// Continues a life that was read from a store; `kept` ends at the top, which was published
    /// at `stamped_ms`.
    #[cfg(feature = "embedded")]
    pub(crate) fn restore(
        position: Position,
        stamped_ms: u64,
        retention: Retention,
        kept: Vec<Arc<Publication>>,
        now: Now,
    ) -> Self {
        let published_ms = now.steady_at(stamped_ms);
        let kept_bytes = kept.iter().map(|publication| publication.data.len()).sum();
        // Times may have fallen between two of them, but the earlier one is the older one.
        let mut since_ms = published_ms;
        let mut dated: VecDeque<_> = VecDeque::with_capacity(kept.len());
        for publication in kept.into_iter().rev() {
            since_ms = since_ms.min(now.steady_at(publication.time_ms));
            dated.push_front(Kept {
                publication,
                since_ms,
            });
        }
        Self {
            epoch: position.epoch,
            top: position.offset,
            kept_bytes,
            stamped_ms,
            published_ms,
            kept: dated,
            retention,
            ..Self::begin(now)
        }
    }

    /// The offset of the oldest publication in memory, or one above the top if there is none.
    #[cfg(feature = "embedded")]
    pub(crate) fn first(&self) -> u64 {
        self.top - self.kept.len() as u64 + 1
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn position(&self) -> Position {
        Position::new(self.epoch, self.top)
    }

    pub(crate) fn append(
        &mut self,
        data: Bytes,
        owner: Option<Owner>,
        retention: Retention,
        now: Now,
    ) -> Arc<Publication> {
        let time_ms = match self.top {
            0 => now.day_ms,
            _ => now.stamp(self.stamped_ms),
        };
        let publication = Publication::new(self.top + 1, time_ms, data);
        let publication = Arc::new(publication.by(owner));
        self.push(Arc::clone(&publication), retention, now.steady_ms);
        publication
    }

    /// Appends a publication that has a number and a time, at a steady time.
    pub(crate) fn push(
        &mut self,
        publication: Arc<Publication>,
        retention: Retention,
        now_ms: u64,
    ) {
        debug_assert_eq!(publication.offset, self.top + 1);
        self.use_at(now_ms);
        self.top = publication.offset;
        self.stamped_ms = publication.time_ms;
        self.published_ms = self.used_ms;
        self.kept_bytes += publication.data.len();
        self.kept.push_back(Kept {
            publication,
            since_ms: self.used_ms,
        });
        self.retention = retention;
        self.trim(self.used_ms);
    }

    pub(crate) fn read(&mut self, query: HistoryQuery, now: Now) -> History {
        self.use_at(now.steady_ms);
        self.trim(self.used_ms);
        let kept = self.kept.len();
        let (skip, limit) = match query {
            HistoryQuery::Latest(limit) => (kept.saturating_sub(limit), limit),
            HistoryQuery::After { offset, limit } => {
                let lost = self.top - kept as u64;
                let seen = offset.saturating_sub(lost);
                (usize::try_from(seen).unwrap_or(usize::MAX).min(kept), limit)
            }
        };
        let publications = self
            .kept
            .range(skip..)
            .take(limit)
            .map(|kept| Arc::clone(&kept.publication))
            .collect();
        History::new(self.position(), publications)
    }

    /// Deletes remembered publications. Returns their offsets.
    pub(crate) fn delete(&mut self, which: &Deletion, now: Now) -> Vec<u64> {
        self.trim(self.used_ms.max(now.steady_ms));
        let mut offsets = Vec::new();
        for Kept { publication, .. } in &mut self.kept {
            if which.covers(publication) {
                offsets.push(publication.offset);
                self.kept_bytes -= publication.data.len();
                *publication = Arc::new(publication.deleted());
            }
        }
        offsets
    }

    pub(crate) fn subscribe(&mut self, now: Now) {
        self.use_at(now.steady_ms);
        self.interests += 1;
    }

    pub(crate) fn unsubscribe(&mut self, now: Now) {
        self.use_at(now.steady_ms);
        self.interests = self.interests.saturating_sub(1);
    }

    pub(crate) fn has_interest(&self) -> bool {
        self.interests > 0
    }

    fn let_go_of_oldest(&mut self) {
        if let Some(oldest) = self.kept.pop_front() {
            self.kept_bytes -= oldest.publication.data.len();
        }
    }

    fn use_at(&mut self, now_ms: u64) {
        self.used_ms = self.used_ms.max(now_ms);
    }
}

impl Entry for Stream {
    fn begin(now: Now) -> Self {
        Self {
            // Of a process whose clock is set back, later lives still begin later.
            epoch: Epoch::begin(now.steady_ms),
            top: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            retention: Retention::NOTHING,
            stamped_ms: 0,
            published_ms: 0,
            used_ms: now.steady_ms,
            interests: 0,
            forgotten: false,
        }
    }

    /// Forgets the publications that exceed the retention at `now_ms`.
    fn trim(&mut self, now_ms: u64) {
        let Retention { count, age, bytes } = self.retention;
        let age_ms = age.map(whole_ms);
        let bytes = bytes.unwrap_or(usize::MAX);
        while let Some(oldest) = self.kept.front()
            && (self.kept.len() > count
                || self.kept_bytes > bytes
                || age_ms.is_some_and(|age_ms| oldest.since_ms.saturating_add(age_ms) <= now_ms))
        {
            self.let_go_of_oldest();
        }
        if self.kept.capacity() > 32 && self.kept.len() < self.kept.capacity() / 4 {
            self.kept.shrink_to(self.kept.len() * 2);
        }
    }

    fn is_idle(&self, now_ms: u64, idle: Duration) -> bool {
        let history_ended_ms = match self.retention {
            Retention { count: 0, .. } => 0,
            Retention { age: Some(age), .. } => self.published_ms.saturating_add(whole_ms(age)),
            Retention { age: None, .. } if self.kept.is_empty() => 0,
            Retention { age: None, .. } => return false,
        };
        let since_ms = self.used_ms.max(history_ended_ms);
        !self.has_interest() && since_ms.saturating_add(whole_ms(idle)) <= now_ms
    }

    fn worth(&self) -> Option<(bool, u64)> {
        (!self.has_interest()).then_some((!self.kept.is_empty(), self.used_ms))
    }

    fn used_ms(&self) -> u64 {
        self.used_ms
    }

    fn cost(&self) -> usize {
        self.kept_bytes + self.kept.len() * OVERHEAD
    }

    fn shed(&mut self, bytes: usize) {
        let enough = self.cost().saturating_sub(bytes);
        while self.cost() > enough {
            self.let_go_of_oldest();
        }
        self.kept.shrink_to(self.kept.len() * 2);
    }

    fn forget(&mut self) {
        self.forgotten = true;
    }

    fn is_forgotten(&self) -> bool {
        self.forgotten
    }
}
