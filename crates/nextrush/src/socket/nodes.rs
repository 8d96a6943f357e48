//! The application as a node among others.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nextrush_broker::{Answered, Asked, BrokerError, NodeName};
use parking_lot::RwLock;
use tokio::time::sleep;

use super::audience::{EVERYBODY, ROOM};
use super::disconnect::keep_denying;
use super::handle::Handle;
use super::room_key;
use crate::node::interest::keep_listening;
use crate::node::line::{From, kind_name};
use crate::node::wire::{Cast, read_cast};
use crate::node::{LivingNode, StartError};

/// The pause before something is tried again that the store has refused.
const PAUSE: Duration = Duration::from_secs(1);

impl Handle {
    /// The name of this node, which no other living node of the application has. An application
    /// on a single node has a random one.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        self.line().bus().node()
    }

    /// The living nodes of the application by name, this one among them. A node that has died is
    /// left out about 10 s later.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if they cannot be known, as while the shared broker is away.
    pub async fn nodes(&self) -> Result<Vec<NodeName>, BrokerError> {
        self.line().bus().nodes().await
    }

    /// The living nodes with what is known of them, by name.
    ///
    /// # Errors
    ///
    /// As [`nodes`](Self::nodes).
    pub async fn living_nodes(&self) -> Result<Vec<LivingNode>, BrokerError> {
        self.line().living().await
    }

    /// Sets what this node answers to questions of a kind, in place of what it answered before.
    /// `None` is no answer: the node counts as silent.
    ///
    /// # Panics
    ///
    /// Panics if the name of the kind is empty or has more than 64 bytes. Names that begin with
    /// `nr.` are the framework's.
    pub fn answer<F>(
        &self,
        kind: &str,
        answer: impl Fn(Self, From, Bytes) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Option<Bytes>> + Send + 'static,
    {
        let app = self.downgrade();
        self.line().answer(kind, move |from, question| {
            let answer = app.upgrade().map(|app| answer(app, from, question));
            async move { answer?.await }
        });
    }

    /// Asks nodes a question of a kind. Resolves when all have answered, or after 2 s, and says
    /// which nodes have not.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it cannot be known which nodes there are, or nobody could be asked.
    ///
    /// # Panics
    ///
    /// As [`answer`](Self::answer).
    pub async fn ask(
        &self,
        kind: &str,
        nodes: &Asked,
        question: Bytes,
    ) -> Result<Answered, BrokerError> {
        let kind = kind_name(kind);
        self.line().ask(&kind, nodes, &question).await
    }

    /// Sets what this node does when another one [tells](Self::tell) something of a kind, in place
    /// of what it did before. Calls come one at a time; return quickly.
    ///
    /// # Panics
    ///
    /// As [`answer`](Self::answer).
    pub fn hear(&self, kind: &str, hear: impl Fn(&Self, &From, Bytes) + Send + Sync + 'static) {
        let app = self.downgrade();
        self.line().hear(kind, move |from, message| {
            if let Some(app) = app.upgrade() {
                hear(&app, from, message);
            }
        });
    }

    /// Tells all other nodes something of a kind, without waiting. Volatile: it comes once or not
    /// at all, and what a node tells comes in its order.
    ///
    /// # Panics
    ///
    /// As [`answer`](Self::answer).
    pub fn tell(&self, kind: &str, message: Bytes) {
        let kind = kind_name(kind);
        self.line().cast_to_all(&kind, &message);
    }

    /// The families of topics whose subscribers hear announcements.
    pub(crate) fn announced(&self) -> Arc<Announced> {
        self.part(Arc::<Announced>::default)
    }

    /// Returns whether the rooms of the application have members on other nodes too.
    pub(crate) fn rooms_span_nodes(&self) -> bool {
        self.line().is_shared() && self.has_shared_rooms()
    }

    /// Prepares for what other nodes say.
    pub(super) fn hear_nodes(&self) {
        if !self.line().is_shared() {
            return;
        }
        self.answer_acts();
        self.answer_requests();
        self.answer_disconnects();
        self.answer_revocations();
        self.answer_drains();
        let app = self.downgrade();
        self.line().hear(ROOM, move |_, message| {
            if let Some(app) = app.upgrade()
                && let Some(cast) = read_cast(message)
            {
                app.send_cast(&cast);
            }
        });
        let app = self.downgrade();
        self.line().hear(EVERYBODY, move |_, message| {
            if let Some(app) = app.upgrade()
                && let Some(cast) = read_cast(message)
            {
                app.engine().broadcast_except(&cast.frame, &[]);
            }
        });
    }

    /// Sends what another node has cast to the members of the last room who are in none of the
    /// others.
    fn send_cast(&self, cast: &Cast) {
        let find = |name: &str| self.engine().find_room(name);
        let last = cast.rooms.split_last();
        let Some((room, before)) = last.and_then(|(last, before)| Some((find(last)?, before)))
        else {
            return;
        };
        let before: Vec<_> = before.iter().filter_map(|name| find(name)).collect();
        if before.is_empty() {
            return room.publish(cast.frame.clone());
        }
        for member in room.members() {
            if !before.iter().any(|room| room.contains(member.id())) {
                member.send(cast.frame.clone());
            }
        }
    }

    /// Becomes one of the nodes that share the broker; at once where there are none.
    ///
    /// # Errors
    ///
    /// [`StartError`] if a living node cannot be understood, or they cannot be known.
    pub(crate) async fn join_nodes(&self) -> Result<(), StartError> {
        if self.line().join_once().await? {
            tokio::spawn(keep_denying(self.downgrade()));
            self.load_revocations_later();
            tokio::spawn(self.listen_to_rooms());
        }
        Ok(())
    }

    /// Listens to the rooms that have members here, until the application ends.
    fn listen_to_rooms(&self) -> impl Future<Output = ()> + Send + use<> {
        let bus = Arc::clone(self.line().bus());
        let events = self.engine().room_events();
        let (app, spans) = (self.downgrade(), self.has_shared_rooms());
        let announced = self.announced();
        let with_members = move || {
            let rooms = app.upgrade()?.engine().rooms();
            Some(rooms.iter().map(|room| room.name().into()).collect())
        };
        let is_wanted = move |name: &str| match room_key::topic_of(name) {
            Some(topic) => announced.has(topic),
            None => spans,
        };
        keep_listening(bus, events, with_members, is_wanted)
    }

    /// Becomes one of the nodes in the background, for who cannot wait: where that fails for good,
    /// the application does.
    pub(crate) fn join_nodes_later(&self) {
        if self.line().has_joined() {
            return;
        }
        let app = self.downgrade();
        tokio::spawn(async move {
            while let Some(app) = app.upgrade() {
                match app.join_nodes().await {
                    Ok(()) => return,
                    Err(StartError::Mismatch(mismatch)) => {
                        tracing::error!("{mismatch}");
                        return app.engine().fail("its place among the nodes");
                    }
                    Err(StartError::Broker(error)) => {
                        tracing::warn!(%error, "the nodes of the application cannot be known");
                    }
                }
                drop(app);
                sleep(PAUSE).await;
            }
        });
    }
}

/// The families of topics whose subscribers on other nodes hear announcements.
#[derive(Default)]
pub(crate) struct Announced(RwLock<Vec<String>>);

impl Announced {
    /// Adds those whose names begin so.
    pub(crate) fn add(&self, prefix: String) {
        self.0.write().push(prefix);
    }

    fn has(&self, topic: &str) -> bool {
        let prefixes = self.0.read();
        prefixes.iter().any(|prefix| topic.starts_with(&**prefix))
    }
}
