//! Measures what several nodes cost their Redis and each other, beside the budgets.
//!
//! ```sh
//! cargo run --release --manifest-path bench/nodes/Cargo.toml [redis-server]
//! ```
//!
//! It starts the server program of that name or path (`redis-server`) with nothing on the disk, and
//! prints a line for each budget. The time of the server's own core hardly depends on
//! what else the machine does; lines marked with `*` are of the clock and want a quiet machine.

mod engine;
mod nodes;
mod publishing;
mod requests;
mod table;

use std::error::Error;

use crate::engine::Engine;
use crate::table::Table;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let program = std::env::args().nth(1);
    let program = program.unwrap_or_else(|| "redis-server".to_owned());
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let first = Engine::start(&program).await?;
    println!("{}, load average {}", first.version().await?, load.trim());
    // Each has a server of its own, whose counts are of nothing else.
    let engine = async || Engine::start(&program).await;
    let mut table = Table::begin();
    publishing::memory_of_topics(&first, &mut table).await?;
    publishing::time_of_the_server(&engine().await?, &mut table).await?;
    requests::time_of_the_server(&engine().await?, &mut table).await?;
    publishing::time_of_a_node(&engine().await?, &mut table).await?;
    nodes::delivery(&engine().await?, &mut table).await?;
    nodes::returning(&engine().await?, &mut table).await?;
    nodes::many_topics(&engine().await?, &mut table).await?;
    Ok(())
}
