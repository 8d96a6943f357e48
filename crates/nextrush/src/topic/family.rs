//! Families of topics: a part of an application with a name and a dialect.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nextrush_broker::{BrokerError, CommandKey, CommandKeyError, Deletion, Fingerprint, TopicName};
use nextrush_engine::CloseReason;
use parking_lot::Mutex;

use super::dialect::Dialect;
use super::error::InvalidTopicName;
use super::handle::{PURGED_AT_ONCE, Topic};
use super::json::Json;
use super::local::{LocalTopics, Parting};
use super::name::{PLAIN, RECORDS, TopicPath, own_name};
use super::seating::Seating;
use super::subscriptions::Subscriptions;
use super::used_ids::UsedIds;
use crate::message::UserId;
use crate::message::request::CommandId;
use crate::once::{Executed, Repeats};
use crate::socket::Socket;
use crate::socket::audience::Audience;
use crate::socket::handle::Handle;
use crate::socket::parts::{assert_part_name, is_part_name};
use crate::socket::room_key;

/// A family of topics that speak one dialect: a part of an application, with a name.
///
/// The name tells the topics of this family from those of every other in the broker's store,
/// so it stays the same from one start of the application to the next.
///
/// A cheap handle; clones are the same family. It lives as long as a handle of it, or as a
/// socket that is subscribed to one of its topics.
pub struct Topics<D = Json>(pub(super) Arc<Family<D>>);

pub(super) struct Family<D> {
    app: Handle,
    pub(super) local: Arc<LocalTopics>,
    kind: &'static str,
    part: String,
    pub(super) dialect: Arc<D>,
    limit: usize,
    pub(super) subscriptions: Subscriptions,
    repeats: Repeats,
    used_ids: UsedIds,
    /// The members on all nodes, where nodes share them.
    pub(super) seating: Option<Seating>,
}

impl<D: Dialect> Topics<D> {
    /// A family with a name of 1 to 32 of `a-z`, `0-9` and `-`.
    ///
    /// # Panics
    ///
    /// Panics on an invalid name or [kind](Dialect::kind), and when a part of the application
    /// has the name already, as a route does whose path is taken.
    #[must_use]
    #[track_caller]
    pub fn new(app: &impl AsRef<Handle>, name: &str, dialect: D) -> Self {
        Self::with_limit(app, name, dialect, usize::MAX)
    }

    /// A family in which a socket may have `limit` subscriptions.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[must_use]
    #[track_caller]
    pub fn with_limit(app: &impl AsRef<Handle>, name: &str, dialect: D, limit: usize) -> Self {
        let app = app.as_ref();
        let kind = dialect.kind();
        assert!(
            is_part_name(kind) && ![PLAIN, RECORDS].contains(&kind),
            "{kind:?} is no kind of topics: it has 1 to 32 of a-z, 0-9 and -, and is neither \
             {PLAIN:?} nor {RECORDS:?}"
        );
        app.claim(kind, name);
        Self::of(app, kind, name, dialect, limit)
    }

    pub(super) fn of(
        app: &Handle,
        kind: &'static str,
        part: &str,
        dialect: D,
        limit: usize,
    ) -> Self {
        if dialect.announces() {
            app.announced().add(TopicPath::prefix(kind, part));
        }
        let local = app.local_topics();
        Self(Arc::new(Family {
            app: app.clone(),
            seating: Seating::of(app, &local),
            local,
            kind,
            part: part.to_owned(),
            dialect: Arc::new(dialect),
            limit,
            subscriptions: Subscriptions::default(),
            repeats: Repeats::default(),
            used_ids: UsedIds::default(),
        }))
    }

    /// A topic of the family. It need not exist: it comes into being when it is used.
    ///
    /// # Errors
    ///
    /// [`InvalidTopicName`] when the name is empty, longer than 255 bytes, or holds invisible
    /// characters.
    pub fn topic(&self, name: &str) -> Result<Topic<D>, InvalidTopicName> {
        let path = TopicPath {
            kind: self.0.kind,
            part: &self.0.part,
            name,
        };
        let name = path.topic().ok_or(InvalidTopicName)?;
        Ok(Topic::new(self.clone(), name))
    }

    /// The dialect.
    #[must_use]
    pub fn dialect(&self) -> &D {
        &self.0.dialect
    }

    /// The application.
    #[must_use]
    pub fn app(&self) -> &Handle {
        &self.0.app
    }

    /// The name of the family.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.part
    }

    /// The topics that have subscribers on this node, with the number of these, in no order.
    #[must_use]
    pub fn local_topics(&self) -> Vec<(String, usize)> {
        self.0
            .local
            .with_prefix(&self.prefix())
            .into_iter()
            .map(|(topic, subscribers)| (own_name(&topic).to_owned(), subscribers))
            .collect()
    }

    /// The number of topics in use on this node; cheaper than to list them.
    #[must_use]
    pub fn local_topic_count(&self) -> usize {
        self.0.local.count(&self.prefix())
    }

    /// Every socket that is [seated](super::Wish::seat) as this user in a topic of the family.
    #[must_use]
    pub fn user(&self, user: &UserId) -> Audience {
        let Family {
            kind, part, app, ..
        } = &*self.0;
        app.internal_room(&room_key::of_part(kind, part, user))
    }

    /// A handle that does not keep the family alive.
    pub(crate) fn downgrade(&self) -> WeakTopics<D> {
        WeakTopics(Arc::downgrade(&self.0))
    }

    /// Executes a command unless it is a repeat within two minutes; the answer to it: the
    /// remembered one, or what `execute` gives. A command without a key is always executed.
    /// `body` is what the command says, by which a repeat is told from another command.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Reused`] when the key belongs to a command with another body; this one is
    /// not executed. The error of `execute`, which is not remembered: the command is executed again
    /// when it is repeated 10 s later. Another [`BrokerError`] when it is uncertain whether the answer is remembered; the command may
    /// have been executed.
    pub async fn once(
        &self,
        key: Option<CommandKey>,
        body: &[u8],
        execute: impl Future<Output = Result<String, BrokerError>>,
    ) -> Result<String, BrokerError> {
        let Family { repeats, local, .. } = &*self.0;
        match key {
            Some(key) => repeats.answer(local.broker(), key, body, execute).await,
            None => execute.await,
        }
    }

    /// Executes a command as [`once`](Self::once) does, that may take as long as this.
    pub(crate) async fn once_within(
        &self,
        longest: Duration,
        key: CommandKey,
        body: &[u8],
        execute: impl Future<Output = Result<impl Into<Executed>, BrokerError>>,
    ) -> Result<String, BrokerError> {
        let Family { repeats, local, .. } = &*self.0;
        let broker = local.broker();
        repeats
            .answer_within(longest, broker, key, body, execute)
            .await
    }

    /// The key under which a user's command is remembered, for [`once`](Self::once) and
    /// [`Topic::publish_once`].
    ///
    /// # Errors
    ///
    /// [`CommandKeyError`] when user and id are too long together.
    pub fn command_key(
        &self,
        user: &UserId,
        id: &CommandId,
    ) -> Result<CommandKey, CommandKeyError> {
        let Family { kind, part, .. } = &*self.0;
        id.key(&format!("{kind}/{part}"), user)
    }

    /// Notes what the id of a command with this key is used for: `command` is its kind, its place and
    /// what it says.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Reused`] when the id was used for another command within two minutes, as far
    /// as this process knows.
    pub fn note_id(&self, key: &CommandKey, command: &[u8]) -> Result<(), BrokerError> {
        self.0.used_ids.note(key, Fingerprint::of(command))
    }

    /// Deletes all that the topics of the family remember; the number of publications.
    pub(crate) async fn purge(&self) -> Result<usize, BrokerError> {
        let broker = self.0.local.broker();
        let prefix = self.prefix();
        let mut after = TopicName::try_from(&*prefix).ok();
        let mut deleted = 0;
        loop {
            let topics = broker.topics(after.as_ref(), PURGED_AT_ONCE).await?;
            let Some(last) = topics.last() else {
                return Ok(deleted);
            };
            after = Some(last.clone());
            for topic in &topics {
                if !topic.as_str().starts_with(&prefix) {
                    return Ok(deleted);
                }
                deleted += broker.delete(topic, Deletion::All).await?;
            }
        }
    }

    fn prefix(&self) -> String {
        TopicPath::prefix(self.0.kind, &self.0.part)
    }

    pub(super) fn limit(&self) -> usize {
        self.0.limit
    }

    pub(super) fn dyn_dialect(&self) -> Arc<dyn Dialect> {
        Arc::clone(&self.0.dialect) as Arc<dyn Dialect>
    }

    /// Takes a socket that closed out of all its topics.
    pub(super) async fn closed(&self, socket: &Socket, reason: &CloseReason) {
        let topics = self.0.subscriptions.remove(socket.id()).into_topics();
        // That of a user is recorded by the socket, for all families.
        if !topics.is_empty() && socket.user().is_none() {
            self.0.local.record.closed(socket.id(), None, reason);
        }
        // All nodes hear of it at once, and not when this one has told the broker of each topic.
        for topic in &topics {
            self.unseat(topic, socket);
        }
        for topic in topics {
            self.leave(&topic, socket, reason).await;
            if self.0.local.subscribers(&topic) == 0 {
                self.0.dialect.emptied(own_name(&topic)).await;
            }
        }
    }

    async fn leave(&self, topic: &TopicName, socket: &Socket, reason: &CloseReason) {
        let dialect = self.dyn_dialect();
        let parting = Parting {
            closed: Some(reason),
            farewell: None,
        };
        let left = self.0.local.leave(topic, &dialect, socket, parting, || ());
        if let Err(error) = left.await {
            tracing::warn!(%error, %topic, "the broker could not be told that a topic is unused");
        }
    }
}

impl<D: Dialect> Topics<D> {
    /// Lets a socket leave for all nodes that is a member, or about to be.
    pub(super) fn unseat(&self, topic: &TopicName, socket: &Socket) {
        if let Some(seating) = &self.0.seating {
            seating.leave(topic, socket.id());
        }
    }
}

impl Topics {
    /// The records of a part of the application: plain topics for what it keeps beside its own,
    /// which meet those of no other part, nor those of [`Handle::topic`].
    ///
    /// # Panics
    ///
    /// Panics when `part` is not 1 to 32 of `a-z`, `0-9` and `-`.
    #[must_use]
    #[track_caller]
    pub fn records(app: &impl AsRef<Handle>, part: &str) -> Self {
        assert_part_name("part", part);
        Self::of(app.as_ref(), RECORDS, part, Json, usize::MAX)
    }
}

/// A handle of a family that does not keep it alive.
pub(crate) struct WeakTopics<D>(Weak<Family<D>>);

impl<D> WeakTopics<D> {
    pub(crate) fn upgrade(&self) -> Option<Topics<D>> {
        self.0.upgrade().map(Topics)
    }
}

impl<D> Clone for Topics<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D> fmt::Debug for Topics<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics")
            .field("kind", &self.0.kind)
            .field("name", &self.0.part)
            .finish_non_exhaustive()
    }
}

/// The family of the topics that belong to no part.
pub(super) fn plain(app: &Handle) -> Topics {
    let plain = app.part::<Plain>(Arc::default);
    let mut family = plain.0.lock();
    if let Some(family) = family.upgrade() {
        return Topics(family);
    }
    let topics = Topics::of(app, PLAIN, "", Json::default(), usize::MAX);
    *family = Arc::downgrade(&topics.0);
    topics
}

/// The family of plain topics while somebody has it: the application, whose part this is,
/// must not keep itself alive.
#[derive(Default)]
struct Plain(Mutex<Weak<Family<Json>>>);
