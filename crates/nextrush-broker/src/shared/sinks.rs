//! The sinks of a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::sequence::Outlet;
use crate::broker::{Interrupt, Sink};
use crate::position::Epoch;
use crate::publication::Publication;
use crate::topic_name::TopicName;

/// The sinks of a node, as the outlet of a topic.
pub(super) struct Sinks<'a> {
    pub(super) topic: &'a TopicName,
    pub(super) sinks: &'a [Arc<dyn Sink>],
    pub(super) counts: &'a Counts,
}

impl Outlet for Sinks<'_> {
    fn deleted(&mut self, epoch: Epoch, offsets: &[u64]) {
        for sink in self.sinks {
            sink.deleted(self.topic, epoch, offsets);
        }
    }

    fn deliver(&mut self, epoch: Epoch, publication: &Arc<Publication>) {
        for sink in self.sinks {
            sink.deliver(self.topic, epoch, publication);
        }
    }

    fn interrupt(&mut self, interrupt: &Interrupt) {
        let count = match interrupt {
            Interrupt::Lost { .. } => &self.counts.lost,
            Interrupt::Continued { .. } => &self.counts.continued,
            Interrupt::TakenBack { .. } => &self.counts.taken_back,
            Interrupt::Began { .. } => &self.counts.began,
        };
        count.fetch_add(1, Ordering::Relaxed);
        for sink in self.sinks {
            sink.interrupt(self.topic, interrupt);
        }
    }
}

/// The number of times that a node had to do something about a store's pushes.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) reads: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) taken_back: AtomicU64,
    pub(super) continued: AtomicU64,
    pub(super) began: AtomicU64,
    pub(super) unwatched: AtomicU64,
}
