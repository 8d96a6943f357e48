//! The state of one topic in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::error::Contradiction;
use super::record::{Run, TopicRecord};
use crate::clock::{Now, whole_ms};
use crate::deletion::Deletion;
use crate::history::{History, HistoryQuery};
use crate::position::{Epoch, Position};
use crate::publication::Publication;
use crate::retention::Retention;
use crate::stream::Stream;
use crate::table::Entry;

/// A topic's state in memory: always its subscribers and all that the tables lack; its
/// history too, unless evicted.
pub(super) struct Cached {
    /// The history; `None` if it has to be read from the disk. Never ahead of the disk.
    stream: Option<Stream>,
    /// The state on disk; `None` without publications, or if it has to be read.
    stored: Option<Stored>,
    /// The publications that are being written.
    in_flight: u64,
    /// The time of the newest publication that is being written, as it is shown.
    stamped_ms: u64,
    interests: usize,
    /// The steady time of the last use.
    used_ms: u64,
    forgotten: bool,
}

/// The state of a topic on disk, in tables and log together.
struct Stored {
    /// The record of the topic as of its newest publication.
    record: TopicRecord,
    /// The offset of the newest publication in the tables.
    tables_top: u64,
    /// The first offsets of the runs in the tables.
    runs: VecDeque<u64>,
    /// The remembered publications that are only in the log.
    tail: VecDeque<Arc<Publication>>,
    /// `true` if the log is ahead of the tables.
    is_ahead: bool,
    /// The number of runs from which on the topic is read, to find the runs that have expired
    /// by age or size. The runs of a topic in memory are found without that.
    runs_unread: usize,
}

/// The least number of runs that a topic gains between two such reads.
const RUNS_UNREAD: usize = 16;

/// The state of a topic in the tables.
pub(super) struct Found {
    pub(super) record: TopicRecord,
    /// The first offsets of all runs.
    pub(super) runs: VecDeque<u64>,
    /// The publications from the oldest remembered one to the top.
    pub(super) publications: Vec<Arc<Publication>>,
}

/// A change that brings the tables up to date with a topic.
pub(super) struct Update {
    pub(super) record: TopicRecord,
    pub(super) added: Vec<Run>,
    /// The first offsets of runs that are needed no longer.
    pub(super) removed: Vec<u64>,
    /// `true` if more runs are needed no longer.
    pub(super) has_surplus: bool,
}

impl Cached {
    pub(super) fn is_loaded(&self) -> bool {
        self.stream.is_some()
    }

    /// Returns `true` if the next offset is known.
    pub(super) fn is_known(&self) -> bool {
        self.stream.is_some() || self.stored.is_some()
    }

    /// Returns `true` if the topic has to be read to find expired runs.
    pub(super) fn needs_reading(&self) -> bool {
        let many = |stored: &Stored| stored.runs.len() > stored.runs_unread;
        self.stream.is_none() && self.stored.as_ref().is_none_or(many)
    }

    /// Fills in the state that was found in the tables. A topic without publications gets the
    /// epoch `unborn`.
    pub(super) fn load(
        &mut self,
        found: Option<Found>,
        unborn: Epoch,
        now: Now,
    ) -> Result<(), Contradiction> {
        self.use_at(now.steady_ms);
        let (mut publications, tables_top) = match found {
            Some(found) => {
                let top = found.record.top;
                self.stored.get_or_insert_with(|| Stored {
                    record: found.record,
                    tables_top: top,
                    runs: found.runs,
                    tail: VecDeque::new(),
                    is_ahead: false,
                    runs_unread: 0,
                });
                (found.publications, top)
            }
            None => (Vec::new(), 0),
        };
        let Some(stored) = &mut self.stored else {
            let position = Position::new(unborn, 0);
            let nothing = Retention::NOTHING;
            self.stream = Some(Stream::restore(position, 0, nothing, Vec::new(), now));
            return Ok(());
        };
        let record = stored.record;
        publications.retain(|kept| kept.offset >= record.first);
        let tail = stored.tail.iter();
        publications.extend(tail.filter(|kept| kept.offset > tables_top).cloned());
        let offsets = publications.iter().map(|kept| kept.offset);
        if !offsets.eq(record.first..=record.top) {
            return Err(Contradiction(
                "publications of a topic are missing".to_owned(),
            ));
        }
        stored.runs_unread = 2 * stored.runs.len() + RUNS_UNREAD;
        self.stream = Some(Stream::restore(
            record.position(),
            record.published_ms,
            record.retention,
            publications,
            now,
        ));
        self.trim(self.used_ms);
        Ok(())
    }

    /// Reads the history; `None` if it has to be read from the disk first.
    pub(super) fn read(&mut self, query: HistoryQuery, now: Now) -> Option<History> {
        self.use_at(now.steady_ms);
        Some(self.stream.as_mut()?.read(query, now))
    }

    pub(super) fn subscribe(&mut self, now: Now) {
        self.use_at(now.steady_ms);
        self.interests += 1;
    }

    pub(super) fn unsubscribe(&mut self, now: Now) {
        self.use_at(now.steady_ms);
        self.interests = self.interests.saturating_sub(1);
    }

    pub(super) fn has_interest(&self) -> bool {
        self.interests > 0
    }

    /// Returns `true` if the topic has a publication on disk.
    pub(super) fn has_begun(&self) -> bool {
        self.stored
            .as_ref()
            .is_some_and(|stored| stored.record.top > 0)
    }

    /// The topic's number; `None` before its first publication.
    pub(super) fn id(&self) -> Option<u64> {
        Some(self.stored.as_ref()?.record.id)
    }

    /// Reserves the next offset. Returns the record that the topic has with it; a topic
    /// without publications gets the number `new_id`. The topic stays in memory until
    /// [`settle`](Self::settle) or [`give_up`](Self::give_up).
    ///
    /// Returns `None` unless the topic is [known](Self::is_known).
    pub(super) fn reserve(
        &mut self,
        new_id: u64,
        retention: Retention,
        bytes: usize,
        now: Now,
    ) -> Option<TopicRecord> {
        self.use_at(now.steady_ms);
        let Position { epoch, offset } = match (&self.stored, &self.stream) {
            (Some(stored), _) => stored.record.position(),
            (None, stream) => stream.as_ref()?.position(),
        };
        self.in_flight += 1;
        let stored = self.stored.get_or_insert_with(|| Stored {
            record: TopicRecord {
                id: new_id,
                epoch,
                top: offset,
                first: offset + 1,
                published_ms: now.day_ms,
                retention,
            },
            tables_top: offset,
            runs: VecDeque::new(),
            tail: VecDeque::new(),
            is_ahead: false,
            runs_unread: RUNS_UNREAD,
        });
        let last_ms = match self.in_flight {
            1 => stored.record.published_ms,
            _ => self.stamped_ms,
        };
        self.stamped_ms = now.stamp(last_ms);
        let top = offset + self.in_flight;
        Some(TopicRecord {
            top,
            first: if retention.keeps(bytes) {
                stored.record.first
            } else {
                top + 1
            },
            published_ms: self.stamped_ms,
            retention,
            ..stored.record
        })
    }

    /// Adds a reserved publication that is in the log now. Returns whether the tables were up
    /// to date before.
    pub(super) fn settle(&mut self, publication: &Arc<Publication>, retention: Retention) -> bool {
        self.give_up();
        let Some(stored) = &mut self.stored else {
            return false;
        };
        stored.record.top = publication.offset;
        stored.record.published_ms = publication.time_ms;
        stored.record.retention = retention;
        stored.tail.push_back(Arc::clone(publication));
        let first = match &mut self.stream {
            Some(stream) => {
                stream.push(Arc::clone(publication), retention, self.used_ms);
                stream.first()
            }
            // The best that can be told without reading the history.
            None if retention.keeps(publication.data.len()) => {
                let count = u64::try_from(retention.count).unwrap_or(u64::MAX);
                (publication.offset + 1).saturating_sub(count)
            }
            None => publication.offset + 1,
        };
        stored.forget_before(first);
        !std::mem::replace(&mut stored.is_ahead, true)
    }

    /// Releases a reservation, whether or not the publication is on disk.
    pub(super) fn give_up(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The change that brings the tables up to date, with at most `limit` runs removed;
    /// `None` if they are. [`confirm`](Self::confirm) it once it is written.
    pub(super) fn update(&mut self, limit: usize, now: Now) -> Option<Update> {
        self.trim(now.steady_ms);
        let stored = self.stored.as_mut()?;
        let unneeded = stored.unneeded_runs();
        if !stored.is_ahead && unneeded == 0 {
            return None;
        }
        let mut added = Vec::new();
        for kept in &stored.tail {
            Run::add(&mut added, kept);
        }
        let removed = unneeded.min(limit);
        Some(Update {
            record: stored.record,
            added,
            removed: stored.runs.range(..removed).copied().collect(),
            has_surplus: removed < unneeded,
        })
    }

    /// Notes that an [`update`](Self::update) is written: runs that begin at `added` are
    /// there, runs up to `removed` are gone. The topic may have been read again meanwhile.
    pub(super) fn confirm(&mut self, added: &[u64], removed: Option<u64>) {
        let Some(stored) = &mut self.stored else {
            return;
        };
        while let Some(first) = stored.runs.front()
            && removed.is_some_and(|removed| *first <= removed)
        {
            stored.runs.pop_front();
        }
        let newest = stored.runs.back().copied();
        let added = added.iter().filter(|first| Some(**first) > newest);
        stored.runs.extend(added);
        stored.tail.clear();
        stored.tables_top = stored.record.top;
        stored.is_ahead = false;
    }

    /// Notes that these publications were deleted in the tables. Returns those of them that are
    /// remembered, and the epoch. There must be nothing that only the log has.
    pub(super) fn delete(&mut self, offsets: &[u64], now: Now) -> Option<(Epoch, Vec<u64>)> {
        self.trim(now.steady_ms);
        if let Some(stream) = &mut self.stream {
            stream.delete(&Deletion::Offsets(offsets.to_vec()), now);
        }
        let record = self.stored.as_ref()?.record;
        let remembered = offsets.iter().filter(|offset| **offset >= record.first);
        Some((record.epoch, remembered.copied().collect()))
    }

    /// Forgets the history, and keeps the position.
    pub(super) fn shed_history(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.shed(usize::MAX);
        }
        if let Some(stored) = &mut self.stored {
            stored.forget_before(stored.record.top + 1);
        }
    }

    /// The time of the last use, and whether somebody is subscribed.
    pub(super) fn usage(&self) -> (bool, u64) {
        (self.has_interest(), self.used_ms)
    }

    /// Returns `true` if only the record of the topic is on disk.
    pub(super) fn is_bare(&self) -> bool {
        self.stored
            .as_ref()
            .is_some_and(|stored| !stored.is_ahead && stored.runs.is_empty())
    }

    /// Forgets the state on disk, so that it is read again.
    pub(super) fn unload(&mut self) {
        self.stream = None;
        self.stored = None;
    }

    fn use_at(&mut self, now_ms: u64) {
        self.used_ms = self.used_ms.max(now_ms);
    }
}

impl Stored {
    /// Raises the offset of the oldest remembered publication to `first`.
    fn forget_before(&mut self, first: u64) {
        self.record.first = self.record.first.max(first);
        while let Some(oldest) = self.tail.front()
            && oldest.offset < self.record.first
        {
            self.tail.pop_front();
        }
    }

    /// The number of runs without a remembered publication.
    fn unneeded_runs(&self) -> usize {
        if self.record.first > self.tables_top {
            return self.runs.len();
        }
        // The last run that begins at or before the oldest publication is needed.
        let begun = |first: &u64| *first <= self.record.first;
        self.runs.partition_point(begun).saturating_sub(1)
    }
}

impl Entry for Cached {
    fn begin(now: Now) -> Self {
        Self {
            stream: None,
            stored: None,
            in_flight: 0,
            stamped_ms: 0,
            interests: 0,
            used_ms: now.steady_ms,
            forgotten: false,
        }
    }

    fn trim(&mut self, now_ms: u64) {
        if let Some(stream) = &mut self.stream {
            stream.trim(now_ms);
            if let Some(stored) = &mut self.stored {
                stored.forget_before(stream.first());
            }
        }
    }

    fn is_idle(&self, now_ms: u64, idle: Duration) -> bool {
        self.worth().is_some() && self.used_ms.saturating_add(whole_ms(idle)) <= now_ms
    }

    fn worth(&self) -> Option<(bool, u64)> {
        let is_ahead = self.stored.as_ref().is_some_and(|stored| stored.is_ahead);
        let is_free = self.interests == 0 && self.in_flight == 0 && !is_ahead;
        // All of it can be read again.
        is_free.then_some((false, self.used_ms))
    }

    fn used_ms(&self) -> u64 {
        self.used_ms
    }

    /// Publications that are only in the log have a bound of their own.
    fn cost(&self) -> usize {
        let runs = |stored: &Stored| stored.runs.len() * size_of::<u64>();
        self.stream.as_ref().map_or(0, Entry::cost) + self.stored.as_ref().map_or(0, runs)
    }

    fn shed(&mut self, _: usize) {
        let is_needed = self.in_flight > 0;
        match &self.stored {
            // The history first: publishing does not need it.
            Some(_) if self.stream.is_some() => self.stream = None,
            Some(stored) if !stored.is_ahead && !is_needed => self.stored = None,
            _ => {}
        }
    }

    fn forget(&mut self) {
        self.forgotten = true;
    }

    fn is_forgotten(&self) -> bool {
        self.forgotten
    }
}
