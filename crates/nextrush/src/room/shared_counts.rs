//! The counts of announced rooms that nodes share.

use std::time::Duration;

use nextrush_broker::{BrokerError, TopicName};
use nextrush_engine::{ConnectionId, Engine};
use serde::{Deserialize, Serialize};

use super::manager::Announcement;
use crate::message::Outgoing;
use crate::roster::{Admission, Change, OneByOne, Place, Retold, Rosters, Rules, Unsettled, View};
use crate::seldom::Seldom;
use crate::socket::handle::Handle;
use crate::socket::join::JoinError;
use crate::socket::room_key;
use crate::socket::room_name::RoomName;
use crate::topic::TopicPath;

/// The last line of the log of a store that does not answer.
static UNJOINED: Seldom = Seldom::new();

/// The rooms of a manager, where nodes share them.
#[derive(Debug)]
pub(super) struct SharedCounts {
    rosters: Rosters<Counts>,
    manager: Box<str>,
}

/// The work that makes a socket hear what is said in the room that it has joined.
pub(super) type Arrival = Box<dyn FnOnce() + Send>;

impl SharedCounts {
    /// `None` if this node is alone.
    pub(super) fn of(app: &Handle, manager: &str) -> Option<Self> {
        app.broker().rosters()?;
        let counts = Counts {
            engine: app.engine().clone(),
        };
        Some(Self {
            rosters: Rosters::new(&app.roster_host(), counts),
            manager: manager.into(),
        })
    }

    /// Counts a socket and tells the others, on all nodes. `arrival` is done when those of this
    /// node have been told.
    pub(super) async fn join(
        &self,
        room: &RoomName,
        socket: ConnectionId,
        arrival: Arrival,
    ) -> Result<(), JoinError> {
        let joined = self
            .rosters
            .join(&self.roster(room), socket, Joined, arrival);
        match joined.await {
            Ok(()) => Ok(()),
            Err(Unsettled::Gone) => Err(JoinError::Closed),
            Err(Unsettled::Store(error)) => {
                if UNJOINED.is_due() {
                    tracing::error!(%error, %room, "a room cannot be joined");
                }
                Err(JoinError::Unavailable)
            }
        }
    }

    /// Counts a socket no more and tells those who stay. What the store cannot be told now it is
    /// told later.
    pub(super) fn leave(&self, room: &RoomName, socket: ConnectionId) {
        self.rosters.leave(&self.roster(room), socket);
    }

    /// The members on all nodes.
    pub(super) async fn count(&self, room: &RoomName) -> Result<usize, BrokerError> {
        Ok(self.rosters.read(&self.roster(room)).await?.len())
    }

    fn roster(&self, room: &RoomName) -> TopicName {
        let path = TopicPath {
            kind: KIND,
            part: &self.manager,
            name: room.as_str(),
        };
        let topic = path.topic();
        topic.expect("a topic may have any name that a room may have")
    }
}

const KIND: &str = "manager";

/// The rules of counts: everybody may come, and who has left is gone.
#[derive(Debug)]
struct Counts {
    engine: Engine,
}

/// A member, of whom nobody hears more than that it is one.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Joined;

impl Counts {
    /// Tells this node's members of each step.
    fn tell(&self, roster: &TopicName, steps: OneByOne<'_, Self>) {
        let Some(TopicPath { part, name, .. }) = TopicPath::read(roster) else {
            return;
        };
        let room = self.engine.room(&room_key::of_owner(KIND, part, name));
        for (step, view) in steps {
            let announcement = match (&step.before, &step.after) {
                (None, Some(_)) => Some(Announcement::joined(name, view.len())),
                (Some(_), None) => Some(Announcement::left(name, view.len())),
                _ => None,
            };
            let own = match step.after.as_ref().map(|record| &record.place) {
                Some(Place::At { socket, .. }) if step.arrival.is_some() => Some(*socket),
                _ => None,
            };
            if let Some(announcement) = announcement {
                let frame = Outgoing::from(announcement).into_frame();
                room.publish_except(frame, own.as_slice());
            }
            if let Some(arrival) = step.arrival {
                arrival();
            }
        }
    }
}

impl Rules for Counts {
    type Member = Joined;
    type Arrival = Arrival;
    type Index = ();

    fn grace(&self) -> Option<Duration> {
        None
    }

    fn admit(&self, _: &View<Self>, _: &Joined) -> Admission {
        Admission::New
    }

    fn changed(&self, roster: &TopicName, change: Change<'_, Self>) {
        let (after, shown) = (change.after.clone(), change.shown);
        self.tell(roster, change.one_by_one());
        shown.set(&after);
    }

    fn retold(&self, roster: &TopicName, retold: Retold<'_, Self>) {
        let (after, shown) = (retold.after.clone(), retold.shown);
        self.tell(roster, retold.one_by_one());
        shown.set(&after);
    }
}
