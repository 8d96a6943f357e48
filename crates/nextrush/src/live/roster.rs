//! The users in each channel, with their devices.
//!
//! A user whose connection is lost is still there for a grace period, and if the same user
//! comes back within it nobody hears of the interruption. Whoever closes or unsubscribes
//! leaves at once. All of it is in memory: when the process ends, nobody is there any more,
//! unless what was there is [taken over](Presence::take_over) by the next one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indexmap::IndexMap;
use indexmap::map::Entry;
use parking_lot::Mutex;

use super::budget::{Budget, OverQuota, PresenceLimits, Share};
use super::device::{Data, DeviceName};
use super::devices::{Chosen, Device, Devices, GRACE, Place};
use super::left_behind::LeftBehind;
use super::shown::{Changes, Diff, Member, Person};
use super::snapshot::{Key, Part, PresenceSnapshot, Snapshots};
use super::waiting::{Waiting, WaitingList};
use crate::message::{Timestamp, UserId};

/// The channels in which somebody is, or was a moment ago. `C` names a connection.
#[derive(Debug)]
pub(super) struct Presence<C> {
    channels: Mutex<HashMap<String, Members<C>>>,
    numbers: AtomicU64,
    /// The highest version of all channels: one that becomes empty and is forgotten must not
    /// begin with lower ones later.
    version: AtomicU64,
    budget: Budget,
    snapshots: Snapshots,
}

#[derive(Debug)]
struct Members<C> {
    /// Rises with each change.
    version: u64,
    devices: Devices<C>,
    waiting: WaitingList<C>,
    /// The parts of the budget that the data of the devices takes, by their numbers.
    shares: HashMap<u64, Share>,
}

/// The effect of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Joined {
    /// A device that was waited for is there again: nothing has changed.
    Again,
    New(Vec<Diff>),
    /// There is no room; it is shown when there is.
    Waits,
}

impl Joined {
    pub(super) fn is_shown(&self) -> bool {
        !matches!(self, Self::Waits)
    }

    pub(super) fn into_diffs(self) -> Vec<Diff> {
        match self {
            Self::New(diffs) => diffs,
            Self::Again | Self::Waits => Vec::new(),
        }
    }
}

impl<C> Presence<C> {
    pub(super) fn new(limits: PresenceLimits) -> Self {
        Self {
            channels: Mutex::default(),
            numbers: AtomicU64::new(1),
            version: AtomicU64::new(0),
            budget: Budget::new(limits),
            snapshots: Snapshots::default(),
        }
    }

    /// A channel in which nobody is yet.
    fn begin(&self) -> Members<C> {
        Members {
            version: self.version.load(Ordering::Relaxed),
            devices: Devices::default(),
            waiting: WaitingList::default(),
            shares: HashMap::new(),
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

    /// The members of a channel, or a part of them. Written once for each version.
    pub(super) fn snapshot(&self, channel: &str, part: Part) -> PresenceSnapshot {
        let channels = self.channels.lock();
        let Some(members) = channels.get(channel) else {
            return PresenceSnapshot::new(&[], 0, part, None);
        };
        let key = Key::new(channel, members.version, part);
        if let Some(kept) = self.snapshots.get(&key) {
            return kept;
        }
        let version = members.version;
        let Chosen { devices, next, .. } = members.devices.choose(part);
        let mut all: IndexMap<&UserId, Member> = IndexMap::new();
        for (number, device) in devices {
            match all.entry(&device.user.id) {
                Entry::Occupied(mut member) => member.get_mut().devices.push(device.shown(number)),
                Entry::Vacant(place) => drop(place.insert(device.member(number))),
            }
        }
        let all: Vec<Member> = all.into_values().collect();
        // What takes longest comes after the lock.
        drop(channels);
        let snapshot = PresenceSnapshot::new(&all, version, part, next);
        self.snapshots.keep(key, snapshot.clone());
        snapshot
    }

    /// About the bytes of a [snapshot](Self::snapshot), which is not made for it.
    pub(super) fn bytes(&self, channel: &str, part: Part) -> usize {
        let channels = self.channels.lock();
        let members = channels.get(channel);
        members.map_or(0, |members| members.devices.choose(part).bytes)
    }
}

impl<C: Copy + Eq> Presence<C> {
    /// Adds the device of a user who has subscribed. A lost device of the same user and name that
    /// is waited for is this one again, and then nothing has changed; a device without a name is
    /// the user's only lost one again. A device for which there is no room waits.
    pub(super) fn join(
        &self,
        channel: &str,
        user: &Arc<Person>,
        name: Option<DeviceName>,
        id: C,
    ) -> Joined {
        let mut channels = self.channels.lock();
        let members = channels
            .entry(channel.to_owned())
            .or_insert_with(|| self.begin());
        let devices = &mut members.devices;
        if let Some(number) = devices.lost(&user.id, name.as_ref())
            && let Some(device) = devices.get_mut(number)
        {
            device.place = Place::At(id);
            return Joined::Again;
        }
        members.waiting.push(Waiting {
            device: Device {
                user: Arc::clone(user),
                name,
                since: Timestamp::now(),
                data: None,
                place: Place::At(id),
            },
            share: self.budget.share(user),
        });
        let mut changes = Changes::default();
        members.admit(&self.numbers, &mut changes);
        match changes.numbered(&mut members.version) {
            diffs if diffs.is_empty() => Joined::Waits,
            diffs => Joined::New(diffs),
        }
    }

    /// `true` if a device that subscribes would be one that is waited for, and nobody would hear
    /// of it.
    pub(super) fn is_waited_for(
        &self,
        channel: &str,
        user: &UserId,
        name: Option<&DeviceName>,
    ) -> bool {
        let channels = self.channels.lock();
        let members = channels.get(channel);
        members.is_some_and(|members| members.devices.lost(user, name).is_some())
    }

    /// Removes the device of a user who has left.
    pub(super) fn leave(&self, channel: &str, id: C) -> Vec<Diff> {
        self.remove(channel, |members| {
            members.waiting.remove(&id);
            members.devices.at(&id).into_iter().collect()
        })
    }

    /// Marks the device of a lost connection. Returns whether it has to be waited for.
    pub(super) fn lose(&self, channel: &str, id: C, now_ms: u64) -> bool {
        let mut channels = self.channels.lock();
        let Some(members) = channels.get_mut(channel) else {
            return false;
        };
        members.waiting.remove(&id);
        let number = members.devices.at(&id);
        let Some(device) = number.and_then(|number| members.devices.get_mut(number)) else {
            return false;
        };
        device.place = Place::LostUntil(now_ms.saturating_add(grace_ms()));
        true
    }

    /// Removes the devices that were waited for until now.
    pub(super) fn expire(&self, channel: &str, now_ms: u64) -> Vec<Diff> {
        self.remove(channel, |members| members.devices.expired(now_ms))
    }

    fn remove(&self, channel: &str, which: impl Fn(&mut Members<C>) -> Vec<u64>) -> Vec<Diff> {
        let mut channels = self.channels.lock();
        let Some(members) = channels.get_mut(channel) else {
            return Vec::new();
        };
        let which = which(members);
        let diffs = members.remove(&self.numbers, &which);
        self.forget_if_empty(&mut channels, channel);
        diffs
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
        if let Some(said) = members.waiting.say(&id, &data) {
            return said.map(|()| None);
        }
        let Some(number) = members.devices.at(&id) else {
            return Ok(None);
        };
        members.say(number, data, &self.budget)?;
        let device = members.devices.get_mut(number);
        let updated = device.map(|device| device.member(number));
        members.version += 1;
        Ok(Some(Diff {
            version: members.version,
            updated: updated.into_iter().collect(),
            ..Diff::default()
        }))
    }

    /// Waits for those who were there in an earlier process, until then. Nobody hears of it.
    /// Has no effect once somebody is there.
    pub(super) fn take_over(&self, channel: &str, before: &LeftBehind, until_ms: u64) {
        let mut channels = self.channels.lock();
        let members = channels
            .entry(channel.to_owned())
            .or_insert_with(|| self.begin());
        if !members.devices.is_empty() {
            return;
        }
        members.version = members.version.max(before.version());
        for (number, kept) in before.devices(channel) {
            // New names come after those that are in use.
            self.numbers
                .fetch_max(number.saturating_add(1), Ordering::Relaxed);
            let data = kept.data;
            let device = Device {
                user: kept.user,
                name: kept.name,
                since: kept.since,
                data: None,
                place: Place::LostUntil(until_ms),
            };
            members.devices.insert(number, device);
            if let Some(data) = data
                && let Err(error) = members.say(number, data, &self.budget)
            {
                tracing::warn!(channel, %error, "a member keeps its place without its data");
            }
        }
        self.forget_if_empty(&mut channels, channel);
    }

    /// Everybody who is there, for the next process; `None` if nobody is.
    pub(super) fn leave_behind(&self, channel: &str) -> Option<LeftBehind> {
        let channels = self.channels.lock();
        let members = channels.get(channel)?;
        Some(LeftBehind::new(members.version, &members.devices))
    }
}

impl<C: Copy + Eq> Members<C> {
    /// Removes devices and shows those that waited for their room.
    fn remove(&mut self, numbers: &AtomicU64, which: &[u64]) -> Vec<Diff> {
        let mut changes = Changes::default();
        self.devices.remove(which, &mut changes);
        for number in which {
            self.shares.remove(number);
        }
        if !which.is_empty() {
            self.admit(numbers, &mut changes);
        }
        changes.numbered(&mut self.version)
    }

    /// Shows those that wait, as far as there is room.
    fn admit(&mut self, numbers: &AtomicU64, changes: &mut Changes) {
        if self.waiting.is_empty() {
            return;
        }
        for Waiting { device, share } in self.waiting.take(&mut self.devices.room()) {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            self.devices.add(number, device, changes);
            self.shares.insert(number, share);
        }
    }

    /// Replaces the data of a device.
    fn say(&mut self, number: u64, data: Data, budget: &Budget) -> Result<(), OverQuota> {
        let Some(device) = self.devices.get_mut(number) else {
            return Ok(());
        };
        let share = self.shares.entry(number);
        share
            .or_insert_with(|| budget.share(&device.user))
            .resize(data.weight())?;
        device.data = Some(data);
        Ok(())
    }
}

fn grace_ms() -> u64 {
    u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::topic::Profile;

    const GRACE_MS: u64 = 15_000;

    const CHANNEL: &str = "c";

    fn nobody() -> Presence<u32> {
        Presence::new(PresenceLimits::default())
    }

    fn user(name: &str) -> Arc<Person> {
        Arc::new(Person {
            id: name.into(),
            profile: Profile::new(name).unwrap(),
        })
    }

    fn join(
        presence: &Presence<u32>,
        user: &Arc<Person>,
        name: Option<DeviceName>,
        id: u32,
    ) -> Option<Diff> {
        only(presence.join(CHANNEL, user, name, id).into_diffs())
    }

    fn leave(presence: &Presence<u32>, id: u32) -> Option<Diff> {
        only(presence.leave(CHANNEL, id))
    }

    fn expire(presence: &Presence<u32>, now_ms: u64) -> Option<Diff> {
        only(presence.expire(CHANNEL, now_ms))
    }

    /// A change that is told in one message, if there is any.
    fn only(mut diffs: Vec<Diff>) -> Option<Diff> {
        assert!(diffs.len() <= 1, "{diffs:?}");
        diffs.pop()
    }

    fn all(presence: &Presence<u32>) -> PresenceSnapshot {
        presence.snapshot(CHANNEL, Part::All)
    }

    fn members(presence: &Presence<u32>) -> Vec<Value> {
        let mut all = json(&all(presence));
        all["members"].as_array_mut().map(std::mem::take).unwrap()
    }

    fn json(value: &impl Serialize) -> Value {
        // Numbers and texts as they are on the wire.
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    fn names(presence: &Presence<u32>) -> Vec<(String, usize)> {
        named_in(&members(presence))
    }

    fn named_in(members: &[Value]) -> Vec<(String, usize)> {
        let name = |member: &Value| {
            let devices = member["devices"].as_array().unwrap();
            (member["user"].as_str().unwrap().to_owned(), devices.len())
        };
        members.iter().map(name).collect()
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
        let left = leave(&presence, 1).unwrap();
        assert_eq!((left.version, left.left.len()), (4, 1));
        assert_eq!(names(&presence), is_there(&[("bob", 1), ("ada", 1)]));
        assert_eq!(leave(&presence, 1), None);
        leave(&presence, 2).unwrap();
        leave(&presence, 3).unwrap();
        assert_eq!(all(&presence), PresenceSnapshot::default());
    }

    #[test]
    fn whoever_comes_back_within_the_grace_period_was_never_gone() {
        let presence = nobody();
        join(&presence, &user("ada"), None, 1).unwrap();
        let before = all(&presence);
        assert!(presence.lose(CHANNEL, 1, 100));
        assert_eq!(all(&presence), before);
        assert_eq!(expire(&presence, 99 + GRACE_MS), None);
        assert_eq!(join(&presence, &user("ada"), None, 2), None);
        assert_eq!(expire(&presence, 200 + GRACE_MS), None);
        assert_eq!(all(&presence), before);
        // The old connection has nothing to say any more.
        assert_eq!(leave(&presence, 1), None);
        leave(&presence, 2).unwrap();
    }

    #[test]
    fn whoever_does_not_come_back_has_left_when_the_grace_period_ends() {
        let presence = nobody();
        join(&presence, &user("ada"), None, 1).unwrap();
        join(&presence, &user("bob"), None, 2).unwrap();
        presence.lose(CHANNEL, 1, 100);
        // Somebody else does not take the place.
        join(&presence, &user("carol"), None, 3).unwrap();
        let left = expire(&presence, 100 + GRACE_MS).unwrap();
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
        assert_eq!(json(&updated.updated), json(&members(&presence)));
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
        assert_eq!(leave(&presence, 20), None);
        let changed = leave(&presence, 3).unwrap();
        assert_eq!((changed.left.len(), changed.joined.len()), (1, 1));
        let shown = serde_json::to_value(&changed.joined).unwrap();
        assert_eq!(shown[0]["devices"][0]["data"], 7);
        // One that is lost while it waits is not waited for.
        assert!(!presence.lose(CHANNEL, 22, 0));
        let changed = leave(&presence, 4).unwrap();
        assert_eq!((changed.left.len(), changed.joined.len()), (1, 0));
        assert_eq!(names(&presence), is_there(&[("ada", 19)]));
        let left = leave(&presence, 21).unwrap();
        assert_eq!(left.left.len(), 1);
    }

    /// A channel with 1,000 devices of 50 users, each with so many bytes of data.
    fn crowd(bytes: usize) -> Presence<u32> {
        let presence = Presence::new(PresenceLimits::default().bytes_per_user(usize::MAX));
        let text = data(&format!("\"{}\"", "x".repeat(bytes - 2)));
        for id in 0..1000 {
            let user = user(&format!("user-{}", id % 50));
            join(&presence, &user, None, id).unwrap();
            presence.update(CHANNEL, id, text.clone()).unwrap().unwrap();
        }
        presence
    }

    #[test]
    fn a_snapshot_is_written_once_for_each_version_and_again_after_a_change() {
        let presence = crowd(100);
        for part in [Part::All, Part::First, Part::After(0), Part::After(300)] {
            let first = presence.snapshot(CHANNEL, part);
            assert!(first.is_the_same(&presence.snapshot(CHANNEL, part)));
            presence.update(CHANNEL, 1, data("1")).unwrap().unwrap();
            assert!(!first.is_the_same(&presence.snapshot(CHANNEL, part)));
        }
        let other = presence.join("other", &user("ada"), None, 5000);
        assert!(other.is_shown());
        assert_eq!(
            json(&presence.snapshot("other", Part::First))["members"][0]["user"],
            "ada"
        );
    }

    #[test]
    fn pages_are_bounded_in_bytes_and_are_everybody_together() {
        let presence = crowd(4096);
        let (mut after, mut pages) = (0, 0);
        let mut devices: HashMap<String, Vec<Value>> = HashMap::new();
        loop {
            let page = presence.snapshot(CHANNEL, Part::After(after));
            let text = serde_json::to_string(&page).unwrap();
            assert!(text.len() <= 63 * 1024, "{}", text.len());
            let estimate = presence.bytes(CHANNEL, Part::After(after));
            assert!(text.len() <= estimate + 100, "{} {estimate}", text.len());
            let mut page_json = json(&page);
            assert_eq!(page_json["after"], after);
            for member in page_json["members"].as_array_mut().unwrap() {
                let user = member["user"].as_str().unwrap().to_owned();
                let shown = member["devices"].as_array_mut().unwrap();
                devices.entry(user).or_default().append(shown);
            }
            pages += 1;
            let Some(next) = page.next() else { break };
            after = next;
        }
        // 4 MiB in pages of 15 devices.
        assert_eq!(pages, 67);
        for member in members(&presence) {
            let expected = member["devices"].as_array().unwrap();
            assert_eq!(&devices[member["user"].as_str().unwrap()], expected);
        }
    }

    #[test]
    fn a_page_goes_on_where_the_one_before_ended_whoever_has_left() {
        let presence = crowd(4096);
        let first = presence.snapshot(CHANNEL, Part::After(0));
        let next = first.next().unwrap();
        let second = |presence: &Presence<u32>| {
            let page = json(&presence.snapshot(CHANNEL, Part::After(next)));
            page["members"][0]["devices"][0]["id"].clone()
        };
        let before = second(&presence);
        // The last of the page and the first of the next one.
        for id in [14, 15] {
            leave(&presence, id).unwrap();
        }
        assert_eq!(before, "16");
        assert_eq!(second(&presence), "17");
        let end = presence.snapshot(CHANNEL, Part::After(u64::MAX));
        assert_eq!(
            (
                named_in(json(&end)["members"].as_array().unwrap()),
                end.next()
            ),
            (vec![], None)
        );
    }

    #[test]
    fn a_client_that_knows_no_pages_is_told_everybody_up_to_a_bound() {
        let presence = crowd(4096);
        let first = presence.snapshot(CHANNEL, Part::First);
        let text = serde_json::to_string(&first).unwrap();
        assert!(
            (500 * 1024..513 * 1024).contains(&text.len()),
            "{}",
            text.len()
        );
        assert!(first.next().is_some());
        let presence = crowd(100);
        let first = json(&presence.snapshot(CHANNEL, Part::First));
        assert_eq!(first["members"], json(&all(&presence))["members"]);
        assert_eq!(
            (&first["next"], &first["after"]),
            (&Value::Null, &Value::Null)
        );
    }

    #[test]
    fn many_changes_at_once_are_told_in_several_messages_one_after_the_other() {
        let presence = crowd(4096);
        for id in 1000..1200 {
            let user = user(&format!("user-{}", id % 50 + 50));
            assert_eq!(presence.join(CHANNEL, &user, None, id), Joined::Waits);
            let text = data(&format!("\"{}\"", "x".repeat(4000)));
            assert_eq!(presence.update(CHANNEL, id, text), Ok(None));
        }
        let mut version = json(&all(&presence))["version"].as_u64().unwrap();
        for id in 0..1000 {
            presence.lose(CHANNEL, id, 0);
        }
        let (mut left, mut joined) = (0, 0);
        for diff in presence.expire(CHANNEL, GRACE_MS) {
            version += 1;
            assert_eq!(diff.version, version);
            let text = serde_json::to_string(&diff).unwrap();
            assert!(text.len() <= 63 * 1024, "{}", text.len());
            left += diff.left.len();
            joined += diff.joined.len();
        }
        assert_eq!((left, joined), (1000, 200));
        assert_eq!(json(&all(&presence))["version"], version);
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
        let before = members(&presence);
        presence.lose(CHANNEL, 1, 0);
        presence.lose(CHANNEL, 2, 0);
        // In the other order, and somebody else of the same name.
        join(&presence, &user("bob"), named("desk"), 3).unwrap();
        leave(&presence, 3).unwrap();
        assert_eq!(join(&presence, &ada, named("desk"), 4), None);
        assert_eq!(join(&presence, &ada, named("phone"), 5), None);
        assert_eq!(members(&presence), before);
        presence.update(CHANNEL, 4, data("3")).unwrap();
        let shown = serde_json::to_value(all(&presence)).unwrap();
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
        leave(&presence, 3).unwrap();
        let left = expire(&presence, GRACE_MS).unwrap();
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
        let before = all(&presence);
        let kept = serde_json::to_vec(&presence.leave_behind(CHANNEL).unwrap()).unwrap();

        let next = nobody();
        next.take_over(CHANNEL, &serde_json::from_slice(&kept).unwrap(), GRACE_MS);
        assert_eq!(all(&next), before);
        assert_eq!(join(&next, &user("ada"), named("desk"), 5), None);
        assert_eq!(join(&next, &user("ada"), named("phone"), 6), None);
        assert_eq!(all(&next), before);

        // One that cannot be read.
        let mut kept: Value = serde_json::from_slice(&kept).unwrap();
        kept["devices"][0]["user"] = json!(7);
        let next = nobody();
        next.take_over(CHANNEL, &serde_json::from_value(kept).unwrap(), GRACE_MS);
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
        let before = all(&presence);
        for id in [1, 2, 22] {
            let refused = presence.update(CHANNEL, id, text(150));
            assert_eq!(refused, Err(OverQuota::User(300)));
        }
        assert_eq!(all(&presence), before);
        presence.update(CHANNEL, 1, text(10)).unwrap();
        assert_eq!(used(), 10 + 64 + 50 + 64);
        leave(&presence, 21);
        assert_eq!(used(), 10 + 64);
        // One that is waited for has its place, with its data.
        presence.lose(CHANNEL, 1, 0);
        assert_eq!(used(), 10 + 64);
        let kept = presence.leave_behind(CHANNEL).unwrap();
        expire(&presence, GRACE_MS).unwrap();
        assert_eq!(used(), 0);
        let next = Presence::<u32>::new(limits);
        next.take_over(CHANNEL, &kept, GRACE_MS);
        assert_eq!(next.budget.used().0, 10 + 64);
        expire(&next, GRACE_MS).unwrap();
        assert_eq!(next.budget.used(), (0, 0));
    }

    fn data(json: &str) -> Data {
        let json = RawValue::from_string(json.to_owned()).unwrap();
        Data::new(&json).unwrap()
    }
}
