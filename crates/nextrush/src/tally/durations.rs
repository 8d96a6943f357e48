//! Counts of how long something took.

use std::time::Duration;

const fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// The number of steps. The length of `BOUNDS` in its place sends the compiler in a circle where it optimises: it
/// asks for the body of [`micros`] in order to know the type.
const STEPS: usize = 16;
/// The ends of the steps.
const BOUNDS: [Duration; STEPS] = [
    micros(100),
    micros(500),
    micros(1_000),
    micros(2_500),
    micros(5_000),
    micros(10_000),
    micros(25_000),
    micros(50_000),
    micros(100_000),
    micros(250_000),
    micros(500_000),
    micros(1_000_000),
    micros(2_500_000),
    micros(5_000_000),
    micros(10_000_000),
    micros(30_000_000),
];

/// The durations of something that was done many times, counted in 16 steps from 100 µs to 30 s.
///
/// ```
/// # fn example(app: &nextrush::Handle) {
/// let publishing = app.metrics().publishing;
/// let all = publishing.count();
/// let slow: u64 = publishing.steps().filter(|(end, _)| end.is_none_or(|end| end.as_secs() >= 1)).map(|(_, count)| count).sum();
/// println!("{slow} of {all} publications took longer than a half second");
/// # }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Durations {
    steps: [u64; STEPS],
    longer: u64,
    sum: Duration,
}

impl Durations {
    /// The number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.steps.iter().sum::<u64>() + self.longer
    }

    /// All durations together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The steps: the longest duration of each, and how many there are that are longer than the step
    /// before. The last step has no end.
    pub fn steps(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        BOUNDS
            .into_iter()
            .map(Some)
            .chain([None])
            .zip(self.steps.into_iter().chain([self.longer]))
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        let step = BOUNDS.partition_point(|end| *end < duration);
        *self.steps.get_mut(step).unwrap_or(&mut self.longer) += 1;
        self.sum = self.sum.saturating_add(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_step_that_it_is_not_longer_than() {
        let mut durations = Durations::default();
        for duration in [micros(0), micros(100), micros(101), micros(30_000_001)] {
            durations.add(duration);
        }
        let counted: Vec<_> = durations.steps().filter(|(_, count)| *count > 0).collect();
        let expected = [(Some(micros(100)), 2), (Some(micros(500)), 1), (None, 1)];
        assert_eq!(counted, expected);
        assert_eq!(durations.count(), 4);
        assert_eq!(durations.sum(), micros(30_000_202));
    }
}
