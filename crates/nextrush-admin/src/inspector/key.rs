//! The key of an inspector.

use std::sync::Arc;

use axum::http::HeaderMap;
use parking_lot::RwLock;

use crate::secret::Secret;

/// The key of an [`Inspector`](crate::Inspector), to be changed while it serves. Clones are the same key.
///
/// With a new key the tickets of the old one are refused. A socket that was opened with one stays until
/// that ends, 10 minutes at most.
#[derive(Clone, Debug)]
pub struct InspectorKey(Arc<RwLock<Secret>>);

impl InspectorKey {
    #[track_caller]
    pub(super) fn new(key: Secret) -> Self {
        Self(Arc::new(RwLock::new(key.into_key())))
    }

    /// Puts another key in its place.
    ///
    /// # Panics
    ///
    /// Panics on a key of fewer than 32 bytes, as [`Inspector::new`](crate::Inspector::new) does.
    #[track_caller]
    pub fn replace(&self, key: impl Into<Secret>) {
        let key = key.into().into_key();
        *self.0.write() = key;
    }

    pub(super) fn secret(&self) -> Secret {
        self.0.read().clone()
    }

    pub(super) fn is_bearer_of(&self, headers: &HeaderMap) -> bool {
        self.0.read().is_bearer_of(headers)
    }
}
