//! Puts the server program through what delivery promises, at full size: everybody comes
//! back at once, the server is replaced, one reader is slow, everything at once for an hour.
//! Fails when a message was lost, doubled or out of order.

mod api;
mod clients;
mod drain;
mod error;
mod follower;
mod hostile;
mod process;
mod returning;
mod server;
mod soak;
mod stream;
mod throttled;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;
use crate::server::Program;

/// Puts the server program through what delivery promises, at full size.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
    /// The server program; built from this repository if absent.
    #[arg(long, global = true)]
    server: Option<PathBuf>,
    /// Keeps what is published on disk, in a directory of its own.
    #[arg(long, global = true)]
    store: bool,
    /// The core that the server has to itself.
    #[arg(long, global = true)]
    server_core: Option<usize>,
    /// The core of the clients.
    #[arg(long, global = true)]
    load_core: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// All clients are cut, miss the same number of publications, and come back at once
    /// with their positions.
    Returning(returning::Settings),
    /// The server is told to stop while messages are published; another one takes over, and
    /// the clients come when they were told to.
    Drain(drain::Settings),
    /// Each hostile client in turn, and what a bystander's echo takes before, meanwhile and after.
    Hostile(hostile::Settings),
    /// Everything at once for an hour, and what it does to the server's memory.
    Soak(soak::Settings),
    /// A reader among many reads a hundredth of what it is sent, for a minute.
    Throttled(throttled::Settings),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nextrush-bench-delivery: {}", error.with_causes());
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    process::raise_descriptors();
    if let Some(core) = cli.load_core {
        process::pin(core)?;
    }
    let program = Program::new(cli.server, cli.store, cli.server_core)?;
    println!("load average at the start: {}", process::load_average()?);
    match cli.scenario {
        Scenario::Returning(settings) => returning::run(&program, &settings),
        Scenario::Drain(settings) => drain::run(&program, &settings),
        Scenario::Hostile(settings) => hostile::run(&program, &settings),
        Scenario::Soak(settings) => soak::run(&program, &settings),
        Scenario::Throttled(settings) => throttled::run(&program, &settings),
    }
}
