//! Who is in a channel: users with their devices.
//!
//! Whoever loses its connection is still there for a grace period, and if the same user
//! comes back within it nobody hears of the interruption. Whoever closes or unsubscribes
//! leaves at once. All of it is in memory: when the process ends, nobody is there any more,
//! unless what was there is [taken over](Presence::take_over) by the next one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indexmap::IndexMap;
use nextrush_broker::Topic;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::Timestamp;
use crate::message::User;

/// How long a lost device is waited for.
pub(crate) const GRACE: Duration = Duration::from_secs(15);
/// The most devices of a channel. Who comes after them is there without being shown.
const DEVICES: usize = 1000;
/// The longest data of a device, in bytes of JSON.
pub(crate) const DATA_BYTES: usize = 4096;

/// The channels in which somebody is, or was a moment ago. `C` names a connection.
#[derive(Debug)]
pub(crate) struct Presence<C> {
    channels: Mutex<HashMap<Topic, Members<C>>>,
    devices: AtomicU64,
    /// The highest version of all channels: one that becomes empty and is forgotten must not
    /// begin with lower ones later.
    version: AtomicU64,
}

#[derive(Debug)]
struct Members<C> {
    /// Rises with each change.
    version: u64,
    devices: IndexMap<String, Device<C>>,
}

#[derive(Debug)]
struct Device<C> {
    user: User,
    since: Timestamp,
    data: Option<Value>,
    place: Place<C>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<C> {
    At(C),
    /// Its connection is lost, and it is waited for until then, in milliseconds.
    LostUntil(u64),
}

/// Somebody who is in a channel, as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    user: User,
    devices: Vec<Shown>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shown {
    id: String,
    since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

/// A device that has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Left {
    user: User,
    device: String,
}

/// Everybody in a channel at one moment, to be written as JSON: `members`, each a user
/// with devices, and the `version`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    members: Vec<Member>,
    version: u64,
}

/// What has changed from one version to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Diff {
    version: u64,
    joined: Vec<Member>,
    left: Vec<Left>,
    updated: Vec<Member>,
}

impl<C> Default for Presence<C> {
    fn default() -> Self {
        Self {
            channels: Mutex::default(),
            devices: AtomicU64::new(1),
            version: AtomicU64::new(0),
        }
    }
}

impl<C> Presence<C> {
    /// A channel in which nobody is yet.
    fn begin(&self) -> Members<C> {
        Members {
            version: self.version.load(Ordering::Relaxed),
            devices: IndexMap::new(),
        }
    }

    fn forget_if_empty(&self, channels: &mut HashMap<Topic, Members<C>>, topic: &Topic) {
        let is_empty = |members: &Members<C>| members.devices.is_empty();
        if channels.get(topic).is_some_and(is_empty)
            && let Some(members) = channels.remove(topic)
        {
            self.version.fetch_max(members.version, Ordering::Relaxed);
        }
    }
}

impl<C: Copy + Eq> Presence<C> {
    /// Somebody has subscribed. A device of the same user that is waited for is the same
    /// one again, and then nothing has changed.
    pub(crate) fn join(&self, topic: &Topic, user: &User, id: C) -> Option<Diff> {
        let mut channels = self.channels.lock();
        let members = channels
            .entry(topic.clone())
            .or_insert_with(|| self.begin());
        let is_waited_for = |device: &&mut Device<C>| {
            matches!(device.place, Place::LostUntil(_)) && device.user == *user
        };
        if let Some(device) = members.devices.values_mut().find(is_waited_for) {
            device.place = Place::At(id);
            return None;
        }
        if members.devices.len() >= DEVICES {
            return None;
        }
        let device = Device {
            user: user.clone(),
            since: Timestamp::now(),
            data: None,
            place: Place::At(id),
        };
        let name = self.devices.fetch_add(1, Ordering::Relaxed).to_string();
        let joined = vec![device.shown(&name)];
        members.devices.insert(name, device);
        Some(members.changed(Diff {
            joined,
            ..Diff::default()
        }))
    }

    /// Somebody has left.
    pub(crate) fn leave(&self, topic: &Topic, id: C) -> Option<Diff> {
        let mut channels = self.channels.lock();
        let members = channels.get_mut(topic)?;
        let diff = members.remove(|device| device.place == Place::At(id));
        self.forget_if_empty(&mut channels, topic);
        diff
    }

    /// Somebody's connection is lost. Returns whether it has to be waited for.
    pub(crate) fn lose(&self, topic: &Topic, id: C, now_ms: u64) -> bool {
        let mut channels = self.channels.lock();
        let devices = channels
            .get_mut(topic)
            .into_iter()
            .flat_map(|members| members.devices.values_mut());
        let mut is_there = false;
        for device in devices.filter(|device| device.place == Place::At(id)) {
            device.place = Place::LostUntil(now_ms.saturating_add(grace_ms()));
            is_there = true;
        }
        is_there
    }

    /// Those have left who were waited for until now.
    pub(crate) fn expire(&self, topic: &Topic, now_ms: u64) -> Option<Diff> {
        let mut channels = self.channels.lock();
        let members = channels.get_mut(topic)?;
        let is_over =
            |device: &Device<C>| matches!(device.place, Place::LostUntil(end) if end <= now_ms);
        let diff = members.remove(is_over);
        self.forget_if_empty(&mut channels, topic);
        diff
    }

    /// Somebody says something about itself.
    pub(crate) fn update(&self, topic: &Topic, id: C, data: Value) -> Option<Diff> {
        let mut channels = self.channels.lock();
        let members = channels.get_mut(topic)?;
        let mut devices = members.devices.iter_mut();
        let (name, device) = devices.find(|(_, device)| device.place == Place::At(id))?;
        device.data = Some(data);
        let updated = vec![device.shown(name)];
        Some(members.changed(Diff {
            updated,
            ..Diff::default()
        }))
    }

    /// Waits for those who were there in an earlier process, until then. Nobody hears of it.
    /// Has no effect once somebody is there.
    pub(crate) fn take_over(&self, topic: &Topic, before: Snapshot, until_ms: u64) {
        let mut channels = self.channels.lock();
        let members = channels
            .entry(topic.clone())
            .or_insert_with(|| self.begin());
        if !members.devices.is_empty() {
            return;
        }
        members.version = members.version.max(before.version);
        for member in before.members {
            for shown in member.devices {
                // New names come after those that are in use.
                let number = shown.id.parse().map_or(0, |number: u64| number + 1);
                self.devices.fetch_max(number, Ordering::Relaxed);
                let device = Device {
                    user: member.user.clone(),
                    since: shown.since,
                    data: shown.data,
                    place: Place::LostUntil(until_ms),
                };
                members.devices.insert(shown.id, device);
            }
        }
        self.forget_if_empty(&mut channels, topic);
    }

    /// Everybody who is there.
    pub(crate) fn snapshot(&self, topic: &Topic) -> Snapshot {
        let channels = self.channels.lock();
        let Some(members) = channels.get(topic) else {
            return Snapshot::default();
        };
        let mut all: IndexMap<&User, Vec<Shown>> = IndexMap::new();
        for (name, device) in &members.devices {
            let devices = all.entry(&device.user).or_default();
            devices.extend(device.shown(name).devices);
        }
        let shown = all.into_iter().map(|(user, devices)| Member {
            user: user.clone(),
            devices,
        });
        Snapshot {
            members: shown.collect(),
            version: members.version,
        }
    }
}

impl Snapshot {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl<C> Members<C> {
    fn remove(&mut self, which: impl Fn(&Device<C>) -> bool) -> Option<Diff> {
        let mut left = Vec::new();
        self.devices.retain(|name, device| {
            let goes = which(device);
            if goes {
                left.push(Left {
                    user: device.user.clone(),
                    device: name.clone(),
                });
            }
            !goes
        });
        if left.is_empty() {
            return None;
        }
        Some(self.changed(Diff {
            left,
            ..Diff::default()
        }))
    }

    fn changed(&mut self, diff: Diff) -> Diff {
        self.version += 1;
        Diff {
            version: self.version,
            ..diff
        }
    }
}

impl<C> Device<C> {
    fn shown(&self, name: &str) -> Member {
        Member {
            user: self.user.clone(),
            devices: vec![Shown {
                id: name.to_owned(),
                since: self.since,
                data: self.data.clone(),
            }],
        }
    }
}

fn grace_ms() -> u64 {
    u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GRACE_MS: u64 = 15_000;

    fn topic() -> Topic {
        Topic::try_from("t").unwrap()
    }

    fn user(name: &str) -> User {
        User {
            id: name.into(),
            email: format!("{name}@example.com"),
        }
    }

    fn names(presence: &Presence<u32>) -> Vec<(String, usize)> {
        let name = |member: &Member| (member.user.id.to_string(), member.devices.len());
        presence
            .snapshot(&topic())
            .members
            .iter()
            .map(name)
            .collect()
    }

    fn is_there(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
        let there = expected.iter();
        there
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn a_member_is_a_user_with_all_its_devices() {
        let presence = Presence::default();
        let joined = presence.join(&topic(), &user("ada"), 1).unwrap();
        assert_eq!((joined.version, joined.joined.len()), (1, 1));
        presence.join(&topic(), &user("bob"), 2).unwrap();
        presence.join(&topic(), &user("ada"), 3).unwrap();
        assert_eq!(names(&presence), is_there(&[("ada", 2), ("bob", 1)]));
        let left = presence.leave(&topic(), 1).unwrap();
        assert_eq!((left.version, left.left.len()), (4, 1));
        assert_eq!(names(&presence), is_there(&[("bob", 1), ("ada", 1)]));
        assert_eq!(presence.leave(&topic(), 1), None);
        presence.leave(&topic(), 2).unwrap();
        presence.leave(&topic(), 3).unwrap();
        assert_eq!(presence.snapshot(&topic()), Snapshot::default());
    }

    #[test]
    fn whoever_comes_back_within_the_grace_period_was_never_gone() {
        let presence = Presence::default();
        presence.join(&topic(), &user("ada"), 1).unwrap();
        let before = presence.snapshot(&topic());
        assert!(presence.lose(&topic(), 1, 100));
        assert_eq!(presence.snapshot(&topic()), before);
        assert_eq!(presence.expire(&topic(), 99 + GRACE_MS), None);
        assert_eq!(presence.join(&topic(), &user("ada"), 2), None);
        assert_eq!(presence.expire(&topic(), 200 + GRACE_MS), None);
        assert_eq!(presence.snapshot(&topic()), before);
        // The old connection has nothing to say any more.
        assert_eq!(presence.leave(&topic(), 1), None);
        presence.leave(&topic(), 2).unwrap();
    }

    #[test]
    fn whoever_does_not_come_back_has_left_when_the_grace_period_ends() {
        let presence = Presence::default();
        presence.join(&topic(), &user("ada"), 1).unwrap();
        presence.join(&topic(), &user("bob"), 2).unwrap();
        presence.lose(&topic(), 1, 100);
        // Somebody else does not take the place.
        presence.join(&topic(), &user("carol"), 3).unwrap();
        let left = presence.expire(&topic(), 100 + GRACE_MS).unwrap();
        assert_eq!(left.left[0].user, user("ada"));
        assert_eq!(names(&presence), is_there(&[("bob", 1), ("carol", 1)]));
        assert!(!presence.lose(&topic(), 9, 100));
    }

    #[test]
    fn what_a_device_says_of_itself_is_shown() {
        let presence = Presence::default();
        presence.join(&topic(), &user("ada"), 1).unwrap();
        let updated = presence
            .update(&topic(), 1, json!({ "mood": "good" }))
            .unwrap();
        assert_eq!(updated.version, 2);
        assert_eq!(updated.updated, presence.snapshot(&topic()).members);
        let shown = serde_json::to_value(&updated.updated).unwrap();
        assert_eq!(shown[0]["devices"][0]["data"], json!({ "mood": "good" }));
        assert_eq!(presence.update(&topic(), 2, json!(1)), None);
    }

    #[test]
    fn a_channel_shows_a_bounded_number_of_devices() {
        let presence = Presence::default();
        for id in 0..1100 {
            let joined = presence.join(&topic(), &user("ada"), id);
            assert_eq!(joined.is_some(), id < 1000);
        }
        assert_eq!(names(&presence), is_there(&[("ada", 1000)]));
    }
}
