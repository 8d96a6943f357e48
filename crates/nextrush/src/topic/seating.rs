//! The members of the topics that nodes share: one order of their coming and going, for all nodes.

use std::sync::{Arc, Weak};

use nextrush_broker::{BrokerError, TopicName};
use nextrush_engine::ConnectionId;

use super::dialect::Newcomer;
use super::error::SubscribeError;
use super::local::{LocalTopics, State};
use super::members::Profile;
use super::seats::Seats;
use crate::roster::{
    Admission, Change, OneByOne, Place, Record, Retold, Rosters, Rules, Unsettled, View,
};
use crate::socket::handle::Handle;

/// The members of the topics of a family, where nodes share them.
pub(super) struct Seating(Rosters<Members>);

impl Seating {
    /// `None` if this node is alone: what it knows itself is everything then.
    pub(super) fn of(app: &Handle, local: &Arc<LocalTopics>) -> Option<Self> {
        app.broker().rosters()?;
        let topics = Arc::downgrade(local);
        Some(Self(Rosters::new(&app.roster_host(), Members { topics })))
    }

    /// Makes a socket a member for all nodes. Resolves when this node's subscribers have been
    /// told.
    pub(super) async fn join(
        &self,
        topic: &TopicName,
        socket: ConnectionId,
        profile: Profile,
    ) -> Result<(), SubscribeError> {
        match self.0.join(topic, socket, profile, ()).await {
            Ok(()) => Ok(()),
            Err(Unsettled::Gone) => Err(SubscribeError::GivenUp),
            Err(Unsettled::Store(error)) => Err(error.into()),
        }
    }

    /// Lets a socket leave that is a member, or about to be. What the store cannot be told now it
    /// is told later.
    pub(super) fn leave(&self, topic: &TopicName, socket: ConnectionId) {
        self.0.leave(topic, socket);
    }

    /// The members on all nodes.
    pub(super) async fn members(&self, topic: &TopicName) -> Result<Vec<Profile>, BrokerError> {
        let view = self.0.read(topic).await?;
        let profiles = view.members().map(|(_, record)| &*record.member);
        Ok(profiles.cloned().collect())
    }
}

/// The rules of members: everybody may come, and who has left is gone.
struct Members {
    topics: Weak<LocalTopics>,
}

impl Members {
    /// Tells this node's subscribers of each step between two states of a roster.
    fn tell(
        &self,
        topic: &TopicName,
        before: &View<Self>,
        after: &View<Self>,
        steps: OneByOne<'_, Self>,
    ) {
        let topics = self.topics.upgrade();
        let Some(local) = topics.and_then(|topics| topics.find(topic)) else {
            return;
        };
        let Some(dialect) = local.dialect.upgrade() else {
            return;
        };
        let mut state = local.state.lock();
        follow(&mut state, before);
        for (step, _) in steps {
            if !step.is_visible() {
                continue;
            }
            if let Some(before) = &step.before {
                state.everyone().unseat(step.number);
                dialect.gone(&local.locked(&state), &before.member);
            }
            if let Some(after) = &step.after {
                let profile = (*after.member).clone();
                state.everyone().seat(step.number, profile);
                let is_own = step.arrival.is_some();
                dialect.came(&local.locked(&state), &newcomer(after, is_own));
            }
        }
        state.everyone().set_version(after.version());
    }
}

impl Rules for Members {
    type Member = Profile;
    type Arrival = ();
    type Index = ();

    fn grace(&self) -> Option<std::time::Duration> {
        None
    }

    fn admit(&self, _: &View<Self>, _: &Profile) -> Admission {
        Admission::New
    }

    fn changed(&self, topic: &TopicName, change: Change<'_, Self>) {
        let (before, after, shown) = (change.before.clone(), change.after.clone(), change.shown);
        self.tell(topic, &before, &after, change.one_by_one());
        shown.set(&after);
    }

    fn retold(&self, topic: &TopicName, retold: Retold<'_, Self>) {
        let (before, after, shown) = (retold.before.clone(), retold.after.clone(), retold.shown);
        self.tell(topic, &before, &after, retold.one_by_one());
        shown.set(&after);
    }

    /// A node that tells anybody of members goes on doing so.
    fn is_used(&self, topic: &TopicName) -> bool {
        let topics = self.topics.upgrade();
        topics.is_some_and(|topics| topics.subscribers(topic) > 0)
    }
}

/// Makes the members those of a roster, from which a change goes out, if they are not.
fn follow(state: &mut State, before: &View<Members>) {
    let known = state.everyone.as_ref().map(Seats::version);
    if known != Some(before.version()) {
        state.everyone = Some(before.into());
    }
}

fn newcomer(record: &Record<Profile>, is_own: bool) -> Newcomer<'_> {
    let socket = match &record.place {
        Place::At { socket, .. } if is_own => Some(*socket),
        _ => None,
    };
    Newcomer {
        profile: &record.member,
        socket,
    }
}

impl From<&View<Members>> for Seats {
    fn from(view: &View<Members>) -> Self {
        let mut seats = Self::default();
        for (number, record) in view.members() {
            seats.seat(number, (*record.member).clone());
        }
        seats.set_version(view.version());
        seats
    }
}
