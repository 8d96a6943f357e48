//! A transactional outbox: what a database has committed is published, also where the process dies
//! between the two.
//!
//! Each change writes the publication into the database, in the same transaction. From there it is
//! published, and deleted when that is done. A process that died in between left it there, and the
//! next one publishes it; with its version, so that subscribers get nothing twice.
//!
//! `cargo run -p nextrush --example outbox -- cards.json`, then connect to `ws://localhost:3000/live`,
//! send `{"type":"subscribe","channel":"cards"}`, and change a card:
//! `curl -X PUT -d 'Buy milk' localhost:3000/cards/1`.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract;
use axum::http::StatusCode;
use nextrush::live::{ChannelPolicies, ChannelPolicy, SubscribeContext};
use nextrush::{App, BoxError, LiveUpdates, Socket};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Card {
    id: u64,
    text: String,
    /// Rises with each commit.
    version: u64,
}

/// The tables.
#[derive(Clone, Default, Deserialize, Serialize)]
struct Tables {
    commits: u64,
    cards: BTreeMap<u64, Card>,
    /// The publications that are committed and not made yet, oldest first.
    outbox: VecDeque<Card>,
}

/// A database in a file: a transaction is a new file in its place. Any database will do.
pub(crate) struct Database {
    file: PathBuf,
    tables: Mutex<Tables>,
    /// Rung when there is something to publish.
    changed: Notify,
}

impl Database {
    pub(crate) fn open(file: &Path) -> Result<Arc<Self>, BoxError> {
        let tables = match fs::read(file) {
            Ok(tables) => serde_json::from_slice(&tables)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Tables::default(),
            Err(error) => return Err(error.into()),
        };
        Ok(Arc::new(Self {
            file: file.to_owned(),
            tables: Mutex::new(tables),
            changed: Notify::new(),
        }))
    }

    /// Changes all or nothing.
    fn transaction<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> io::Result<T> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = tables.clone();
        let result = change(&mut changed);
        let next = self.file.with_extension("next");
        fs::write(&next, serde_json::to_vec(&changed)?)?;
        fs::File::open(&next)?.sync_all()?;
        fs::rename(&next, &self.file)?;
        *tables = changed;
        Ok(result)
    }

    /// Changes a card and puts what is to be published into the outbox, in one transaction.
    pub(crate) fn put(&self, id: u64, text: String) -> io::Result<Card> {
        let card = self.transaction(|tables| {
            tables.commits += 1;
            let version = tables.commits;
            let card = Card { id, text, version };
            tables.cards.insert(id, card.clone());
            tables.outbox.push_back(card.clone());
            card
        })?;
        self.changed.notify_one();
        Ok(card)
    }

    fn cards(&self) -> Vec<Card> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.cards.values().cloned().collect()
    }

    fn oldest_unpublished(&self) -> Option<Card> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.outbox.front().cloned()
    }
}

/// Publishes what is in the outbox, from what an earlier process has left there on.
pub(crate) async fn publish_outbox(database: Arc<Database>, live: LiveUpdates) {
    loop {
        let Some(card) = database.oldest_unpublished() else {
            database.changed.notified().await;
            continue;
        };
        let published = live.publish_version("cards", &card, card.version).await;
        let done = published.map_err(BoxError::from).and_then(|_| {
            // Only now: who dies before publishes it again, and nobody gets it twice.
            Ok(database.transaction(|tables| tables.outbox.pop_front())?)
        });
        if let Err(error) = done {
            eprintln!("not published yet: {error}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The application's channel: a new subscriber gets all cards, and then each that changes.
pub(crate) fn live_updates(app: &App, database: &Arc<Database>) -> LiveUpdates {
    let database = Arc::clone(database);
    let cards = ChannelPolicy::new()
        .history(300, Duration::from_secs(3600))
        .key("/id")
        .on_subscribe(async move |_: SubscribeContext| Ok::<_, BoxError>(database.cards()));
    LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy("cards", cards))
        .build(app, "live")
}

pub(crate) fn routes(app: &mut App, database: Arc<Database>, live: LiveUpdates) {
    app.put(
        "/cards/:id",
        async move |extract::Path(id): extract::Path<u64>, text: String| match database
            .put(id, text)
        {
            Ok(card) => Ok(axum::Json(card)),
            Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
        },
    );
    app.ws("/live", move |socket: Socket| live.connect(&socket));
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let file = std::env::args().nth(1).unwrap_or("cards.json".to_owned());
    let database = Database::open(Path::new(&file))?;
    let mut app = App::new();
    let live = live_updates(&app, &database);
    routes(&mut app, Arc::clone(&database), live.clone());
    tokio::spawn(publish_outbox(database, live));
    app.listen(3000).await?;
    Ok(())
}
