//! The file `EXTENT`: the number of the last batch that is certainly on the disk.
//!
//! fjall takes a journal that was cut off, or that is gone, for one that was never longer. So
//! the number is kept beside fjall's files, in place and in turn in one of two slots, so that
//! one of them is whole whenever the machine stops. It is written behind each group without
//! being forced to the disk: `kill -9` does not lose it, a power failure may lose the last
//! seconds of it, and what it says is true either way. It is forced to the disk whenever
//! [`Census`](super::census::Census) is.
//!
//! The process that has the store open holds a lock on it.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::error::OpenError;
use super::file::sync_names;

/// The name of the file.
pub(super) const FILE: &str = "EXTENT";
/// The size of a slot, which disks write as a whole.
const SLOT: usize = 512;
/// The bytes of a slot that say something: the number and its checksum.
const SAID: usize = 16;

/// The open and locked file.
pub(super) struct Extent {
    file: File,
    seed: u64,
    /// The slot to be written next.
    next: u64,
    batch: u64,
}

impl Extent {
    /// Opens and locks the file of the store `id`; `None` if there is none.
    pub(super) fn open(directory: &Path, id: Uuid) -> Result<Option<Self>, OpenError> {
        let path = directory.join(FILE);
        let mut file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        lock(&file)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let seed = seed(id);
        let said = |slot: usize| {
            let slot = bytes.get(slot * SLOT..(slot + 1) * SLOT)?;
            let batch = u64::from_be_bytes(slot[..8].try_into().ok()?);
            let rest = slot[SAID..].iter().all(|byte| *byte == 0);
            (rest && slot[..SAID] == said(batch, seed)).then_some(batch)
        };
        let (batch, next) = match (said(0), said(1)) {
            (Some(first), Some(second)) if first > second => (first, 1),
            (Some(first), None) => (first, 1),
            (_, Some(second)) => (second, 0),
            (None, None) => {
                let what = format!(
                    "{FILE} does not say how much the store must hold, or FORMAT is of another store"
                );
                return Err(OpenError::Damaged(what));
            }
        };
        if bytes.len() != 2 * SLOT {
            let what = format!("{FILE} has {} bytes instead of {}", bytes.len(), 2 * SLOT);
            return Err(OpenError::Damaged(what));
        }
        Ok(Some(Self {
            file,
            seed,
            next,
            batch,
        }))
    }

    /// Makes and locks the file of a store that has nothing acknowledged yet.
    pub(super) fn create(directory: &Path, id: Uuid) -> Result<Self, OpenError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(FILE))?;
        lock(&file)?;
        file.set_len(2 * SLOT as u64)?;
        let mut extent = Self {
            file,
            seed: seed(id),
            next: 0,
            batch: 0,
        };
        extent.write(0)?;
        extent.write(0)?;
        extent.sync()?;
        sync_names(directory)?;
        Ok(extent)
    }

    /// The number of the last batch that was certainly on the disk.
    pub(super) fn batch(&self) -> u64 {
        self.batch
    }

    /// Writes a number, without forcing it to the disk.
    pub(super) fn write(&mut self, batch: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.next * SLOT as u64))?;
        self.file.write_all(&said(batch, self.seed))?;
        self.next ^= 1;
        self.batch = batch;
        Ok(())
    }

    /// Forces the file to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// The bytes for a number.
fn said(batch: u64, seed: u64) -> [u8; SAID] {
    let mut bytes = [0; SAID];
    bytes[..8].copy_from_slice(&batch.to_be_bytes());
    let checksum = xxh3_64_with_seed(&bytes[..8], seed);
    bytes[8..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The seed of the checksums, so that neither the file of another store nor that of a store
/// whose id was damaged is taken for this one's.
fn seed(id: Uuid) -> u64 {
    xxh3_64(id.as_bytes())
}

fn lock(file: &File) -> Result<(), OpenError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse,
        TryLockError::Error(error) => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_slot_that_was_half_written_costs_the_last_number_only() {
        let directory = tempfile::tempdir().unwrap();
        let id = Uuid::now_v7();
        let mut extent = Extent::create(directory.path(), id).unwrap();
        for batch in 1..=7 {
            extent.write(batch).unwrap();
        }
        drop(extent);
        let batch = || Extent::open(directory.path(), id).map(|extent| extent.unwrap().batch());
        assert_eq!(batch().unwrap(), 7);

        let path = directory.path().join(FILE);
        let good = fs::read(&path).unwrap();
        for at in 0..2 * SLOT {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, bad).unwrap();
            assert_eq!(batch().unwrap(), if at < SLOT { 6 } else { 7 }, "byte {at}");
        }
        for bad in [&good[..1023], &[], &[0; 1024]] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(batch(), Err(OpenError::Damaged(_))));
        }
        fs::write(&path, good).unwrap();
        let other = Extent::open(directory.path(), Uuid::now_v7());
        assert!(matches!(other, Err(OpenError::Damaged(_))));
    }

    #[test]
    fn one_process_at_a_time_has_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let id = Uuid::now_v7();
        let extent = Extent::create(directory.path(), id).unwrap();
        let second = Extent::open(directory.path(), id);
        assert!(matches!(second, Err(OpenError::InUse)));
        drop(extent);
        assert!(Extent::open(directory.path(), id).unwrap().is_some());
    }
}
