//! Commands that are executed once: a repeat is answered from memory.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use nextrush_broker::{Broker, BrokerError, CommandKey, Fingerprint};
use parking_lot::Mutex;

use crate::message::request::REPEAT_WINDOW;

/// Commands that are being executed, so that the same one is not begun twice.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<HashMap<CommandKey, Arc<tokio::sync::Mutex<()>>>>);

impl Repeats {
    /// The answer to a command: the one that is remembered, or what `execute` gives, which
    /// is remembered from then on. A command that says something else than the one with its
    /// key is refused.
    pub(super) async fn answer(
        &self,
        broker: &dyn Broker,
        key: CommandKey,
        body: &[u8],
        execute: impl FnOnce() -> String,
    ) -> Result<String, BrokerError> {
        let turn = {
            let mut running = self.0.lock();
            let turn = running.entry(key.clone()).or_default();
            Arc::clone(turn)
        };
        let turn = Turn {
            repeats: self,
            key,
            turn,
        };
        let _alone = turn.turn.lock().await;
        let fingerprint = Fingerprint::of(body);
        let answer = match broker.recall(&turn.key).await? {
            Some(answer) => answer,
            // Before it is executed: a repeat of what was not remembered would be again.
            None if !broker.has_room_for(&turn.key, body.len() + AROUND) => {
                let full = "the answer to this command could not be remembered";
                return Err(BrokerError::Unavailable(full.into()));
            }
            None => {
                let answer = remembered(fingerprint, &execute());
                broker.remember(&turn.key, answer, REPEAT_WINDOW).await?
            }
        };
        let (before, answer) = read(&answer);
        if before.is_some_and(|before| before != fingerprint) {
            return Err(BrokerError::Reused);
        }
        Ok(String::from_utf8_lossy(answer).into_owned())
    }
}

/// About what an answer has beside the text that it repeats, in bytes.
const AROUND: usize = 256;

/// The first byte of an answer with a fingerprint. JSON does not begin so, and answers of
/// earlier programs are JSON alone.
const MARK: u8 = 1;

/// An answer as it is remembered: mark, fingerprint, JSON.
fn remembered(fingerprint: Fingerprint, answer: &str) -> Bytes {
    let mut bytes = Vec::with_capacity(1 + Fingerprint::BYTES + answer.len());
    bytes.push(MARK);
    bytes.extend(fingerprint.to_bytes());
    bytes.extend(answer.as_bytes());
    bytes.into()
}

/// Reads [`remembered`] answers, and those of earlier programs.
fn read(answer: &[u8]) -> (Option<Fingerprint>, &[u8]) {
    let marked = answer.strip_prefix(&[MARK]);
    match marked.and_then(<[u8]>::split_first_chunk) {
        Some((fingerprint, json)) => (Some(Fingerprint::from_bytes(*fingerprint)), json),
        None => (None, answer),
    }
}

/// A caller that waits for a command to be executed, or executes it.
struct Turn<'a> {
    repeats: &'a Repeats,
    key: CommandKey,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut running = self.repeats.0.lock();
        // The map's own and this one: nobody else waits.
        if Arc::strong_count(&self.turn) <= 2 {
            running.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_its_fingerprint_or_as_earlier_programs_kept_it() {
        let fingerprint = Fingerprint::of(b"body");
        let kept = remembered(fingerprint, "{}");
        assert_eq!(read(&kept), (Some(fingerprint), &b"{}"[..]));
        assert_eq!(
            read(b"{\"type\":\"ack\"}"),
            (None, &b"{\"type\":\"ack\"}"[..])
        );
    }
}
