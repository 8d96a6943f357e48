//! The server: its configuration, secret, ports and store.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use http::{HeaderMap, Method};
use nextrush::server::ListenAddr;
use serde_json::Value;
use tokio::net::{TcpListener, lookup_host};
use tokio::time::timeout;

use super::finding::Finding;
use crate::client::{Answer, ask};
use crate::commands::health::local_url;
use crate::config::{Config, Reading, Store};

/// The time in which a server on this machine answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// The free bytes of a disk below which a store is near its end.
const LITTLE: u64 = 1 << 30;

pub(super) fn configuration(reading: &Reading) -> Vec<Finding> {
    let mut findings = Vec::new();
    for problem in &reading.problems {
        let advice = "`nextrush config check` says all that is wrong";
        findings.push(Finding::fail(format!("configuration: {problem}"), advice));
    }
    for warning in &reading.layers.warnings {
        let advice = "put it right, or leave it out";
        findings.push(Finding::warn(format!("configuration: {warning}"), advice));
    }
    if findings.is_empty() {
        let place = match &reading.layers.file {
            Some(file) => file.display().to_string(),
            None => "no file".to_owned(),
        };
        findings.push(Finding::ok(format!("configuration: {place}")));
    }
    findings
}

pub(super) fn secret(config: &Config) -> Finding {
    match &config.jwt_secret {
        Some(secret) => judge_secret(secret.expose()),
        None if config.development => Finding::warn(
            "secret: a random one, and everybody gets a token (development mode)",
            "set JWT_SECRET to serve for real",
        ),
        None => Finding::ok("secret: none, tokens are checked with keys"),
    }
}

fn judge_secret(secret: &str) -> Finding {
    let make = "make one with `openssl rand -base64 32`";
    // Its length was checked with the configuration, outside of development mode.
    let bytes = secret.len();
    let different = secret.chars().collect::<HashSet<_>>().len();
    let lower = secret.to_lowercase();
    let has_word = ["secret", "password", "changeme", "example", "12345678"]
        .iter()
        .any(|word| lower.contains(word));
    if bytes < 32 {
        Finding::fail(format!("secret: {bytes} bytes can be guessed"), make)
    } else if different < 12 || has_word {
        Finding::warn("secret: it does not look random", make)
    } else {
        Finding::ok(format!("secret: {bytes} bytes"))
    }
}

/// Tries whether the ports are free, or a server of this kind answers there.
pub(super) async fn ports(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in &config.listen {
        findings.push(match address {
            ListenAddr::Unix(path) => judge_socket(path),
            address => port(address, config).await,
        });
    }
    findings
}

async fn port(address: &ListenAddr, config: &Config) -> Finding {
    let bound = match address {
        ListenAddr::Port(port) => bind(&[("::", *port), ("0.0.0.0", *port)]).await,
        ListenAddr::Exactly(address) => TcpListener::bind(address).await.map(drop),
        ListenAddr::Name(name, port) => match lookup_host((name.as_str(), *port)).await {
            Ok(_) => bind(&[(name, *port)]).await,
            Err(error) => Err(error),
        },
        _ => Ok(()),
    };
    let Err(error) = bound else {
        return Finding::ok(format!("port: {address} is free"));
    };
    let what = format!("port: {address} cannot be listened at: {error}");
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            if answers(address, config).await {
                return Finding::ok(format!("port: a server of this kind is at {address}"));
            }
            let what = format!("port: another process listens at {address}");
            Finding::fail(
                what,
                "`ss -ltnp` names it; end it, or choose another --listen",
            )
        }
        io::ErrorKind::PermissionDenied => Finding::fail(
            what,
            "ports below 1024 need AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or a proxy",
        ),
        _ => Finding::fail(what, "--listen takes an address of this machine"),
    }
}

/// Binds the first of these that the machine has.
async fn bind(addresses: &[(&str, u16)]) -> io::Result<()> {
    let mut bound = Ok(());
    for address in addresses {
        bound = TcpListener::bind(address).await.map(drop);
        match &bound {
            // Without IPv6.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            _ => break,
        }
    }
    bound
}

/// Returns `true` if something at the address answers as this program does.
async fn answers(address: &ListenAddr, config: &Config) -> bool {
    let is_tls = config.tls.is_some();
    let Some(url) = local_url(is_tls, slice::from_ref(address), &config.base_path) else {
        return false;
    };
    let target = url.at("/healthz");
    match timeout(PATIENCE, ask(Method::GET, &target, HeaderMap::new())).await {
        Ok(Ok(answer)) => is_health(&answer),
        _ => false,
    }
}

/// Returns `true` if it is a program of this kind that answers, whatever its health.
fn is_health(answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    matches!(body["status"].as_str(), Some("ok" | "draining" | "failed"))
}

fn judge_socket(path: &Path) -> Finding {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    match directory.is_dir() {
        true => Finding::ok(format!("socket: {}", path.display())),
        false => Finding::fail(
            format!("socket: there is no directory {}", directory.display()),
            "make it, or set RuntimeDirectory= in the unit",
        ),
    }
}

/// The place of what is kept.
pub(super) fn store(config: &Config) -> Vec<Finding> {
    let directory = match &config.store {
        Store::Memory => {
            return vec![Finding::warn(
                "store: none, all is lost with the process",
                "set --store, or --redis for several servers",
            )];
        }
        Store::Redis(place) => {
            let what = format!("store: a Redis at {}, which is not asked", place.url);
            return vec![Finding::ok(what)];
        }
        Store::Directory(directory) | Store::DirectoryIfFree(directory) => directory,
    };
    let mut findings = vec![judge_store(directory)];
    findings.extend(disk("store", directory, config.store_limit));
    if let Some(backups) = &config.backup_dir {
        findings.extend(disk("backups", backups, None));
    }
    findings
}

fn judge_store(directory: &Path) -> Finding {
    let shown = directory.display();
    if directory.join("DAMAGED").exists() {
        return Finding::fail(
            format!("store: damage was found in {shown}"),
            format!("`nextrush store check {shown}` says what is lost"),
        );
    }
    if !directory.join("FORMAT").exists() {
        let entries = fs::read_dir(directory).map(|mut entries| entries.next().is_some());
        return match entries {
            Ok(true) => Finding::fail(
                format!("store: {shown} holds something that is no store"),
                "choose a directory of its own",
            ),
            _ => Finding::ok(format!("store: {shown} will be made")),
        };
    }
    let lock = File::open(directory.join("EXTENT"));
    match lock.map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => Finding::ok(format!("store: {shown} is in use")),
        Ok(_) => Finding::ok(format!("store: {shown} is there and free")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Finding::fail(
            format!("store: {shown} is another user's"),
            "run this as the user of the server, or give the files to that user",
        ),
        Err(error) => Finding::fail(
            format!("store: {shown} cannot be opened: {error}"),
            format!("`nextrush store check {shown}` says what is wrong"),
        ),
    }
}

/// The room on the disk of a directory that may have to be made yet.
fn disk(name: &str, directory: &Path, limit: Option<u64>) -> Option<Finding> {
    let existing = directory.ancestors().find(|parent| parent.is_dir());
    let existing = existing.map_or_else(|| PathBuf::from("."), Path::to_owned);
    let free = free(&existing)?;
    Some(judge_disk(name, free, limit))
}

fn judge_disk(name: &str, free: u64, limit: Option<u64>) -> Finding {
    let mib = free >> 20;
    let what = format!("disk of {name}: {mib} MiB free");
    match limit {
        _ if free < LITTLE / 4 => {
            Finding::fail(what, "make room: a full disk refuses publications")
        }
        _ if free < LITTLE => Finding::warn(what, "make room, or set --store-limit"),
        Some(limit) if free < limit => Finding::warn(
            format!("{what}, and the store may take {} MiB", limit >> 20),
            "make room, or set a lower --store-limit, unless the store takes most of it already",
        ),
        _ => Finding::ok(what),
    }
}

#[cfg(unix)]
fn free(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_secret_that_a_person_has_made_up_is_noticed() {
        for (secret, expected) in [
            ("KmtCoVfTdZSKYJzYEqpQq1O1HgKA3VYN7GJ0AxlAtHs=", Level::Ok),
            ("my secret key my secret key my secret key", Level::Warn),
            ("aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbcccc", Level::Warn),
            ("KmtCoVfTdZSKYJzYEqpQq1O1HgKA3VY", Level::Fail),
        ] {
            assert_eq!(judge_secret(secret).level, expected, "{secret}");
        }
    }

    #[test]
    fn room_on_a_disk_is_compared_with_what_a_store_may_take() {
        for (free, limit, expected) in [
            (20 << 30, None, Level::Ok),
            (20 << 30, Some(10 << 30), Level::Ok),
            (5 << 30, Some(10 << 30), Level::Warn),
            (1 << 29, None, Level::Warn),
            (1 << 20, Some(1 << 29), Level::Fail),
        ] {
            assert_eq!(judge_disk("store", free, limit).level, expected);
        }
    }
}
