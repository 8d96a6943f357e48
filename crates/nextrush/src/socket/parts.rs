//! Parts of an application that modules above the socket keep with it, and their names.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

type Part = Arc<dyn Any + Send + Sync>;

/// A value of each type, made when it is first asked for.
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

/// The kinds of an application's parts by their names, each of which is taken once.
#[derive(Default)]
pub(super) struct PartNames(Mutex<HashMap<Box<str>, &'static str>>);

/// Returns whether a text can name a part of an application: 1 to 32 of `a-z`, `0-9` and `-`.
pub(crate) fn is_part_name(name: &str) -> bool {
    let is_allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=NAME_LIMIT).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Panics when a text cannot name a part of this kind.
#[track_caller]
pub(crate) fn assert_part_name(kind: &str, name: &str) {
    assert!(
        is_part_name(name),
        "a {kind} cannot be named {name:?}: a name has 1 to {NAME_LIMIT} characters of a-z, 0-9 \
         and -"
    );
}

impl PartNames {
    /// Takes a name.
    ///
    /// # Panics
    ///
    /// Panics when the name is taken, and when it is no name.
    #[track_caller]
    pub(super) fn claim(&self, kind: &'static str, name: &str) {
        assert_part_name(kind, name);
        let taken = match self.0.lock().entry(name.into()) {
            Entry::Vacant(free) => {
                free.insert(kind);
                return;
            }
            Entry::Occupied(taken) => *taken.get(),
        };
        panic!(
            "the application has a {taken} named {name:?} already; clones of it are the same one"
        );
    }

    /// The kind of the part that has this name.
    pub(super) fn kind(&self, name: &str) -> Option<&'static str> {
        self.0.lock().get(name).copied()
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
    fn a_name_is_taken_once() {
        let names = PartNames::default();
        names.claim("chat", "a");
        names.claim("chat", "b");
        assert_eq!(names.kind("b"), Some("chat"));
        assert_eq!(names.kind("c"), None);
        for kind in ["chat", "room manager"] {
            assert_eq!(
                message(|| names.claim(kind, "a")),
                "the application has a chat named \"a\" already; clones of it are the same one"
            );
        }
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
