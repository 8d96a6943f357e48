//! `nextrush doctor`: looks for what will go wrong.

mod finding;
mod machine;
mod public;
mod server;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use self::finding::Level;
use crate::client::ServerUrl;
use crate::config::Reading;
use crate::settings::{Environment, Flags};

/// Looks at the machine and the configuration for what will go wrong, and says what to do.
///
/// Each line is ok, warn or fail. The exit code is 1 if one is fail. Run it as the user of the
/// server, with the server's environment and flags. Nothing is changed.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Doctor {
    /// The address at which clients reach the server, through all proxies, as `https://example.com`.
    ///
    /// Its version is asked for, and a WebSocket opened, as a page of that address would.
    #[arg(long, value_name = "URL")]
    pub url: Option<ServerUrl>,

    /// The settings of the server.
    #[command(flatten)]
    pub flags: Flags,
}

impl Doctor {
    /// Looks, and writes a line for each finding. The exit code is a failure if something fails.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub async fn run(&self, mut output: impl Write) -> io::Result<ExitCode> {
        let reading = Reading::of(&self.flags, &Environment::of_process());
        let mut findings = server::configuration(&reading);
        if let Some(config) = &reading.config {
            findings.push(server::secret(config));
            findings.extend(server::ports(config).await);
            findings.extend(server::store(config));
        }
        findings.extend(machine::files());
        findings.push(machine::clock());
        findings.extend(machine::kernel());
        if let Some(url) = &self.url {
            findings.extend(public::reach(url).await);
        }
        for finding in &findings {
            write!(output, "{finding}")?;
        }
        let worst = findings.iter().map(|finding| finding.level).max();
        Ok(match worst {
            Some(Level::Fail) => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        })
    }
}
