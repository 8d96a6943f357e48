//! The program `nextrush`.

mod log;
#[cfg(unix)]
mod service;

use std::env;
use std::io::{ErrorKind, IsTerminal as _, Write, stderr, stdin, stdout};
use std::process::ExitCode;

use clap::CommandFactory as _;
use nextrush::BoxError;
use nextrush::server::{BoundAddr, OpenSocket};
use nextrush_server::{
    Bench, Cli, Command, Config, ConfigError, Flags, apps, listen, listen_beside,
};

use self::log::Log;

#[tokio::main]
async fn main() -> ExitCode {
    let has_no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let log = Log::start(stderr(), stderr().is_terminal() && !has_no_colour);
    let code = match run(Cli::of_process(), log.as_ref().ok()).await {
        Ok(code) => code,
        Err(error) => {
            let config = error.downcast_ref::<ConfigError>();
            let is_usage = config.is_some_and(ConfigError::is_of_command_line);
            let mut message = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                message = format!("{message}: {cause}");
                source = cause.source();
            }
            let message = format!("nextrush: {}", without_controls(&message));
            match &log {
                Ok(log) => {
                    log.say(&message);
                    log.flush();
                }
                // It fails if nobody reads it; the exit code tells the same.
                Err(_) => drop(writeln!(stderr(), "{message}")),
            }
            return ExitCode::from(if is_usage { 2 } else { 1 });
        }
    };
    if let Ok(log) = log {
        log.flush();
    }
    code
}

/// The text without control characters: a server's words in an error must not act on a terminal.
fn without_controls(text: &str) -> String {
    let is_active = |character: char| character.is_control() && character != '\n';
    text.replace(is_active, "\u{fffd}")
}

async fn run(mut cli: Cli, log: Option<&Log>) -> Result<ExitCode, BoxError> {
    match cli.command.take() {
        Some(Command::Bench(bench)) => return load_test(&bench).await,
        Some(Command::Publish(publish)) => publish.run(stdin().lock(), stdout()).await?,
        Some(Command::Tail(tail)) => tail.run(stdout(), stderr()).await?,
        Some(Command::Token(token)) => token.run(stdout())?,
        Some(Command::Trace(trace)) => trace.run(stdout()).await?,
        Some(Command::Config(command)) => command.run(stdout(), stderr())?,
        Some(Command::Store(command)) => {
            keep_files_private();
            if let Some(log) = log {
                // What the store's library says of files is in the outcome.
                log.set_filter(&"warn,fjall=off,lsm_tree=off".parse()?);
            }
            return Ok(command.run(stdin(), stdout(), stderr()).await?);
        }
        Some(Command::Doctor(doctor)) => return Ok(doctor.run(stdout()).await?),
        Some(Command::Health(health)) => writeln!(stdout(), "{}", health.run().await?)?,
        Some(Command::Completions(completions)) => completions.run(Cli::command(), stdout())?,
        Some(Command::Man(man)) => man.run(Cli::command(), stdout())?,
        Some(Command::Serve(flags)) => serve(flags, log).await?,
        None => serve(cli.flags, log).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a load test and prints its report. The exit code is a failure if the report is not
/// sound.
async fn load_test(bench: &Bench) -> Result<ExitCode, BoxError> {
    let report = bench.run().await?;
    match write!(stdout(), "{report}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        // Nobody reads the report any more.
        _ => {}
    }
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The refusal of sockets that a service manager has opened.
const NOT_LOCAL: &str = "development mode gives a token to whoever asks and is for loopback addresses \
                         only, not for all of the sockets that were handed over";

async fn serve(flags: Flags, log: Option<&Log>) -> Result<(), BoxError> {
    ignore_hangup()?;
    keep_files_private();
    let (config, oddities) = Config::read(flags.clone());
    if let (Some(log), Ok(config)) = (log, &config) {
        log.configure(config);
    }
    for oddity in oddities {
        tracing::warn!("{oddity}");
    }
    let config = config?;
    #[cfg(feature = "otlp")]
    if let Some(log) = log {
        log.send_spans(&config)?;
    }
    let (app, figures) = apps(&config).await?;
    let figures = match figures {
        Some(figures) => Some(listen_beside(figures, &config).start().await?),
        None => None,
    };
    #[cfg(unix)]
    let sockets = service::sockets()?;
    #[cfg(not(unix))]
    let sockets: Vec<OpenSocket> = Vec::new();
    if config.development && !sockets.iter().all(OpenSocket::is_local) {
        return Err(NOT_LOCAL.into());
    }
    let server = listen(app, &config).sockets(sockets).start().await?;
    let addresses = server.addresses().to_vec();
    let (running, log) = (config.clone(), log.cloned());
    #[cfg(feature = "otlp")]
    let last = log.clone();
    let shown: Vec<_> = addresses.iter().map(BoundAddr::to_string).collect();
    let shown = shown.join(", ");
    #[cfg(unix)]
    let following = {
        let (app, shown) = (server.handle().clone(), shown.clone());
        async move { service::follow(app, &shown).await }
    };
    let server = server.on_hangup(move || {
        #[cfg(unix)]
        service::reloading();
        reload(&running, &flags, log.as_ref());
        #[cfg(unix)]
        service::ready(&shown);
    });
    // Signals are caught by now: whoever reads the address may send one.
    let running = server.run_until_signal();
    announce(&config, &addresses);
    #[cfg(unix)]
    let following = tokio::spawn(following);
    if let Some(figures) = &figures {
        for address in figures.addresses() {
            tracing::info!("figures for Prometheus are at {address}, path /metrics");
        }
    }
    let ended = running.await;
    #[cfg(unix)]
    {
        following.abort();
        // Without clients it has ended before that was noticed.
        service::stopping();
    }
    if let Some(figures) = figures {
        figures.close().await;
    }
    #[cfg(feature = "otlp")]
    if let Some(log) = last {
        log.finish_spans().await;
    }
    Ok(ended?)
}

/// Reads the configuration again, on SIGHUP.
fn reload(config: &Config, flags: &Flags, log: Option<&Log>) {
    let reloaded = match config.reload(flags) {
        Ok(reloaded) => reloaded,
        Err(error) => {
            return tracing::error!(
                "the configuration is as before, since the new one is wrong: {error}"
            );
        }
    };
    let named = |names: &[String]| match names {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    };
    let changed = named(&reloaded.changed);
    tracing::info!("the configuration was read again: {changed} changed");
    if !reloaded.restart.is_empty() {
        tracing::warn!("a restart is needed for {}", named(&reloaded.restart));
    }
    if let Some(log) = log.filter(|_| reloaded.changed.iter().any(|name| name == "log")) {
        log.set_filter(&reloaded.log);
        tracing::info!("the log has the lines of {} from now on", reloaded.log);
    }
}

/// Keeps SIGHUP from ending the process, also while the store is read.
#[cfg(unix)]
fn ignore_hangup() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    // Its default action is gone for the life of the process.
    signal(SignalKind::hangup()).map(drop)
}

#[cfg(not(unix))]
fn ignore_hangup() -> std::io::Result<()> {
    Ok(())
}

/// Makes the files of the store readable by this user alone: 0600, and 0700 for directories.
#[cfg(unix)]
fn keep_files_private() {
    use rustix::fs::Mode;

    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

#[cfg(not(unix))]
fn keep_files_private() {}

/// Prints the addresses of the page, and a warning if anybody can get a token.
fn announce(config: &Config, addresses: &[BoundAddr]) {
    let mut text = String::new();
    if config.development {
        text.push_str(
            "DEVELOPMENT MODE: anybody on this machine can mint a token for any name.\n\
             Set JWT_SECRET to serve for real.\n\n",
        );
    }
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let mut pages = String::new();
    for address in addresses {
        let Some(tcp) = address.tcp() else {
            text.push_str(&format!("NextRush is listening on {address}\n"));
            continue;
        };
        let (ip, port) = (tcp.ip(), tcp.port());
        let host = match ip {
            ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
            ip if ip.is_ipv6() => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        text.push_str(&format!("NextRush is listening on {ip}\n"));
        let page = format!("Open {scheme}://{host}:{port}{}/\n", config.base_path);
        // A name has several addresses.
        if !pages.contains(&page) {
            pages.push_str(&page);
        }
    }
    text.push_str(&pages);
    // A server whose output nobody reads serves all the same.
    let _ = stdout()
        .write_all(text.as_bytes())
        .and_then(|()| stdout().flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_no_characters_that_act_on_a_terminal() {
        let refused = "refused:\u{1b}[2J\u{9b}31m\u{7f}\r\nby the server";
        let shown = "refused:\u{fffd}[2J\u{fffd}31m\u{fffd}\u{fffd}\nby the server";
        assert_eq!(without_controls(refused), shown);
    }
}
