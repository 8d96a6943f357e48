use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::task::unconstrained;

use super::super::rules::Told;
use super::super::shown::Diff;
use super::*;
use crate::App;
use crate::topic::Profile;

/// Almost all of the grace period, and the rest of it.
const ALMOST: Duration = Duration::from_millis(14_900);
const REST: Duration = Duration::from_millis(200);

const CHANNEL: &str = "c";

/// The subscribers of a node without sockets.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Diff>>>);

impl Tell for Heard {
    /// The place for whether its device is shown.
    type Arrival = Arc<Mutex<Option<bool>>>;

    fn tell(
        &self,
        _: &TopicName,
        told: Told<'_, Self>,
        arrivals: Vec<Self::Arrival>,
        show: &dyn Fn(),
    ) {
        show();
        match told {
            Told::Changes(diffs) => self.0.lock().extend(diffs),
            Told::Everybody(view) => panic!("a node alone tells only of changes: {view:?}"),
        }
        for arrival in arrivals {
            *arrival.lock() = Some(true);
        }
    }

    fn waits(&self, _: &TopicName, arrival: Self::Arrival) {
        *arrival.lock() = Some(false);
    }

    fn is_used(&self, _: &TopicName) -> bool {
        false
    }
}

/// The presence of a node alone, and what it has told.
struct Node {
    presence: Presence<Heard>,
    told: Heard,
}

impl Node {
    fn new(limits: PresenceLimits) -> Self {
        let app: App = App::new();
        let told = Heard::default();
        let presence = Presence::new(app.handle(), limits, Arc::default(), told.clone());
        Self { presence, told }
    }

    /// Lets a device come; returns what was told, and whether it is shown.
    fn arrive(
        &self,
        channel: &str,
        user: &Arc<Person>,
        name: Option<DeviceName>,
        id: u32,
    ) -> (Vec<Diff>, bool) {
        let shown = Arc::default();
        let arrival = Arc::clone(&shown);
        let joined = self
            .presence
            .join(&topic(channel), user, name, socket(id), arrival);
        let joined = unconstrained(joined).now_or_never();
        assert!(matches!(joined, Some(Ok(()))), "{joined:?}");
        let shown = shown.lock().expect("its arrival was taken");
        (self.told(), shown)
    }

    fn told(&self) -> Vec<Diff> {
        std::mem::take(&mut *self.told.0.lock())
    }

    fn lose(&self, id: u32) {
        self.presence.lose(&topic(CHANNEL), socket(id));
        self.presence.settle(&topic(CHANNEL));
        assert_eq!(self.told(), []);
    }

    fn update(&self, id: u32, data: Data) -> Result<Option<Diff>, OverQuota> {
        let channel = topic(CHANNEL);
        let updated = self.presence.update(&channel, socket(id), data);
        let updated = unconstrained(updated).now_or_never();
        match updated.expect("a node alone waits for nothing") {
            Ok(()) => Ok(only(self.told())),
            Err(Unsaid::OverQuota(error)) => Err(error),
            Err(Unsaid::Store(error)) => panic!("{error}"),
        }
    }

    fn snapshot(&self, channel: &str, part: Part) -> PresenceSnapshot {
        self.presence.snapshot(&topic(channel), part)
    }

    fn used(&self) -> (usize, usize) {
        self.presence.budget.used()
    }

    fn take_over(&self, before: &LeftBehind) {
        let until_ms = self.presence.now_ms() + 15_000;
        self.presence.take_over(&topic(CHANNEL), before, until_ms);
        assert_eq!(self.told(), []);
    }
}

fn nobody() -> Node {
    Node::new(PresenceLimits::default())
}

fn topic(channel: &str) -> TopicName {
    TopicName::try_from(channel).unwrap()
}

fn socket(id: u32) -> ConnectionId {
    format!("0-{id}-0").parse().unwrap()
}

fn user(name: &str) -> Arc<Person> {
    Arc::new(Person {
        id: name.into(),
        profile: Profile::new(name).unwrap(),
    })
}

fn join(node: &Node, user: &Arc<Person>, name: Option<DeviceName>, id: u32) -> Option<Diff> {
    only(node.arrive(CHANNEL, user, name, id).0)
}

fn leave(node: &Node, id: u32) -> Option<Diff> {
    node.presence.leave(&topic(CHANNEL), socket(id));
    node.presence.settle(&topic(CHANNEL));
    only(node.told())
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A change that is told in one message, if there is any.
fn only(mut diffs: Vec<Diff>) -> Option<Diff> {
    assert!(diffs.len() <= 1, "{diffs:?}");
    diffs.pop()
}

fn all(node: &Node) -> PresenceSnapshot {
    node.snapshot(CHANNEL, Part::All)
}

fn members(node: &Node) -> Vec<Value> {
    let mut all = json(&all(node));
    all["members"].as_array_mut().map(std::mem::take).unwrap()
}

fn json(value: &impl Serialize) -> Value {
    // Numbers and texts as they are on the wire.
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

fn names(node: &Node) -> Vec<(String, usize)> {
    named_in(&members(node))
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

#[tokio::test(start_paused = true)]
async fn a_member_is_a_user_with_all_its_devices() {
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

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_within_the_grace_period_was_never_gone() {
    let presence = nobody();
    join(&presence, &user("ada"), None, 1).unwrap();
    let before = all(&presence);
    presence.lose(1);
    assert_eq!(all(&presence), before);
    pass(ALMOST).await;
    assert_eq!(join(&presence, &user("ada"), None, 2), None);
    pass(REST).await;
    assert_eq!(presence.told(), []);
    assert_eq!(all(&presence), before);
    // The old connection has nothing to say any more.
    assert_eq!(leave(&presence, 1), None);
    leave(&presence, 2).unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_come_back_has_left_when_the_grace_period_ends() {
    let presence = nobody();
    join(&presence, &user("ada"), None, 1).unwrap();
    join(&presence, &user("bob"), None, 2).unwrap();
    presence.lose(1);
    pass(ALMOST).await;
    // Somebody else does not take the place.
    join(&presence, &user("carol"), None, 3).unwrap();
    assert_eq!(presence.told(), []);
    pass(REST).await;
    let left = only(presence.told()).unwrap();
    assert_eq!(left.left[0].user, user("ada").profile);
    assert_eq!(names(&presence), is_there(&[("bob", 1), ("carol", 1)]));
    presence.lose(9);
}

#[tokio::test(start_paused = true)]
async fn what_a_device_says_of_itself_is_shown() {
    let presence = nobody();
    join(&presence, &user("ada"), None, 1).unwrap();
    let updated = presence
        .update(1, data(r#"{ "mood": "good" }"#))
        .unwrap()
        .unwrap();
    assert_eq!(updated.version, 2);
    assert_eq!(json(&updated.updated), json(&members(&presence)));
    let shown = serde_json::to_value(&updated.updated).unwrap();
    assert_eq!(shown[0]["devices"][0]["data"], json!({ "mood": "good" }));
    assert_eq!(presence.update(2, data("1")), Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_channel_shows_a_bounded_number_of_devices() {
    let presence = nobody();
    for id in 0..1100 {
        let joined = join(&presence, &user(&format!("user-{}", id / 2)), None, id);
        assert_eq!(joined.is_some(), id < 1000);
    }
    assert_eq!(names(&presence).len(), 500);
}

#[tokio::test(start_paused = true)]
async fn one_users_sockets_do_not_crowd_out_the_others() {
    let presence = nobody();
    for id in 0..1000 {
        let joined = join(&presence, &user("ada"), None, id);
        assert_eq!(joined.is_some(), id < 20);
    }
    join(&presence, &user("bob"), None, 1000).unwrap();
    assert_eq!(names(&presence), is_there(&[("ada", 20), ("bob", 1)]));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_shown_is_told_and_shown_when_there_is_room() {
    let presence = nobody();
    for id in 0..20 {
        assert!(presence.arrive(CHANNEL, &user("ada"), None, id).1);
    }
    for id in 20..23 {
        let waits = (Vec::new(), false);
        assert_eq!(presence.arrive(CHANNEL, &user("ada"), None, id), waits);
    }
    assert_eq!(presence.update(21, data("7")), Ok(None));
    // One that waits and goes is no change.
    assert_eq!(leave(&presence, 20), None);
    let changed = leave(&presence, 3).unwrap();
    assert_eq!((changed.left.len(), changed.joined.len()), (1, 1));
    let shown = serde_json::to_value(&changed.joined).unwrap();
    assert_eq!(shown[0]["devices"][0]["data"], 7);
    // One that is lost while it waits is not waited for.
    presence.lose(22);
    let changed = leave(&presence, 4).unwrap();
    assert_eq!((changed.left.len(), changed.joined.len()), (1, 0));
    assert_eq!(names(&presence), is_there(&[("ada", 19)]));
    let left = leave(&presence, 21).unwrap();
    assert_eq!(left.left.len(), 1);
}

/// A channel with 1,000 devices of 50 users, each with so many bytes of data.
fn crowd(bytes: usize) -> Node {
    let presence = Node::new(PresenceLimits::default().bytes_per_user(usize::MAX));
    let text = data(&format!("\"{}\"", "x".repeat(bytes - 2)));
    for id in 0..1000 {
        let user = user(&format!("user-{}", id % 50));
        join(&presence, &user, None, id).unwrap();
        presence.update(id, text.clone()).unwrap().unwrap();
    }
    presence
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_written_once_for_each_version_and_again_after_a_change() {
    let presence = crowd(100);
    for part in [Part::All, Part::First, Part::After(0), Part::After(300)] {
        let first = presence.snapshot(CHANNEL, part);
        assert!(first.is_the_same(&presence.snapshot(CHANNEL, part)));
        presence.update(1, data("1")).unwrap().unwrap();
        assert!(!first.is_the_same(&presence.snapshot(CHANNEL, part)));
    }
    assert!(presence.arrive("other", &user("ada"), None, 5000).1);
    assert_eq!(
        json(&presence.snapshot("other", Part::First))["members"][0]["user"],
        "ada"
    );
}

#[tokio::test(start_paused = true)]
async fn pages_are_bounded_in_bytes_and_are_everybody_together() {
    let presence = crowd(4096);
    let (mut after, mut pages) = (0, 0);
    let mut devices: HashMap<String, Vec<Value>> = HashMap::new();
    loop {
        let page = presence.snapshot(CHANNEL, Part::After(after));
        let text = serde_json::to_string(&page).unwrap();
        assert!(text.len() <= 63 * 1024, "{}", text.len());
        let estimate = presence.presence.bytes(&topic(CHANNEL), Part::After(after));
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

#[tokio::test(start_paused = true)]
async fn a_page_goes_on_where_the_one_before_ended_whoever_has_left() {
    let presence = crowd(4096);
    let first = presence.snapshot(CHANNEL, Part::After(0));
    let next = first.next().unwrap();
    let second = |presence: &Node| {
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

#[tokio::test(start_paused = true)]
async fn a_client_that_knows_no_pages_is_told_everybody_up_to_a_bound() {
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

#[tokio::test(start_paused = true)]
async fn many_changes_at_once_are_told_in_several_messages_one_after_the_other() {
    let presence = crowd(4096);
    for id in 1000..1200 {
        let user = user(&format!("user-{}", id % 50 + 50));
        let waits = (Vec::new(), false);
        assert_eq!(presence.arrive(CHANNEL, &user, None, id), waits);
        let text = data(&format!("\"{}\"", "x".repeat(4000)));
        assert_eq!(presence.update(id, text), Ok(None));
    }
    let mut version = json(&all(&presence))["version"].as_u64().unwrap();
    for id in 0..1000 {
        presence.lose(id);
    }
    pass(ALMOST + REST).await;
    let (mut left, mut joined) = (0, 0);
    for diff in presence.told() {
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

#[tokio::test(start_paused = true)]
async fn a_lost_device_is_known_again_by_the_name_that_its_client_keeps() {
    let presence = nobody();
    let ada = user("ada");
    join(&presence, &ada, named("phone"), 1).unwrap();
    join(&presence, &ada, named("desk"), 2).unwrap();
    presence.update(1, data("1")).unwrap();
    presence.update(2, data("2")).unwrap();
    let before = members(&presence);
    presence.lose(1);
    presence.lose(2);
    // In the other order, and somebody else of the same name.
    join(&presence, &user("bob"), named("desk"), 3).unwrap();
    leave(&presence, 3).unwrap();
    assert_eq!(join(&presence, &ada, named("desk"), 4), None);
    assert_eq!(join(&presence, &ada, named("phone"), 5), None);
    assert_eq!(members(&presence), before);
    presence.update(4, data("3")).unwrap();
    let shown = serde_json::to_value(all(&presence)).unwrap();
    let devices = &shown["members"][0]["devices"];
    assert_eq!(
        (&devices[0]["data"], &devices[1]["data"]),
        (&json!(1), &json!(3))
    );
}

#[tokio::test(start_paused = true)]
async fn a_live_device_is_not_taken_over_by_its_duplicate() {
    let presence = nobody();
    join(&presence, &user("ada"), named("tab"), 1).unwrap();
    join(&presence, &user("ada"), named("tab"), 2).unwrap();
    assert_eq!(names(&presence), is_there(&[("ada", 2)]));
}

#[tokio::test(start_paused = true)]
async fn without_a_name_only_the_users_only_lost_device_is_the_same_again() {
    let presence = nobody();
    for id in 1..=2 {
        join(&presence, &user("ada"), None, id).unwrap();
    }
    presence.lose(1);
    presence.lose(2);
    // Which of the two it is cannot be known.
    join(&presence, &user("ada"), None, 3).unwrap();
    leave(&presence, 3).unwrap();
    pass(ALMOST + REST).await;
    let left = only(presence.told()).unwrap();
    assert_eq!(left.left.len(), 2);
    join(&presence, &user("ada"), None, 4).unwrap();
    presence.lose(4);
    join(&presence, &user("ada"), named("new"), 5).unwrap();
    assert_eq!(join(&presence, &user("ada"), None, 6), None);
}

#[tokio::test(start_paused = true)]
async fn names_of_devices_and_deep_data_survive_a_restart_and_nobodys_costs_the_others() {
    let presence = nobody();
    let deep = "[".repeat(64) + &"]".repeat(64);
    join(&presence, &user("ada"), named("phone"), 1).unwrap();
    join(&presence, &user("ada"), named("desk"), 2).unwrap();
    join(&presence, &user("bob"), None, 3).unwrap();
    presence.update(1, data(&deep)).unwrap();
    let before = all(&presence);
    let kept =
        serde_json::to_vec(&presence.presence.leave_behind(&topic(CHANNEL)).unwrap()).unwrap();

    let next = nobody();
    next.take_over(&serde_json::from_slice(&kept).unwrap());
    assert_eq!(all(&next), before);
    assert_eq!(join(&next, &user("ada"), named("desk"), 5), None);
    assert_eq!(join(&next, &user("ada"), named("phone"), 6), None);
    assert_eq!(all(&next), before);

    // One that cannot be read.
    let mut kept: Value = serde_json::from_slice(&kept).unwrap();
    kept["devices"][0]["user"] = json!(7);
    let next = nobody();
    next.take_over(&serde_json::from_value(kept).unwrap());
    assert_eq!(names(&next), is_there(&[("ada", 1), ("bob", 1)]));
}

#[tokio::test(start_paused = true)]
async fn data_is_counted_while_its_device_is_there_and_not_a_moment_longer() {
    let limits = PresenceLimits::default().bytes_per_user(300);
    let presence = Node::new(limits);
    let ada = user("ada");
    for id in 1..=22 {
        presence.arrive(CHANNEL, &ada, None, id);
    }
    let used = || presence.used().0;
    let text = |bytes: usize| data(&format!("\"{}\"", "x".repeat(bytes - 2)));
    presence.update(1, text(100)).unwrap();
    // One that is not shown counts as well.
    presence.update(21, text(50)).unwrap();
    assert_eq!(used(), 100 + 64 + 50 + 64);
    let before = all(&presence);
    for id in [1, 2, 22] {
        let refused = presence.update(id, text(150));
        assert_eq!(refused, Err(OverQuota::User(300)));
    }
    assert_eq!(all(&presence), before);
    presence.update(1, text(10)).unwrap();
    assert_eq!(used(), 10 + 64 + 50 + 64);
    leave(&presence, 21);
    assert_eq!(used(), 10 + 64);
    // One that is waited for has its place, with its data.
    presence.lose(1);
    assert_eq!(used(), 10 + 64);
    let kept = presence.presence.leave_behind(&topic(CHANNEL)).unwrap();
    pass(ALMOST + REST).await;
    assert_eq!(used(), 0);
    let next = Node::new(limits);
    next.take_over(&kept);
    assert_eq!(next.used().0, 10 + 64);
    pass(ALMOST + REST).await;
    assert_eq!(next.used(), (0, 0));
}

fn data(json: &str) -> Data {
    let json = RawValue::from_string(json.to_owned()).unwrap();
    Data::new(&json).unwrap()
}
