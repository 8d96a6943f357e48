//! The compressed forms of a frame, each made once for all its clones.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::deflate::DeflateClass;

/// The compressed forms of a frame that were needed so far; `None` for a form that is no
/// shorter.
#[derive(Default)]
pub(crate) struct Twins(Mutex<Vec<(DeflateClass, Option<Bytes>)>>);

impl Twins {
    /// The form of a class, which `make` makes if this is its first use.
    ///
    /// Other threads wait meanwhile.
    pub(crate) fn get_or_make(
        &self,
        class: DeflateClass,
        make: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        // A panic in `make` leaves the list unchanged.
        let mut twins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match twins.iter().find(|(known, _)| *known == class) {
            Some((_, twin)) => twin.clone(),
            None => {
                let twin = make();
                twins.push((class, twin.clone()));
                twin
            }
        }
    }
}
