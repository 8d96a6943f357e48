//! The users in each channel, with their devices.
//!
//! A user whose connection is lost is still there for a grace period, and if the same user
//! comes back within it nobody hears of the interruption. Whoever closes or unsubscribes
//! leaves at once. A channel's devices are a [roster](crate::roster), the same on all nodes that
//! share one; on a node alone they are in memory: when the process ends, nobody is there any more,
//! unless what was there is [taken over](Presence::take_over) by the next one.

use std::sync::Arc;

use nextrush_broker::{BrokerError, TopicName};
use nextrush_engine::ConnectionId;

use super::budget::{Budget, OverQuota, PresenceLimits};
use super::device::{Data, DeviceName};
use super::devices::{self, Device};
use super::left_behind::{Kept, LeftBehind};
use super::rules::{PresenceRules, Tell};
use super::shown::Person;
use super::snapshot::{Part, PresenceSnapshot, Snapshots};
use crate::message::{Timestamp, UserId};
use crate::roster::{Place, Record, Rosters, Settled, Unsettled, Watched, Wish};
use crate::socket::handle::Handle;

/// The channels in which somebody is, or was a moment ago.
pub(super) struct Presence<T: Tell> {
    rosters: Rosters<PresenceRules<T>>,
    budget: Budget,
    snapshots: Arc<Snapshots>,
    /// `true` if no other node has the channels.
    is_alone: bool,
}

/// The reason why a device keeps the data that it had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsaid {
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// Others see it when the store answers again.
    #[error(transparent)]
    Store(BrokerError),
}

impl<T: Tell> Presence<T> {
    pub(super) fn new(
        app: &Handle,
        limits: PresenceLimits,
        snapshots: Arc<Snapshots>,
        subscribers: T,
    ) -> Self {
        let budget = Budget::new(limits);
        let host = app.roster_host();
        let rules = PresenceRules::new(host.home(), subscribers, budget.clone());
        Self {
            rosters: Rosters::new(&host, rules),
            budget,
            snapshots,
            is_alone: app.broker().rosters().is_none(),
        }
    }

    /// Follows a channel, for as long as the guard is kept or somebody on this node is subscribed.
    pub(super) async fn watch(
        &self,
        channel: &TopicName,
    ) -> Result<Watched<PresenceRules<T>>, BrokerError> {
        self.rosters.watch(channel).await
    }

    /// Stops following a channel that nobody uses.
    pub(super) fn tidy(&self, channel: &TopicName) {
        self.rosters.tidy(channel);
    }

    /// Adds the device of a user who has subscribed. A lost device of the same user and name that
    /// is waited for is this one again, and then nothing has changed, and so is one of that name
    /// that another node has; a device without a name is the user's only lost one again. A device
    /// for which there is no room waits.
    pub(super) fn join(
        &self,
        channel: &TopicName,
        user: &Arc<Person>,
        name: Option<DeviceName>,
        socket: ConnectionId,
        arrival: T::Arrival,
    ) -> Settled {
        let device = Device::new(user, name, Timestamp::now());
        self.rosters.join(channel, socket, device, arrival)
    }

    /// `true` if a device that subscribes would be one that is known already, and nobody would hear
    /// of it.
    pub(super) fn is_known(
        &self,
        channel: &TopicName,
        user: &UserId,
        name: Option<&DeviceName>,
    ) -> bool {
        let view = self.rosters.shown(channel);
        let own = self.rosters.host().home();
        view.is_some_and(|view| devices::is_known(&view, own, user, name))
    }

    /// Removes the device of a user who has left. Under the topic's lock: is done when it is
    /// [settled](Self::settle).
    pub(super) fn leave(&self, channel: &TopicName, socket: ConnectionId) {
        self.rosters.enqueue(channel, Wish::Leave(socket));
    }

    /// Waits for the device of a lost connection. Under the topic's lock: is done when it is
    /// [settled](Self::settle).
    pub(super) fn lose(&self, channel: &TopicName, socket: ConnectionId) {
        self.rosters.enqueue(channel, Wish::Lose(socket));
    }

    /// Does what was wished under the topic's lock.
    pub(super) fn settle(&self, channel: &TopicName) {
        self.rosters.pump(channel);
    }

    /// Sets the data of a device.
    pub(super) async fn update(
        &self,
        channel: &TopicName,
        socket: ConnectionId,
        data: Data,
    ) -> Result<(), Unsaid> {
        let Some(device) = self.rosters.own(channel, socket) else {
            return Ok(());
        };
        let device = device.saying(data, &self.budget)?;
        let updated = self.rosters.update(channel, socket, Arc::new(device));
        match updated.await {
            Ok(()) | Err(Unsettled::Gone) => Ok(()),
            Err(Unsettled::Store(error)) => Err(Unsaid::Store(error)),
        }
    }

    /// The members of a channel, or a part of them, as the subscribers on this node know them.
    /// Written once for each version.
    pub(super) fn snapshot(&self, channel: &TopicName, part: Part) -> PresenceSnapshot {
        match self.rosters.shown(channel) {
            Some(view) => self.snapshots.of(channel, &view, part),
            None => PresenceSnapshot::nobody(part),
        }
    }

    /// `true` if no other node has the channels, and so none that goes on when this process ends.
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// The time in milliseconds by which is told how long a device is waited for.
    pub(super) fn now_ms(&self) -> u64 {
        self.rosters.host().now_ms()
    }

    /// The members of a channel, or a part of them, also of one that this node does not follow.
    pub(super) async fn read(
        &self,
        channel: &TopicName,
        part: Part,
    ) -> Result<PresenceSnapshot, BrokerError> {
        match self.rosters.shown(channel) {
            Some(view) => Ok(self.snapshots.of(channel, &view, part)),
            None if self.is_alone => Ok(PresenceSnapshot::nobody(part)),
            // Without those of dead nodes, so that it is nothing to be kept for its version.
            None => Ok(PresenceSnapshot::of(
                &self.rosters.read(channel).await?,
                part,
            )),
        }
    }

    /// About the bytes of a [snapshot](Self::snapshot), which is not made for it.
    pub(super) fn bytes(&self, channel: &TopicName, part: Part) -> usize {
        let view = self.rosters.shown(channel);
        view.map_or(0, |view| devices::choose(&view, part).bytes)
    }

    /// Waits for those who were there in an earlier process, until then. Nobody hears of it.
    /// Does nothing once somebody is there.
    pub(super) fn take_over(&self, channel: &TopicName, before: &LeftBehind, until_ms: u64) {
        let version = before.version();
        let devices: Vec<_> = before
            .devices(channel.as_str())
            .map(|(number, kept)| (number, Arc::new(self.kept(channel, kept))))
            .collect();
        self.rosters.act(channel, move |draft| {
            if !draft.view().is_empty() {
                return;
            }
            draft.raise_version_to(version);
            for (number, device) in &devices {
                let lost = Place::LostUntil(until_ms);
                draft.put(*number, Record::new(lost, Arc::clone(device)));
            }
        });
    }

    /// A device that was left behind, with its data if there is room for it.
    fn kept(&self, channel: &TopicName, kept: Kept) -> Device {
        let Kept {
            user,
            name,
            since,
            data,
        } = kept;
        let device = Device::new(&user, name, since);
        let Some(data) = data else {
            return device;
        };
        match device.saying(data, &self.budget) {
            Ok(device) => device,
            Err(error) => {
                tracing::warn!(%channel, %error, "a member keeps its place without its data");
                device
            }
        }
    }

    /// Everybody who is there, for the next process; `None` if nobody is.
    pub(super) fn leave_behind(&self, channel: &TopicName) -> Option<LeftBehind> {
        let view = self.rosters.shown(channel)?;
        Some(LeftBehind::new(&view))
    }
}

#[cfg(test)]
mod tests;
