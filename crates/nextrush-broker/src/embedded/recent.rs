//! Answers that are in the log and not in the tables yet.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::record::{Answer, AnswerKey};

/// The answers that are only in the log.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<AnswerKey, Answer>>);

impl Recent {
    pub(super) fn get(&self, key: &AnswerKey) -> Option<Answer> {
        self.0.lock().get(key).cloned()
    }

    pub(super) fn extend(&self, answers: impl IntoIterator<Item = (AnswerKey, Answer)>) {
        self.0.lock().extend(answers);
    }

    /// Removes an answer, unless another one has replaced it.
    pub(super) fn remove(&self, key: &AnswerKey, ends_ms: u64) {
        let mut answers = self.0.lock();
        if answers
            .get(key)
            .is_some_and(|answer| answer.ends_ms == ends_ms)
        {
            answers.remove(key);
        }
    }

    pub(super) fn clear(&self) {
        // A new map also frees the memory of a burst.
        *self.0.lock() = HashMap::new();
    }
}
