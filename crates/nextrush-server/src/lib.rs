//! The NextRush server: chat, live updates, an HTTP API and a page in one program.
//!
//! The program `nextrush` is this library behind a command line. [`app`] builds
//! the application from a [`Config`]:
//!
//! | route | what it is |
//! |---|---|
//! | `/chat/:roomId` | chat: history, members, typing, private messages |
//! | `/live` | live updates: channels to subscribe to |
//! | `/private-chat/:roomId` | a plain room for those with a token |
//! | `/robust-chat/:roomId` | a room with a time limit, pings, validation, a rate limit |
//! | `/rooms/:roomId`, `/games/:gameId/players/:playerId`, `/chat` | route parameters and an echo |
//! | `/api/posts` | posts, published to `/live` |
//! | `/healthz` | whether the process serves |
//! | `/` | the page |
//!
//! In development mode there is `/api/dev` too, which mints tokens.

mod api_error;
mod cli;
mod config;
mod development;
mod endpoints;
mod page;
mod posts;

pub use cli::{Cli, Secret};
pub use config::{Config, ConfigError, DEFAULT_ADDR};

use axum::Json;
use nextrush::{App, ChatServer, EngineConfig, LiveUpdates, MemoryBroker};
use serde_json::{Value, json};

/// Builds the server's application.
#[must_use]
pub fn app(config: &Config) -> App {
    let mut engine = EngineConfig::default();
    if let Some(shards) = config.shards {
        engine.shards = shards;
    }
    let mut app = App::with(engine, MemoryBroker::new());
    app.origins(config.origins.clone());
    app.jwt(config.jwt.clone());

    let chat = ChatServer::new(app.handle());
    let live = LiveUpdates::new(app.handle());

    endpoints::add(&mut app, &chat, &live);
    posts::add(&mut app, live);
    if config.development {
        development::add(&mut app, config.jwt.clone());
    }
    app.get("/healthz", healthz);
    page::add(&mut app);
    app
}

async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
