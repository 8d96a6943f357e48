//! Several servers in turn.

use std::fs;
use std::path::PathBuf;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::process;
use crate::report::{Failure, Report, Side};
use crate::scenario::{Scenario, Settings};
use crate::server::{self, Entry};

/// A comparison to be made.
#[derive(Debug, clap::Args)]
pub struct Comparison {
    /// The scenario to measure.
    scenario: Scenario,
    /// The servers to compare, by their names in servers.toml; ratios are to the first.
    #[arg(long, value_delimiter = ',', required = true)]
    servers: Vec<String>,
    /// The number of turns that each server has.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The core of the servers.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the generator.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Takes the servers as they were built before.
    #[arg(long)]
    no_build: bool,
    /// Writes all rounds to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

impl Comparison {
    /// Makes it and prints the result.
    ///
    /// # Errors
    ///
    /// If a server cannot be built or does not take part in the scenario; at the end if one
    /// failed.
    pub fn run(&self) -> Result<(), Error> {
        let entries = self.entries()?;
        let mut sides = Vec::new();
        for (name, entry) in self.servers.iter().zip(&entries) {
            if !self.no_build {
                eprintln!("building {name}");
                entry.build()?;
            }
            sides.push(Side {
                name: name.clone(),
                version: entry.version()?,
            });
        }
        process::pin(self.load_core)?;
        let mut rounds = Vec::new();
        let mut failures = Vec::new();
        for round in 1..=self.rounds {
            let mut outcomes = Vec::new();
            for (name, entry) in self.servers.iter().zip(&entries) {
                eprintln!("round {round} of {}: {name}", self.rounds);
                // The others go on without one that fails.
                let outcome = self.measure(entry).unwrap_or_else(|error| {
                    let reason = error.with_causes();
                    eprintln!("{name}: {reason}");
                    failures.push(Failure {
                        server: name.clone(),
                        round,
                        reason,
                    });
                    Outcome::default()
                });
                outcomes.push(outcome);
            }
            rounds.push(outcomes);
        }
        let report = Report::new(self.scenario.name(), sides, &rounds, failures);
        print!("{}", report.to_text());
        if let Some(path) = &self.json {
            let json = serde_json::to_string_pretty(&report)?;
            fs::write(path, json).map_err(Error::io(path.display().to_string()))?;
        }
        match report.failures.len() {
            0 => Ok(()),
            count => Err(Error::Failures(count)),
        }
    }

    fn measure(&self, entry: &Entry) -> Result<Outcome, Error> {
        let server = entry.start(self.server_core)?;
        self.scenario.run(server.target(), &self.settings)
    }

    fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut all = server::entries()?;
        let scenario = self.scenario.name();
        let mut take = |name: &String| {
            let entry = all.get_mut(name).cloned();
            let entry = entry.ok_or_else(|| Error::UnknownServer(name.clone()))?;
            if entry.scenarios.iter().any(|known| known == scenario) {
                Ok(entry)
            } else {
                Err(Error::NotFor {
                    server: name.clone(),
                    scenario,
                })
            }
        };
        self.servers.iter().map(&mut take).collect()
    }
}
