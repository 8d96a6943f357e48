//! `nextrush store`: looks into stores, moves them and backs them up.

mod error;
mod place;
mod report;

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::{HeaderMap, Method, header};
use nextrush::broker::{ExportCounts, ExportReader, ExportWriter, StoppedStore, StoreImport};
use nextrush_redis::RedisStore;
use serde::Deserialize;

use crate::client::{ClientError, ServerUrl, ask};
use crate::secret::{Secret, bearer};

pub use self::error::StoreError;
pub use self::place::{StoreDirectory, StorePlace};

/// A command about what a server keeps.
#[derive(Clone, Debug, Subcommand)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the program has to run every command"
)]
pub enum StoreCommand {
    /// Checks the store of a stopped server: what is damaged, and what is lost with it.
    ///
    /// Reads all of the store and changes nothing. The exit code is 1 if something is damaged.
    Check(StoreDirectory),
    /// Prints the sizes of the store of a stopped server, by kind and topic.
    Stats(StoreSizes),
    /// Rewrites the store of a stopped server without what has expired or was deleted.
    ///
    /// Needs room for its histories once more.
    Compact(StoreDirectory),
    /// Backs up the store of a running server into its --backup-dir, and prints the name.
    ///
    /// The server goes on meanwhile. A backup is a store: --store takes it.
    Backup(StoreBackup),
    /// Writes all that a store or a Redis holds to standard output, as lines of JSON.
    ///
    /// The store is that of a stopped server. Epochs, offsets, versions and keys go along, so that
    /// clients recover where it is imported. Presence does not.
    Export(StorePlace),
    /// Reads an export from standard input into an empty store or Redis.
    Import(StorePlace),
}

/// The arguments of `nextrush store stats`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct StoreSizes {
    /// The store.
    #[command(flatten)]
    pub directory: StoreDirectory,

    /// The number of topics that are named, the largest first.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub largest: usize,

    /// Prints one object of JSON.
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `nextrush store backup`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct StoreBackup {
    /// The server, as http://host:port.
    #[arg(long, env = "NEXTRUSH_URL", default_value = "http://localhost:3000")]
    pub url: ServerUrl,

    /// The key of the server's HTTP API.
    #[arg(long, env = "NEXTRUSH_API_KEY", hide_env_values = true)]
    pub api_key: Secret,
}

impl StoreCommand {
    /// Runs the command, which reads from `input` and writes to `output`, and notes to `notes`. The
    /// exit code is a failure if a store is damaged.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    pub async fn run(
        self,
        input: impl Read,
        mut output: impl Write + Send,
        mut notes: impl Write,
    ) -> Result<ExitCode, StoreError> {
        match self {
            Self::Check(directory) => {
                let directory = directory.find()?;
                let check = StoppedStore::check(&directory).map_err(of_store(&directory))?;
                output.write_all(report::check(&directory, &check).as_bytes())?;
                if !check.damages.is_empty() {
                    return Ok(ExitCode::FAILURE);
                }
            }
            Self::Stats(stats) => {
                let directory = stats.directory.find()?;
                let store = StoppedStore::open(&directory).map_err(of_store(&directory))?;
                let found = store.stats(stats.largest).map_err(of_store(&directory))?;
                let text = match stats.json {
                    true => report::stats_json(&found),
                    false => report::stats(&found),
                };
                output.write_all(text.as_bytes())?;
            }
            Self::Compact(directory) => {
                let directory = directory.find()?;
                let compacted = StoppedStore::compact(&directory).map_err(of_store(&directory))?;
                let [before, after] = [compacted.before, compacted.after].map(report::bytes);
                writeln!(
                    output,
                    "{} took {before} and takes {after}",
                    directory.display()
                )?;
            }
            Self::Backup(backup) => {
                let made = backup.ask().await?;
                writeln!(output, "{}", made.name)?;
                let Made {
                    topics,
                    publications,
                    bytes,
                    ..
                } = made;
                let bytes = report::bytes(bytes);
                writeln!(
                    notes,
                    "{topics} topics, {publications} publications, {bytes}"
                )?;
            }
            Self::Export(place) => {
                let counts = export(&place, output).await?;
                note(&mut notes, "exported", counts)?;
            }
            Self::Import(place) => {
                let counts = import(&place, BufReader::new(input)).await?;
                note(&mut notes, "imported", counts)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn note(notes: &mut impl Write, done: &str, counts: ExportCounts) -> io::Result<()> {
    let ExportCounts {
        topics,
        publications,
        ..
    } = counts;
    writeln!(
        notes,
        "{done} {topics} topics with {publications} publications"
    )
}

fn of_store(directory: &std::path::Path) -> impl Fn(nextrush::broker::OpenError) -> StoreError {
    |source| StoreError::Store {
        directory: directory.to_owned(),
        source,
    }
}

async fn export(place: &StorePlace, output: impl Write + Send) -> Result<ExportCounts, StoreError> {
    let mut writer = ExportWriter::new(BufWriter::new(output))?;
    match place.find()? {
        place::Found::Directory(directory) => {
            StoppedStore::open(&directory)
                .map_err(of_store(&directory))?
                .export(&mut writer)?;
        }
        place::Found::Redis(url, options) => {
            RedisStore::connect(&url, options)
                .await?
                .export(&mut writer)
                .await?;
        }
    }
    Ok(writer.finish()?.1)
}

async fn import(place: &StorePlace, input: impl io::BufRead) -> Result<ExportCounts, StoreError> {
    let mut reader = ExportReader::new(input);
    match place.find()? {
        place::Found::Directory(directory) => {
            let mut import = StoreImport::new(&directory).map_err(of_store(&directory))?;
            for item in &mut reader {
                import.add(item?).map_err(StoreError::Import)?;
            }
            import.finish().map_err(of_store(&directory))?;
        }
        place::Found::Redis(url, options) => {
            let store = RedisStore::connect(&url, options).await?;
            store.check_empty().await?;
            for item in &mut reader {
                store.import(item?).await.map_err(StoreError::Import)?;
            }
        }
    }
    Ok(reader.counts())
}

/// The answer of a server that has made a backup.
#[derive(Debug, Deserialize)]
struct Made {
    name: String,
    topics: u64,
    publications: u64,
    bytes: u64,
}

impl StoreBackup {
    /// Asks the server, which takes as long as it takes.
    async fn ask(&self) -> Result<Made, StoreError> {
        let target = self.url.at("/api/v1/backup");
        let key = bearer(&self.api_key).ok_or(StoreError::Key)?;
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, key)]);
        let answer = ask(Method::POST, &target, headers).await?;
        let refused = || ClientError::Refused {
            status: answer.status,
            body: String::from_utf8_lossy(&answer.body).trim().to_owned(),
        };
        match answer.status.is_success() {
            true => serde_json::from_slice(&answer.body).map_err(StoreError::Answer),
            false => Err(refused().into()),
        }
    }
}
