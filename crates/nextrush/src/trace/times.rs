//! The times at which the publications of a topic were handed to the sockets of this node.

use std::collections::VecDeque;
use std::sync::Arc;

use super::record::{Record, now_ms};

/// The most publications of a topic whose times are kept.
const KEPT: usize = 64;

/// The times of the newest publications of a topic, in bytes of the node's record.
#[derive(Default)]
pub(crate) struct Times {
    kept: VecDeque<HandedOut>,
    /// The bytes that were taken of the record.
    taken: Option<(Arc<Record>, usize)>,
}

/// The moment at which a publication was handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandedOut {
    offset: u64,
    pub(crate) at_ms: u64,
    /// The number of events that the record had been told of.
    pub(crate) noted: u64,
}

impl Times {
    /// Notes that a publication is handed out now.
    pub(crate) fn note(&mut self, record: &Arc<Record>, offset: u64) {
        if self.kept.len() == self.kept.capacity() && !self.grow(record) {
            if self.kept.is_empty() {
                return;
            }
            self.kept.pop_front();
        }
        self.kept.push_back(HandedOut {
            offset,
            at_ms: now_ms(),
            noted: record.noted(),
        });
    }

    /// Forgets all, as offsets begin anew.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }

    pub(crate) fn of(&self, offset: u64) -> Option<HandedOut> {
        self.kept
            .binary_search_by_key(&offset, |kept| kept.offset)
            .ok()
            .map(|index| self.kept[index])
    }

    fn grow(&mut self, record: &Arc<Record>) -> bool {
        let more = match self.kept.capacity() {
            0 => 4,
            capacity if capacity < KEPT => capacity,
            _ => return false,
        };
        let bytes = more * size_of::<HandedOut>();
        if !record.is_on() || !record.take_bytes(bytes) {
            return false;
        }
        self.kept.reserve_exact(more);
        let (_, taken) = self.taken.get_or_insert_with(|| (Arc::clone(record), 0));
        *taken += bytes;
        true
    }
}

impl Drop for Times {
    fn drop(&mut self) {
        if let Some((record, bytes)) = &self.taken {
            record.give_bytes_back(*bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_times_are_kept_and_their_bytes_given_back() {
        let bytes = 2 * KEPT * size_of::<HandedOut>();
        let record = Record::new(4 * bytes);
        let mut times = Times::default();
        for offset in 1..=200 {
            times.note(&record, offset);
        }
        assert!(times.of(136).is_none());
        assert_eq!(times.of(137).map(|time| time.offset), Some(137));
        assert_eq!(times.of(200).map(|time| time.offset), Some(200));
        assert!(times.of(201).is_none());
        let mut others: Vec<_> = (0..1000).map(|_| Times::default()).collect();
        for times in &mut others {
            times.note(&record, 1);
        }
        let with = others.iter().filter(|times| times.of(1).is_some()).count();
        // Four for each of them, and half of the bytes are taken.
        assert_eq!(with, KEPT / 4);
        // What is there is used further.
        others[0].note(&record, 2);
        others[0].note(&record, 3);
        others[0].note(&record, 4);
        others[0].note(&record, 5);
        assert!(others[0].of(1).is_none() && others[0].of(5).is_some());
        drop((times, others));
        assert!(record.take_bytes(bytes) && !record.take_bytes(1));
        let mut off = Times::default();
        off.note(&Record::new(0), 1);
        assert!(off.of(1).is_none());
    }
}
