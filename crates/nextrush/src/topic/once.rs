//! Commands that are executed once: a repeat is answered from memory.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use nextrush_broker::{Broker, BrokerError, CommandKey};
use parking_lot::Mutex;

use crate::message::request::REPEAT_WINDOW;

/// Commands that are being executed, so that the same one is not begun twice.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<HashMap<CommandKey, Arc<tokio::sync::Mutex<()>>>>);

impl Repeats {
    /// The answer to a command: the one that is remembered, or what `execute` gives, which
    /// is remembered from then on.
    pub(super) async fn answer(
        &self,
        broker: &dyn Broker,
        key: CommandKey,
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
        let answer = match broker.recall(&turn.key).await? {
            Some(answer) => answer,
            None => {
                let answer = Bytes::from(execute());
                broker.remember(&turn.key, answer, REPEAT_WINDOW).await?
            }
        };
        Ok(String::from_utf8_lossy(&answer).into_owned())
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
