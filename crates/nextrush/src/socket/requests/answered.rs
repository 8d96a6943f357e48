//! The answers to the requests of a socket without a user.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use nextrush_broker::Fingerprint;
use tokio::time::Instant;

use crate::message::request::{CommandId, REPEAT_WINDOW};

/// The most answers that are remembered; the oldest go.
const ANSWERS: usize = 256;
/// The most bytes of them.
const BYTES: usize = 256 * 1024;

/// The answers to the requests of one socket, by their ids, each for two minutes.
#[derive(Default)]
pub(super) struct Answered {
    answers: HashMap<CommandId, (Fingerprint, Arc<str>)>,
    oldest: VecDeque<(Instant, CommandId)>,
    bytes: usize,
}

/// The id belongs to another request.
#[derive(Debug, PartialEq)]
pub(super) struct Reused;

impl Answered {
    /// The answer to a request that was executed before.
    pub(super) fn recall(
        &mut self,
        id: &CommandId,
        body: Fingerprint,
    ) -> Result<Option<Arc<str>>, Reused> {
        self.forget(0);
        match self.answers.get(id) {
            None => Ok(None),
            Some((before, answer)) if *before == body => Ok(Some(Arc::clone(answer))),
            Some(_) => Err(Reused),
        }
    }

    pub(super) fn remember(&mut self, id: CommandId, body: Fingerprint, answer: Arc<str>) {
        self.forget(answer.len());
        self.bytes += answer.len();
        self.oldest.push_back((Instant::now(), id.clone()));
        self.answers.insert(id, (body, answer));
    }

    /// Forgets answers that are old, or that leave no room for one of so many bytes.
    fn forget(&mut self, bytes: usize) {
        let is_full = |all: &Self| all.bytes + bytes > BYTES || all.answers.len() >= ANSWERS;
        while let Some((at, _)) = self.oldest.front()
            && (at.elapsed() >= REPEAT_WINDOW || bytes > 0 && is_full(self))
            && let Some((_, id)) = self.oldest.pop_front()
        {
            let answer = self.answers.remove(&id);
            self.bytes -= answer.map_or(0, |(_, answer)| answer.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> CommandId {
        CommandId::numbered(number)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_remembered_for_two_minutes() {
        let body = Fingerprint::of(b"body");
        let mut answered = Answered::default();
        assert_eq!(answered.recall(&id(1), body), Ok(None));
        answered.remember(id(1), body, "done".into());
        assert_eq!(answered.recall(&id(1), body), Ok(Some("done".into())));
        let other = Fingerprint::of(b"other");
        assert_eq!(answered.recall(&id(1), other), Err(Reused));
        tokio::time::advance(REPEAT_WINDOW).await;
        assert_eq!(answered.recall(&id(1), other), Ok(None));
        assert_eq!(answered.bytes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_answers_that_are_remembered_are_bounded() {
        let body = Fingerprint::of(b"body");
        let mut answered = Answered::default();
        for number in 0..=ANSWERS {
            answered.remember(id(number), body, "1".into());
        }
        assert_eq!(answered.answers.len(), ANSWERS);
        assert_eq!(answered.recall(&id(0), body), Ok(None));
        answered.remember(id(9999), body, "x".repeat(BYTES).into());
        assert_eq!(answered.answers.len(), 1);
        assert_eq!(answered.bytes, BYTES);
    }
}
