//! The server's application, as its configuration says.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use axum::Extension;
use axum::middleware::map_request_with_state;
use nextrush::auth::{Authenticator, TokenMessage};
use nextrush::broker::{EmbeddedBroker, EmbeddedOptions, OpenError};
use nextrush::limits::EngineConfig;
use nextrush::live::{ChannelPolicies, ChannelPolicy, SubscribeContext};
use nextrush::server::{Listen, ListenAddr};
use nextrush::topic::NumberedParts;
use nextrush::{App, ChatServer, LiveUpdates, User};
use nextrush_admin::{HttpApi, Inspector, Metrics, health, version};
use nextrush_redis::{ConnectError, Redis, RedisOptions};

use crate::claims::Claims;
use crate::config::{Config, RedisPlace, Store};
use crate::current::attach;
use crate::error::StartError;
use crate::hooks::{HookedChannels, Hooks};
use crate::routes::posts::{Posts, Records};
use crate::routes::{cors, development, guide, page, posts};

/// The updates that a channel of posts remembers: as many as a client that comes back gets.
const UPDATES: usize = 300;
const UPDATES_AGE: Duration = Duration::from_secs(60 * 60);
/// The time by which the functions around a hook outlast its own timeout.
const HOOK_MARGIN: Duration = Duration::from_secs(1);

/// Builds the server's application, and opens its store if it has one.
///
/// # Errors
///
/// [`StartError`] when the store cannot be opened or read, or the Redis cannot be used.
pub async fn app(config: &Config) -> Result<App, StartError> {
    Ok(apps(config).await?.0)
}

/// Builds the server's application as [`app()`] does, and beside it the one that serves figures
/// alone, at [addresses of their own](Config::metrics_listen), if there are any.
///
/// # Errors
///
/// As [`app()`].
pub async fn apps(config: &Config) -> Result<(App, Option<App>), StartError> {
    let limits = &config.limits;
    let mut engine = EngineConfig::default().connections(limits.connections.get());
    if let Some(shards) = config.shards {
        engine.shards = shards;
    }
    if let Some(bytes) = config.backlog_total {
        engine.backlog_total = bytes;
    }
    let builder = App::builder()
        .engine(engine)
        .trace_record(config.trace_record);
    let (mut app, is_kept) = match &config.store {
        Store::Redis(place) => (builder.broker(connect(place).await?).build(), false),
        store => match open(store, config.store_limit)? {
            Some(broker) => (builder.broker(broker).build(), true),
            None => (builder.build(), false),
        },
    };

    app.options(limits.of_sockets());
    let current = &config.current;
    config.start_fetching();
    let hooks = Hooks::new(config.hooks.as_ref()).map_err(StartError::Hooks)?;
    let chat = ChatServer::new(&app, "chat");
    let live = LiveUpdates::builder()
        .policies(channels(config, &hooks)?)
        .channels_per_socket(limits.channels_per_socket.get())
        .build(&app, "live");
    let records = Records::new(app.handle());
    current.recheck(&live);
    guide::add(&mut app, chat.clone(), live.clone(), current, &hooks);
    if config.open_endpoints {
        guide::add_open(&mut app, current, limits.of_sockets());
    } else {
        tracing::info!(
            "/chat, /rooms, /games and /robust-chat need no token and are not served: \
             --open-endpoints or NEXTRUSH_OPEN_ENDPOINTS=1 serves them"
        );
    }
    let posts = Posts::load(app.handle(), is_kept.then_some(records)).await?;
    if !config.api_keys.to_vec().is_empty() {
        let mut api = HttpApi::with_keys(&app, &config.api_keys)
            .live(&live)
            .chat(&chat);
        if let Some(directory) = &config.backup_dir {
            api = api.backup_dir(directory);
        }
        app.merge(api.router());
    }
    if let Some(cookie) = &config.token_cookie {
        app.token_cookie(cookie.name());
    }
    if config.token_message {
        app.token_message(TokenMessage::default());
    }
    app.merge(posts::router(posts, live.clone()));
    if config.development {
        app.merge(development::router(current.clone()));
    }
    match inspector(&app, config) {
        Some(inspector) => {
            current.set_inspector_key(inspector.key());
            // It is a part of the program's own page.
            let inspector = inspector.live(&live).chat(&chat).without_page();
            app.merge(inspector.router());
        }
        // The store may have its topic of an earlier start, of which nobody need be warned.
        None => drop(LiveUpdates::new(&app, "inspect")),
    }
    app.merge(health(&app));
    app.merge(version("nextrush", env!("CARGO_PKG_VERSION")));
    let figures = match &config.metrics_key {
        Some(key) => Metrics::new(&app, key.clone()),
        None => Metrics::without_key(&app),
    };
    let figures = figures.live(&live).chat(&chat);
    let mut beside = None;
    if !config.metrics_listen.is_empty() {
        let mut own: App = App::new();
        own.merge(figures.router());
        own.merge(health(&app));
        beside = Some(own);
    } else if config.metrics_key.is_some() {
        app.merge(figures.router());
    }
    app.merge(page::router());
    if let Some(connect) = hooks.connect {
        // Beyond it the backend's own time is over for certain.
        let deadline = connect.timeout() + HOOK_MARGIN;
        let users = Authenticator::<User>::new(connect.clone()).deadline(deadline);
        let claims = Authenticator::<Claims>::new(connect).deadline(deadline);
        app.layer(Extension(users));
        app.layer(Extension(claims));
    }
    app.layer(map_request_with_state(current.clone(), attach));
    if let Some(cors) = cors::layer(current) {
        app.layer(cors);
    }
    Ok((app, beside))
}

/// The application, about to listen as its configuration says.
pub fn listen(app: App, config: &Config) -> Listen {
    let listen = listen_at(app, &config.listen)
        .connections_per_address(config.current.connections.clone())
        .head_timeout(config.limits.head_timeout)
        .head_bytes(config.limits.head_bytes)
        .trusted_proxies(config.trusted_proxies.iter().copied())
        .base_path(config.base_path.clone())
        .keep_alive(config.keep_alive)
        .drain_delay(config.drain_delay);
    let listen = match config.proxy_protocol {
        true => listen.proxy_protocol(),
        false => listen,
    };
    match &config.tls {
        Some(tls) => listen.tls(tls.clone()),
        None => listen,
    }
}

/// The application that serves figures alone, about to listen as its configuration says.
pub fn listen_beside(app: App, config: &Config) -> Listen {
    listen_at(app, &config.metrics_listen)
}

fn listen_at(app: App, addresses: &[ListenAddr]) -> Listen {
    let mut addresses = addresses.iter().cloned();
    let first = addresses.next().unwrap_or(ListenAddr::Port(0));
    addresses.fold(app.listen(first), Listen::and)
}

/// Connects to the Redis that servers share.
async fn connect(place: &RedisPlace) -> Result<Redis, ConnectError> {
    let options = RedisOptions::default()
        .prefix(&place.prefix)
        .node(place.node.clone());
    let redis = Redis::with_options(&place.url, options).await?;
    tracing::info!(
        "chats, channels and posts are shared on {}, where this server is {}",
        place.url,
        place.node
    );
    Ok(redis)
}

/// Opens the broker that keeps topics on disk; `None` if they are kept elsewhere.
fn open(store: &Store, limit: Option<u64>) -> Result<Option<EmbeddedBroker>, StartError> {
    let (directory, is_optional) = match store {
        Store::Memory | Store::Redis(_) => return Ok(None),
        Store::Directory(directory) => (directory, false),
        Store::DirectoryIfFree(directory) => (directory, true),
    };
    let directory_shown = directory.display();
    let failed = |source| StartError::Store {
        directory: directory.clone(),
        source,
    };
    let mut options = EmbeddedOptions::default();
    options.store_bytes = limit;
    let opened = EmbeddedBroker::builder(directory)
        .options(options)
        .migration(numbered_parts())
        .open();
    match opened {
        Ok(broker) => {
            close_to_others(directory).map_err(|error| failed(error.into()))?;
            tracing::info!("chats, channels and posts are kept in {directory_shown}");
            Ok(Some(broker))
        }
        Err(OpenError::InUse) if is_optional => {
            tracing::warn!(
                "another server uses {directory_shown}: chats, channels and posts are in memory \
                 here, and gone with the process"
            );
            Ok(None)
        }
        Err(error) => Err(failed(error)),
    }
}

/// The parts of this program in a store in which they have numbers.
fn numbered_parts() -> NumberedParts {
    NumberedParts::new()
        .chat(0, "chat")
        .live(1, "live")
        .live(2, "posts")
        // The number 3 was a room manager's, which has no topics.
        .live(4, "inspect")
}

/// Closes the directory of a store to other users, whatever the files in it allow.
#[cfg(unix)]
fn close_to_others(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = fs::metadata(directory)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    tracing::info!(
        "{} was open to other users and is closed to them",
        directory.display()
    );
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The operators' view; `None` where nobody may look.
fn inspector(app: &App, config: &Config) -> Option<Inspector> {
    match (&config.admin_key, &config.jwt_secret) {
        (Some(key), _) => Some(Inspector::new(app, key.clone())),
        (None, _) if !config.development => None,
        (None, Some(secret)) => Some(Inspector::without_key(app).ticket_secret(secret.clone())),
        (None, None) => Some(Inspector::without_key(app)),
    }
}

/// The policies of channels: those of the configuration, and before others those of the page.
fn channels(config: &Config, hooks: &Hooks) -> Result<ChannelPolicies, StartError> {
    let policy = ChannelPolicy::new().history(UPDATES, UPDATES_AGE);
    let policies = config
        .current
        .rules
        .policies(hooks)?
        .policy("posts", policy.clone())
        .policy("post-:id", policy.clone())
        .policy("presence-:name", policy.presence());
    let policies = match &config.hooks {
        Some(settings) => policies.deadline(settings.timeout + HOOK_MARGIN),
        None => policies,
    };
    if !config.channels.is_empty() {
        return Ok(policies.refuse_others());
    }
    let hooked = HookedChannels {
        subscribe: hooks.subscribe.is_some(),
        state: false,
        publish: hooks.publish.is_some(),
    };
    if hooked == HookedChannels::default() {
        return Ok(policies);
    }
    let mut policy = hooks.policy(ChannelPolicy::new(), hooked);
    if hooked.subscribe {
        let hooks = hooks.clone();
        policy = policy.may_subscribe(async move |context: SubscribeContext| {
            hooks.may_subscribe(&context).await
        });
    }
    Ok(policies.try_policy(":channel", policy)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use nextrush::broker::{Broker, HistoryQuery, ManualClock, TopicName};

    use super::*;

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let from = entry.unwrap().path();
            let to = to.join(from.file_name().unwrap());
            if from.is_dir() {
                copy(&from, &to);
            } else {
                fs::copy(&from, &to).unwrap();
            }
        }
    }

    /// `tests/it/migration.rs` says what the fixture is.
    #[tokio::test]
    async fn every_topic_of_a_store_with_numbers_gets_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-2");
        copy(&fixture, directory.path());
        // Some seconds after the last publication.
        let clock = Arc::new(ManualClock::new(1_795_873_200_000));
        let broker = EmbeddedBroker::builder(directory.path())
            .clock(clock)
            .migration(numbered_parts())
            .open()
            .unwrap();
        let expected = [
            (
                "chat/chat/den",
                "01a22262-4c5c-77bb-a8b3-9fbf0ac9bd6f",
                1,
                1,
            ),
            (
                "chat/chat/lobby",
                "01a22262-4c5c-77d3-b782-0ab03036d308",
                5,
                5,
            ),
            (
                "live/live/post-1",
                "01a22262-4c5c-75db-ae50-4457fd44c730",
                1,
                1,
            ),
            (
                "live/live/posts",
                "01a22262-4c5c-7fd2-b25e-5720d521a1bf",
                3,
                3,
            ),
            (
                "live/live/presence-desk",
                "01a22262-4c5c-7c4a-bda9-ddf1c2074444",
                3,
                3,
            ),
        ];
        let topics = broker.topics(None, 100).await.unwrap();
        let names: Vec<_> = topics.iter().map(TopicName::as_str).collect();
        let posts = ["live/posts/1", "live/posts/2"];
        assert_eq!(names[..5], expected.map(|(name, ..)| name));
        assert_eq!(names[5..], posts);
        for (topic, (name, epoch, offset, kept)) in topics.iter().zip(expected) {
            let history = broker
                .history(topic, HistoryQuery::Latest(100))
                .await
                .unwrap();
            assert_eq!(history.position.epoch.to_string(), epoch, "{name}");
            assert_eq!(history.position.offset, offset, "{name}");
            assert_eq!(history.publications.len(), kept, "{name}");
        }
    }
}
