//! The questions that wait for answers.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use nextrush_broker::{Answered, NodeName};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Line;
use super::message::Kind;

/// A question that some nodes have not answered.
pub(super) struct Question {
    left: HashSet<NodeName>,
    answers: Vec<(NodeName, Bytes)>,
    changed: Arc<Notify>,
}

impl Line {
    pub(super) async fn ask(
        &self,
        nodes: Vec<NodeName>,
        question: Bytes,
        until: Instant,
    ) -> Answered {
        let id: u64 = rand::random();
        let changed = Arc::new(Notify::new());
        let asked = Question {
            left: nodes.iter().cloned().collect(),
            answers: Vec::new(),
            changed: Arc::clone(&changed),
        };
        self.state.lock().questions.insert(id, asked);
        let guard = Asking { line: self, id };
        let mut deaf = Vec::new();
        let asking = async {
            let sent = nodes.iter().map(|node| async {
                let is_own = *node == self.node;
                if is_own {
                    self.answer_own(id, question.clone()).await;
                }
                let sent = async || self.send(node, Kind::Question, id, &question).await;
                is_own || sent().await.is_ok_and(|is_heard| is_heard)
            });
            for (node, is_sent) in nodes.iter().zip(join_all(sent).await) {
                let mut state = self.state.lock();
                if let Some(question) = state.questions.get_mut(&id)
                    && !is_sent
                    && question.left.remove(node)
                {
                    deaf.push(node.clone());
                }
            }
            loop {
                let answered = changed.notified();
                let is_answered = |question: &Question| question.left.is_empty();
                if self.state.lock().questions.get(&id).is_none_or(is_answered) {
                    return;
                }
                answered.await;
            }
        };
        // At the deadline those who are left are silent.
        let _ = timeout_at(until, asking).await;
        let question = guard.end();
        let silent = question.left.into_iter().chain(deaf).collect();
        Answered::new(question.answers, silent)
    }

    async fn answer_own(&self, id: u64, question: Bytes) {
        let answer = match self.receiver.get() {
            Some(receiver) => receiver.asked(&self.node, question).await,
            None => None,
        };
        if let Some(answer) = answer {
            self.answered(&self.node, id, answer);
        }
    }

    pub(super) fn answered(&self, node: &NodeName, id: u64, answer: Bytes) {
        let mut state = self.state.lock();
        if let Some(question) = state.questions.get_mut(&id)
            && question.left.remove(node)
        {
            question.answers.push((node.clone(), answer));
            question.changed.notify_one();
        }
    }
}

/// A question that is forgotten if nobody waits for its answers any more.
struct Asking<'a> {
    line: &'a Line,
    id: u64,
}

impl Asking<'_> {
    fn end(self) -> Question {
        let question = self.line.state.lock().questions.remove(&self.id);
        question.unwrap_or_else(|| Question {
            left: HashSet::new(),
            answers: Vec::new(),
            changed: Arc::default(),
        })
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.line.state.lock().questions.remove(&self.id);
    }
}
