//! The file that marks a directory as a store and names the store's format.
//!
//! | format | |
//! |---|---|
//! | 1 | each publication an entry of its own; no program reads it any more |
//! | 2 | groups in a log; the names of topics are in `topics`, those of answers in `answers` |
//! | 3 | as 2, with other names, in `topics-3` and `answers-3`; what is kept of a publication that happens once may end with a fingerprint |
//! | 4 | as 3, with numbers for batches, and the files `EXTENT` and `FILES` that say what there must be; publications in log and runs may have owners, those in runs may be deleted |
//!
//! Every program so far compares the first line with its own, so each refuses the stores of
//! formats that it does not know.

use std::fs;
use std::io;
use std::path::Path;

use uuid::Uuid;

use super::error::OpenError;
use super::extent;
use super::file::write_whole;
use super::journal::Mark;

const FILE: &str = "FORMAT";
/// The first line, up to the number of the format.
const TITLE: &str = "nextrush store ";

/// The format of the stores that this program writes.
pub(super) const CURRENT: u32 = 4;
/// The format since which topics and answers have the names that they have now.
pub(super) const NAMES: u32 = 3;
/// The format since which the store says what it must hold.
const EXTENT: u32 = 4;
/// The oldest format that can be migrated.
pub(super) const OLDEST: u32 = 2;

/// The contents of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Format {
    /// From [`OLDEST`] to [`CURRENT`].
    pub(super) version: u32,
    id: Uuid,
}

impl Format {
    /// Reads the file; `None` in a directory that holds no store.
    ///
    /// `data` is the path of the other files of a store.
    pub(super) fn read(directory: &Path, data: &Path) -> Result<Option<Self>, OpenError> {
        let path = directory.join(FILE);
        match fs::read(&path) {
            Ok(text) => Self::parse(&String::from_utf8_lossy(&text), directory).map(Some),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            Err(_) if data.exists() || directory.join(extent::FILE).exists() => {
                let what = format!("{FILE} is missing");
                Err(OpenError::Damaged(what))
            }
            Err(_) => Ok(None),
        }
    }

    /// Makes the directory a new store.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let format = Self {
            version: CURRENT,
            id: Uuid::now_v7(),
        };
        format.write(directory)?;
        Ok(format)
    }

    /// Gives the store the current format, which takes effect at once.
    pub(super) fn make_current(self, directory: &Path) -> io::Result<()> {
        let format = Self {
            version: CURRENT,
            ..self
        };
        format.write(directory)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark::new(self.id)
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Returns `true` if the store has files that say what it must hold.
    pub(super) fn has_extent(&self) -> bool {
        self.version >= EXTENT
    }

    /// Returns `true` if topics and answers need other names.
    pub(super) fn needs_names(&self) -> bool {
        self.version < NAMES
    }

    fn parse(text: &str, directory: &Path) -> Result<Self, OpenError> {
        let wrong = || {
            let path = directory.join(FILE);
            // Another file may be in its place, of any length.
            let begin: String = text.chars().take(80).collect();
            OpenError::Format(format!("{} says {begin:?}", path.display()))
        };
        let (title, id) = text.trim_end().split_once('\n').ok_or_else(wrong)?;
        let version = title.strip_prefix(TITLE).ok_or_else(wrong)?;
        let version: u32 = version.parse().map_err(|_| wrong())?;
        if title != format!("{TITLE}{version}") {
            return Err(wrong());
        }
        if version > CURRENT {
            return Err(OpenError::NewerFormat {
                directory: directory.to_owned(),
                found: version,
                known: CURRENT,
            });
        }
        if version < OLDEST {
            return Err(wrong());
        }
        let id = Uuid::try_parse(id).map_err(|_| wrong())?;
        Ok(Self { version, id })
    }

    fn write(self, directory: &Path) -> io::Result<()> {
        let Self { version, id } = self;
        write_whole(directory, FILE, &format!("{TITLE}{version}\n{id}\n"))
    }
}
