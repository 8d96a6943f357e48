//! Parts of an application that modules above the socket keep with it, and their names.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};
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

/// The longest name of a part in bytes.
const NAME_LIMIT: usize = 32;

/// Names of parts that an application can have several of, each taken once.
#[derive(Default)]
pub(super) struct PartNames(Mutex<HashSet<(&'static str, Box<str>)>>);

impl PartNames {
    /// Takes a name.
    ///
    /// # Panics
    ///
    /// Panics when the name is taken, and when it is no name.
    pub(super) fn claim(&self, kind: &'static str, name: &str) {
        let is_allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        assert!(
            (1..=NAME_LIMIT).contains(&name.len()) && name.bytes().all(is_allowed),
            "a {kind} cannot be named {name:?}: a name has 1 to {NAME_LIMIT} characters of a-z, \
             0-9 and -"
        );
        assert!(
            self.0.lock().insert((kind, name.into())),
            "the application has a {kind} named {name:?} already; clones of it are the same one"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn message(claim: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(claim)).unwrap_err();
        *panic.downcast::<String>().unwrap()
    }

    #[test]
    fn a_name_is_taken_once_for_each_kind() {
        let names = PartNames::default();
        names.claim("chat", "a");
        names.claim("chat", "b");
        names.claim("room manager", "a");
        assert_eq!(
            message(|| names.claim("chat", "a")),
            "the application has a chat named \"a\" already; clones of it are the same one"
        );
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for name in ["a", "a-1", &"x".repeat(32)] {
            PartNames::default().claim("chat", name);
        }
        for name in ["", "A", "a b", "a/b", "\u{e9}", "a_b", &"x".repeat(33)] {
            assert_eq!(
                message(|| PartNames::default().claim("chat", name)),
                format!(
                    "a chat cannot be named {name:?}: a name has 1 to 32 characters of a-z, 0-9 \
                     and -"
                )
            );
        }
    }
}
