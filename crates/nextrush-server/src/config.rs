//! The server's configuration: the command line and the environment, checked.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use nextrush::node::NodeName;
use nextrush::{Jwt, OriginPolicy};
use nextrush_redis::{RedisUrl, RedisUrlError};

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
    /// The secret from which that key is made; `None` in development mode with a random one.
    pub(crate) jwt_secret: Option<Secret>,
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
    /// The most connections of one client address; `None` for 10,000.
    pub connections_per_address: Option<NonZeroUsize>,
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
    /// A Redis or Valkey that other servers share.
    Redis(RedisPlace),
}

/// The place of what is kept on a Redis or Valkey.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RedisPlace {
    /// The address of the server.
    pub url: RedisUrl,
    /// The start of all keys.
    pub prefix: String,
    /// The name of this server among those that share topics.
    pub node: NodeName,
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
    /// An address of a Redis that is none.
    #[error("NEXTRUSH_REDIS: {0}")]
    RedisUrl(RedisUrlError),
    /// The address of a Redis in a file that cannot be read.
    #[error("cannot read the address of the Redis in {file}: {reason}", file = .file.display())]
    RedisFile {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        reason: String,
    },
    /// Two addresses of a Redis.
    #[error("--redis and --redis-file are two places for one address: leave one out")]
    TwoRedis,
    /// A store beside a Redis.
    #[error(
        "--store and --redis are two places for the same data: leave one out, and --no-store \
         with --redis too"
    )]
    RedisAndStore,
    /// Development mode with a random secret for each of several servers.
    #[error(
        "several servers in development mode need one JWT_SECRET: with a random one each would \
         refuse the others' tokens"
    )]
    RedisWithoutSecret,
    /// A name that is none for a server.
    #[error("--node is a name of 1 to 64 letters, digits, dots, hyphens and underscores")]
    NodeName,
}

impl Config {
    /// Checks the command line.
    ///
    /// # Errors
    ///
    /// Refuses a server without a secret or with a short one outside development mode,
    /// development mode on an address that is not loopback, and a Redis beside a store or with
    /// an address that is none.
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
        let redis = redis_place(&cli)?;
        let api_key = long_or_absent(cli.api_key, ConfigError::ShortApiKey)?;
        let admin_key = long_or_absent(cli.admin_key, ConfigError::ShortAdminKey)?;
        let store = match cli.store {
            Some(_) if redis.is_some() => return Err(ConfigError::RedisAndStore),
            _ if redis.is_some() && cli.no_store => return Err(ConfigError::RedisAndStore),
            _ if redis.is_some() && secret.is_none() => {
                return Err(ConfigError::RedisWithoutSecret);
            }
            _ if cli.no_store => Store::Memory,
            Some(directory) => Store::Directory(directory),
            None if development => data_directory().map_or(Store::Memory, Store::DirectoryIfFree),
            None => Store::Memory,
        };
        let store_limit = cli.store_limit.map(|limit| limit.bytes() as u64);
        if store_limit.is_some_and(|limit| limit < STORE_LIMIT) {
            return Err(ConfigError::SmallStoreLimit);
        }
        let store = redis.map_or(store, Store::Redis);
        let origins = if cli.allow_origin.is_empty() {
            OriginPolicy::SameOrigin
        } else {
            OriginPolicy::list(cli.allow_origin)
        };
        Ok(Self {
            addr: cli.listen,
            jwt,
            jwt_secret: secret.map(|secret| secret.to_owned().into()),
            development,
            open_endpoints: cli.open_endpoints || development,
            origins,
            store_limit,
            api_key,
            admin_key,
            store,
            tls: cli.tls_cert.zip(cli.tls_key),
            backlog_total: cli.backlog_total.map(Size::bytes),
            connections_per_address: cli.connections_per_address,
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

/// The place on a Redis that the command line names, if any. An empty address counts as none.
fn redis_place(cli: &Cli) -> Result<Option<RedisPlace>, ConfigError> {
    let address = cli.redis.as_ref().map(Secret::expose).unwrap_or_default();
    let address = match &cli.redis_file {
        Some(_) if !address.is_empty() => return Err(ConfigError::TwoRedis),
        Some(file) => std::fs::read_to_string(file).map_err(|error| ConfigError::RedisFile {
            file: file.clone(),
            reason: error.to_string(),
        })?,
        None => address.to_owned(),
    };
    let address = address.trim();
    if address.is_empty() && cli.redis_file.is_none() {
        return Ok(None);
    }
    let node = cli.node.clone().unwrap_or_else(node_name);
    let node = NodeName::try_from(&*node).map_err(|_| ConfigError::NodeName)?;
    Ok(Some(RedisPlace {
        url: address.parse().map_err(ConfigError::RedisUrl)?,
        prefix: cli.redis_prefix.clone(),
        node,
    }))
}

/// A name that no other server has: the host's and a random part.
fn node_name() -> String {
    let plain = |char: char| {
        if char.is_ascii_alphanumeric() {
            char
        } else {
            '-'
        }
    };
    let host: String = host_name().chars().map(plain).take(50).collect();
    format!("{host}-{:06x}", rand::random::<u32>() >> 8)
}

#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "node".to_owned())
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
    fn several_servers_share_a_redis_in_place_of_a_store() {
        let secret = ["--jwt-secret", "0123456789abcdef0123456789abcdef"];
        let at = |arguments: &[&str]| config(&[&secret, arguments].concat(), false);
        let redis = |arguments: &[&str]| match at(arguments).unwrap().store {
            Store::Redis(place) => place,
            store => panic!("{store:?}"),
        };
        let place = redis(&["--redis", "redis://:hunter2@h/1"]);
        assert_eq!(place.url.to_string(), "redis://h:6379/1");
        assert_eq!(place.prefix, "nextrush");
        assert!(!format!("{place:?}").contains("hunter2"));
        // The default name is the host's with a random part.
        let other = redis(&["--dev", "--redis", "redis://h"]);
        assert_ne!(place.node, other.node);
        assert!(
            place.node.as_str().len() > 7 && place.node.as_str().len() < 64,
            "{}",
            place.node
        );
        let named = redis(&[
            "--redis",
            "redis://h",
            "--node",
            "a.1",
            "--redis-prefix",
            "p",
        ]);
        assert_eq!((named.node.as_str(), &*named.prefix), ("a.1", "p"));
        assert_eq!(at(&["--redis", ""]).unwrap().store, Store::Memory);

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("redis");
        std::fs::write(&file, "redis://:hunter2@from-file\n").unwrap();
        let file = file.to_str().unwrap();
        assert_eq!(
            redis(&["--redis-file", file]).url.to_string(),
            "redis://from-file:6379"
        );
        let refused = |arguments: &[&str]| at(arguments).unwrap_err();
        let both = ["--redis", "redis://h", "--redis-file", file];
        assert_eq!(refused(&both), ConfigError::TwoRedis);
        assert!(matches!(
            refused(&["--redis-file", "/nowhere"]),
            ConfigError::RedisFile { .. }
        ));
        for store in [&["--store", "a"][..], &["--no-store"]] {
            let arguments = [&["--redis", "redis://h"], store].concat();
            assert_eq!(refused(&arguments), ConfigError::RedisAndStore);
        }
        assert_eq!(
            refused(&["--redis", "redis://h", "--node", "a b"]),
            ConfigError::NodeName
        );
        let wrong = refused(&["--redis", "http://hunter2"]);
        assert_eq!(wrong, ConfigError::RedisUrl(RedisUrlError::Scheme));
        assert!(!format!("{wrong} {wrong:?}").contains("hunter2"));
    }

    #[test]
    fn several_servers_in_development_mode_need_one_secret() {
        let alone = config(&["--dev", "--redis", "redis://h"], false);
        assert_eq!(alone.unwrap_err(), ConfigError::RedisWithoutSecret);
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
