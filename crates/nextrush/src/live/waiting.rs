//! The devices of this node for which a channel has no room.

use super::budget::{OverQuota, Share};
use super::device::Data;
use super::devices::{Device, Room};

/// Devices that are not shown, in the order in which they came; all of them connected.
#[derive(Debug)]
pub(super) struct WaitingList<P>(Vec<Waiting<P>>);

/// A device that is not shown.
#[derive(Debug)]
pub(super) struct Waiting<P> {
    pub(super) device: Device<P>,
    /// The part of the budget that its data takes.
    pub(super) share: Share,
}

impl<P> Default for WaitingList<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<P> WaitingList<P> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, waiting: Waiting<P>) {
        self.0.push(waiting);
    }

    /// Takes out those for which there is room, the first to come first.
    pub(super) fn take(&mut self, room: &mut Room) -> Vec<Waiting<P>> {
        self.0
            .extract_if(.., |waiting| room.take(&waiting.device.user.id))
            .collect()
    }
}

impl<P: Eq> WaitingList<P> {
    /// Forgets the device of a connection.
    pub(super) fn remove(&mut self, place: &P) {
        self.0.retain(|waiting| !waiting.device.is_at(place));
    }

    /// Replaces the data of the device of a connection; `None` if it does not wait.
    pub(super) fn say(&mut self, place: &P, data: &Data) -> Option<Result<(), OverQuota>> {
        let mut waiting = self.0.iter_mut();
        let waiting = waiting.find(|waiting| waiting.device.is_at(place))?;
        let said = waiting.share.resize(data.weight());
        if said.is_ok() {
            waiting.device.data = Some(data.clone());
        }
        Some(said)
    }
}
