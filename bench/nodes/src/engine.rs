//! A Redis or Valkey for measurements, and what it counts.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nextrush_redis::{Redis, RedisOptions};
use redis::aio::MultiplexedConnection;
use redis::cmd;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::Outcome;

/// A server in memory. It ends with this.
#[derive(Debug)]
pub(crate) struct Engine {
    port: u16,
    _process: Child,
    _directory: TempDir,
    pub(crate) connection: MultiplexedConnection,
}

/// The work that a server had done at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    at: Instant,
    /// The time of its core, in microseconds.
    pub(crate) cpu_us: f64,
    pub(crate) commands: f64,
}

impl Engine {
    pub(crate) async fn start(program: &str) -> Outcome<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let directory = tempfile::tempdir()?;
        let process = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
        let begun = Instant::now();
        let connection = loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => break connection,
                Err(error) if begun.elapsed() > Duration::from_secs(30) => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        Ok(Self {
            port,
            _process: process,
            _directory: directory,
            connection,
        })
    }

    /// A node on this server.
    pub(crate) async fn node(&self) -> Outcome<Redis> {
        let url = format!("redis://127.0.0.1:{}", self.port).parse()?;
        Ok(Redis::with_options(&url, RedisOptions::default()).await?)
    }

    pub(crate) async fn ask(&self, words: &[&str]) -> Outcome<redis::Value> {
        let mut connection = self.connection.clone();
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        Ok(command.query_async(&mut connection).await?)
    }

    async fn info(&self, section: &str, name: &str) -> Outcome<String> {
        let info: String = redis::from_redis_value(self.ask(&["INFO", section]).await?)?;
        let value = info
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(value.ok_or_else(|| format!("no {name}"))?.trim().to_owned())
    }

    pub(crate) async fn number(&self, section: &str, name: &str) -> Outcome<f64> {
        Ok(self.info(section, name).await?.parse()?)
    }

    pub(crate) async fn version(&self) -> Outcome<String> {
        match self.info("server", "valkey_version").await {
            Ok(version) => Ok(format!("Valkey {version}")),
            Err(_) => Ok(format!(
                "Redis {}",
                self.info("server", "redis_version").await?
            )),
        }
    }

    pub(crate) async fn work(&self) -> Outcome<Work> {
        let user = self.number("cpu", "used_cpu_user").await?;
        let system = self.number("cpu", "used_cpu_sys").await?;
        Ok(Work {
            at: Instant::now(),
            cpu_us: (user + system) * 1e6,
            commands: self.number("stats", "total_commands_processed").await?,
        })
    }

    /// The time since, and the work that was done in it.
    pub(crate) async fn since(&self, before: Work) -> Outcome<(Duration, Work)> {
        let now = self.work().await?;
        let done = Work {
            at: now.at,
            cpu_us: now.cpu_us - before.cpu_us,
            // Less what was asked for the figures.
            commands: (now.commands - before.commands - 3.0).max(0.0),
        };
        Ok((now.at - before.at, done))
    }

    /// Forgets the times of commands.
    pub(crate) async fn forget_times(&self) -> Outcome<()> {
        self.ask(&["CONFIG", "RESETSTAT"]).await?;
        Ok(())
    }

    /// The time of a command in the server, each, since that was forgotten: in microseconds.
    pub(crate) async fn each_us(&self, command: &str) -> Outcome<f64> {
        let stats = self
            .info("commandstats", &format!("cmdstat_{command}"))
            .await?;
        let value = stats
            .split(',')
            .find_map(|field| field.strip_prefix("usec_per_call="));
        Ok(value.ok_or("no time of a command")?.parse()?)
    }
}
