//! The database: SQLite, and one transaction after the other.

use std::sync::{Arc, Mutex, PoisonError};

use nextrush::{BoxError, ErrorCode, ErrorMessage};
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Transaction};
use tokio::task::spawn_blocking;

#[derive(Clone)]
pub(crate) struct Store(Arc<Mutex<Connection>>);

impl Store {
    /// Opens a file, or a database in memory: `:memory:`.
    pub(crate) fn open(file: &str) -> Result<Self, BoxError> {
        let connection = Connection::open(file)?;
        connection.execute_batch(include_str!("schema.sql"))?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Does all of `work` or nothing, on a thread for what blocks.
    pub(crate) async fn transaction<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, BoxError> {
        let connection = Arc::clone(&self.0);
        let done = spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction()?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        done.await?.map_err(for_clients)
    }

    /// Asks for one value.
    pub(crate) async fn ask<T: FromSql + Send + 'static>(
        &self,
        sql: &'static str,
        params: impl Params + Send + 'static,
    ) -> Result<T, BoxError> {
        self.transaction(move |db| one(db, sql, params)).await
    }
}

/// The one value that a statement has.
pub(crate) fn one<T: FromSql>(
    db: &Transaction<'_>,
    sql: &str,
    params: impl Params,
) -> Result<T, BoxError> {
    Ok(db.query_row(sql, params, |row| row.get(0))?)
}

/// The error as clients are told: a breach of the schema is theirs, and any other for the log alone.
fn for_clients(error: BoxError) -> BoxError {
    match error.downcast_ref::<rusqlite::Error>() {
        Some(rusqlite::Error::QueryReturnedNoRows) => {
            ErrorMessage::new(ErrorCode::NotFound, "There is no such thing").into()
        }
        Some(refused) if refused.sqlite_error_code() == Some(CONSTRAINT) => {
            ErrorMessage::new("invalid", "That cannot be saved").into()
        }
        _ => error,
    }
}

const CONSTRAINT: rusqlite::ErrorCode = rusqlite::ErrorCode::ConstraintViolation;
