//! The promises of a store of rosters, as a test.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::fresh;
use crate::roster::{Committed, Roster, RosterChange, RosterRevision, Rosters};
use crate::topic_name::TopicName;

/// Checks the promises of [`Rosters`] on stores made by `make`, one for each promise.
///
/// The stores may be one and the same: all topics are new. No check waits for time to pass.
///
/// # Panics
///
/// If a promise is broken, with a text that names it and the difference; if the store returns an
/// error; or outside a tokio runtime.
pub async fn roster_conformance(make: impl AsyncFn() -> Arc<dyn Rosters>) {
    a_roster_is_empty_before_its_first_change(&*make().await).await;
    a_change_is_read_as_it_was_made(&*make().await).await;
    a_change_takes_and_puts_members(&*make().await).await;
    a_change_of_another_revision_changes_nothing(&*make().await).await;
    of_changes_at_the_same_time_one_is_made(&*make().await).await;
    rosters_are_independent(&*make().await).await;
    revisions_come_in_the_order_of_the_topics(&*make().await).await;
    large_rosters_and_numbers_are_kept(&*make().await).await;
    time_does_not_fall(&*make().await).await;
    nothing_happens_before_a_future_is_polled(&*make().await).await;
    interests_may_be_taken_back_in_any_number(&*make().await).await;
}

/// The tag of the change to revision `number`. Tags use all their bits.
fn tag(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | (1 << 63)
}

pub(super) fn revision(number: u64) -> RosterRevision {
    match number {
        0 => RosterRevision::default(),
        _ => RosterRevision::new(number, tag(number)),
    }
}

/// The change from one number to another that puts a member of this text in place `put`.
pub(super) fn change(
    from: RosterRevision,
    to: RosterRevision,
    put: u64,
    text: &str,
) -> RosterChange {
    let mut change = RosterChange::new(from, to);
    change.head = Bytes::from(format!("head of {text}"));
    change.put = vec![(put, Bytes::copy_from_slice(text.as_bytes()))];
    change
}

pub(super) async fn read(rosters: &dyn Rosters, topic: &TopicName) -> Roster {
    rosters
        .read(topic)
        .await
        .expect("read resolves without an error")
}

pub(super) async fn commit(
    rosters: &dyn Rosters,
    topic: &TopicName,
    change: RosterChange,
) -> Committed {
    rosters
        .commit(topic, Arc::new(change))
        .await
        .expect("commit resolves without an error")
}

/// Makes a change that has to succeed.
pub(super) async fn make(rosters: &dyn Rosters, topic: &TopicName, change: RosterChange) {
    let committed = commit(rosters, topic, change).await;
    assert!(
        matches!(committed, Committed::Done { .. }),
        "a change of the present revision is made: {committed:?}"
    );
}

/// The members as text.
pub(super) fn members(roster: &Roster) -> Vec<(u64, String)> {
    let text = |member: &Bytes| String::from_utf8_lossy(member).into_owned();
    roster
        .members
        .iter()
        .map(|(number, member)| (*number, text(member)))
        .collect()
}

fn named(members: &[(u64, &str)]) -> Vec<(u64, String)> {
    members
        .iter()
        .map(|(number, text)| (*number, (*text).to_owned()))
        .collect()
}

async fn a_roster_is_empty_before_its_first_change(rosters: &dyn Rosters) {
    let topic = fresh("roster");
    let roster = read(rosters, &topic).await;
    let time_ms = roster.time_ms;
    let empty = Roster {
        time_ms,
        ..Roster::default()
    };
    assert_eq!(roster, empty, "a roster that was never changed is empty");
}

async fn a_change_is_read_as_it_was_made(rosters: &dyn Rosters) {
    let topic = fresh("roster");
    let binary: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let mut first = RosterChange::new(revision(0), revision(1));
    first.head = binary.clone();
    first.put = vec![
        (7, binary.clone()),
        (3, Bytes::new()),
        (12, "twelve".into()),
    ];
    make(rosters, &topic, first).await;
    let roster = read(rosters, &topic).await;
    assert_eq!(
        roster.revision,
        revision(1),
        "the revision is that of the change"
    );
    assert_eq!(roster.head, binary, "the head has the bytes of the change");
    let expected = vec![(3, Bytes::new()), (7, binary), (12, "twelve".into())];
    assert_eq!(
        roster.members, expected,
        "members have their bytes, and come in the order of their numbers"
    );
    // A head alone, and nothing at all.
    for number in 2..=3 {
        let mut next = RosterChange::new(revision(number - 1), revision(number));
        next.head = if number == 2 {
            "head".into()
        } else {
            Bytes::new()
        };
        next.removed = vec![3, 7, 12];
        make(rosters, &topic, next.clone()).await;
        let roster = read(rosters, &topic).await;
        assert_eq!(
            (roster.revision, roster.head, roster.members.len()),
            (revision(number), next.head, 0),
            "a roster without members has its revision and head"
        );
    }
}

async fn a_change_takes_and_puts_members(rosters: &dyn Rosters) {
    let topic = fresh("roster");
    let mut first = change(revision(0), revision(1), 1, "one");
    first.put.push((2, "two".into()));
    first.put.push((3, "three".into()));
    make(rosters, &topic, first).await;
    // Both in and out, a number that is not there, a new value.
    let mut second = change(revision(1), revision(5), 2, "two again");
    second.removed = vec![2, 1, 99];
    second.put.push((4, "four".into()));
    make(rosters, &topic, second).await;
    let roster = read(rosters, &topic).await;
    assert_eq!(
        members(&roster),
        named(&[(2, "two again"), (3, "three"), (4, "four")]),
        "members leave before others come"
    );
    assert_eq!(
        roster.revision,
        revision(5),
        "a revision may rise by more than 1"
    );
    assert_eq!(
        roster.head, "head of two again",
        "a new head replaces the one before"
    );
}

async fn a_change_of_another_revision_changes_nothing(rosters: &dyn Rosters) {
    let topic = fresh("roster");
    let unknown = change(revision(1), revision(2), 1, "unknown");
    assert_eq!(
        commit(rosters, &topic, unknown).await,
        Committed::Conflict {
            revision: revision(0)
        },
        "a roster that is not there has revision 0"
    );
    make(rosters, &topic, change(revision(0), revision(1), 1, "one")).await;
    make(rosters, &topic, change(revision(1), revision(2), 2, "two")).await;
    let before = read(rosters, &topic).await;
    let others = [
        revision(0),
        revision(1),
        revision(3),
        RosterRevision::new(2, tag(2) ^ 1),
        RosterRevision::new(2 | (1 << 60), tag(2)),
    ];
    for from in others {
        let mut late = change(from, revision(1 << 61), 2, "late");
        late.removed = vec![1];
        assert_eq!(
            commit(rosters, &topic, late).await,
            Committed::Conflict {
                revision: revision(2)
            },
            "a change of {from:?} is refused with the revision of the roster"
        );
    }
    let after = read(rosters, &topic).await;
    assert_eq!(
        (after.revision, &after.head, &after.members),
        (before.revision, &before.head, &before.members),
        "what is refused changes nothing"
    );
}

async fn of_changes_at_the_same_time_one_is_made(rosters: &dyn Rosters) {
    let topic = fresh("roster");
    for round in 0..5 {
        let from = read(rosters, &topic).await.revision;
        let commits = (0..20).map(|number| {
            let to = RosterRevision::new(round + 1, tag(number));
            let text = format!("{round}/{number}");
            commit(rosters, &topic, change(from, to, number, &text))
        });
        let committed = join_all(commits).await;
        let done = committed
            .iter()
            .enumerate()
            .filter(|(_, committed)| matches!(committed, Committed::Done { .. }));
        let done: Vec<_> = done.map(|(number, _)| number as u64).collect();
        let [winner] = done[..] else {
            panic!("of changes at the same time one is made: {committed:?}");
        };
        let roster = read(rosters, &topic).await;
        assert_eq!(
            roster.revision,
            RosterRevision::new(round + 1, tag(winner)),
            "the roster is that of the change that was made"
        );
        let lost = committed.iter().filter_map(|committed| match committed {
            Committed::Conflict { revision } => Some(*revision),
            Committed::Done { .. } => None,
        });
        assert!(
            lost.into_iter().all(|told| told == roster.revision),
            "those that were not made are told which was"
        );
    }
}

async fn rosters_are_independent(rosters: &dyn Rosters) {
    let [one, other] = [fresh("roster"), fresh("roster")];
    make(rosters, &one, change(revision(0), revision(1), 1, "one")).await;
    assert_eq!(
        read(rosters, &other).await.revision,
        revision(0),
        "a change of one roster is none of another"
    );
    make(
        rosters,
        &other,
        change(revision(0), revision(1), 1, "other"),
    )
    .await;
    assert_eq!(
        members(&read(rosters, &one).await),
        named(&[(1, "one")]),
        "members belong to one roster"
    );
}

async fn revisions_come_in_the_order_of_the_topics(rosters: &dyn Rosters) {
    let topics: Vec<_> = (0..5).map(|_| fresh("roster")).collect();
    for (index, topic) in (0..).zip(&topics).filter(|(index, _)| index % 2 == 1) {
        make(rosters, topic, change(revision(0), revision(index), 1, "x")).await;
    }
    let asked: Vec<_> = topics.iter().rev().chain(&topics[..2]).cloned().collect();
    let told = rosters
        .revisions(&asked)
        .await
        .expect("revisions resolves without an error");
    assert_eq!(
        told,
        [0, 3, 0, 1, 0, 0, 1].map(revision),
        "revisions come in the order of the topics"
    );
    let none = rosters.revisions(&[]).await;
    assert_eq!(none.ok(), Some(Vec::new()), "of no topics there are none");
}

async fn large_rosters_and_numbers_are_kept(rosters: &dyn Rosters) {
    let topic = fresh("roster");
    let mut many = RosterChange::new(revision(0), RosterRevision::new(u64::MAX - 2, u64::MAX));
    let number = |index: u64| index * (u64::MAX / 2500);
    let text = |index: u64| format!("{index:>0$}", usize::try_from(index % 300).unwrap_or(0));
    many.put = (0..2500)
        .map(|index| (number(index), text(index).into()))
        .collect();
    many.put.push((u64::MAX, "last".into()));
    let mut expected = many.put.clone();
    expected.sort();
    make(rosters, &topic, many.clone()).await;
    let roster = read(rosters, &topic).await;
    assert_eq!(roster.revision, many.to, "the largest revisions are kept");
    assert!(roster.members == expected, "2,501 members are kept");
    let mut fewer = RosterChange::new(many.to, RosterRevision::new(u64::MAX - 1, 0));
    fewer.removed = (1..2500).map(number).chain([u64::MAX]).collect();
    make(rosters, &topic, fewer).await;
    assert_eq!(
        read(rosters, &topic).await.members,
        expected[..1],
        "2,500 members leave at once"
    );
    // Two numbers that are one as a floating-point number.
    let close = RosterChange::new(RosterRevision::new(u64::MAX - 1, 1), revision(3));
    assert_eq!(
        commit(rosters, &topic, close).await,
        Committed::Conflict {
            revision: RosterRevision::new(u64::MAX - 1, 0)
        },
        "tags count to the last bit"
    );
}

async fn time_does_not_fall(rosters: &dyn Rosters) {
    let topic = fresh("roster");
    let mut time_ms = 0;
    for number in 0..10 {
        let read = read(rosters, &topic).await.time_ms;
        let next = change(revision(number), revision(number + 1), 1, "x");
        let Committed::Done { time_ms: made } = commit(rosters, &topic, next).await else {
            panic!("a change of the present revision is made");
        };
        assert!(
            time_ms <= read && read <= made,
            "the time of the store does not fall: {time_ms}, {read}, {made}"
        );
        time_ms = made;
    }
}

async fn nothing_happens_before_a_future_is_polled(rosters: &dyn Rosters) {
    let topic = fresh("roster");
    let unpolled = change(revision(0), revision(1), 1, "unpolled");
    drop(rosters.commit(&topic, Arc::new(unpolled)));
    assert_eq!(
        read(rosters, &topic).await.revision,
        revision(0),
        "a future that is not polled does nothing"
    );
}

async fn interests_may_be_taken_back_in_any_number(rosters: &dyn Rosters) {
    let topic = fresh("roster");
    let watch = async || {
        rosters
            .watch(&topic)
            .await
            .expect("watch resolves without an error");
    };
    rosters.unwatch(&topic).await;
    watch().await;
    // Polled once, and given up.
    drop(rosters.watch(&topic).now_or_never());
    watch().await;
    for _ in 0..3 {
        rosters.unwatch(&topic).await;
    }
    make(rosters, &topic, change(revision(0), revision(1), 1, "x")).await;
    watch().await;
}
