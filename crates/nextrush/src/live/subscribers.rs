//! The subscribers of channels on this node, who are told of presence.

use std::cell::Cell;
use std::sync::Arc;

use nextrush_broker::TopicName;
use parking_lot::Mutex;

use super::LiveUpdates;
use super::messages::Event;
use super::rules::{Tell, Told};
use super::snapshot::{Part, Snapshots};
use super::subscription::Subscription;
use crate::message::Outgoing;
use crate::socket::Socket;
use crate::topic::{LocalTopics, Locked, SubscribeError, own_name};

/// The subscribers of channels on this node.
pub(super) struct Subscribers {
    pub(super) topics: Arc<LocalTopics>,
    pub(super) snapshots: Arc<Snapshots>,
}

/// The rest of a subscription, once it is known whether its device is shown.
pub(super) struct Arrival {
    pub(super) live: LiveUpdates,
    pub(super) subscription: Subscription,
    /// The place for the reason why the socket does not become a subscriber.
    pub(super) refused: Arc<Mutex<Option<SubscribeError>>>,
}

impl Arrival {
    /// Makes the socket a subscriber, and tells it or everybody what there is to be told. If it
    /// cannot be one, its device leaves again.
    fn enter(self, shown: Option<bool>, tell: impl FnOnce(&Locked<'_>, &Socket)) {
        let Self {
            live,
            subscription,
            refused,
        } = self;
        let socket = subscription.socket();
        let entered = subscription.enter(shown, |channel| tell(channel, socket));
        if let Err(error) = entered {
            *refused.lock() = Some(error);
            let channel = subscription.channel();
            live.live().presence.leave(channel, socket.id());
        }
    }
}

impl Tell for Subscribers {
    type Arrival = Arrival;

    fn tell(
        &self,
        roster: &TopicName,
        told: Told<'_, Self>,
        arrivals: Vec<Arrival>,
        show: &dyn Fn(),
    ) {
        let name = own_name(roster);
        let messages: Vec<Outgoing> = match told {
            Told::Changes(diffs) => {
                let channel = name;
                let event = |diff| Event::PresenceDiff { channel, diff }.into();
                diffs.into_iter().map(event).collect()
            }
            Told::Everybody(view) => {
                let everybody = self.snapshots.of(roster, view, Part::First);
                vec![everybody.message(name, None)]
            }
        };
        let is_told = Cell::new(false);
        let tell_all = |channel: &Locked<'_>| {
            is_told.set(true);
            show();
            for message in &messages {
                channel.announce(message.clone());
            }
        };
        for arrival in arrivals {
            arrival.enter(None, |channel, socket| {
                if !is_told.get() {
                    return tell_all(channel);
                }
                for message in &messages {
                    channel.tell(socket, message.clone());
                }
            });
        }
        if !is_told.get() && self.topics.locked(roster, tell_all).is_none() {
            show();
        }
    }

    fn waits(&self, _: &TopicName, arrival: Arrival) {
        arrival.enter(Some(false), |_, _| ());
    }

    fn is_used(&self, roster: &TopicName) -> bool {
        self.topics.subscribers(roster) > 0
    }
}
