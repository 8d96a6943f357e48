//! The claims to commands in a process, for brokers that no other process shares.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::answer::{CommandKey, Fingerprint, Reused};
use crate::claim::{Attempt, Claim, Claimed};
use crate::clock::whole_ms;
use crate::error::BrokerError;

/// The commands that are being executed.
#[derive(Default)]
pub(crate) struct Leases(Mutex<State>);

#[derive(Default)]
struct State {
    held: HashMap<CommandKey, Held>,
    last_token: u128,
    /// The number of claims at which those that have ended are looked for.
    swept_at: usize,
}

struct Held {
    token: u128,
    fingerprint: Option<Fingerprint>,
    ends_ms: u64,
    /// The end of the time in which the outcome is in doubt.
    doubt_ends_ms: u64,
}

/// The number of claims below which it does not matter that some of them have ended.
const FEW: usize = 1024;

impl Leases {
    /// Claims a command. Afterwards the caller looks whether the command has an answer: one
    /// that was given before the claim is found then.
    pub(crate) fn claim(&self, attempt: Attempt, now_ms: u64) -> Result<Claim, Reused> {
        let mut state = self.0.lock();
        if let Some(held) = state.held.get(&attempt.key)
            && held.doubt_ends_ms > now_ms
        {
            return match differ(held.fingerprint, attempt.fingerprint) {
                true => Err(Reused),
                false if held.ends_ms > now_ms => Ok(Claim::Running),
                false => Ok(Claim::InDoubt),
            };
        }
        state.sweep(now_ms);
        state.last_token += 1;
        let token = state.last_token;
        let held = Held {
            token,
            fingerprint: attempt.fingerprint,
            ends_ms: now_ms.saturating_add(whole_ms(attempt.lease)),
            doubt_ends_ms: now_ms.saturating_add(whole_ms(held_for(&attempt))),
        };
        state.held.insert(attempt.key.clone(), held);
        Ok(Claim::Mine(Claimed::new(attempt, token)))
    }

    /// Ends a claim.
    pub(crate) fn release(&self, claimed: &Claimed) {
        let mut state = self.0.lock();
        let key = &claimed.attempt.key;
        if state
            .held
            .get(key)
            .is_some_and(|held| held.token == claimed.token)
        {
            state.held.remove(key);
        }
    }

    /// Ends a claim to a command that turns out to have this answer, or to have begun.
    pub(crate) fn found(
        &self,
        claim: Result<Claim, Reused>,
        attempt: &Attempt,
        kept: &[u8],
    ) -> Result<Claim, BrokerError> {
        if let Ok(Claim::Mine(claimed)) = &claim {
            self.release(claimed);
        }
        let (fingerprint, answer) = read(kept);
        if differ(fingerprint, attempt.fingerprint) {
            return Err(BrokerError::Reused);
        }
        match answer {
            Some(answer) => Ok(Claim::Answered(Bytes::copy_from_slice(answer))),
            None => match claim? {
                Claim::Running => Ok(Claim::Running),
                // An earlier process claimed it, or the lease has ended.
                _ => Ok(Claim::InDoubt),
            },
        }
    }
}

/// The time for which a claim without an answer is remembered.
pub(crate) fn held_for(attempt: &Attempt) -> Duration {
    match attempt.is_at_most_once {
        true => attempt.lease.saturating_add(attempt.window),
        false => attempt.lease,
    }
}

impl State {
    fn sweep(&mut self, now_ms: u64) {
        if self.held.len() >= self.swept_at.max(FEW) {
            self.held.retain(|_, held| held.doubt_ends_ms > now_ms);
            self.swept_at = self.held.len() * 2;
        }
    }
}

/// Returns `true` if both are known and not the same.
fn differ(one: Option<Fingerprint>, other: Option<Fingerprint>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

/// The first byte of an answer with a fingerprint. JSON does not begin so, and answers of
/// earlier programs are JSON alone.
const MARKED: u8 = 1;

/// The first byte of an answer without one.
const PLAIN: u8 = 0;

/// The first byte of a claim that is kept.
#[cfg(feature = "embedded")]
const BEGUN: u8 = 2;

/// A claim to a command that is executed at most once, as a store keeps it until the answer takes
/// its place: mark, fingerprint if there is one.
#[cfg(feature = "embedded")]
pub(crate) fn begun(fingerprint: Option<Fingerprint>) -> Bytes {
    let fingerprint = fingerprint.map(Fingerprint::to_bytes);
    let mut bytes = vec![BEGUN];
    bytes.extend(fingerprint.iter().flatten());
    bytes.into()
}

/// Returns whether this is a claim, and no answer.
#[cfg(feature = "embedded")]
pub(crate) fn is_begun(kept: &[u8]) -> bool {
    kept.first() == Some(&BEGUN)
}

/// An answer as it is kept: mark, fingerprint, answer.
pub(crate) fn kept(fingerprint: Option<Fingerprint>, answer: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(kept_bytes(answer.len()));
    match fingerprint {
        Some(fingerprint) => {
            bytes.push(MARKED);
            bytes.extend(fingerprint.to_bytes());
        }
        None => bytes.push(PLAIN),
    }
    bytes.extend(answer);
    bytes.into()
}

/// The most bytes that [`kept`] makes of an answer.
pub(crate) const fn kept_bytes(answer: usize) -> usize {
    1 + Fingerprint::BYTES + answer
}

/// Reads [`kept`] answers, and those of earlier programs; a claim has none.
pub(crate) fn read(kept: &[u8]) -> (Option<Fingerprint>, Option<&[u8]>) {
    #[cfg(feature = "embedded")]
    if let Some(fingerprint) = kept.strip_prefix(&[BEGUN]) {
        let fingerprint = fingerprint.try_into().ok().map(Fingerprint::from_bytes);
        return (fingerprint, None);
    }
    if let Some(answer) = kept.strip_prefix(&[PLAIN]) {
        return (None, Some(answer));
    }
    let marked = kept.strip_prefix(&[MARKED]);
    match marked.and_then(<[u8]>::split_first_chunk) {
        Some((fingerprint, answer)) => (Some(Fingerprint::from_bytes(*fingerprint)), Some(answer)),
        None => (None, Some(kept)),
    }
}

/// The answer in force, from its [`kept`] form.
pub(crate) fn answer_of(kept: &Bytes) -> Bytes {
    kept.slice_ref(read(kept).1.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_its_fingerprint_or_as_earlier_programs_kept_it() {
        let fingerprint = Fingerprint::of(b"body");
        let answer = kept(Some(fingerprint), b"{}");
        assert_eq!(read(&answer), (Some(fingerprint), Some(&b"{}"[..])));
        assert_eq!(read(&kept(None, b"\x01x")), (None, Some(&b"\x01x"[..])));
        let before = b"{\"type\":\"ack\"}";
        assert_eq!(read(before), (None, Some(&before[..])));
    }

    #[test]
    fn claims_that_ended_unanswered_take_no_memory_for_ever() {
        let leases = Leases::default();
        let attempt = |number: u64| {
            let key = CommandKey::try_from(&*format!("ada/{number}")).unwrap();
            Attempt::new(key).lease(Duration::from_millis(10))
        };
        for number in 0..100_000 {
            assert!(leases.claim(attempt(number), number).is_ok());
        }
        assert!(leases.0.lock().held.len() <= FEW);
    }
}
