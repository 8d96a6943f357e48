//! The devices of a channel, and the rules by which they are shown.
//!
//! All of it is worked out from a [view](View) of the channel's roster: nothing here has a lock, a
//! clock or a connection.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rpds::HashTrieMapSync;
use serde::{Deserialize, Serialize};

use super::budget::{Budget, OverQuota, Share};
use super::device::{Data, DeviceName};
use super::shown::{Changes, Left, Member, Person, Shown, device_bytes, user_bytes};
use super::snapshot::Part;
use crate::message::{Timestamp, UserId};
use crate::roster::{Admission, Home, Record, Rules, Step, View};

/// The time for which a lost device is waited for.
pub(super) const GRACE: Duration = Duration::from_secs(15);
/// The most devices of a channel. Later ones wait until there is room.
const DEVICES: usize = 1000;
/// The most devices of one user in a channel, so that nobody crowds out the others.
const DEVICES_PER_USER: usize = 20;

/// A device of a user in a channel, as it is stored for all nodes.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Device {
    /// Shared by all channels of a socket: an id may be as long as a token.
    #[serde(with = "shared")]
    pub(super) user: Arc<Person>,
    /// The name that its client keeps for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<DeviceName>,
    pub(super) since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Data>,
    /// The number of times it has said something of itself. Others are told each time, also where
    /// it says the same again.
    #[serde(default)]
    said: u64,
    /// The part of this node's budget that the data takes.
    #[serde(skip)]
    share: OnceLock<Arc<Share>>,
    /// `true` until it is in the channel for the first time: it may be one that is known already.
    #[serde(skip)]
    is_coming: AtomicBool,
}

impl Device {
    /// A device that has said nothing yet.
    pub(super) fn new(user: &Arc<Person>, name: Option<DeviceName>, since: Timestamp) -> Self {
        Self {
            user: Arc::clone(user),
            name,
            since,
            data: None,
            said: 0,
            share: OnceLock::new(),
            is_coming: AtomicBool::new(true),
        }
    }

    /// Takes note that it is in the channel.
    pub(super) fn has_come(&self) {
        self.is_coming.store(false, Ordering::Relaxed);
    }

    /// The same device with other data.
    pub(super) fn saying(&self, data: Data, budget: &Budget) -> Result<Self, OverQuota> {
        let share = self.share(budget);
        share.resize(data.weight())?;
        Ok(Self {
            user: Arc::clone(&self.user),
            name: self.name.clone(),
            since: self.since,
            data: Some(data),
            said: self.said + 1,
            share: OnceLock::from(Arc::clone(share)),
            is_coming: AtomicBool::new(false),
        })
    }

    /// Counts the data, whether there is room or not: the device has come from another node.
    pub(super) fn count(&self, budget: &Budget) {
        if let Some(data) = &self.data {
            self.share(budget).grow(data.weight());
        }
    }

    /// Gives back the bytes that the data takes: the device is at another node.
    pub(super) fn release(&self) {
        if let Some(share) = self.share.get() {
            share.release();
        }
    }

    fn share(&self, budget: &Budget) -> &Arc<Share> {
        self.share
            .get_or_init(|| Arc::new(budget.share(&self.user)))
    }

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

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user
            && self.name == other.name
            && self.since == other.since
            && self.data == other.data
            && self.said == other.said
    }
}

/// The form in which a user is stored, which is not shared there.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Person;

    pub(super) fn serialize<S: Serializer>(
        user: &Arc<Person>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Person::serialize(user, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Person>, D::Error> {
        Person::deserialize(deserializer).map(Arc::new)
    }
}

/// The numbers of each user's devices, rising.
#[derive(Clone, Default)]
pub(super) struct OfUsers(HashTrieMapSync<ById, Box<[OfUser]>>);

/// A device of a user. The user is the one that the device has, so that no other is kept.
#[derive(Clone)]
struct OfUser {
    number: u64,
    user: Arc<Person>,
}

/// A user as the key of a map. It shares the id with the devices: one may be as long as a token.
#[derive(Clone)]
struct ById(Arc<Person>);

impl Borrow<UserId> for ById {
    fn borrow(&self) -> &UserId {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

impl OfUsers {
    fn devices(&self, user: &UserId) -> &[OfUser] {
        self.0.get(user).map_or(&[], |devices| devices)
    }

    fn of(&self, user: &UserId) -> impl ExactSizeIterator<Item = u64> {
        self.devices(user).iter().map(|device| device.number)
    }

    fn add(&mut self, user: &Arc<Person>, number: u64) {
        let before = self.devices(&user.id);
        let place = before.partition_point(|before| before.number < number);
        let (lower, higher) = before.split_at(place);
        let user = Arc::clone(user);
        self.set([lower, &[OfUser { number, user }], higher].concat());
    }

    fn remove(&mut self, user: &UserId, number: u64) {
        let mut devices = self.devices(user).to_vec();
        devices.retain(|device| device.number != number);
        if devices.is_empty() {
            self.0.remove_mut(user);
        } else {
            self.set(devices);
        }
    }

    fn set(&mut self, devices: Vec<OfUser>) {
        if let Some(OfUser { user, .. }) = devices.first() {
            self.0.insert_mut(ById(Arc::clone(user)), devices.into());
        }
    }

    /// Takes note of a device that comes, changes or leaves.
    pub(super) fn note(
        &mut self,
        number: u64,
        before: Option<&Record<Device>>,
        after: Option<&Record<Device>>,
    ) {
        let [before, after] = [before, after].map(|record| record.map(|at| &at.member.user));
        if before.map(|user| &user.id) == after.map(|user| &user.id) {
            return;
        }
        if let Some(user) = before {
            self.remove(&user.id, number);
        }
        if let Some(user) = after {
            self.add(user, number);
        }
    }
}

/// The lost device that one of this user and name is: one of the same name, or for a device without
/// a name the user's only lost one.
fn lost<R>(view: &View<R>, user: &UserId, name: Option<&DeviceName>) -> Option<u64>
where
    R: Rules<Member = Device, Index = OfUsers>,
{
    let numbers = view.index().of(user);
    let mut lost = numbers.filter_map(|number| {
        let record = view.get(number)?;
        record.place.is_lost().then_some((number, &record.member))
    });
    let same = match name {
        Some(_) => lost.find(|(_, device)| device.name.as_ref() == name),
        None => lost.next().filter(|_| lost.next().is_none()),
    };
    same.filter(|(_, device)| device.name.as_ref() == name)
        .map(|(number, _)| number)
}

/// The device of this user and name that another node has. Its client has left that node without a
/// word, or faster than the word of it comes: a node that has crashed is missed after 10 s.
fn elsewhere<R>(view: &View<R>, own: &Home, user: &UserId, name: &DeviceName) -> Option<u64>
where
    R: Rules<Member = Device, Index = OfUsers>,
{
    let mut numbers = view.index().of(user);
    numbers.find(|number| {
        view.get(*number).is_some_and(|record| {
            let home = record.place.home();
            home.is_some_and(|home| **home != *own) && record.member.name.as_ref() == Some(name)
        })
    })
}

/// Returns whether a device that subscribes at this node is one that is known already, so that
/// nobody hears of it.
pub(super) fn is_known<R>(
    view: &View<R>,
    own: &Home,
    user: &UserId,
    name: Option<&DeviceName>,
) -> bool
where
    R: Rules<Member = Device, Index = OfUsers>,
{
    lost(view, user, name).is_some()
        || name.is_some_and(|name| elsewhere(view, own, user, name).is_some())
}

/// Decides on a device that comes to this node.
pub(super) fn admit<R>(view: &View<R>, own: &Home, newcomer: &Device) -> Admission
where
    R: Rules<Member = Device, Index = OfUsers>,
{
    let user = &newcomer.user.id;
    let name = newcomer.name.as_ref();
    if let Some(number) = lost(view, user, name) {
        return Admission::Again(number);
    }
    if let Some(number) = name.and_then(|name| elsewhere(view, own, user, name)) {
        // One whose place was taken has mostly lost its connection. If not, it waits until the other
        // one has left: two of a name do not take each other's place for ever.
        return match newcomer.is_coming.load(Ordering::Relaxed) {
            true => Admission::Again(number),
            false => Admission::Wait,
        };
    }
    match view.len() < DEVICES && view.index().of(user).len() < DEVICES_PER_USER {
        true => Admission::New,
        false => Admission::Wait,
    }
}

/// The changes that others see: those who have left, have come, and are another now.
pub(super) fn changes<R: Rules<Member = Device>>(steps: &[Step<R>]) -> Changes {
    let mut changes = Changes::default();
    for step in steps {
        if let (Some(before), None) = (&step.before, &step.after) {
            changes.left(Left {
                user: before.member.user.profile.clone(),
                device: step.number,
            });
        }
    }
    for step in steps {
        // One that comes as a lost one was there before the process was.
        if let (None, Some(after)) = (&step.before, &step.after)
            && !after.place.is_lost()
        {
            changes.joined(after.member.member(step.number));
        }
    }
    for step in steps {
        if let (Some(_), Some(after)) = (&step.before, &step.after)
            && step.is_visible()
        {
            changes.updated(after.member.member(step.number));
        }
    }
    changes
}

/// Some of a channel's devices.
pub(super) struct Chosen<'a> {
    pub(super) devices: Vec<(u64, &'a Device)>,
    /// About the bytes that they take as JSON.
    pub(super) bytes: usize,
    /// The last of them, unless it is the channel's last.
    pub(super) next: Option<u64>,
}

/// The devices of a part: as many as it has room for, but at least one.
pub(super) fn choose<R: Rules<Member = Device>>(view: &View<R>, part: Part) -> Chosen<'_> {
    let mut chosen = Chosen {
        devices: Vec::new(),
        bytes: 0,
        next: None,
    };
    let mut users = HashSet::new();
    for (number, record) in view.members_after(part.after()) {
        let device = &*record.member;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Profile;

    #[test]
    fn no_user_is_kept_of_a_device_that_has_left() {
        let user = || {
            let profile = Profile::new("ada").unwrap();
            let id = "ada".into();
            Arc::new(Person { id, profile })
        };
        let (stays, leaves) = (user(), user());
        let mut index = OfUsers::default();
        for (first, second) in [(&stays, &leaves), (&leaves, &stays)] {
            index.add(first, 1);
            index.add(second, 2);
            let (stayed, left) = match Arc::ptr_eq(first, &stays) {
                true => (1, 2),
                false => (2, 1),
            };
            index.remove(&leaves.id, left);
            assert_eq!(Arc::strong_count(&leaves), 1);
            assert_eq!(index.of(&stays.id).collect::<Vec<_>>(), [stayed]);
            index.remove(&stays.id, stayed);
            assert_eq!(Arc::strong_count(&stays), 1);
        }
    }
}
