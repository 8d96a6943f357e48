//! Backups of the store, into a directory of the server alone.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use nextrush::broker::{Backup, Broker, BrokerError};
use nextrush::message::Timestamp;
use nextrush::{BoxError, ErrorCode};
use serde::Serialize;

use super::Api;
use crate::api_key::{Action, Caller};
use crate::refusal::Refusal;

/// A backup that was made.
#[derive(Serialize)]
pub(super) struct Made {
    name: String,
    topics: u64,
    publications: u64,
    bytes: u64,
}

/// Makes a backup. It goes on if whoever asked has gone.
pub(super) async fn back_up(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Made>, Refusal> {
    let made = match caller.may_everywhere(Action::Backup) {
        Ok(()) => make_as_configured(api).await,
        Err(refusal) => Err(refusal),
    };
    let on = made.as_ref().map_or("", |made| &made.name);
    caller.audit(Action::Backup, on, &made);
    made.map(Json)
}

async fn make_as_configured(
    Api {
        parts, backup_dir, ..
    }: Api,
) -> Result<Made, Refusal> {
    let directory = backup_dir.ok_or_else(|| {
        let message = "this server makes no backups: it was given no directory for them";
        Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
    })?;
    let broker = Arc::clone(parts.app.broker());
    match tokio::spawn(make(broker, directory)).await {
        Ok(made) => made,
        // The runtime is shutting down, or the broker has panicked.
        Err(error) => Err(failed(error.into())),
    }
}

async fn make(broker: Arc<dyn Broker>, directory: Arc<Path>) -> Result<Made, Refusal> {
    let time = Timestamp::now().to_string();
    // Not every file system has colons in names.
    let name = format!("nextrush-{}", time.replace(':', ""));
    let into = directory.join(&name);
    let made = tokio::task::spawn_blocking(move || std::fs::create_dir_all(&directory)).await;
    if let Ok(Err(error)) = made {
        return Err(failed(error.into()));
    }
    match broker.back_up(&into).await {
        Ok(Backup {
            topics,
            publications,
            bytes,
            ..
        }) => {
            tracing::info!(name, topics, publications, bytes, "backed up");
            Ok(Made {
                name,
                topics,
                publications,
                bytes,
            })
        }
        Err(error @ BrokerError::Full(_)) => {
            let status = StatusCode::INSUFFICIENT_STORAGE;
            let message = "there is no room for the backup";
            Err(Refusal::new(status, ErrorCode::NotStored, message).because(error))
        }
        Err(error) => Err(failed(error.into())),
    }
}

/// The refusal of a backup that failed. Whoever has the key is told why.
fn failed(error: BoxError) -> Refusal {
    let mut last: &dyn std::error::Error = &*error;
    while let Some(source) = last.source() {
        last = source;
    }
    Refusal::unavailable(format!("no backup was made: {last}")).because(error)
}
