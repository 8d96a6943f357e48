//! Measures WebSocket servers from outside, in turn, doing the same work.

mod compare;
mod dialect;
mod error;
mod ledger;
mod outcome;
mod pool;
mod process;
mod report;
mod scenario;
mod server;
mod stamp;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::compare::Comparison;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::report::{Report, Side};
use crate::scenario::{Scenario, Settings};
use crate::server::Target;

/// Measures WebSocket servers from outside, in turn, doing the same work.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts servers of servers.toml in turn, A B A B, and compares what they cost.
    Compare(Comparison),
    /// Measures a server that runs already, for instance under a profiler.
    Measure {
        /// The scenario to measure.
        scenario: Scenario,
        /// The address that the server listens on.
        addr: SocketAddr,
        /// Its process, for CPU time and memory.
        #[arg(long)]
        pid: Option<u32>,
        /// The core of the generator.
        #[arg(long, default_value_t = 1)]
        load_core: usize,
        #[command(flatten)]
        settings: Settings,
    },
    /// Lists the servers of servers.toml.
    List,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nextrush-load: {}", error.with_causes());
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    process::raise_descriptors();
    match command {
        Command::Compare(comparison) => comparison.run(),
        Command::Measure {
            scenario,
            addr,
            pid,
            load_core,
            settings,
        } => {
            process::pin(load_core)?;
            let target = Target {
                addr,
                pid,
                dialect: Dialect::default(),
            };
            let outcome = scenario.run(target, &settings)?;
            let side = Side {
                name: addr.to_string(),
                version: None,
            };
            print!(
                "{}",
                Report::new(scenario.name(), vec![side], &[vec![outcome]], Vec::new()).to_text()
            );
            Ok(())
        }
        Command::List => {
            for (name, entry) in server::entries()? {
                println!("{name:24}{}", entry.about);
                println!("{:24}{}", "", entry.scenarios.join(", "));
            }
            Ok(())
        }
    }
}
