//! The users in each channel, with their devices.
//!
//! A user whose connection is lost is still there for a grace period, and if the same user
//! comes back within it nobody hears of the interruption. Whoever closes or unsubscribes
//! leaves at once. All of it is in memory: when the process ends, nobody is there any more,
//! unless what was there is [taken over](Presence::take_over) by the next one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indexmap::IndexMap;
use indexmap::map::Entry;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::budget::{Budget, OverQuota, PresenceLimits, Share};
use super::device::{Data, DeviceName};
use crate::message::{Timestamp, UserId};
use crate::topic::Profile;

/// The time for which a lost device is waited for.
pub(super) const GRACE: Duration = Duration::from_secs(15);
/// The most devices of a channel. Later ones wait until there is room.
const DEVICES: usize = 1000;
/// The most devices of one user in a channel, so that nobody crowds out the others.
const DEVICES_PER_USER: usize = 20;

/// The channels in which somebody is, or was a moment ago. `C` names a connection.
#[derive(Debug)]
pub(super) struct Presence<C> {
    channels: Mutex<HashMap<String, Members<C>>>,
    devices: AtomicU64,
    /// The highest version of all channels: one that becomes empty and is forgotten must not
    /// begin with lower ones later.
    version: AtomicU64,
    budget: Budget,
}

#[derive(Debug)]
struct Members<C> {
    /// Rises with each change.
    version: u64,
    devices: IndexMap<String, Device<C>>,
    /// The devices that are not shown, in the order in which they came; all of them connected.
    waiting: Vec<Device<C>>,
}

#[derive(Debug)]
struct Device<C> {
    user: Person,
    /// The name that its client keeps for it.
    name: Option<DeviceName>,
    since: Timestamp,
    data: Option<Data>,
    /// The part of the budget that the data takes.
    share: Share,
    place: Place<C>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place<C> {
    At(C),
    /// Its connection is lost, and it is waited for until then, in milliseconds.
    LostUntil(u64),
}

/// A user, and what others see of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Person {
    pub(super) id: UserId,
    pub(super) profile: Profile,
}

/// A user who is in a channel, as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Member {
    user: Profile,
    devices: Vec<Shown>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Shown {
    id: String,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

/// A device that has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Left {
    user: Profile,
    device: String,
}

/// Everybody in a channel at one moment, to be written as JSON: `members`, each a user
/// with devices, and the `version`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PresenceSnapshot {
    members: Vec<Member>,
    version: u64,
}

/// The changes from one version to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Diff {
    version: u64,
    joined: Vec<Member>,
    left: Vec<Left>,
    updated: Vec<Member>,
}

/// The effect of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Joined {
    /// A device that was waited for is there again: nothing has changed.
    Again,
    New(Diff),
    /// There is no room; it is shown when there is.
    Waits,
}

impl Joined {
    pub(super) fn is_shown(&self) -> bool {
        !matches!(self, Self::Waits)
    }

    pub(super) fn into_diff(self) -> Option<Diff> {
        match self {
            Self::New(diff) => Some(diff),
            Self::Again | Self::Waits => None,
        }
    }
}

impl<C> Presence<C> {
    pub(super) fn new(limits: PresenceLimits) -> Self {
        Self {
            channels: Mutex::default(),
            devices: AtomicU64::new(1),
            version: AtomicU64::new(0),
            budget: Budget::new(limits),
        }
    }

    /// A channel in which nobody is yet.
    fn begin(&self) -> Members<C> {
        Members {
            version: self.version.load(Ordering::Relaxed),
            devices: IndexMap::new(),
            waiting: Vec::new(),
        }
    }

    fn forget_if_empty(&self, channels: &mut HashMap<String, Members<C>>, channel: &str) {
        let is_empty = |members: &Members<C>| members.devices.is_empty();
        if channels.get(channel).is_some_and(is_empty)
            && let Some(members) = channels.remove(channel)
        {
            self.version.fetch_max(members.version, Ordering::Relaxed);
        }
    }
}

impl<C: Copy + Eq> Presence<C> {
    /// Adds the device of a user who has subscribed. A lost device of the same user and name that
    /// is waited for is this one again, and then nothing has changed; a device without a name is
    /// the user's only lost one again. A device for which there is no room waits.
    pub(super) fn join(
        &self,
        channel: &str,
        user: &Person,
        name: Option<DeviceName>,
        id: C,
    ) -> Joined {
        let mut channels = self.channels.lock();
        let members = channels
            .entry(channel.to_owned())
            .or_insert_with(|| self.begin());
        let is_lost = |device: &&mut Device<C>| {
            matches!(device.place, Place::LostUntil(_)) && device.user.id == user.id
        };
        let mut lost = members.devices.values_mut().filter(is_lost);
        let same = match &name {
            Some(_) => lost.find(|device| device.name == name),
            None => lost.next().filter(|_| lost.next().is_none()),
        };
        if let Some(device) = same.filter(|device| device.name == name) {
            device.place = Place::At(id);
            return Joined::Again;
        }
        let device = Device {
            user: user.clone(),
            name,
            since: Timestamp::now(),
            data: None,
            share: self.budget.share(&user.id),
            place: Place::At(id),
        };
        members.waiting.push(device);
        let joined = members.admit(&self.devices);
        match joined.is_empty() {
            true => Joined::Waits,
            false => Joined::New(members.changed(Diff {
                joined,
                ..Diff::default()
            })),
        }
    }

    /// Removes the device of a user who has left.
    pub(super) fn leave(&self, channel: &str, id: C) -> Option<Diff> {
        let mut channels = self.channels.lock();
        let members = channels.get_mut(channel)?;
        let diff = members.remove(&self.devices, |device| device.place == Place::At(id));
        self.forget_if_empty(&mut channels, channel);
        diff
    }

    /// Marks the device of a lost connection. Returns whether it has to be waited for.
    pub(super) fn lose(&self, channel: &str, id: C, now_ms: u64) -> bool {
        let mut channels = self.channels.lock();
        let Some(members) = channels.get_mut(channel) else {
            return false;
        };
        members
            .waiting
            .retain(|device| device.place != Place::At(id));
        let mut is_there = false;
        let devices = members.devices.values_mut();
        for device in devices.filter(|device| device.place == Place::At(id)) {
            device.place = Place::LostUntil(now_ms.saturating_add(grace_ms()));
            is_there = true;
        }
        is_there
    }

    /// Removes the devices that were waited for until now.
    pub(super) fn expire(&self, channel: &str, now_ms: u64) -> Option<Diff> {
        let mut channels = self.channels.lock();
        let members = channels.get_mut(channel)?;
        let is_over =
            |device: &Device<C>| matches!(device.place, Place::LostUntil(end) if end <= now_ms);
        let diff = members.remove(&self.devices, is_over);
        self.forget_if_empty(&mut channels, channel);
        diff
    }

    /// Sets the data of a device.
    pub(super) fn update(
        &self,
        channel: &str,
        id: C,
        data: Data,
    ) -> Result<Option<Diff>, OverQuota> {
        let mut channels = self.channels.lock();
        let Some(members) = channels.get_mut(channel) else {
            return Ok(None);
        };
        let is_own = |device: &Device<C>| device.place == Place::At(id);
        if let Some(device) = members.waiting.iter_mut().find(|device| is_own(device)) {
            device.say(data)?;
            return Ok(None);
        }
        let mut devices = members.devices.iter_mut();
        let Some((name, device)) = devices.find(|(_, device)| is_own(device)) else {
            return Ok(None);
        };
        device.say(data)?;
        let updated = vec![device.shown(name)];
        Ok(Some(members.changed(Diff {
            updated,
            ..Diff::default()
        })))
    }

    /// Waits for those who were there in an earlier process, until then. Nobody hears of it.
    /// Has no effect once somebody is there.
    pub(super) fn take_over(&self, channel: &str, before: LeftBehind, until_ms: u64) {
        let mut channels = self.channels.lock();
        let members = channels
            .entry(channel.to_owned())
            .or_insert_with(|| self.begin());
        if !members.devices.is_empty() {
            return;
        }
        members.version = members.version.max(before.version);
        for kept in before.devices {
            // Each by itself: one that cannot be read costs nobody else its place.
            let kept: KeptDevice = match serde_json::from_str(kept.get()) {
                Ok(kept) => kept,
                Err(error) => {
                    tracing::error!(channel, %error, "a member that was left behind cannot be read");
                    continue;
                }
            };
            // New names come after those that are in use.
            let number = kept.name.parse().map_or(0, |number: u64| number + 1);
            self.devices.fetch_max(number, Ordering::Relaxed);
            let mut device = Device {
                share: self.budget.share(&kept.user.id),
                user: kept.user,
                name: kept.device,
                since: kept.since,
                data: None,
                place: Place::LostUntil(until_ms),
            };
            if let Some(data) = kept.data
                && let Err(error) = device.say(data)
            {
                tracing::warn!(channel, %error, "a member keeps its place without its data");
            }
            members.devices.insert(kept.name, device);
        }
        self.forget_if_empty(&mut channels, channel);
    }

    /// Everybody who is there, for the next process; `None` if nobody is.
    pub(super) fn leave_behind(&self, channel: &str) -> Option<LeftBehind> {
        let channels = self.channels.lock();
        let members = channels.get(channel)?;
        let kept = |(name, device): (&String, &Device<C>)| {
            serde_json::value::to_raw_value(&KeptDevice {
                name: name.clone(),
                user: device.user.clone(),
                device: device.name.clone(),
                since: device.since,
                data: device.data.clone(),
            })
        };
        Some(LeftBehind {
            version: members.version,
            devices: members
                .devices
                .iter()
                .filter_map(|device| kept(device).ok())
                .collect(),
        })
    }

    /// Everybody who is there.
    pub(super) fn snapshot(&self, channel: &str) -> PresenceSnapshot {
        let channels = self.channels.lock();
        let Some(members) = channels.get(channel) else {
            return PresenceSnapshot::default();
        };
        let mut all: IndexMap<&UserId, Member> = IndexMap::new();
        for (name, device) in &members.devices {
            let shown = device.shown(name);
            match all.entry(&device.user.id) {
                Entry::Occupied(mut member) => member.get_mut().devices.extend(shown.devices),
                Entry::Vacant(place) => {
                    place.insert(shown);
                }
            }
        }
        PresenceSnapshot {
            members: all.into_values().collect(),
            version: members.version,
        }
    }
}

/// The devices of a channel when a process ended, as the next one reads them.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct LeftBehind {
    version: u64,
    devices: Vec<Box<RawValue>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct KeptDevice {
    name: String,
    user: Person,
    #[serde(default)]
    device: Option<DeviceName>,
    since: Timestamp,
    data: Option<Data>,
}

impl<C> Members<C> {
    fn remove(&mut self, names: &AtomicU64, which: impl Fn(&Device<C>) -> bool) -> Option<Diff> {
        let mut left = Vec::new();
        self.waiting.retain(|device| !which(device));
        self.devices.retain(|name, device| {
            let goes = which(device);
            if goes {
                left.push(Left {
                    user: device.user.profile.clone(),
                    device: name.clone(),
                });
            }
            !goes
        });
        if left.is_empty() {
            return None;
        }
        let joined = self.admit(names);
        Some(self.changed(Diff {
            left,
            joined,
            ..Diff::default()
        }))
    }

    /// Shows those that wait, as far as there is room.
    fn admit(&mut self, names: &AtomicU64) -> Vec<Member> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let mut shown: HashMap<UserId, usize> = HashMap::new();
        for device in self.devices.values() {
            *shown.entry(device.user.id.clone()).or_default() += 1;
        }
        let mut joined = Vec::new();
        let mut waiting = Vec::new();
        for device in self.waiting.drain(..) {
            let own = shown.entry(device.user.id.clone()).or_default();
            if self.devices.len() >= DEVICES || *own >= DEVICES_PER_USER {
                waiting.push(device);
                continue;
            }
            *own += 1;
            let name = names.fetch_add(1, Ordering::Relaxed).to_string();
            joined.push(device.shown(&name));
            self.devices.insert(name, device);
        }
        self.waiting = waiting;
        joined
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
    /// Replaces the data.
    fn say(&mut self, data: Data) -> Result<(), OverQuota> {
        self.share.resize(data.weight())?;
        self.data = Some(data);
        Ok(())
    }

    fn shown(&self, name: &str) -> Member {
        Member {
            user: self.user.profile.clone(),
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

    const CHANNEL: &str = "c";

    fn nobody() -> Presence<u32> {
        Presence::new(PresenceLimits::default())
    }

    fn user(name: &str) -> Person {
        Person {
            id: name.into(),
            profile: Profile::new(name).unwrap(),
        }
    }

    fn join(
        presence: &Presence<u32>,
        user: &Person,
        name: Option<DeviceName>,
        id: u32,
    ) -> Option<Diff> {
        presence.join(CHANNEL, user, name, id).into_diff()
    }

    fn names(presence: &Presence<u32>) -> Vec<(String, usize)> {
        let name = |member: &Member| {
            (
                member.user.as_json().trim_matches('"').to_owned(),
                member.devices.len(),
            )
        };
        presence
            .snapshot(CHANNEL)
            .members
            .iter()
            .map(name)
            .collect()
    }

    fn is_there(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
        expected
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn a_member_is_a_user_with_all_its_devices() {
        let presence = nobody();
        let joined = join(&presence, &user("ada"), None, 1).unwrap();
        assert_eq!((joined.version, joined.joined.len()), (1, 1));
        join(&presence, &user("bob"), None, 2).unwrap();
        join(&presence, &user("ada"), None, 3).unwrap();
        assert_eq!(names(&presence), is_there(&[("ada", 2), ("bob", 1)]));
        let left = presence.leave(CHANNEL, 1).unwrap();
        assert_eq!((left.version, left.left.len()), (4, 1));
        assert_eq!(names(&presence), is_there(&[("bob", 1), ("ada", 1)]));
        assert_eq!(presence.leave(CHANNEL, 1), None);
        presence.leave(CHANNEL, 2).unwrap();
        presence.leave(CHANNEL, 3).unwrap();
        assert_eq!(presence.snapshot(CHANNEL), PresenceSnapshot::default());
    }

    #[test]
    fn whoever_comes_back_within_the_grace_period_was_never_gone() {
        let presence = nobody();
        join(&presence, &user("ada"), None, 1).unwrap();
        let before = presence.snapshot(CHANNEL);
        assert!(presence.lose(CHANNEL, 1, 100));
        assert_eq!(presence.snapshot(CHANNEL), before);
        assert_eq!(presence.expire(CHANNEL, 99 + GRACE_MS), None);
        assert_eq!(join(&presence, &user("ada"), None, 2), None);
        assert_eq!(presence.expire(CHANNEL, 200 + GRACE_MS), None);
        assert_eq!(presence.snapshot(CHANNEL), before);
        // The old connection has nothing to say any more.
        assert_eq!(presence.leave(CHANNEL, 1), None);
        presence.leave(CHANNEL, 2).unwrap();
    }

    #[test]
    fn whoever_does_not_come_back_has_left_when_the_grace_period_ends() {
        let presence = nobody();
        join(&presence, &user("ada"), None, 1).unwrap();
        join(&presence, &user("bob"), None, 2).unwrap();
        presence.lose(CHANNEL, 1, 100);
        // Somebody else does not take the place.
        join(&presence, &user("carol"), None, 3).unwrap();
        let left = presence.expire(CHANNEL, 100 + GRACE_MS).unwrap();
        assert_eq!(left.left[0].user, user("ada").profile);
        assert_eq!(names(&presence), is_there(&[("bob", 1), ("carol", 1)]));
        assert!(!presence.lose(CHANNEL, 9, 100));
    }

    #[test]
    fn what_a_device_says_of_itself_is_shown() {
        let presence = nobody();
        join(&presence, &user("ada"), None, 1).unwrap();
        let updated = presence
            .update(CHANNEL, 1, data(r#"{ "mood": "good" }"#))
            .unwrap()
            .unwrap();
        assert_eq!(updated.version, 2);
        assert_eq!(updated.updated, presence.snapshot(CHANNEL).members);
        let shown = serde_json::to_value(&updated.updated).unwrap();
        assert_eq!(shown[0]["devices"][0]["data"], json!({ "mood": "good" }));
        assert_eq!(presence.update(CHANNEL, 2, data("1")), Ok(None));
    }

    #[test]
    fn a_channel_shows_a_bounded_number_of_devices() {
        let presence = nobody();
        for id in 0..1100 {
            let joined = join(&presence, &user(&format!("user-{}", id / 2)), None, id);
            assert_eq!(joined.is_some(), id < 1000);
        }
        assert_eq!(names(&presence).len(), 500);
    }

    #[test]
    fn one_users_sockets_do_not_crowd_out_the_others() {
        let presence = nobody();
        for id in 0..1000 {
            let joined = join(&presence, &user("ada"), None, id);
            assert_eq!(joined.is_some(), id < 20);
        }
        join(&presence, &user("bob"), None, 1000).unwrap();
        assert_eq!(names(&presence), is_there(&[("ada", 20), ("bob", 1)]));
    }

    #[test]
    fn whoever_is_not_shown_is_told_and_shown_when_there_is_room() {
        let presence = nobody();
        for id in 0..20 {
            assert!(presence.join(CHANNEL, &user("ada"), None, id).is_shown());
        }
        for id in 20..23 {
            assert_eq!(
                presence.join(CHANNEL, &user("ada"), None, id),
                Joined::Waits
            );
        }
        assert_eq!(presence.update(CHANNEL, 21, data("7")), Ok(None));
        // One that waits and goes is no change.
        assert_eq!(presence.leave(CHANNEL, 20), None);
        let changed = presence.leave(CHANNEL, 3).unwrap();
        assert_eq!((changed.left.len(), changed.joined.len()), (1, 1));
        let shown = serde_json::to_value(&changed.joined).unwrap();
        assert_eq!(shown[0]["devices"][0]["data"], 7);
        // One that is lost while it waits is not waited for.
        assert!(!presence.lose(CHANNEL, 22, 0));
        let changed = presence.leave(CHANNEL, 4).unwrap();
        assert_eq!((changed.left.len(), changed.joined.len()), (1, 0));
        assert_eq!(names(&presence), is_there(&[("ada", 19)]));
        let left = presence.leave(CHANNEL, 21).unwrap();
        assert_eq!(left.left.len(), 1);
    }

    fn named(name: &str) -> Option<DeviceName> {
        Some(name.to_owned().try_into().unwrap())
    }

    #[test]
    fn a_lost_device_is_known_again_by_the_name_that_its_client_keeps() {
        let presence = nobody();
        let ada = user("ada");
        join(&presence, &ada, named("phone"), 1).unwrap();
        join(&presence, &ada, named("desk"), 2).unwrap();
        presence.update(CHANNEL, 1, data("1")).unwrap();
        presence.update(CHANNEL, 2, data("2")).unwrap();
        let before = presence.snapshot(CHANNEL);
        presence.lose(CHANNEL, 1, 0);
        presence.lose(CHANNEL, 2, 0);
        // In the other order, and somebody else of the same name.
        join(&presence, &user("bob"), named("desk"), 3).unwrap();
        presence.leave(CHANNEL, 3).unwrap();
        assert_eq!(join(&presence, &ada, named("desk"), 4), None);
        assert_eq!(join(&presence, &ada, named("phone"), 5), None);
        assert_eq!(presence.snapshot(CHANNEL).members, before.members);
        presence.update(CHANNEL, 4, data("3")).unwrap();
        let shown = serde_json::to_value(presence.snapshot(CHANNEL)).unwrap();
        let devices = &shown["members"][0]["devices"];
        assert_eq!(
            (&devices[0]["data"], &devices[1]["data"]),
            (&json!(1), &json!(3))
        );
    }

    #[test]
    fn a_live_device_is_not_taken_over_by_its_duplicate() {
        let presence = nobody();
        join(&presence, &user("ada"), named("tab"), 1).unwrap();
        join(&presence, &user("ada"), named("tab"), 2).unwrap();
        assert_eq!(names(&presence), is_there(&[("ada", 2)]));
    }

    #[test]
    fn without_a_name_only_the_users_only_lost_device_is_the_same_again() {
        let presence = nobody();
        for id in 1..=2 {
            join(&presence, &user("ada"), None, id).unwrap();
        }
        presence.lose(CHANNEL, 1, 0);
        presence.lose(CHANNEL, 2, 0);
        // Which of the two it is cannot be known.
        join(&presence, &user("ada"), None, 3).unwrap();
        presence.leave(CHANNEL, 3).unwrap();
        let left = presence.expire(CHANNEL, GRACE_MS).unwrap();
        assert_eq!(left.left.len(), 2);
        join(&presence, &user("ada"), None, 4).unwrap();
        presence.lose(CHANNEL, 4, 0);
        join(&presence, &user("ada"), named("new"), 5).unwrap();
        assert_eq!(join(&presence, &user("ada"), None, 6), None);
    }

    #[test]
    fn names_of_devices_and_deep_data_survive_a_restart_and_nobodys_costs_the_others() {
        let presence = nobody();
        let deep = "[".repeat(64) + &"]".repeat(64);
        join(&presence, &user("ada"), named("phone"), 1).unwrap();
        join(&presence, &user("ada"), named("desk"), 2).unwrap();
        join(&presence, &user("bob"), None, 3).unwrap();
        presence.update(CHANNEL, 1, data(&deep)).unwrap();
        let before = presence.snapshot(CHANNEL);
        let kept = serde_json::to_vec(&presence.leave_behind(CHANNEL).unwrap()).unwrap();

        let next = nobody();
        next.take_over(CHANNEL, serde_json::from_slice(&kept).unwrap(), GRACE_MS);
        assert_eq!(next.snapshot(CHANNEL), before);
        assert_eq!(join(&next, &user("ada"), named("desk"), 5), None);
        assert_eq!(join(&next, &user("ada"), named("phone"), 6), None);
        assert_eq!(next.snapshot(CHANNEL), before);

        // One that cannot be read.
        let mut kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        kept["devices"][0]["user"] = json!(7);
        let next = nobody();
        next.take_over(CHANNEL, serde_json::from_value(kept).unwrap(), GRACE_MS);
        assert_eq!(names(&next), is_there(&[("ada", 1), ("bob", 1)]));
    }

    #[test]
    fn data_is_counted_while_its_device_is_there_and_not_a_moment_longer() {
        let limits = PresenceLimits::default().bytes_per_user(300);
        let presence = Presence::new(limits);
        let ada = user("ada");
        for id in 1..=22 {
            presence.join(CHANNEL, &ada, None, id);
        }
        let used = || presence.budget.used().0;
        let text = |bytes: usize| data(&format!("\"{}\"", "x".repeat(bytes - 2)));
        presence.update(CHANNEL, 1, text(100)).unwrap();
        // One that is not shown counts as well.
        presence.update(CHANNEL, 21, text(50)).unwrap();
        assert_eq!(used(), 100 + 64 + 50 + 64);
        let before = presence.snapshot(CHANNEL);
        for id in [1, 2, 22] {
            let refused = presence.update(CHANNEL, id, text(150));
            assert_eq!(refused, Err(OverQuota::User(300)));
        }
        assert_eq!(presence.snapshot(CHANNEL), before);
        presence.update(CHANNEL, 1, text(10)).unwrap();
        assert_eq!(used(), 10 + 64 + 50 + 64);
        presence.leave(CHANNEL, 21);
        assert_eq!(used(), 10 + 64);
        // One that is waited for has its place, with its data.
        presence.lose(CHANNEL, 1, 0);
        assert_eq!(used(), 10 + 64);
        let kept = presence.leave_behind(CHANNEL).unwrap();
        presence.expire(CHANNEL, GRACE_MS).unwrap();
        assert_eq!(used(), 0);
        let next = Presence::<u32>::new(limits);
        next.take_over(CHANNEL, kept, GRACE_MS);
        assert_eq!(next.budget.used().0, 10 + 64);
        next.expire(CHANNEL, GRACE_MS).unwrap();
        assert_eq!(next.budget.used(), (0, 0));
    }

    fn data(json: &str) -> Data {
        let json = RawValue::from_string(json.to_owned()).unwrap();
        Data::new(&json).unwrap()
    }
}
