//! The files of one of fjall's keyspaces.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::census::{Census, Print, State, changed, named, names, read, same, unknown};
use super::error::OpenError;

/// The files that make up a keyspace.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The number of its newest version.
    pub(super) version: u64,
    /// The file that names the version.
    pub(super) current: Print,
    /// The file of the version, which lists tables.
    pub(super) manifest: Print,
    /// The tables by their numbers.
    pub(super) tables: BTreeMap<u64, Print>,
    /// The hashes of the whole tables, as the version says.
    pub(super) checksums: BTreeMap<u64, u128>,
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        let parts = |tree: &Self| (tree.version, tree.current, tree.manifest);
        parts(self) == parts(other) && self.tables == other.tables
    }
}

impl Eq for Tree {}

impl Tree {
    /// The directory of the keyspaces.
    pub(super) const KEYSPACES: &str = "data/keyspaces";

    /// The path of the file that names the version.
    pub(super) fn current(id: u64) -> String {
        format!("{}/{id}/current", Self::KEYSPACES)
    }

    fn table(id: u64, table: u64) -> String {
        format!("{}/{id}/tables/{table}", Self::KEYSPACES)
    }

    /// All keyspaces by their numbers. Where they had other files `before`, those that name the
    /// versions are compared first, as whatever they lead to would be refused in their place.
    pub(super) fn all(
        directory: &Path,
        before: Option<&Census>,
    ) -> Result<BTreeMap<u64, Self>, OpenError> {
        let mut trees = BTreeMap::new();
        for name in names(directory, Self::KEYSPACES)? {
            let path = format!("{}/{name}", Self::KEYSPACES);
            if !directory.join(&path).is_dir() {
                // fjall passes over it.
                continue;
            }
            let id = name.parse().map_err(|_| unknown(&path))?;
            let before = before.and_then(|before| Some((before.trees.get(&id)?, before.state)));
            if let Some(tree) = Self::take(directory, id, before)? {
                trees.insert(id, tree);
            }
        }
        Ok(trees)
    }

    /// The files of one keyspace; `None` if it is not finished, or being removed.
    pub(super) fn take(
        directory: &Path,
        id: u64,
        before: Option<(&Self, State)>,
    ) -> Result<Option<Self>, OpenError> {
        let current_path = Self::current(id);
        let current = match read(directory, &current_path) {
            Ok(current) => current,
            Err(OpenError::Damaged(what)) => {
                let tables = names(directory, &format!("{}/{id}/tables", Self::KEYSPACES));
                return match tables {
                    // fjall would remove them with the rest of the keyspace.
                    Ok(tables) if !tables.is_empty() => Err(OpenError::Damaged(what)),
                    _ => Ok(None),
                };
            }
            Err(error) => return Err(error),
        };
        let (version, checksum) = parse_current(&current).ok_or_else(|| changed(&current_path))?;
        let print = Print::of(&current);
        if let Some((before, state)) = before {
            before.compare_current(id, version, print, state)?;
        }
        let path = format!("{}/{id}/v{version}", Self::KEYSPACES);
        // Of a version that is newer than the list nobody knows which of the two is wrong.
        let or_current = |error| match error {
            OpenError::Damaged(what) => {
                OpenError::Damaged(format!("{what}, or {current_path}, which names it, is"))
            }
            error => error,
        };
        let manifest = Print::of(&read(directory, &path).map_err(or_current)?);
        if manifest.hash != checksum {
            return Err(or_current(changed(&path)));
        }
        let checksums = tables(&directory.join(&path)).ok_or_else(|| changed(&path))?;
        let mut tables = BTreeMap::new();
        for table in checksums.keys() {
            let path = Self::table(id, *table);
            let print = Print::of_table(&directory.join(&path));
            let print = print.map_err(|error| named(&path, error.into()))?;
            tables.insert(*table, print);
        }
        // Without tables the directory may be lost on the way through a backup.
        for name in
            names(directory, &format!("{}/{id}/tables", Self::KEYSPACES)).unwrap_or_default()
        {
            if name.parse::<u64>().is_err() && !name.starts_with('.') {
                return Err(unknown(&format!("{}/{id}/tables/{name}", Self::KEYSPACES)));
            }
        }
        Ok(Some(Self {
            version,
            current: print,
            manifest,
            tables,
            checksums,
        }))
    }

    /// The paths of the tables that are not what the version says. Reads all of them.
    pub(super) fn wrong_tables(&self, directory: &Path, id: u64) -> Vec<String> {
        self.checksums
            .iter()
            .map(|(table, checksum)| (Self::table(id, *table), *checksum))
            .filter(|(path, checksum)| Print::whole(&directory.join(path)).ok() != Some(*checksum))
            .map(|(path, _)| path)
            .collect()
    }

    /// Refuses the files `now` if they cannot have come from these. Returns whether the version
    /// is newer.
    pub(super) fn compare(&self, id: u64, now: &Self, state: State) -> Result<bool, OpenError> {
        let is_newer = self.compare_current(id, now.version, now.current, state)?;
        for (table, print) in &self.tables {
            match now.tables.get(table) {
                None if is_newer => {}
                found => same(&Self::table(id, *table), *print, found.copied())?,
            }
        }
        Ok(is_newer)
    }

    /// Refuses a file that names the version `now` if it cannot have come after this one. Returns
    /// whether the version is newer.
    fn compare_current(
        &self,
        id: u64,
        now: u64,
        print: Print,
        state: State,
    ) -> Result<bool, OpenError> {
        let path = Self::current(id);
        if now < self.version {
            let what = format!(
                "{path} is older than it must be: it names version {now} instead of {}",
                self.version
            );
            return Err(OpenError::Damaged(what));
        }
        let is_newer = now > self.version;
        if is_newer && state == State::Closed {
            return Err(changed(&path));
        }
        if !is_newer {
            same(&path, self.current, Some(print))?;
        }
        Ok(is_newer)
    }

    /// Reads the tables that `earlier` does not have, or not as they are, and refuses those
    /// that are not what the version says.
    pub(super) fn verify(
        &self,
        directory: &Path,
        id: u64,
        earlier: Option<&Self>,
    ) -> Result<(), OpenError> {
        for (table, checksum) in &self.checksums {
            let is_known = |earlier: &Self| earlier.tables.get(table) == self.tables.get(table);
            if earlier.is_some_and(is_known) {
                continue;
            }
            let path = Self::table(id, *table);
            let found = Print::whole(&directory.join(&path));
            if found.map_err(|error| named(&path, error.into()))? != *checksum {
                return Err(changed(&path));
            }
        }
        Ok(())
    }
}

/// The version that a `current` names, and the hash of the version's file.
fn parse_current(bytes: &[u8]) -> Option<(u64, u128)> {
    let bytes: &[u8; 25] = bytes.try_into().ok()?;
    let (version, rest) = bytes.split_first_chunk()?;
    let (checksum, kind) = rest.split_first_chunk()?;
    (kind == [0]).then(|| (u64::from_le_bytes(*version), u128::from_le_bytes(*checksum)))
}

/// The tables that the file of a version lists, with their hashes.
fn tables(manifest: &Path) -> Option<BTreeMap<u64, u128>> {
    let reader = sfa::Reader::new(manifest).ok()?;
    let mut bytes = Vec::new();
    reader
        .toc()
        .section(b"tables")?
        .buf_reader(manifest)
        .ok()?
        .read_to_end(&mut bytes)
        .ok()?;
    let mut rest = &bytes[..];
    let mut found = BTreeMap::new();
    for _level in 0..take::<1>(&mut rest)?[0] {
        for _run in 0..take::<1>(&mut rest)?[0] {
            for _table in 0..u32::from_le_bytes(take(&mut rest)?) {
                let table = u64::from_le_bytes(take(&mut rest)?);
                let [_kind] = take(&mut rest)?;
                let checksum = u128::from_le_bytes(take(&mut rest)?);
                let _sequence_number = take::<8>(&mut rest)?;
                found.insert(table, checksum);
            }
        }
    }
    Some(found)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}
