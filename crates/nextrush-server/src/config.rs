//! The server's configuration: the command line and the environment, checked.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use nextrush::{Jwt, OriginPolicy};

use crate::cli::Cli;
use crate::secret::{SECRET_BYTES, Secret, random_secret};
use crate::size::Size;

/// A valid configuration of the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The address to listen on.
    pub addr: SocketAddr,
    /// The key for tokens.
    pub jwt: Jwt,
    /// True if the server mints a token for anybody who asks.
    pub development: bool,
    /// True if the guide's endpoints that need no token are served.
    pub open_endpoints: bool,
    /// The web pages that may connect.
    pub origins: OriginPolicy,
    /// The key of the HTTP API; `None` turns that API off.
    pub api_key: Option<Secret>,
    /// The key of the operators' view; `None` turns that view off outside development mode.
    pub admin_key: Option<Secret>,
    /// The place of chats, channels and posts.
    pub store: Store,
    /// The bytes that the store's files may take; `None` for 10 GiB, or half of what is free on
    /// the disk or in use by the store.
    pub store_limit: Option<u64>,
    /// The certificate and the private key for TLS; `None` for plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The bytes that may wait for all slow readers together; `None` for a quarter of the memory.
    pub backlog_total: Option<usize>,
    /// The number of shard threads; `None` for one per core.
    pub shards: Option<NonZeroUsize>,
}

/// The place of chats, channels and posts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Store {
    /// Memory, lost with the process.
    Memory,
    /// A directory of this server alone.
    Directory(PathBuf),
    /// A directory, or memory if another server uses the directory.
    DirectoryIfFree(PathBuf),
}

/// A configuration with which the server refuses to start.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither a secret nor development mode.
    #[error(
        "JWT_SECRET is not set: set it to the key that your tokens are signed with, \
         or try the server with --dev"
    )]
    NoSecret,
    /// A key of the tokens that could be guessed.
    #[error(
        "JWT_SECRET is shorter than {SECRET_BYTES} bytes and could be guessed: make one with \
         `openssl rand -base64 32`"
    )]
    ShortSecret,
    /// A key of the HTTP API that could be guessed.
    #[error("NEXTRUSH_API_KEY is shorter than {SECRET_BYTES} bytes")]
    ShortApiKey,
    /// A key of the operators' view that could be guessed.
    #[error("NEXTRUSH_ADMIN_KEY is shorter than {SECRET_BYTES} bytes")]
    ShortAdminKey,
    /// A limit that journals alone would reach.
    #[error("--store-limit is less than 512M: journals and merging need some of it")]
    SmallStoreLimit,
    /// Development mode on an address that others can reach.
    #[error(
        "development mode gives a token to whoever asks and is for loopback addresses only, \
         not for {0}"
    )]
    DevelopmentInPublic(SocketAddr),
}

impl Config {
    /// Checks the command line.
    ///
    /// # Errors
    ///
    /// Refuses a server without a secret or with a short one outside development mode, and
    /// development mode on an address that is not loopback.
    pub fn new(cli: Cli) -> Result<Self, ConfigError> {
        Self::with(cli, is_cargo_run(), data_directory)
    }

    fn with(
        cli: Cli,
        is_cargo_run: bool,
        data_directory: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let secret = cli.jwt_secret.as_ref().map(Secret::expose);
        let secret = secret.filter(|secret| !secret.is_empty());
        let development = cli.dev || (secret.is_none() && is_cargo_run);
        let jwt = match secret {
            Some(secret) => {
                if secret.len() < SECRET_BYTES {
                    if !development {
                        return Err(ConfigError::ShortSecret);
                    }
                    tracing::warn!("JWT_SECRET is shorter than {SECRET_BYTES} bytes");
                }
                Jwt::hs256(secret)
            }
            None if development => Jwt::hs256(random_secret()),
            None => return Err(ConfigError::NoSecret),
        };
        if development && !cli.listen.ip().is_loopback() {
            return Err(ConfigError::DevelopmentInPublic(cli.listen));
        }
        let api_key = long_or_absent(cli.api_key, ConfigError::ShortApiKey)?;
        let admin_key = long_or_absent(cli.admin_key, ConfigError::ShortAdminKey)?;
        let store = match cli.store {
            _ if cli.no_store => Store::Memory,
            Some(directory) => Store::Directory(directory),
            None if development => data_directory().map_or(Store::Memory, Store::DirectoryIfFree),
            None => Store::Memory,
        };
        let store_limit = cli.store_limit.map(|limit| limit.bytes() as u64);
        if store_limit.is_some_and(|limit| limit < STORE_LIMIT) {
            return Err(ConfigError::SmallStoreLimit);
        }
        let origins = if cli.allow_origin.is_empty() {
            OriginPolicy::SameOrigin
        } else {
            OriginPolicy::list(cli.allow_origin)
        };
        Ok(Self {
            addr: cli.listen,
            jwt,
            development,
            open_endpoints: cli.open_endpoints || development,
            origins,
            store_limit,
            api_key,
            admin_key,
            store,
            tls: cli.tls_cert.zip(cli.tls_key),
            backlog_total: cli.backlog_total.map(Size::bytes),
            shards: cli.shards,
        })
    }
}

/// The least limit of a store in bytes.
const STORE_LIMIT: u64 = 512 << 20;

/// True if Cargo started this process: nothing else sets this variable.
fn is_cargo_run() -> bool {
    std::env::var_os("CARGO_MANIFEST_DIR").is_some()
}

/// The server's directory in the user's data: below `$XDG_DATA_HOME` or `~/.local/share`, on
/// macOS `~/Library/Application Support`, on Windows `%APPDATA%`. `None` for a user without a
/// home.
fn data_directory() -> Option<PathBuf> {
    let strategy = etcetera::base_strategy::choose_native_strategy().ok()?;
    Some(strategy.data_dir().join("nextrush"))
}

/// Takes an empty key for none, and refuses a short one.
fn long_or_absent(key: Option<Secret>, short: ConfigError) -> Result<Option<Secret>, ConfigError> {
    match key.filter(|key| !key.expose().is_empty()) {
        Some(key) if key.expose().len() < SECRET_BYTES => Err(short),
        key => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn config(arguments: &[&str], is_cargo_run: bool) -> Result<Config, ConfigError> {
        let mut cli = Cli::parse_from(["nextrush"].iter().chain(arguments));
        // The test may run in an environment that has one.
        if !arguments.contains(&"--jwt-secret") {
            cli.jwt_secret = None;
        }
        Config::with(cli, is_cargo_run, || Some(PathBuf::from("/data")))
    }

    #[test]
    fn without_a_secret_the_server_refuses_to_start() {
        assert_eq!(config(&[], false).unwrap_err(), ConfigError::NoSecret);
        assert_eq!(
            config(&["--jwt-secret", ""], false).unwrap_err(),
            ConfigError::NoSecret
        );
    }

    #[test]
    fn a_short_secret_is_refused_outside_development_mode() {
        let short = ["--jwt-secret", "0123456789abcdef0123456789abcde"];
        assert_eq!(config(&short, false).unwrap_err(), ConfigError::ShortSecret);
        assert_eq!(config(&short, true).unwrap_err(), ConfigError::ShortSecret);
        assert!(config(&[&short[..], &["--dev"]].concat(), false).is_ok());
        let long = ["--jwt-secret", "0123456789abcdef0123456789abcdef"];
        assert!(config(&long, false).is_ok());
    }

    #[test]
    fn cargo_run_without_a_secret_is_development_mode() {
        assert!(config(&[], true).unwrap().development);
        assert!(config(&["--dev"], false).unwrap().development);
        let secret = ["--jwt-secret", "0123456789abcdef0123456789abcdef"];
        assert!(!config(&secret, true).unwrap().development);
    }

    #[test]
    fn open_endpoints_are_asked_for_outside_development_mode() {
        let secret = ["--jwt-secret", "0123456789abcdef0123456789abcdef"];
        let is_open = |more: &[&str]| {
            let config = config(&[&secret, more].concat(), false);
            config.unwrap().open_endpoints
        };
        assert!(!is_open(&[]));
        assert!(is_open(&["--open-endpoints"]));
        assert!(is_open(&["--dev"]));
    }

    #[test]
    fn the_keys_of_the_api_and_of_operators_are_long_or_absent() {
        let api = |key: &str| config(&["--dev", "--api-key", key], false);
        assert_eq!(api("short").unwrap_err(), ConfigError::ShortApiKey);
        assert!(api("").unwrap().api_key.is_none());
        assert!(api(&"x".repeat(32)).unwrap().api_key.is_some());
        let admin = |key: &str| config(&["--dev", "--admin-key", key], false);
        assert_eq!(admin("short").unwrap_err(), ConfigError::ShortAdminKey);
        assert!(admin("").unwrap().admin_key.is_none());
        assert!(admin(&"x".repeat(32)).unwrap().admin_key.is_some());
    }

    #[test]
    fn only_development_mode_has_a_store_unless_it_is_told_where() {
        let secret = ["--jwt-secret", "0123456789abcdef0123456789abcdef"];
        let store = |arguments: &[&str]| {
            let arguments = [&secret, arguments].concat();
            config(&arguments, false).unwrap().store
        };
        assert_eq!(store(&[]), Store::Memory);
        assert_eq!(store(&["--dev"]), Store::DirectoryIfFree("/data".into()));
        assert_eq!(store(&["--dev", "--no-store"]), Store::Memory);
        for mode in [None, Some("--dev")] {
            let arguments: Vec<_> = mode.into_iter().chain(["--store", "a"]).collect();
            assert_eq!(store(&arguments), Store::Directory("a".into()));
        }
        assert_eq!(store(&["--store", "a", "--no-store"]), Store::Memory);
        let cli = Cli::parse_from(["nextrush", "--dev"]);
        let homeless = Config::with(cli, false, || None).unwrap();
        assert_eq!(homeless.store, Store::Memory);
    }

    #[test]
    fn the_limit_of_a_store_leaves_room_for_journals() {
        let limit = |size: &str| {
            let config = config(&["--dev", "--store-limit", size], false);
            config.map(|config| config.store_limit)
        };
        assert_eq!(limit("512M").unwrap(), Some(512 << 20));
        assert_eq!(limit("511M").unwrap_err(), ConfigError::SmallStoreLimit);
        assert_eq!(config(&["--dev"], false).unwrap().store_limit, None);
    }

    #[test]
    fn development_mode_is_for_loopback_addresses_only() {
        for addr in ["0.0.0.0:3000", "[::]:3000", "192.0.2.1:80"] {
            assert_eq!(
                config(&["--dev", "--listen", addr], false).unwrap_err(),
                ConfigError::DevelopmentInPublic(addr.parse().unwrap())
            );
        }
        for addr in ["127.0.0.1:0", "127.8.8.8:3000", "[::1]:3000"] {
            assert!(
                config(&["--dev", "--listen", addr], false).is_ok(),
                "{addr}"
            );
        }
    }
}
