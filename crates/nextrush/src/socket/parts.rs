//! Parts of an application that modules above the socket keep with it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

type Part = Arc<dyn Any + Send + Sync>;

/// One value of each type, made when it is first asked for.
#[derive(Default)]
pub(super) struct AppParts(Mutex<HashMap<TypeId, Part>>);

impl AppParts {
    /// The part of this type. `make` must not ask for another part.
    pub(super) fn get_or_make<T: Any + Send + Sync>(
        &self,
        make: impl FnOnce() -> Arc<T>,
    ) -> Arc<T> {
        let mut parts = self.0.lock();
        let part = parts.entry(TypeId::of::<T>()).or_insert_with(|| make());
        Arc::clone(part)
            .downcast()
            .expect("each part is kept under its own type")
    }
}
