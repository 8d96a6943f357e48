//! The metrics as they are written, one after the other.

use std::fmt;
use std::time::Duration;

use nextrush::metrics::{Durations, TurnTimes};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// The labels of a series, with their values.
pub(super) type Labels<'a> = [(&'a str, &'a str)];

/// Writes metrics.
pub(super) struct Exposition<'a>(pub(super) DescriptorEncoder<'a>);

/// A metric's name without the prefix, the unit and the suffix of its type, its unit, and what
/// it is about.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) help: &'static str,
}

/// A metric without a unit.
pub(super) const fn plain(name: &'static str, help: &'static str) -> Metric {
    let unit = None;
    Metric { name, unit, help }
}

/// A metric in bytes.
pub(super) const fn bytes(name: &'static str, help: &'static str) -> Metric {
    let unit = Some(Unit::Bytes);
    Metric { name, unit, help }
}

/// A metric in seconds.
pub(super) const fn seconds(name: &'static str, help: &'static str) -> Metric {
    let unit = Some(Unit::Seconds);
    Metric { name, unit, help }
}

impl Exposition<'_> {
    fn begin<'s>(
        &'s mut self,
        metric: &'s Metric,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        let Metric { name, unit, help } = metric;
        self.0.encode_descriptor(name, help, unit.as_ref(), kind)
    }

    pub(super) fn counter(&mut self, metric: Metric, count: u64) -> fmt::Result {
        self.begin(&metric, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, f64>(&count, None)
    }

    pub(super) fn gauge(&mut self, metric: Metric, value: f64) -> fmt::Result {
        self.begin(&metric, MetricType::Gauge)?.encode_gauge(&value)
    }

    pub(super) fn info(&mut self, metric: Metric, labels: &Labels<'_>) -> fmt::Result {
        self.begin(&metric, MetricType::Info)?.encode_info(&labels)
    }

    /// Writes counters with labels.
    pub(super) fn counters<'l, L: AsRef<Labels<'l>>>(
        &mut self,
        metric: Metric,
        series: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut encoder = self.begin(&metric, MetricType::Counter)?;
        series.into_iter().try_for_each(|(labels, count)| {
            let labels = labels.as_ref();
            encoder
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&count, None)
        })
    }

    /// Writes gauges with labels.
    pub(super) fn gauges<'l, L: AsRef<Labels<'l>>>(
        &mut self,
        metric: Metric,
        series: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let mut encoder = self.begin(&metric, MetricType::Gauge)?;
        series.into_iter().try_for_each(|(labels, value)| {
            let labels = labels.as_ref();
            encoder.encode_family(&labels)?.encode_gauge(&value)
        })
    }

    /// Writes the times of turns.
    pub(super) fn turns(&mut self, metric: Metric, turns: &TurnTimes) -> fmt::Result {
        let mut before = 0;
        let mut steps = Vec::with_capacity(TURNS.len() + 1);
        for end in TURNS.map(Duration::from_micros) {
            let within = turns.ended_within(end);
            steps.push((end.as_secs_f64(), within - before));
            before = within;
        }
        let count = turns.count();
        steps.push((f64::INFINITY, count - before));
        let sum = turns.total().as_secs_f64();
        self.begin(&metric, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum, count, &steps, None)
    }

    pub(super) fn durations(&mut self, metric: Metric, durations: &Durations) -> fmt::Result {
        let encoder = self.begin(&metric, MetricType::Histogram)?;
        write(encoder, durations)
    }

    /// Writes durations with labels.
    pub(super) fn all_durations<'l, 'd, L: AsRef<Labels<'l>>>(
        &mut self,
        metric: Metric,
        series: impl IntoIterator<Item = (L, &'d Durations)>,
    ) -> fmt::Result {
        let mut encoder = self.begin(&metric, MetricType::Histogram)?;
        series.into_iter().try_for_each(|(labels, durations)| {
            let labels = labels.as_ref();
            write(encoder.encode_family(&labels)?, durations)
        })
    }
}

/// The ends of the steps of turns in microseconds: those that turns are counted by exactly.
const TURNS: [u64; 10] = [
    64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
];

fn write(mut encoder: MetricEncoder<'_>, durations: &Durations) -> fmt::Result {
    let end = |end: Option<Duration>| end.map_or(f64::INFINITY, |end| end.as_secs_f64());
    let steps: Vec<_> = durations
        .steps()
        .map(|(step, count)| (end(step), count))
        .collect();
    let sum = durations.sum().as_secs_f64();
    encoder.encode_histogram::<NoLabelSet>(sum, durations.count(), &steps, None)
}
