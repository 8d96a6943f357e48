//! The newest publications of a topic, as a node keeps them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::whole_ms;
use crate::history::HistoryQuery;
use crate::publication::Publication;
use crate::retention::Retention;

/// The approximate cost of a publication in memory beside its data.
pub(super) const OVERHEAD: usize = 96;

/// The newest publications of a topic that this node has had: without a gap, up to the last.
///
/// It never has more than the store does: it knows the topic's retention, or keeps nothing.
#[derive(Debug, Default)]
pub(super) struct Tail {
    kept: VecDeque<Arc<Publication>>,
    /// The bytes of data in `kept`.
    bytes: usize,
    retention: Option<Retention>,
    /// `true` if the store has nothing that is older.
    is_whole: bool,
}

impl Tail {
    /// A tail of a history that ends at the top.
    pub(super) fn restart(
        &mut self,
        publications: Vec<Arc<Publication>>,
        retention: Option<Retention>,
        is_whole: bool,
    ) {
        *self = Self {
            is_whole,
            retention,
            ..Self::default()
        };
        for publication in publications {
            self.push(publication);
        }
    }

    /// Forgets everything; what follows is not known to be all that the store has.
    pub(super) fn clear(&mut self) {
        self.restart(Vec::new(), self.retention, false);
    }

    /// Sets the bounds that came with the newest publication.
    pub(super) fn bound(&mut self, retention: Option<Retention>) {
        if retention.is_none() {
            self.clear();
        }
        self.retention = retention;
        self.trim_size();
    }

    pub(super) fn push(&mut self, publication: Arc<Publication>) {
        if self.retention.is_none() {
            self.is_whole = false;
            return;
        }
        self.bytes += publication.data.len();
        self.kept.push_back(publication);
        self.trim_size();
    }

    /// Adds what comes before, as far as it is without a gap. `is_whole` if the store has nothing
    /// that is older than all of these.
    pub(super) fn extend_back(
        &mut self,
        publications: &[Arc<Publication>],
        last: u64,
        is_whole: bool,
    ) {
        if self.retention.is_none() {
            return;
        }
        let first = last + 1 - self.kept.len() as u64;
        let older = publications.partition_point(|publication| publication.offset < first);
        let older = &publications[..older];
        if older.last().map_or(0, |publication| publication.offset) + 1 != first {
            return;
        }
        for publication in older.iter().rev() {
            self.bytes += publication.data.len();
            self.kept.push_front(Arc::clone(publication));
        }
        self.is_whole |= is_whole;
        self.trim_size();
    }

    /// Forgets what comes after an offset, which the store has lost.
    pub(super) fn take_back(&mut self, last: u64) {
        while let Some(newest) = self.kept.back()
            && newest.offset > last
        {
            self.bytes -= newest.data.len();
            self.kept.pop_back();
        }
    }

    /// Forgets the publications up to an offset, for another reason than their retention.
    pub(super) fn forget_through(&mut self, offset: u64) {
        self.is_whole = false;
        while let Some(oldest) = self.kept.front()
            && oldest.offset <= offset
        {
            self.pop_front();
        }
    }

    /// Leaves nothing but the places of deleted publications.
    pub(super) fn delete(&mut self, offsets: &[u64]) {
        for kept in &mut self.kept {
            if offsets.contains(&kept.offset) {
                self.bytes -= kept.data.len();
                *kept = Arc::new(kept.deleted());
            }
        }
    }

    /// Answers a query about a topic whose last publication has this offset; `None` if the store
    /// has publications that are asked for and not here.
    pub(super) fn read(
        &mut self,
        query: HistoryQuery,
        last: u64,
        now_ms: u64,
    ) -> Option<Vec<Arc<Publication>>> {
        self.trim_age(now_ms);
        let kept = self.kept.len();
        let (skip, limit) = match query {
            HistoryQuery::Latest(limit) if limit <= kept || self.is_whole => {
                (kept.saturating_sub(limit), limit)
            }
            HistoryQuery::After { offset, limit } if offset <= last => {
                let wanted = usize::try_from(last - offset).unwrap_or(usize::MAX);
                if wanted > kept && !self.is_whole {
                    return None;
                }
                (kept.saturating_sub(wanted), limit)
            }
            _ => return None,
        };
        Some(self.kept.range(skip..).take(limit).cloned().collect())
    }

    pub(super) fn cost(&self) -> usize {
        self.bytes + self.kept.len() * OVERHEAD
    }

    /// Forgets publications that exceed the number and the bytes, which the store has trimmed
    /// too.
    fn trim_size(&mut self) {
        let Some(Retention { count, bytes, .. }) = self.retention else {
            return;
        };
        let bytes = bytes.unwrap_or(usize::MAX);
        while self.kept.len() > count || self.bytes > bytes {
            self.pop_front();
        }
    }

    fn trim_age(&mut self, now_ms: u64) {
        let Some(Retention { age: Some(age), .. }) = self.retention else {
            return;
        };
        let age_ms = whole_ms(age);
        while self
            .kept
            .front()
            .is_some_and(|oldest| oldest.time_ms.saturating_add(age_ms) <= now_ms)
        {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(oldest) = self.kept.pop_front() {
            self.bytes -= oldest.data.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn publications(offsets: impl IntoIterator<Item = u64>) -> Vec<Arc<Publication>> {
        let publication = |offset| Arc::new(Publication::new(offset, offset * 1000, "xxxx"));
        offsets.into_iter().map(publication).collect()
    }

    fn read(tail: &mut Tail, query: HistoryQuery, now_ms: u64) -> Option<Vec<u64>> {
        let read = tail.read(query, 9, now_ms)?;
        Some(read.iter().map(|publication| publication.offset).collect())
    }

    const fn after(offset: u64, limit: usize) -> HistoryQuery {
        HistoryQuery::After { offset, limit }
    }

    #[test]
    fn a_tail_answers_what_it_has_and_says_what_it_has_not() {
        let keep = Some(Retention::count(100));
        let mut tail = Tail::default();
        tail.restart(publications(5..=9), keep, false);
        for (query, expected) in [
            (HistoryQuery::Latest(0), Some(vec![])),
            (HistoryQuery::Latest(2), Some(vec![8, 9])),
            (HistoryQuery::Latest(5), Some(vec![5, 6, 7, 8, 9])),
            (HistoryQuery::Latest(6), None),
            (after(9, 9), Some(vec![])),
            (after(6, 2), Some(vec![7, 8])),
            (after(4, 9), Some(vec![5, 6, 7, 8, 9])),
            (after(3, 9), None),
            // Another node is ahead of this one.
            (after(10, 9), None),
        ] {
            assert_eq!(read(&mut tail, query, 0), expected, "{query:?}");
        }
        tail.extend_back(&publications(2..=6), 9, true);
        assert_eq!(
            read(&mut tail, HistoryQuery::Latest(99), 0),
            Some((2..=9).collect())
        );
        assert_eq!(read(&mut tail, after(0, 3), 0), Some(vec![2, 3, 4]));
        tail.forget_through(4);
        assert_eq!(read(&mut tail, after(0, 3), 0), None);
    }

    #[test]
    fn a_tail_has_no_more_than_the_store() {
        let mut tail = Tail::default();
        tail.restart(publications(1..=9), Some(Retention::count(100)), true);
        tail.bound(Some(Retention::count(4)));
        let all = HistoryQuery::Latest(99);
        assert_eq!(read(&mut tail, all, 0), Some(vec![6, 7, 8, 9]));
        tail.bound(Some(Retention::count(4).max_bytes(12)));
        assert_eq!(read(&mut tail, all, 0), Some(vec![7, 8, 9]));
        let aged = Retention::count(4).max_age(Duration::from_secs(10));
        tail.bound(Some(aged));
        assert_eq!(read(&mut tail, all, 17_999), Some(vec![8, 9]));
        assert_eq!(read(&mut tail, all, 18_000), Some(vec![9]));
        tail.bound(None);
        assert_eq!(read(&mut tail, all, 0), None);
        assert_eq!(read(&mut tail, after(9, 1), 0), Some(vec![]));
        assert_eq!(tail.cost(), 0);
    }
}
