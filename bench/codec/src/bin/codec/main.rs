//! Tables of what messages cost, in instructions or in time.
//!
//! ```sh
//! cargo run --release -- instructions
//! cargo run --release -- times --only text/64B
//! ```

mod instructions;
mod table;
mod times;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nextrush_bench_codec::{CODECS, Coding, DEFLATING, Named, Work, codecs};

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
        /// The number of turns that each codec has.
        #[arg(long, default_value_t = 25)]
        repetitions: usize,
    },
    /// Do some work with one codec, to watch it with a profiler.
    Run {
        /// The codec that does the work.
        #[arg(value_parser = codec)]
        codec: Named,
        /// The work, by its name.
        work: Work,
        /// The number of messages.
        count: usize,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Instructions { only } => for_each_coding(&only, instructions::print),
        Command::Times { only, repetitions } => for_each_coding(&only, |codecs, works| {
            times::print(codecs, works, repetitions)
        }),
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

/// Prints a table for each coding that has some of the work whose name contains `only`.
fn for_each_coding(
    only: &str,
    print: impl Fn(&[Named], &[Work]) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for coding in [Coding::Plain, Coding::Deflate] {
        let mut works = Work::all();
        works.retain(|work| work.coding == coding && work.to_string().contains(only));
        if !works.is_empty() {
            print(codecs(coding), &works)?;
        }
    }
    Ok(())
}

fn codec(name: &str) -> Result<Named, String> {
    let all = || CODECS.iter().chain(&DEFLATING);
    let found = all().find(|codec| codec.name == name);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = all().map(|codec| codec.name).collect();
        format!("no codec is named {name}: {}", names.join(", "))
    })
}
