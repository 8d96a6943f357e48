//! The files with keys of tokens.

use std::fs;
use std::path::{Path, PathBuf};

use nextrush::auth::JwtKey;

use crate::secret::Secret;

/// The most bytes of a file of keys.
const MOST_BYTES: u64 = 256 * 1024;

/// The keys of several files, and their texts, by which changes are seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyFiles {
    pub(crate) keys: Vec<JwtKey>,
    texts: Vec<Secret>,
}

impl KeyFiles {
    /// Reads the files, and passes what is wrong with one to `wrong`.
    pub(crate) fn read(paths: &[PathBuf], mut wrong: impl FnMut(String)) -> Self {
        let mut files = Self::default();
        for path in paths {
            match read(path) {
                Ok((text, keys)) => {
                    files.keys.extend(keys);
                    files.texts.push(text.into());
                }
                Err(message) => wrong(message),
            }
        }
        files
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let texts = self.texts.iter().map(Secret::expose);
        texts.eq(other.texts.iter().map(Secret::expose))
    }
}

fn read(path: &Path) -> Result<(String, Vec<JwtKey>), String> {
    let shown = path.display();
    let unreadable = |error| format!("cannot read {shown}: {error}");
    if fs::metadata(path).map_err(unreadable)?.len() > MOST_BYTES {
        return Err(format!("{shown}: larger than {} KiB", MOST_BYTES / 1024));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    match JwtKey::read_all(&text) {
        Ok(keys) => Ok((text, keys)),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}
