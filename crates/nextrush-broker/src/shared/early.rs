//! Publications that came before an earlier one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tail::OVERHEAD;
use crate::publication::Publication;
use crate::retention::Retention;

/// The most bytes of publications that wait for an earlier one. Beyond that they are dropped
/// and read from the history.
const EARLY_BYTES: usize = 1 << 20;

/// Publications that came before an earlier one.
#[derive(Debug, Default)]
pub(super) struct Early {
    pub(super) publications: BTreeMap<u64, Arrived>,
    pub(super) bytes: usize,
    /// The highest offset that came, also of those that were dropped.
    pub(super) highest: u64,
}

/// A publication, and the bounds of the topic's history that came with it.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) publication: Arc<Publication>,
    pub(super) retention: Option<Retention>,
}

impl Early {
    pub(super) fn insert(&mut self, arrived: Arrived) {
        let offset = arrived.publication.offset;
        self.highest = self.highest.max(offset);
        let cost = arrived.cost();
        if self.bytes + cost > EARLY_BYTES || self.publications.contains_key(&offset) {
            return;
        }
        self.bytes += cost;
        self.publications.insert(offset, arrived);
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.publications
            .first_key_value()
            .map(|(offset, _)| *offset)
    }

    /// Takes the first one if its offset is not beyond this.
    pub(super) fn pop_through(&mut self, offset: u64) -> Option<Arrived> {
        if self.first()? > offset {
            return None;
        }
        let (_, arrived) = self.publications.pop_first()?;
        self.bytes -= arrived.cost();
        Some(arrived)
    }

    /// Leaves nothing but the places of deleted publications.
    pub(super) fn delete(&mut self, offsets: &[u64]) {
        for offset in offsets {
            if let Some(arrived) = self.publications.get_mut(offset) {
                self.bytes -= arrived.publication.data.len();
                arrived.publication = Arc::new(arrived.publication.deleted());
            }
        }
    }

    /// Forgets those after an offset.
    pub(super) fn take_back(&mut self, last: u64) {
        let taken_back = self.publications.split_off(&last.saturating_add(1));
        self.bytes -= taken_back.values().map(Arrived::cost).sum::<usize>();
    }
}

impl Arrived {
    fn cost(&self) -> usize {
        self.publication.data.len() + OVERHEAD
    }
}

/// Publications that were appended with the same bounds.
pub(super) fn arrived(
    publications: Vec<Arc<Publication>>,
    retention: Option<Retention>,
) -> impl Iterator<Item = Arrived> {
    publications.into_iter().map(move |publication| Arrived {
        publication,
        retention,
    })
}
