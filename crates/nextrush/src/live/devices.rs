//! The devices of a channel, and the rules by which they come and go.
//!
//! Nothing here has a lock or a clock: whoever keeps a channel says where devices are and what
//! time it is, and is told what others see of a change. `P` is the place of a device that is
//! connected.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::device::{Data, DeviceName};
use super::shown::{Changes, Left, Member, Person, Shown, device_bytes, user_bytes};
use super::snapshot::Part;
use crate::message::{Timestamp, UserId};

/// The time for which a lost device is waited for.
pub(super) const GRACE: Duration = Duration::from_secs(15);
/// The most devices of a channel. Later ones wait until there is room.
const DEVICES: usize = 1000;
/// The most devices of one user in a channel, so that nobody crowds out the others.
const DEVICES_PER_USER: usize = 20;

/// The devices of a channel by their numbers, which is the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct Devices<P>(BTreeMap<u64, Device<P>>);

/// A device of a user.
#[derive(Clone, Debug)]
pub(super) struct Device<P> {
    /// Shared by all channels of a socket: an id may be as long as a token.
    pub(super) user: Arc<Person>,
    /// The name that its client keeps for it.
    pub(super) name: Option<DeviceName>,
    pub(super) since: Timestamp,
    pub(super) data: Option<Data>,
    pub(super) place: Place<P>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place<P> {
    At(P),
    /// Its connection is lost, and it is waited for until then, in milliseconds.
    LostUntil(u64),
}

/// Some of a channel's devices.
pub(super) struct Chosen<'a, P> {
    pub(super) devices: Vec<(u64, &'a Device<P>)>,
    /// About the bytes that they take as JSON.
    pub(super) bytes: usize,
    /// The last of them, unless it is the channel's last.
    pub(super) next: Option<u64>,
}

/// The room for more devices in a channel.
pub(super) struct Room {
    devices: usize,
    of_users: HashMap<UserId, usize>,
}

impl<P> Default for Devices<P> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<P> Devices<P> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Device<P>)> {
        self.0.iter().map(|(number, device)| (*number, device))
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Device<P>> {
        self.0.get_mut(&number)
    }

    pub(super) fn insert(&mut self, number: u64, device: Device<P>) {
        self.0.insert(number, device);
    }

    /// The lost device that one of this user and name is: one of the same name, or for a device
    /// without a name the user's only lost one.
    pub(super) fn lost(&self, user: &UserId, name: Option<&DeviceName>) -> Option<u64> {
        let is_lost = |(_, device): &(u64, &Device<P>)| {
            matches!(device.place, Place::LostUntil(_)) && device.user.id == *user
        };
        let mut lost = self.iter().filter(is_lost);
        let same = match name {
            Some(_) => lost.find(|(_, device)| device.name.as_ref() == name),
            None => lost.next().filter(|_| lost.next().is_none()),
        };
        same.filter(|(_, device)| device.name.as_ref() == name)
            .map(|(number, _)| number)
    }

    /// The devices that are waited for until now.
    pub(super) fn expired(&self, now_ms: u64) -> Vec<u64> {
        self.iter()
            .filter(|(_, device)| matches!(device.place, Place::LostUntil(end) if end <= now_ms))
            .map(|(number, _)| number)
            .collect()
    }

    /// Removes devices, of which others see that they have left.
    pub(super) fn remove(&mut self, numbers: &[u64], changes: &mut Changes) {
        for number in numbers {
            if let Some(device) = self.0.remove(number) {
                changes.left(Left {
                    user: device.user.profile.clone(),
                    device: *number,
                });
            }
        }
    }

    /// Shows a new device.
    pub(super) fn add(&mut self, number: u64, device: Device<P>, changes: &mut Changes) {
        changes.joined(device.member(number));
        self.0.insert(number, device);
    }

    /// The room that there is now.
    pub(super) fn room(&self) -> Room {
        let mut of_users: HashMap<UserId, usize> = HashMap::new();
        for device in self.0.values() {
            *of_users.entry(device.user.id.clone()).or_default() += 1;
        }
        Room {
            devices: self.0.len(),
            of_users,
        }
    }

    /// The devices of a part: as many as it has room for, but at least one.
    pub(super) fn choose(&self, part: Part) -> Chosen<'_, P> {
        let mut chosen = Chosen {
            devices: Vec::new(),
            bytes: 0,
            next: None,
        };
        let mut users = HashSet::new();
        let after = (Bound::Excluded(part.after()), Bound::Unbounded);
        for (&number, device) in self.0.range(after) {
            let user = match users.insert(&device.user.id) {
                true => user_bytes(&device.user.profile),
                false => 0,
            };
            let bytes = chosen.bytes + user + device_bytes(device.data.as_ref());
            if bytes > part.max_bytes()
                && let Some((last, _)) = chosen.devices.last()
            {
                chosen.next = Some(*last);
                break;
            }
            chosen.bytes = bytes;
            chosen.devices.push((number, device));
        }
        chosen
    }
}

impl<P: Eq> Devices<P> {
    /// The device of a connection.
    pub(super) fn at(&self, place: &P) -> Option<u64> {
        self.iter()
            .find(|(_, device)| device.is_at(place))
            .map(|(number, _)| number)
    }
}

impl Room {
    /// Takes the room of one device, if there is any.
    pub(super) fn take(&mut self, user: &UserId) -> bool {
        let own = self.of_users.entry(user.clone()).or_default();
        let is_there = self.devices < DEVICES && *own < DEVICES_PER_USER;
        if is_there {
            self.devices += 1;
            *own += 1;
        }
        is_there
    }
}

impl<P> Device<P> {
    /// The user with this device alone.
    pub(super) fn member(&self, number: u64) -> Member {
        Member {
            user: self.user.profile.clone(),
            devices: vec![self.shown(number)],
        }
    }

    pub(super) fn shown(&self, number: u64) -> Shown {
        Shown {
            id: number,
            since: self.since,
            data: self.data.clone(),
        }
    }
}

impl<P: Eq> Device<P> {
    pub(super) fn is_at(&self, place: &P) -> bool {
        matches!(&self.place, Place::At(at) if at == place)
    }
}
