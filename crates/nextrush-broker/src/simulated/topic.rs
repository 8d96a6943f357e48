//! A topic in a simulated server.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::answer::{CommandKey, Fingerprint};
use crate::clock::whole_ms;
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::{History, HistoryQuery};
use crate::position::{Epoch, Position};
use crate::publication::{Publication, Publish};
use crate::retention::Retention;
use crate::shared::{Deleted, PushedGroup, Stored, StoredHistory, Top};

/// A topic, as a process of the server keeps it.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    epoch: Epoch,
    top: u64,
    continues: Option<Position>,
    /// The process that used the topic last.
    process: u64,
    kept: Vec<Arc<Publication>>,
    retention: Retention,
    used_ms: u64,
    once: BTreeMap<CommandKey, Once>,
    versions: BTreeMap<Option<CommandKey>, (u64, Position)>,
    deletions: u64,
}

#[derive(Clone, Debug)]
struct Once {
    position: Position,
    fingerprint: Option<Fingerprint>,
    ends_ms: u64,
}

impl Topic {
    pub(super) fn begin(process: u64, life_ms: u64, now_ms: u64) -> Self {
        Self {
            epoch: Epoch::begin(life_ms),
            top: 0,
            continues: None,
            process,
            kept: Vec::new(),
            retention: Retention::NOTHING,
            used_ms: now_ms,
            once: BTreeMap::new(),
            versions: BTreeMap::new(),
            deletions: 0,
        }
    }

    /// Begins a new life that continues this one if another process used the topic before: it may
    /// have had more of it.
    pub(super) fn enter(&mut self, process: u64, life_ms: u64, now_ms: u64) {
        if self.process != process {
            self.continues = Some(self.position());
            self.epoch = Epoch::begin(life_ms);
            self.process = process;
        }
        self.used_ms = self.used_ms.max(now_ms);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.top > 0
    }

    pub(super) fn continues(&self) -> Option<Position> {
        self.continues
    }

    pub(super) fn top(&self) -> Top {
        Top::new(self.position(), self.continues).deletions(self.deletions)
    }

    /// Appends a group. Returns the outcomes, and what is pushed.
    pub(super) fn append(
        &mut self,
        group: Vec<Publish>,
    ) -> (Vec<Result<Stored, BrokerError>>, Option<PushedGroup>) {
        let mut publications = Vec::new();
        let outcomes = group
            .into_iter()
            .map(|publish| self.append_one(publish, &mut publications))
            .collect();
        let pushed = PushedGroup::new(
            self.epoch,
            self.continues,
            publications,
            Some(self.retention),
        );
        let is_empty = pushed.publications.is_empty();
        (outcomes, (!is_empty).then_some(pushed))
    }

    pub(super) fn read(&mut self, query: HistoryQuery) -> StoredHistory {
        self.trim();
        let (skip, limit) = match query {
            HistoryQuery::Latest(limit) => (self.kept.len().saturating_sub(limit), limit),
            HistoryQuery::After { offset, limit } => {
                let seen = self.kept.partition_point(|kept| kept.offset <= offset);
                (seen, limit)
            }
        };
        let publications = self.kept.iter().skip(skip).take(limit).cloned().collect();
        let history = History::new(self.position(), publications).continuing(self.continues);
        StoredHistory::new(history, Some(self.retention))
    }

    pub(super) fn delete(&mut self, which: &Deletion) -> Deleted {
        self.trim();
        let mut offsets = Vec::new();
        for kept in &mut self.kept {
            if which.covers(kept) {
                offsets.push(kept.offset);
                *kept = Arc::new(kept.deleted());
            }
        }
        self.deletions += u64::from(!offsets.is_empty());
        Deleted::new(self.epoch, offsets)
    }

    fn position(&self) -> Position {
        Position::new(self.epoch, self.top)
    }

    fn append_one(
        &mut self,
        publish: Publish,
        appended: &mut Vec<Arc<Publication>>,
    ) -> Result<Stored, BrokerError> {
        if let Some(once) = &publish.once
            && let Some(earlier) = self.once.get(&once.key)
            && earlier.ends_ms > self.used_ms
        {
            let both = earlier.fingerprint.zip(once.fingerprint);
            return match both.is_some_and(|(earlier, now)| earlier != now) {
                true => Err(BrokerError::Reused),
                false => Ok(Stored::repeat(earlier.position)),
            };
        }
        if let Some(version) = &publish.version
            && let Some((number, newer)) = self.versions.get(&version.key)
            && *number >= version.number
        {
            return Ok(Stored::outdated(*newer));
        }
        self.top += 1;
        if let Some(version) = publish.version {
            let last = (version.number, self.position());
            self.versions.insert(version.key, last);
        }
        let publication = Publication::new(self.top, self.used_ms, publish.data);
        let publication = Arc::new(publication.by(publish.owner));
        appended.push(Arc::clone(&publication));
        self.kept.push(publication);
        self.retention = publish.retention;
        self.trim();
        if let Some(once) = publish.once {
            let earlier = Once {
                position: self.position(),
                fingerprint: once.fingerprint,
                ends_ms: self.used_ms.saturating_add(whole_ms(once.window)),
            };
            self.once.insert(once.key, earlier);
        }
        Ok(Stored::new(self.position(), self.used_ms))
    }

    fn trim(&mut self) {
        let Retention { count, age, bytes } = self.retention;
        let age_ms = age.map(whole_ms);
        let mut kept_bytes: usize = self.kept.iter().map(|kept| kept.data.len()).sum();
        let surplus = self
            .kept
            .iter()
            .enumerate()
            .take_while(|(place, oldest)| {
                let goes = self.kept.len() - place > count
                    || bytes.is_some_and(|bytes| kept_bytes > bytes)
                    || age_ms.is_some_and(|age| oldest.time_ms.saturating_add(age) <= self.used_ms);
                kept_bytes -= oldest.data.len();
                goes
            })
            .count();
        self.kept.drain(..surplus);
    }
}
