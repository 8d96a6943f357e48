//! Errors of opening a store, of its disk and of its contents.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::BrokerError;

/// The reason why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store is in use by another process, or by another broker of this one.
    #[error("the store is in use by another process")]
    InUse,
    /// The directory holds something other than a store, or a store of a format that no
    /// program reads any more.
    #[error("the directory holds no store that this program can read: {0}")]
    Format(String),
    /// A newer program has written the store.
    #[error(
        "the store in {directory} has format {found}, this program knows formats up to {known}: \
         it was written by a newer program",
        directory = .directory.display()
    )]
    NewerFormat {
        /// The directory of the store.
        directory: PathBuf,
        /// The format of the store.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// The store has an older format, and no [`Migration`](crate::Migration) was given.
    #[error(
        "the store in {directory} has format {found}: its topics need the names that they have \
         in format {current}, and no migration was given",
        directory = .directory.display()
    )]
    OlderFormat {
        /// The directory of the store.
        directory: PathBuf,
        /// The format of the store.
        found: u32,
        /// The format that a migration would give it.
        current: u32,
    },
    /// The [`Migration`](crate::Migration) has given this name to two topics or two commands.
    /// The store is unchanged.
    #[error("the migration of the store gives two things the name {0:?}")]
    AmbiguousMigration(String),
    /// The directory for a new store is not empty.
    #[error("{} is not empty: a new store needs a directory of its own", .0.display())]
    NotEmpty(PathBuf),
    /// Files of the store are damaged, and something acknowledged cannot be read any more.
    /// Restore them, or move the directory away to start with an empty store.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The disk could not be read or written.
    #[error("the store could not be read or written")]
    Io(#[from] io::Error),
    /// The store could not be opened.
    #[error("the store could not be opened")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<fjall::Error> for OpenError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Locked => Self::InUse,
            fjall::Error::InvalidVersion(version) => Self::Format(format!("{version:?}")),
            fjall::Error::Io(error) => Self::Io(error),
            error if is_damage(&error) => Self::Damaged(error.to_string()),
            error => Self::Store(error.into()),
        }
    }
}

impl From<BrokerError> for OpenError {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Damaged(cause) => Self::Damaged(cause.to_string()),
            BrokerError::Full(cause)
            | BrokerError::Unavailable(cause)
            | BrokerError::InDoubt(cause) => Self::Store(cause),
            // The fault of a request: opening makes none.
            error @ BrokerError::Reused => Self::Store(error.into()),
        }
    }
}

impl From<Contradiction> for OpenError {
    fn from(contradiction: Contradiction) -> Self {
        Self::Damaged(contradiction.to_string())
    }
}

impl OpenError {
    pub(super) fn into_broker_error(self) -> BrokerError {
        match self {
            Self::Io(error) => fjall::Error::Io(error).into(),
            Self::Damaged(_) => BrokerError::Damaged(self.into()),
            error => BrokerError::Unavailable(error.into()),
        }
    }
}

/// A failure of the store, which each waiting request gets a copy of.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    kind: Kind,
    cause: Arc<dyn std::error::Error + Send + Sync>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Unavailable,
    /// fjall has stopped writing, for a reason that it has kept to itself.
    Poisoned,
    Damaged,
    Full,
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        let (kind, cause) = match error {
            // A disk that fails is unavailable, whatever became of the request.
            BrokerError::Unavailable(cause) | BrokerError::InDoubt(cause) => {
                (Kind::Unavailable, cause)
            }
            BrokerError::Damaged(cause) => (Kind::Damaged, cause),
            BrokerError::Full(cause) => (Kind::Full, cause),
            // The fault of one request, and no failure of the store.
            BrokerError::Reused => (Kind::Unavailable, BrokerError::Reused.into()),
        };
        Self {
            kind,
            cause: cause.into(),
        }
    }
}

impl From<fjall::Error> for Failure {
    fn from(error: fjall::Error) -> Self {
        let is_poisoned = matches!(error, fjall::Error::Poisoned);
        let failure = Self::from(BrokerError::from(error));
        match is_poisoned {
            true => Self {
                kind: Kind::Poisoned,
                ..failure
            },
            false => failure,
        }
    }
}

impl Failure {
    /// Returns `true` if fjall has stopped writing, which it does at damage as well.
    pub(super) fn is_poisoned(&self) -> bool {
        matches!(self.kind, Kind::Poisoned)
    }
}

impl From<Failure> for BrokerError {
    fn from(failure: Failure) -> Self {
        let kind = failure.kind;
        let cause = Box::new(Shared(failure.cause));
        match kind {
            Kind::Unavailable | Kind::Poisoned => Self::Unavailable(cause),
            Kind::Damaged => Self::Damaged(cause),
            Kind::Full => Self::Full(cause),
        }
    }
}

/// A cause that several errors share.
#[derive(Debug)]
struct Shared(Arc<dyn std::error::Error + Send + Sync>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<fjall::Error> for BrokerError {
    fn from(error: fjall::Error) -> Self {
        if is_damage(&error) {
            Self::Damaged(error.into())
        } else if io_error(&error).is_some_and(is_full) {
            Self::Full(error.into())
        } else {
            Self::Unavailable(error.into())
        }
    }
}

/// A contradiction in the contents of the store.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Contradiction(pub(super) String);

impl From<Contradiction> for BrokerError {
    fn from(contradiction: Contradiction) -> Self {
        Self::Damaged(contradiction.into())
    }
}

/// The error after the writer has ended.
pub(super) fn closed() -> BrokerError {
    BrokerError::Unavailable("the writer of the store has ended".into())
}

/// The error while the store cannot be opened again after a failure of the disk.
pub(super) fn cut_off() -> BrokerError {
    BrokerError::Unavailable("the store could not be opened again after a failure".into())
}

/// Returns `true` if the disk is full rather than broken.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            // A limit on the size of files, with which a test fills the disk.
            | io::ErrorKind::FileTooLarge
    )
}

fn io_error(error: &fjall::Error) -> Option<&io::Error> {
    match error {
        fjall::Error::Io(error) => Some(error),
        fjall::Error::Storage(fjall_storage) => {
            let mut source = std::error::Error::source(fjall_storage);
            while let Some(error) = source {
                if let Some(error) = error.downcast_ref() {
                    return Some(error);
                }
                source = error.source();
            }
            None
        }
        _ => None,
    }
}

fn is_damage(error: &fjall::Error) -> bool {
    match error {
        fjall::Error::JournalRecovery(_)
        | fjall::Error::InvalidTag(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::Decompress(_)
        | fjall::Error::Unrecoverable => true,
        // Unreadable contents of a tree's files, unless the disk is to blame.
        fjall::Error::Storage(_) => io_error(error).is_none(),
        _ => false,
    }
}
