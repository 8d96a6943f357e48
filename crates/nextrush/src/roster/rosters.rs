//! The rosters of one kind on this node.

use std::fmt;
use std::sync::Arc;

use nextrush_broker::{BrokerError, TopicName};
use nextrush_engine::ConnectionId;

use super::draft::Draft;
use super::host::RosterHost;
use super::replica::{Replica, Replicas};
use super::rules::Rules;
use super::state::Input;
use super::stored;
use super::view::View;
use super::wish::{Settled, Settling, Unsettled, Wish};

/// The rosters of one kind on this node. A cheap handle.
///
/// A wish is enqueued, and then pumped: with a node alone everything is done when
/// [`pump`](Self::pump) returns. All methods but [`shown`](Self::shown) and
/// [`enqueue`](Self::enqueue) must not be called under a topic's lock.
pub(crate) struct Rosters<R: Rules> {
    host: Arc<RosterHost>,
    rules: Arc<R>,
    replicas: Arc<Replicas<R>>,
}

impl<R: Rules> Rosters<R> {
    pub(crate) fn new(host: &Arc<RosterHost>, rules: R) -> Self {
        Self {
            host: Arc::clone(host),
            rules: Arc::new(rules),
            replicas: Arc::default(),
        }
    }

    pub(crate) fn host(&self) -> &Arc<RosterHost> {
        &self.host
    }

    /// Lets a socket join. The end comes when its arrival was taken.
    pub(crate) fn join(
        &self,
        roster: &TopicName,
        socket: ConnectionId,
        member: R::Member,
        arrival: R::Arrival,
    ) -> Settled {
        let (settling, settled) = Settling::new();
        let wish = Wish::Join {
            socket,
            member: Arc::new(member),
            arrival,
            settling,
        };
        self.wish(roster, wish);
        settled
    }

    /// Lets a socket leave at once, if it is there. What the store cannot be told now it is told
    /// later.
    pub(crate) fn leave(&self, roster: &TopicName, socket: ConnectionId) {
        self.wish(roster, Wish::Leave(socket));
    }

    /// Takes note of a lost connection: where the rules have a grace period it is waited for.
    #[cfg(test)]
    pub(crate) fn lose(&self, roster: &TopicName, socket: ConnectionId) {
        self.wish(roster, Wish::Lose(socket));
    }

    /// Makes the member of a socket another one. The end comes when all nodes can know it.
    pub(crate) fn update(
        &self,
        roster: &TopicName,
        socket: ConnectionId,
        member: Arc<R::Member>,
    ) -> Settled {
        let (settling, settled) = Settling::new();
        let wish = Wish::Update {
            socket,
            member,
            settling,
        };
        self.wish(roster, wish);
        settled
    }

    /// Changes a roster in any way. `act` is called again after a conflict.
    pub(crate) fn act(
        &self,
        roster: &TopicName,
        act: impl FnMut(&mut Draft<'_, R>) + Send + 'static,
    ) -> Settled {
        let (settling, settled) = Settling::new();
        let act = Box::new(act);
        self.wish(roster, Wish::Act { act, settling });
        settled
    }

    fn wish(&self, roster: &TopicName, wish: Wish<R>) {
        self.enqueue(roster, wish);
        self.pump(roster);
    }

    /// Puts a wish behind the others. Nothing happens before somebody [pumps](Self::pump).
    pub(crate) fn enqueue(&self, roster: &TopicName, wish: Wish<R>) {
        // Whoever is not there cannot leave.
        let can_begin = matches!(wish, Wish::Join { .. } | Wish::Act { .. });
        let mut input = Input::Wish(wish);
        loop {
            let replica = match can_begin {
                true => self.replica(roster),
                false => match self.find(roster) {
                    Some(replica) => replica,
                    None => return,
                },
            };
            match replica.enqueue(input) {
                Ok(()) => return,
                Err(back) => input = back,
            }
        }
    }

    /// Makes the wishes for a roster come true, or begins to.
    pub(crate) fn pump(&self, roster: &TopicName) {
        if let Some(replica) = self.find(roster) {
            replica.pump();
        }
    }

    /// Stops following a roster that nobody on this node uses any more.
    pub(crate) fn tidy(&self, roster: &TopicName) {
        self.pump(roster);
    }

    /// A roster as this node's clients have been told it; `None` if it is not followed here, or
    /// not loaded yet.
    pub(crate) fn shown(&self, roster: &TopicName) -> Option<View<R>> {
        self.find(roster)?.shown.get()
    }

    /// The member that a socket of this node is or wants to be, also while it waits for room;
    /// `None` if it is not there.
    ///
    /// Not to be called under a topic's lock: it waits for whoever tells of a change of the roster,
    /// and that one waits for the topic.
    pub(crate) fn own(&self, roster: &TopicName, socket: ConnectionId) -> Option<Arc<R::Member>> {
        self.find(roster)?.own(socket)
    }

    /// Follows a roster from now on. Resolves when it is loaded. It is followed for as long as
    /// the guard is there, and then as long as it is [used](Rules::is_used) or a socket of this
    /// node is in it.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it cannot be read.
    pub(crate) async fn watch(&self, roster: &TopicName) -> Result<Watched<R>, BrokerError> {
        let watched = loop {
            let replica = self.replica(roster);
            if replica.keep() {
                break Watched(replica);
            }
        };
        let (settling, settled) = Settling::new();
        if watched.0.enqueue(Input::Watch(settling)).is_ok() {
            watched.0.pump();
        }
        match settled.await {
            Ok(()) => Ok(watched),
            Err(Unsettled::Store(error)) => Err(error),
            Err(Unsettled::Gone) => Err(BrokerError::Unavailable(
                "the roster is not followed".into(),
            )),
        }
    }

    /// A roster as it is for all nodes: this node's copy, or what the store has, without those
    /// who are not there any more.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it cannot be read.
    pub(crate) async fn read(&self, roster: &TopicName) -> Result<View<R>, BrokerError> {
        if let Some(view) = self.shown(roster) {
            return Ok(view);
        }
        stored::read(&self.host, &*self.rules, roster).await
    }

    /// The rosters of this kind that this node follows.
    #[cfg(test)]
    pub(crate) fn followed(&self) -> Vec<TopicName> {
        self.replicas.lock().keys().cloned().collect()
    }

    fn find(&self, roster: &TopicName) -> Option<Arc<Replica<R>>> {
        self.replicas.lock().get(roster).cloned()
    }

    fn replica(&self, roster: &TopicName) -> Arc<Replica<R>> {
        let mut replicas = self.replicas.lock();
        let replica = replicas
            .entry(roster.clone())
            .or_insert_with(|| Replica::new(&self.host, &self.rules, &self.replicas, roster));
        Arc::clone(replica)
    }
}

impl<R: Rules> Clone for Rosters<R> {
    fn clone(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            rules: Arc::clone(&self.rules),
            replicas: Arc::clone(&self.replicas),
        }
    }
}

impl<R: Rules> fmt::Debug for Rosters<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rosters")
            .field("host", &self.host)
            .field("followed", &self.replicas.lock().len())
            .finish_non_exhaustive()
    }
}

/// A roster that is followed for as long as this is there. Made by [`Rosters::watch`].
pub(crate) struct Watched<R: Rules>(Arc<Replica<R>>);

impl<R: Rules> Drop for Watched<R> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl<R: Rules> fmt::Debug for Watched<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.0.shown).finish()
    }
}
