//! Tables of what messages cost, in instructions or in time.
//!
//! ```sh
//! cargo run --release -- instructions
//! cargo run --release -- times --only text/64B
//! ```

mod instructions;
mod table;
mod times;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nextrush_bench_codec::{CODECS, Named, Work};

/// The cost of WebSocket messages in nextrush-protocol and in its peers.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count instructions per message with valgrind, which must be installed.
    Instructions {
        /// Only work whose name contains this.
        #[arg(long, default_value = "text/64B")]
        only: String,
    },
    /// Measure CPU time per message, all codecs in turn.
    Times {
        /// Only work whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
        /// How often each codec has its turn.
        #[arg(long, default_value_t = 25)]
        repetitions: usize,
    },
    /// Do some work with one codec, to watch it with a profiler.
    Run {
        /// Who does it.
        #[arg(value_parser = codec)]
        codec: Named,
        /// What is to be done.
        work: Work,
        /// How many messages.
        count: usize,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Instructions { only } => instructions::print(&works(&only)),
        Command::Times { only, repetitions } => times::print(&works(&only), repetitions),
        Command::Run { codec, work, count } => {
            (codec.job)(&work).run(count);
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("codec: {error}");
            ExitCode::FAILURE
        }
    }
}

fn works(only: &str) -> Vec<Work> {
    let mut works = Work::all();
    works.retain(|work| work.to_string().contains(only));
    works
}

fn codec(name: &str) -> Result<Named, String> {
    let found = CODECS.into_iter().find(|codec| codec.name == name);
    found.ok_or_else(|| {
        format!(
            "no codec is named {name}: {}",
            CODECS.map(|it| it.name).join(", ")
        )
    })
}
