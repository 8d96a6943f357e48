//! Rounds of several servers side by side.

use std::fmt::Write as _;

use serde::Serialize;

use crate::outcome::Outcome;

/// A comparison.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The name of the scenario.
    pub scenario: &'static str,
    /// The servers that took part; ratios are to the first.
    pub servers: Vec<Side>,
    /// The figures.
    pub rows: Vec<Row>,
    /// The runs that have none.
    pub failures: Vec<Failure>,
}

/// A run that failed.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// The server's name.
    pub server: String,
    /// The round, from 1.
    pub round: usize,
    /// The error, with its causes.
    pub reason: String,
}

/// A server that took part.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// Its name in `servers.toml`.
    pub name: String,
    /// The server's version, as its entry gives it.
    pub version: Option<String>,
}

/// A figure of all servers.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The name of what was measured.
    pub figure: String,
    /// Its unit.
    pub unit: &'static str,
    /// By server; `None` where it was not measured.
    pub servers: Vec<Option<Cell>>,
}

/// A figure of one server.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// The middle of the rounds.
    pub median: f64,
    /// The median of the rounds' ratios to the first server.
    pub ratio: Option<f64>,
    /// All rounds.
    pub rounds: Vec<f64>,
}

impl Report {
    /// Puts the outcomes together: `rounds[round][server]`.
    pub fn new(
        scenario: &'static str,
        servers: Vec<Side>,
        rounds: &[Vec<Outcome>],
        failures: Vec<Failure>,
    ) -> Self {
        let mut names: Vec<(&str, &'static str)> = Vec::new();
        for figure in rounds.iter().flatten().flat_map(|outcome| &outcome.figures) {
            if !names.iter().any(|(name, _)| *name == figure.name) {
                names.push((&figure.name, figure.unit));
            }
        }
        let rows = names.into_iter().map(|(figure, unit)| Row {
            figure: figure.to_owned(),
            unit,
            servers: (0..servers.len())
                .map(|server| Cell::new(rounds, server, figure))
                .collect(),
        });
        Self {
            scenario,
            rows: rows.collect(),
            servers,
            failures,
        }
    }

    /// A table to read.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.scenario);
        let width = self.rows.iter().map(|row| row.figure.chars().count()).max();
        let width = width.unwrap_or_default() + 3;
        let column = |server: &Side| server.name.len().max(20) + 2;
        let _ = write!(text, "{:width$}", "");
        for server in &self.servers {
            let _ = write!(text, "{:>1$}", server.name, column(server));
        }
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "{:width$}", format!("{} {}", row.figure, row.unit));
            for (cell, server) in row.servers.iter().zip(&self.servers) {
                let shown = cell.as_ref().map_or_else(|| "-".to_owned(), Cell::to_text);
                let _ = write!(text, "{shown:>0$}", column(server));
            }
            text.push('\n');
        }
        for failure in &self.failures {
            let Failure {
                server,
                round,
                reason,
            } = failure;
            let _ = writeln!(text, "FAILED {server} in round {round}: {reason}");
        }
        text
    }
}

impl Cell {
    fn new(rounds: &[Vec<Outcome>], server: usize, figure: &str) -> Option<Self> {
        let of = |round: &Vec<Outcome>, server: usize| round.get(server)?.value(figure);
        let values: Vec<f64> = rounds
            .iter()
            .filter_map(|round| of(round, server))
            .collect();
        let ratios: Vec<f64> = rounds
            .iter()
            .filter_map(|round| Some(of(round, server)? / of(round, 0)?))
            .filter(|ratio| ratio.is_finite())
            .collect();
        Some(Self {
            median: median(&values)?,
            ratio: median(&ratios),
            rounds: values,
        })
    }

    fn to_text(&self) -> String {
        let digits = if self.median.abs() < 10.0 { 2 } else { 0 };
        match self.ratio {
            Some(ratio) => format!("{:.digits$} ({ratio:.2}×)", self.median),
            None => format!("{:.digits$}", self.median),
        }
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], upper)
    } else {
        upper
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() {
        let outcome = |value| {
            let mut outcome = Outcome::default();
            outcome.note("CPU", "ns", value);
            outcome
        };
        let side = |name: &str| Side {
            name: name.to_owned(),
            version: None,
        };
        let rounds = [
            vec![outcome(10.0), outcome(20.0)],
            vec![outcome(100.0), outcome(150.0)],
            vec![outcome(20.0), outcome(60.0)],
        ];
        let report = Report::new("echo", vec![side("a"), side("b")], &rounds, Vec::new());
        let cell = report.rows[0].servers[1].as_ref().unwrap();
        assert_eq!((cell.median, cell.ratio), (60.0, Some(2.0)));
        assert_eq!(median(&[1.0, 4.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
