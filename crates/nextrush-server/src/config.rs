//! The server's configuration: its settings, checked.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcetera::BaseStrategy as _;
use nextrush::auth::{JwtKey, TokenCookie};
use nextrush::node::NodeName;
use nextrush::server::{BasePath, ListenAddr, TlsConfig, TlsError, TrustedProxy};
use nextrush::{Jwt, OriginPolicy};
use nextrush_admin::{ApiKey, ApiKeys};
use nextrush_redis::{RedisUrl, RedisUrlError};
use parking_lot::Mutex;

use crate::channels::{Channel, Replaced, Rules};
use crate::client::ServerUrl;
use crate::client_limits::ClientLimits;
use crate::current::Current;
use crate::document::{ConfigError, Problem};
use crate::filter::Filter;
use crate::hooks::{HookSettings, HookTimeout};
use crate::key_files::{IssuerKeys, KeyFiles};
use crate::log_format::LogFormat;
use crate::secret::{SECRET_BYTES, Secret, random_secret};
use crate::settings::{Environment, Flags, Layers, Setting, Settings};
use crate::size::Size;

/// A valid configuration of the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The addresses to listen on, one at least.
    pub listen: Vec<ListenAddr>,
    /// The keys for tokens.
    pub jwt: Jwt,
    /// The secret from which the first key is made; `None` where there are others, and in
    /// development mode with a random one.
    pub(crate) jwt_secret: Option<Secret>,
    /// The files with further keys, as they hold.
    key_files: Arc<Mutex<KeyFiles>>,
    /// The keys that an issuer publishes, as they hold.
    issuer_keys: Arc<Mutex<Option<IssuerKeys>>>,
    /// The cookie in which a token may come.
    pub token_cookie: Option<TokenCookie>,
    /// True if clients may bring their token in the first message of a socket.
    pub token_message: bool,
    /// True if the server mints a token for anybody who asks.
    pub development: bool,
    /// True if the guide's endpoints that need no token are served.
    pub open_endpoints: bool,
    /// The web pages that may connect.
    pub origins: OriginPolicy,
    /// The key of the HTTP API; `None` turns that API off.
    pub api_key: Option<Secret>,
    /// All keys of the HTTP API, with that one; replaced on SIGHUP.
    pub(crate) api_keys: ApiKeys,
    /// The key of the operators' view; `None` turns that view off outside development mode.
    pub admin_key: Option<Secret>,
    /// The addresses at which figures are served for Prometheus, and nothing for clients.
    pub metrics_listen: Vec<ListenAddr>,
    /// The key of these figures. Without addresses of their own they are served beside everything
    /// else, if there is a key.
    pub metrics_key: Option<Secret>,
    /// The place of chats, channels and posts.
    pub store: Store,
    /// The bytes that the store's files may take; `None` for 10 GiB, or half of what is free on
    /// the disk or in use by the store.
    pub store_limit: Option<u64>,
    /// The directory for backups of the store; `None` for no backups.
    pub backup_dir: Option<PathBuf>,
    /// The certificate for TLS; `None` for plain HTTP.
    pub tls: Option<TlsConfig>,
    /// The bytes that may wait for all slow readers together; `None` for a quarter of the memory.
    pub backlog_total: Option<usize>,
    /// The bytes of the record of subscriptions; 0 for none.
    pub trace_record: usize,
    /// The bounds on each client and on all connections.
    pub limits: ClientLimits,
    /// The most connections of one client address.
    pub connections_per_address: NonZeroUsize,
    /// The proxies whose word about clients is taken.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// True if those begin connections with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// The path below which the server is, beside the root.
    pub base_path: BasePath,
    /// The longest pause between two requests of a connection.
    pub keep_alive: Duration,
    /// The time between SIGTERM and the drain.
    pub drain_delay: Duration,
    /// The number of shard threads; `None` for one per core.
    pub shards: Option<NonZeroUsize>,
    /// The lines of the log.
    pub log: Filter,
    /// Their form.
    pub log_format: LogFormat,
    /// The collector of spans; without the feature `otlp` nothing is sent.
    pub otlp_endpoint: Option<ServerUrl>,
    /// The hooks; `None` without any.
    pub(crate) hooks: Option<HookSettings>,
    /// The kinds of live channels.
    pub(crate) channels: Vec<Channel>,
    /// The parts that change while the server runs.
    pub(crate) current: Current,
    /// The words of all settings.
    words: Words,
}

/// The words of each setting as it holds, secrets too.
#[derive(Clone)]
struct Words(Arc<Mutex<Vec<SettingWords>>>);

type SettingWords = (&'static Setting, Vec<String>);

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

/// The outcome of [`Config::reload`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reloaded {
    /// The names of settings that have changed and hold from now on.
    pub changed: Vec<String>,
    /// The names of settings that have changed and need a restart.
    pub restart: Vec<String>,
    /// The lines of the log from now on.
    pub log: Filter,
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

impl Config {
    /// Reads the configuration of a command line, the environment and the configuration file, and
    /// logs what is odd in it.
    ///
    /// # Errors
    ///
    /// All that is wrong: unknown keys of the file, values that cannot be read, a server without a
    /// secret or with a short one outside development mode, development mode on an address that
    /// is not loopback, a Redis beside a store or with an address that is none, and a certificate
    /// that cannot be used.
    pub fn new(flags: impl Into<Flags>) -> Result<Self, ConfigError> {
        let (config, oddities) = Self::read(flags);
        for oddity in oddities {
            tracing::warn!("{oddity}");
        }
        config
    }

    /// Reads the configuration as [`new`](Self::new) does, and gives back what is odd in it, for a log
    /// that has to be set up first.
    pub fn read(flags: impl Into<Flags>) -> (Result<Self, ConfigError>, Vec<Problem>) {
        let mut read = Reading::of(&flags.into(), &Environment::of_process());
        let oddities = std::mem::take(&mut read.layers.warnings);
        (read.into_config(), oddities)
    }

    /// Checks the text of a configuration file by itself, without flags, variables, and the
    /// files of secrets that it names.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn check_text(path: &Path, text: &str) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let layers = Layers::of_text(path, text, &mut problems);
        Settings::read(&layers, &mut problems);
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ConfigError { problems }),
        }
    }

    /// Reads the configuration of the same command line again, and has the application of this
    /// one go on with it, as far as that needs no restart.
    ///
    /// # Errors
    ///
    /// All that is wrong; then nothing has changed.
    pub fn reload(&self, flags: &Flags) -> Result<Reloaded, ConfigError> {
        let new = Self::new(flags.clone())?;
        let mut reloaded = Reloaded {
            changed: Vec::new(),
            restart: Vec::new(),
            log: new.log.clone(),
        };
        // A random secret holds as long as the process.
        let is_random = |config: &Self| config.development && config.jwt_secret.is_none();
        // Nor does who checks tokens change while there is a backend for that.
        let passes = |config: &Self| {
            config
                .hooks
                .as_ref()
                .is_some_and(|hooks| hooks.passes_tokens)
        };
        let keys_can_change = is_random(self) == is_random(&new) && passes(self) == passes(&new);
        if keys_can_change {
            self.take_keys(&new);
        }
        // The routes are there from the start, or not at all.
        let has_api = |config: &Self| !config.api_keys.to_vec().is_empty();
        let api_keys_can_change = has_api(self) == has_api(&new);
        // What holds is compared, and not what the last reading said.
        for ((setting, before), (_, now)) in
            self.words.0.lock().iter_mut().zip(&*new.words.0.lock())
        {
            if before == now {
                continue;
            }
            let is_taken = match &*setting.name() {
                "log" => true,
                "jwt-secret" | "jwt-key" | "jwks-url" | "jwt-audience" | "jwt-issuer"
                | "jwt-id-claim" => keys_can_change,
                "api-key" => api_keys_can_change,
                "admin-key" => match (self.current.inspector_key(), &new.admin_key) {
                    (Some(held), Some(key)) => {
                        held.replace(key.clone());
                        true
                    }
                    _ => false,
                },
                "connections-per-address" => {
                    let connections = new.connections_per_address.get();
                    self.current.connections.set(connections);
                    true
                }
                "allow-origin" => match (self.current.origins(), &new.origins) {
                    (OriginPolicy::List(_), OriginPolicy::List(_)) => {
                        self.current.set_origins(new.origins.clone());
                        true
                    }
                    _ => false,
                },
                _ => false,
            };
            if is_taken {
                before.clone_from(now);
                reloaded.changed.push(setting.name());
            } else {
                reloaded.restart.push(setting.name());
            }
        }
        let new_api_keys = new.api_keys.to_vec();
        if api_keys_can_change {
            let is_told = reloaded.changed.iter().any(|name| name == "api-key");
            if self.api_keys.replace(new_api_keys) && !is_told {
                reloaded.changed.push("api-key".to_owned());
            }
        } else if new_api_keys != self.api_keys.to_vec()
            && !reloaded.restart.iter().any(|name| name == "api-key")
        {
            reloaded.restart.push("api-key".to_owned());
        }
        if keys_can_change {
            let mut held = self.key_files.lock();
            let now = new.key_files.lock();
            let is_told = reloaded.changed.iter().any(|name| name == "jwt-key");
            if !held.is_same(&now) && !is_told {
                reloaded.changed.push("jwt-key".to_owned());
            }
            held.clone_from(&now);
        }
        match self.current.rules.replace(&new.channels) {
            Replaced::Same => {}
            Replaced::Rules => {
                reloaded.changed.push("channel".to_owned());
                self.current.tell();
            }
            Replaced::NeedsRestart => reloaded.restart.push("channel".to_owned()),
        }
        Ok(reloaded)
    }

    /// Begins to fetch the keys of an issuer, if there is one.
    pub(crate) fn start_fetching(&self) {
        if let Some(issuer) = &*self.issuer_keys.lock() {
            issuer.jwks.start();
        }
    }

    /// Goes on with the keys of a new configuration. What was fetched is kept where the address is
    /// the same.
    fn take_keys(&self, new: &Self) {
        let mut held = self.issuer_keys.lock();
        let issuer = new.issuer_keys.lock().clone();
        let is_same = match (&*held, &issuer) {
            (Some(held), Some(issuer)) => held.is_same(issuer),
            _ => false,
        };
        if !is_same {
            *held = issuer;
        }
        let jwt = match &*held {
            Some(issuer) => new.jwt.clone().jwks(issuer.jwks.clone()),
            None => new.jwt.clone(),
        };
        drop(held);
        self.start_fetching();
        self.current.set_jwt(jwt);
    }
}

/// A configuration that was read, whether it is right or not.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) layers: Layers,
    pub(crate) config: Option<Config>,
    pub(crate) problems: Vec<Problem>,
    /// True if nothing but a secret is missing, which the environment of the server may have.
    pub(crate) lacks_secret: bool,
}

impl Reading {
    /// Reads a configuration.
    pub(crate) fn of(flags: &Flags, environment: &Environment) -> Self {
        Self::with(flags, environment, is_cargo_run(), data_directory)
    }

    pub(crate) fn with(
        flags: &Flags,
        environment: &Environment,
        is_cargo_run: bool,
        data_directory: impl FnOnce() -> Option<PathBuf>,
    ) -> Self {
        let mut problems = Vec::new();
        let layers = Layers::gather(flags, environment, &mut problems);
        let settings = Settings::read(&layers, &mut problems);
        let mut reading = Self {
            layers,
            config: None,
            problems,
            lacks_secret: false,
        };
        if let Some(settings) = settings {
            let config = reading.check(settings, is_cargo_run, data_directory);
            reading.config = config.filter(|_| reading.problems.is_empty());
        }
        reading
    }

    /// The keys that sign tokens, those of files before the secret, and the rules of tokens. What else
    /// is wrong with the configuration does not matter.
    pub(crate) fn signing_keys(
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Jwt, ConfigError> {
        let mut problems = Vec::new();
        let layers = Layers::gather(flags, environment, &mut problems);
        let of = |name: &str| layers.of(name);
        let secret: Option<Option<Secret>> = of("jwt-secret").read(&mut problems);
        let files: Option<Vec<PathBuf>> = of("jwt-key").read(&mut problems);
        let audience: Option<Vec<String>> = of("jwt-audience").read(&mut problems);
        let issuer: Option<Vec<String>> = of("jwt-issuer").read(&mut problems);
        let place = layers.place("jwt-key");
        let files = KeyFiles::read(&files.unwrap_or_default(), |message| {
            problems.push(Problem::at(place, message));
        });
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let private = files.keys.into_iter().filter(JwtKey::can_sign);
        let secret = given(secret.flatten());
        let mut jwt = Jwt::with_keys(private);
        if let (false, Some(secret)) = (jwt.can_sign(), secret) {
            jwt = Jwt::hs256(secret.expose());
        }
        jwt = audience.into_iter().flatten().fold(jwt, Jwt::audience);
        Ok(issuer.into_iter().flatten().fold(jwt, Jwt::issuer))
    }

    pub(crate) fn into_config(self) -> Result<Config, ConfigError> {
        let problems = self.problems;
        self.config.ok_or(ConfigError { problems })
    }

    /// Notes a fault of a setting.
    fn wrong(&mut self, name: &str, message: impl Into<String>) {
        let place = self.layers.place(name);
        self.problems.push(Problem::at(place, message));
    }

    fn check(
        &mut self,
        settings: Settings,
        is_cargo_run: bool,
        data_directory: impl FnOnce() -> Option<PathBuf>,
    ) -> Option<Config> {
        let secret = given(settings.jwt_secret.clone());
        let key_files = self.key_files(&settings.jwt_key);
        let issuer_keys = settings.jwks_url.clone().map(IssuerKeys::new);
        let has_keys = !settings.jwt_key.is_empty() || issuer_keys.is_some();
        let has_backend = settings.hook_connect.is_some();
        let is_known = secret.is_some() || has_keys || has_backend;
        let development = settings.dev || (!is_known && is_cargo_run);
        let of_secret = match &secret {
            Some(secret) => {
                if secret.expose().len() < SECRET_BYTES {
                    let short = format!("the secret is shorter than {SECRET_BYTES} bytes");
                    if development {
                        let place = self.layers.place("jwt-secret");
                        self.layers.warnings.push(Problem::at(place, short));
                    } else {
                        let advice =
                            "and could be guessed: make one with `openssl rand -base64 32`";
                        self.wrong("jwt-secret", format!("{short} {advice}"));
                    }
                }
                Some(Jwt::hs256(secret.expose()))
            }
            None if development => Some(Jwt::hs256(random_secret())),
            // Without any, a backend says who a client is.
            None if has_keys || has_backend => Some(Jwt::with_keys([])),
            None => {
                self.lacks_secret = self.problems.is_empty();
                self.problems.push(Problem::missing(
                    "JWT_SECRET is not set: set it to the key that your tokens are signed with, \
                     name keys with --jwt-key or --jwks-url, or try the server with --dev",
                ));
                None
            }
        };
        if settings.listen.is_empty() {
            self.wrong("listen", "there is no address to listen on");
        }
        if development {
            self.check_development(&settings.listen);
        }
        if settings.proxy_protocol && settings.trusted_proxy.is_empty() {
            self.wrong(
                "proxy-protocol",
                "the PROXY protocol is for trusted proxies: set trusted-proxy as well",
            );
        }
        if settings.otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
            let place = self.layers.place("otlp-endpoint");
            let message = "this server is built without the feature otlp, and sends no spans";
            self.layers.warnings.push(Problem::at(place, message));
        }
        let limits = ClientLimits::new(&settings, |name, message| self.wrong(name, message));
        let redis = self.redis_place(&settings);
        let hooks = self.hooks(&settings, secret.is_none() && !has_keys && !development);
        let api_key = self.long_or_absent("api-key", settings.api_key);
        let mut api_keys = self.layers.api_keys.clone();
        if self.problems.is_empty() {
            let only = api_key.clone().map(|key| ApiKey::new("api-key", key));
            api_keys.splice(0..0, only);
        }
        let admin_key = self.long_or_absent("admin-key", settings.admin_key);
        let metrics_key = self.long_or_absent("metrics-key", settings.metrics_key);
        if redis.is_some() && (settings.store.is_some() || settings.no_store) {
            let other = if settings.store.is_some() {
                "store"
            } else {
                "no-store"
            };
            self.wrong(
                other,
                format!("{other} and redis are two places for the same data: leave one out"),
            );
        }
        if redis.is_some() && secret.is_none() && development {
            self.problems.push(Problem::missing(
                "several servers in development mode need one JWT_SECRET: with a random one each \
                 would refuse the others' tokens",
            ));
        }
        let store = match settings.store {
            _ if settings.no_store => Store::Memory,
            Some(directory) => Store::Directory(directory),
            None if development => data_directory().map_or(Store::Memory, Store::DirectoryIfFree),
            None => Store::Memory,
        };
        let store_limit = settings.store_limit.map(|limit| limit.bytes() as u64);
        if store_limit.is_some_and(|limit| limit < STORE_LIMIT) {
            self.wrong(
                "store-limit",
                "less than 512M: journals and merging need some of it",
            );
        }
        if settings.backup_dir.is_some() && (store == Store::Memory || redis.is_some()) {
            let what = "there is no store to back up: set store as well";
            self.wrong("backup-dir", what);
        }
        let tls = self.tls(settings.tls_cert, settings.tls_key);
        let origins = match settings.allow_origin {
            list if list.is_empty() => OriginPolicy::SameOrigin,
            list => OriginPolicy::list(list),
        };
        self.lacks_secret &= self.problems.len() == 1;
        let mut jwt = key_files.keys.iter().cloned().fold(of_secret?, Jwt::key);
        jwt = settings.jwt_audience.into_iter().fold(jwt, Jwt::audience);
        jwt = settings.jwt_issuer.into_iter().fold(jwt, Jwt::issuer);
        jwt = settings.jwt_id_claim.into_iter().fold(jwt, Jwt::id_claim);
        if let Some(issuer) = &issuer_keys {
            jwt = jwt.jwks(issuer.jwks.clone());
        }
        let channels = self.layers.channels.clone();
        let connections = settings.connections_per_address.get().into();
        let rules = Rules::new(&channels);
        let messages = limits.messages;
        let current = Current::new(jwt.clone(), origins.clone(), rules, connections, messages);
        let words = Words(Arc::new(Mutex::new(self.layers.words())));
        Some(Config {
            listen: settings.listen,
            jwt,
            jwt_secret: secret,
            key_files: Arc::new(Mutex::new(key_files)),
            issuer_keys: Arc::new(Mutex::new(issuer_keys)),
            development,
            token_cookie: settings.token_cookie,
            token_message: settings.token_message,
            open_endpoints: settings.open_endpoints.unwrap_or(development),
            origins,
            store_limit,
            backup_dir: settings.backup_dir,
            api_key,
            api_keys: ApiKeys::new(api_keys),
            admin_key,
            metrics_listen: settings.metrics_listen,
            metrics_key,
            store: redis.map_or(store, Store::Redis),
            tls,
            backlog_total: settings.backlog_total.map(Size::bytes),
            trace_record: settings.trace_record.bytes(),
            limits,
            connections_per_address: settings.connections_per_address,
            trusted_proxies: settings.trusted_proxy,
            proxy_protocol: settings.proxy_protocol,
            base_path: settings.base_path,
            keep_alive: settings.keep_alive,
            drain_delay: settings.drain_delay,
            shards: settings.shards,
            log: settings.log,
            log_format: settings.log_format,
            otlp_endpoint: settings.otlp_endpoint,
            hooks,
            channels,
            current,
            words,
        })
    }

    /// The files with keys of tokens.
    fn key_files(&mut self, paths: &[PathBuf]) -> KeyFiles {
        KeyFiles::read(paths, |message| self.wrong("jwt-key", message))
    }

    /// Refuses development mode for all but this machine.
    fn check_development(&mut self, listen: &[ListenAddr]) {
        for address in listen.iter().filter(|address| !address.is_local()) {
            let instead = match address {
                ListenAddr::Port(port) => format!("; localhost:{port} is for this machine"),
                _ => String::new(),
            };
            self.wrong(
                "listen",
                format!(
                    "development mode gives a token to whoever asks and is for loopback addresses \
                     only, not for {address}{instead}"
                ),
            );
        }
    }

    /// The hooks, if there are any.
    fn hooks(&mut self, settings: &Settings, passes_tokens: bool) -> Option<HookSettings> {
        let urls = [
            ("hook-connect", &settings.hook_connect),
            ("hook-subscribe", &settings.hook_subscribe),
            ("hook-publish", &settings.hook_publish),
            ("hook-request", &settings.hook_request),
        ];
        for channel in self.layers.channels.clone() {
            let hooked = channel.settings.hooks;
            for (is_hooked, name, setting, url) in [
                (hooked.subscribe, "subscribe", "hook-subscribe", urls[1].1),
                (hooked.state, "state", "hook-subscribe", urls[1].1),
                (hooked.publish, "publish", "hook-publish", urls[2].1),
            ] {
                if is_hooked && url.is_none() {
                    let message = format!("the hook {name:?} needs {setting}, its address");
                    self.problems.push(Problem::at(&channel.place, message));
                }
            }
        }
        let (first, _) = urls.iter().find(|(_, url)| url.is_some())?;
        let Some(secret) = self.long_or_absent("hook-secret", settings.hook_secret.clone()) else {
            let message = "hooks need hook-secret, with which calls are signed: make one with \
                           `openssl rand -base64 32`";
            self.wrong(first, message);
            return None;
        };
        let HookTimeout(timeout) = settings.hook_timeout;
        Some(HookSettings {
            connect: settings.hook_connect.clone(),
            subscribe: settings.hook_subscribe.clone(),
            publish: settings.hook_publish.clone(),
            request: settings.hook_request.clone(),
            secret,
            timeout,
            calls: settings.hook_calls,
            headers: settings.hook_header.clone(),
            passes_tokens,
        })
    }

    /// The certificate, if there is one.
    fn tls(&mut self, cert: Option<PathBuf>, key: Option<PathBuf>) -> Option<TlsConfig> {
        let (cert, key) = match (cert, key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) => return None,
            (Some(_), None) => {
                self.wrong(
                    "tls-cert",
                    "a certificate needs its private key: set tls-key as well",
                );
                return None;
            }
            (None, Some(_)) => {
                self.wrong(
                    "tls-key",
                    "a private key needs its certificate: set tls-cert as well",
                );
                return None;
            }
        };
        match TlsConfig::from_pem_files(&cert, &key) {
            Ok(tls) => Some(tls),
            Err(error) => {
                let (name, file) = match &error {
                    TlsError::Key(_) => ("tls-key", Some(&key)),
                    TlsError::File { path, .. } if *path == key => ("tls-key", None),
                    TlsError::Certificate(_) => ("tls-cert", Some(&cert)),
                    _ => ("tls-cert", None),
                };
                let mut message =
                    file.map_or_else(String::new, |file| format!("{}: ", file.display()));
                message.push_str(&with_sources(&error));
                self.wrong(name, message);
                None
            }
        }
    }

    /// The place on a Redis, if there is one.
    fn redis_place(&mut self, settings: &Settings) -> Option<RedisPlace> {
        let address = given(settings.redis.clone())?;
        let url = match address.expose().trim().parse() {
            Ok(url) => Some(url),
            Err(error) => {
                let error: RedisUrlError = error;
                self.wrong("redis", error.to_string());
                None
            }
        };
        let node = settings.node.clone().unwrap_or_else(node_name);
        let Ok(node) = NodeName::try_from(&*node) else {
            self.wrong(
                "node",
                "a name has 1 to 64 letters, digits, dots, hyphens and underscores",
            );
            return None;
        };
        Some(RedisPlace {
            url: url?,
            prefix: settings.redis_prefix.clone(),
            node,
        })
    }

    /// Takes an empty key for none, and refuses a short one.
    fn long_or_absent(&mut self, name: &str, key: Option<Secret>) -> Option<Secret> {
        let key = given(key)?;
        if key.expose().len() < SECRET_BYTES {
            self.wrong(
                name,
                format!("the key is shorter than {SECRET_BYTES} bytes"),
            );
        }
        Some(key)
    }
}

/// The secret, unless it is empty.
fn given(secret: Option<Secret>) -> Option<Secret> {
    secret.filter(|secret| !secret.expose().is_empty())
}

/// An error with its causes.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    /// The reading of a command line alone.
    fn reading(arguments: &[&str], is_cargo_run: bool) -> Reading {
        let mut cli = Cli::parse_from(["nextrush"].iter().chain(arguments));
        cli.flags.places = Some(Vec::new());
        let data = || Some(PathBuf::from("/data"));
        Reading::with(&cli.flags, &Environment::default(), is_cargo_run, data)
    }

    fn config(arguments: &[&str], is_cargo_run: bool) -> Result<Config, ConfigError> {
        reading(arguments, is_cargo_run).into_config()
    }

    /// The only thing that is wrong with a command line.
    #[track_caller]
    fn refused(arguments: &[&str]) -> String {
        let error = config(arguments, false).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        error.to_string()
    }

    #[test]
    fn without_a_secret_the_server_refuses_to_start() {
        for arguments in [&[][..], &["--jwt-secret", ""]] {
            let reading = reading(arguments, false);
            assert!(reading.lacks_secret);
            let error = reading.into_config().unwrap_err().to_string();
            assert!(error.starts_with("JWT_SECRET is not set"), "{error}");
        }
        assert!(!reading(&["--listen", "x"], false).lacks_secret);
        assert!(!reading(&["--api-key", "short"], false).lacks_secret);
    }

    #[test]
    fn a_short_secret_is_refused_outside_development_mode() {
        let short = ["--jwt-secret", &SECRET[1..]];
        for is_cargo_run in [false, true] {
            let error = config(&short, is_cargo_run).unwrap_err().to_string();
            assert!(
                error.starts_with("--jwt-secret: the secret is shorter"),
                "{error}"
            );
        }
        let development = reading(&[&short[..], &["--dev"]].concat(), false);
        assert_eq!(development.layers.warnings.len(), 1);
        assert!(development.into_config().is_ok());
        assert!(config(&["--jwt-secret", SECRET], false).is_ok());
    }

    #[test]
    fn a_file_of_keys_takes_the_place_of_a_secret_and_says_what_is_wrong_with_it() {
        let fixtures = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../nextrush/tests/fixtures/keys/"
        );
        let of = |file: &str| config(&["--jwt-key", &format!("{fixtures}{file}")], true);
        let keys = of("public.pem").unwrap();
        assert!(!keys.development && keys.jwt_secret.is_none());
        for (file, expected) in [
            (
                "sec1.pem",
                "sec1.pem: the private key is not in the form PKCS #8",
            ),
            ("tokens.json", "tokens.json: expected a key in PEM form"),
            ("nowhere", "--jwt-key: cannot read "),
        ] {
            let error = of(file).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn cargo_run_without_a_secret_is_development_mode() {
        assert!(config(&[], true).unwrap().development);
        assert!(config(&["--dev"], false).unwrap().development);
        let secret = ["--jwt-secret", SECRET];
        assert!(!config(&secret, true).unwrap().development);
    }

    #[test]
    fn open_endpoints_are_asked_for_outside_development_mode() {
        let is_open = |more: &[&str]| {
            let config = config(&[&["--jwt-secret", SECRET], more].concat(), false);
            config.unwrap().open_endpoints
        };
        assert!(!is_open(&[]));
        assert!(is_open(&["--open-endpoints"]));
        assert!(is_open(&["--dev"]));
        assert!(!is_open(&["--dev", "--open-endpoints=false"]));
    }

    #[test]
    fn the_keys_of_the_api_and_of_operators_are_long_or_absent() {
        let long = "x".repeat(32);
        let with = |flag: &str, key: &str| config(&["--dev", flag, key], false);
        for flag in ["--api-key", "--admin-key", "--metrics-key"] {
            let short = refused(&["--dev", flag, "short"]);
            assert_eq!(short, format!("{flag}: the key is shorter than 32 bytes"));
        }
        assert!(with("--api-key", "").unwrap().api_key.is_none());
        assert!(with("--api-key", &long).unwrap().api_key.is_some());
        assert!(with("--admin-key", "").unwrap().admin_key.is_none());
        assert!(with("--admin-key", &long).unwrap().admin_key.is_some());
    }

    #[test]
    fn only_development_mode_has_a_store_unless_it_is_told_where() {
        let store = |arguments: &[&str]| {
            let arguments = [&["--jwt-secret", SECRET], arguments].concat();
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
        let homeless = Reading::with(&cli.flags, &Environment::default(), false, || None);
        assert_eq!(homeless.into_config().unwrap().store, Store::Memory);
    }

    #[test]
    fn the_limit_of_a_store_leaves_room_for_journals() {
        let limit = config(&["--dev", "--store-limit", "512M"], false);
        assert_eq!(limit.unwrap().store_limit, Some(512 << 20));
        let small = refused(&["--dev", "--store-limit", "511M"]);
        assert!(
            small.starts_with("--store-limit: less than 512M"),
            "{small}"
        );
        assert_eq!(config(&["--dev"], false).unwrap().store_limit, None);
    }

    #[test]
    fn backups_are_of_a_store() {
        let secret = ["--jwt-secret", SECRET, "--backup-dir", "/backups"];
        let stored = config(&[&secret[..], &["--store", "/data"]].concat(), false);
        let directory = stored.unwrap().backup_dir;
        assert_eq!(directory, Some(PathBuf::from("/backups")));
        for more in [&[][..], &["--redis", "redis://localhost"]] {
            let error = refused(&[&secret[..], more].concat());
            assert!(error.contains("--backup-dir: there is no store"), "{error}");
        }
    }

    #[test]
    fn several_servers_share_a_redis_in_place_of_a_store() {
        let at =
            |arguments: &[&str]| config(&[&["--jwt-secret", SECRET], arguments].concat(), false);
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
        let place = redis(&["--redis-file", file]);
        assert_eq!(place.url.to_string(), "redis://from-file:6379");
        for (arguments, expected) in [
            (
                &["--redis", "redis://h", "--redis-file", file][..],
                "--redis-file: redis is given by --redis as well: leave one out",
            ),
            (
                &["--redis-file", "/nowhere"],
                "--redis-file: cannot read /nowhere: ",
            ),
            (
                &["--redis", "redis://h", "--store", "a"],
                "--store: store and redis are two places for the same data",
            ),
            (
                &["--redis", "redis://h", "--no-store"],
                "--no-store: no-store and redis are two places",
            ),
            (
                &["--redis", "redis://h", "--node", "a b"],
                "--node: a name has 1 to 64 letters",
            ),
            (&["--redis", "http://hunter2"], "--redis: "),
        ] {
            let error = refused(&[&["--jwt-secret", SECRET], arguments].concat());
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn several_servers_in_development_mode_need_one_secret() {
        let alone = refused(&["--dev", "--redis", "redis://h"]);
        assert!(alone.contains("need one JWT_SECRET"), "{alone}");
    }

    #[test]
    fn development_mode_is_for_loopback_addresses_only() {
        for addr in [
            "0.0.0.0:3000",
            "[::]:3000",
            "192.0.2.1:80",
            ":3000",
            "example.com:80",
        ] {
            let public = refused(&["--dev", "--listen", "localhost:0", "--listen", addr]);
            assert!(
                public.contains(addr) && public.contains("loopback"),
                "{public}"
            );
        }
        for addr in [
            "127.0.0.1:0",
            "127.8.8.8:3000",
            "[::1]:3000",
            "localhost:1",
            "unix:x",
        ] {
            assert!(
                config(&["--dev", "--listen", addr], false).is_ok(),
                "{addr}"
            );
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = config(
            &[
                "--listen",
                "80443,x",
                "--shards",
                "0",
                "--allow-origin",
                "example.com",
                "--store-limit",
                "1T",
                "--log",
                "bogus",
                "--dev=perhaps",
            ],
            false,
        );
        let error = error.unwrap_err();
        assert!(error.is_of_command_line());
        let expected = [
            "--listen: \"80443\" is no port: ports are whole numbers from 0 to 65535",
            "--listen: \"x\" has no port: append one, as in x:3000",
            "--dev: \"perhaps\" is neither true nor false",
            "--allow-origin: \"example.com\": expected an origin such as https://example.com or app://name, without a path, or null",
            "--store-limit: \"1T\": a size is a whole number of bytes, with K, M or G for powers of \
             1,024, such as 500M",
            "--shards: \"0\" is no whole number of 1 or more",
            "--log: \"bogus\": expected a level (error, warn, info, debug, trace or off), or directives \
             such as info,nextrush=debug",
        ];
        let problems: Vec<_> = error.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, expected);
        assert!(
            error
                .to_string()
                .starts_with("7 faults in the configuration:\n  --listen")
        );
    }

    #[test]
    fn a_certificate_that_cannot_be_used_is_said_with_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let cert = file("cert.pem", made.cert.pem());
        let key = file("key.pem", made.signing_key.serialize_pem());
        let tls = |cert: &str, key: &str| {
            let arguments = ["--dev", "--tls-cert", cert, "--tls-key", key];
            config(&arguments, false).map_err(|error| error.to_string())
        };
        assert!(tls(&cert, &key).unwrap().tls.is_some());
        let swapped = tls(&key, &cert).unwrap_err();
        assert!(
            swapped.starts_with(&format!("--tls-cert: {key}: no valid certificates")),
            "{swapped}"
        );
        let no_key = tls(&cert, &cert).unwrap_err();
        assert!(
            no_key.starts_with(&format!("--tls-key: {cert}: no valid private key")),
            "{no_key}"
        );
        let nowhere = tls(&cert, "/nowhere").unwrap_err();
        assert!(
            nowhere.starts_with("--tls-key: cannot read /nowhere: "),
            "{nowhere}"
        );
        let half = refused(&["--dev", "--tls-cert", &cert]);
        assert!(half.contains("set tls-key as well"), "{half}");
    }
}
