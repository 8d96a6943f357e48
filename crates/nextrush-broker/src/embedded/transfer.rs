//! The way of publications and answers from the log to the tables.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::cached::Cached;
use super::change::Change;
use super::error::Failure;
use super::group::Logged;
use super::record::{self, AnswerKey, TopicRecord};
use super::shared::Shared;
use super::store::Store;
use super::usage::{Recount, Shares, Usage};
use crate::clock::whole_ms;
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::owner::Owner;
use crate::topic_name::TopicName;

/// The size above which the log is shortened. The log is in memory too, and opening the store
/// moves all of it. With a longer log more publications of a topic come together in a run:
/// about 15 with 1,000 busy rooms.
const LOG_BYTES: usize = 8 << 20;
/// The least that is moved at a time. Small enough that publishers wait for a few
/// milliseconds at most.
const STEP_BYTES: usize = 256 << 10;
/// The most runs that are removed from a topic at a time.
const STEP_RUNS: usize = 1024;
/// The cost of moving a topic or an answer beside its bytes.
const STEP_OVERHEAD: usize = 256;
/// The most deletions in topics of others at a time.
const STEP_DELETIONS: usize = 16;
/// The bytes of runs that are counted at a time after the store was opened.
const COUNTED_BYTES: usize = 4 << 20;
/// The number of topics in a sweep for expired ones.
const SWEPT: usize = 256;
/// The time between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Moves publications and answers from the log to the tables, in pieces, and removes expired
/// ones there.
///
/// Nothing of this is forced to the disk. It gets there with the next group; what a crash
/// loses is still in the log or is removed again later.
pub(super) struct Transfer {
    /// The groups in the log with their weights, the oldest first.
    log: VecDeque<(u64, usize)>,
    weight: usize,
    /// The topics whose tables are behind the log, with the first group that they lack.
    topics: VecDeque<(u64, TopicName)>,
    /// The answers that are only in the log, with their groups and ends.
    answers: VecDeque<(u64, AnswerKey, u64)>,
    /// The topics with expired runs in the tables.
    surplus: BTreeSet<TopicName>,
    usage: Usage,
    /// The next things to be shed, the longest unused first.
    to_shed: VecDeque<Shed>,
    swept: Instant,
    /// The topic at which the last sweep ended; `None` to start from the first.
    last: Option<TopicName>,
}

/// Something to be shed.
enum Shed {
    /// All that a topic remembers.
    History(TopicName),
    /// The publications of an owner, or of nobody, in a topic of others.
    By(TopicName, Option<Owner>),
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            log: VecDeque::new(),
            weight: 0,
            topics: VecDeque::new(),
            answers: VecDeque::new(),
            surplus: BTreeSet::new(),
            usage: Usage::default(),
            to_shed: VecDeque::new(),
            swept: Instant::now(),
            last: None,
        }
    }
}

impl Transfer {
    /// Notes a group that was written.
    pub(super) fn note(&mut self, group: u64, logged: Logged) {
        self.log.push_back((group, logged.weight));
        self.weight += logged.weight;
        self.topics
            .extend(logged.topics.into_iter().map(|topic| (group, topic)));
        self.answers.extend(
            logged
                .answers
                .into_iter()
                .map(|(key, ends_ms)| (group, key, ends_ms)),
        );
    }

    /// Notes that the store was opened again, which has moved the log. Returns the topics
    /// that have to be read again.
    pub(super) fn reset(&mut self) -> Vec<TopicName> {
        self.log.clear();
        self.weight = 0;
        self.answers.clear();
        // Counted again: whether the last changes reached the disk is unknown.
        self.usage = Usage::default();
        self.to_shed.clear();
        std::mem::take(&mut self.topics)
            .into_iter()
            .map(|(_, topic)| topic)
            .collect()
    }

    /// The time until there is work to do.
    pub(super) fn rest(&self) -> Duration {
        let is_counted = self.usage.is_whole() && self.to_shed.is_empty();
        if self.surplus.is_empty() && self.weight <= LOG_BYTES && is_counted {
            SWEEP_EVERY.saturating_sub(self.swept.elapsed())
        } else {
            Duration::ZERO
        }
    }

    /// Moves a piece that is larger than the group just written, whose weight is `written`:
    /// so the log stays short however much is published.
    pub(super) fn run(
        &mut self,
        shared: &Shared,
        store: &Store,
        written: usize,
    ) -> Result<(), Failure> {
        let mut piece = Piece::new(shared, store, STEP_BYTES.max(2 * written));
        if !self.usage.is_whole() {
            // What cannot be read is reported to who reads it.
            if store.count(&mut self.usage, COUNTED_BYTES).is_err() {
                self.usage.complete();
            }
        }
        self.remove_surplus(&mut piece);
        self.shorten_log(&mut piece, LOG_BYTES);
        if self.swept.elapsed() >= SWEEP_EVERY {
            self.swept = Instant::now();
            // Unreadable topics stay, and are reported to their readers.
            let _ = self.sweep(&mut piece);
        }
        self.commit(piece)
    }

    /// Moves all of the log.
    pub(super) fn run_all(&mut self, shared: &Shared, store: &Store) -> Result<(), Failure> {
        let mut piece = Piece::new(shared, store, usize::MAX);
        self.shorten_log(&mut piece, 0);
        self.commit(piece)
    }

    fn commit(&mut self, piece: Piece<'_>) -> Result<(), Failure> {
        match piece.commit() {
            Ok(changed) => {
                self.recount(changed);
                Ok(())
            }
            Err((failure, topics)) => {
                // To be read again with the others.
                self.topics
                    .extend(topics.into_iter().map(|topic| (0, topic)));
                Err(failure)
            }
        }
    }

    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Notes runs that have changed, with their shares before and after.
    pub(super) fn recount(&mut self, changed: Vec<Recount>) {
        for (key, before, after) in changed {
            self.usage.remove(&key, &before);
            self.usage.add(key, after);
        }
    }

    /// Sheds histories while they are too large: more of them than the bytes just written. Returns
    /// what has to be deleted in topics of others.
    pub(super) fn shed(
        &mut self,
        shared: &Shared,
        store: &Store,
        written: usize,
    ) -> Result<Vec<(TopicName, Deletion)>, Failure> {
        if self.to_shed.is_empty() {
            if !self.usage.is_whole() || self.usage.total() <= shared.limit.histories() {
                return Ok(Vec::new());
            }
            // Unreadable names are reported to who lists them; the others are shed.
            self.to_shed = self.find_to_shed(shared, store).unwrap_or_default();
        }
        let mut piece = Piece::new(shared, store, STEP_BYTES.max(4 * written));
        let mut deletions = Vec::new();
        while piece.left > 0
            && deletions.len() < STEP_DELETIONS
            && let Some(next) = self.to_shed.pop_front()
        {
            match next {
                Shed::By(topic, owner) => {
                    deletions.push((topic, owner.map_or(Deletion::Unowned, Deletion::By)));
                }
                Shed::History(topic) => {
                    let is_unknown = |cached: &Cached| !cached.is_known();
                    let shed = |cached: &mut Cached, _| cached.shed_history();
                    // An unreadable topic stays.
                    if shared.enter_reading(&topic, is_unknown, shed).is_ok()
                        && piece.move_topic(&topic)
                    {
                        self.surplus.insert(topic);
                    }
                }
            }
        }
        self.commit(piece)?;
        Ok(deletions)
    }

    /// Finds what is to be shed: of the owner with the largest share, if that is too large, else
    /// of all.
    fn find_to_shed(&self, shared: &Shared, store: &Store) -> Result<VecDeque<Shed>, BrokerError> {
        let over = self.usage.total().saturating_sub(shared.limit.enough());
        let share = shared.limit.share();
        let mut found = Vec::new();
        // Of what can be shed: what the framework keeps for itself is in no owner's way.
        let mut owners: HashMap<_, u64> = HashMap::new();
        for topic in store.topics(None) {
            let Ok((topic, record)) = topic else {
                continue;
            };
            let record = TopicRecord::from_bytes(&record)?;
            let Some(shares) = self.usage.of_topic(record.id) else {
                continue;
            };
            if topic.is_internal() {
                continue;
            }
            for (owner, bytes) in shares {
                *owners.entry(owner).or_default() += bytes;
            }
            found.push((topic, record.published_ms, shares));
        }
        let large = owners.into_iter().filter(|(_, bytes)| *bytes > share);
        let largest = large.max_by_key(|(_, bytes)| *bytes);
        let mut topics = Vec::new();
        for (topic, published_ms, shares) in found {
            let all: u64 = shares.values().sum();
            let bytes = largest.map_or(Some(all), |(owner, _)| shares.get(owner).copied());
            let Some(bytes) = bytes else {
                continue;
            };
            let mut used = (false, published_ms);
            shared
                .topics
                .enter_existing(&topic, |cached, _| used = used.max(cached.usage()));
            topics.push((used, topic, bytes, bytes == all));
        }
        topics.sort_unstable();
        let mut left = over;
        if let Some((_, bytes)) = largest {
            left = left.min(bytes.saturating_sub(share)).max(1);
        }
        let mut to_shed = VecDeque::new();
        for (_, topic, bytes, is_all) in topics {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(bytes);
            to_shed.push_back(match largest {
                Some((owner, _)) if !is_all => Shed::By(topic, owner.clone()),
                _ => Shed::History(topic),
            });
        }
        Ok(to_shed)
    }

    fn remove_surplus(&mut self, piece: &mut Piece<'_>) {
        let mut again = BTreeSet::new();
        while piece.left > 0
            && let Some(topic) = self.surplus.pop_first()
        {
            // An unreadable topic stays.
            if piece.shared.enter_loaded(&topic, |_, _| ()).is_ok() && piece.move_topic(&topic) {
                again.insert(topic);
            }
        }
        self.surplus.append(&mut again);
    }

    /// Moves the oldest of the log until no more than so many bytes are left.
    fn shorten_log(&mut self, piece: &mut Piece<'_>, enough: usize) {
        loop {
            let of_topic = self.topics.front().map(|(group, _)| *group);
            let of_answer = self.answers.front().map(|(group, ..)| *group);
            let needed = of_topic.into_iter().chain(of_answer).min();
            while let Some((group, weight)) = self.log.front().copied()
                && needed.is_none_or(|needed| group < needed)
            {
                piece.change.forget_group(group);
                self.weight -= weight;
                self.log.pop_front();
            }
            if self.weight <= enough || piece.left == 0 {
                return;
            }
            if of_topic == needed
                && let Some((_, topic)) = self.topics.pop_front()
            {
                if piece.move_topic(&topic) {
                    self.surplus.insert(topic);
                }
            } else if let Some((_, key, ends_ms)) = self.answers.pop_front() {
                piece.move_answer(key, ends_ms);
            } else {
                return;
            }
        }
    }

    /// Looks for expired topics among the next few.
    fn sweep(&mut self, piece: &mut Piece<'_>) -> Result<(), BrokerError> {
        let idle_ms = whole_ms(piece.shared.options.idle);
        // The times on disk are those of the day.
        let now_ms = piece.shared.topics.now().day_ms;
        let last = self.last.take();
        for found in piece.store.topics(last.as_ref()).take(SWEPT) {
            let Ok((topic, record)) = found else {
                continue;
            };
            self.last = Some(topic.clone());
            let record = TopicRecord::from_bytes(&record)?;
            let has_expired = |age_ms: u64| record.published_ms.saturating_add(age_ms) <= now_ms;
            let age = record.retention.age.map(whole_ms);
            if record.first <= record.top {
                if age.is_some_and(has_expired) {
                    self.surplus.insert(topic);
                }
            } else if has_expired(idle_ms) && piece.forget(&topic)? {
                self.surplus.insert(topic);
            }
        }
        Ok(())
    }
}

/// A piece of work, with the notes to make once it is written.
struct Piece<'a> {
    shared: &'a Shared,
    store: &'a Store,
    change: Change<'a>,
    /// The bytes that it may still take.
    left: usize,
    now_ms: u64,
    /// The topics in it. Each is there once, as a key may be in a change only once.
    topics: BTreeMap<TopicName, Moved>,
    answers: Vec<(AnswerKey, u64)>,
    /// The runs in it, with their shares before and after.
    changed: Vec<Recount>,
}

enum Moved {
    Updated {
        /// The first offsets of new runs.
        added: Vec<u64>,
        /// The first offset of the newest run that was removed.
        removed: Option<u64>,
    },
    Forgotten,
}

impl<'a> Piece<'a> {
    fn new(shared: &'a Shared, store: &'a Store, left: usize) -> Self {
        Self {
            shared,
            store,
            change: store.change(),
            left,
            now_ms: shared.topics.now_ms(),
            topics: BTreeMap::new(),
            answers: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Adds the update of a topic. Returns whether more runs have to be removed.
    fn move_topic(&mut self, topic: &TopicName) -> bool {
        if self.topics.contains_key(topic) {
            return false;
        }
        let update = |cached: &mut Cached, now| cached.update(STEP_RUNS, now);
        let read = self
            .shared
            .enter_reading(topic, Cached::needs_reading, update);
        // If the tables cannot be read, the log is moved all the same.
        let Some(update) = read.unwrap_or_else(|_| self.shared.topics.enter(topic, update)) else {
            return false;
        };
        let record = update.record;
        self.change.set_topic(topic.as_str(), record);
        let mut bytes = STEP_OVERHEAD * (1 + update.removed.len());
        for first in &update.removed {
            // What cannot be read was not counted.
            let shares = self.store.shares(record.id, *first).unwrap_or_default();
            let key = record::run_key(record.id, *first);
            self.changed.push((key, shares, Shares::new()));
            self.change.remove_run(record.id, *first);
        }
        let moved = Moved::Updated {
            added: update.added.iter().map(|run| run.first).collect(),
            removed: update.removed.last().copied(),
        };
        for run in update.added {
            bytes += run.len();
            let key = record::run_key(record.id, run.first);
            self.changed
                .push((key, Shares::new(), run.shares().clone()));
            self.change.add_run(record.id, run);
        }
        self.left = self.left.saturating_sub(bytes);
        self.topics.insert(topic.clone(), moved);
        update.has_surplus
    }

    fn move_answer(&mut self, key: AnswerKey, ends_ms: u64) {
        // An answer that has replaced it is moved in its own turn.
        if let Some(answer) = self.shared.recent.get(&key)
            && answer.ends_ms == ends_ms
        {
            if answer.is_nothing() || ends_ms > self.now_ms {
                self.change.add_answer(&key, &answer);
            }
            self.answers.push((key, ends_ms));
        }
        self.left = self.left.saturating_sub(STEP_OVERHEAD);
    }

    /// Forgets a topic unless it is in use. Returns whether runs have to be removed first.
    fn forget(&mut self, topic: &TopicName) -> Result<bool, BrokerError> {
        let (in_use, is_bare) = self
            .shared
            .enter_loaded(topic, |cached, _| (cached.has_interest(), cached.is_bare()))?;
        if !in_use && is_bare && !self.topics.contains_key(topic) {
            self.change.remove_topic(topic.as_str());
            self.topics.insert(topic.clone(), Moved::Forgotten);
        }
        Ok(!is_bare)
    }

    /// Writes the change and makes the notes. Returns the runs that have changed. If that fails, returns the topics whose state
    /// in the tables is unknown.
    fn commit(mut self) -> Result<Vec<Recount>, (Failure, Vec<TopicName>)> {
        let forgets = |moved: &Moved| matches!(moved, Moved::Forgotten);
        if self.topics.values().any(forgets) {
            // Before anybody can find the topics missing in the tables.
            let epoch = self.shared.unborn.renew(self.now_ms);
            self.change.set_unborn(epoch);
        }
        if let Err(error) = self.change.commit() {
            let topics = self.topics.into_keys().collect();
            return Err((error.into(), topics));
        }
        for (topic, moved) in self.topics {
            self.shared
                .topics
                .enter_existing(&topic, |cached, _| match moved {
                    Moved::Updated { added, removed } => cached.confirm(&added, removed),
                    Moved::Forgotten => cached.unload(),
                });
        }
        for (key, ends_ms) in self.answers {
            self.shared.recent.remove(&key, ends_ms);
        }
        Ok(self.changed)
    }
}
