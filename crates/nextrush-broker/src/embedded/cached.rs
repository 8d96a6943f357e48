use std::{sync::Arc, time::Duration};

use super::record::TopicRecord;
use crate::{
    History, HistoryQuery, Position, Publication, Retention, clock::whole_ms, stream::Stream,
    table::Entry,
};

/// What is in memory of a topic: at least who is interested, and unless it was not needed
/// for a while all that it remembers.
pub(super) struct Cached {
    /// `None` if it has to be read from the disk first. Never holds what is not on disk,
    /// except for a topic that has no publication yet.
    stream: Option<Stream>,
    /// Where it is on disk; `None` before the first publication.
    disk: Option<Disk>,
    /// Publications that are being written.
    in_flight: u64,
    interests: usize,
    used_ms: u64,
    forgotten: bool,
}

/// A topic's place on disk.
#[derive(Clone, Copy)]
pub(super) struct Disk {
    pub(super) id: u64,
    /// The offset of the oldest publication there.
    pub(super) first: u64,
}

/// What was found on disk.
pub(super) struct Found {
    pub(super) record: TopicRecord,
    pub(super) publications: Vec<Arc<Publication>>,
}

impl Cached {
    pub(super) fn is_loaded(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) fn load(&mut self, found: Option<Found>, now_ms: u64) {
        self.use_at(now_ms);
        let Some(Found {
            record,
            publications,
        }) = found
        else {
            self.disk = None;
            self.stream = Some(Stream::begin(now_ms));
            return;
        };
        self.disk = Some(Disk {
            id: record.id,
            first: record.first,
        });
        // Times never fall within a topic, whatever the clock says by now.
        self.use_at(record.published_ms);
        let position = Position {
            epoch: record.epoch,
            offset: record.top,
        };
        let mut stream = Stream::restore(
            position,
            record.published_ms,
            record.retention,
            publications,
            self.used_ms,
        );
        stream.trim(self.used_ms);
        self.stream = Some(stream);
    }

    /// What is remembered; `None` if it has to be read from the disk first.
    pub(super) fn read(&mut self, query: HistoryQuery, now_ms: u64) -> Option<History> {
        self.use_at(now_ms);
        Some(self.stream.as_mut()?.read(query, now_ms))
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

    pub(super) fn disk(&self) -> Option<Disk> {
        self.disk
    }

    pub(super) fn set_disk(&mut self, disk: Option<Disk>) {
        self.disk = disk;
    }

    pub(super) fn set_first_on_disk(&mut self, first: u64) {
        if let Some(disk) = &mut self.disk {
            disk.first = first;
        }
    }

    /// The offset of the oldest publication that is remembered, one above the top if none
    /// is; 0 if that has to be read from the disk first.
    pub(super) fn first(&self) -> u64 {
        self.stream.as_ref().map_or(0, Stream::first)
    }

    /// Whether there is more on disk than is remembered.
    pub(super) fn has_surplus(&self) -> bool {
        self.disk.is_some_and(|disk| disk.first < self.first())
    }

    /// The record of the topic as it is now; `None` if there is none, or if it has to be
    /// read from the disk first.
    pub(super) fn record(&mut self, now_ms: u64) -> Option<TopicRecord> {
        let disk = self.disk?;
        self.trim(now_ms);
        let stream = self.stream.as_ref()?;
        let Position { epoch, offset: top } = stream.position();
        Some(TopicRecord {
            id: disk.id,
            epoch,
            top,
            first: disk.first,
            published_ms: stream.published_ms(),
            retention: stream.retention(),
        })
    }

    /// Where the next publication will be, and when it was published. From here on until
    /// [`settle`](Self::settle) or [`give_up`](Self::give_up) the topic stays in memory.
    pub(super) fn reserve(&mut self, now_ms: u64) -> Option<(Position, u64)> {
        self.use_at(now_ms);
        let position = self.stream.as_ref()?.position();
        self.in_flight += 1;
        let next = Position {
            offset: position.offset + self.in_flight,
            ..position
        };
        Some((next, self.used_ms))
    }

    /// What was reserved is on disk.
    pub(super) fn settle(&mut self, publication: &Arc<Publication>, retention: Retention) {
        self.give_up();
        if let Some(stream) = &mut self.stream {
            stream.push(Arc::clone(publication), retention);
        }
    }

    /// What was reserved may be on disk or not.
    pub(super) fn give_up(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Forgets what was read, so that it is read again.
    pub(super) fn unload(&mut self) {
        self.stream = None;
    }

    fn use_at(&mut self, now_ms: u64) {
        self.used_ms = self.used_ms.max(now_ms);
    }
}

impl Entry for Cached {
    fn begin(now_ms: u64) -> Self {
        Self {
            stream: None,
            disk: None,
            in_flight: 0,
            interests: 0,
            used_ms: now_ms,
            forgotten: false,
        }
    }

    fn trim(&mut self, now_ms: u64) {
        if let Some(stream) = &mut self.stream {
            stream.trim(now_ms);
        }
    }

    fn is_idle(&self, now_ms: u64, idle: Duration) -> bool {
        self.worth().is_some() && self.used_ms.saturating_add(whole_ms(idle)) <= now_ms
    }

    fn worth(&self) -> Option<(bool, u64)> {
        let is_free = self.interests == 0 && self.in_flight == 0;
        // Of a topic without a publication the epoch would be lost.
        let is_only_here = self.stream.is_some() && self.disk.is_none();
        is_free.then_some((is_only_here, self.used_ms))
    }

    fn used_ms(&self) -> u64 {
        self.used_ms
    }

    fn cost(&self) -> usize {
        self.stream.as_ref().map_or(0, Entry::cost)
    }

    fn shed(&mut self, _: usize) {
        if self.in_flight == 0 && self.disk.is_some() {
            self.unload();
        }
    }

    fn forget(&mut self) {
        self.forgotten = true;
    }

    fn is_forgotten(&self) -> bool {
        self.forgotten
    }
}
