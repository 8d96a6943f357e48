//! Small files that are written whole or not at all, and names that are durable.

use std::fs;
use std::io::{self, Write};
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
