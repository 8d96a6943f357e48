//! The order of a topic's publications on a node: what comes from the store in any order, late,
//! doubled or not at all, is made into one sequence. Without IO and clock.

mod lives;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::early::{Arrived, Early, arrived};
use super::feed::{Deleted, PushedGroup};
use super::store::{StoredHistory, Top};
use super::tail::Tail;
use crate::broker::Interrupt;
use crate::history::{History, HistoryQuery};
use crate::position::{Epoch, Position};
use crate::publication::Publication;

/// The publications that the first read of a topic asks for, so that the histories of the
/// subscribers that come next are answered from the tail: as many as a client can recover.
const FIRST_READ: usize = 300;

/// The publications that a hole is filled with at a time.
const READ: usize = 256;

/// The number of publications that wait at which a hole is not waited out.
const MANY_EARLY: usize = 64;

/// The number of reads in a row that contradict what this node has seen, after which they are
/// believed: a store whose end was lost without a new life.
const CONTRADICTIONS: u8 = 3;

/// The deleted offsets that are known, so that they are not told twice.
const TOLD: usize = 4096;

/// The receiver of a sequence.
pub(super) trait Outlet {
    fn deleted(&mut self, epoch: Epoch, offsets: &[u64]);
    fn deliver(&mut self, epoch: Epoch, publication: &Arc<Publication>);
    fn interrupt(&mut self, interrupt: &Interrupt);
}

/// The sequence of a topic.
///
/// Invariant: every publication up to `position` was given to the outlet once, in order, or the
/// outlet was told that it will not get it.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// `None` until the topic was read for the first time.
    position: Option<Position>,
    /// The end of the life that the present one continues.
    continues: Option<Position>,
    tail: Tail,
    /// The highest offset of this life that is known to exist.
    known: u64,
    /// The publications that came before an earlier one.
    early: Early,
    /// The publications of another life, of which it is not known yet how it belongs to this one.
    foreign: Option<(Epoch, Early)>,
    /// `true` if the store has to be asked which life is the present one.
    in_doubt: bool,
    contradictions: u8,
    /// The number of deletions in this topic, once it is known.
    deletions: Option<u64>,
    /// `true` if there was a deletion that this node was not told of.
    has_missed_deletion: bool,
    /// The offsets of the latest deletions that the outlet was told of.
    told: BTreeSet<u64>,
}

/// A read of the history that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) query: HistoryQuery,
    position: Option<Position>,
    /// The highest offset that was known when the read began.
    known: u64,
    /// The highest offset that was known long before: what is not in the history up to there is
    /// lost, and not just on its way.
    settled: u64,
}

/// The urgency of a read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// Nothing is missing.
    None,
    /// A publication is missing that may be on its way.
    Later,
    /// The present life of the topic is not known, or too much waits.
    Now,
}

impl Sequence {
    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }

    pub(super) fn continues(&self) -> Option<Position> {
        self.continues
    }

    pub(super) fn need(&self) -> Need {
        match self.position {
            None => Need::Now,
            Some(_) if self.has_missed_deletion => Need::Now,
            Some(_) if self.in_doubt => match self.contradictions {
                0 => Need::Now,
                _ => Need::Later,
            },
            Some(position) if self.known > position.offset => {
                match self.early.publications.len() > MANY_EARLY {
                    true => Need::Now,
                    false => Need::Later,
                }
            }
            Some(_) => Need::None,
        }
    }

    /// Makes sure that the store is asked.
    pub(super) fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// The bytes that are kept.
    pub(super) fn cost(&self) -> usize {
        let foreign = self.foreign.as_ref();
        let foreign = foreign.map_or(0, |(_, early)| early.bytes);
        self.tail.cost() + self.early.bytes + foreign
    }

    /// Forgets what is kept and can be read again.
    pub(super) fn shed(&mut self) {
        if let Some(position) = self.position {
            self.tail.forget_through(position.offset);
        }
        self.early = Early::default();
        self.foreign = None;
    }

    /// Takes publications in any order.
    pub(super) fn pushed(&mut self, group: PushedGroup, outlet: &mut impl Outlet) {
        let epoch = group.epoch;
        match (self.position, group.continues) {
            (Some(position), _) if position.epoch == epoch => {}
            (Some(position), Some(end)) if position.epoch == end.epoch => {
                self.continue_as(epoch, end, outlet);
            }
            // Late, of a life that has ended.
            _ if self.continues.is_some_and(|end| end.epoch == epoch) => return,
            _ => return self.wait_for_read(group),
        }
        let newest = group.publications.last().map_or(0, |last| last.offset);
        self.known = self.known.max(newest);
        for arrived in arrived(group.publications, group.retention) {
            self.take(arrived, outlet);
        }
        self.advance(outlet);
    }

    /// Takes note that publications were deleted.
    pub(super) fn deleted(&mut self, deleted: &Deleted, outlet: &mut impl Outlet) {
        let Deleted { epoch, offsets } = deleted;
        let Some(position) = self.position.filter(|position| position.epoch == *epoch) else {
            // What is read from now on is without it.
            self.foreign = None;
            self.in_doubt = true;
            return;
        };
        self.tail.delete(offsets);
        self.early.delete(offsets);
        // Those that come later come as places.
        let is_news = |offset: &u64| *offset <= position.offset && self.told.insert(*offset);
        let news: Vec<u64> = offsets.iter().copied().filter(is_news).collect();
        while self.told.len() > TOLD {
            self.told.pop_first();
        }
        if !news.is_empty() {
            outlet.deleted(*epoch, &news);
        }
    }

    /// The highest position that is known to exist.
    pub(super) fn known(&self) -> Option<Position> {
        let position = self.position?;
        Some(Position::new(position.epoch, self.known))
    }

    /// Begins a read of what is missing, or of how the topic stands. `settled` is the highest
    /// position that was [known](Self::known) so long ago that nothing up to it is on its way.
    pub(super) fn begin_read(&mut self, settled: Option<Position>) -> Read {
        self.in_doubt = false;
        let query = match self.position {
            None => HistoryQuery::Latest(FIRST_READ),
            Some(_) if self.has_missed_deletion => HistoryQuery::Latest(FIRST_READ),
            Some(Position { offset, .. }) => HistoryQuery::After {
                offset,
                limit: READ,
            },
        };
        let epoch = self.position.map(|position| position.epoch);
        let settled = settled.filter(|settled| Some(settled.epoch) == epoch);
        Read {
            query,
            position: self.position,
            known: self.known,
            settled: settled.map_or(0, |settled| settled.offset),
        }
    }

    /// Takes the outcome of a read.
    pub(super) fn finish_read(
        &mut self,
        read: Read,
        found: StoredHistory,
        outlet: &mut impl Outlet,
    ) {
        let StoredHistory { history, retention } = found;
        let Position { epoch, offset: top } = history.position;
        let Some(position) = self.position else {
            let is_whole = history.publications.len() < FIRST_READ;
            self.tail.restart(history.publications, retention, is_whole);
            self.settle(history.position, history.continues, outlet);
            return;
        };
        if read.position.map(|position| position.epoch) != Some(position.epoch) {
            // Another life began meanwhile, of which the read may know nothing.
            self.in_doubt = true;
            return;
        }
        // The newest ones say nothing of what is between.
        let mut lost_until = match read.query {
            HistoryQuery::Latest(_) => 0,
            HistoryQuery::After { .. } => read.settled,
        };
        if epoch == position.epoch {
            if top < read.known {
                return self.contradict(history.position, outlet);
            }
        } else if let Some(end) = history.continues
            && end.epoch == position.epoch
        {
            self.continue_as(epoch, end, outlet);
            lost_until = 0;
        } else {
            self.begin_anew(&history, outlet);
            lost_until = 0;
        }
        self.contradictions = 0;
        self.continues = history.continues;
        if matches!(read.query, HistoryQuery::Latest(_)) {
            self.has_missed_deletion = false;
            let deleted = history.publications.iter().filter(|kept| kept.is_deleted);
            let offsets = deleted.map(|kept| kept.offset).collect();
            self.deleted(&Deleted::new(epoch, offsets), outlet);
        }
        self.known = self.known.max(top);
        let was_whole = history.publications.len() < READ;
        let read_until = match history.publications.last() {
            Some(last) if !was_whole => last.offset,
            _ => top,
        };
        for arrived in arrived(history.publications, retention) {
            self.take(arrived, outlet);
        }
        self.advance(outlet);
        self.give_up(epoch, lost_until.min(read_until), outlet);
        if self.position == Some(Position::new(epoch, top)) {
            // Also where what was read has not come one by one, as at the beginning of a life.
            self.tail.bound(retention);
        }
        self.forget_foreign(epoch);
    }

    /// Compares a position in the store with this node's when it was asked for. Returns `true` if
    /// nothing is missing.
    pub(super) fn checked(&mut self, top: Option<&Top>, before: Position) -> bool {
        let Some(position) = self.position else {
            return false;
        };
        let Some(top) = top else {
            self.in_doubt = true;
            return false;
        };
        if position.epoch != before.epoch {
            return false;
        }
        if top.position.epoch != position.epoch || top.position.offset < before.offset {
            self.in_doubt = true;
            return false;
        }
        if self
            .deletions
            .is_some_and(|deletions| deletions != top.deletions)
        {
            // Older ones than are read now are told to nobody, and not shown.
            self.tail.forget_through(position.offset);
            self.has_missed_deletion = true;
        }
        self.deletions = Some(top.deletions);
        self.known = self.known.max(top.position.offset);
        top.position.offset <= position.offset
    }

    /// Answers a history from the tail; `None` if the store has more.
    pub(super) fn answer(&mut self, query: HistoryQuery, now_ms: u64) -> Option<History> {
        let position = self.position?;
        let publications = self.tail.read(query, position.offset, now_ms)?;
        Some(History::new(position, publications).continuing(self.continues))
    }

    /// Learns from a history that was read for somebody else. Returns `true` if it is of the life
    /// that this node knows, `false` if one of the two is behind.
    pub(super) fn observe(&mut self, query: HistoryQuery, found: &StoredHistory) -> bool {
        let history = &found.history;
        let Some(position) = self.position else {
            return true;
        };
        if history.position.epoch != position.epoch {
            let is_past = |end: Position| end.epoch == history.position.epoch;
            self.in_doubt |= !self.continues.is_some_and(is_past);
            return false;
        }
        self.known = self.known.max(history.position.offset);
        let read = &history.publications;
        let is_whole = match query {
            HistoryQuery::Latest(limit) => read.len() < limit,
            HistoryQuery::After { offset, .. } => {
                read.first().is_some_and(|first| first.offset > offset + 1)
            }
        };
        self.tail.extend_back(read, position.offset, is_whole);
        true
    }

    /// Delivers a publication of the present life, or lets it wait for those before it.
    fn take(&mut self, arrived: Arrived, outlet: &mut impl Outlet) {
        let Some(position) = self.position else {
            return;
        };
        let offset = arrived.publication.offset;
        if offset == position.offset + 1 {
            self.deliver(position, arrived, outlet);
        } else if offset > position.offset {
            self.early.insert(arrived);
        }
    }

    /// Delivers what waited for the last one.
    fn advance(&mut self, outlet: &mut impl Outlet) {
        while let Some(position) = self.position
            && let Some(arrived) = self.early.pop_through(position.offset + 1)
        {
            if arrived.publication.offset > position.offset {
                self.deliver(position, arrived, outlet);
            }
        }
    }

    fn deliver(
        &mut self,
        Position { epoch, offset }: Position,
        arrived: Arrived,
        outlet: &mut impl Outlet,
    ) {
        let Arrived {
            publication,
            retention,
        } = arrived;
        debug_assert_eq!(publication.offset, offset + 1);
        self.position = Some(Position::new(epoch, publication.offset));
        self.known = self.known.max(publication.offset);
        outlet.deliver(epoch, &publication);
        // As the store has trimmed its history when this was published.
        self.tail.bound(retention);
        self.tail.push(publication);
    }

    /// Tells of publications that neither came nor are in the history, up to an offset.
    fn give_up(&mut self, epoch: Epoch, until: u64, outlet: &mut impl Outlet) {
        while let Some(position) = self.position
            && position.offset < until
        {
            let next = self
                .early
                .first()
                .map_or(until, |first| until.min(first - 1));
            self.position = Some(Position::new(epoch, next));
            self.tail.clear();
            outlet.interrupt(&Interrupt::Lost {
                epoch,
                offsets: position.offset + 1..=next,
            });
            self.advance(outlet);
        }
    }

    /// Keeps publications until the store has said how their life belongs to the present one.
    fn wait_for_read(&mut self, group: PushedGroup) {
        self.in_doubt = true;
        let (foreign, early) = self
            .foreign
            .get_or_insert_with(|| (group.epoch, Early::default()));
        if *foreign != group.epoch {
            *foreign = group.epoch;
            *early = Early::default();
        }
        for arrived in arrived(group.publications, group.retention) {
            early.insert(arrived);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Retention;

    const KEEP: Option<Retention> = Some(Retention::count(100));

    /// Everything that an outlet was given and told.
    #[derive(Debug, Default)]
    struct Record(Vec<String>);

    impl Outlet for Record {
        fn deleted(&mut self, _: Epoch, offsets: &[u64]) {
            self.0.push(format!("deleted {offsets:?}"));
        }

        fn deliver(&mut self, _: Epoch, publication: &Arc<Publication>) {
            self.0.push(publication.offset.to_string());
        }

        fn interrupt(&mut self, interrupt: &Interrupt) {
            self.0.push(match interrupt {
                Interrupt::Lost { offsets, .. } => format!("lost {offsets:?}"),
                Interrupt::Continued { offset, .. } => format!("continued at {offset}"),
                Interrupt::TakenBack { offsets, .. } => format!("taken back {offsets:?}"),
                Interrupt::Began { position } => format!("began at {}", position.offset),
            });
        }
    }

    impl Record {
        fn take(&mut self) -> Vec<String> {
            std::mem::take(&mut self.0)
        }
    }

    fn publications(offsets: impl IntoIterator<Item = u64>) -> Vec<Arc<Publication>> {
        let publication = |offset| Arc::new(Publication::new(offset, 0, "x"));
        offsets.into_iter().map(publication).collect()
    }

    fn group(epoch: Epoch, offsets: impl IntoIterator<Item = u64>) -> PushedGroup {
        PushedGroup::new(epoch, None, publications(offsets), KEEP)
    }

    fn found(epoch: Epoch, top: u64, kept: impl IntoIterator<Item = u64>) -> StoredHistory {
        let history = History::new(Position::new(epoch, top), publications(kept));
        StoredHistory::new(history, KEEP)
    }

    /// A sequence that was read when the topic had so many publications.
    fn at(epoch: Epoch, top: u64) -> (Sequence, Record) {
        let mut sequence = Sequence::default();
        let mut record = Record::default();
        let read = sequence.begin_read(None);
        sequence.finish_read(read, found(epoch, top, []), &mut record);
        assert_eq!(sequence.need(), Need::None);
        (sequence, record)
    }

    #[test]
    fn publications_come_out_once_and_in_order() {
        let epoch = Epoch::begin(0);
        let (mut sequence, mut record) = at(epoch, 3);
        for offsets in [vec![3], vec![5, 6], vec![5], vec![4, 5], vec![8], vec![7]] {
            sequence.pushed(group(epoch, offsets), &mut record);
        }
        assert_eq!(record.take(), ["4", "5", "6", "7", "8"]);
        assert_eq!(sequence.need(), Need::None);
    }

    #[test]
    fn what_came_before_the_first_read_is_not_lost() {
        let epoch = Epoch::begin(0);
        let (mut sequence, mut record) = (Sequence::default(), Record::default());
        sequence.pushed(group(epoch, [3, 4]), &mut record);
        let read = sequence.begin_read(None);
        sequence.pushed(group(epoch, [6]), &mut record);
        sequence.finish_read(read, found(epoch, 3, [1, 2, 3]), &mut record);
        assert_eq!(record.take(), ["4"]);
        assert_eq!(sequence.need(), Need::Later);
        sequence.pushed(group(epoch, [5]), &mut record);
        assert_eq!(record.take(), ["5", "6"]);
    }

    #[test]
    fn only_what_is_missing_for_long_and_not_in_the_history_is_lost() {
        let epoch = Epoch::begin(0);
        let (mut sequence, mut record) = at(epoch, 0);
        sequence.pushed(group(epoch, [3]), &mut record);
        let settled = sequence.known();
        sequence.pushed(group(epoch, [6]), &mut record);
        let read = sequence.begin_read(settled);
        sequence.finish_read(read, found(epoch, 7, []), &mut record);
        assert_eq!(record.take(), ["lost 1..=2", "3"]);
        assert_eq!(sequence.need(), Need::Later);
        let read = sequence.begin_read(sequence.known());
        sequence.finish_read(read, found(epoch, 9, [5, 6, 7, 8, 9]), &mut record);
        assert_eq!(record.take(), ["lost 4..=4", "5", "6", "7", "8", "9"]);
    }

    #[test]
    fn a_life_that_continues_takes_back_what_is_not_in_it() {
        let [first, second] = [0, 1].map(Epoch::begin);
        for (top, expected) in [
            (2, vec!["continued at 2", "3", "4"]),
            (3, vec!["continued at 3", "4"]),
            (5, vec!["taken back 4..=5", "4"]),
        ] {
            let (mut sequence, mut record) = at(first, top);
            let mut push = group(second, [4]);
            push.continues = Some(Position::new(first, 3));
            sequence.pushed(push, &mut record);
            // Late, and of no meaning any more.
            sequence.pushed(group(first, [6]), &mut record);
            sequence.pushed(group(second, [3]), &mut record);
            assert_eq!(record.take(), expected);
            assert_eq!(sequence.position(), Some(Position::new(second, 4)));
            assert_eq!(sequence.need(), Need::None);
        }
    }

    #[test]
    fn a_life_without_relation_begins_with_what_came_of_it() {
        let [first, second] = [0, 1].map(Epoch::begin);
        let (mut sequence, mut record) = at(first, 5);
        sequence.pushed(group(second, [2]), &mut record);
        assert_eq!(sequence.need(), Need::Now);
        let read = sequence.begin_read(None);
        sequence.finish_read(read, found(second, 2, []), &mut record);
        assert_eq!(record.take(), ["began at 1", "2"]);
        assert_eq!(sequence.need(), Need::None);
    }

    #[test]
    fn a_store_that_contradicts_itself_is_believed_the_third_time() {
        let epoch = Epoch::begin(0);
        let (mut sequence, mut record) = at(epoch, 5);
        for expected in [vec![], vec![], vec!["taken back 3..=5"]] {
            let read = sequence.begin_read(None);
            sequence.finish_read(read, found(epoch, 2, []), &mut record);
            assert_eq!(record.take(), expected);
        }
        assert_eq!(sequence.need(), Need::None);
        sequence.pushed(group(epoch, [3]), &mut record);
        assert_eq!(record.take(), ["3"]);
    }

    #[test]
    fn histories_have_the_bounds_that_came_last() {
        let epoch = Epoch::begin(0);
        let (mut sequence, mut record) = at(epoch, 0);
        let mut kept = |sequence: &mut Sequence, offset, retention| {
            let publications = publications([offset]);
            let group = PushedGroup::new(epoch, None, publications, Some(retention));
            sequence.pushed(group, &mut record);
            let history = sequence.answer(HistoryQuery::Latest(99), 0).unwrap();
            history.publications.len()
        };
        assert_eq!(kept(&mut sequence, 1, Retention::count(100)), 1);
        assert_eq!(kept(&mut sequence, 2, Retention::count(100)), 2);
        assert_eq!(kept(&mut sequence, 3, Retention::count(2)), 2);
        assert_eq!(kept(&mut sequence, 4, Retention::NOTHING), 0);
        assert_eq!(kept(&mut sequence, 5, Retention::count(100)), 1);
    }

    #[test]
    fn a_new_life_is_remembered_with_its_own_bounds() {
        let [first, second] = [0, 1].map(Epoch::begin);
        let (mut sequence, mut record) = (Sequence::default(), Record::default());
        let read = sequence.begin_read(None);
        let empty = History::new(Position::new(first, 0), Vec::new());
        let empty = StoredHistory::new(empty, Some(Retention::NOTHING));
        sequence.finish_read(read, empty, &mut record);
        let kept = found(second, 3, [1, 2, 3]);
        let read = sequence.begin_read(None);
        sequence.finish_read(read, kept.clone(), &mut record);
        assert_eq!(record.take(), ["began at 3"]);
        // The first who asks for it reads it, and the others have it from memory.
        let query = HistoryQuery::Latest(9);
        assert_eq!(sequence.answer(query, 0), None);
        assert!(sequence.observe(query, &kept));
        let history = sequence.answer(query, 0).unwrap();
        assert_eq!(history.publications, kept.history.publications);
    }

    #[test]
    fn a_deletion_is_told_once_also_if_its_push_was_lost() {
        let epoch = Epoch::begin(0);
        let (mut sequence, mut record) = at(epoch, 0);
        sequence.pushed(group(epoch, [1, 2, 3, 5]), &mut record);
        record.take();
        let before = sequence.position().unwrap();
        sequence.checked(Some(&Top::new(before, None)), before);
        let deleted = Deleted::new(epoch, vec![2, 5]);
        sequence.deleted(&deleted, &mut record);
        sequence.deleted(&deleted, &mut record);
        sequence.pushed(group(epoch, [4]), &mut record);
        assert_eq!(record.take(), ["deleted [2]", "4", "5"]);
        let history = sequence.answer(HistoryQuery::Latest(9), 0).unwrap();
        let texts = history.publications.iter().map(|kept| kept.data.clone());
        assert!(texts.eq(["x", "", "x", "x", ""]));

        // Another one, of which nothing came.
        let before = sequence.position().unwrap();
        let top = Top::new(before, None).deletions(1);
        sequence.checked(Some(&top), before);
        assert_eq!(sequence.answer(HistoryQuery::Latest(9), 0), None);
        assert_eq!(sequence.need(), Need::Now);
        let read = sequence.begin_read(None);
        let mut found = found(epoch, 5, [1, 2, 3, 4, 5]);
        for kept in &mut found.history.publications[..3] {
            *kept = Arc::new(kept.deleted());
        }
        sequence.finish_read(read, found, &mut record);
        assert_eq!(record.take(), ["deleted [1, 3]"]);
        assert_eq!(sequence.need(), Need::None);
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_read_again() {
        let epoch = Epoch::begin(0);
        let (mut sequence, mut record) = at(epoch, 0);
        for offset in 2..2000 {
            let large = Arc::new(Publication::new(offset, 0, vec![0; 10_000]));
            let group = PushedGroup::new(epoch, None, vec![large], KEEP);
            sequence.pushed(group, &mut record);
        }
        assert!(sequence.cost() <= 1 << 20, "{}", sequence.cost());
        assert_eq!(sequence.need(), Need::Now);
        assert_eq!(sequence.known(), Some(Position::new(epoch, 1999)));
    }
}
