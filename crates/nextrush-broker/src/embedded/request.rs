//! The requests of callers to the writer.

use std::time::Duration;

use bytes::Bytes;
use fjall::Snapshot;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::Failure;
use super::record::AnswerKey;
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::publication::{Publish, Published};
use crate::topic_name::TopicName;

/// A request and its share of the queue.
pub(super) struct Request {
    pub(super) task: Task,
    pub(super) space: OwnedSemaphorePermit,
}

pub(super) enum Task {
    Publish {
        topic: TopicName,
        publish: Publish,
        reply: Reply<Published>,
    },
    Remember {
        key: AnswerKey,
        answer: Bytes,
        window: Duration,
        reply: Reply<Bytes>,
    },
    Delete(Delete),
    /// Move the log to the tables, and take a snapshot of them.
    Snapshot {
        reply: Reply<Snapshot>,
    },
    /// End the writer's thread by a panic; for tests.
    #[cfg(feature = "testing")]
    Panic {
        reply: Reply<()>,
    },
}

/// A request to delete publications.
pub(super) struct Delete {
    pub(super) topic: TopicName,
    pub(super) which: Deletion,
    pub(super) reply: Reply<usize>,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, BrokerError>>;

impl Task {
    pub(super) fn refuse(self, failure: &Failure) {
        // A requester that has stopped waiting does not need the reply.
        match self {
            Self::Publish { reply, .. } => drop(reply.send(Err(failure.clone().into()))),
            Self::Delete(Delete { reply, .. }) => drop(reply.send(Err(failure.clone().into()))),
            Self::Remember { reply, .. } => drop(reply.send(Err(failure.clone().into()))),
            Self::Snapshot { reply } => drop(reply.send(Err(failure.clone().into()))),
            #[cfg(feature = "testing")]
            Self::Panic { reply } => drop(reply.send(Err(failure.clone().into()))),
        }
    }
}
