//! The settings of the server: one table, from which the flags, the variables, the keys of the
//! configuration file, `nextrush config` and the documentation come.
//!
//! # Adding a setting
//!
//! One entry of `settings!` below is all: the text, the name, the type, the name of a value for the
//! help, the default, and whether SIGHUP changes it. `tls_cert` is `--tls-cert`, `NEXTRUSH_TLS_CERT`
//! and `tls-cert = "…"`. A [`Secret`] has a second form by itself, `--tls-cert-file` and so on, which
//! names a file that holds it. A type that is not known yet implements [`Value`]. What the setting
//! does is up to [`Config`](crate::Config), which reads `settings.tls_cert`. Then run
//! `tools/settings`, which writes `docs/guide/src/settings.md` anew; CI checks that.

mod file;
mod flags;
mod given;
mod page;
mod suggestion;
mod value;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use nextrush::auth::TokenCookie;
use nextrush::limits::Origin;
use nextrush::server::{BasePath, ListenAddr, TrustedProxy};

pub use self::flags::Flags;
pub(crate) use self::given::{Environment, Found, Given, Layers, usual_file};
pub(crate) use self::suggestion::flag_for;
pub(crate) use self::value::{Kind, Value};
use crate::client::{JwksUrl, ServerUrl};
use crate::document::Problem;
use crate::filter::Filter;
use crate::hooks::{HookTimeout, HookUrl};
use crate::log_format::LogFormat;
use crate::secret::Secret;
use crate::size::Size;

/// A setting of the server.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The name, with underscores.
    field: &'static str,
    /// The lines of its text.
    text: &'static [&'static str],
    /// The name of a value in the help.
    pub(crate) value: &'static str,
    pub(crate) default: Default,
    pub(crate) reload: Reload,
    pub(crate) kind: Kind,
}

/// The value of a setting that nobody has set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    /// A value like any other.
    Value(&'static str),
    /// None, and what happens then.
    Absent(&'static str),
}

/// The time at which a new value of a setting holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reload {
    /// With the next start.
    Start,
    /// With SIGHUP.
    Hangup,
}

impl Setting {
    /// The name: the flag without its dashes, and the key in the file.
    pub(crate) fn name(&self) -> String {
        self.field.replace('_', "-")
    }

    /// The variables, the usual one first.
    pub(crate) fn variables(&self) -> Vec<String> {
        let usual = format!("NEXTRUSH_{}", self.field.to_ascii_uppercase());
        match self.field {
            // The guide's.
            "jwt_secret" => vec!["JWT_SECRET".to_owned(), usual],
            // That of other programs in Rust.
            "log" => vec![usual, "RUST_LOG".to_owned()],
            // That of OpenTelemetry.
            "otlp_endpoint" => vec![usual, "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()],
            _ => vec![usual],
        }
    }

    /// The first paragraph of the text.
    pub(crate) fn summary(&self) -> String {
        paragraph(self.text.iter().take_while(|line| !line.trim().is_empty()))
    }

    /// The paragraphs behind the first.
    pub(crate) fn more(&self) -> Vec<String> {
        self.text
            .split(|line| line.trim().is_empty())
            .skip(1)
            .map(paragraph)
            .collect()
    }
}

fn paragraph<'a>(lines: impl IntoIterator<Item = &'a &'static str>) -> String {
    let lines: Vec<_> = lines.into_iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

macro_rules! settings {
    ($($(#[doc = $text:literal])* $field:ident: $type:ty, $value:literal,
        $default:ident($shown:literal), $reload:ident;)*) => {
        /// The values of all settings.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings {
            $($(#[doc = $text])* pub(crate) $field: $type,)*
        }

        /// All settings, in the order of the documentation.
        pub(crate) static SETTINGS: &[Setting] = &[$(Setting {
            field: stringify!($field),
            text: &[$($text),*],
            value: $value,
            default: Default::$default($shown),
            reload: Reload::$reload,
            kind: <$type as Value>::KIND,
        },)*];

        impl Settings {
            /// Reads the values that hold; `None` if one of them is wrong, which is noted.
            pub(crate) fn read(layers: &Layers, problems: &mut Vec<Problem>) -> Option<Self> {
                let mut all = layers.found.iter();
                $(let $field: Option<$type> =
                    all.next().and_then(|found| found.read(problems));)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}

settings! {
    /// The addresses to listen on: a port, `127.0.0.1:3000`, `localhost:3000`, `unix:/run/nextrush.sock`.
    ///
    /// A port alone, `3000` or `:3000`, is that port on every interface; port 0 picks a free one. A
    /// Unix socket is for a proxy on the same machine and goes without TLS; its mode is 0666, so that
    /// the permissions of its directory say who may connect.
    listen: Vec<ListenAddr>, "ADDRESS", Value("127.0.0.1:3000"), Start;

    /// The key of the tokens' signatures (HS256), 32 bytes or more.
    ///
    /// Without it, `jwt-key` and `jwks-url` the server starts in development mode only, where a
    /// shorter one is a warning.
    /// Prefer the variable or a file, since others can see a command line.
    jwt_secret: Option<Secret>, "KEY", Absent("none"), Hangup;

    /// The files with keys of the tokens' signatures, beside the secret or in its place: PEM, a JSON
    /// Web Key, or a set of such.
    ///
    /// Each key has one algorithm (HS, RS and PS 256 to 512, ES256, ES384, EdDSA) and a name, `kid`,
    /// if the file says one. SIGHUP reads the files again.
    jwt_key: Vec<PathBuf>, "FILE", Absent("none"), Hangup;

    /// The address of a JSON Web Key Set with an issuer's public keys: `https://`, or `http://` on
    /// this machine.
    ///
    /// The server fetches it every 10 minutes, and when a token names a key that it does not know, every
    /// 30 s at most. While that fails the keys of before hold.
    jwks_url: Option<JwksUrl>, "URL", Absent("none"), Hangup;

    /// The audiences (`aud`) whose tokens are accepted.
    ///
    /// With it a token needs one of them; without it a token that is for an audience is refused.
    jwt_audience: Vec<String>, "NAME", Absent("none"), Hangup;

    /// The issuers (`iss`) whose tokens are accepted.
    ///
    /// With it a token needs to be of one of them.
    jwt_issuer: Vec<String>, "NAME", Absent("any"), Hangup;

    /// The claim that names the user in tokens without `id`: `sub` for those of an identity provider.
    ///
    /// Where such a token has no `email` either, its `name`, or else the id, is shown. A token with an
    /// `id` is read as it is.
    jwt_id_claim: Option<String>, "NAME", Absent("none; tokens need an `id`"), Hangup;

    /// The name of a cookie in which a token may come, beside the address and the headers.
    ///
    /// It counts for pages that may connect, and for no others. Without it no cookie is looked at.
    token_cookie: Option<TokenCookie>, "NAME", Absent("none"), Start;

    /// Lets clients bring their token in the first message of a socket, `{"type":"auth","token":…}`, with
    /// `?auth=message` in its address.
    ///
    /// For clients that can send a token in no other way but in the address. Strangers may then hold
    /// sockets open for 10 s, which count among the connections of their addresses.
    token_message: bool, "true|false", Value("false"), Start;

    /// Development mode: the page mints a token for any name.
    ///
    /// On loopback addresses and Unix sockets only. It is on under `cargo run` without a secret.
    dev: bool, "true|false", Value("false"), Start;

    /// The origins (scheme and host) whose pages may connect, and read answers over HTTP (CORS).
    ///
    /// Apps are named as they name themselves: `app://chat`, `capacitor://localhost`, `file://`, or `null` for
    /// files in a browser, which every page in a sandbox is as well.
    /// Without it pages of the server's own origin may connect, with it only those of the
    /// listed origins. SIGHUP changes the list; from none to some, or back, takes a restart.
    allow_origin: Vec<Origin>, "ORIGIN", Absent("the server's own origin"), Hangup;

    /// Serves the guide's endpoints that need no token: `/chat`, `/rooms`, `/games` and
    /// `/robust-chat`.
    open_endpoints: Option<bool>, "true|false", Absent("on in development mode, else off"), Start;

    /// The key of the HTTP API for other servers, 32 bytes or more.
    ///
    /// Without it the server has no such API. The file may have tables `[[api-key]]` in its place, or beside
    /// the flag or the variable: several keys, each with a name, and with channels, actions and an end if it is
    /// not to do everything. SIGHUP changes keys; from none to some, or back, takes a restart.
    api_key: Option<Secret>, "KEY", Absent("none"), Hangup;

    /// The key of the operators' view, 32 bytes or more.
    ///
    /// Without it the view exists in development mode only, for this machine. SIGHUP changes the key;
    /// from none to one, or back, takes a restart.
    admin_key: Option<Secret>, "KEY", Absent("none"), Hangup;

    /// The addresses at which Prometheus reads `/metrics`, in the forms of `--listen`.
    ///
    /// They serve `/metrics`, `/healthz` and `/readyz` alone, in plain HTTP, and go on while clients are
    /// sent away. With `--metrics-key` that is asked for there, and without it nobody is: so give an address that
    /// only those reach who may look.
    metrics_listen: Vec<ListenAddr>, "ADDRESS", Absent("none"), Start;

    /// The key with which Prometheus reads `/metrics`, 32 bytes or more.
    ///
    /// Without `--metrics-listen` it is served beside everything else. Without either there are no metrics.
    metrics_key: Option<Secret>, "KEY", Absent("none"), Start;

    /// The certificate to serve TLS with, followed by those of its authorities: a PEM file.
    ///
    /// Without it the server speaks plain HTTP. With it HTTP/2 and HTTP/1.1, on all ports. The files
    /// are followed: new ones are served within a minute, or with SIGHUP, if they belong together.
    tls_cert: Option<PathBuf>, "FILE", Absent("none"), Start;

    /// The private key of the certificate: a PEM file.
    tls_key: Option<PathBuf>, "FILE", Absent("none"), Start;

    /// The directory in which chats, channels and posts are kept across restarts.
    ///
    /// The server creates it if it does not exist, and one server at a time may use it.
    /// Without it everything is in memory and lost with the process.
    store: Option<PathBuf>, "DIR", Absent("none; in development mode the user's directory for data"), Start;

    /// Keeps everything in memory, in development mode too.
    no_store: bool, "true|false", Value("false"), Start;

    /// The bytes that the store's files may take, as `20G`; at least `512M`.
    ///
    /// Beyond it histories are shed: of the users with the largest shares, then of the rooms and
    /// channels that were not used for longest.
    store_limit: Option<Size>, "SIZE", Absent("10G, or half of what is free on the disk or in use by the store if that is less"), Start;

    /// The directory for backups, which `nextrush store backup` and `POST /api/v1/backup` make of the
    /// store while the server runs.
    ///
    /// Each is a store by itself, named by its time. The server creates the directory if it does not
    /// exist. Without it there are no backups.
    backup_dir: Option<PathBuf>, "DIR", Absent("none"), Start;

    /// The address of a Redis or Valkey on which several servers share topics: `redis://`,
    /// `redis+sentinel://host,host/name` or `redis+cluster://host,host`, with `rediss` for TLS.
    ///
    /// Chats, channels and posts are kept there, in place of a store.
    redis: Option<Secret>, "URL", Absent("none"), Start;

    /// The start of all keys in the Redis. Servers that share topics have the same.
    redis_prefix: String, "PREFIX", Value("nextrush"), Start;

    /// The name of this server among those that share topics.
    node: Option<String>, "NAME", Absent("the host's name with a random part"), Start;

    /// The most connections of all clients together, closing ones included; a further one is answered
    /// with 503.
    ///
    /// Each takes a descriptor: `nextrush doctor` says whether the system allows so many.
    connections: NonZeroUsize, "NUMBER", Value("100000"), Start;

    /// The time from connecting to the end of the first request's head, the TLS handshake included;
    /// at least `1s`.
    ///
    /// A client that has begun a request by then is answered with 408.
    head_timeout: Duration, "DURATION", Value("10s"), Start;

    /// The bytes that the head of a request may have, `8K` to `1M`; a longer one is answered with 431.
    ///
    /// Tokens and cookies are a part of it.
    head_bytes: Size, "SIZE", Value("16K"), Start;

    /// The bytes that a message of a client may have, with all its fragments and inflated, `16K` to
    /// `1G`; a longer one closes the socket with 1009.
    message_bytes: Size, "SIZE", Value("64K"), Start;

    /// The messages that a socket may send in a second on average; a further one is dropped and
    /// answered with `rate-limited` and `retryAfterMs`.
    ///
    /// `/robust-chat` has the guide's own limit, 60 in any minute.
    messages_per_second: NonZeroUsize, "NUMBER", Value("100"), Start;

    /// The messages that a socket may send at once after a pause.
    messages_at_once: NonZeroUsize, "NUMBER", Value("200"), Start;

    /// The silence of a socket after which it is sent a ping, at least `1s`.
    ///
    /// Below the time after which a proxy in front cuts idle connections.
    heartbeat_interval: Duration, "DURATION", Value("25s"), Start;

    /// The further silence after which a socket is closed with 3008, at least `1s`.
    heartbeat_timeout: Duration, "DURATION", Value("10s"), Start;

    /// The channels that one socket may be subscribed to; a further one is refused with
    /// `too-many-channels`.
    channels_per_socket: NonZeroUsize, "NUMBER", Value("100"), Start;

    /// The bytes that may wait for one slow reader, `16K` to `1G`; with more it is closed with 1013.
    ///
    /// Before that its channels say by `slow-readers` what becomes of publications.
    backlog_bytes: Size, "SIZE", Value("1M"), Start;

    /// The time that something may wait for a slow reader, at least `1s`; then it is closed with 1013.
    backlog_age: Duration, "DURATION", Value("10s"), Start;

    /// The bytes that may wait for all slow readers together, publications aside, as `500M` or `2G`.
    ///
    /// Above it those for whom most waits are closed with 1013.
    backlog_total: Option<Size>, "SIZE", Absent("a quarter of the memory, of the container if it has a limit"), Start;

    /// The bytes of the record of subscriptions from which `nextrush trace` makes its verdicts, as
    /// `16M`; 0 keeps none.
    ///
    /// What is older is forgotten: 4 MiB hold about 8,000 subscriptions with their ends.
    trace_record: Size, "SIZE", Value("4M"), Start;

    /// The most connections of one client address; a further one is answered with 429.
    ///
    /// Behind a proxy all clients have the proxy's address, unless `trusted-proxy` names it. Unix
    /// sockets are not counted.
    connections_per_address: NonZeroUsize, "NUMBER", Value("10000"), Hangup;

    /// The proxies whose word about the clients behind them is taken: addresses, networks as
    /// `10.0.0.0/8`, or `unix` for those on Unix sockets.
    ///
    /// By `X-Forwarded-For`, `-Proto` and `-Host` or by `Forwarded`, read from the right past the trusted
    /// ones. The client's address then counts for limits and is in the inspector, its scheme and host
    /// for the check of the origin. From requests of anybody else these headers are taken out.
    trusted_proxy: Vec<TrustedProxy>, "NETWORK", Absent("none"), Start;

    /// Expects the PROXY protocol, version 1 or 2, of the trusted proxies, as with a balancer for TCP.
    ///
    /// Each of their connections then begins with its header, or is closed.
    proxy_protocol: bool, "true|false", Value("false"), Start;

    /// The path below which a proxy has the server, as `/chat`: the page, the client, the API and the
    /// sockets are there.
    ///
    /// At the root they are as well. A proxy that takes the path off needs no setting.
    base_path: BasePath, "PATH", Value("/"), Start;

    /// The longest pause between two requests of a connection, as `90s`.
    ///
    /// Above the time for which a proxy in front keeps its idle connections, or it loses requests: it
    /// should be the one that ends them. Sockets are not meant.
    keep_alive: Duration, "DURATION", Value("75s"), Start;

    /// The address of a backend that says who a client without a token is: `http://` or `https://`.
    ///
    /// With it the server starts without a `JWT_SECRET` too, and then the backend gets the tokens of
    /// clients to check. The page [Hooks](http-hooks.md) says what is asked and answered.
    hook_connect: Option<HookUrl>, "URL", Absent("none"), Start;

    /// The address of a backend that says who may subscribe, and gives new subscribers a state.
    ///
    /// It is asked about the channels with `hooks = ["subscribe"]` or `"state"`, without any
    /// `[[channel]]` about all but those of the page.
    hook_subscribe: Option<HookUrl>, "URL", Absent("none"), Start;

    /// The address of a backend that sees, changes and refuses what clients publish.
    ///
    /// It is asked about the channels with `hooks = ["publish"]`, without any `[[channel]]` about all
    /// but those of the page.
    hook_publish: Option<HookUrl>, "URL", Absent("none"), Start;

    /// The address of a backend that answers the messages to `/live` that nothing else takes.
    hook_request: Option<HookUrl>, "URL", Absent("none"), Start;

    /// The key with which calls of backends are signed, 32 bytes or more.
    ///
    /// Hooks need it.
    hook_secret: Option<Secret>, "KEY", Absent("none"), Start;

    /// The time in which a backend has to answer, `100ms` to `30s`; then a client is refused.
    hook_timeout: HookTimeout, "DURATION", Value("2s"), Start;

    /// The most calls of each hook at once; further ones wait.
    hook_calls: NonZeroUsize, "NUMBER", Value("100"), Start;

    /// The headers of a client's request that `hook-connect` is told, by name.
    hook_header: Vec<HeaderName>, "NAME", Value("cookie"), Start;
    /// The time from SIGTERM or SIGQUIT on in which everything is served as before, while `/healthz` and
    /// `/readyz` answer 503, so that balancers send nobody else. Then clients are sent away.
    /// A second signal ends it, and Ctrl-C does not wait.
    drain_delay: Duration, "DURATION", Value("2s"), Start;

    /// The number of threads that serve sockets.
    shards: Option<NonZeroUsize>, "NUMBER", Absent("one per core"), Start;

    /// The lines of the log, which goes to standard error: `error`, `warn`, `info`, `debug`, `trace`,
    /// or directives with crates and modules, such as `info,nextrush=debug`.
    ///
    /// `fjall` and `lsm_tree`, which keep the files of a store, are at `warn` unless they are
    /// named. `nextrush::connections=debug` has a line for each connection that ends.
    log: Filter, "FILTER", Value("info"), Hangup;

    /// The form of the log's lines: `text`, in colours on a terminal alone, or `json`, an object a
    /// line.
    log_format: LogFormat, "FORMAT", Value("text"), Start;

    /// The address of a collector of OpenTelemetry: spans of publications over the HTTP API that have a
    /// `traceparent` are sent to `URL/v1/traces`.
    ///
    /// By OTLP over HTTP, as protobuf. It takes a server that is built with `--features otlp`; any
    /// other warns and sends nothing. The variables of OpenTelemetry for headers, batches and the
    /// service's name hold too.
    otlp_endpoint: Option<ServerUrl>, "URL", Absent("none"), Start;
}

#[cfg(test)]
mod tests;
