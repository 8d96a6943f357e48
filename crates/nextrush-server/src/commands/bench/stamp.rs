//! The numbers in a message: its sender, its place in their sequence, and its due time.

use std::time::{Duration, Instant};

use rand::RngCore;

/// The text before the numbers. An endpoint must leave both as they are.
const MARK: &[u8] = b"nextrush:";
/// The length of the numbers: run, sender and sequence with 8 hexadecimal digits each, the
/// time with 16.
const DIGITS: usize = 8 + 8 + 8 + 16;

/// The shortest message in bytes.
pub(super) const SHORTEST: usize = MARK.len() + DIGITS;

/// The clock and the number of one load test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    /// The number of the test, which tells its messages from those of another in the same room.
    run: u32,
}

/// The numbers of one message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    /// The number of the connection that sent it.
    pub(super) sender: u32,
    /// The number of the message among those of its sender, from 0.
    pub(super) sequence: u32,
    /// The time at which it should have been sent, on the test's clock.
    pub(super) due: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            run: rand::rng().next_u32(),
        }
    }

    pub(super) fn at(self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.start)
    }

    /// A text of `size` bytes with the numbers.
    pub(super) fn write(self, stamp: Stamp, size: usize) -> String {
        let Stamp {
            sender,
            sequence,
            due,
        } = stamp;
        let nanoseconds = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
        let run = self.run;
        let mut text = format!("nextrush:{run:08x}{sender:08x}{sequence:08x}{nanoseconds:016x}");
        let missing = size.saturating_sub(text.len());
        text.extend("abcdefghijklmnopqrstuvwxyz".chars().cycle().take(missing));
        text
    }

    /// The numbers in a message, whatever is around them; `None` if there are none of this
    /// test.
    pub(super) fn find(self, message: &[u8]) -> Option<Stamp> {
        let at = message
            .windows(MARK.len())
            .position(|window| window == MARK)?;
        let digits = message.get(at + MARK.len()..)?.get(..DIGITS)?;
        let digits = std::str::from_utf8(digits).ok()?;
        let number = |from: usize, to: usize| u64::from_str_radix(digits.get(from..to)?, 16).ok();
        let short = |from: usize| u32::try_from(number(from, from + 8)?).ok();
        (short(0)? == self.run).then_some(Stamp {
            sender: short(8)?,
            sequence: short(16)?,
            due: Duration::from_nanos(number(24, 40)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        sender: 0xabcd,
        sequence: u32::MAX,
        due: Duration::from_nanos(u64::MAX),
    };

    #[test]
    fn numbers_are_found_whatever_is_around_them() {
        let clock = Clock::start();
        for size in [SHORTEST, 64, 1000] {
            let text = clock.write(STAMP, size);
            assert_eq!(text.len(), size);
            assert_eq!(clock.find(text.as_bytes()), Some(STAMP));
            let wrapped = format!(r#"{{"text":"{text}","n":1}}"#);
            assert_eq!(clock.find(wrapped.as_bytes()), Some(STAMP));
        }
    }

    #[test]
    fn messages_of_others_are_passed_over() {
        let clock = Clock::start();
        let other = Clock {
            run: clock.run ^ 1,
            ..clock
        };
        let foreign = other.write(STAMP, 64);
        let cut = &clock.write(STAMP, 64)[..SHORTEST - 1];
        let nonsense = format!("nextrush:{}", "é".repeat(20));
        for message in [&foreign, cut, &nonsense, "Welcome!", ""] {
            assert_eq!(clock.find(message.as_bytes()), None, "{message}");
        }
    }
}
