//! The compressed forms of one frame, each made once for all who send it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::deflate::DeflateClass;

/// The compressed forms of a frame that somebody has needed: `None` where that is no
/// shorter.
#[derive(Default)]
pub(crate) struct Twins(Mutex<Vec<(DeflateClass, Option<Bytes>)>>);

impl Twins {
    /// The form of a class, made by `make` if this is the first time that it is needed.
    ///
    /// Other threads that ask meanwhile wait.
    pub(crate) fn get_or_make(
        &self,
        class: DeflateClass,
        make: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        // A panic in `make` has changed nothing.
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
