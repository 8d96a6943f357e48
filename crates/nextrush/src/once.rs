//! Commands that are executed once: a repeat is answered from memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nextrush_broker::{Attempt, Broker, BrokerError, Claim, Claimed, CommandKey, Fingerprint};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::message::request::REPEAT_WINDOW;
use crate::seldom::Seldom;

/// The answer of a command that was executed, or that was refused until later.
pub(crate) struct Executed {
    answer: String,
    is_remembered: bool,
}

impl Executed {
    /// The answer of a command that may come again and is executed then.
    pub(crate) fn not_yet(answer: String) -> Self {
        Self {
            answer,
            is_remembered: false,
        }
    }
}

/// The answer that repeats get, too.
impl From<String> for Executed {
    fn from(answer: String) -> Self {
        Self {
            answer,
            is_remembered: true,
        }
    }
}

/// Commands that are being executed, so that the same one is not begun twice.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<HashMap<CommandKey, Arc<tokio::sync::Mutex<()>>>>);

impl Repeats {
    /// The answer to a command: the one that is remembered, or what `execute` gives, which
    /// is remembered from then on; an error of it is not. A command that says something else than the one with its
    /// key is refused.
    pub(crate) async fn answer(
        &self,
        broker: &dyn Broker,
        key: CommandKey,
        body: &[u8],
        execute: impl Future<Output = Result<String, BrokerError>>,
    ) -> Result<String, BrokerError> {
        self.answer_within(Duration::ZERO, broker, key, body, execute)
            .await
    }

    /// The answer to a command that may take as long as this, as [`answer`](Self::answer) gives it.
    pub(crate) async fn answer_within(
        &self,
        longest: Duration,
        broker: &dyn Broker,
        key: CommandKey,
        body: &[u8],
        execute: impl Future<Output = Result<impl Into<Executed>, BrokerError>>,
    ) -> Result<String, BrokerError> {
        let attempt = Attempt::new(key);
        // While it runs nobody else gets it, and it has a moment for its answer.
        let lease = attempt.lease.max(longest.saturating_add(ANSWERING));
        let attempt = attempt
            .lease(lease)
            .fingerprint(Fingerprint::of(body))
            .window(REPEAT_WINDOW)
            .answer_bytes(body.len() + AROUND);
        match self.execute(broker, attempt, PATIENCE, execute).await? {
            Outcome::Answer(answer) => Ok(String::from_utf8_lossy(&answer).into_owned()),
            Outcome::InDoubt => {
                let died = "the command was executed at most once, and not answered";
                Err(BrokerError::InDoubt(died.into()))
            }
        }
    }

    /// The outcome of an attempt at a command: the answer that is remembered, or what `execute`
    /// gives. Waits as long as `patience` while another node executes it.
    pub(crate) async fn execute(
        &self,
        broker: &dyn Broker,
        mut attempt: Attempt,
        patience: Duration,
        execute: impl Future<Output = Result<impl Into<Executed>, BrokerError>>,
    ) -> Result<Outcome, BrokerError> {
        attempt.lease = attempt.lease.min(LONGEST_LEASE);
        let key = attempt.key.clone();
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
        match claim(broker, attempt, patience).await? {
            Claim::Mine(mut claimed) => {
                let executed = execute.await?.into();
                if !executed.is_remembered {
                    // Ends the claim.
                    claimed.attempt.window = Duration::ZERO;
                }
                let answer = executed.answer.into();
                Ok(Outcome::Answer(remember(broker, claimed, answer).await?))
            }
            Claim::Answered(answer) => Ok(Outcome::Answer(answer)),
            Claim::InDoubt => Ok(Outcome::InDoubt),
            Claim::Running => {
                let running = "the command is being executed by another node";
                Err(BrokerError::Unavailable(running.into()))
            }
        }
    }
}

/// The outcome of a command.
pub(crate) enum Outcome {
    Answer(Bytes),
    /// The one who claimed it, to be executed at most once, has not answered.
    InDoubt,
}

/// Gives the answer to a command; the one in force.
async fn remember(
    broker: &dyn Broker,
    claimed: Claimed,
    answer: Bytes,
) -> Result<Bytes, BrokerError> {
    static FORGOTTEN: Seldom = Seldom::new();

    let is_at_most_once = claimed.attempt.is_at_most_once;
    match broker.answer(claimed, answer.clone()).await {
        // Nobody else can have executed it. Only its repeat may not learn the answer.
        Err(error) if is_at_most_once => {
            if FORGOTTEN.is_due() {
                tracing::error!(%error, "the answer to a command cannot be remembered");
            }
            Ok(answer)
        }
        answered => answered,
    }
}

/// The time that a node has to remember an answer.
const ANSWERING: Duration = Duration::from_secs(5);

/// The longest lease: after a node has died a command is taken to be running for that long.
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 3600);

/// About what an answer has beside the text that it repeats, in bytes.
const AROUND: usize = 256;

/// The wait for another node that executes a command, which takes milliseconds; or its node has
/// died, and the client repeats the command after the lease. A socket's other commands wait too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// The first waits between two attempts, in milliseconds. The last one is that of all further ones.
const WAITS_MS: [u64; 5] = [10, 40, 100, 250, 600];

/// Claims a command. Waits while another node executes it.
pub(crate) async fn claim(
    broker: &dyn Broker,
    attempt: Attempt,
    patience: Duration,
) -> Result<Claim, BrokerError> {
    let begun = Instant::now();
    let mut waits = WAITS_MS.into_iter();
    loop {
        let claim = broker.claim(attempt.clone()).await?;
        let left = patience.saturating_sub(begun.elapsed());
        if !matches!(claim, Claim::Running) || left.is_zero() {
            return Ok(claim);
        }
        let wait_ms = waits.next().unwrap_or(WAITS_MS[WAITS_MS.len() - 1]);
        sleep(left.min(Duration::from_millis(wait_ms))).await;
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
    use std::sync::Arc;

    use nextrush_broker::MemoryBroker;

    use super::*;

    const BODY: &[u8] = b"{}";

    fn key() -> CommandKey {
        CommandKey::try_from("ada/1").unwrap()
    }

    /// Two nodes on one broker: each has its own commands in front of it.
    async fn executed_elsewhere() -> (Arc<MemoryBroker>, Claimed) {
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
            sleep(Duration::from_secs(3)).await;
            broker.answer(claimed, "done".into()).await
        };
        let (repeat, answered) = tokio::join!(repeat, answer);
        assert!(answered.is_ok());
        assert_eq!(repeat.unwrap(), "done");
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeat_does_not_wait_for_ever_for_a_node_that_died() {
        let (broker, _) = executed_elsewhere().await;
        let before = Instant::now();
        let repeats = Repeats::default();
        let repeat = repeats.answer(&*broker, key(), BODY, async { panic!("executed twice") });
        let repeat = repeat.await;
        assert!(matches!(repeat, Err(BrokerError::Unavailable(_))));
        assert!(before.elapsed() <= Duration::from_secs(5));
    }
}
