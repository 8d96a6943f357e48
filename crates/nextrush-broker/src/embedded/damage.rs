//! The search for journals that end too early.
//!
//! fjall takes the first entry of its journal that it cannot read for the end, because the
//! last write before a crash may be torn, and cuts off the rest. A flipped bit in the middle
//! would silently remove acknowledged groups, and their offsets would be given out again. So
//! each group carries its number behind a mark that is nowhere else in the files, and the
//! highest number in the journals is looked up before fjall opens them. A group is written
//! only when the one before is on disk, so at most the last one may be missing afterwards.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use uuid::Uuid;

use super::error::OpenError;
use super::file::write_whole;

/// The file that records damage, because the next opening could not find it any more.
const DAMAGED_FILE: &str = "DAMAGED";
/// The size of the pieces in which journals are searched.
const PIECE: usize = 1 << 20;
/// The length of the mark, the number, and the number with all bits inverted.
const MARKED: usize = 16 + 8 + 8;

/// The bytes before the number of each group. They are random, so that no client can publish
/// them.
#[derive(Clone, Copy)]
pub(super) struct Mark([u8; 16]);

impl Mark {
    pub(super) fn new(uuid: Uuid) -> Self {
        Self(*uuid.as_bytes())
    }

    pub(super) fn of_group(self, group: u64) -> [u8; MARKED] {
        let mut bytes = [0; MARKED];
        bytes[..16].copy_from_slice(&self.0);
        bytes[16..24].copy_from_slice(&group.to_be_bytes());
        bytes[24..].copy_from_slice(&(!group).to_be_bytes());
        bytes
    }

    pub(super) fn group(self, bytes: &[u8]) -> Option<u64> {
        let group: [u8; 8] = bytes.get(16..24)?.try_into().ok()?;
        let group = u64::from_be_bytes(group);
        (bytes == self.of_group(group)).then_some(group)
    }

    /// The highest number that follows a mark in `bytes`.
    fn highest(self, bytes: &[u8]) -> Option<u64> {
        let places = memchr::memmem::find_iter(bytes, &self.0);
        let groups = places.filter_map(|at| self.group(bytes.get(at..at + MARKED)?));
        groups.max()
    }
}

/// Refuses a store in which damage was found earlier.
pub(super) fn refuse_known(directory: &Path) -> Result<(), OpenError> {
    match fs::read_to_string(directory.join(DAMAGED_FILE)) {
        Ok(what) => Err(OpenError::Damaged(what)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The highest number of a group in the journals, or 0.
pub(super) fn last_group(data: &Path, mark: Mark) -> io::Result<u64> {
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut highest = 0;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            highest = highest.max(highest_in(File::open(path)?, mark)?);
        }
    }
    Ok(highest)
}

fn highest_in(mut file: impl Read, mark: Mark) -> io::Result<u64> {
    let mut highest = 0;
    // A mark across two pieces is found with the second.
    let mut kept = 0;
    let mut piece = vec![0; PIECE];
    loop {
        let read = match file.read(&mut piece[kept..]) {
            Ok(0) => return Ok(highest),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = kept + read;
        highest = highest.max(mark.highest(&piece[..filled]).unwrap_or_default());
        kept = filled.min(MARKED - 1);
        piece.copy_within(filled - kept..filled, 0);
    }
}

/// Compares the last group found in the journals with the last group read from them.
pub(super) fn compare(directory: &Path, in_journals: u64, read: u64) -> Result<(), OpenError> {
    if in_journals <= read.saturating_add(1) {
        return Ok(());
    }
    let what = format!(
        "the journal cannot be read to its end: what was written last is group {in_journals}, \
         what could be read is group {read}"
    );
    let error = OpenError::Damaged(what);
    note(directory, &error);
    Err(error)
}

/// Records damage for later openings.
pub(super) fn note(directory: &Path, error: &OpenError) {
    if let OpenError::Damaged(what) = error {
        // If this cannot be written either, the caller still gets the error.
        let _ = write_whole(directory, DAMAGED_FILE, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_is() {
        let mark = Mark::new(Uuid::now_v7());
        for at in [
            0,
            1,
            PIECE - MARKED,
            PIECE - 20,
            PIECE - 1,
            PIECE,
            2 * PIECE + 5,
        ] {
            let mut bytes = vec![0; 3 * PIECE];
            bytes[at..at + MARKED].copy_from_slice(&mark.of_group(258));
            assert_eq!(highest_in(&*bytes, mark).unwrap(), 258, "{at}");
            bytes[at + 30] ^= 1;
            assert_eq!(highest_in(&*bytes, mark).unwrap(), 0, "{at}");
        }
    }

    #[test]
    fn the_highest_number_counts() {
        let mark = Mark::new(Uuid::now_v7());
        let bytes = [7, 9, 8].map(|group| mark.of_group(group)).concat();
        assert_eq!(highest_in(&*bytes, mark).unwrap(), 9);
        assert_eq!(highest_in(&[][..], mark).unwrap(), 0);
        let other = Mark::new(Uuid::now_v7());
        assert_eq!(highest_in(&*bytes, other).unwrap(), 0);
    }
}
