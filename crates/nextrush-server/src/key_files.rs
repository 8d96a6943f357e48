//! The keys of tokens beside the secret: those of files, and those that an issuer publishes.

use std::fs;
use std::path::{Path, PathBuf};

use http::HeaderMap;
use nextrush::auth::{Jwks, JwtKey};

use crate::client::{self, JwksUrl};
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

/// A set of keys of an issuer, and its address.
#[derive(Clone, Debug)]
pub(crate) struct IssuerKeys {
    url: JwksUrl,
    pub(crate) jwks: Jwks,
}

impl IssuerKeys {
    pub(crate) fn new(url: JwksUrl) -> Self {
        let fetched = url.clone();
        let jwks = Jwks::new(move || {
            let url = fetched.clone();
            async move { client::get(url.target(), HeaderMap::new(), Jwks::MAX_BYTES).await }
        });
        Self { url, jwks }
    }

    /// Tells whether both have the same address.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.url == other.url
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
