//! Small files that are written whole or not at all, and names that are durable.

use std::fs;
use std::io::{self, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

/// Writes a file. After a crash it has the old text or the new one.
pub(super) fn write_whole(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = directory.join(format!("{name}.new"));
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join(name))?;
    sync_names(directory)
}

/// Makes a directory that only this user may read.
pub(super) fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(directory)
}

/// The bytes that the files in a directory and in its subdirectories take on the disk, where that can
/// be told: those of journals are longer than what is in them.
pub(super) fn size_of_tree(directory: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        size += match entry.file_type()?.is_dir() {
            true => size_of_tree(&entry.path())?,
            false => size_of(&entry.path())?,
        };
    }
    Ok(size)
}

/// The bytes that a file takes on the disk, where that can be told.
pub(super) fn size_of(file: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(file)?;
    #[cfg(unix)]
    return Ok(metadata.blocks() * 512);
    #[cfg(not(unix))]
    Ok(metadata.len())
}

/// Forces the names in a directory and in its subdirectories to the disk.
pub(super) fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_names(directory)
}

/// Forces the names in a directory to the disk, where directories can be opened.
pub(super) fn sync_names(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::File::open(directory)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}
