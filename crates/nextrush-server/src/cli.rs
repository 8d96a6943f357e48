//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};
use nextrush::limits::Origin;

use crate::commands::{Bench, Publish, Tail};
use crate::secret::Secret;
use crate::size::Size;

/// NextRush: chat and live updates over WebSockets.
#[derive(Clone, Debug, Parser)]
#[non_exhaustive]
#[command(name = "nextrush", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The command to run instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The address to listen on; port 0 picks a free one.
    #[arg(long, env = "NEXTRUSH_LISTEN", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,

    /// The key of the tokens' signatures (HS256).
    ///
    /// Without it the server starts in development mode only.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<Secret>,

    /// Development mode: the page mints a token for any name. On loopback
    /// addresses only. The default of `cargo run` when JWT_SECRET is not set.
    #[arg(long)]
    pub dev: bool,

    /// An origin (scheme and host) whose pages may connect; may be repeated.
    ///
    /// Without it pages of the server's own origin may connect, with it only those of the
    /// listed origins.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub allow_origin: Vec<Origin>,

    /// Serves the guide's endpoints that need no token: /chat, /rooms, /games and
    /// /robust-chat.
    ///
    /// Without it they exist in development mode only. The variable turns them on with `1`.
    #[arg(long, env = "NEXTRUSH_OPEN_ENDPOINTS", value_parser = FalseyValueParser::new())]
    pub open_endpoints: bool,

    /// The key of the HTTP API for other servers, 32 bytes or more.
    ///
    /// Without it the server has no such API.
    #[arg(long, env = "NEXTRUSH_API_KEY", hide_env_values = true)]
    pub api_key: Option<Secret>,

    /// The key of the operators' view, 32 bytes or more.
    ///
    /// Without it the view exists in development mode only, for this machine.
    #[arg(long, env = "NEXTRUSH_ADMIN_KEY", hide_env_values = true)]
    pub admin_key: Option<Secret>,

    /// The directory in which chats, channels and posts are kept across restarts.
    ///
    /// The server creates it if it does not exist, and one server at a time may use it.
    /// Without this option everything is in memory and lost with the process; development
    /// mode uses the user's directory for data.
    #[arg(long, env = "NEXTRUSH_STORE", value_name = "DIR")]
    pub store: Option<PathBuf>,

    /// The bytes that the store's files may take, as 20G; at least 512M.
    ///
    /// Beyond it histories are shed: of the users with the largest shares, then of the rooms and
    /// channels that were not used for longest. 10G by default, or half of what is free on the
    /// disk or in use by the store if that is less.
    #[arg(long, env = "NEXTRUSH_STORE_LIMIT", value_name = "SIZE")]
    pub store_limit: Option<Size>,

    /// Keeps everything in memory, in development mode too.
    #[arg(long)]
    pub no_store: bool,

    /// The address of a Redis or Valkey on which several servers share topics:
    /// redis://, redis+sentinel:// or redis+cluster://, with rediss for TLS.
    ///
    /// Chats and channels are kept there, in place of a store. Prefer the variable, since others
    /// can see a command line.
    #[arg(
        long,
        env = "NEXTRUSH_REDIS",
        value_name = "URL",
        hide_env_values = true
    )]
    pub redis: Option<Secret>,

    /// A file with the address of the Redis, for one that has a password.
    #[arg(long, env = "NEXTRUSH_REDIS_FILE", value_name = "FILE")]
    pub redis_file: Option<PathBuf>,

    /// The start of all keys in the Redis. Servers that share topics have the same.
    #[arg(
        long,
        env = "NEXTRUSH_REDIS_PREFIX",
        value_name = "PREFIX",
        default_value = "nextrush"
    )]
    pub redis_prefix: String,

    /// The name of this server among those that share topics; the host's with a random part by
    /// default.
    #[arg(long, env = "NEXTRUSH_NODE", value_name = "NAME")]
    pub node: Option<String>,

    /// The certificate to serve TLS with, followed by those of its authorities: a PEM file.
    ///
    /// Without it the server speaks plain HTTP.
    #[arg(
        long,
        env = "NEXTRUSH_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the certificate: a PEM file.
    #[arg(
        long,
        env = "NEXTRUSH_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// The bytes that may wait for all slow readers together, as 500M or 2G; above it those for
    /// whom most waits are cut off. A quarter of the memory by default.
    #[arg(long, env = "NEXTRUSH_BACKLOG_TOTAL", value_name = "SIZE")]
    pub backlog_total: Option<Size>,

    /// The most connections of one client address; a further one is answered with 429. 10,000 by
    /// default. Behind a proxy all clients have the proxy's address.
    #[arg(long, env = "NEXTRUSH_CONNECTIONS_PER_ADDRESS", value_name = "NUMBER")]
    pub connections_per_address: Option<NonZeroUsize>,

    /// The number of threads that serve sockets; one per core by default.
    #[arg(long)]
    pub shards: Option<NonZeroUsize>,
}

/// A command beside serving.
#[derive(Clone, Debug, Subcommand)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the program has to run every command"
)]
pub enum Command {
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Bench(Bench),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Publish(Publish),
    #[expect(
        missing_docs,
        reason = "clap takes the text of the arguments themselves"
    )]
    Tail(Tail),
}
