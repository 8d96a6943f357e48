//! The log of a topic on its way to the tables.

use super::error::Contradiction;
use super::record::{Run, TopicRecord};
use crate::owner::Owner;
use crate::publication::Publication;

/// The part of the log that belongs to one topic.
pub(super) struct Moved {
    record: Option<TopicRecord>,
    tables_top: u64,
    publications: Vec<Publication>,
}

impl Moved {
    pub(super) fn new(before: Option<TopicRecord>) -> Self {
        Self {
            record: before,
            tables_top: before.map_or(0, |record| record.top),
            publications: Vec::new(),
        }
    }

    /// Adds a publication unless the tables have it.
    pub(super) fn add(&mut self, record: TopicRecord, owner: Option<Owner>, data: &[u8]) {
        match self.record {
            // It belongs to an earlier life of the topic, which was forgotten since.
            Some(before) if record.id < before.id => return,
            Some(before) if record.id > before.id => *self = Self::new(None),
            Some(_) => {}
            // It belongs to a forgotten life too; the publications before it have left the
            // log.
            None if record.top > 1 => return,
            None => {}
        }
        if record.top <= self.tables_top {
            return;
        }
        let first = self.record.map_or(1, |before| before.first);
        self.record = Some(TopicRecord {
            first: first.max(record.first),
            ..record
        });
        let data = bytes::Bytes::copy_from_slice(data);
        let publication = Publication::new(record.top, record.published_ms, data);
        self.publications.push(publication.by(owner));
    }

    pub(super) fn into_record_and_runs(
        self,
    ) -> Result<Option<(TopicRecord, Vec<Run>)>, Contradiction> {
        let Some(record) = self.record.filter(|_| !self.publications.is_empty()) else {
            return Ok(None);
        };
        let offsets = self.publications.iter().map(|kept| kept.offset);
        if !offsets.eq(self.tables_top + 1..=record.top) {
            let what = "publications of a topic are missing in the log";
            return Err(Contradiction(what.to_owned()));
        }
        let mut runs = Vec::new();
        for publication in &self.publications {
            if publication.offset >= record.first {
                Run::add(&mut runs, publication);
            }
        }
        Ok(Some((record, runs)))
    }
}
