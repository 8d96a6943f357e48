//! A place for a connection that is on its way.

use std::fmt;
use std::sync::Arc;

use crate::shared::Shared;

/// A place among the [connections](crate::EngineConfig::connections) of an engine, kept free for one
/// whose opening handshake is under way; made by [`Engine::reserve`](crate::Engine::reserve). It counts
/// as a connection, and is free again when this is dropped.
///
/// ```
/// use nextrush_engine::{Engine, EngineConfig, Handover};
///
/// let engine = Engine::new(EngineConfig::default().connections(1));
/// let place = engine.reserve().expect("nobody is there");
/// assert!(engine.reserve().is_none());
/// let handover = Handover::default().reservation(place);
/// # drop(handover);
/// ```
#[must_use = "the place is free again when this is dropped"]
pub struct Reservation(Option<Arc<Shared>>);

impl Reservation {
    pub(crate) fn new(shared: &Arc<Shared>) -> Option<Self> {
        shared
            .add_connection()
            .then(|| Self(Some(Arc::clone(shared))))
    }

    /// Leaves the place to a connection of this engine; `false` if it is one of another engine.
    pub(crate) fn take_for(mut self, engine: &Arc<Shared>) -> bool {
        let is_of_engine = self.0.as_ref().is_some_and(|of| Arc::ptr_eq(of, engine));
        if is_of_engine {
            self.0 = None;
        }
        is_of_engine
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.remove_connection();
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reservation")
    }
}
