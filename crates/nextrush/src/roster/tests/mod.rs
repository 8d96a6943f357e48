//! Tests of rosters: a node alone, nodes that share a store, and a model with every fault.

mod alone;
mod model;
mod nodes;
mod state;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{NodeName, TopicName};
use nextrush_engine::ConnectionId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::draft::Draft;
use super::host::RosterHost;
use super::*;

const GRACE: Duration = Duration::from_secs(15);

fn roster() -> TopicName {
    "roster".try_into().unwrap()
}

fn socket(number: u32) -> ConnectionId {
    format!("0-{number}-1").parse().unwrap()
}

fn home(node: &str, boot: u64) -> Home {
    Home::new(NodeName::try_from(node).unwrap(), boot)
}

fn in_virtual_time(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test);
}

/// A device of a user.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Device {
    user: u32,
    name: Option<u32>,
    says: u32,
}

fn device(user: u32, name: impl Into<Option<u32>>) -> Device {
    Device {
        user,
        name: name.into(),
        says: 0,
    }
}

/// Rules as those of presence, which tell one client of a node everything.
struct TestRules {
    grace: Option<Duration>,
    room: usize,
    /// `true` if one message tells of a change, as for presence; otherwise one of each step.
    is_whole: bool,
    client: Arc<Mutex<Client>>,
}

impl TestRules {
    fn new(client: &Arc<Mutex<Client>>) -> Self {
        Self {
            grace: Some(GRACE),
            room: 1000,
            is_whole: false,
            client: Arc::clone(client),
        }
    }
}

/// A function that notes that a socket is in the roster, or waits.
struct Arrival(Box<dyn FnOnce(Arrives) + Send>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Arrives {
    /// The number of the member, and the size of the roster.
    In(u64, usize),
    Waits,
}

/// A client that keeps the list, and checks what it is told.
#[derive(Debug, Default)]
struct Client {
    version: Option<u64>,
    members: BTreeMap<u64, Device>,
    told: Vec<String>,
    problems: Vec<String>,
}

impl Client {
    fn take(&mut self, step: &Step<TestRules>) {
        let number = step.number;
        let known = self.members.get(&number).cloned();
        let before = step.before.as_ref().map(|record| (*record.member).clone());
        if known != before {
            self.problems
                .push(format!("{number} was {known:?}, told of {before:?}"));
        }
        let after = step.after.as_ref().map(|record| (*record.member).clone());
        if step.is_visible() {
            let word = match (&before, &after) {
                (None, _) => "joined",
                (_, None) => "left",
                _ => "updated",
            };
            let device = after.as_ref().or(before.as_ref()).unwrap();
            let (user, says) = (device.user, device.says);
            self.told.push(format!("{word} {user} {says}"));
        }
        match after {
            Some(device) => drop(self.members.insert(number, device)),
            None => drop(self.members.remove(&number)),
        }
    }

    fn knows(&mut self, view: &View<TestRules>) {
        if self.version != Some(view.version()) {
            let problem = format!("at {:?}, shown {}", self.version, view.version());
            self.problems.push(problem);
        }
        if self.members != members(view) {
            let shown = members(view);
            let problem = format!("knows {:?}, shown {shown:?}", self.members);
            self.problems.push(problem);
        }
        if *view.index() != view.len() {
            self.problems.push("the index is wrong".into());
        }
    }

    fn told(&mut self) -> Vec<String> {
        assert_eq!(self.problems, [""; 0], "{:#?}", self.told);
        std::mem::take(&mut self.told)
    }
}

fn members(view: &View<TestRules>) -> BTreeMap<u64, Device> {
    let members = view.members();
    members
        .map(|(number, record)| (number, (*record.member).clone()))
        .collect()
}

impl Rules for TestRules {
    type Member = Device;
    type Arrival = Arrival;
    type Index = usize;

    fn grace(&self) -> Option<Duration> {
        self.grace
    }

    fn admit(&self, view: &View<Self>, newcomer: &Device) -> Admission {
        let is_same = |record: &Record<Device>| {
            record.place.is_lost()
                && record.member.user == newcomer.user
                && record.member.name == newcomer.name
        };
        let mut same = view.members().filter(|(_, record)| is_same(record));
        match same.next() {
            Some((number, _)) => Admission::Again(number),
            None if view.len() < self.room => Admission::New,
            None => Admission::Wait,
        }
    }

    fn index(
        &self,
        index: &mut usize,
        _: u64,
        before: Option<&Record<Device>>,
        after: Option<&Record<Device>>,
    ) {
        *index = *index + usize::from(after.is_some()) - usize::from(before.is_some());
    }

    fn versions(&self, steps: &[Step<Self>]) -> u64 {
        let visible = steps.iter().filter(|step| step.is_visible()).count() as u64;
        if self.is_whole {
            visible.min(1)
        } else {
            visible
        }
    }

    fn changed(&self, _: &TopicName, change: Change<'_, Self>) {
        let mut client = self.client.lock();
        if client.version.is_none() {
            client.version = Some(change.before.version());
            client.members = members(&change.before);
        }
        client.knows(&change.before);
        let (shown, after) = (change.shown, change.after.clone());
        if self.is_whole {
            shown.set(&after);
            client.version = client
                .version
                .map(|version| version + self.versions(&change.steps));
            for step in change.steps {
                client.take(&step);
                if let Some(arrival) = step.arrival {
                    (arrival.0)(Arrives::In(step.number, after.len()));
                }
            }
        } else {
            for (step, view) in change.one_by_one() {
                shown.set(&view);
                client.version = client
                    .version
                    .map(|version| version + u64::from(step.is_visible()));
                client.take(&step);
                client.knows(&view);
                if let Some(arrival) = step.arrival {
                    (arrival.0)(Arrives::In(step.number, view.len()));
                }
            }
        }
        client.knows(&after);
    }

    fn retold(&self, _: &TopicName, retold: Retold<'_, Self>) {
        let mut client = self.client.lock();
        if client.version.is_some() {
            client.knows(&retold.before);
        }
        if client.version >= Some(retold.after.version()) {
            let after = retold.after.version();
            let problem = format!("at {:?}, told {after} anew", client.version);
            client.problems.push(problem);
        }
        retold.shown.set(&retold.after);
        client.version = Some(retold.after.version());
        client.members = members(&retold.after);
        client.told.push("anew".into());
        for (number, arrival) in retold.arrivals {
            (arrival.0)(Arrives::In(number, retold.after.len()));
        }
    }

    fn ended(&self, _: Origin) {
        let mut client = self.client.lock();
        // Whoever looks at it later begins anew.
        client.version = None;
        client.members.clear();
    }

    fn waits(&self, _: &TopicName, arrival: Arrival) {
        (arrival.0)(Arrives::Waits);
    }
}

/// The arrivals of sockets, in their order.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<(u32, Arrives)>>>);

impl Arrivals {
    fn of(&self, number: u32) -> Arrival {
        let arrivals = Arc::clone(&self.0);
        Arrival(Box::new(move |arrives| {
            arrivals.lock().push((number, arrives));
        }))
    }

    fn take(&self) -> Vec<(u32, Arrives)> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// The homes that are alive, for the nodes of a test.
#[derive(Clone, Default)]
struct Alive(Arc<Mutex<HashSet<Home>>>);

impl Alive {
    fn insert(&self, home: &Home) {
        self.0.lock().insert(home.clone());
    }

    fn remove(&self, home: &Home) {
        self.0.lock().remove(home);
    }
}
