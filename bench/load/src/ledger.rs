//! An account of the messages that should have arrived, and of those that did.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use crate::stamp::Stamp;

/// Counts what receivers hear of senders, in what order.
#[derive(Debug)]
pub struct Ledger {
    senders: usize,
    /// The next sequence, by receiver and sender.
    expected: Vec<u64>,
    /// Messages that were passed over and may still come: receiver and sender, sequence.
    missing: HashSet<(usize, u64)>,
    received: u64,
    doubled: u64,
    reordered: u64,
}

/// Messages that a server did not deliver once and in order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Faults {
    /// Sent and never received.
    pub lost: u64,
    /// Received once more.
    pub doubled: u64,
    /// Received after a later one of the same sender.
    pub reordered: u64,
}

impl Ledger {
    /// An account for `receivers` that each hear `senders`.
    pub fn new(receivers: usize, senders: usize) -> Self {
        Self {
            senders,
            expected: vec![0; receivers * senders],
            missing: HashSet::new(),
            received: 0,
            doubled: 0,
            reordered: 0,
        }
    }

    /// Notes a message. One whose sender the receiver should not hear counts as doubled.
    pub fn receive(&mut self, receiver: usize, stamp: Stamp) {
        let sender = stamp.sender as usize;
        if sender >= self.senders {
            self.doubled += 1;
            return;
        }
        let stream = receiver * self.senders + sender;
        let expected = self.expected[stream];
        if stamp.sequence == expected {
            self.expected[stream] += 1;
            self.received += 1;
        } else if stamp.sequence > expected {
            self.missing
                .extend((expected..stamp.sequence).map(|sequence| (stream, sequence)));
            self.expected[stream] = stamp.sequence + 1;
            self.received += 1;
        } else if self.missing.remove(&(stream, stamp.sequence)) {
            self.received += 1;
            self.reordered += 1;
        } else {
            self.doubled += 1;
        }
    }

    /// Messages received, each counted once.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The faults, if `sent` messages should have been received by now.
    pub fn faults(&self, sent: u64) -> Faults {
        Faults {
            lost: sent.saturating_sub(self.received),
            doubled: self.doubled,
            reordered: self.reordered,
        }
    }
}

impl Faults {
    /// Returns whether everything was delivered once and in order.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl std::ops::AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lost,
            doubled,
            reordered,
        } = self;
        write!(f, "{lost} lost, {doubled} doubled, {reordered} reordered")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(sequences: &[u64], sent: u64) -> Faults {
        let mut ledger = Ledger::new(2, 3);
        for &sequence in sequences {
            let stamp = Stamp {
                sender: 2,
                sequence,
                sent: 0,
            };
            ledger.receive(1, stamp);
        }
        ledger.faults(sent)
    }

    #[test]
    fn once_and_in_order_is_no_fault() {
        assert!(faults(&[0, 1, 2], 3).is_empty());
    }

    #[test]
    fn each_fault_has_a_name() {
        let fault = |lost, doubled, reordered| Faults {
            lost,
            doubled,
            reordered,
        };
        assert_eq!(faults(&[0, 2], 3), fault(1, 0, 0));
        assert_eq!(faults(&[0, 1], 3), fault(1, 0, 0));
        assert_eq!(faults(&[0, 1, 1, 2], 3), fault(0, 1, 0));
        assert_eq!(faults(&[0, 2, 1], 3), fault(0, 0, 1));
        assert_eq!(faults(&[2, 1, 1], 3), fault(1, 1, 1));
    }

    #[test]
    fn a_sender_that_should_not_be_heard_is_a_fault() {
        let mut ledger = Ledger::new(1, 1);
        let stamp = Stamp {
            sender: 1,
            sequence: 0,
            sent: 0,
        };
        ledger.receive(0, stamp);
        assert_eq!(ledger.faults(0).doubled, 1);
    }
}
