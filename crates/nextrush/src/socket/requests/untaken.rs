//! The responses to a request that have come and that nobody has taken yet, bounded in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of responses that may wait by default.
const BYTES: usize = 16 * 1024 * 1024;

/// The responses that wait.
#[derive(Debug)]
pub(super) struct Untaken {
    limit: AtomicUsize,
    bytes: AtomicUsize,
    /// The number of responses for which there was no room.
    dropped: AtomicUsize,
}

/// The bytes of a response that waits, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    untaken: Arc<Untaken>,
    bytes: usize,
}

impl Untaken {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(BYTES),
            bytes: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        })
    }

    pub(super) fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// Takes in a response of so many bytes; `None` if there is no room, and it is to be dropped.
    pub(super) fn admit(self: &Arc<Self>, bytes: usize) -> Option<Place> {
        let limit = self.limit.load(Ordering::Relaxed);
        let add = |waiting: usize| Some(waiting + bytes).filter(|waiting| *waiting <= limit);
        let (ordering, untaken) = (Ordering::Relaxed, Arc::clone(self));
        match self.bytes.fetch_update(ordering, ordering, add) {
            Ok(_) => Some(Place { untaken, bytes }),
            Err(_) => {
                self.dropped.fetch_add(1, ordering);
                None
            }
        }
    }

    pub(super) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.untaken.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_limit_is_counted_and_what_is_taken_makes_room() {
        let untaken = Untaken::new();
        untaken.set_limit(100);
        let first = untaken.admit(60).unwrap();
        let second = untaken.admit(40).unwrap();
        assert!(untaken.admit(1).is_none());
        drop(first);
        assert!(untaken.admit(61).is_none());
        let third = untaken.admit(60).unwrap();
        assert_eq!(untaken.dropped(), 2);
        drop((second, third));
        assert!(untaken.admit(100).is_some());
    }
}
