//! The state of a roster, event by event.

use nextrush_broker::{Committed, Roster as Stored, RosterChange, RosterRevision};
use tokio::time::Instant;

use super::*;
use crate::roster::change::Shown;
use crate::roster::host::{Chance, Surroundings};
use crate::roster::living::Living;
use crate::roster::state::{Input, Request, State};
use crate::roster::store_time::StoreTime;
use crate::roster::wire;
use crate::roster::wish::Settling;

/// A roster on a node, and what is around it.
struct Node {
    state: State<TestRules>,
    time: StoreTime,
    chance: Chance,
    shown: Shown<TestRules>,
}

impl Node {
    /// A node that has read a roster.
    fn with(stored: Stored) -> Self {
        let rules = Arc::new(TestRules::new(&Arc::default()));
        let own = Arc::new(home("own", 1));
        let mut node = Self {
            state: State::new(rules, roster(), own, false),
            time: StoreTime::new(),
            chance: Chance::new(1),
            shown: Shown::new(),
        };
        let (settling, _) = Settling::new();
        node.take(Input::Watch(settling));
        assert!(matches!(node.next(), Some(Request::Load)));
        node.take(Input::Loaded(Ok(stored)));
        assert!(node.next().is_none());
        node
    }

    fn take(&mut self, input: Input<TestRules>) {
        let around = Surroundings {
            time: &self.time,
            chance: &self.chance,
            shown: &self.shown,
        };
        self.state.take(input, &around);
    }

    fn next(&mut self) -> Option<Request> {
        let around = Surroundings {
            time: &self.time,
            chance: &self.chance,
            shown: &self.shown,
        };
        self.state.next_request(&around)
    }

    fn revision(&self) -> RosterRevision {
        self.state.view().unwrap().revision
    }
}

fn revision(number: u64) -> RosterRevision {
    RosterRevision::new(number, 100 + number)
}

fn elsewhere(number: u32) -> Record<Device> {
    let place = Place::At {
        home: Arc::new(home("other", 9)),
        socket: socket(number),
    };
    Record::new(place, Arc::new(device(number, None)))
}

/// A roster with so many members at another node, of which each has come by a change.
fn stored(members: u32) -> Stored {
    let mut stored = Stored::default();
    stored.revision = revision(members.into());
    let origin = Origin {
        version: members.into(),
        last: members.into(),
    };
    stored.head = wire::write_head(origin, 1);
    for number in 1..=members {
        let written = wire::write_record::<TestRules>(&elsewhere(number)).unwrap();
        stored.members.push((number.into(), written));
    }
    stored
}

/// The change by which a member has come.
fn change(number: u32) -> Arc<RosterChange> {
    let after = stored(number);
    let mut change = RosterChange::new(revision(u64::from(number) - 1), after.revision);
    change.head = after.head;
    change.put = after
        .members
        .into_iter()
        .skip(number as usize - 1)
        .collect();
    Arc::new(change)
}

#[test]
fn what_was_read_before_a_change_came_does_not_take_it_back() {
    in_virtual_time(async {
        let mut node = Node::with(stored(1));
        let (known, found) = (revision(1), Some(revision(2)));
        node.take(Input::Checked { known, found });
        assert!(matches!(node.next(), Some(Request::Read)));
        node.take(Input::Pushed(change(2)));
        assert_eq!(node.revision(), revision(2));
        node.take(Input::Read(Ok(stored(1))));
        assert_eq!(node.revision(), revision(2));
        // Or was it the change that the store has forgotten? The next reading tells.
        assert!(matches!(node.next(), Some(Request::Read)));
        node.take(Input::Read(Ok(stored(1))));
        assert_eq!(node.revision(), revision(1));
    });
}

#[test]
fn a_change_that_leads_to_what_is_not_known_is_a_reason_to_check() {
    in_virtual_time(async {
        let mut node = Node::with(stored(5));
        // It is known.
        node.take(Input::Pushed(change(5)));
        assert!(node.next().is_none());
        // Of the time before, or of a store that has forgotten something.
        node.take(Input::Pushed(change(4)));
        let Some(Request::Check(known)) = node.next() else {
            panic!("no check")
        };
        assert_eq!(known, revision(5));
    });
}

#[test]
fn a_home_that_was_not_there_when_the_living_were_asked_for_is_not_dead() {
    in_virtual_time(async {
        let asked = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut node = Node::with(stored(1));
        let homes = HashSet::new();
        node.take(Input::Living(Arc::new(Living { asked, homes })));
        assert!(node.next().is_none());
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (asked, homes) = (Instant::now(), HashSet::new());
        node.take(Input::Living(Arc::new(Living { asked, homes })));
        assert!(matches!(node.next(), Some(Request::Commit(_))));
    });
}

#[test]
fn a_member_is_the_one_that_was_given_also_if_the_push_comes_before_the_answer() {
    in_virtual_time(async {
        for comes_first in [true, false] {
            let mut node = Node::with(stored(1));
            let given = Arc::new(device(7, None));
            let (settling, settled) = Settling::new();
            node.take(Input::Wish(Wish::Join {
                socket: socket(7),
                member: Arc::clone(&given),
                arrival: Arrivals::default().of(7),
                settling,
            }));
            let Some(Request::Commit(change)) = node.next() else {
                panic!("no commit")
            };
            let time_ms = 1;
            let mut inputs = [
                Input::Pushed(change),
                Input::Committed(Ok(Committed::Done { time_ms })),
            ];
            if !comes_first {
                inputs.reverse();
            }
            for input in inputs {
                node.take(input);
            }
            settled.await.unwrap();
            let view = node.state.view().unwrap();
            assert!(Arc::ptr_eq(&view.get(2).unwrap().member, &given));
            assert!(node.next().is_none());
        }
    });
}
