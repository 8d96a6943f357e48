//! The bound of a store's files.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::broker::StoreSize;
use crate::error::BrokerError;
use crate::owner::Owner;

/// The most bytes of files unless the options say otherwise.
const DEFAULT: u64 = 10 << 30;
/// About what journals and caches of writes take, whatever is kept.
const JOURNALS: u64 = 256 << 20;
/// The least that histories may take.
const LEAST: u64 = 16 << 20;
/// The part of the histories that one owner may have when they are too many.
const OWNERS: u64 = 16;

/// The bound of the files, and who is refused because of it.
pub(super) struct Limit {
    /// The most bytes of all files.
    files: u64,
    /// The bytes of all files at the last look.
    used: AtomicU64,
    refused: Mutex<Refused>,
}

#[derive(Default)]
struct Refused {
    /// `true` if the files have reached the bound.
    all: bool,
    /// The owners with large shares, while the files come near the bound.
    owners: HashSet<Option<Owner>>,
}

impl Limit {
    /// The bound that was asked for, or the default: 10 GiB, or half of what is free on the disk
    /// and in use by the store. `used` is the size of the files.
    pub(super) fn new(asked: Option<u64>, directory: &Path, used: u64) -> Self {
        let default = || {
            let half = free(directory).map(|free| free.saturating_add(used) / 2);
            half.map_or(DEFAULT, |half| half.min(DEFAULT))
        };
        Self {
            files: asked.unwrap_or_else(default),
            used: AtomicU64::new(used),
            refused: Mutex::default(),
        }
    }

    /// The most bytes of histories: merging tables needs as much again for a while.
    pub(super) fn histories(&self) -> u64 {
        (self.files.saturating_sub(JOURNALS) / 2).max(LEAST)
    }

    /// The bytes down to which histories are shed.
    pub(super) fn enough(&self) -> u64 {
        self.histories() - self.histories() / 16
    }

    /// The bytes that one owner may have while the histories are too large.
    pub(super) fn share(&self) -> u64 {
        self.histories() / OWNERS
    }

    /// The size of the files above which they are rewritten.
    pub(super) fn to_rewrite(&self) -> u64 {
        self.files / 2
    }

    /// The least that the files grow between two times that they are rewritten.
    pub(super) fn growth(&self) -> u64 {
        self.files / 8
    }

    /// Returns `true` if the owners of large shares are to be refused.
    pub(super) fn is_near(&self, files: u64) -> bool {
        files > self.files / 4 * 3
    }

    /// The size of the files at the last look, and their bound.
    pub(super) fn size(&self) -> StoreSize {
        StoreSize::new(self.used.load(Ordering::Relaxed), self.files)
    }

    /// Notes the size of the files, and the owners of large shares.
    pub(super) fn note<'a>(&self, files: u64, large: impl Iterator<Item = &'a Option<Owner>>) {
        self.used.store(files, Ordering::Relaxed);
        let mut refused = self.refused.lock();
        refused.all = files > self.files;
        refused.owners.clear();
        if self.is_near(files) {
            refused.owners.extend(large.cloned());
        }
    }

    /// Refuses what there is no room for.
    pub(super) fn allow(&self, owner: &Option<Owner>) -> Result<(), BrokerError> {
        let refused = self.refused.lock();
        if refused.all || refused.owners.contains(owner) {
            let full = "the files of the store have reached their limit";
            return Err(BrokerError::Full(full.into()));
        }
        Ok(())
    }
}

/// The free bytes of the disk, where that can be told.
fn free(directory: &Path) -> Option<u64> {
    #[cfg(unix)]
    let free = rustix::fs::statvfs(directory)
        .ok()
        .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    let free = {
        let _ = directory;
        None
    };
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_leaves_half_of_the_disk_and_is_ten_gibibytes_at_most() {
        let directory = tempfile::tempdir().unwrap();
        let limit = |asked, used| Limit::new(asked, directory.path(), used).files;
        assert_eq!(limit(Some(7), 0), 7);
        assert!(limit(None, 0) <= DEFAULT);
        assert_eq!(limit(None, 1 << 50), DEFAULT);
    }

    #[test]
    fn owners_of_large_shares_are_refused_before_others() {
        let directory = tempfile::tempdir().unwrap();
        let limit = Limit::new(Some(800), directory.path(), 0);
        let [ada, bob] = ["ada", "bob"].map(|name| Some(Owner::new(name)));
        let is_allowed = |files, owner| {
            limit.note(files, [&ada].into_iter());
            limit.allow(owner).is_ok()
        };
        assert!(is_allowed(600, &ada));
        assert!(!is_allowed(601, &ada));
        assert!(is_allowed(800, &bob));
        assert!(!is_allowed(801, &bob));
        assert!(is_allowed(0, &ada));
    }
}
