//! The server's application, as its configuration says.

use std::time::Duration;

use nextrush::broker::{EmbeddedBroker, OpenError};
use nextrush::limits::EngineConfig;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::{App, ChatServer, LiveUpdates};

use crate::config::{Config, Store};
use crate::error::StartError;
use crate::routes::api::Api;
use crate::routes::inspect::{Access, Inspected};
use crate::routes::posts::{Posts, Records};
use crate::routes::{api, development, guide, health, inspect, page, posts};

/// The updates that a channel of posts remembers: as many as a client that comes back gets.
const UPDATES: usize = 300;
const UPDATES_AGE: Duration = Duration::from_secs(60 * 60);

/// Builds the server's application, and opens its store if it has one.
///
/// # Errors
///
/// [`StartError`] when the store cannot be opened or read.
pub async fn app(config: &Config) -> Result<App, StartError> {
    let mut engine = EngineConfig::default();
    if let Some(shards) = config.shards {
        engine.shards = shards;
    }
    let builder = App::builder().engine(engine);
    let (mut app, is_kept) = match open(&config.store)? {
        Some(broker) => (builder.broker(broker).build(), true),
        None => (builder.build(), false),
    };
    app.origins(config.origins.clone());
    app.jwt(config.jwt.clone());

    let chat = ChatServer::new(&app, "chat");
    let live = LiveUpdates::builder()
        .policies(channels())
        .build(&app, "live");
    // Always the third: what is on disk goes by the order.
    let records = Records::new(app.handle());

    guide::add(&mut app, chat.clone(), live.clone(), &config.jwt);
    if let Some(key) = &config.api_key {
        app.merge(api::router(Api {
            app: app.handle().clone(),
            live: live.clone(),
            key: key.clone(),
        }));
    }
    let posts = Posts::load(is_kept.then_some(records)).await?;
    app.merge(posts::router(posts, live.clone()));
    if config.development {
        app.merge(development::router(config.jwt.clone()));
    }
    if let Some(access) = operators(config) {
        let inspected = Inspected {
            app: app.handle().clone(),
            chat,
            live,
        };
        app.merge(inspect::router(inspected, access));
    }
    app.merge(health::router(app.handle().clone()));
    app.merge(page::router());
    Ok(app)
}

/// Opens the broker that keeps topics on disk; `None` if they are kept in memory.
fn open(store: &Store) -> Result<Option<EmbeddedBroker>, OpenError> {
    let (directory, is_optional) = match store {
        Store::Memory => return Ok(None),
        Store::Directory(directory) => (directory, false),
        Store::DirectoryIfFree(directory) => (directory, true),
    };
    let directory_shown = directory.display();
    match EmbeddedBroker::open(directory) {
        Ok(broker) => {
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
        Err(error) => Err(error),
    }
}

/// The access to the operators' view; `None` without that view.
fn operators(config: &Config) -> Option<Access> {
    match &config.admin_key {
        Some(key) => Some(Access::Key(key.clone())),
        None => config.development.then_some(Access::Open),
    }
}

fn channels() -> ChannelPolicies {
    let policy = ChannelPolicy::new().history(UPDATES, UPDATES_AGE);
    ChannelPolicies::new()
        .policy("posts", policy.clone())
        .policy("post-:id", policy.clone())
        .policy("presence-:name", policy.presence())
}
