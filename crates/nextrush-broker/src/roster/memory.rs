//! Rosters of one process, in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{Committed, Roster, RosterChange, RosterRevision, RosterSink, Rosters};
use crate::clock::{Clock, SystemClock};
use crate::error::BrokerError;
use crate::topic_name::TopicName;

/// Rosters in memory, for one node.
///
/// Its futures are ready at once, it fails in no way, and as there is no other node it tells its
/// sink nothing. A roster that nobody is in any more keeps its revision and its head.
///
/// ```
/// use std::sync::Arc;
/// use nextrush_broker::{
///     Committed, MemoryRosters, RosterChange, RosterRevision, Rosters, TopicName,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let rosters = MemoryRosters::new();
/// let lobby = TopicName::try_from("lobby")?;
/// let mut change = RosterChange::new(RosterRevision::default(), RosterRevision::new(1, 7));
/// change.put.push((1, "ada".into()));
/// let change = Arc::new(change);
/// let first = rosters.commit(&lobby, Arc::clone(&change)).await?;
/// assert!(matches!(first, Committed::Done { .. }));
///
/// // The roster is not what it was when this change was worked out.
/// let second = rosters.commit(&lobby, change).await?;
/// assert_eq!(second, Committed::Conflict { revision: RosterRevision::new(1, 7) });
/// assert_eq!(rosters.read(&lobby).await?.members, [(1, "ada".into())]);
/// # Ok(())
/// # }
/// ```
pub struct MemoryRosters {
    rosters: Mutex<HashMap<TopicName, Kept>>,
    clock: Box<dyn Clock>,
}

#[derive(Default)]
struct Kept {
    revision: RosterRevision,
    head: Bytes,
    members: BTreeMap<u64, Bytes>,
}

impl MemoryRosters {
    /// A store without rosters.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// A store with another clock than the system's.
    #[must_use]
    pub fn with_clock(clock: impl Clock) -> Self {
        Self {
            rosters: Mutex::default(),
            clock: Box::new(clock),
        }
    }
}

impl Default for MemoryRosters {
    fn default() -> Self {
        Self::new()
    }
}

impl Kept {
    fn make(&mut self, change: &RosterChange) {
        self.revision = change.to;
        self.head = change.head.clone();
        for number in &change.removed {
            self.members.remove(number);
        }
        self.members.extend(change.put.iter().cloned());
    }
}

impl Rosters for MemoryRosters {
    fn attach(&self, _: Arc<dyn RosterSink>) {}

    fn watch(&self, _: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(ready(Ok(())))
    }

    fn unwatch(&self, _: &TopicName) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn read(&self, topic: &TopicName) -> BoxFuture<'_, Result<Roster, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let time_ms = self.clock.steady_ms();
            let rosters = self.rosters.lock();
            let Some(kept) = rosters.get(&topic) else {
                return Ok(Roster {
                    time_ms,
                    ..Roster::default()
                });
            };
            let members = kept.members.iter();
            Ok(Roster {
                revision: kept.revision,
                head: kept.head.clone(),
                members: members
                    .map(|(number, member)| (*number, member.clone()))
                    .collect(),
                time_ms,
            })
        })
    }

    fn commit(
        &self,
        topic: &TopicName,
        change: Arc<RosterChange>,
    ) -> BoxFuture<'_, Result<Committed, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let mut rosters = self.rosters.lock();
            let revision = rosters
                .get(&topic)
                .map_or_else(RosterRevision::default, |kept| kept.revision);
            if revision != change.from {
                return Ok(Committed::Conflict { revision });
            }
            rosters.entry(topic).or_default().make(&change);
            let time_ms = self.clock.steady_ms();
            Ok(Committed::Done { time_ms })
        })
    }

    fn revisions(
        &self,
        topics: &[TopicName],
    ) -> BoxFuture<'_, Result<Vec<RosterRevision>, BrokerError>> {
        let topics = topics.to_vec();
        Box::pin(async move {
            let rosters = self.rosters.lock();
            let revision = |topic| rosters.get(topic).map(|kept| kept.revision);
            Ok(topics
                .iter()
                .map(|topic| revision(topic).unwrap_or_default())
                .collect())
        })
    }
}

impl fmt::Debug for MemoryRosters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRosters")
            .field("rosters", &self.rosters.lock().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::clock::ManualClock;

    fn topic(name: &str) -> TopicName {
        name.try_into().unwrap()
    }

    fn change(
        from: u64,
        to: u64,
        removed: &[u64],
        put: &[(u64, &'static str)],
    ) -> Arc<RosterChange> {
        let revision = |number| match number {
            0 => RosterRevision::default(),
            _ => RosterRevision::new(number, number + 100),
        };
        Arc::new(RosterChange {
            removed: removed.to_vec(),
            put: put
                .iter()
                .map(|(number, member)| (*number, Bytes::from_static(member.as_bytes())))
                .collect(),
            head: Bytes::from(format!("head {to}")),
            ..RosterChange::new(revision(from), revision(to))
        })
    }

    /// The value of a future of these rosters, which is ready at once.
    fn now<T>(future: BoxFuture<'_, Result<T, BrokerError>>) -> T {
        future.now_or_never().unwrap().unwrap()
    }

    #[test]
    fn a_change_is_made_only_of_the_roster_from_which_it_goes_out() {
        let clock = Arc::new(ManualClock::new(1000));
        let rosters = MemoryRosters::with_clock(Arc::clone(&clock));
        let (lobby, other) = (topic("lobby"), topic("other"));
        let made = now(rosters.commit(&lobby, change(0, 1, &[], &[(3, "c"), (1, "a")])));
        assert_eq!(made, Committed::Done { time_ms: 1000 });
        let before = now(rosters.read(&lobby));
        for from in [0, 2] {
            let refused = now(rosters.commit(&lobby, change(from, 3, &[1], &[])));
            let revision = RosterRevision::new(1, 101);
            assert_eq!(refused, Committed::Conflict { revision });
        }
        assert_eq!(now(rosters.read(&lobby)), before);
        // Of the same number, and another tag.
        let mut stale = change(1, 2, &[], &[]);
        Arc::make_mut(&mut stale).from.tag = 7;
        let refused = now(rosters.commit(&lobby, stale));
        assert!(matches!(refused, Committed::Conflict { .. }));

        clock.advance(Duration::from_millis(5));
        now(rosters.commit(&lobby, change(1, 5, &[1, 9], &[(2, "b"), (3, "d")])));
        let expected = Roster {
            revision: RosterRevision::new(5, 105),
            head: "head 5".into(),
            members: vec![(2, "b".into()), (3, "d".into())],
            time_ms: 1005,
        };
        assert_eq!(now(rosters.read(&lobby)), expected);
        let revisions = now(rosters.revisions(&[other.clone(), lobby]));
        assert_eq!(revisions, [RosterRevision::default(), expected.revision]);
        assert_eq!(now(rosters.read(&other)).members, []);
    }

    #[test]
    fn a_member_that_is_removed_and_put_in_one_change_is_there() {
        let rosters = MemoryRosters::new();
        let lobby = topic("lobby");
        now(rosters.commit(&lobby, change(0, 1, &[], &[(1, "a")])));
        now(rosters.commit(&lobby, change(1, 2, &[1], &[(1, "b")])));
        assert_eq!(now(rosters.read(&lobby)).members, [(1, "b".into())]);
    }
}
