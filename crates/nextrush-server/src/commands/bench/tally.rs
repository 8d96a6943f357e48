//! Counts of messages that were sent and received.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::stamp::Stamp;

/// The longest latency that is recorded, in microseconds: a minute.
const LONGEST: u64 = 60_000_000;

/// The counts of all connections.
#[derive(Debug)]
pub(super) struct Tally {
    /// Messages sent, by sender.
    sent: HashMap<u32, u32>,
    received: u64,
    repeated: u64,
    reordered: u64,
    missed: u64,
    latency: Histogram<u64>,
    lost: BTreeMap<String, u32>,
}

/// The messages that a connection has received, by sender.
#[derive(Debug, Default)]
pub(super) struct Heard(HashMap<u32, Sequence>);

/// The messages that have come from a sender.
#[derive(Debug)]
struct Sequence {
    /// The lowest number received. Lower ones are not missed: the connection may have joined
    /// later, as an endpoint may let it into a room only after the handshake.
    first: u32,
    next: u32,
    /// Numbers that were passed over and may still come.
    missing: Vec<u32>,
}

/// The figures of a report.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) repeated: u64,
    pub(super) reordered: u64,
    pub(super) missed: u64,
    pub(super) latency: Histogram<u64>,
    pub(super) lost: BTreeMap<String, u32>,
}

impl Tally {
    /// Messages sent and received.
    pub(super) fn totals(&self) -> (u64, u64) {
        let sent = self.sent.values().copied().map(u64::from).sum();
        (sent, self.received)
    }

    pub(super) fn sent(&mut self, sender: u32) {
        *self.sent.entry(sender).or_default() += 1;
    }

    /// Notes a message at the moment `now` of the test's clock.
    pub(super) fn received(&mut self, heard: &mut Heard, stamp: Stamp, now: Duration) {
        let sequence = heard.0.entry(stamp.sender).or_insert(Sequence {
            first: stamp.sequence,
            next: stamp.sequence,
            missing: Vec::new(),
        });
        if stamp.sequence >= sequence.next {
            sequence.missing.extend(sequence.next..stamp.sequence);
            sequence.next = stamp.sequence.saturating_add(1);
        } else if let Some(at) = sequence
            .missing
            .iter()
            .position(|&one| one == stamp.sequence)
        {
            sequence.missing.swap_remove(at);
            self.reordered += 1;
        } else if stamp.sequence < sequence.first {
            sequence.missing.extend(stamp.sequence + 1..sequence.first);
            sequence.first = stamp.sequence;
            self.reordered += 1;
        } else {
            self.repeated += 1;
            return;
        }
        self.received += 1;
        let latency = now.saturating_sub(stamp.due).as_micros();
        self.latency
            .saturating_record(u64::try_from(latency).unwrap_or(LONGEST));
    }

    /// Counts a connection that ended before the test.
    pub(super) fn lost(&mut self, reason: String) {
        *self.lost.entry(reason).or_default() += 1;
    }

    /// Counts the messages that a closed connection has missed: after the first message of a
    /// sender it should have received all further ones.
    pub(super) fn close(&mut self, heard: Heard) {
        for (sender, sequence) in heard.0 {
            let sent = self.sent.get(&sender).copied().unwrap_or_default();
            let behind = sent.saturating_sub(sequence.next);
            self.missed += u64::from(behind) + sequence.missing.len() as u64;
        }
    }

    pub(super) fn into_totals(self) -> Totals {
        let (sent, received) = self.totals();
        Totals {
            sent,
            received,
            repeated: self.repeated,
            reordered: self.reordered,
            missed: self.missed,
            latency: self.latency,
            lost: self.lost,
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            sent: HashMap::new(),
            received: 0,
            repeated: 0,
            reordered: 0,
            missed: 0,
            latency: Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order"),
            lost: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hears_a_sender_should_hear_all_that_follows_once_and_in_order() {
        for (heard_sequences, [missed, repeated, reordered]) in [
            (&[0, 1, 2][..], [0, 0, 0]),
            (&[], [0, 0, 0]),
            (&[1, 2], [0, 0, 0]),
            (&[0, 2], [1, 0, 0]),
            (&[2, 0], [1, 0, 1]),
            (&[0], [2, 0, 0]),
            (&[0, 1, 1, 2], [0, 1, 0]),
            (&[0, 2, 1], [0, 0, 1]),
        ] {
            let mut tally = Tally::default();
            (0..3).for_each(|_| tally.sent(5));
            let mut heard = Heard::default();
            for &sequence in heard_sequences {
                let stamp = Stamp {
                    sender: 5,
                    sequence,
                    due: Duration::ZERO,
                };
                tally.received(&mut heard, stamp, Duration::from_millis(1));
            }
            tally.close(heard);
            let totals = tally.into_totals();
            assert_eq!(
                [totals.missed, totals.repeated, totals.reordered],
                [missed, repeated, reordered],
                "{heard_sequences:?}"
            );
        }
    }
}
