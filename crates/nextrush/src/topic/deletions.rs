//! Deletions that slow subscribers are told of when they catch up.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use nextrush_broker::Publication;
use nextrush_engine::ConnectionId;
use nextrush_protocol::Frame;

/// The most deletions that are kept for subscribers that lag: more than all that most topics
/// remember.
const KEPT: usize = 1024;

/// The newest deletions of a stream, and which of them the subscribers that catch up part by part
/// have been told of.
#[derive(Default)]
pub(super) struct Deletions {
    newest: VecDeque<Told>,
    count: u64,
    /// The number of deletions so far when a subscriber was given its last part.
    told: HashMap<ConnectionId, u64>,
}

/// A deletion that was told to those who do not lag.
struct Told {
    number: u64,
    /// The last publication that was delivered before it.
    after: u64,
    offset: u64,
    frame: Frame,
}

impl Deletions {
    /// Notes a deletion, told when the publications up to `after` had been delivered.
    pub(super) fn note(&mut self, after: u64, offset: u64, frame: Frame) {
        if self.newest.len() == KEPT {
            self.newest.pop_front();
        }
        self.count += 1;
        self.newest.push_back(Told {
            number: self.count,
            after,
            offset,
            frame,
        });
    }

    /// Another stream began: these are nobody's affair any more.
    pub(super) fn clear(&mut self) {
        self.newest.clear();
    }

    /// Notes that a subscriber which is given more later has been told of all deletions so far, or
    /// will find them in the place of the publications.
    pub(super) fn told(&mut self, subscriber: ConnectionId) {
        self.told.insert(subscriber, self.count);
    }

    /// The subscriber has caught up, or has left.
    pub(super) fn forget(&mut self, subscriber: ConnectionId) {
        self.told.remove(&subscriber);
    }

    /// The messages of the deletions that a subscriber has missed which skipped all since the
    /// publication `first`, and is given these up to `last`.
    ///
    /// It is told of what it has, and not of what comes later in its place.
    pub(super) fn missed(
        &self,
        subscriber: ConnectionId,
        given: &RangeInclusive<u64>,
        publications: &[Arc<Publication>],
    ) -> Vec<Frame> {
        let told = self.told.get(&subscriber);
        let is_in_place = |offset| {
            publications
                .iter()
                .any(|given| given.offset == offset && given.is_deleted)
        };
        self.newest
            .iter()
            .filter(|deletion| match told {
                Some(told) => deletion.number > *told,
                // It was sent what came before the first that it skipped.
                None => deletion.after >= *given.start(),
            })
            .filter(|deletion| deletion.offset <= *given.end() && !is_in_place(deletion.offset))
            .map(|deletion| deletion.frame.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(missed: &[Frame]) -> Vec<usize> {
        missed.iter().map(Frame::len).collect()
    }

    /// A message that is as long as the number of the publication says, beside its header.
    fn message(offset: usize) -> Frame {
        Frame::text(&"x".repeat(offset - 2))
    }

    #[test]
    fn a_subscriber_is_told_once_of_what_it_has_and_not_of_what_comes_in_its_place() {
        let [slow, other] = ["0-1-0", "0-2-0"].map(|id| id.parse().unwrap());
        let mut deletions = Deletions::default();
        // It lags from 11 on: what was deleted before that it was told.
        deletions.note(10, 3, message(3));
        deletions.note(12, 4, message(4));
        deletions.note(20, 12, message(12));
        deletions.note(20, 16, message(16));
        let twelfth = Publication::new(12, 0, "x");
        let given = [Arc::new(twelfth.clone().deleted())];
        assert_eq!(offsets(&deletions.missed(slow, &(11..=15), &given)), [4]);
        // It was deleted after the history had been read.
        let read_before = [Arc::new(twelfth)];
        let missed = deletions.missed(slow, &(11..=15), &read_before);
        assert_eq!(offsets(&missed), [4, 12]);
        deletions.told(slow);
        deletions.note(30, 11, message(11));
        assert_eq!(offsets(&deletions.missed(slow, &(16..=30), &[])), [11]);
        assert_eq!(
            offsets(&deletions.missed(other, &(21..=30), &[])),
            [11_usize]
        );
        deletions.forget(slow);
        assert_eq!(
            offsets(&deletions.missed(slow, &(31..=31), &[])),
            [0_usize; 0]
        );
    }
}
