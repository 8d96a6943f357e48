//! The metrics of an engine: counts of its shards, and the times of their turns.
//!
//! Each shard counts in plain numbers of its own and shows them once a turn, on cache
//! lines that it alone writes: counting has no cost that can be measured.

use std::ops::{Add, AddAssign};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The counts of an [`Engine`](crate::Engine) since its start, and what it holds now.
///
/// Each shard shows its figures at the end of a turn, so those of two shards may be one turn
/// apart.
///
/// ```
/// use nextrush_engine::{EngineConfig, Engine};
///
/// let engine = Engine::new(EngineConfig::default());
/// let before = engine.metrics().total();
/// // … some time later:
/// let now = engine.metrics().total();
/// let sent = now.counts.messages_out - before.counts.messages_out;
/// let slowest = now.turns.since(&before.turns).max();
/// # assert_eq!((sent, slowest), (0, None));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EngineMetrics {
    /// The figures of each shard.
    pub shards: Vec<ShardMetrics>,
}

impl EngineMetrics {
    /// The figures of all shards together.
    #[must_use]
    pub fn total(&self) -> ShardMetrics {
        let mut total = ShardMetrics::default();
        for shard in &self.shards {
            total.counts += shard.counts;
            total.turns += &shard.turns;
        }
        total
    }
}

/// The figures of one shard, or of several together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShardMetrics {
    /// The counts.
    pub counts: Counts,
    /// The times of the turns. Empty on the simulated network, where a turn takes no time.
    pub turns: TurnTimes,
}

/// Makes two structs of one list of counts: numbers, and the atomics that show them.
macro_rules! counts {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// The counts of a shard. Those that say "now" go up and down; the others only rise.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        #[non_exhaustive]
        pub struct Counts {
            $($(#[$doc])+ pub $name: u64,)+
        }

        /// The counts, to be read by other threads.
        #[derive(Default)]
        struct Shown {
            $($name: AtomicU64,)+
        }

        impl Shown {
            fn show(&self, counts: &Counts) {
                $(self.$name.store(counts.$name, Ordering::Relaxed);)+
            }

            fn read(&self) -> Counts {
                Counts {
                    $($name: self.$name.load(Ordering::Relaxed),)+
                }
            }
        }

        impl AddAssign for Counts {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

counts! {
    /// Connections now, closing ones included.
    connections,
    /// Connections that were accepted.
    accepted,
    /// Messages that clients sent.
    messages_in,
    /// Bytes that were read; those of TLS after decryption.
    bytes_in,
    /// Messages that were sent to clients, each counted once for every client.
    messages_out,
    /// Bytes that were written; those of TLS before encryption.
    bytes_out,
    /// Publications of rooms that were sent to members, each counted once for every member. What a
    /// member that lagged is sent later is not among them.
    deliveries,
    /// Connections now with a backlog: bytes that the kernel does not take.
    waiting,
    /// Bytes in these backlogs now. Bytes that the kernel has taken do not count, whether the
    /// client has read them or not.
    backlog_bytes,
    /// Connections that were closed as slow readers.
    slow_readers_closed,
    /// Connections now that lag in at least one room, as they read too slowly; see
    /// [`Room::publish_skippable`](crate::Room::publish_skippable).
    lagging,
    /// Lags that connections have begun in their rooms.
    lags,
}

impl Add for Counts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// The steps of each doubling of a time.
const SHARES: u64 = 8;
/// The number of steps: for turns of up to 2²⁶ µs, 67 s, as which longer ones are counted.
const STEPS: usize = 192;

/// The times that turns took, counted in steps from 1 µs on, each at most an eighth longer than
/// the one before: any time that is asked for is at most that much too long.
///
/// A shard does one turn at a time: whatever comes meanwhile waits for its end.
#[derive(Clone, Eq, PartialEq)]
pub struct TurnTimes(Box<[u64; STEPS]>);

impl TurnTimes {
    /// The number of turns.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time within which this share of the turns ended, from 0 to 1; `None` without a turn.
    ///
    /// ```
    /// # let times = nextrush_engine::TurnTimes::default();
    /// let usual = times.within(0.5);
    /// let almost_all = times.within(0.99);
    /// # assert_eq!((usual, almost_all), (None, None));
    /// ```
    #[must_use]
    pub fn within(&self, share: f64) -> Option<Duration> {
        // Saturates, and is 0 for NaN.
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let mut steps = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        let found = steps.find(|(_, count)| {
            seen += **count;
            seen >= wanted
        });
        found.map(|(step, _)| end_of(step))
    }

    /// The time of the longest turn; `None` without a turn.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        self.0.iter().rposition(|count| *count > 0).map(end_of)
    }

    /// The number of turns that ended within a duration. Exact where the duration is 8 µs, doubled
    /// any number of times; for others it leaves out those of the last step before.
    #[must_use]
    pub fn ended_within(&self, duration: Duration) -> u64 {
        let steps = self.0.iter().enumerate();
        let ended = steps.take_while(|(step, _)| end_of(*step) <= duration);
        ended.map(|(_, count)| count).sum()
    }

    /// The time that all turns took together, give or take a sixteenth.
    #[must_use]
    pub fn total(&self) -> Duration {
        let steps = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        let nanos = steps.map(|(step, count)| {
            let begin = step.checked_sub(1).map_or(Duration::ZERO, end_of);
            let middle = (begin + end_of(step)) / 2;
            u128::from(*count) * middle.as_nanos()
        });
        let nanos = u64::try_from(nanos.sum::<u128>()).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos)
    }

    /// The turns that came after an earlier look at the same shards.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        for (count, before) in since.0.iter_mut().zip(&*earlier.0) {
            *count = count.saturating_sub(*before);
        }
        since
    }
}

impl Default for TurnTimes {
    fn default() -> Self {
        Self(Box::new([0; STEPS]))
    }
}

impl AddAssign<&Self> for TurnTimes {
    fn add_assign(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(&*other.0) {
            *count += more;
        }
    }
}

impl std::fmt::Debug for TurnTimes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnTimes")
            .field("count", &self.count())
            .field("p50", &self.within(0.5))
            .field("p99", &self.within(0.99))
            .field("max", &self.max())
            .finish()
    }
}

/// The step in which a duration is counted.
fn step_of(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if micros < SHARES {
        return micros as usize;
    }
    let doublings = micros.ilog2() - SHARES.ilog2();
    let share = (micros >> doublings) - SHARES;
    let step = SHARES * u64::from(doublings + 1) + share;
    (step as usize).min(STEPS - 1)
}

/// The end of a step: the shortest duration that is too long for it.
fn end_of(step: usize) -> Duration {
    let step = step as u64;
    let micros = match step.checked_sub(SHARES) {
        None => step + 1,
        Some(above) => (above % SHARES + SHARES + 1) << (above / SHARES),
    };
    Duration::from_micros(micros)
}

/// The figures that one shard shows. Aligned, so that the shards' writes do not wait for each
/// other: to 128 bytes, as cache lines come in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Board {
    counts: Shown,
    turns: Steps,
    /// The bytes of all backlogs that single clients alone are sent.
    own_bytes: AtomicU64,
}

struct Steps([AtomicU64; STEPS]);

impl Default for Steps {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; STEPS])
    }
}

impl Board {
    /// Shows the counts. Only the shard's thread calls this.
    pub(crate) fn show(&self, counts: &Counts) {
        self.counts.show(counts);
    }

    /// Counts a turn. Only the shard's thread calls this.
    pub(crate) fn count_turn(&self, took: Duration) {
        let count = &self.turns.0[step_of(took)];
        // No other thread writes: what was read is still there.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Shows the bytes of all backlogs that single clients alone are sent.
    pub(crate) fn show_own_bytes(&self, bytes: u64) {
        self.own_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn own_bytes(&self) -> u64 {
        self.own_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self) -> ShardMetrics {
        let mut turns = TurnTimes::default();
        for (count, shown) in turns.0.iter_mut().zip(&self.turns.0) {
            *count = shown.load(Ordering::Relaxed);
        }
        ShardMetrics {
            counts: self.counts.read(),
            turns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn every_duration_is_below_the_end_of_its_step_and_not_below_that_of_the_one_before() {
        let near = |power: u32| [(1 << power) - 1, 1 << power, (1 << power) + 1];
        for duration in (0..26).flat_map(near).chain([9, 100, 12_345, 67_108_863]) {
            let step = step_of(micros(duration));
            assert!(micros(duration) < end_of(step), "{duration} µs");
            let before = step.checked_sub(1).map_or(Duration::ZERO, end_of);
            assert!(micros(duration) >= before, "{duration} µs");
        }
    }

    #[test]
    fn a_step_is_an_eighth_longer_than_what_it_holds_at_most() {
        for step in 8..STEPS {
            let (shortest, end) = (end_of(step - 1), end_of(step));
            assert!(end <= shortest + shortest / 8, "{step}");
        }
        assert_eq!(end_of(STEPS - 1), micros(1 << 26));
        assert_eq!(step_of(Duration::MAX), STEPS - 1);
    }

    #[test]
    fn the_times_of_turns_say_within_what_a_share_of_them_ended() {
        let board = Board::default();
        let before = board.read().turns;
        for _ in 0..98 {
            board.count_turn(micros(3));
        }
        board.count_turn(micros(1000));
        board.count_turn(Duration::from_millis(50));
        let turns = board.read().turns.since(&before);
        assert_eq!(turns.count(), 100);
        assert_eq!(turns.within(0.5), Some(micros(4)));
        assert_eq!(turns.within(0.99), Some(micros(1024)));
        assert_eq!(turns.max(), Some(micros(53_248)));
        assert_eq!(turns.within(1.0), turns.max());
        let within = |duration| turns.ended_within(micros(duration));
        assert_eq!(
            [within(2), within(8), within(1024), within(65_536)],
            [0, 98, 99, 100]
        );
        let total = turns.total().as_micros();
        assert!(
            (51_000 - 3_200..51_000 + 3_200).contains(&total),
            "{total} µs"
        );
        let later = board.read().turns.since(&turns);
        assert_eq!((later.count(), later.max()), (0, None));
        assert_eq!(later.within(0.5), None);
    }
}
