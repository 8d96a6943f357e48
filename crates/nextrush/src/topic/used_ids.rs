//! The ids of commands that were used lately.

use std::fmt;

use nextrush_broker::{BrokerError, CommandKey, Fingerprint};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::message::request::REPEAT_WINDOW;

/// The ids that are known at once.
const IDS: usize = 100_000;

/// The commands that users of a family have given their ids to: a broker tells repeats apart
/// within one topic, and this what a client calls by one id in several places.
///
/// It is of this process alone and bounded, as nothing is lost where it does not know an id: each
/// place still executes it once.
pub(super) struct UsedIds(Cache<CommandKey, (Fingerprint, Instant)>);

impl Default for UsedIds {
    fn default() -> Self {
        Self(Cache::new(IDS))
    }
}

impl UsedIds {
    /// Notes what an id is used for; refused if it was something else.
    pub(super) fn note(&self, key: &CommandKey, command: Fingerprint) -> Result<(), BrokerError> {
        let now = Instant::now();
        let noted = self
            .0
            .get_or_insert_with(key, || Ok::<_, BrokerError>((command, now)))?;
        match noted {
            (before, _) if before == command => Ok(()),
            (_, since) if now.duration_since(since) < REPEAT_WINDOW => Err(BrokerError::Reused),
            _ => {
                self.0.insert(key.clone(), (command, now));
                Ok(())
            }
        }
    }
}

impl fmt::Debug for UsedIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsedIds").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_id_stands_for_one_command_for_two_minutes() {
        let ids = UsedIds::default();
        let key = CommandKey::try_from("k").unwrap();
        let [one, other] = [b"1", b"2"].map(|body| Fingerprint::of(body));
        assert!(ids.note(&key, one).is_ok());
        tokio::time::advance(REPEAT_WINDOW - Duration::from_millis(1)).await;
        assert!(ids.note(&key, one).is_ok());
        assert!(matches!(ids.note(&key, other), Err(BrokerError::Reused)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(ids.note(&key, other).is_ok());
        assert!(matches!(ids.note(&key, one), Err(BrokerError::Reused)));
    }
}
