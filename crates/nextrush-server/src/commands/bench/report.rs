//! The report of a load test.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Bench;
use super::tally::{Tally, Totals};

/// The width of the longest bar of the histogram.
const BAR: usize = 40;

/// The results of a load test. The program prints its `Display`.
#[derive(Debug)]
pub struct BenchReport {
    connections: u32,
    duration: Duration,
    totals: Totals,
}

impl BenchReport {
    pub(super) fn new(bench: &Bench, tally: Tally) -> Self {
        Self {
            connections: bench.connections,
            duration: bench.duration,
            totals: tally.into_totals(),
        }
    }

    /// Messages sent by all connections.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.totals.sent
    }

    /// Messages received by all connections, each counted for each receiver.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.totals.received
    }

    /// Messages that did not come to a connection that had received earlier ones of the sender.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.totals.missed
    }

    /// Messages that came to the same connection again.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.totals.repeated
    }

    /// Messages that came after a later one of the same sender.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.totals.reordered
    }

    /// Connections that ended before the test did, by the reason.
    #[must_use]
    pub fn lost(&self) -> &BTreeMap<String, u32> {
        &self.totals.lost
    }

    /// The latency that this share (0 to 1) of the received messages did not exceed, to a
    /// tenth of a percent; zero if nothing was received.
    #[must_use]
    pub fn latency(&self, part: f64) -> Duration {
        Duration::from_micros(self.totals.latency.value_at_quantile(part))
    }

    /// True if messages were received, each once and in order, and no connection was lost.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let Totals {
            received,
            repeated,
            reordered,
            missed,
            lost,
            ..
        } = &self.totals;
        *received > 0 && *repeated == 0 && *reordered == 0 && *missed == 0 && lost.is_empty()
    }
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals {
            sent,
            received,
            repeated,
            reordered,
            missed,
            lost,
            latency,
        } = &self.totals;
        let per_second = |count: u64| count as f64 / self.duration.as_secs_f64();
        writeln!(f, "{} connections, {:?}", self.connections, self.duration)?;
        writeln!(f)?;
        writeln!(
            f,
            "sent      {sent:>12}   {:>12.1} per second",
            per_second(*sent)
        )?;
        write!(
            f,
            "received  {received:>12}   {:>12.1} per second",
            per_second(*received)
        )?;
        writeln!(
            f,
            "   {:.1} for each sent",
            *received as f64 / (*sent).max(1) as f64
        )?;
        for (what, count) in [
            ("missed", missed),
            ("repeated", repeated),
            ("reordered", reordered),
        ] {
            if *count > 0 {
                writeln!(f, "{what:<10}{count:>12}")?;
            }
        }
        for (reason, count) in lost {
            writeln!(f, "lost      {count:>12}   {reason}")?;
        }
        if latency.is_empty() {
            return writeln!(f, "\nNothing that was sent came back.");
        }
        writeln!(f)?;
        let percentiles = [
            ("p50", 0.5),
            ("p90", 0.9),
            ("p99", 0.99),
            ("p99.9", 0.999),
            ("longest", 1.0),
        ];
        for (name, part) in percentiles {
            writeln!(
                f,
                "{name:<10}{:>12}",
                milliseconds(latency.value_at_quantile(part))
            )?;
        }
        writeln!(f)?;
        histogram(f, latency)
    }
}

/// A bar for each doubling of the latency.
fn histogram(f: &mut fmt::Formatter<'_>, latency: &Histogram<u64>) -> fmt::Result {
    let counts: Vec<(u64, u64)> = latency
        .iter_log(1, 2.0)
        .map(|step| {
            (
                step.value_iterated_to() + 1,
                step.count_since_last_iteration(),
            )
        })
        .skip_while(|(_, count)| *count == 0)
        .collect();
    let most = counts
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(1)
        .max(1);
    for (limit, count) in counts {
        let part = count as f64 / most as f64;
        // Even a single message has a bar.
        let length = ((part * BAR as f64).round() as usize).max(usize::from(count > 0));
        writeln!(
            f,
            "< {:<10}{count:>10} {}",
            milliseconds(limit),
            "█".repeat(length)
        )?;
    }
    Ok(())
}

fn milliseconds(microseconds: u64) -> String {
    let milliseconds = microseconds as f64 / 1000.0;
    let digits = match microseconds {
        0..10_000 => 3,
        10_000..100_000 => 2,
        _ => 1,
    };
    format!("{milliseconds:.digits$} ms")
}
