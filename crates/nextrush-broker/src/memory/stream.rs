use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{Epoch, History, HistoryQuery, Position, Publication, Retention, clock::whole_ms};

/// One life of a topic.
pub(super) struct Stream {
    epoch: Epoch,
    /// The offset of the newest publication, 0 before the first.
    top: u64,
    /// Without a hole, and the last one is the top.
    kept: VecDeque<Arc<Publication>>,
    /// That of the newest publication.
    retention: Retention,
    /// When the newest publication was made.
    published_ms: u64,
    /// The latest time at which it was used. Never falls, and is the stream's own time.
    used_ms: u64,
    interests: usize,
    forgotten: bool,
}

impl Stream {
    pub(super) fn begin(now_ms: u64) -> Self {
        Self {
            epoch: Epoch::begin(now_ms),
            top: 0,
            kept: VecDeque::new(),
            retention: Retention::NOTHING,
            published_ms: 0,
            used_ms: now_ms,
            interests: 0,
            forgotten: false,
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            offset: self.top,
        }
    }

    pub(super) fn append(
        &mut self,
        data: Bytes,
        retention: Retention,
        now_ms: u64,
    ) -> Arc<Publication> {
        self.use_at(now_ms);
        self.top += 1;
        self.published_ms = self.used_ms;
        let publication = Arc::new(Publication {
            offset: self.top,
            time_ms: self.published_ms,
            data,
        });
        self.kept.push_back(Arc::clone(&publication));
        self.retention = retention;
        self.trim(self.used_ms);
        publication
    }

    pub(super) fn read(&mut self, query: HistoryQuery, now_ms: u64) -> History {
        self.use_at(now_ms);
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
        History {
            position: self.position(),
            publications: self.kept.range(skip..).take(limit).cloned().collect(),
        }
    }

    /// Lets go of what is beyond the retention at `now_ms`.
    pub(super) fn trim(&mut self, now_ms: u64) {
        let Retention { count, age } = self.retention;
        let age_ms = age.map(whole_ms);
        while let Some(oldest) = self.kept.front()
            && (self.kept.len() > count
                || age_ms.is_some_and(|age_ms| oldest.time_ms.saturating_add(age_ms) <= now_ms))
        {
            self.kept.pop_front();
        }
        if self.kept.capacity() > 32 && self.kept.len() < self.kept.capacity() / 4 {
            self.kept.shrink_to(self.kept.len() * 2);
        }
    }

    pub(super) fn subscribe(&mut self, now_ms: u64) {
        self.use_at(now_ms);
        self.interests += 1;
    }

    pub(super) fn unsubscribe(&mut self, now_ms: u64) {
        self.use_at(now_ms);
        self.interests = self.interests.saturating_sub(1);
    }

    pub(super) fn has_interest(&self) -> bool {
        self.interests > 0
    }

    /// Whether nobody would miss it at `now_ms`: no interest, no history, and `idle` has
    /// passed since it was used and since its history expired.
    pub(super) fn is_idle(&self, now_ms: u64, idle: Duration) -> bool {
        let history_ended_ms = match self.retention {
            Retention { count: 0, .. } => 0,
            Retention { age: Some(age), .. } => self.published_ms.saturating_add(whole_ms(age)),
            Retention { age: None, .. } => return false,
        };
        let since_ms = self.used_ms.max(history_ended_ms);
        !self.has_interest() && since_ms.saturating_add(whole_ms(idle)) <= now_ms
    }

    /// How much would be lost with it, the least first; `None` if it must stay.
    pub(super) fn worth(&self) -> Option<(bool, u64)> {
        (!self.has_interest()).then_some((!self.kept.is_empty(), self.used_ms))
    }

    /// Ends this life. Who still holds the stream has to look the topic up again.
    pub(super) fn forget(&mut self) {
        self.forgotten = true;
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    fn use_at(&mut self, now_ms: u64) {
        self.used_ms = self.used_ms.max(now_ms);
    }
}
