//! Commands that are executed once: a repeat is answered from memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{Attempt, Broker, BrokerError, Claim, CommandKey, Fingerprint};
use parking_lot::Mutex;

use crate::message::request::REPEAT_WINDOW;

/// Commands that are being executed, so that the same one is not begun twice.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<HashMap<CommandKey, Arc<tokio::sync::Mutex<()>>>>);

impl Repeats {
    /// The answer to a command: the one that is remembered, or what `execute` gives, which
    /// is remembered from then on; an error of it is not. A command that says something else than the one with its
    /// key is refused.
    pub(super) async fn answer(
        &self,
        broker: &dyn Broker,
        key: CommandKey,
        body: &[u8],
        execute: impl Future<Output = Result<String, BrokerError>>,
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
        let attempt = Attempt::new(turn.key.clone())
            .fingerprint(Fingerprint::of(body))
            .window(REPEAT_WINDOW)
            .answer_bytes(body.len() + AROUND);
        let answer = match claim(broker, attempt).await? {
            Claim::Mine(claimed) => {
                let answer = execute.await?;
                broker.answer(claimed, answer.into()).await?
            }
            Claim::Answered(answer) => answer,
            Claim::InDoubt => {
                let unanswered = "the command was executed at most once, and not answered";
                return Err(BrokerError::InDoubt(unanswered.into()));
            }
            Claim::Running => {
                let running = "the command is being executed by another node";
                return Err(BrokerError::Unavailable(running.into()));
            }
        };
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// About what an answer has beside the text that it repeats, in bytes.
const AROUND: usize = 256;

/// The waits for another node that executes the command: 4 s in all. It takes milliseconds, or
/// its node has died, and the client repeats the command after the lease.
const WAITS_MS: [u64; 10] = [10, 40, 100, 250, 600, 600, 600, 600, 600, 600];

/// Claims a command. Waits while another node executes it, for no longer than a socket's other
/// commands can wait.
async fn claim(broker: &dyn Broker, attempt: Attempt) -> Result<Claim, BrokerError> {
    for wait_ms in WAITS_MS {
        match broker.claim(attempt.clone()).await? {
            Claim::Running => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
            claim => return Ok(claim),
        }
    }
    broker.claim(attempt).await
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
    use std::sync::Arc;

    use nextrush_broker::MemoryBroker;

    use super::*;

    const BODY: &[u8] = b"{}";

    fn key() -> CommandKey {
        CommandKey::try_from("ada/1").unwrap()
    }

    /// Two nodes on one broker: each has its own commands in front of it.
    async fn executed_elsewhere() -> (Arc<MemoryBroker>, nextrush_broker::Claimed) {
        let broker = Arc::new(MemoryBroker::new());
        let attempt = Attempt::new(key()).fingerprint(Fingerprint::of(BODY));
        match broker.claim(attempt).await.unwrap() {
            Claim::Mine(claimed) => (broker, claimed),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeat_waits_for_the_node_that_executes_the_command() {
        let (broker, claimed) = executed_elsewhere().await;
        let repeats = Repeats::default();
        let repeat = repeats.answer(&*broker, key(), BODY, async { panic!("executed twice") });
        let answer = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            broker.answer(claimed, "done".into()).await
        };
        let (repeat, answered) = tokio::join!(repeat, answer);
        assert!(answered.is_ok());
        assert_eq!(repeat.unwrap(), "done");
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeat_does_not_wait_for_ever_for_a_node_that_died() {
        let (broker, _) = executed_elsewhere().await;
        let before = tokio::time::Instant::now();
        let repeats = Repeats::default();
        let repeat = repeats.answer(&*broker, key(), BODY, async { panic!("executed twice") });
        let repeat = repeat.await;
        assert!(matches!(repeat, Err(BrokerError::Unavailable(_))));
        assert!(before.elapsed() <= Duration::from_secs(5));
    }
}
