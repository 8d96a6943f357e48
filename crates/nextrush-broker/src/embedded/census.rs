//! The file `FILES`: a list of fjall's files, kept apart from them.
//!
//! fjall takes a journal that is gone for one that was never there, a keyspace without its
//! `current` for one that was not finished, and an older `current` for the newest. The list
//! says what there must be. It is written when the store is closed, and then each file must be
//! as it was; when it is opened; and within a second of each change of the files. A crash
//! within that second finds a list that is older than the files, so what fjall may have done
//! since is allowed then: newer versions of a keyspace, newer journals, and no more of the
//! oldest journals if some keyspace has a newer version.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::error::OpenError;
use super::file::write_whole;
use super::journal::{self, Journal, Mark};
use super::tree::Tree;

/// The name of the file.
pub(super) const FILE: &str = "FILES";
/// The first line.
const TITLE: &str = "nextrush files 1";
/// Files beside the journals and the keyspaces, which never change.
const FIXED: [&str; 2] = ["data/lock", "data/version"];
/// The bytes at either end of a table by which it is known.
const EDGE: u64 = 4096;

/// The length of a file and the hash of its contents, or of both of its ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Print {
    pub(super) length: u64,
    pub(super) hash: u128,
}

impl Print {
    pub(super) fn of(contents: &[u8]) -> Self {
        Self {
            length: contents.len() as u64,
            hash: xxh3_128(contents),
        }
    }

    /// The print of a table, which may be large: of its ends only. Its blocks have checksums
    /// of their own, and the end says which table it is.
    pub(super) fn of_table(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut edges = Vec::new();
        (&mut file).take(EDGE).read_to_end(&mut edges)?;
        file.seek(SeekFrom::Start(length.saturating_sub(EDGE)))?;
        file.take(EDGE).read_to_end(&mut edges)?;
        let hash = xxh3_128(&edges);
        Ok(Self { length, hash })
    }

    /// The hash of a whole file of any size.
    pub(super) fn whole(path: &Path) -> io::Result<u128> {
        let mut file = File::open(path)?;
        let mut hasher = Xxh3::new();
        let mut piece = vec![0; 1 << 20];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(hasher.digest128()),
                read => hasher.update(&piece[..read]),
            }
        }
    }
}

/// The state of the store when a list was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// Nothing may have changed.
    Closed,
    /// fjall goes on writing.
    Open,
    /// The same, and the batch is in tables alone: no journal has it any more.
    Flushed,
    /// Keyspaces are being removed, too.
    Migrating,
}

/// A change since a list was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Differs {
    /// No file that is in it.
    Nothing,
    /// There is a newer journal.
    NewJournal,
    /// A journal was removed, or a keyspace has a newer version.
    Other,
}

/// The list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Census {
    pub(super) state: State,
    /// A batch that is in the journals, and that nothing acknowledged is behind.
    pub(super) batch: u64,
    fixed: BTreeMap<&'static str, Print>,
    /// Journals have prints in a closed store only.
    journals: BTreeMap<u64, Option<Print>>,
    pub(super) trees: BTreeMap<u64, Tree>,
}

impl Census {
    /// Reads the list; `None` if there is none.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, OpenError> {
        match fs::read(directory.join(FILE)) {
            Ok(bytes) => match str::from_utf8(&bytes).ok().and_then(Self::parse) {
                Some(census) => Ok(Some(census)),
                None => Err(OpenError::Damaged(format!("{FILE} cannot be read"))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the list and forces it to the disk.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        write_whole(directory, FILE, &self.to_text())
    }

    /// The files as they are. `journals` are in it with their prints if they were read; `before` is
    /// the list of what must have been there.
    ///
    /// # Errors
    ///
    /// [`OpenError::Damaged`] if a file is missing, or not the one that its keyspace needs.
    pub(super) fn take(
        directory: &Path,
        state: State,
        batch: u64,
        journals: impl IntoIterator<Item = (u64, Option<Print>)>,
        before: Option<&Self>,
    ) -> Result<Self, OpenError> {
        let mut fixed = BTreeMap::new();
        for name in FIXED {
            fixed.insert(name, Print::of(&read(directory, name)?));
        }
        Ok(Self {
            state,
            batch,
            fixed,
            journals: journals.into_iter().collect(),
            trees: Tree::all(directory, before)?,
        })
    }

    /// Forgets what is in the journals, as it is about to change.
    pub(super) fn forget_journals(&mut self) {
        for print in self.journals.values_mut() {
            *print = None;
        }
    }

    /// Compares the journals and the versions of keyspaces with those in the directory.
    pub(super) fn differs(&self, directory: &Path) -> Result<Differs, OpenError> {
        let journals = journals(directory)?;
        if journals.last() != self.journals.keys().next_back() {
            return Ok(Differs::NewJournal);
        }
        if journals.len() != self.journals.len() {
            return Ok(Differs::Other);
        }
        for (id, tree) in &self.trees {
            if Print::of(&read(directory, &Tree::current(*id))?) != tree.current {
                return Ok(Differs::Other);
            }
        }
        Ok(Differs::Nothing)
    }

    pub(super) fn newest_journal(&self) -> Option<u64> {
        self.journals.keys().next_back().copied()
    }

    /// Refuses the files `now` if they cannot have come from these. Returns whether the last
    /// batch may be in no journal, as fjall has moved it to tables.
    pub(super) fn compare(&self, now: &Self) -> Result<bool, OpenError> {
        for (name, print) in &self.fixed {
            same(name, *print, now.fixed.get(name).copied())?;
        }
        if self.state == State::Closed {
            for (id, print) in &self.journals {
                let found = now
                    .journals
                    .get(id)
                    .ok_or_else(|| missing(&journal::path(*id)))?;
                if print != found {
                    return Err(changed(&journal::path(*id)));
                }
            }
            if let Some(id) = now
                .journals
                .keys()
                .find(|id| !self.journals.contains_key(id))
            {
                return Err(unknown(&journal::path(*id)));
            }
        }
        let mut has_newer = false;
        for (id, tree) in &self.trees {
            match now.trees.get(id) {
                Some(found) => has_newer |= tree.compare(*id, found, self.state)?,
                None if self.state == State::Migrating => has_newer = true,
                None => return Err(missing(&Tree::current(*id))),
            }
        }
        match self.state {
            // They are as they were left, with or without a batch.
            State::Closed => Ok(true),
            State::Flushed => self.compare_journals(now, has_newer).map(|_| true),
            State::Open | State::Migrating => self.compare_journals(now, has_newer),
        }
    }

    fn compare_journals(&self, now: &Self, has_newer: bool) -> Result<bool, OpenError> {
        let Some((newest, oldest)) = self.newest_journal().zip(self.journals.keys().next()) else {
            return Ok(true);
        };
        let last = now
            .newest_journal()
            .ok_or_else(|| missing(&journal::path(newest)))?;
        if last < newest {
            return Err(missing(&journal::path(newest)));
        }
        // They are numbered without gaps, and the oldest are removed first.
        let mut first = None;
        for id in *oldest.. {
            if now.journals.contains_key(&id) {
                first.get_or_insert(id);
            } else if first.is_some() || !(has_newer && last > id) {
                return Err(missing(&journal::path(id)));
            }
            if id == last {
                break;
            }
        }
        if let Some(id) = now.journals.keys().next().filter(|id| *id < oldest) {
            return Err(unknown(&journal::path(*id)));
        }
        Ok(first.is_none_or(|first| first > newest))
    }

    /// Verifies the tables that `earlier` does not know as they are: all of them, if there is no
    /// such list. This reads the tables.
    pub(super) fn verify_tables(
        &self,
        directory: &Path,
        earlier: Option<&Self>,
    ) -> Result<(), OpenError> {
        for (id, tree) in &self.trees {
            tree.verify(
                directory,
                *id,
                earlier.and_then(|earlier| earlier.trees.get(id)),
            )?;
        }
        Ok(())
    }

    fn to_text(&self) -> String {
        let mut text = format!("{TITLE}\n{} {}\n", self.state.name(), self.batch);
        let mut line = |begin: String, prints: &[Print]| {
            text.push_str(&begin);
            for Print { length, hash } in prints {
                // Writing to a string does not fail.
                let _ = write!(text, " {length} {hash:032x}");
            }
            text.push('\n');
        };
        for (name, print) in &self.fixed {
            line(format!("file {name}"), &[*print]);
        }
        for (id, print) in &self.journals {
            line(format!("journal {id}"), print.as_slice());
        }
        for (id, tree) in &self.trees {
            let prints = [tree.current, tree.manifest];
            line(format!("keyspace {id} {}", tree.version), &prints);
            for (table, print) in &tree.tables {
                line(format!("table {id} {table}"), &[*print]);
            }
        }
        let hash = xxh3_128(text.as_bytes());
        format!("{text}end {hash:032x}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let at = text.rfind("end ")?;
        let (said, end) = text.split_at(at);
        if end != format!("end {:032x}\n", xxh3_128(said.as_bytes())) {
            return None;
        }
        let mut lines = said.lines();
        if lines.next()? != TITLE {
            return None;
        }
        let (state, batch) = lines.next()?.split_once(' ')?;
        let mut census = Self {
            state: State::named(state)?,
            batch: batch.parse().ok()?,
            fixed: BTreeMap::new(),
            journals: BTreeMap::new(),
            trees: BTreeMap::new(),
        };
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["file", name, length, hash] => {
                    let name = FIXED.into_iter().find(|known| *known == name)?;
                    census.fixed.insert(name, print(length, hash)?);
                }
                ["journal", id] => drop(census.journals.insert(id.parse().ok()?, None)),
                ["journal", id, length, hash] => {
                    let print = Some(print(length, hash)?);
                    census.journals.insert(id.parse().ok()?, print);
                }
                ["keyspace", id, version, l1, h1, l2, h2] => {
                    let tree = Tree {
                        version: version.parse().ok()?,
                        current: print(l1, h1)?,
                        manifest: print(l2, h2)?,
                        tables: BTreeMap::new(),
                        checksums: BTreeMap::new(),
                    };
                    census.trees.insert(id.parse().ok()?, tree);
                }
                ["table", id, table, length, hash] => {
                    let tree = census.trees.get_mut(&id.parse().ok()?)?;
                    let print = print(length, hash)?;
                    tree.tables.insert(table.parse().ok()?, print);
                }
                _ => return None,
            }
        }
        Some(census)
    }
}

impl State {
    const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::Flushed, Self::Migrating];

    fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Flushed => "flushed",
            Self::Migrating => "migrating",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

fn print(length: &str, hash: &str) -> Option<Print> {
    Some(Print {
        length: length.parse().ok()?,
        hash: u128::from_str_radix(hash, 16).ok()?,
    })
}

/// The numbers of the journals, in order.
pub(super) fn journals(directory: &Path) -> Result<Vec<u64>, OpenError> {
    let mut found = Vec::new();
    for name in names(directory, "data")? {
        if let Some(id) = name.strip_suffix(".jnl") {
            found.push(id.parse().map_err(|_| unknown(&format!("data/{name}")))?);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The number of the newest journal, if there is one and the directory can be read.
pub(super) fn newest_journal(directory: &Path) -> Option<u64> {
    journals(directory).ok()?.pop()
}

/// Reads the journals.
pub(super) fn read_journals(directory: &Path, mark: Mark) -> Result<Vec<Journal>, OpenError> {
    journals(directory)?
        .into_iter()
        .map(|id| {
            Journal::read(directory, id, mark).map_err(|error| named(&journal::path(id), error))
        })
        .collect()
}

/// The names in a directory of the store.
pub(super) fn names(directory: &Path, path: &str) -> Result<Vec<String>, OpenError> {
    let entries = fs::read_dir(directory.join(path)).map_err(|error| named(path, error.into()))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        found.push(name.to_string_lossy().into_owned());
    }
    Ok(found)
}

/// Reads a whole file of the store.
pub(super) fn read(directory: &Path, path: &str) -> Result<Vec<u8>, OpenError> {
    fs::read(directory.join(path)).map_err(|error| named(path, error.into()))
}

/// The error, with the name of the file if it is missing.
pub(super) fn named(path: &str, error: OpenError) -> OpenError {
    match error {
        OpenError::Io(error) if error.kind() == io::ErrorKind::NotFound => missing(path),
        error => error,
    }
}

/// Refuses a file that is missing or is not as the list says.
pub(super) fn same(path: &str, expected: Print, found: Option<Print>) -> Result<(), OpenError> {
    match found {
        Some(found) if found == expected => Ok(()),
        Some(found) if found.length != expected.length => {
            let Print { length, .. } = expected;
            let what = format!("{path} has {} bytes instead of {length}", found.length);
            Err(OpenError::Damaged(what))
        }
        Some(_) => Err(changed(path)),
        None => Err(missing(path)),
    }
}

pub(super) fn missing(path: &str) -> OpenError {
    OpenError::Damaged(format!("{path} is missing"))
}

pub(super) fn changed(path: &str) -> OpenError {
    OpenError::Damaged(format!("{path} is not as the store left it"))
}

pub(super) fn unknown(path: &str) -> OpenError {
    OpenError::Damaged(format!("{path} does not belong there"))
}
